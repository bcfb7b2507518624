//! How VMs come and go: made ahead of need, and closed when nobody needs them or memory is short.

use serde_json::{Value, json};
use template_worker::config::Config;
use testkit::{GUILD, TestWorker, until};

const COUNT: &str = "n = (n or 0) + 1 return n";

/// Keeps `event.data.keep` bytes from the first event on, and with `event.data.stay` a task that sleeps.
const KEEP: &str = "local e = ... kept = kept or buffer.create(e.data.keep) n = (n or 0) + 1 \
                    if e.data.stay then task.delay(20, print) end return n";

fn guild(index: u64) -> String {
    (818_880_986_845_679_757 + index).to_string()
}

/// One thread, no warm VMs, no eviction, unless `change` says otherwise.
async fn one_thread(change: impl FnOnce(&mut Config)) -> TestWorker {
    TestWorker::start_with(|config| {
        config.vm.threads = 1;
        config.vm.warm_vms = 0;
        config.vm.idle_ms = 0;
        change(config);
    })
    .await
}

/// As many guilds, each with the template `t`.
async fn guilds(worker: &TestWorker, count: u64, source: &str) {
    for index in 0..count {
        worker.template(&guild(index), "t", source).await.expect(201);
    }
}

async fn value(worker: &TestWorker, index: u64, data: Value) -> Value {
    let outcome = worker.event(&guild(index), &data).await["t"].take();
    assert_eq!(outcome["status"], "ok", "{outcome:#}");
    outcome["value"].clone()
}

/// Sends an event and does not wait for its outcome.
async fn start(worker: &TestWorker, index: u64, data: Value) {
    let event = json!({"name": "MESSAGE_CREATE", "data": data});
    worker.post(&format!("/api/v1/guilds/{}/events", guild(index)), &event).await.expect(202);
}

async fn state(worker: &TestWorker, index: u64) -> Value {
    worker.get(&format!("/api/v1/guilds/{}/vm", guild(index))).await.expect(200)["state"].take()
}

async fn stop_vm(worker: &TestWorker, index: u64) {
    worker.delete(&format!("/api/v1/guilds/{}/vm", guild(index))).await.expect(204);
}

#[tokio::test]
async fn a_guilds_first_event_takes_a_warm_vm_and_the_pool_is_filled_again_in_idle_time() {
    let worker = one_thread(|config| {
        config.vm.warm_vms = 2;
        config.limits.max_cpu_time_ms = 30_000;
    })
    .await;
    let shared = &worker.app().shared;
    guilds(&worker, 4, "local e = ... n = (n or 0) + 1 while e.data.spin do end return n").await;
    until("two VMs are warm", async || shared.warm.count() == 2).await;
    assert_eq!(shared.vms.count(), 0, "a warm VM is no guild's");

    // While a guild spins there is no idle time.
    start(&worker, 0, json!({"spin": true})).await;
    until("the first guild has a warm one", async || shared.vms.count() == 1).await;
    for (index, left) in [(1, 0), (2, 0), (3, 0)] {
        assert_eq!(value(&worker, index, json!({})).await, 1);
        assert_eq!((shared.warm.count(), shared.vms.count()), (left, usize::try_from(index).unwrap() + 1));
    }
    stop_vm(&worker, 0).await;
    until("the pool is full again", async || shared.warm.count() == 2).await;
    assert_eq!(value(&worker, 1, json!({})).await, 2, "guilds keep theirs");
}

#[tokio::test]
async fn a_thread_that_replaces_a_panicked_one_has_warm_vms_of_its_own() {
    let worker = one_thread(|config| {
        config.vm.warm_vms = 3;
        config.drills.enabled = true;
    })
    .await;
    let (app, shared) = (worker.app(), &worker.app().shared);
    guilds(&worker, 1, COUNT).await;
    assert_eq!(value(&worker, 0, json!({})).await, 1);
    until("three VMs are warm", async || shared.warm.count() == 3).await;
    worker.post(&format!("/api/v1/guilds/{GUILD}/vm/actions"), &json!({"action": "panic"})).await.expect(200);
    until("the thread is replaced", async || {
        app.dispatcher.threads().first().is_some_and(|thread| thread.restarts == 1)
    })
    .await;
    until("three VMs are warm again", async || shared.warm.count() == 3).await;
    assert_eq!(value(&worker, 0, json!({})).await, 1);
}

#[tokio::test]
async fn an_idle_vm_is_closed_and_the_next_event_makes_a_fresh_one() {
    let worker = one_thread(|config| config.vm.idle_ms = 100).await;
    let shared = &worker.app().shared;
    guilds(&worker, 3, COUNT).await;
    for round in 0..2 {
        for index in 0..3 {
            assert_eq!(value(&worker, index, json!({})).await, 1, "round {round}");
        }
        until("all idle VMs are closed", async || shared.vms.count() == 0).await;
        assert_eq!(state(&worker, 0).await, "absent");
        assert_eq!(worker.app().dispatcher.threads()[0].guilds, 0, "their guilds have no place any more");
        assert_eq!(shared.memory.used(), 0);
    }
}

