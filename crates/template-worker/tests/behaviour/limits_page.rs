//! The pages about limits say what the program does: every limit with its key, its default, its bounds and its metric, and
//! no others; and every fixed limit.

use std::collections::BTreeSet;

use template_worker::host::calls::HostCall;
use template_worker::limits::{Limit, Limits};
use template_worker::storage::kv;
use template_worker::{api, capabilities, dispatch, events, host, storage, template};

const PAGE: &str = include_str!("../../../../docs/limits.md");
const AUTHORS: &str = include_str!("../../../../docs/quick-start-author.md");

/// The cells of the rows of all tables in `page` that have so many.
fn rows(page: &str, cells: usize) -> Vec<Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows = rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| row.len() == cells).collect()
}

fn is_code<'a>(cell: &&'a str) -> Option<&'a str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// A value as people write it.
fn written(limit: Limit, value: u64) -> String {
    let key = limit.key();
    let units: &[(u64, &str)] = if key.ends_with("_ms") {
        &[(120_000, "min"), (1_000, "s"), (1, "ms")]
    } else if key.ends_with("_bytes") || ["memory", "stack", "template_source"].contains(&limit.name()) {
        &[(1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")]
    } else {
        &[]
    };
    match units.iter().find(|(size, _)| value.is_multiple_of(*size)) {
        Some((120_000, unit)) => format!("{} {unit}", value / 60_000),
        Some((size, unit)) => format!("{} {unit}", value / size),
        None => {
            let digits = value.to_string();
            let (head, tail) = digits.split_at(digits.len().saturating_sub(3));
            if head.is_empty() { tail.to_owned() } else { format!("{head},{tail}") }
        }
    }
}

#[test]
fn every_limit_stands_on_its_page_as_it_is() {
    let defaults = Limits::default();
    let own: BTreeSet<&str> = Limits::of_a_guild().map(|setting| setting.key).collect();
    let rows: Vec<_> = rows(PAGE, 8).into_iter().filter(|row| is_code(&row[0]).is_some()).collect();
    let mut described = BTreeSet::new();
    for row in &rows {
        let limit = Limit::ALL.iter().copied().find(|limit| Some(limit.key()) == is_code(&row[1]));
        let limit = limit.unwrap_or_else(|| panic!("no limit has the key {}", row[1]));
        let setting = Limits::SETTINGS.iter().find(|setting| setting.key == limit.key()).unwrap();
        assert_eq!(is_code(&row[0]), Some(&*limit.field_name()));
        let value = limit.value(&defaults);
        let plain = value.to_string();
        let with_unit = format!("{value} ({})", written(limit, value));
        assert!(
            row[2] == plain || row[2] == with_unit,
            "{limit:?}: the default is {with_unit}, not {}",
            row[2]
        );
        let (least, most) = setting.within.unwrap();
        assert_eq!(row[3], format!("{least} to {most}"), "{limit:?}");
        assert_eq!(row[4] != "no", own.contains(limit.key()), "{limit:?}: a guild's own");
        assert_eq!(is_code(&row[6]), Some(limit.name()));
        assert!(row[5].len() > 20 && row[7].len() > 5, "{limit:?}: {row:?}");
        assert!(described.insert(limit), "{limit:?} stands there twice");
    }
    assert_eq!(described, Limit::ALL.iter().copied().collect(), "one line for each");
}

#[test]
fn the_authors_page_has_the_same_defaults_and_the_way_to_the_rest() {
    assert!(AUTHORS.contains("](limits.md)"));
    let defaults = Limits::default();
    let mut seen = 0;
    for row in rows(AUTHORS, 3) {
        let Some(name) = is_code(&row[0]).filter(|name| name.starts_with("MAX_")) else { continue };
        let limit = Limit::ALL.iter().copied().find(|limit| limit.field_name() == name);
        let limit = limit.unwrap_or_else(|| panic!("{name} is no limit"));
        assert_eq!(row[1], written(limit, limit.value(&defaults)), "{name}");
        seen += 1;
    }
    // What an author never meets is left out there.
    let unseen = [Limit::Slice, Limit::Stack];
    assert_eq!(seen + unseen.len(), Limit::ALL.len());
}

#[test]
fn every_rate_of_a_call_stands_on_its_page_once() {
    let rates = rows(PAGE, 4).into_iter().filter(|row| is_code(&row[0]).is_some());
    let rates: Vec<_> =
        rates.map(|row| [is_code(&row[0]).unwrap(), row[2], row[3]].map(str::to_owned)).collect();
    let calls = HostCall::families().iter().flat_map(|family| family.calls);
    let declared = calls.flat_map(|call| call.buckets).map(|bucket| {
        let every = match bucket.every_ms {
            ms if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
            ms => format!("{ms} ms"),
        };
        [bucket.name.to_owned(), bucket.burst.to_string(), every]
    });
    let on_page: BTreeSet<_> = rates.iter().cloned().collect();
    assert_eq!(on_page, declared.collect());
    assert_eq!(on_page.len(), rates.len(), "one stands there twice");
    assert!(PAGE.contains("`rate_limits = false` in `[templates]`"));
}

#[test]
fn the_rate_of_discord_names_all_calls_that_do_not_count_against_it() {
    let row = rows(PAGE, 4).into_iter().find(|row| is_code(&row[0]) == Some("discord")).unwrap();
    let (_, named) = row[1].split_once(" but ").unwrap();
    let named: BTreeSet<&str> = named.split('`').skip(1).step_by(2).collect();
    let discord = HostCall::families().iter().find(|family| family.object == "Discord").unwrap();
    let counts = |call: &&host::calls::Declared| call.buckets.iter().any(|bucket| bucket.name == "discord");
    let uncounted = discord.calls.iter().filter(|call| !counts(call)).map(|call| call.function.name);
    assert_eq!(named, uncounted.collect());
}

#[test]
fn every_fixed_limit_is_what_the_page_says() {
    let known = [
        ("files of a template", khronos::MAX_FILES),
        ("bytes of a file's path", khronos::MAX_PATH_BYTES),
        ("bytes of a template's name", template::MAX_NAME_BYTES),
        ("events that a template listens to", template::MAX_EVENTS),
        ("capabilities of a template", template::MAX_CAPABILITIES),
        ("bytes of a capability", capabilities::MAX_CAPABILITY_BYTES),
        ("bytes of a template's description", template::MAX_DESCRIPTION_BYTES),
        ("versions of a template that are kept", storage::KEPT_VERSIONS as usize),
        (
            "bytes of all versions of a guild's templates that are kept beside the current ones",
            storage::KEPT_VERSION_BYTES as usize,
        ),
        ("bytes of an event's name", events::MAX_NAME_BYTES),
        ("scopes of an event", events::MAX_SCOPES),
        ("bytes of a scope", events::MAX_SCOPE_BYTES),
        ("values in the data of an event", dispatch::MOST_VALUES),
        ("bytes of a log line; the rest is cut", khronos::MAX_LOG_LINE),
        ("actions on a guild's VM that wait for their answers", dispatch::MOST_ACTIONS),
        ("templates of a guild that are put at the same time", api::MOST_PUTS),
        ("scopes of a key", events::MAX_SCOPES),
        ("operations of a `KV.batch`", kv::MOST_BATCH_OPS),
        ("bytes of keys and values in a `KV.batch`", kv::MOST_BATCH_BYTES),
        ("changes of a guild's keys that wait to be stored", kv::MOST_WAITING),
        ("records that one `KV.find` returns", kv::MOST_FOUND),
        ("bytes of records after which a `KV.find` ends early", kv::MOST_FOUND_BYTES),
        ("keys that one `KV.find` or `KV.keys` looks at", kv::MOST_EXAMINED),
        (
            "keys that one `KV.list_scopes` looks at: of each set of scopes the first, and what has expired before it",
            kv::MOST_SCOPE_SETS,
        ),
        ("`%` in the query of a `KV.find`", kv::MOST_WILDCARDS),
        ("bytes of a URL that is requested", host::http::MOST_URL_BYTES),
        ("bytes of the key of an object", host::objects::MOST_KEY_BYTES),
        ("objects of one list", host::objects::MOST_LISTED as usize),
        ("bytes of a guild's objects that wait to be stored", host::objects::MOST_WAITING_BYTES),
        ("secrets of a guild", host::secrets::MOST_SECRETS),
        ("hosts that a secret is for", host::secrets::MOST_HOSTS),
    ];
    let rows = rows(PAGE, 2);
    for (what, most) in known {
        let row = rows.iter().find(|row| row[0] == what);
        assert_eq!(row.map(|row| row[1]), Some(&*most.to_string()), "{what}");
    }
    let numbers = rows.iter().filter(|row| row[1].bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(numbers.count(), known.len(), "the page has one that this test does not know");
}
