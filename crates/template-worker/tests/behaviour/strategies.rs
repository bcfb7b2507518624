//! What every strategy promises, as clients and operators see it: the same claims for each.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use testkit::{TestWorker, answer, until};

/// Every claim, for every strategy.
macro_rules! strategies {
    (@of $name:ident $strategy:expr; $($claim:ident)+) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test]
                async fn $claim() {
                    super::$claim(with($strategy).await).await;
                }
            )+
        }
    };
    ($($name:ident: $strategy:expr;)+) => { $(
        strategies!(@of $name $strategy;
            many_guilds_are_served_each_by_its_own_vm_which_stays
            guilds_do_not_see_each_other
            stopping_a_vm_answers_those_who_wait_and_the_next_event_makes_another
            a_panic_takes_its_own_guild_and_everybody_is_served_afterwards
            a_limit_ends_one_execution_and_no_other
            what_templates_print_reaches_the_log
            a_shutdown_lets_run_what_has_time_to_end
            idle_vms_are_evicted_and_listed_vms_are_those_that_are_there
            a_thread_is_drained_while_its_guilds_are_served
            a_guild_moves_and_nothing_is_lost
            every_thread_answers_a_ping
        );
    )+ };
}

strategies! {
    thread_pool: Strategy::ThreadPool;
    thread_per_guild: Strategy::ThreadPerGuild;
    process_pool: Strategy::ProcessPool;
}

const COUNT: &str = "n = (n or 0) + 1 return n";

async fn with(strategy: Strategy) -> TestWorker {
    TestWorker::start_with(|config: &mut Config| {
        config.vm.strategy = strategy;
        config.drills.enabled = true;
        if strategy == Strategy::ThreadPerGuild {
            config.vm.threads = 64;
        }
        config.vm.processes = 2;
    })
    .await
}

/// Guilds that lie apart by what places them by their id.
fn guild(index: u64) -> String {
    (818_880_986_845_679_757 + (index << 22)).to_string()
}

fn vm(index: u64) -> String {
    format!("/api/v1/guilds/{}/vm", guild(index))
}

async fn thread_of(worker: &TestWorker, index: u64) -> u64 {
    worker.get(&vm(index)).await.expect(200)["thread"].as_u64().unwrap()
}

async fn many_guilds_are_served_each_by_its_own_vm_which_stays(worker: TestWorker) {
    for index in 0..12 {
        worker.template(&guild(index), "t", COUNT).await.expect(201);
    }
    for round in 1..4 {
        let path = |index| format!("/api/v1/guilds/{}/events?wait=true", guild(index));
        let event = json!({"name": "MESSAGE_CREATE", "data": {}});
        let sent = |index| tokio::spawn(answer(worker.request(Method::POST, &path(index)).json(&event)));
        let answers: Vec<_> = (0..12).map(sent).collect();
        for one in answers {
            assert_eq!(one.await.unwrap().expect(200)["results"]["t"]["value"], round);
        }
    }
}

async fn guilds_do_not_see_each_other(worker: TestWorker) {
    let look = "local e, ctx = ... local seen = {tostring(mine), tostring(ctx.store.mine)} \
                mine = ctx.guild_id ctx.store.mine = ctx.guild_id return seen";
    for index in 0..4 {
        worker.template(&guild(index), "t", look).await.expect(201);
    }
    for index in 0..4 {
        assert_eq!(worker.event(&guild(index), &json!({})).await["t"]["value"], json!(["nil", "nil"]));
        let own = guild(index);
        assert_eq!(worker.event(&own, &json!({})).await["t"]["value"], json!([own, own]));
    }
}

async fn stopping_a_vm_answers_those_who_wait_and_the_next_event_makes_another(worker: TestWorker) {
    let source = "local e = ... n = (n or 0) + 1 if e.data.wait then task.wait(20) end return n";
    worker.template(&guild(0), "t", source).await.expect(201);
    assert_eq!(worker.event(&guild(0), &json!({})).await["t"]["value"], 1);
    let path = format!("/api/v1/guilds/{}/events?wait=true", guild(0));
    let body = json!({"name": "MESSAGE_CREATE", "data": {"wait": true}});
    let waiting = tokio::spawn(answer(worker.request(Method::POST, &path).json(&body)));
    until("it runs", async || worker.get(&vm(0)).await.expect(200)["in_flight"] == 1).await;
    worker.delete(&vm(0)).await.expect(204);
    assert_eq!(waiting.await.unwrap().expect(200)["results"]["t"]["status"], "vm_broken");
    assert_eq!(worker.event(&guild(0), &json!({})).await["t"]["value"], 1);
}

