//! What holds of every row of the table.

use std::collections::{BTreeMap, BTreeSet};

use khronos::KhronosValue;
use proptest::prelude::*;

use super::super::shapes::{self, results};
use super::super::table::{Body, Method, Verb, Work};
use super::super::validate::{Field, Rule, Shape, Thing};
use super::{ALL, find};
use crate::capabilities;

#[test]
fn every_name_is_there_once() {
    let names: Vec<_> = ALL.iter().map(|method| method.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.len() >= 79, "{} methods", names.len());
    assert_eq!(find("create_message").map(|method| method.name), Some("create_message"));
    assert!(find("create_mesage").is_none());
}

#[test]
fn the_closed_list_of_capabilities_is_that_of_the_methods_that_take_one() {
    let listed: BTreeSet<_> = capabilities::DISCORD_METHODS.iter().copied().collect();
    let gated: BTreeSet<_> = ALL.iter().filter(|method| method.is_gated).map(|method| method.name).collect();
    assert_eq!(listed, gated);
    assert_eq!(find("create_message").unwrap().capability().as_deref(), Some("discord:create_message"));
    let free: Vec<_> =
        ALL.iter().filter(|method| method.capability().is_none()).map(|method| method.name).collect();
    assert!(free.iter().all(|name| name.starts_with("antiraid_")), "{free:?}");
}

#[test]
fn everything_says_what_it_is() {
    for method in ALL.iter() {
        assert!(method.doc.ends_with('.') && method.doc.len() > 10, "{}: {}", method.name, method.doc);
        for field in method.takes.fields {
            assert!(
                field.doc.ends_with(['.', '?', '`', ':']),
                "{}.{}: {}",
                method.name,
                field.name,
                field.doc
            );
        }
    }
    for shape in shapes::ALL {
        assert!(
            !shape.doc.is_empty() && shape.fields.iter().all(|field| !field.doc.is_empty()),
            "{}",
            shape.name
        );
    }
}

#[test]
fn every_argument_has_a_place_in_its_request() {
    for method in ALL.iter() {
        let Work::Request(route) = method.work else { continue };
        let names: BTreeSet<_> = method.takes.fields.iter().map(|field| field.name).collect();
        let mut parts = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        assert!(
            parts.all(|part| names.contains(part) || part == "guild" || part == "application"),
            "{}: {}",
            method.name,
            route.path
        );
        match route.body {
            Body::None => {}
            Body::Argument(name) => assert!(names.contains(name), "{}", method.name),
            Body::Fields(fields) => {
                assert!(fields.iter().all(|(name, _)| names.contains(name)), "{}", method.name);
            }
        }
        assert!(route.verb != Verb::Get || route.body == Body::None, "{}", method.name);
        assert!(!names.contains("data") || route.body == Body::Argument("data"), "{}", method.name);
    }
}

#[test]
fn what_stands_in_a_path_has_an_alphabet_of_its_own() {
    for method in ALL.iter() {
        let Work::Request(route) = method.work else { continue };
        for field in method.takes.fields {
            if route.path.contains(&format!("{{{}}}", field.name)) {
                let fits = matches!(field.rule, Rule::Id(_) | Rule::Token(_) | Rule::Invite | Rule::Emoji);
                assert!(fits && !field.is_optional(), "{}.{}", method.name, field.name);
            }
        }
    }
}

#[test]
fn whatever_changes_something_needs_a_permission_or_a_token() {
    for method in ALL.iter() {
        let Work::Request(route) = method.work else { continue };
        let has_token = method.takes.fields.iter().any(|field| field.name == "webhook_token");
        // Commands are the bot's own.
        let is_own = route.path.starts_with("applications/");
        if route.verb != Verb::Get && !has_token && !is_own {
            assert!(!method.needs.is_empty(), "{} needs nothing", method.name);
        }
    }
}

/// Every field that is reachable from a method, with where.
fn fields() -> Vec<(String, Field)> {
    fn inside_rule(at: &str, rule: &Rule, found: &mut Vec<(String, Field)>) {
        match rule {
            Rule::OrNull(of) | Rule::List(of, ..) | Rule::Languages(of) => inside_rule(at, of, found),
            Rule::Object(shape) => inside(at, shape, found),
            Rule::Tagged(_, shapes) => shapes.iter().for_each(|(_, shape)| inside(at, shape, found)),
            _ => {}
        }
    }
    fn inside(at: &str, shape: &Shape, found: &mut Vec<(String, Field)>) {
        for field in shape.fields {
            let at = format!("{at}.{}", field.name);
            found.push((at.clone(), *field));
            inside_rule(&at, &field.rule, found);
        }
    }
    let mut found = Vec::new();
    for method in ALL.iter() {
        for field in method.takes.fields {
            let at = format!("{}: {}", method.name, field.name);
            found.push((at.clone(), *field));
            inside_rule(&at, &field.rule, &mut found);
        }
    }
    found
}

