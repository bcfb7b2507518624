//! Who is let in, seen from outside.

use serde_json::json;
use testkit::{GUILD, TestWorker, answer, until};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_templates_keep_nobody_out() {
    // One for the request that arrives, one for the question whether it has.
    let worker = TestWorker::start_with(|config| config.server.max_requests_in_flight = 2).await;
    worker.template(GUILD, "slow", "task.wait(2) return 'done'").await.expect(201);
    let url = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let mut waiting = Vec::new();
    for number in 1..=5 {
        let request = worker.request(reqwest::Method::POST, &url).json(&event);
        waiting.push(tokio::spawn(answer(request)));
        until("the event runs", async || {
            let vm = worker.get(&format!("/api/v1/guilds/{GUILD}/vm")).await;
            vm.body["in_flight"] == number
        })
        .await;
    }
    worker.get("/api/v1/guilds/1/templates").await.expect(200);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().expect(200)["results"]["slow"]["value"], "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_must_not_replace_is_refused_rather_than_done() {
    let worker = TestWorker::start().await;
    let body = json!({"files": {"init.luau": "return 1"}, "events": []});
    let request = worker.request(reqwest::Method::PUT, &format!("/api/v1/guilds/{GUILD}/templates/t"));
    answer(request.header("if-none-match", "*").json(&body)).await.problem(400, "invalid_if_match");
    worker.get(&format!("/api/v1/guilds/{GUILD}/templates/t")).await.problem(404, "not_found");
}