async fn a_panic_takes_its_own_guild_and_everybody_is_served_afterwards(worker: TestWorker) {
    for index in 0..4 {
        worker.template(&guild(index), "t", COUNT).await.expect(201);
        assert_eq!(worker.event(&guild(index), &json!({})).await["t"]["value"], 1);
    }
    let mut threads = Vec::new();
    for index in 0..4 {
        threads.push(thread_of(&worker, index).await);
    }
    for place in ["loop", "host_function"] {
        let before = worker.event(&guild(0), &json!({})).await["t"]["value"].as_u64().unwrap();
        assert!(before <= 2, "it had a fresh VM after the panic before");
        let drill = json!({"action": "panic", "place": place});
        worker.post(&format!("{}/actions", vm(0)), &drill).await.expect(200);
        until("it is back, with a fresh VM", async || {
            worker.event(&guild(0), &json!({})).await["t"]["value"] == 1
        })
        .await;
    }
    for (index, thread) in (1..4).zip(&threads[1..]) {
        let value = worker.event(&guild(index), &json!({})).await["t"]["value"].clone();
        assert!(
            value == 2 || (value == 1 && *thread == threads[0]),
            "guild {index} on {thread} of {threads:?}: {value}"
        );
    }
}

async fn a_limit_ends_one_execution_and_no_other(worker: TestWorker) {
    worker.template(&guild(0), "spin", "while true do end").await.expect(201);
    worker.template(&guild(0), "wait", "task.wait(3) return 'done'").await.expect(201);
    worker.template(&guild(1), "t", COUNT).await.expect(201);
    let results = worker.event(&guild(0), &json!({})).await;
    assert_eq!(results["spin"]["limit"], "cpu_time", "{results:#}");
    assert_eq!(results["wait"]["value"], "done", "{results:#}");
    assert_eq!(worker.event(&guild(1), &json!({})).await["t"]["value"], 1);
}

async fn what_templates_print_reaches_the_log(worker: TestWorker) {
    let mut lines = worker.app().log.subscribe();
    worker.template(&guild(0), "t", "print('seen', ...) return 1").await.expect(201);
    worker.event(&guild(0), &json!({})).await;
    let line = tokio::time::timeout(std::time::Duration::from_secs(20), lines.recv()).await.unwrap().unwrap();
    assert!(line.text.starts_with("seen"), "{line:?}");
    assert_eq!((line.guild.to_string(), &*line.template), (guild(0), "t"));
}

async fn a_shutdown_lets_run_what_has_time_to_end(worker: TestWorker) {
    worker.template(&guild(0), "t", "task.wait(0.5) return 'done'").await.expect(201);
    let path = format!("/api/v1/guilds/{}/events?wait=true", guild(0));
    let body = json!({"name": "MESSAGE_CREATE", "data": {}});
    let waiting = tokio::spawn(answer(worker.request(Method::POST, &path).json(&body)));
    until("it runs", async || worker.get(&vm(0)).await.expect(200)["in_flight"] == 1).await;
    worker.stop().await;
    assert_eq!(waiting.await.unwrap().expect(200)["results"]["t"]["value"], "done");
}

/// All VMs, by pages of two.
async fn listed(worker: &TestWorker) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = "/api/v1/vms?limit=2".to_owned();
    loop {
        let mut page = worker.get(&path).await.expect(200);
        assert_eq!(page["complete"], true, "{page:#}");
        all.append(page["vms"].as_array_mut().unwrap());
        let Some(after) = page["next_after"].as_str() else { return all };
        path = format!("/api/v1/vms?limit=2&after={after}");
    }
}

async fn idle_vms_are_evicted_and_listed_vms_are_those_that_are_there(worker: TestWorker) {
    let source = "local e = ... n = (n or 0) + 1 if e.data.wait then task.wait(20) end return n";
    for index in 0..5 {
        worker.template(&guild(index), "t", source).await.expect(201);
        worker.event(&guild(index), &json!({})).await;
    }
    let guilds =
        async || -> Vec<Value> { listed(&worker).await.iter_mut().map(|vm| vm["guild_id"].take()).collect() };
    assert_eq!(guilds().await, (0..5).map(guild).map(Value::from).collect::<Vec<_>>());
    for one in listed(&worker).await {
        assert!(
            one["thread"].is_u64() && one["state"] == "ready" && one["memory_used"].as_u64() > Some(0),
            "{one:#}"
        );
    }
    let event = json!({"name": "MESSAGE_CREATE", "data": {"wait": true}});
    worker.post(&format!("/api/v1/guilds/{}/events", guild(3)), &event).await.expect(202);
    until("it runs", async || worker.get(&vm(3)).await.expect(200)["in_flight"] == 1).await;
    let none = worker.post("/api/v1/vms/evict-idle?idle_s=3600", &json!({})).await.expect(200);
    assert_eq!(none, json!({"evicted": 0, "complete": true}));
    let most = worker.post("/api/v1/vms/evict-idle?idle_s=0", &json!({})).await.expect(200);
    assert_eq!(most, json!({"evicted": 4, "complete": true}));
    assert_eq!(guilds().await, [guild(3)]);
    assert_eq!(worker.event(&guild(0), &json!({})).await["t"]["value"], 1, "a fresh VM");
    worker.delete(&vm(3)).await.expect(204);
}