#[test]
fn whatever_is_called_the_id_of_a_thing_is_checked_as_one() {
    for (at, field) in fields() {
        let of = match &field.rule {
            Rule::OrNull(Rule::Id(thing)) | Rule::Id(thing) => *thing,
            _ => continue,
        };
        let expected = match field.name {
            "channel_id" | "afk_channel_id" | "webhook_channel_id" | "parent_id" | "thread_id" => {
                Thing::Channel
            }
            "role_id" => Thing::Role,
            "guild_id" => Thing::Guild,
            "webhook_id" => Thing::Webhook,
            "interaction_id" => Thing::Interaction,
            _ => continue,
        };
        assert_eq!(of, expected, "{at}");
    }
}

#[test]
fn the_types_that_scripts_see_fit_what_is_checked_and_are_all_declared() {
    let declared: BTreeSet<&str> =
        shapes::ALL.iter().map(|shape| shape.name).chain(results::TYPES.iter().map(|ty| ty.name)).collect();
    assert_eq!(declared.len(), shapes::ALL.len() + results::TYPES.len(), "a type is declared twice");
    let mut texts: Vec<(String, &str)> =
        ALL.iter().map(|method| (method.name.to_owned(), method.gives)).collect();
    for (at, field) in fields() {
        let ty = field.ty.trim_end_matches('?').trim_start_matches('(').trim_end_matches(')');
        let (ty, rule) = match field.rule {
            Rule::OrNull(of @ (Rule::List(..) | Rule::Object(_) | Rule::Languages(_))) => (ty, *of),
            Rule::OrNull(of) => (ty.strip_suffix(" | DiscordNull").unwrap_or("no null"), *of),
            rule => (ty, rule),
        };
        let fits = match rule {
            Rule::Boolean => ty == "boolean",
            Rule::Integer(..) | Rule::Choice(_) | Rule::Number(..) => ty == "number",
            Rule::Text(..) | Rule::Word(_) | Rule::Token(_) | Rule::Invite | Rule::Link | Rule::Image(_) => {
                ty == "string"
            }
            Rule::Moment => ty == "string | DateTime",
            Rule::Named(_) => ty == "number | string",
            Rule::Id(_) => ty == "string",
            Rule::Permissions => ty.contains("string | number"),
            Rule::Emoji => ty == "string | DiscordPartialEmoji",
            Rule::Content => ty == "buffer | string",
            Rule::List(..) => ty.starts_with('{') && ty.ends_with('}'),
            Rule::Languages(_) => ty == "{ [string]: string }",
            Rule::Object(shape) => ty == shape.name,
            Rule::Tagged(_, shapes) => shapes.iter().all(|(_, shape)| ty.contains(shape.name)),
            Rule::Either(..) => ty == "string | number",
            Rule::OrNull(_) => false,
        };
        assert!(fits, "{at} is declared as {} and checked as {:?}", field.ty, rule);
        texts.push((at, field.ty));
    }
    for (at, text) in texts {
        for word in
            text.split(|char: char| !char.is_alphanumeric()).filter(|word| word.starts_with("Discord"))
        {
            assert!(
                declared.contains(word) || word == results::BULK_OP.name,
                "{at} names {word}, which is no type"
            );
        }
    }
}

#[test]
fn quotas_are_those_of_the_reference() {
    let buckets = |name: &str| {
        let buckets = find(name).unwrap().buckets().iter();
        buckets.map(|one| (one.name.to_owned(), one.burst, one.every_ms)).collect::<Vec<_>>()
    };
    let share = || ("discord".to_owned(), 20, 250);
    let own = |name: &str, burst, every_ms| (name.to_owned(), burst, every_ms);
    assert_eq!(buckets("get_guild"), [share()]);
    assert_eq!(buckets("create_message"), [share(), own("create_message", 30, 333)]);
    for name in ["create_guild_ban", "remove_guild_member"] {
        assert_eq!(buckets(name), [share(), own(name, 5, 6_000), own(name, 10, 7_500)]);
    }
    for name in ["get_guild_commands", "create_guild_command"] {
        assert_eq!(buckets(name), [share(), own(name, 1, 300_000)]);
    }
    for name in ["get_original_interaction_response", "create_followup_message", "delete_followup_message"] {
        assert_eq!(buckets(name), [own(name, 10, 300)]);
    }
    assert_eq!(buckets("create_interaction_response"), [own("create_interaction_response", 50, 100)]);
    assert_eq!(buckets("antiraid_bulk_op"), [own("antiraid_bulk_op", 3, 333)]);
}

fn decode(method: &Method, arguments: Vec<KhronosValue>) -> String {
    match method.decode(arguments) {
        Ok(decoded) => {
            serde_json::to_string(&decoded.arguments.into_iter().collect::<BTreeMap<_, _>>()).unwrap()
        }
        Err(invalid) => invalid.to_string(),
    }
}

