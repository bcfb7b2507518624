//! Events, and what comes back.

use serde_json::{Value, json};
use testkit::{GUILD, TestWorker};

#[tokio::test]
async fn a_template_answers_an_event() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "greet", "local event = ... return 'hello ' .. event.data.who").await.expect(201);
    let results = worker.event(GUILD, &json!({"who": "world"})).await;
    assert_eq!(
        (&results["greet"]["status"], &results["greet"]["value"]),
        (&json!("ok"), &json!("hello world"))
    );
    assert!(results["greet"]["duration_us"].is_u64() && results["greet"]["cpu_us"].is_u64(), "{results}");
}

#[tokio::test]
async fn an_event_that_nobody_listens_to_makes_no_vm() {
    let worker = TestWorker::start().await;
    let body = json!({"files": {"init.luau": "return 1"}, "events": ["GUILD_BAN_ADD"], "capabilities": []});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/bans"), &body).await.expect(201);
    assert_eq!(worker.event(GUILD, &json!({})).await, json!({}));
    let status = worker.get(&format!("/api/v1/guilds/{GUILD}/vm")).await.expect(200);
    assert_eq!(status["state"], "absent");
    assert_eq!(worker.app().shared.vms.count(), 0);
}

#[tokio::test]
async fn every_template_that_listens_gets_the_event_and_its_own_outcome() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "a", "return 1").await.expect(201);
    worker.template(GUILD, "b", "error('broken')").await.expect(201);
    worker.template(GUILD, "c", "return (...).name, (...).base_name").await.expect(201);
    let body = json!({"files": {"init.luau": "return 1"}, "events": ["MESSAGE"], "capabilities": [], "paused": true});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/paused"), &body).await.expect(201);
    let results = worker.event(GUILD, &json!({})).await;
    assert_eq!(results["a"]["value"], 1);
    assert_eq!(results["b"]["error"], "init.luau:1: broken");
    assert_eq!(results["b"]["traceback"], "init.luau:1");
    assert_eq!(results["c"]["value"], json!(["MESSAGE_CREATE", "Discord"]));
    assert_eq!(results.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn a_handler_may_have_the_old_name_of_a_message() {
    let worker = TestWorker::start().await;
    let old = "return {MESSAGE = function(event) return {'old', event.name} end, ['*'] = function() return 'rest' end}";
    worker.template(GUILD, "old", old).await.expect(201);
    let both = "return {MESSAGE = function() return 'old' end, MESSAGE_CREATE = function() return 'new' end}";
    worker.template(GUILD, "both", both).await.expect(201);
    worker.template(GUILD, "mixed", "return {MESSAGE = print, id = 5}").await.expect(201);
    for _ in 0..2 {
        let results = worker.event(GUILD, &json!({})).await;
        assert_eq!(results["old"]["value"], json!(["old", "MESSAGE_CREATE"]));
        assert_eq!(results["both"]["value"], "new");
        let error = results["mixed"]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("the entry id of the returned table is a number"), "{results}");
    }
}

#[tokio::test]
async fn an_event_of_another_guild_is_refused_whoever_sends_it() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "return 1").await.expect(201);
    let send =
        async |name: &str, data: Value| worker.dispatch(GUILD, &json!({"name": name, "data": data})).await;
    for (name, data) in [
        ("MESSAGE_CREATE", json!({"guild_id": "1", "content": "hi"})),
        ("MESSAGE", json!({"guild_id": 1})),
        ("GUILD_UPDATE", json!({"id": "1"})),
        ("GUILD_DELETE", json!({"id": "1"})),
    ] {
        let problem = send(name, data).await.problem(422, "invalid_value");
        assert!(
            problem["detail"].as_str().is_some_and(|text| text.contains("is 1, and the guild of the URL")),
            "{problem}"
        );
    }
    for data in
        [json!({"guild_id": GUILD}), json!({"guild_id": null}), json!({}), json!([]), json!("guild_id")]
    {
        assert_eq!(send("MESSAGE_CREATE", data).await.expect(200)["results"]["t"]["value"], 1);
    }
    let token = worker.guild_token(GUILD, &["events:dispatch"]).await;
    let path = format!("/api/v1/guilds/{GUILD}/events");
    let request = worker.request_as(&token, reqwest::Method::POST, &path);
    let event = json!({"name": "MESSAGE_CREATE", "data": {"guild_id": "1"}});
    testkit::answer(request.json(&event)).await.problem(422, "invalid_value");
}

