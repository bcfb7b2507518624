//! A panic on a worker thread takes that thread's VMs and nothing more.

use serde_json::json;
use testkit::TestWorker;

#[tokio::test]
async fn a_panicking_thread_takes_only_its_own_guilds_and_is_replaced() {
    let worker = TestWorker::start_with(|config| config.drills.enabled = true).await;
    let guilds: Vec<String> = (0..4).map(|index| (818_880_986_845_679_757_u64 + index).to_string()).collect();
    for guild in &guilds {
        worker
            .template(
                guild,
                "n",
                "local e = ... n = (n or 0) + 1 if e.data.wait then task.wait(20) end return n",
            )
            .await
            .expect(201);
        assert_eq!(worker.event(guild, &json!({})).await["n"]["value"], 1);
    }
    let thread = |status: serde_json::Value| status["thread"].as_u64().unwrap();
    let mut threads = Vec::new();
    for guild in &guilds {
        threads.push(thread(worker.get(&format!("/api/v1/guilds/{guild}/vm")).await.expect(200)));
    }
    let path = format!("/api/v1/guilds/{}/events?wait=true", guilds[0]);
    let body = json!({"name": "MESSAGE_CREATE", "data": {"wait": true}});
    let waiting = tokio::spawn(testkit::answer(worker.request(reqwest::Method::POST, &path).json(&body)));
    let status = format!("/api/v1/guilds/{}/vm", guilds[0]);
    testkit::until("the event runs", async || worker.get(&status).await.expect(200)["in_flight"] == 1).await;

    worker
        .post(&format!("/api/v1/guilds/{}/vm/actions", guilds[0]), &json!({"action": "panic"}))
        .await
        .expect(200);
    let results = waiting.await.unwrap().expect(200)["results"].clone();
    assert_eq!(results["n"]["status"], "vm_broken", "{results}");

    for (guild, thread_before) in guilds.iter().zip(&threads) {
        let fresh = *thread_before == threads[0];
        let want = if fresh { 1 } else { 2 };
        assert_eq!(worker.event(guild, &json!({})).await["n"]["value"], want, "{guild}");
        let now = thread(worker.get(&format!("/api/v1/guilds/{guild}/vm")).await.expect(200));
        assert_eq!(now == *thread_before, !fresh, "{guild} was on {thread_before} and is on {now}");
    }
    let listed = worker.get("/api/v1/threads").await.expect(200);
    let restarts: Vec<_> =
        listed["threads"].as_array().unwrap().iter().map(|t| t["restarts"].as_u64().unwrap()).collect();
    assert_eq!(restarts.iter().sum::<u64>(), 1, "{listed}");
}

#[tokio::test]
async fn a_place_that_panics_again_and_again_is_filled_again_and_counts() {
    let worker = TestWorker::start_with(|config| {
        config.drills.enabled = true;
        config.vm.threads = 1;
    })
    .await;
    let guild = testkit::GUILD;
    worker.template(guild, "t", "return 'here'").await.expect(201);
    for _ in 0..4 {
        testkit::until("the thread is back", async || {
            let event = json!({"name": "MESSAGE_CREATE", "data": {}});
            let answer = worker.dispatch(guild, &event).await;
            answer.status == 200 && answer.body["results"]["t"]["value"] == "here"
        })
        .await;
        worker
            .post(&format!("/api/v1/guilds/{guild}/vm/actions"), &json!({"action": "panic"}))
            .await
            .expect(200);
    }
    testkit::until("the last one is replaced", async || {
        worker.app().dispatcher.threads().first().is_some_and(|thread| thread.restarts == 4)
    })
    .await;
}