#[test]
fn arguments_come_one_by_one_or_as_a_table_as_the_method_says() {
    let get = find("get_channel").unwrap();
    assert_eq!(decode(get, vec!["12".into()]), r#"{"channel_id":"12"}"#);
    assert_eq!(decode(get, vec![]), "`channel_id` is missing");
    assert_eq!(
        decode(get, vec!["12".into(), "13".into()]),
        "`get_channel` has 2 arguments: expected at most 1"
    );
    let ban = find("create_guild_ban").unwrap();
    let table = [("user_id", "12".into()), ("reason", "spam".into())].into();
    assert_eq!(decode(ban, vec![table]), r#"{"reason":"spam","user_id":"12"}"#);
    assert_eq!(
        decode(ban, vec!["12".into()]),
        "`create_guild_ban` takes one table with the fields user_id, reason, delete_message_seconds"
    );
    let table = [("user_id", "12".into()), ("reason", "".into())].into();
    assert_eq!(decode(ban, vec![table]), "`reason` is empty");
    let table = [("user_id", "12".into()), ("raeson", "spam".into())].into();
    assert_eq!(decode(ban, vec![table]), "`raeson` is not a field that there is; did you mean `reason`?");
    assert_eq!(decode(find("list_guild_members").unwrap(), vec![]), "{}");
    let list = KhronosValue::List(vec![[("id", KhronosValue::from("12"))].into()]);
    let moves = find("modify_guild_channel_positions").unwrap();
    assert_eq!(decode(moves, vec![list.clone()]), r#"{"data":[{"id":"12"}]}"#);
    assert_eq!(decode(moves, vec![[("data", list.clone())].into()]), r#"{"data":[{"id":"12"}]}"#);
    assert_eq!(
        decode(find("modify_guild_role_positions").unwrap(), vec![list]),
        "`modify_guild_role_positions` takes one table with the fields data, reason"
    );
}

#[test]
fn the_limit_of_this_service_is_not_said_to_be_discords() {
    let fused = find("antiraid_get_fused_member").unwrap();
    let users = KhronosValue::List((1..=11).map(|id| id.to_string().into()).collect());
    assert_eq!(decode(fused, vec![users]), "`user_ids` has 11 entries: expected 1 to 10");
    assert_eq!(fused.capability(), None);
}

#[test]
fn what_a_rule_with_null_takes_away_is_taken_away_by_an_empty_table() {
    let empty = || KhronosValue::Map(BTreeMap::new());
    let (mut nulls, all) = (0, fields());
    for (at, field) in &all {
        if matches!(field.rule, Rule::OrNull(_)) {
            let taken = super::super::validate::check(field.name, &field.rule, &empty());
            assert_eq!(taken, Ok(serde_json::Value::Null), "{at}");
            nulls += 1;
        }
    }
    assert!(nulls > 50, "{nulls}");
    let edit = [
        ("channel_id", "12".into()),
        ("target_id", "13".into()),
        ("allow", empty()),
        ("deny", 8.into()),
        ("type", 0.into()),
        ("reason", "r".into()),
    ];
    assert_eq!(
        decode(find("edit_channel_permissions").unwrap(), vec![edit.into()]),
        r#"{"allow":null,"channel_id":"12","deny":8,"reason":"r","target_id":"13","type":0}"#
    );
}

#[test]
fn nothing_that_leaves_its_part_of_a_path_is_taken_for_an_id_a_token_or_a_code() {
    let hostile = ["1/2", "..", "../1", "1%2f2", "1?x=1", "1#", "", "1 ", "1\0", "@me"];
    for method in ALL.iter() {
        let Work::Request(route) = method.work else { continue };
        for field in
            method.takes.fields.iter().filter(|field| route.path.contains(&format!("{{{}}}", field.name)))
        {
            for text in hostile {
                let taken = super::super::validate::check(field.name, &field.rule, &text.into());
                assert!(taken.is_err(), "{}.{} took {text:?}: {taken:?}", method.name, field.name);
            }
        }
    }
}

#[test]
fn an_id_is_a_snowflake_and_nothing_else() {
    for text in ["0", "-1", "01", "99999999999999999999", "18446744073709551615", "1e3", "0x1", "1.0", "１２"]
    {
        let rule = Rule::Id(Thing::Channel);
        assert!(super::super::validate::check("id", &rule, &text.into()).is_err(), "{text} was taken");
    }
}

/// Values with the names that methods know, so that they get far.
fn values() -> impl Strategy<Value = KhronosValue> {
    let names: Vec<&'static str> = fields().iter().map(|(_, field)| field.name).collect();
    let leaf = prop_oneof![
        Just(KhronosValue::Null),
        any::<bool>().prop_map(KhronosValue::Boolean),
        (-3_i64..4200).prop_map(KhronosValue::Integer),
        any::<f64>().prop_map(KhronosValue::Float),
        any::<u64>().prop_map(KhronosValue::UnsignedInteger),
        ".{0,12}".prop_map(KhronosValue::Text),
        "[1-9][0-9]{0,18}".prop_map(KhronosValue::Text),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(KhronosValue::Buffer),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        let name = proptest::sample::select(names.clone()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(KhronosValue::List),
            proptest::collection::btree_map(name, inner, 0..6).prop_map(KhronosValue::Map),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_method_is_called_with_it_takes_or_says_what_is_wrong(
        method in proptest::sample::select(ALL), arguments in proptest::collection::vec(values(), 0..4),
    ) {
        if let Err(invalid) = method.decode(arguments) {
            prop_assert!(!invalid.problem.is_empty() && invalid.to_string().len() < 2_000, "{invalid}");
        }
    }
}
