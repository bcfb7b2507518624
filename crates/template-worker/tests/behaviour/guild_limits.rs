//! Limits of one guild that differ from the service's: who sets them, what is refused, and from when on they count.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{GUILD, TestWorker, answer};

const OTHER: &str = "818880986845679758";

fn path(guild: &str) -> String {
    format!("/api/v1/guilds/{guild}/limits")
}

async fn set(worker: &TestWorker, overrides: &Value) -> Value {
    worker.put(&path(GUILD), overrides).await.expect(200)
}

#[tokio::test]
async fn a_guild_sees_its_limits_and_an_admin_sets_them() {
    let worker = TestWorker::start().await;
    let before = worker.get(&path(GUILD)).await.expect(200);
    assert_eq!((&before["overrides"], &before["effective"]["slice_ms"]), (&json!({}), &json!(2)));
    let overrides = json!({"max_cpu_time_ms": 300, "max_template_memory_usage": 3 << 20});
    let after = set(&worker, &overrides).await;
    assert_eq!((&after["overrides"], &after["effective"]["max_cpu_time_ms"]), (&overrides, &json!(300)));
    let token = worker.guild_token(GUILD, &["templates:read"]).await;
    let seen = answer(worker.request_as(&token, Method::GET, &path(GUILD))).await.expect(200);
    assert_eq!(seen, after);
    assert_eq!(worker.get(&path(OTHER)).await.expect(200), before, "another guild has the service's");
    let wish = worker.request_as(&token, Method::PUT, &path(GUILD)).json(&json!({"max_cpu_time_ms": 60_000}));
    answer(wish).await.problem(403, "admin_only");
    // A put sets all of them: what it leaves out is the service's again.
    let changed = set(&worker, &json!({"slice_ms": 1})).await;
    assert_eq!(changed["effective"]["max_cpu_time_ms"], before["effective"]["max_cpu_time_ms"]);
    assert_eq!(set(&worker, &json!({})).await, before);
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_and_change_nothing() {
    let worker = TestWorker::start().await;
    let before = set(&worker, &json!({"max_luau_threads": 50})).await;
    let cases = [
        (json!({"max_luau_thread": 5}), 400, "unknown_field", "did you mean `max_luau_threads`?"),
        (json!({"slice_ms": 1.5}), 400, "invalid_json", "slice_ms"),
        (json!({"slice_ms": null}), 400, "invalid_json", "slice_ms"),
        (json!([]), 400, "invalid_json", "JSON object"),
        (json!({"slice_ms": 0}), 422, "invalid_value", "use a value from 1 to 1000"),
        (json!({"max_template_memory_usage": u64::MAX}), 422, "invalid_value", "from 1048576 to"),
        (json!({"max_cpu_time_ms": 100}), 422, "invalid_value", "`max_non_yieldable_time_ms` is 250"),
        (json!({"max_executions_waiting": 1}), 422, "invalid_value", "use at least 36"),
        (json!({"max_vm_thread_stack_size": 2 << 20}), 422, "invalid_value", "one for all guilds"),
    ];
    for (body, status, code, text) in cases {
        let problem = worker.put(&path(GUILD), &body).await.problem(status, code);
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains(text)),
            "{body}: {problem:#}"
        );
    }
    assert_eq!(worker.get(&path(GUILD)).await.expect(200), before);
}

#[tokio::test]
async fn the_memory_limit_of_a_living_vm_changes_with_the_next_event() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "n = (n or 0) + 1 return {n, ctx == nil}").await.expect(201);
    let memory = async || {
        worker.event(GUILD, &json!({})).await;
        worker.get(&format!("/api/v1/guilds/{GUILD}/vm")).await.expect(200)["memory_limit"].clone()
    };
    assert_eq!(memory().await, 20 << 20);
    set(&worker, &json!({"max_template_memory_usage": 3 << 20})).await;
    assert_eq!(memory().await, 3 << 20);
    // What a guild may set by itself is bounded by its own limit.
    let actions = format!("/api/v1/guilds/{GUILD}/vm/actions");
    let wish = json!({"action": "set_memory_limit", "limit": 4 << 20});
    assert_eq!(worker.post(&actions, &wish).await.status, 422);
    set(&worker, &json!({})).await;
    assert_eq!(memory().await, 20 << 20);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"][0], 4, "it is still the same VM");
}