async fn a_thread_is_drained_while_its_guilds_are_served(worker: TestWorker) {
    let source =
        "local e = ... n = (n or 0) + 1 local own = n if e.data.wait then task.wait(0.5) end return own";
    for index in 0..4 {
        worker.template(&guild(index), "t", source).await.expect(201);
        worker.event(&guild(index), &json!({})).await;
    }
    let drained = thread_of(&worker, 0).await;
    let path = format!("/api/v1/guilds/{}/events?wait=true", guild(0));
    let body = json!({"name": "MESSAGE_CREATE", "data": {"wait": true}});
    let running = tokio::spawn(answer(worker.request(Method::POST, &path).json(&body)));
    until("it runs", async || worker.get(&vm(0)).await.expect(200)["in_flight"] == 1).await;
    let request = || worker.request(Method::DELETE, &format!("/api/v1/threads/{drained}?drain_ms=20000"));
    // Two at a time, of which each ends.
    let drains = [tokio::spawn(answer(request())), tokio::spawn(answer(request()))];
    let mut values = BTreeSet::new();
    for _ in 0..20 {
        for index in 0..4 {
            let outcome = worker.event(&guild(index), &json!({})).await["t"].clone();
            assert_eq!(outcome["status"], "ok", "{outcome:#}");
            values.insert(outcome["value"].as_u64());
        }
    }
    let ran = running.await.unwrap().expect(200)["results"]["t"].take();
    assert_eq!(ran["value"], 2, "what ran had its time: {ran:#}");
    for drain in drains {
        let drain = drain.await.unwrap();
        if drain.status != 404 {
            assert_eq!(drain.expect(200)["ended"], true);
        }
    }
    let threads = worker.get("/api/v1/threads").await.expect(200);
    assert!(
        threads["threads"].as_array().unwrap().iter().all(|thread| thread["id"] != drained),
        "{threads:#}"
    );
    assert_ne!(thread_of(&worker, 0).await, drained);
    worker.delete(&format!("/api/v1/threads/{drained}")).await.problem(404, "not_found");
}

async fn a_guild_moves_and_nothing_is_lost(worker: TestWorker) {
    worker
        .template(
            &guild(0),
            "t",
            "local e = ... n = (n or 0) + 1 local own = n if e.data.wait then task.wait(0.5) end return own",
        )
        .await
        .expect(201);
    worker.template(&guild(1), "t", COUNT).await.expect(201);
    worker.event(&guild(0), &json!({})).await;
    worker.event(&guild(1), &json!({})).await;
    let (from, to) = (thread_of(&worker, 0).await, thread_of(&worker, 1).await);
    assert_ne!(from, to);
    let path = format!("/api/v1/guilds/{}/events?wait=true", guild(0));
    let send = |data| {
        let body = json!({"name": "MESSAGE_CREATE", "data": data});
        tokio::spawn(answer(worker.request(Method::POST, &path).json(&body)))
    };
    let running = send(json!({"wait": true}));
    until("it runs", async || worker.get(&vm(0)).await.expect(200)["in_flight"] == 1).await;
    let actions = format!("{}/actions", vm(0));
    let body = json!({"action": "move", "thread": to});
    let moving = tokio::spawn(answer(worker.request(Method::POST, &actions).json(&body)));
    let meanwhile: Vec<_> = (0..10).map(|_| send(json!({}))).collect();
    assert_eq!(running.await.unwrap().expect(200)["results"]["t"]["value"], 2);
    assert_eq!(moving.await.unwrap().expect(200)["result"], "done");
    for one in meanwhile {
        assert_eq!(one.await.unwrap().expect(200)["results"]["t"]["status"], "ok");
    }
    // Those may all have been answered before the move: its VM is then made by the next.
    worker.event(&guild(0), &json!({})).await;
    assert_eq!(thread_of(&worker, 0).await, to);
    let nowhere = json!({"action": "move", "thread": 9_999});
    worker.post(&actions, &nowhere).await.problem(404, "not_found");
}

async fn every_thread_answers_a_ping(worker: TestWorker) {
    worker.template(&guild(0), "t", "while true do end").await.expect(201);
    worker
        .post(&format!("/api/v1/guilds/{}/events", guild(0)), &json!({"name": "MESSAGE_CREATE", "data": {}}))
        .await
        .expect(202);
    let threads = worker.get("/api/v1/threads").await.expect(200);
    for thread in threads["threads"].as_array().unwrap() {
        let pong =
            worker.post(&format!("/api/v1/threads/{}/ping", thread["id"]), &json!({})).await.expect(200);
        assert!(pong["answered"] == true && pong["after_us"].is_u64(), "{pong}");
    }
    worker.post("/api/v1/threads/9999/ping", &json!({})).await.problem(404, "not_found");
    worker.post("/api/v1/threads/x/ping", &json!({})).await.problem(400, "invalid_thread_id");
}
