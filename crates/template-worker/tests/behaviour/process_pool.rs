//! VMs in processes: what an operator sees of them, and what becomes of a process that fails.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use template_worker::dispatch::{Dispatcher, GuildLimits, TemplateCache};
use template_worker::events::Event;
use template_worker::execution::{Compiler, Loader, OutcomeResult, TemplateLog};
use template_worker::host::Nowhere;
use template_worker::host::discord::BotUser;
use template_worker::ids::{EventId, GuildId};
use template_worker::limits::Limits;
use template_worker::metrics::Metrics;
use template_worker::shutdown::Stopping;
use template_worker::storage::{SqliteStorage, Storage};
use template_worker::template::TemplateDraft;
use template_worker::vm::process::escape::Attempt;
use template_worker::vm::quarantine::{Break, BreakReports, Quarantine};
use template_worker::vm::strategy::{self, Shared};
use testkit::{GUILD, TestWorker};

use super::process::Service;

/// In the same process as [`GUILD`], of two; and the same in the other one.
const NEIGHBOUR: &str = "818880986845679758";
const ELSEWHERE: &str = "818880986849874061";

fn processes(config: &mut Config) {
    config.vm.strategy = Strategy::ProcessPool;
    config.vm.processes = 2;
    config.drills.enabled = true;
}

/// The processes that this test's service has started.
fn children() -> Vec<Pid> {
    children_of(std::process::id())
}

/// The processes that a process has started.
pub(super) fn children_of(own: u32) -> Vec<Pid> {
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
    // On a machine with too much to do, a process may be replaced before the event gets to it: then the next one hangs.
    let mut result = json!(null);
    testkit::until("a process hangs that owes an answer", async || {
        for pid in children() {
            // It may have ended meanwhile.
            let _ = kill(pid, Signal::SIGSTOP);
        }
        result = worker.event(GUILD, &json!({})).await;
        result["t"]["status"] == "vm_broken"
    })
    .await;
    assert!(result["t"]["reason"].as_str().unwrap().contains("did not answer"), "{result}");
    testkit::until("it is back", async || worker.event(GUILD, &json!({})).await["t"]["status"] == "ok").await;
    worker.stop().await;
}

/// The worker that a guild's VM lives on.
async fn place(worker: &TestWorker, guild: &str) -> u64 {
    let status = worker.get(&format!("/api/v1/guilds/{guild}/vm")).await.expect(200);
    status["thread"].as_u64().unwrap_or_else(|| panic!("{status}"))
}

/// How many guilds each worker has.
fn guilds(worker: &TestWorker) -> Vec<usize> {
    worker.app().dispatcher.threads().iter().map(|thread| thread.guilds).collect()
}

