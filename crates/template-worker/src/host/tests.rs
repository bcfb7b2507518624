//! Claims about the gate, for every call that there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use khronos::KhronosValue;
use time::OffsetDateTime;

use super::calls::HostCall;
use super::*;
use crate::capabilities::{CLOSED_LIST, Capabilities, Capability};
use crate::ids::GuildId;
use crate::template::TemplateInfo;

/// Calls that nothing gates, each with the reason.
const UNGATED: &[(&str, &str)] = &[
    // They do nothing but tell what templates were always told: AntiRaid gated none of them either.
    ("Discord", "antiraid_check_channel_permissions"),
    ("Discord", "antiraid_check_permissions"),
    ("Discord", "antiraid_check_permissions_and_hierarchy"),
    ("Discord", "antiraid_check_reason"),
    ("Discord", "antiraid_get_fused_member"),
    // It tells only those that the template may use.
    ("secrets", "list"),
];

fn text(text: &str) -> KhronosValue {
    text.into()
}

/// Arguments that a call takes: one call for each that is declared.
fn arguments(object: &str, name: &str) -> Option<Vec<KhronosValue>> {
    let table = || KhronosValue::Map(BTreeMap::new());
    let scopes = || KhronosValue::from(vec!["a", "b"]);
    Some(match (object, name) {
        ("DataStores.StatsStore" | "DataStores.LinksStore", _) | ("DataStores.TemplateStore", "list") => {
            vec![]
        }
        ("DataStores.CopyDataStore", _) => vec![text("x")],
        ("DataStores.TemplateStore", "create" | "update") => vec![table()],
        ("DataStores.TemplateStore", _) => vec![text("greet")],
        ("KV", "list_scopes") | ("secrets", _) | ("ImageCaptcha", _) | ("ObjectStorage", "list_files") => {
            vec![]
        }
        ("HTTPClient", _) => vec![text("GET"), text("https://example.com/"), table()],
        ("ObjectStorage", "upload_file") => vec![text("k"), text("content")],
        ("ObjectStorage", "get_file_url") => vec![text("k"), KhronosValue::Integer(60)],
        ("ObjectStorage", _) => vec![text("k")],
        ("KV", "keys") => vec![scopes()],
        ("KV", "set") => vec![text("k"), text("v"), scopes()],
        ("KV", "increment") => vec![text("k"), scopes(), KhronosValue::Integer(1)],
        ("KV", "batch") => vec![KhronosValue::List(vec![
            KhronosValue::from([("op", text("set")), ("key", text("k")), ("scopes", scopes())]),
            KhronosValue::from([("op", text("delete")), ("key", text("other")), ("scopes", scopes())]),
        ])],
        ("KV", id) if id.ends_with("id") => vec![text("id")],
        ("KV", _) => vec![text("k"), scopes()],
        // Theirs are checked where they are served.
        ("Discord", _) => vec![],
        _ => return None,
    })
}

pub(super) fn every_call() -> Vec<HostCall> {
    let call = |(object, declared): (&'static str, &'static calls::Declared)| {
        let name = declared.function.name;
        let arguments =
            arguments(object, name).unwrap_or_else(|| panic!("no arguments are known for {object}.{name}"));
        HostCall::named(object, name, arguments).unwrap_or_else(|wrong| panic!("{object}.{name}: {wrong}"))
    };
    HostCall::all().map(call).collect()
}

pub(super) fn caller(capabilities: Capabilities, limited: Option<Capabilities>) -> Caller {
    let guild = GuildId::new(1).unwrap();
    let template = Arc::new(TemplateInfo {
        guild,
        name: "greet".parse().unwrap(),
        version: 1,
        events: Vec::new(),
        capabilities,
        description: String::new(),
        error_channel: None,
        paused: false,
        created_at: OffsetDateTime::UNIX_EPOCH,
        created_by: None,
        updated_at: OffsetDateTime::UNIX_EPOCH,
        updated_by: None,
    });
    Caller { guild, template, limited: limited.map(Arc::new) }
}

fn set(texts: &[String]) -> Capabilities {
    texts.iter().map(|text| text.parse::<Capability>().unwrap()).collect()
}

pub(super) fn all() -> Capabilities {
    set(&["*".to_owned()])
}

