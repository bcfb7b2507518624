//! VMs in processes: what an operator sees of them, and what becomes of a process that fails.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use template_worker::config::{Config, Strategy};
use testkit::{GUILD, TestWorker};

fn processes(config: &mut Config) {
    config.vm.strategy = Strategy::ProcessPool;
    config.vm.processes = 2;
    config.drills.enabled = true;
}

/// The processes that this test's service has started.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let path = format!("/proc/{own}/task");
    let tasks = std::fs::read_dir(path).unwrap();
    let of_task =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: String = tasks.map(|task| of_task(task.unwrap()) + " ").collect();
    all.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

#[tokio::test]
async fn a_guild_lives_in_a_process_and_comes_back_after_its_death() {
    let worker = TestWorker::start_with(processes).await;
    worker.template(GUILD, "t", "n = (n or 0) + 1 return n").await.expect(201);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 1);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 2);
    let before = children();
    assert_eq!(before.len(), 2, "{before:?}");
    for pid in &before {
        kill(*pid, Signal::SIGKILL).unwrap();
    }
    testkit::until("it is back", async || worker.event(GUILD, &json!({})).await["t"]["status"] == "ok").await;
    let after = children();
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
    let threads = worker.get("/api/v1/threads").await.expect(200);
    assert!(threads["threads"].as_array().unwrap().iter().all(|thread| thread["restarts"] == 1), "{threads}");
}

#[tokio::test]
async fn a_process_that_hangs_is_replaced_and_what_it_owes_is_answered() {
    let worker = TestWorker::start_with(|config| {
        processes(config);
        config.vm.heartbeat_ms = 1_000;
    })
    .await;
    worker.template(GUILD, "t", "return 1").await.expect(201);
    worker.event(GUILD, &json!({})).await;
    for pid in children() {
        kill(pid, Signal::SIGSTOP).unwrap();
    }
    let result = worker.event(GUILD, &json!({})).await;
    assert_eq!(result["t"]["status"], "vm_broken", "{result}");
    assert!(result["t"]["reason"].as_str().unwrap().contains("did not answer"), "{result}");
    testkit::until("it is back", async || worker.event(GUILD, &json!({})).await["t"]["status"] == "ok").await;
}

#[tokio::test]
async fn what_happens_in_a_process_is_in_the_metrics_of_the_service_once() {
    let worker = TestWorker::start_with(processes).await;
    worker.template(GUILD, "t", "local n = 0 for i = 1, 1e6 do n += 1 end return n").await.expect(201);
    worker.event(GUILD, &json!({})).await;
    let shown = async |line: &str| {
        let text = testkit::answer(worker.anonymous(reqwest::Method::GET, "/metrics")).await.expect(200);
        text.as_str().unwrap().lines().any(|found| found == line)
    };
    for line in [
        "template_worker_executions_total{status=\"ok\"} 1",
        "template_worker_stage_seconds_count{stage=\"queue\"} 1",
        "template_worker_stage_seconds_count{stage=\"decode\"} 1",
        "template_worker_stage_seconds_count{stage=\"run\"} 1",
        "template_worker_stage_seconds_count{stage=\"total\"} 1",
        "template_worker_template_memory_bytes_count 1",
        "template_worker_vms{state=\"idle\"} 1",
        "template_worker_counts_rejected_total 0",
    ] {
        testkit::until(line, async || shown(line).await).await;
    }
    kill(children()[0], Signal::SIGKILL).unwrap();
    let line = "template_worker_worker_restarts_total{kind=\"process\"} 1";
    testkit::until(line, async || shown(line).await).await;
}