#[tokio::test]
async fn a_guild_that_the_bot_left_loses_its_vm_and_an_outage_changes_nothing() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "n = (n or 0) + 1 return n").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let send = async |name: &str, data: Value| {
        let answer = worker.post(&path, &json!({"name": name, "data": data, "id": "e-1"})).await.expect(200);
        assert_eq!(answer, json!({"event_id": "e-1", "results": {}}), "{name}");
    };
    let state = async || {
        worker.get(&format!("/api/v1/guilds/{GUILD}/vm")).await.expect(200)["state"].as_str().unwrap()
            != "absent"
    };
    let _ = worker.event(GUILD, &json!({})).await;
    send("GUILD_CREATE", json!({"id": GUILD, "name": "g", "large": "x".repeat(1_500_000)})).await;
    send("GUILD_DELETE", json!({"id": GUILD, "unavailable": true})).await;
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 2);
    assert!(state().await);
    send("GUILD_DELETE", json!({"id": GUILD})).await;
    assert!(!state().await);
    send("GUILD_DELETE", json!({"id": GUILD})).await;
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 1);

    // Neither the word of a guild, nor to be listened to.
    let token = worker.guild_token(GUILD, &["events:dispatch", "templates:write"]).await;
    for name in ["GUILD_CREATE", "GUILD_DELETE"] {
        let request = worker.request_as(&token, reqwest::Method::POST, &path);
        testkit::answer(request.json(&json!({"name": name, "data": {"id": GUILD}})))
            .await
            .problem(422, "unknown_event");
        let body = json!({"files": {"init.luau": "return 1"}, "events": [name], "capabilities": []});
        worker.put(&format!("/api/v1/guilds/{GUILD}/templates/u"), &body).await.problem(422, "unknown_event");
    }
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 2);
}

#[tokio::test]
async fn the_context_says_who_and_what_and_cannot_be_changed() {
    let worker = TestWorker::start().await;
    let source = r#"
        local event, ctx = ...
        ctx.store.seen = (ctx.store.seen or 0) + 1
        local writes = {pcall(function() ctx.store = {} end), pcall(function() ctx.data.name = "x" end),
            pcall(function() ctx.allowed_caps[1] = "*" end), pcall(function() ctx.log.info = print end)}
        return {
            type = typeof(ctx), text = tostring(ctx), guild = ctx.guild_id, name = ctx.template_name, seen = ctx.store.seen,
            description = ctx.data.description, listens = ctx.data.events, memory = ctx.memory_limit,
            may = ctx.has_cap("kv:get:x"), may_not = ctx.has_cap("discord:create_message"),
            any = ctx.has_any_cap({"discord:create_message", "kv:set:y"}), none = ctx.has_any_cap({}),
            refused = not (writes[1] or writes[2] or writes[3] or writes[4]), meta = getmetatable(ctx), unknown = ctx.nothing == nil,
        }
    "#;
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["kv:*"], "description": "d"});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/ctx"), &body).await.expect(201);
    worker.event(GUILD, &json!({})).await;
    let value = &worker.event(GUILD, &json!({})).await["ctx"]["value"];
    let want = json!({
        "type": "TemplateContext", "text": "TemplateContext", "guild": GUILD, "name": "ctx", "seen": 2, "description": "d",
        "listens": ["Discord"], "memory": 20_971_520, "may": true, "may_not": false, "any": true, "none": false,
        "refused": true, "meta": false, "unknown": true,
    });
    assert_eq!(value, &want);
}

#[tokio::test]
async fn a_caller_that_waited_long_enough_hears_so_and_the_execution_goes_on() {
    let worker = TestWorker::start().await;
    worker
        .template(GUILD, "slow", "local e, ctx = ... task.wait(2) ctx.store.done = true return 1")
        .await
        .expect(201);
    worker.template(GUILD, "look", "local e, ctx = ... return ctx.store.done == true").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true&timeout_ms=700");
    let body = worker.post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}})).await.expect(200);
    assert_eq!(body["results"]["slow"]["status"], "timed_out");
    assert_eq!(body["results"]["look"]["value"], false);
    let is_done = async || {
        let path = format!("/api/v1/guilds/{GUILD}/events?wait=true&timeout_ms=100");
        let body = worker.post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}})).await.expect(200);
        body["results"]["look"]["value"] == true
    };
    testkit::until("the execution went on to its end", is_done).await;
}

#[tokio::test]
async fn fire_and_forget_is_accepted_with_an_id_and_runs() {
    let worker = TestWorker::start().await;
    worker
        .template(
            GUILD,
            "count",
            "local e, ctx = ... ctx.store.n = (ctx.store.n or 0) + 1 return ctx.store.n",
        )
        .await
        .expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events");
    let accepted = worker
        .post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}, "id": "my-event-1"}))
        .await
        .expect(202);
    assert_eq!(accepted["event_id"], "my-event-1");
    let results = worker.event(GUILD, &json!({})).await;
    assert_eq!(results["count"]["value"], 2, "the fired event ran before");
}

