//! A guild that misbehaves costs itself, never its neighbours.

use std::time::Duration;

use serde_json::json;
use testkit::TestWorker;

/// All guilds on one thread.
async fn one_thread() -> TestWorker {
    TestWorker::start_with(|config| config.vm.threads = 1).await
}

#[tokio::test]
async fn a_spinning_guild_delays_its_neighbour_by_slices_only() {
    let worker = one_thread().await;
    let (spinner, neighbour) = ("818880986845679757", "818880986845679758");
    worker.template(spinner, "spin", "while true do end").await.expect(201);
    worker.template(neighbour, "quick", "return 'here'").await.expect(201);
    let path = format!("/api/v1/guilds/{spinner}/events");
    for _ in 0..3 {
        worker.post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}})).await.expect(202);
    }
    // Each spinner may burn 2 s of CPU: a neighbour that had to wait for them would take 6 s for its first event.
    for _ in 0..20 {
        assert_eq!(worker.event(neighbour, &json!({})).await["quick"]["value"], "here");
    }
    let status = worker.get(&format!("/api/v1/guilds/{spinner}/vm")).await.expect(200);
    assert_eq!(
        (&status["state"], &status["in_flight"]),
        (&json!("busy"), &json!(3)),
        "the spinners were still at it"
    );
}

#[tokio::test]
async fn guilds_that_cannot_be_paused_cost_a_neighbour_one_turn_and_not_one_each() {
    let worker = one_thread().await;
    let neighbour = "818880986845679757";
    worker.template(neighbour, "quick", "return 'here'").await.expect(201);
    let long = "local t = setmetatable({}, {__index = function() \
                local a = os.clock() while os.clock() - a < 0.06 do end return 1 end}) \
                while true do local x = t.x end";
    let vm = |guild: u64| format!("/api/v1/guilds/{guild}/vm");
    let attackers = 818_880_986_845_679_758..818_880_986_845_679_764;
    for guild in attackers.clone() {
        worker.template(&guild.to_string(), "long", long).await.expect(201);
        let path = format!("/api/v1/guilds/{guild}/events");
        worker.post(&path, &json!({"name": "MESSAGE_CREATE", "data": {}})).await.expect(202);
    }
    for guild in attackers.clone() {
        testkit::until("it runs", async || worker.get(&vm(guild)).await.expect(200)["in_flight"] == 1).await;
    }
    // Each may overrun once before anybody knows what it does.
    for _ in 0..3 {
        assert_eq!(worker.event(neighbour, &json!({})).await["quick"]["value"], "here");
    }
    worker.delete(&format!("/api/v1/guilds/{neighbour}/vm")).await.expect(204);
    for _ in 0..20 {
        assert_eq!(worker.event(neighbour, &json!({})).await["quick"]["value"], "here");
    }
    let waited = worker.app().dispatcher.vm_status(neighbour.parse().unwrap()).await.unwrap().longest_wait;
    assert!(waited <= 2, "the neighbour waited for {waited} turns of others");
    let mut at_it = 0;
    for guild in attackers {
        at_it += usize::from(worker.get(&vm(guild)).await.expect(200)["in_flight"] == 1);
        worker.delete(&vm(guild)).await.expect(204);
    }
    assert!(at_it > 1, "they were all done");
}

#[tokio::test]
async fn guilds_and_templates_do_not_see_each_other() {
    let worker = one_thread().await;
    let (a, b) = ("818880986845679757", "818880986845679758");
    let leave = "local e, ctx = ... secret = 'left' ctx.store.shared = 'shared' string_ = string return tostring(secret)";
    let look = "local e, ctx = ... return {tostring(secret), tostring(ctx.store.shared)}";
    worker.template(a, "1-leave", leave).await.expect(201);
    worker.template(a, "2-look", look).await.expect(201);
    worker.template(b, "look", look).await.expect(201);
    let results = worker.event(a, &json!({})).await;
    assert_eq!(results["2-look"]["value"], json!(["nil", "shared"]), "the store is shared, globals are not");
    assert_eq!(worker.event(b, &json!({})).await["look"]["value"], json!(["nil", "nil"]));
}