#[test]
fn every_call_is_let_through_with_what_it_wants_and_with_nothing_less() {
    for call in every_call() {
        let (wants, name) = (call.wants(), call.to_string());
        if wants.is_empty() {
            assert!(
                UNGATED.contains(&(call.object(), call.declared().function.name)),
                "nothing gates {name}"
            );
            continue;
        }
        let gate = Gate::new(all(), false);
        gate.authorise(&caller(set(&wants), None), &call).unwrap_or_else(|error| panic!("{name}: {error}"));
        for missing in 0..wants.len() {
            let mut rest = wants.clone();
            let missing = rest.remove(missing);
            let names_it = |refused: Result<(), HostError>| {
                let said = refused.expect_err(&name).to_string();
                assert!(said.contains(&format!("`{missing}`")), "{name}: {said}");
            };
            names_it(gate.authorise(&caller(set(&rest), None), &call));
            names_it(gate.authorise(&caller(all(), Some(set(&rest))), &call));
            names_it(Gate::new(set(&rest), false).authorise(&caller(all(), None), &call));
        }
    }
}

/// Whether a capability is of a form, in which `{..}` stands for anything.
fn has_form(capability: &str, form: &str) -> bool {
    let Some((before, rest)) = form.split_once('{') else { return capability == form };
    let Some(left) = capability.strip_prefix(before) else { return false };
    let rest = rest.split_once('}').unwrap().1;
    (1..=left.len()).filter(|at| left.is_char_boundary(*at)).any(|at| has_form(&left[at..], rest))
}

#[test]
fn every_call_is_declared_with_a_form_of_the_closed_list_that_what_it_wants_has() {
    for call in every_call() {
        let form = call.declared().capability;
        if call.wants().is_empty() {
            assert_eq!(form, "", "{call}");
            continue;
        }
        assert!(
            CLOSED_LIST.iter().any(|entry| entry.stands_for(form)),
            "{call}: `{form}` is not on the list"
        );
        for wanted in call.wants() {
            assert!(has_form(&wanted, form), "{call} is declared with `{form}` and wants `{wanted}`");
        }
    }
}

#[test]
fn every_call_has_a_rate_and_a_guild_that_calls_too_often_hears_when_to_try_again() {
    for call in every_call() {
        let Some(rarest) = call.buckets().iter().map(|bucket| bucket.burst).min() else {
            panic!("{call} has no rate");
        };
        let gate = Gate::new(all(), true);
        let caller = caller(all(), None);
        for _ in 0..rarest / call.weight() {
            gate.authorise(&caller, &call).unwrap_or_else(|error| panic!("{call}: {error}"));
        }
        // While this ran, the bucket may have filled by a few.
        let refused = (0..=rarest).find_map(|_| gate.authorise(&caller, &call).err());
        let said = refused.unwrap_or_else(|| panic!("{call} is not limited")).to_string();
        assert!(said.contains("try again in"), "{call}: {said}");
    }
}

#[test]
fn a_batch_counts_as_many_calls_as_it_has_operations() {
    let op = |key: i64| {
        let key = text(&key.to_string());
        KhronosValue::from([("op", text("delete")), ("key", key), ("scopes", vec!["a"].into())])
    };
    let batch = |count: i64| {
        let ops = KhronosValue::List((0..count).map(op).collect());
        HostCall::named("KV", "batch", vec![ops]).unwrap()
    };
    let (most, gate) = (batch(100), Gate::new(all(), true));
    assert_eq!((most.weight(), most.buckets()[0].burst), (100, 500));
    let caller = caller(all(), None);
    for _ in 0..5 {
        gate.authorise(&caller, &most).unwrap();
    }
    let refused = gate.authorise(&caller, &most).unwrap_err();
    assert!(matches!(refused, HostError::RateLimited { bucket: "kv", .. }), "{refused}");
}

#[test]
fn a_call_that_is_not_allowed_counts_against_the_rate_all_the_same() {
    let gate = Gate::new(all(), true);
    let call = HostCall::named("DataStores.StatsStore", "stats", vec![]).unwrap();
    let caller = caller(Capabilities::default(), None);
    let refusals: Vec<HostError> = (0..200).map(|_| gate.authorise(&caller, &call).unwrap_err()).collect();
    assert!(matches!(refusals[0], HostError::NotAllowed { .. }), "{}", refusals[0]);
    assert!(refusals.iter().any(|refused| matches!(refused, HostError::RateLimited { .. })));
}