#[tokio::test]
async fn a_vm_in_which_a_task_sleeps_is_not_idle() {
    let worker = one_thread(|config| config.vm.idle_ms = 20).await;
    let shared = &worker.app().shared;
    guilds(&worker, 2, KEEP).await;
    let (stay, leave) = (json!({"keep": 1, "stay": true}), json!({"keep": 1}));
    assert_eq!(value(&worker, 0, stay).await, 1);
    for _ in 0..3 {
        assert_eq!(value(&worker, 1, leave.clone()).await, 1);
        until("the idle VM is closed", async || shared.vms.count() == 1).await;
    }
    assert_eq!(value(&worker, 0, leave).await, 2, "it was not closed while its task slept");
}

#[tokio::test]
async fn an_event_at_the_moment_of_eviction_is_answered() {
    let worker = TestWorker::start_with(|config| config.vm.idle_ms = 1).await;
    guilds(&worker, 4, COUNT).await;
    let send = |index: u64| {
        let path = format!("/api/v1/guilds/{}/events?wait=true", guild(index));
        let event = json!({"name": "MESSAGE_CREATE", "data": {}});
        tokio::spawn(testkit::answer(worker.request(reqwest::Method::POST, &path).json(&event)))
    };
    for _ in 0..50 {
        for answer in (0..8).map(|index| send(index % 4)).collect::<Vec<_>>() {
            let results = answer.await.unwrap().expect(200)["results"].clone();
            assert!(results["t"]["value"].as_u64().is_some_and(|n| n > 0), "{results:#}");
        }
    }
    until("all are evicted", async || worker.app().shared.vms.count() == 0).await;
    let routed: usize = worker.app().dispatcher.threads().iter().map(|thread| thread.guilds).sum();
    assert_eq!(routed, 0);
    assert_eq!(value(&worker, 0, json!({})).await, 1);
}

#[tokio::test]
async fn when_memory_is_short_the_vm_that_was_used_least_recently_goes_first() {
    let worker = one_thread(|config| config.vm.max_memory = 20 << 20).await;
    let shared = &worker.app().shared;
    guilds(&worker, 4, KEEP).await;
    let keep = json!({"keep": 5_000_000});
    for (index, n) in [(0, 1), (1, 1), (2, 1), (0, 2)] {
        assert_eq!(value(&worker, index, keep.clone()).await, n);
    }
    assert_eq!(shared.vms.count(), 3, "three have room");
    assert_eq!(value(&worker, 3, keep.clone()).await, 1);
    until("one had to go", async || shared.vms.count() == 3).await;
    assert!(!shared.memory.is_short(), "{} of {}", shared.memory.used(), shared.memory.most());
    let mut states = Vec::new();
    for index in 0..4 {
        states.push(state(&worker, index).await);
    }
    assert_eq!(states, ["ready", "absent", "ready", "ready"]);
    assert_eq!(value(&worker, 0, keep).await, 3);
}

#[tokio::test]
async fn a_thread_that_sleeps_gives_up_its_idle_vms_when_another_one_needs_the_memory() {
    let worker = TestWorker::start_with(|config| {
        config.vm.max_memory = 10 << 20;
        config.vm.warm_vms = 0;
    })
    .await;
    guilds(&worker, 2, KEEP).await;
    assert_eq!(value(&worker, 0, json!({"keep": 5_000_000})).await, 1);
    assert_eq!(value(&worker, 1, json!({"keep": 6_000_000, "stay": true})).await, 1);
    until("the idle one is closed", async || worker.app().shared.vms.count() == 1).await;
    assert_eq!(state(&worker, 0).await, "absent");
    assert_eq!(state(&worker, 1).await, "busy");
}

#[tokio::test]
async fn when_no_vm_is_idle_and_memory_is_short_a_new_guild_hears_so_at_once() {
    let worker = one_thread(|config| {
        config.vm.max_memory = 10 << 20;
        config.vm.warm_vms = 3;
    })
    .await;
    let shared = &worker.app().shared;
    guilds(&worker, 2, KEEP).await;
    until("three VMs are warm", async || shared.warm.count() == 3).await;
    assert_eq!(value(&worker, 0, json!({"keep": 11_000_000, "stay": true})).await, 1);
    until("the warm ones are given up", async || shared.warm.count() == 0).await;

    let refused = worker.event(&guild(1), &json!({"keep": 1})).await["t"].take();
    assert_eq!(refused["status"], "vm_broken", "{refused:#}");
    assert!(refused["reason"].as_str().unwrap().contains("raise `vm.max_memory`"), "{refused:#}");
    assert_eq!((shared.vms.count(), worker.app().dispatcher.threads()[0].guilds), (1, 1));
    assert_eq!(state(&worker, 0).await, "busy", "whoever has a VM keeps it");

    stop_vm(&worker, 0).await;
    assert_eq!(value(&worker, 1, json!({"keep": 1})).await, 1);
    until("three VMs are warm again", async || shared.warm.count() == 3).await;
}