#[tokio::test]
async fn a_thousand_timers_of_one_guild_do_not_keep_others_waiting() {
    let worker = one_thread().await;
    let (busy, neighbour) = ("818880986845679757", "818880986845679758");
    let source =
        "for i = 1, 900 do task.spawn(function() while true do task.wait(0) end end) end return 'started'";
    worker.template(busy, "timers", source).await.expect(201);
    worker.template(neighbour, "quick", "return 'here'").await.expect(201);
    assert_eq!(worker.event(busy, &json!({})).await["timers"]["value"], "started");
    for _ in 0..20 {
        assert_eq!(worker.event(neighbour, &json!({})).await["quick"]["value"], "here");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_flood_of_large_events_is_decoded_and_run_in_its_own_guilds_turns() {
    let worker = TestWorker::start_with(|config| {
        config.vm.threads = 1;
        config.limits.max_pending_event_bytes = 256 << 20;
    })
    .await;
    let (flooder, neighbour) = ("818880986845679757", "818880986845679758");
    worker.template(flooder, "burn", "local x = 0 for i = 1, 5000000 do x += i end").await.expect(201);
    worker.template(neighbour, "quick", "return 'here'").await.expect(201);
    let data: Vec<_> = (0..20_000).map(|index| json!({"index": index})).collect();
    let path = format!("/api/v1/guilds/{flooder}/events");
    let event = json!({"name": "MESSAGE_CREATE", "data": data});
    // Some ten seconds of work.
    let request = || worker.request(reqwest::Method::POST, &path).json(&event);
    // So many at a time as a guild may send.
    for _ in 0..4 {
        let floods: Vec<_> = (0..50).map(|_| tokio::spawn(testkit::answer(request()))).collect();
        for flood in floods {
            flood.await.unwrap().expect(202);
        }
    }
    for _ in 0..5 {
        assert_eq!(worker.event(neighbour, &json!({})).await["quick"]["value"], "here");
    }
    let vm = format!("/api/v1/guilds/{flooder}/vm");
    let status = worker.get(&vm).await.expect(200);
    let left = status["in_flight"].as_u64().unwrap() + status["waiting"].as_u64().unwrap();
    assert!(left > 0, "the neighbour had to wait for the whole flood: {status}");
    worker.delete(&vm).await.expect(204);
}

#[tokio::test]
async fn a_thread_that_cannot_take_more_says_so_and_answers_what_it_took() {
    let worker = TestWorker::start_with(|config| {
        config.vm.threads = 1;
        config.vm.queue = 1;
        config.limits.max_non_yieldable_time_ms = 1_500;
    })
    .await;
    let (stuck, neighbour) = ("818880986845679757", "818880986845679758");
    worker
        .template(
            stuck,
            "metamethod",
            "return setmetatable({}, {__index = function() while true do end end}).x",
        )
        .await
        .expect(201);
    worker.template(neighbour, "quick", "return 'here'").await.expect(201);
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    worker.post(&format!("/api/v1/guilds/{stuck}/events"), &event).await.expect(202);
    worker.stuck_thread().await;
    let path = format!("/api/v1/guilds/{neighbour}/events?wait=true");
    let request = || worker.request(reqwest::Method::POST, &path).json(&event);
    let sent: Vec<_> = (0..6).map(|_| tokio::spawn(testkit::answer(request()))).collect();
    let mut refused = 0;
    for answer in sent {
        let answer = answer.await.unwrap();
        if answer.status == 429 {
            assert!(answer.headers.contains_key("retry-after"));
            answer.problem(429, "thread_busy");
            refused += 1;
        } else {
            assert_eq!(answer.expect(200)["results"]["quick"]["value"], "here");
        }
    }
    assert!((1..6).contains(&refused), "{refused} of 6 were refused");
}