#[tokio::test]
async fn executions_that_start_from_then_on_have_the_new_limits() {
    let worker = TestWorker::start_with(|config| {
        config.limits.max_templates_execution_time_ms = 120_000;
        config.limits.max_templates_return_wait_time_ms = 60_000;
    })
    .await;
    for guild in [GUILD, OTHER] {
        let spin = "local e = ... local t = os.clock() while os.clock() - t < e.data.s do end return 'fine'";
        worker.template(guild, "spin", spin).await.expect(201);
        assert_eq!(worker.event(guild, &json!({"s": 0.01})).await["spin"]["value"], "fine");
    }
    set(&worker, &json!({"max_cpu_time_ms": 300, "max_event_bytes": 1024, "max_event_depth": 100})).await;
    let outcome = worker.event(GUILD, &json!({"s": 60})).await["spin"].clone();
    assert_eq!((&outcome["limit"], &outcome["value"]), (&json!("cpu_time"), &json!("300ms")), "{outcome:#}");
    assert_eq!(worker.event(OTHER, &json!({"s": 0.5})).await["spin"]["value"], "fine");

    let send = async |guild: &str, data: Value| {
        worker.dispatch(guild, &json!({"name": "MESSAGE_CREATE", "data": data})).await
    };
    let large = json!({"s": 0, "x": "x".repeat(1024)});
    send(GUILD, large.clone()).await.problem(413, "too_large");
    send(OTHER, large).await.expect(200);
    let deep = (0..98).fold(json!({"s": 0}), |inner, _| json!({"s": 0, "d": inner}));
    send(OTHER, deep.clone()).await.problem(400, "invalid_event");
    set(&worker, &json!({"max_event_depth": 100})).await;
    let results = send(GUILD, deep).await.expect(200)["results"].clone();
    assert_eq!(results["spin"]["value"], "fine", "a VM from before takes deeper events as well: {results:#}");
}

#[tokio::test]
async fn limits_of_the_vm_count_from_the_next_event_on_and_its_state_stays() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "n = (n or 0) + 1 return {{{{n}}}}").await.expect(201);
    let run = async || worker.event(GUILD, &json!({})).await["t"].take();
    assert_eq!(run().await["value"], json!([[[[1]]]]));
    set(&worker, &json!({"max_result_depth": 3})).await;
    let outcome = run().await;
    assert!(
        outcome["error"].as_str().is_some_and(|text| text.contains("deeper than 3 levels")),
        "{outcome:#}"
    );
    set(&worker, &json!({"max_luau_threads": 7})).await;
    assert_eq!(run().await["value"], json!([[[[3]]]]));
}

#[tokio::test]
async fn what_is_stored_and_admitted_keeps_to_the_guilds_own_limits() {
    let worker = TestWorker::start().await;
    set(
        &worker,
        &json!({
            "max_template_source": 1024, "max_templates_per_guild": 2,
            "max_executions_in_flight": 1, "max_executions_waiting": 1,
            "max_templates_return_wait_time_ms": 100,
        }),
    )
    .await;
    worker.template(GUILD, "large", &" ".repeat(1025)).await.problem(413, "too_large");
    worker.template(OTHER, "large", &" ".repeat(1025)).await.expect(201);
    worker.template(GUILD, "one", "task.wait(0.5) return 1").await.expect(201);
    worker.template(GUILD, "two", "return 2").await.expect(201);
    worker.template(GUILD, "three", "return 3").await.problem(422, "too_many_templates");
    let results = worker.event(GUILD, &json!({})).await;
    assert_eq!(results["one"]["status"], "timed_out", "{results:#}");
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    worker.dispatch(GUILD, &event).await.problem(429, "guild_busy");
}
