//! A template that breaks its VM again and again is locked out, and nobody else.

use serde_json::{Value, json};
use testkit::{GUILD, TestWorker};

/// Holds more than a guild may have.
const GREEDY: &str = "local all = {} while true do table.insert(all, string.rep('x', 100000) .. #all) end";

async fn with_greedy_template() -> TestWorker {
    let worker = TestWorker::start_with(|config| config.drills.enabled = true).await;
    worker.template(GUILD, "good", "return 'fine'").await.expect(201);
    worker.template(GUILD, "greedy", GREEDY).await.expect(201);
    worker
}

async fn greedy(worker: &TestWorker) -> Value {
    let results = worker.event(GUILD, &json!({})).await;
    assert_ne!(results["good"]["status"], "quarantined", "{results}");
    results["greedy"].clone()
}

#[tokio::test]
async fn three_breaks_lock_a_template_out_and_new_files_let_it_in_again() {
    let worker = with_greedy_template().await;
    let path = format!("/api/v1/guilds/{GUILD}/templates/greedy/quarantine");
    let mut log = worker.app().log.subscribe();
    for round in 0..3 {
        let outcome = greedy(&worker).await;
        assert_eq!(outcome["limit"], "memory", "round {round}: {outcome}");
    }
    testkit::until("it is locked out", async || worker.get(&path).await.expect(200)["quarantined"] == true)
        .await;
    let outcome = greedy(&worker).await;
    assert_eq!(outcome["status"], "quarantined", "{outcome}");
    assert!(outcome["reason"].as_str().unwrap().contains("out of memory"), "{outcome}");
    assert_eq!(worker.event(GUILD, &json!({})).await["good"]["value"], "fine");
    let mut told = 0;
    while let Ok(entry) = log.try_recv() {
        told += usize::from(entry.text.contains("quarantined") && &*entry.template == "greedy");
    }
    assert_eq!(told, 1, "its author is told once");

    let patch = json!({"description": "the same code"});
    worker.patch(&format!("/api/v1/guilds/{GUILD}/templates/greedy"), &patch).await.expect(200);
    assert_eq!(greedy(&worker).await["status"], "quarantined", "its files are the same");
    worker.template(GUILD, "greedy", "return 'modest'").await.expect(200);
    assert_eq!(greedy(&worker).await["value"], "modest");
    assert_eq!(worker.get(&path).await.expect(200), json!({"quarantined": false}));
}

#[tokio::test]
async fn a_guild_can_lift_a_quarantine() {
    let worker = with_greedy_template().await;
    let path = format!("/api/v1/guilds/{GUILD}/templates/greedy/quarantine");
    for _ in 0..3 {
        greedy(&worker).await;
    }
    testkit::until("it is locked out", async || worker.get(&path).await.expect(200)["quarantined"] == true)
        .await;
    let reader = worker.guild_token(GUILD, &["templates:read"]).await;
    let request = worker.request_as(&reader, reqwest::Method::DELETE, &path);
    testkit::answer(request).await.expect(403);
    worker.delete(&path).await.expect(204);
    worker.delete(&path).await.expect(204);
    assert_eq!(greedy(&worker).await["limit"], "memory");
    worker.delete(&format!("/api/v1/guilds/{GUILD}/templates/nobody/quarantine")).await.expect(404);
}

#[tokio::test]
async fn what_an_operator_stops_is_nobodys_fault() {
    let worker = TestWorker::start_with(|config| config.drills.enabled = true).await;
    worker.template(GUILD, "t", "return 1").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/vm/actions");
    for action in [json!({"action": "stop"}), json!({"action": "panic"})] {
        for _ in 0..4 {
            testkit::until("it runs", async || worker.event(GUILD, &json!({})).await["t"]["status"] == "ok")
                .await;
            worker.post(&path, &action).await.expect(200);
        }
    }
    testkit::until("it runs", async || worker.event(GUILD, &json!({})).await["t"]["status"] == "ok").await;
}
