//! What an operator does with workers and VMs, and who may not. That each strategy does it is in `strategies`.

use serde_json::json;
use testkit::{GUILD, TestWorker, answer, until};

#[tokio::test]
async fn a_stuck_thread_does_not_answer_a_ping_and_what_is_gathered_says_that_it_is_incomplete() {
    let worker = TestWorker::start_with(|config| {
        config.limits.max_non_yieldable_time_ms = 9_000;
        config.limits.max_cpu_time_ms = 10_000;
        // Nine seconds of a processor may be long on a machine that has much to do.
        config.server.drain_time_ms = 60_000;
    })
    .await;
    let stick = "return setmetatable({}, {__index = function() while true do end end}).x";
    worker.template(GUILD, "t", stick).await.expect(201);
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    worker.post(&format!("/api/v1/guilds/{GUILD}/events"), &event).await.expect(202);
    let id = worker.stuck_thread().await;
    let path = format!("/api/v1/threads/{id}/ping");
    let ping = tokio::spawn(answer(worker.request(reqwest::Method::POST, &path)));
    let vms = worker.get("/api/v1/vms").await.expect(200);
    assert_eq!((&vms["complete"], &vms["vms"]), (&json!(false), &json!([])), "{vms:#}");
    let problem = ping.await.unwrap().problem(504, "thread_stuck");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("DELETE")), "{problem:#}");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let worker = TestWorker::start().await;
    for (path, code) in [
        ("/api/v1/vms?limit=0", "invalid_query"),
        ("/api/v1/vms?limit=101", "invalid_query"),
        ("/api/v1/vms?after=x", "invalid_query"),
        ("/api/v1/vms?cursor=x", "invalid_query"),
    ] {
        worker.get(path).await.problem(400, code);
    }
    for path in ["/api/v1/vms/evict-idle", "/api/v1/vms/evict-idle?idle_s=-1"] {
        worker.post(path, &json!({})).await.problem(400, "invalid_query");
    }
    worker.delete("/api/v1/threads/1?drain_ms=600001").await.problem(400, "invalid_query");
    worker.delete("/api/v1/threads/9999").await.problem(404, "not_found");
    worker.delete("/api/v1/threads/-1").await.problem(400, "invalid_thread_id");
}

#[tokio::test]
async fn a_guild_can_do_nothing_of_it() {
    let worker = TestWorker::start().await;
    let token = worker.guild_token(GUILD, &["vm:manage"]).await;
    let of_guild = async |method: &str, path: &str, body: serde_json::Value| {
        let method = method.parse().unwrap();
        answer(worker.request_as(&token, method, path).json(&body)).await
    };
    for (method, path) in [
        ("GET", "/api/v1/threads"),
        ("DELETE", "/api/v1/threads/1"),
        ("POST", "/api/v1/threads/1/ping"),
        ("GET", "/api/v1/vms"),
        ("POST", "/api/v1/vms/evict-idle?idle_s=0"),
    ] {
        of_guild(method, path, json!({})).await.problem(403, "admin_only");
        worker
            .anonymous(method.parse().unwrap(), path)
            .send()
            .await
            .map(|it| assert_eq!(it.status(), 401))
            .unwrap();
    }
    let actions = format!("/api/v1/guilds/{GUILD}/vm/actions");
    of_guild("POST", &actions, json!({"action": "move", "thread": 1})).await.problem(403, "admin_only");
}

#[tokio::test]
async fn a_drain_goes_on_when_the_client_hangs_up_and_the_last_thread_can_be_drained() {
    let worker = TestWorker::start_with(|config| config.vm.threads = 1).await;
    worker.template(GUILD, "t", "local e = ... task.wait(e.data.wait or 0) return 'here'").await.expect(201);
    worker.event(GUILD, &json!({})).await;
    let old = worker.app().dispatcher.threads()[0].id;
    let event = json!({"name": "MESSAGE_CREATE", "data": {"wait": 2}});
    worker.post(&format!("/api/v1/guilds/{GUILD}/events"), &event).await.expect(202);
    let request = worker.request(reqwest::Method::DELETE, &format!("/api/v1/threads/{old}"));
    let impatient = tokio::spawn(request.send());
    until("it is drained, or was", async || {
        let threads = worker.get("/api/v1/threads").await.expect(200);
        !threads["threads"].as_array().unwrap().iter().any(|it| it["id"] == old.0 && it["state"] == "serving")
    })
    .await;
    impatient.abort();
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], "here");
    until("it is gone", async || worker.app().dispatcher.threads().iter().all(|thread| thread.id != old))
        .await;
    let listed = worker.get("/api/v1/threads").await.expect(200);
    assert_eq!(listed["threads"].as_array().map(Vec::len), Some(1), "{listed:#}");
    let thread = &listed["threads"][0];
    assert_eq!((&thread["state"], &thread["kind"]), (&json!("serving"), &json!("thread")));
    for field in ["id", "guilds", "queued", "busy", "load", "restarts", "uptime_ms"] {
        assert!(!thread[field].is_null(), "{field} is missing: {thread:#}");
    }
}

#[tokio::test]
async fn a_service_stops_in_the_middle_of_a_drain() {
    let worker = TestWorker::start_with(|config| config.server.drain_time_ms = 500).await;
    worker.template(GUILD, "t", "task.wait(20)").await.expect(201);
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let waiting = tokio::spawn(answer(worker.request(reqwest::Method::POST, &path).json(&event)));
    let vm = format!("/api/v1/guilds/{GUILD}/vm");
    until("it runs", async || worker.get(&vm).await.expect(200)["in_flight"] == 1).await;
    let thread = worker.get(&vm).await.expect(200)["thread"].clone();
    let request =
        worker.request(reqwest::Method::DELETE, &format!("/api/v1/threads/{thread}?drain_ms=60000"));
    let drain = tokio::spawn(request.send());
    until("it is drained", async || {
        let threads = worker.get("/api/v1/threads").await.expect(200);
        threads["threads"].as_array().unwrap().iter().any(|thread| thread["state"] == "draining")
    })
    .await;
    worker.stop().await;
    assert_eq!(waiting.await.unwrap().expect(200)["results"]["t"]["status"], "vm_broken");
    // It was answered, or cut off with the connection: it ended.
    let _ = drain.await.unwrap();
}
