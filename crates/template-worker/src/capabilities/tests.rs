//! Claims about capabilities: what is one, what covers what, and that nothing widens.

use proptest::prelude::*;

use super::closed_list::CLOSED_LIST;
use super::*;

fn set(patterns: &[&str]) -> Capabilities {
    patterns.iter().map(|pattern| pattern.parse::<Capability>().unwrap()).collect()
}

fn error_of(text: &str) -> String {
    text.parse::<Capability>().unwrap_err().to_string()
}

#[test]
fn every_form_of_the_closed_list_is_accepted() {
    for entry in CLOSED_LIST {
        let filled = entry
            .form
            .replace("{scope}", "greetings")
            .replace("{op}", if entry.form.starts_with("kv") { "get" } else { "upload_file" })
            .replace("{key}", "a:b c")
            .replace("{Store}", "TemplateStore")
            .replace("{host}", "api.example.com")
            .replace("{name}", "API_KEY")
            .replace("{method}", if entry.form.starts_with("discord") { "create_message" } else { "list" });
        assert!(filled.parse::<Capability>().is_ok(), "{}: {:?}", entry.form, filled.parse::<Capability>());
    }
}

#[test]
fn what_is_not_on_the_list_is_refused() {
    for text in [
        "",
        ":",
        "kv",
        "kv:",
        "kv:get",
        "kv:eat:*",
        "kv:g*:x",
        "kv:*:x",
        "kv:get:fo*",
        "kv:get:*x",
        "kv:get:**",
        "kv[]:get",
        "kv[a:get",
        "kv[a]get",
        "kv[a[b]:get",
        "kv[*]:get",
        "kv.meta[a]:id_ops",
        "discord",
        "discord:drop_guild",
        "discord[a]:get_guild",
        "datastore:Nope",
        "datastore:StatsStore:list",
        "objectstorage:rm",
        "http:https://a.b",
        "http:A.example",
        "http:a:80",
        "http:*.example.com",
        "http:-a.b",
        "captcha:*:*",
        "events:listen",
        "schedule:daily",
        "**",
        "* ",
        "kv:get:a\nb",
        &format!("kv:get:{}", "x".repeat(800)),
    ] {
        assert!(text.parse::<Capability>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn the_error_names_the_nearest_known_capability() {
    for (text, wanted) in [
        ("discord:create_mesage", "did you mean `discord:create_message`?"),
        ("kv:gett:greeting", "did you mean `kv:get:greeting`?"),
        ("kv[a]:sett:x", "did you mean `kv[a]:set:x`?"),
        ("kv:get", "did you mean `kv:get:*`?"),
        ("discrod:get_guild", "did you mean `discord:get_guild`?"),
        ("datastore:TemplatStore:lst", "did you mean `datastore:TemplateStore:list`?"),
        ("captcha:make", "did you mean `captcha:create`?"),
        ("schedule:daily", "there is only `schedule:*`; there are `schedule:*`"),
        ("kvv:*", "did you mean `kv:*`?"),
        ("kv.meta[a]:key", "did you mean `kv.meta[a]:keys`?"),
        ("secret:foo", "did you mean `secrets:foo`?"),
        ("http:API.example.com", "did you mean `http:api.example.com`?"),
    ] {
        assert!(error_of(text).ends_with(wanted), "{text} gave {}", error_of(text));
    }
}

#[test]
fn nothing_wider_than_what_was_written_is_ever_suggested() {
    for text in [
        "",
        "**",
        "kv",
        "kv:",
        "kv[]:*",
        "kv[a",
        "kv[*]:*",
        "kv[a]",
        "bananas",
        "discord[a]:get_guild",
        "secrets:",
        "secret",
        "datastore:TemplateStore:frobnicate",
        "schedule:daily",
        "http",
        "1.2.3.4",
    ] {
        let error = text.parse::<Capability>().unwrap_err();
        assert_eq!(error.suggestion(), None, "{text:?} gave {error}");
        let shown = error.to_string();
        assert!(
            shown.contains("; there are `") || shown.contains("; a capability begins with one of `"),
            "{shown}"
        );
    }
    assert!(error_of("datastore:Nope").contains("`datastore:{Store}`, `datastore:{Store}:{method}`"));
    assert!(error_of("bananas").contains("`kv`, `kv.meta`, `discord`"), "{}", error_of("bananas"));
}

#[test]
fn an_address_cannot_be_requested_so_there_is_no_capability_for_it() {
    for address in ["1.2.3.4", "127.1", "80", "0x7f000001", "example.1"] {
        let shown = error_of(&format!("http:{address}"));
        assert!(shown.contains("by their names") && !shown.contains("did you mean"), "{shown}");
    }
    assert!("http:1.2.3.example".parse::<Capability>().is_ok());
}

#[test]
fn a_pattern_covers_what_is_under_it_and_nothing_else() {
    let covered = [
        ("*", "anything:at:all"),
        ("kv:*", "kv:get:x"),
        ("kv:*", "kv:get:*"),
        ("kv:*", "kv[a]:get:x"),
        ("kv:get:*", "kv:get:x:y"),
        ("kv:get:x", "kv:get:x"),
        ("kv:get:x", "kv[a]:get:x"),
        ("kv:get:x:y", "kv:get:x:y"),
        ("kv[a]:*", "kv[a]:set:x"),
        ("kv[a]:get", "kv[a]:get:x"),
        ("kv[a]:get:x", "kv[a]:get:x"),
        ("kv.meta:keys", "kv.meta[a]:keys"),
        ("datastore:TemplateStore", "datastore:TemplateStore:list"),
        ("datastore:TemplateStore:*", "datastore:TemplateStore:list"),
        ("discord:*", "discord:create_message"),
        ("http:*", "http:example.com"),
    ];
    for (held, wanted) in covered {
        assert!(set(&[held]).allows(wanted), "{held} must cover {wanted}");
    }
    let refused = [
        ("kv:*", "kv.meta:keys"),
        ("kv:*", "kv"),
        ("kv:*", "kvx:get:x"),
        ("kv:*", "discord:get_guild"),
        ("kv:get:*", "kv:set:x"),
        ("kv:get:*", "kv:get"),
        ("kv:get:*", "kv:*"),
        ("kv:get:x", "kv:get:*"),
        ("kv:get:x", "kv:get:xy"),
        ("kv:get:x", "kv:get:x:y"),
        ("kv[a]:*", "kv:get:x"),
        ("kv[a]:*", "kv[b]:get:x"),
        ("kv[a]:*", "kv[a"),
        ("kv[a]:get", "kv[a]:getrecord:x"),
        ("kv[a]:get", "kv:get:x"),
        ("datastore:TemplateStore:list", "datastore:TemplateStore"),
        ("http:example.com", "http:api.example.com"),
        ("http:example.com", "http:example.com.evil.net"),
        ("discord:get_guild", "*"),
        ("discord:*", "*"),
        ("captcha:create", ""),
    ];
    for (held, wanted) in refused {
        assert!(!set(&[held]).allows(wanted), "{held} must not cover {wanted}");
    }
    assert!(!Capabilities::default().allows("kv:get:x"));
}

#[test]
fn a_scope_or_key_with_brackets_and_colons_never_borrows_another_scope() {
    // A template may name its scope or its key anything; the text that is compared is put together from them.
    let scopes = ["a]:get:x", "a]:*", "b]:get:[a", "[a", "a]", "a:b"];
    for scope in scopes {
        let wanted = format!("kv[{scope}]:set:secret");
        for held in ["kv[a]:*", "kv[a]:get", "kv[a]:get:x", "kv[b]:*"] {
            assert!(!set(&[held]).allows(&wanted), "{held} must not cover {wanted}");
        }
        assert!(set(&["kv:*"]).allows(&wanted), "every scope is covered, also {wanted}");
        assert!(!set(&["kv:set:*"]).allows(&wanted), "{wanted} may also be a get");
    }
    assert!(set(&["kv[a]:get"]).allows("kv[a]:get:[x] ]"));
}

#[test]
fn nothing_ever_widens() {
    // Whatever one pattern covers of another, it covers all that the other covers.
    let patterns = [
        "*",
        "kv:*",
        "kv:get:*",
        "kv:get:x",
        "kv:get:x:y",
        "kv:set:*",
        "kv[a]:*",
        "kv[a]:get",
        "kv[a]:get:*",
        "kv[a]:get:x",
        "kv[b]:get:x",
        "kv.meta:*",
        "kv.meta:keys",
        "kv.meta[a]:keys",
        "discord:*",
        "discord:get_guild",
        "datastore:*",
        "datastore:StatsStore",
        "datastore:StatsStore:*",
        "datastore:StatsStore:stats",
        "http:*",
        "http:a.b",
        "schedule:*",
    ];
    let capabilities: Vec<Capability> = patterns.iter().map(|text| text.parse().unwrap()).collect();
    for outer in &capabilities {
        for inner in capabilities.iter().filter(|inner| outer.covers(inner.as_str())) {
            for wanted in patterns.iter().filter(|wanted| inner.covers(wanted)) {
                assert!(outer.covers(wanted), "{outer} hands out {inner}, which covers {wanted}");
            }
        }
    }
}

/// Texts that look like capabilities, legal or not: what a template may name, or ask for.
fn texts() -> impl Strategy<Value = String> {
    let part = || {
        prop::sample::select(vec!["a", "x", "get", "set", "*", "]", "[", "a:b", "]:", "stats", "list", ""])
    };
    let family =
        prop::sample::select(vec!["kv", "kv.meta", "discord", "datastore", "http", "captcha", "*", ""]);
    (family, prop::option::of(part()), prop::collection::vec(part(), 0..4)).prop_map(
        |(family, scope, rest)| {
            let scope = scope.map(|scope| format!("[{scope}]")).unwrap_or_default();
            rest.iter().fold(format!("{family}{scope}"), |text, part| format!("{text}:{part}"))
        },
    )
}

#[test]
fn of_two_sets_that_is_left_which_both_cover() {
    let within = |own: &[&str], most: &[&str]| -> Vec<String> {
        set(own).within(&set(most)).iter().map(ToString::to_string).collect()
    };
    assert_eq!(within(&["*"], &["kv:*", "discord:get_guild"]), ["discord:get_guild", "kv:*"]);
    assert_eq!(within(&["kv:get:*", "http:a.b"], &["kv:*"]), ["kv:get:*"]);
    assert_eq!(within(&["kv:get:*"], &["kv[a]:*"]), [""; 0]);
    assert_eq!(within(&[], &["*"]), [""; 0]);
    assert_eq!(within(&["discord:*"], &["*"]), ["discord:*"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    /// What `withlimits` does: each of the new capabilities has to be covered by one that is held. Whatever is asked of the
    /// new set, it never says yes where the old one says no.
    #[test]
    fn limiting_a_context_never_widens_it(
        held in prop::collection::vec(texts(), 0..6),
        wanted in prop::collection::vec(texts(), 0..6),
        asked in prop::collection::vec(texts(), 1..24),
    ) {
        let legal = |texts: Vec<String>| texts.into_iter().filter_map(|text| text.parse::<Capability>().ok());
        let held: Capabilities = legal(held).collect();
        let limited: Capabilities = legal(wanted.clone()).filter(|wanted| held.allows(wanted.as_str())).collect();
        for asked in asked.iter().chain(&wanted) {
            prop_assert!(
                !limited.allows(asked) || held.allows(asked),
                "{held:?} was limited to {limited:?}, which allows {asked}"
            );
            let within = held.within(&limited);
            prop_assert!(
                !within.allows(asked) || (held.allows(asked) && limited.allows(asked)),
                "{held:?} within {limited:?} is {within:?}, which allows {asked}"
            );
        }
    }
}
