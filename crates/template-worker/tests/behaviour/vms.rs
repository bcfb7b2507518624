//! VMs as an operator and a guild see them, and what becomes of them.

use std::collections::HashSet;

use serde_json::json;
use testkit::{GUILD, TestWorker};

fn guild(index: u64) -> String {
    (818_880_986_845_679_757 + index).to_string()
}

#[tokio::test]
async fn a_vm_tells_how_it_is() {
    let worker = TestWorker::start().await;
    worker
        .template(GUILD, "wait", "local e = ... if e.data.wait then task.wait(20) end return 1")
        .await
        .expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/vm");
    assert_eq!(worker.get(&path).await.expect(200)["state"], "absent");
    worker.event(GUILD, &json!({})).await;
    let ready = worker.get(&path).await.expect(200);
    assert_eq!(
        (&ready["state"], &ready["in_flight"], &ready["templates"]),
        (&json!("ready"), &json!(0), &json!(1))
    );
    assert!(ready["memory_used"].as_u64().unwrap() > 10_000, "{ready}");
    worker
        .post(
            &format!("/api/v1/guilds/{GUILD}/events"),
            &json!({"name": "MESSAGE_CREATE", "data": {"wait": true}}),
        )
        .await
        .expect(202);
    testkit::until("the event is in flight", async || {
        let busy = worker.get(&path).await.expect(200);
        assert_eq!(busy["state"], "busy");
        (&busy["in_flight"], &busy["luau_threads"]) == (&json!(1), &json!(1))
    })
    .await;
    worker.delete(&path).await.expect(204);
    let threads = worker.get("/api/v1/threads").await.expect(200);
    assert_eq!(threads["threads"].as_array().map(Vec::len), Some(2), "{threads}");
}

#[tokio::test]
async fn actions_do_what_they_say() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "n = (n or 0) + 1 return n").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/vm/actions");
    worker.post(&path, &json!({"action": "get_memory_usage"})).await.problem(409, "no_vm");
    worker.event(GUILD, &json!({})).await;
    let usage = worker.post(&path, &json!({"action": "get_memory_usage"})).await.expect(200);
    assert_eq!(usage["limit"], 20 << 20, "{usage}");
    worker.post(&path, &json!({"action": "set_memory_limit", "limit": 2 << 20})).await.expect(200);
    let usage = worker.post(&path, &json!({"action": "get_memory_usage"})).await.expect(200);
    assert_eq!(usage["limit"], 2 << 20, "{usage}");
    for wrong in [0_u64, 1_000, 21 << 20, u64::MAX] {
        let refused = worker.post(&path, &json!({"action": "set_memory_limit", "limit": wrong})).await;
        assert_eq!(refused.status, 422, "{wrong}: {:#}", refused.body);
    }
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 2);
    worker.post(&path, &json!({"action": "collect_garbage"})).await.expect(200);
    worker.post(&path, &json!({"action": "clear_cache"})).await.expect(200);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 1, "the template's world was forgotten");
    worker.post(&path, &json!({"action": "panic"})).await.problem(403, "drills_disabled");
    worker.post(&path, &json!({"action": "dispatch_event"})).await.expect(400);
    worker.post(&path, &json!({"action": "stop"})).await.expect(200);
    worker.post(&path, &json!({"action": "stop"})).await.problem(409, "no_vm");
    worker.delete(&format!("/api/v1/guilds/{GUILD}/vm")).await.expect(204);
}

#[tokio::test]
async fn stopping_a_vm_answers_those_who_wait() {
    let worker = TestWorker::start_with(|config| config.limits.max_executions_in_flight = 2).await;
    worker.template(GUILD, "sleep", "task.wait(20)").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let waiting: Vec<_> = (0..4)
        .map(|_| tokio::spawn(testkit::answer(worker.request(reqwest::Method::POST, &path).json(&event))))
        .collect();
    let status = format!("/api/v1/guilds/{GUILD}/vm");
    testkit::until("two run and two wait", async || worker.get(&status).await.expect(200)["waiting"] == 2)
        .await;
    worker.delete(&status).await.expect(204);
    let mut seen = HashSet::new();
    for answer in waiting {
        let results = answer.await.unwrap().expect(200)["results"].clone();
        assert_eq!(results["sleep"]["status"], "vm_broken", "{results}");
        seen.insert(results["sleep"]["reason"].as_str().map(str::to_owned));
    }
    assert_eq!(seen.len(), 1, "one reason for all: {seen:?}");
}

#[tokio::test]
async fn guilds_whose_vms_are_stopped_at_once_leave_no_trace() {
    let worker = TestWorker::start().await;
    for index in 0..60 {
        worker.template(&guild(index), "t", "return 1").await.expect(201);
        assert_eq!(worker.event(&guild(index), &json!({})).await["t"]["value"], 1);
    }
    let request =
        |index| worker.request(reqwest::Method::DELETE, &format!("/api/v1/guilds/{}/vm", guild(index)));
    // Twice each, so that some find no VM any more.
    let stops: Vec<_> = (0..120).map(|index| tokio::spawn(testkit::answer(request(index % 60)))).collect();
    for answer in stops {
        answer.await.unwrap().expect(204);
    }
    let routed: usize = worker.app().dispatcher.threads().iter().map(|thread| thread.guilds).sum();
    assert_eq!((routed, worker.app().shared.vms.count()), (0, 0));
}