#[tokio::test]
async fn a_changed_template_is_seen_by_the_next_event() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "n = (n or 0) + 1 return 'one ' .. n").await.expect(201);
    for want in ["one 1", "one 2"] {
        assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], want);
    }
    worker.template(GUILD, "t", "n = (n or 0) + 1 return 'two ' .. n").await.expect(200);
    assert_eq!(
        worker.event(GUILD, &json!({})).await["t"]["value"],
        "two 1",
        "a new version starts with fresh globals"
    );
    worker.delete(&format!("/api/v1/guilds/{GUILD}/templates/t")).await.expect(204);
    assert_eq!(worker.event(GUILD, &json!({})).await, json!({}));
    worker.template(GUILD, "t", "n = (n or 0) + 1 return 'again ' .. n").await.expect(201);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], "again 1");
}

#[tokio::test]
async fn a_change_of_its_description_keeps_a_templates_state() {
    let worker = TestWorker::start().await;
    worker
        .template(GUILD, "t", "local _, ctx = ... n = (n or 0) + 1 return {n, ctx.data.description}")
        .await
        .expect(201);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], json!([1, ""]));
    let path = format!("/api/v1/guilds/{GUILD}/templates/t");
    worker.patch(&path, &json!({"description": "new"})).await.expect(200);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], json!([2, "new"]));
}

#[tokio::test]
async fn a_full_guild_is_told_to_come_back_and_nothing_accepted_is_lost() {
    let worker = TestWorker::start_with(|config| {
        config.limits.max_executions_in_flight = 4;
        config.limits.max_executions_waiting = 1;
    })
    .await;
    worker.template(GUILD, "slow", "task.wait(2) return 'done'").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let mut sent = Vec::new();
    for _ in 0..12 {
        let request = worker.request(reqwest::Method::POST, &path).json(&event);
        sent.push(tokio::spawn(testkit::answer(request)));
    }
    let (mut done, mut refused) = (0, 0);
    for answer in sent {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            assert_eq!(answer.body["results"]["slow"]["value"], "done", "{:#}", answer.body);
            done += 1;
        } else {
            assert!(answer.headers.contains_key("retry-after"));
            answer.problem(429, "guild_busy");
            refused += 1;
        }
    }
    assert_eq!((done, refused), (5, 7));
    assert_eq!(worker.event(GUILD, &json!({})).await["slow"]["value"], "done");
}

#[tokio::test]
async fn the_data_of_events_is_counted_once_an_event_until_its_last_template_answers() {
    let worker = TestWorker::start_with(|config| {
        config.limits.max_event_bytes = 2_048;
        config.limits.max_pending_event_bytes = 2_048;
    })
    .await;
    worker.template(GUILD, "quick", "return 1").await.expect(201);
    worker.template(GUILD, "slow", "local e = ... task.wait(if e.data.wait then 2 else 0)").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events");
    // Some 1,500 bytes, for two templates.
    let event = |wait| json!({"name": "MESSAGE_CREATE", "data": {"wait": wait, "x": "x".repeat(1_470)}});
    worker.post(&path, &event(true)).await.expect(202);
    let refused = worker.post(&path, &event(false)).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(429, "guild_busy");
    worker.event(GUILD, &json!({})).await;
    testkit::until("the slow one has answered", async || {
        worker.dispatch(GUILD, &event(false)).await.status == 200
    })
    .await;
    for _ in 0..3 {
        // Each finds room as soon as the one before is answered.
        worker.dispatch(GUILD, &event(false)).await.expect(200);
    }
}

#[tokio::test]
async fn bad_events_get_an_error_that_helps() {
    let worker = TestWorker::start_with(|config| config.limits.max_event_bytes = 4_096).await;
    worker.template(GUILD, "t", "return 1").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let problem =
        worker.post(&path, &json!({"name": "MESAGE_CREATE", "data": {}})).await.problem(422, "unknown_event");
    assert!(problem["detail"].as_str().unwrap().contains("MESSAGE_CREATE"), "{problem}");
    let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap();
    worker.post(&path, &json!({"name": "MESSAGE_CREATE", "data": deep})).await.problem(400, "invalid_event");
    worker
        .post(&path, &json!({"name": "MESSAGE_CREATE", "data": "x".repeat(5_000)}))
        .await
        .problem(413, "too_large");
    worker
        .post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}, "nmae": 1}))
        .await
        .problem(400, "unknown_field");
    worker
        .post("/api/v1/guilds/abc/events", &json!({"name": "MESSAGE_CREATE", "data": {}}))
        .await
        .problem(400, "invalid_guild_id");
    let malformed = worker
        .request(reqwest::Method::POST, &path)
        .header("content-type", "application/json")
        .body("{\"name\": ");
    let problem = testkit::answer(malformed).await.problem(400, "invalid_json");
    assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");
}
