//! A flood: what is accepted is done, what is not is told at once, and the neighbours have their share.

use reqwest::Method;
use serde_json::json;
use testkit::{GUILD, TestWorker, answer};

const NEIGHBOUR: &str = "818880986845679758";

#[tokio::test]
async fn a_flood_of_many_guilds_loses_nothing_that_was_accepted() {
    let worker = TestWorker::start_with(|config| {
        config.vm.threads = 1;
        config.vm.queue = 8;
        config.limits.max_executions_in_flight = 2;
        config.limits.max_executions_waiting = 4;
        config.limits.max_templates_per_guild = 6;
    })
    .await;
    let guild = |index: u64| (818_880_986_845_679_757 + index).to_string();
    for index in 0..8 {
        let source = "n = (n or 0) + 1 local x = 0 for i = 1, 200000 do x += i end return n";
        worker.template(&guild(index), "t", source).await.expect(201);
    }
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let mut sent = Vec::new();
    for _ in 0..40 {
        for index in 0..8 {
            let path = format!("/api/v1/guilds/{}/events?wait=true", guild(index));
            let request = worker.request(Method::POST, &path).json(&event);
            sent.push((index, tokio::spawn(answer(request))));
        }
    }
    let (mut done, mut refused) = ([0_u64; 8], 0);
    for (index, answer) in sent {
        let answer = answer.await.unwrap();
        if answer.status == 429 {
            assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
            assert!(
                ["guild_busy", "thread_busy"].contains(&answer.body["code"].as_str().unwrap()),
                "{:#}",
                answer.body
            );
            refused += 1;
        } else {
            let results = answer.expect(200)["results"].clone();
            assert_eq!(results["t"]["status"], "ok", "{results:#}");
            done[usize::try_from(index).unwrap()] += 1;
        }
    }
    assert!(refused > 0, "nothing was full");
    assert_eq!(done.iter().sum::<u64>() + refused, 320, "every request has its answer");
    for index in 0..8 {
        // Each VM has run as many as were accepted, and no other.
        let count = worker.event(&guild(index), &json!({})).await["t"]["value"].clone();
        assert_eq!(count, done[usize::try_from(index).unwrap()] + 1, "guild {index}");
    }
}

#[tokio::test]
async fn a_guild_cannot_fill_its_threads_queue_with_actions() {
    let worker = TestWorker::start_with(|config| {
        config.vm.threads = 1;
        config.vm.queue = 64;
        config.limits.max_non_yieldable_time_ms = 1_900;
    })
    .await;
    let stick = "local e = ... if e.data.stick then \
                 return setmetatable({}, {__index = function() while true do end end}).x end return 'here'";
    for guild in [GUILD, NEIGHBOUR] {
        worker.template(guild, "t", stick).await.expect(201);
        worker.event(guild, &json!({})).await;
    }
    let event = json!({"name": "MESSAGE_CREATE", "data": {"stick": true}});
    worker.post(&format!("/api/v1/guilds/{GUILD}/events"), &event).await.expect(202);
    worker.stuck_thread().await;
    let path = format!("/api/v1/guilds/{GUILD}/vm");
    let actions: Vec<_> =
        (0..100).map(|_| tokio::spawn(answer(worker.request(Method::GET, &path)))).collect();
    testkit::until("they are there", async || worker.app().dispatcher.threads()[0].queued >= 16).await;
    assert_eq!(worker.event(NEIGHBOUR, &json!({})).await["t"]["value"], "here", "there is room for it");
    let mut refused = 0;
    for action in actions {
        let action = action.await.unwrap();
        if action.status == 429 {
            assert!(action.headers.contains_key("retry-after"));
            action.problem(429, "guild_busy");
            refused += 1;
        } else {
            action.expect(200);
        }
    }
    assert!((1..=84).contains(&refused), "{refused} of 100 were refused");
}

#[tokio::test]
async fn a_flooding_guild_has_one_turn_of_each_round_like_its_neighbours() {
    let worker = TestWorker::start_with(|config| config.vm.threads = 1).await;
    worker.template(GUILD, "t", "local x = 0 for i = 1, 3000000 do x += i end").await.expect(201);
    worker.template(NEIGHBOUR, "t", "return 'here'").await.expect(201);
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    worker.event(NEIGHBOUR, &json!({})).await;
    for _ in 0..200 {
        worker.post(&format!("/api/v1/guilds/{GUILD}/events"), &event).await.expect(202);
    }
    for _ in 0..30 {
        assert_eq!(worker.event(NEIGHBOUR, &json!({})).await["t"]["value"], "here");
    }
    let vm = async |guild: &str| worker.get(&format!("/api/v1/guilds/{guild}/vm")).await.expect(200);
    let flooder = vm(GUILD).await;
    let left = flooder["in_flight"].as_u64().unwrap() + flooder["waiting"].as_u64().unwrap();
    assert!(left > 0, "the neighbour had to wait for the flood: {flooder}");
    worker.delete(&format!("/api/v1/guilds/{GUILD}/vm")).await.expect(204);
    // The most turns of others between an event's arrival and its start: those of one round, and of the one before.
    let waited = worker.app().dispatcher.vm_status(NEIGHBOUR.parse().unwrap()).await.unwrap().longest_wait;
    assert!(waited <= 2, "the neighbour waited for {waited} turns of the flood");
}
