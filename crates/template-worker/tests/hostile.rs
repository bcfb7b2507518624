//! The hostile templates of `khronos`, through the service, each beside an innocent guild on the same thread.
//!
//! Owns what the service adds to the verdicts: the neighbour gets every answer, and none of its events waits longer than two
//! slices; the hostile guild's next event works, in a new VM where the old one broke. The cases and what has to come of them
//! are in `crates/khronos/tests/hostile`. Those with limits of their own, and those that need the runner's own `ctx` or its
//! clock, run there only.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

#[path = "../../khronos/tests/hostile/case.rs"]
mod case;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use case::{Case, Expected, Limits};
use serde_json::{Value, json};
use template_worker::ids::GuildId;
use testkit::TestWorker;

const HOSTILE: &str = "818880986845679757";
const NEIGHBOUR: &str = "818880986845679758";

/// The slice that runs when its event arrives, and the one that the only neighbour has before it in the next round.
const MOST_SLICES: u64 = 2;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../khronos/tests/hostile")
}

/// A test a folder, so that they run side by side, each with a service of one thread.
macro_rules! folders {
    ($($folder:ident)*) => {
        $(#[tokio::test] async fn $folder() { run_all(stringify!($folder)).await; })*
        const FOLDERS: &[&str] = &[$(stringify!($folder)),*];
    };
}

folders!(costs crashes ends hangs memory recursion secrets);

#[test]
fn every_folder_is_a_test() {
    for name in case::names(&folder()) {
        assert!(
            FOLDERS.iter().any(|folder| name.starts_with(&format!("{folder}/"))),
            "{name} is in none of them"
        );
    }
}

async fn run_all(group: &str) {
    let limits = Limits::default();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let worker = TestWorker::start_with(|config| {
        config.vm.threads = 1;
        config.limits.max_cpu_time_ms = millis(limits.cpu);
        config.limits.max_non_yieldable_time_ms = millis(limits.non_yieldable);
        config.limits.max_template_memory_usage = limits.memory;
        config.limits.max_luau_threads = limits.threads;
    })
    .await;
    worker.template(NEIGHBOUR, "quick", "return 'here'").await.expect(201);
    let mut ran = 0;
    for name in case::names(&folder()).iter().filter(|name| name.starts_with(&format!("{group}/"))) {
        let case = Case::read(&folder(), name);
        if case.needs.is_empty() && case.has_usual_limits {
            run(&worker, &case).await;
            ran += 1;
        }
    }
    assert!(ran > 0, "there is nothing in {group} that the service can run");
}

async fn run(worker: &TestWorker, case: &Case) {
    let name = &case.name;
    let files: Vec<_> = case.files.iter().map(|(path, source)| (&**path, &**source)).collect();
    let stored = worker.template_of(HOSTILE, "hostile", &files).await;
    if stored.status == 422 {
        let seen = Expected::DoesNotCompile(stored.problem(422, "does_not_compile").to_string());
        return assert!(case.expected.iter().any(|expected| expected.allows(&seen)), "{name}: {seen:?}");
    }
    assert!(stored.status.is_success(), "{name}: {stored:?}");
    for _ in 0..case.repeat {
        let over = Cell::new(false);
        let hostile = async {
            let outcome = worker.event(HOSTILE, &event()).await["hostile"].take();
            over.set(true);
            outcome
        };
        let (outcome, ()) = tokio::join!(hostile, neighbour(worker, case, &over));
        let seen = see(&outcome);
        assert!(case.expected.iter().any(|expected| expected.allows(&seen)), "{name}: {outcome:#}");
        if seen.breaks_the_vm() {
            let status = worker.get(&format!("/api/v1/guilds/{HOSTILE}/vm")).await.expect(200);
            assert_eq!(status["state"], "absent", "{name}: the broken VM is gone");
        }
    }
    worker.template(HOSTILE, "hostile", "return 'plain'").await.expect(200);
    let next = worker.event(HOSTILE, &event()).await;
    // What the case left behind may still break the VM under it; the one after that has a new one.
    if next["hostile"]["status"] == "vm_broken" {
        assert_eq!(
            worker.event(HOSTILE, &event()).await["hostile"]["value"],
            "plain",
            "{name}: the next event but one"
        );
    } else {
        assert_eq!(next["hostile"]["value"], "plain", "{name}: the next event: {next:#}");
    }
    worker.delete(&format!("/api/v1/guilds/{HOSTILE}/vm")).await.expect(204);
    worker.delete(&format!("/api/v1/guilds/{HOSTILE}/templates/hostile")).await.expect(204);
}

/// Events of the innocent guild until the hostile one's is over, and some after that.
async fn neighbour(worker: &TestWorker, case: &Case, over: &Cell<bool>) {
    let guild: GuildId = NEIGHBOUR.parse().unwrap();
    let mut left = 3;
    while left > 0 {
        let outcome = worker.event(NEIGHBOUR, &event()).await["quick"].take();
        assert_eq!(outcome["value"], "here", "{}: the neighbour got {outcome:#}", case.name);
        let waited = worker.app().dispatcher.vm_status(guild).await.unwrap().longest_wait;
        assert!(waited <= MOST_SLICES, "{}: an event of the neighbour waited for {waited} slices", case.name);
        left -= i32::from(over.get());
    }
}

fn event() -> Value {
    json!({"text": "hello", "list": [1, 2, 3], "none": []})
}

fn see(outcome: &Value) -> Expected {
    let text = |key: &str| outcome[key].as_str().unwrap_or_default().to_owned();
    match outcome["status"].as_str() {
        Some("ok") => Expected::Returns(outcome["value"].clone()),
        Some("error") => Expected::Error(text("error")),
        Some("limit_exceeded") => Expected::LimitExceeded(text("limit")),
        _ => Expected::Broken(outcome.to_string()),
    }
}
