//! Templates that use too much, return what cannot be returned, or break their VM.

use serde_json::{Value, json};
use testkit::{Answer, GUILD, TestWorker};
use tokio::task::JoinHandle;

/// Sends an event and does not wait here for its outcomes.
fn spawn_event(worker: &TestWorker, data: Value) -> JoinHandle<Answer> {
    let body = json!({"name": "MESSAGE_CREATE", "data": data});
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    tokio::spawn(testkit::answer(worker.request(reqwest::Method::POST, &path).json(&body)))
}

#[tokio::test]
async fn misbehaving_templates_get_their_outcome_and_the_next_event_works() {
    let worker = TestWorker::start_with(|config| {
        config.limits.max_cpu_time_ms = 250;
        config.limits.max_non_yieldable_time_ms = 100;
    })
    .await;
    let cases = [
        ("throws", "error('on purpose')", "error"),
        ("throws-a-table", "error({code = 5})", "error"),
        ("deep", "local t = {} for i = 1, 10000 do t = {t} end return t", "error"),
        ("wide", "local t = {} for i = 1, 200000 do t[i] = i end return t", "error"),
        ("function", "return {f = print, n = 1}", "error"),
        (
            "memory",
            "local t = {} while true do t[#t + 1] = string.rep('x', 10000) .. #t end",
            "limit_exceeded",
        ),
        ("spin", "while true do end", "limit_exceeded"),
        ("spin-in-pcall", "while true do pcall(function() while true do end end) end", "limit_exceeded"),
        ("spin-in-sort", "table.sort({3, 2, 1}, function() while true do end end)", "limit_exceeded"),
        ("recursion", "local function f() return f() + 1 end return f()", "error"),
        ("yields", "coroutine.yield()", "error"),
    ];
    for (index, (name, source, status)) in cases.into_iter().enumerate() {
        let guild = (818_880_986_845_679_757 + index as u64).to_string();
        let source = format!("local event = ... if event.data.bad then {source} end return 'fine'");
        worker.template(&guild, name, &source).await.expect(201);
        assert_eq!(worker.event(&guild, &json!({})).await[name]["value"], "fine");
        let outcome = &worker.event(&guild, &json!({"bad": true})).await[name];
        assert_eq!(outcome["status"], status, "{name}: {outcome:#}");
        assert!(outcome["error"].as_str().is_some_and(|text| text.len() > 5), "{name}: {outcome:#}");
        assert_eq!(worker.event(&guild, &json!({})).await[name]["value"], "fine", "{name}: after it");
    }
}

#[tokio::test]
async fn nan_is_null_and_a_limit_says_its_name_and_value() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "nan", "return 0/0").await.expect(201);
    worker.template(GUILD, "hog", "local t = {} while true do t[#t + 1] = {} end").await.expect(201);
    let results = worker.event(GUILD, &json!({})).await;
    let hog = &results["hog"];
    assert_eq!((&hog["limit"], &hog["value"]), (&json!("memory"), &json!("20971520B")), "{hog}");
    // Both ran in one VM: whichever way they were interleaved, nan has one answer.
    assert!(results["nan"]["status"] == "ok" || results["nan"]["status"] == "vm_broken", "{results}");
    worker.delete(&format!("/api/v1/guilds/{GUILD}/templates/hog")).await.expect(204);
    let results = worker.event(GUILD, &json!({})).await;
    assert_eq!((&results["nan"]["status"], &results["nan"]["value"]), (&json!("ok"), &json!(null)));
}

#[tokio::test]
async fn what_waits_behind_a_template_that_breaks_the_vm_runs_in_the_next_one() {
    let worker = TestWorker::start_with(|config| config.limits.max_executions_in_flight = 1).await;
    let source = "local e = ... if e.data.bad then task.wait(0.2) local t = {} while true do t[#t + 1] = {} end end return 'fine'";
    worker.template(GUILD, "t", source).await.expect(201);
    let send = |data| spawn_event(&worker, data);
    let bad = send(json!({"bad": true}));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let good: Vec<_> = (0..5).map(|_| send(json!({}))).collect();
    assert_eq!(bad.await.unwrap().expect(200)["results"]["t"]["limit"], "memory");
    for answer in good {
        assert_eq!(answer.await.unwrap().expect(200)["results"]["t"]["value"], "fine");
    }
}

#[tokio::test]
async fn an_event_that_waited_gets_its_own_data_also_in_the_next_vm() {
    let worker = TestWorker::start_with(|config| config.limits.max_executions_in_flight = 2).await;
    let source = "local e = ... if e.data.bad then task.wait(1) local t = {} while true do t[#t + 1] = {} end end \
                  task.wait(0.3) return e.data.n";
    worker.template(GUILD, "t", source).await.expect(201);
    let send = |data| spawn_event(&worker, data);
    let bad = send(json!({"bad": true}));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let rest: Vec<_> = (1..=8).map(|n| (n, send(json!({"n": n})))).collect();
    assert_eq!(bad.await.unwrap().expect(200)["results"]["t"]["limit"], "memory");
    let (mut right, mut broken) = (0, 0);
    for (n, answer) in rest {
        let outcome = answer.await.unwrap().expect(200)["results"]["t"].clone();
        match outcome["status"].as_str() {
            Some("ok") if outcome["value"] == n => right += 1,
            Some("vm_broken") => broken += 1,
            _ => panic!("event {n}: {outcome:#}"),
        }
    }
    // One ran beside the bad one and broke with it; those that waited ran in the next VM.
    assert_eq!((right, broken), (7, 1));
}