#[tokio::test]
async fn a_guild_has_its_place_by_its_id_and_one_apart_has_a_process_of_its_own() {
    const APART: &str = "818880986854068365";
    let worker = TestWorker::start_with(|config| {
        processes(config);
        config.vm.guilds_apart = vec![APART.parse().unwrap()];
    })
    .await;
    assert_eq!(children().len(), 2, "the one apart is started when it is needed");
    let all = [GUILD, NEIGHBOUR, ELSEWHERE, APART];
    let mut places = Vec::new();
    for guild in all {
        worker.template(guild, "t", "n = (n or 0) + 1 return n").await.expect(201);
        assert_eq!(worker.event(guild, &json!({})).await["t"]["value"], 1);
        places.push(place(&worker, guild).await);
    }
    assert_eq!(places[0], places[1]);
    assert_eq!(places.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{places:?}");
    let mut spread = guilds(&worker);
    spread.sort_unstable();
    assert_eq!((spread, children().len()), (vec![1, 1, 2], 3));
    // The newest is that of the guild apart.
    let newest = children().into_iter().max().unwrap();
    kill(newest, Signal::SIGKILL).unwrap();
    testkit::until("it is back", async || worker.event(APART, &json!({})).await["t"]["value"] == 1).await;
    for guild in [GUILD, NEIGHBOUR, ELSEWHERE] {
        assert_eq!(worker.event(guild, &json!({})).await["t"]["value"], 2, "{guild} has not noticed");
    }
}

/// A service in a process group of its own, whose VMs are in processes.
fn service(data: &Path) -> Service {
    let service = Service::start(data, |command| {
        command.env("TEMPLATE_WORKER_VM__STRATEGY", "process-pool").env("TEMPLATE_WORKER_VM__PROCESSES", "2");
        command.process_group(0);
    });
    assert_eq!(children_of(service.child.id()).len(), 2);
    service
}

/// Whether the process runs: not if it has ended and nobody has taken note of that.
fn runs(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[tokio::test]
async fn no_process_outlives_its_service() {
    let data = tempfile::tempdir().unwrap();
    let mut service = service(data.path());
    let processes = children_of(service.child.id());
    assert!(processes.iter().all(|pid| runs(*pid)));
    service.child.kill().unwrap();
    testkit::until("they end", async || !processes.iter().any(|pid| runs(*pid))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_from_a_terminal_ends_no_process_before_it_has_answered() {
    let data = tempfile::tempdir().unwrap();
    let mut service = service(data.path());
    let (client, token) = (testkit::client(), service.token());
    let guild = format!("{}/api/v1/guilds/{GUILD}", service.url);
    let template = json!({"files": {"init.luau": "task.wait(1) return 'done'"}, "events": ["Discord"], "capabilities": []});
    let put = client.put(format!("{guild}/templates/t")).bearer_auth(&token).json(&template);
    assert_eq!(put.send().await.unwrap().status(), 201);
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let post = client.post(format!("{guild}/events?wait=true")).bearer_auth(&token).json(&event);
    let waiting = tokio::spawn(async move { post.send().await.unwrap().json::<Value>().await.unwrap() });
    testkit::until("it runs", async || {
        let get = client.get(format!("{guild}/vm")).bearer_auth(&token);
        get.send().await.unwrap().json::<Value>().await.unwrap()["in_flight"] == 1
    })
    .await;
    let processes = children_of(service.child.id());
    let group = i32::try_from(service.child.id()).unwrap();
    kill(Pid::from_raw(-group), Signal::SIGINT).unwrap();
    let answer = waiting.await.unwrap();
    assert_eq!(answer["results"]["t"]["value"], "done", "{answer}");
    let ended = tokio::task::spawn_blocking(move || service.wait(Duration::from_secs(20)));
    assert_eq!(ended.await.unwrap(), Some(0));
    assert!(!processes.iter().any(|pid| runs(*pid)), "{processes:?}");
}

/// Writes down who broke what.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Break>>);

impl BreakReports for Recorder {
    fn report(&self, broke: Break) {
        self.0.lock().unwrap().push(broke);
    }
}

/// Sends `signal` to a process while a template of its runs, and returns who is blamed for that.
async fn blamed_for(signal: Signal) -> Vec<Break> {
    let mut config = Config::for_testing();
    processes(&mut config);
    config.vm.processes = 1;
    config.vm.process_program = testkit::program();
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::in_memory().await.unwrap());
    let limits = Arc::new(Limits { max_cpu_time_ms: 25_000, ..config.limits });
    let (log, breaks, metrics) =
        (TemplateLog::default(), Arc::<Recorder>::default(), Arc::new(Metrics::new(&limits)));
    let heard = Arc::clone(&breaks) as Arc<dyn BreakReports>;
    let shared = Shared::new(Arc::clone(&limits), &config.vm, metrics, log.clone(), heard, Arc::new(Nowhere));
    let shared = Arc::new(shared.unwrap());
    let strategy = strategy::start(&config.vm, true, &shared).unwrap();
    let compiler = Compiler::start(limits.max_vm_thread_stack_size).unwrap();
    let loader = Loader::new(compiler, BotUser::default());
    let templates = TemplateCache::new(Arc::clone(&storage), loader, log.clone());
    let limits = GuildLimits::load(Arc::clone(&storage), limits).await.unwrap();
    let quarantine = Arc::new(Quarantine::new(log.clone()));
    let (running, stopping) = (Arc::clone(&strategy), Stopping::default());
    let dispatcher = Dispatcher::new(templates, limits, quarantine, running, Arc::clone(&shared), stopping);

    let (spins, rests): (GuildId, GuildId) = (GUILD.parse().unwrap(), NEIGHBOUR.parse().unwrap());
    let event = |guild| {
        let name = "MESSAGE_CREATE".parse().unwrap();
        Event::new(EventId::fresh(), guild, name, None, Vec::new(), "{}".into()).unwrap()
    };
    for (guild, name, source) in [
        (spins, "greets", "return 'hello'"),
        (spins, "spins", "print('on and on') while true do end"),
        (rests, "waits", "task.wait(20)"),
    ] {
        let bundle = khronos::Bundle::new([("init.luau".to_owned(), source.to_owned())]).unwrap();
        let draft = TemplateDraft {
            bundle: Arc::new(bundle),
            events: vec!["MESSAGE_CREATE".parse().unwrap()],
            capabilities: Default::default(),
            description: String::new(),
            error_channel: None,
            paused: false,
            author: None,
        };
        storage.put_template(guild, &name.parse().unwrap(), draft, None, 10).await.unwrap();
    }
    let mut lines = log.subscribe();
    let waits = dispatcher.dispatch(event(rests)).await.unwrap();
    let accepted = event(spins);
    let id = accepted.id().clone();
    let runs = dispatcher.dispatch(accepted).await.unwrap();
    let line = lines.recv().await.unwrap();
    assert_eq!(
        (line.guild, &*line.template, line.event, line.text.as_str()),
        (spins, "spins", Some(id), "on and on")
    );

    let [process] = children()[..] else { panic!("{:?}", children()) };
    let ended = async || {
        // The first one is taken for a stack that is full; a process that is gone takes none.
        kill(process, signal).is_err() || children() != [process]
    };
    testkit::until("it ends", ended).await;
    for (accepted, templates) in [(waits, 1), (runs, 2)] {
        let outcomes = accepted.outcomes(Duration::from_secs(60)).await;
        let broken = outcomes.values().filter(|outcome| {
            let reason = format!("signal {}", signal as i32);
            matches!(&outcome.result, OutcomeResult::VmBroken { reason: said } if said.contains(&reason))
        });
        assert_eq!((outcomes.len(), broken.count() >= 1), (templates, true), "{outcomes:?}");
    }
    testkit::until("a new one is there", async || children().len() == 1 && children()[0] != process).await;
    assert!(strategy.stop(std::time::Instant::now() + Duration::from_secs(5)).await);
    assert_eq!(shared.owed.count(), 0);
    std::mem::take(&mut breaks.0.lock().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_crashes_names_the_template_that_it_ran_and_one_that_is_killed_names_none() {
    assert_eq!(blamed_for(Signal::SIGKILL).await, []);
    for signal in [Signal::SIGABRT, Signal::SIGSEGV] {
        let blamed = blamed_for(signal).await;
        let who: Vec<_> =
            blamed.iter().map(|broke| (broke.guild.to_string(), broke.template.clone())).collect();
        assert_eq!(who, [(GUILD.to_owned(), Some("spins".parse().unwrap()))], "{blamed:?}");
        assert!(blamed[0].reason.contains(&format!("signal {}", signal as i32)), "{blamed:?}");
    }
}

#[tokio::test]
async fn a_stop_answers_what_runs_in_processes_and_leaves_none_of_them() {
    let worker = TestWorker::start_with(|config| {
        processes(config);
        config.server.drain_time_ms = 1_500;
    })
    .await;
    worker.template(GUILD, "endless", "task.wait(100)").await.expect(201);
    worker.template(GUILD, "short", "task.wait(1) return 'done'").await.expect(201);
    let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let waiting = tokio::spawn(testkit::answer(worker.request(Method::POST, &path).json(&event)));
    let status = format!("/api/v1/guilds/{GUILD}/vm");
    testkit::until("it runs", async || worker.get(&status).await.expect(200)["in_flight"] == 2).await;
    worker.stop().await;
    let results = waiting.await.unwrap().expect(200)["results"].take();
    assert_eq!(results["short"]["value"], "done", "{results}");
    assert!(results["endless"]["reason"].as_str().unwrap().contains("shutting down"), "{results}");
    assert_eq!(children(), []);
}

#[tokio::test]
async fn a_guild_that_loses_its_vm_leaves_its_place() {
    let worker = TestWorker::start_with(|config| {
        processes(config);
        config.vm.idle_ms = 200;
    })
    .await;
    let status = async |guild: &str| worker.get(&format!("/api/v1/guilds/{guild}/vm")).await.expect(200);
    for guild in [GUILD, NEIGHBOUR, ELSEWHERE] {
        worker.template(guild, "t", "n = (n or 0) + 1 return n").await.expect(201);
        worker.event(guild, &json!({})).await;
    }
    testkit::until("all are evicted", async || guilds(&worker) == [0, 0]).await;
    assert_eq!(status(GUILD).await["state"], "absent");
    let action = json!({"action": "stop"});
    for round in 0..20 {
        let guild = [GUILD, NEIGHBOUR, ELSEWHERE][round % 3];
        assert_eq!(worker.event(guild, &json!({})).await["t"]["value"], 1);
        let stopped = worker.post(&format!("/api/v1/guilds/{guild}/vm/actions"), &action).await;
        assert!(
            [200, 409].contains(&stopped.status.as_u16()),
            "it is stopped, or was evicted before: {stopped:?}"
        );
        testkit::until("it has left", async || guilds(&worker) == [0, 0]).await;
    }
}

#[tokio::test]
async fn a_process_keeps_up_with_templates_and_limits_that_change() {
    let worker = TestWorker::start_with(|config| {
        processes(config);
        config.vm.processes = 1;
    })
    .await;
    // More versions than a process remembers before it is told to forget old ones.
    for version in 0..100 {
        let source = format!("return {version}");
        let answer = worker.template(GUILD, "t", &source).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let limits = json!({"max_template_memory_usage": (3 << 20) + version});
        worker.put(&format!("/api/v1/guilds/{GUILD}/limits"), &limits).await.expect(200);
        let result = worker.event(GUILD, &json!({})).await;
        assert_eq!(result["t"]["value"], version, "{result}");
        let status = worker.get(&format!("/api/v1/guilds/{GUILD}/vm")).await.expect(200);
        assert_eq!(status["memory_limit"], (3 << 20) + version, "{status}");
    }
    let restarts: u32 = worker.app().dispatcher.threads().iter().map(|thread| thread.restarts).sum();
    assert_eq!(restarts, 0);
}

#[tokio::test]
async fn a_drill_that_tries_to_get_out_is_refused_at_every_door() {
    let path = format!("/api/v1/guilds/{GUILD}/vm/actions");
    let drill = |attempt: Attempt| json!({"action": "escape", "attempt": attempt.name()});
    let start = async |change: fn(&mut Config)| {
        let worker = TestWorker::start_with(change).await;
        worker.template(GUILD, "t", "return 1").await.expect(201);
        worker.event(GUILD, &json!({})).await;
        worker
    };
    let locked = start(processes).await;
    for attempt in Attempt::ALL {
        let tried: Value = locked.post(&path, &drill(attempt)).await.expect(200);
        assert_eq!(
            (&tried["result"], &tried["escape"]),
            (&json!("escape"), &json!("refused")),
            "{attempt:?}: {tried}"
        );
    }
    assert_eq!(locked.event(GUILD, &json!({})).await["t"]["value"], 1, "and the process lives on");
    let switched_off = start(|config| {
        processes(config);
        config.drills.enabled = false;
    })
    .await;
    switched_off.post(&path, &drill(Attempt::Exec)).await.problem(403, "drills_disabled");
    let threads = start(|config| config.drills.enabled = true).await;
    threads.post(&path, &drill(Attempt::Exec)).await.problem(422, "refused");
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
