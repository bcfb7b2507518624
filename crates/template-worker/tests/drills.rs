//! Two hundred guilds under load, while their workers die one after the other. A test of its own process, since it reads
//! what the process uses.
//!
//! The short one runs always; the long one, with a death every second for half a minute, is asked for:
//! `cargo nextest run -p template-worker --test drills --run-ignored all --no-capture`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]
#![expect(
    clippy::print_stdout,
    reason = "the times are for people: a test that judged them would fail on a busy machine"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use template_worker::config::{Config, Strategy};
use template_worker::dispatch::Dispatcher;
use template_worker::events::Event;
use template_worker::execution::OutcomeResult;
use template_worker::ids::{EventId, GuildId, ThreadId};
use template_worker::vm::{LuaVmAction, PanicPlace};
use testkit::TestWorker;

const GUILDS: u64 = 200;
/// Between the answer to an event and the guild's next one.
const PAUSE: Duration = Duration::from_millis(40);
/// How often the guild's VM has been asked, which starts anew with the VM.
const SOURCE: &str = "n = (n or 0) + 1 local sum = 0 for i = 1, 1000 do sum += i end return n";

/// How much of a drill there is.
#[derive(Clone, Copy)]
struct Length {
    /// Deaths, of which the first third warms up.
    deaths: u32,
    /// From one to the next, at least.
    between: Duration,
}

const SHORT: Length = Length { deaths: 6, between: Duration::ZERO };
const LONG: Length = Length { deaths: 30, between: Duration::from_secs(1) };

fn guild(index: u64) -> GuildId {
    GuildId::new(818_880_986_845_679_757 + (index << 22)).unwrap()
}

/// An event that was accepted, and what came of it.
struct Seen {
    sent: Instant,
    answered: Instant,
    /// What it returned; `None` where its worker died of something else.
    value: Option<u64>,
}

/// Sends a guild's events one after the other until it is told to stop. Every one that is accepted is answered, once.
async fn load(
    dispatcher: Dispatcher,
    guild: GuildId,
    answers: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
) -> Vec<Seen> {
    let mut all = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let name = "MESSAGE_CREATE".parse().unwrap();
        let event = Event::new(EventId::fresh(), guild, name, None, Vec::new(), "{}".into()).unwrap();
        let sent = Instant::now();
        let accepted = dispatcher.dispatch(event).await.unwrap();
        let outcomes = accepted.outcomes(Duration::from_secs(30)).await;
        assert_eq!(outcomes.len(), 1);
        let value = match &outcomes.into_values().next().unwrap().result {
            OutcomeResult::Ok { value } => Some(value.to_string().parse::<f64>().unwrap() as u64),
            OutcomeResult::VmBroken { .. } => None,
            other => panic!("{guild}: {other:?}"),
        };
        all.push(Seen { sent, answered: Instant::now(), value });
        answers.fetch_add(value.is_some().into(), Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
    all
}

/// What this process and its children use.
#[derive(Debug, Clone, Copy)]
struct Use {
    /// KiB of memory.
    memory: u64,
    descriptors: usize,
    children: usize,
}

impl Use {
    fn now() -> Self {
        khronos::give_back_free_memory();
        let children = children();
        Self {
            memory: resident("self") + children.iter().map(|pid| resident(&pid.to_string())).sum::<u64>(),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            children: children.len(),
        }
    }
}

/// Of a process, in KiB: nothing once it has ended.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The processes that this one has started, those that ended and were not buried included.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).unwrap();
    let of_task =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: String = tasks.map(|task| of_task(task.unwrap()) + " ").collect();
    all.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

/// The workers by number: how many guilds they have, and how often they were replaced.
fn workers(dispatcher: &Dispatcher) -> BTreeMap<ThreadId, (usize, u32)> {
    let all = dispatcher.threads().into_iter();
    all.map(|worker| (worker.id, (worker.guilds, worker.restarts))).collect()
}

/// Lets `die` end a worker again and again, of a service that is under load.
async fn drill(length: Length, change: impl FnOnce(&mut Config), die: impl AsyncFn(&Dispatcher, u32)) {
    let worker = TestWorker::start_with(|config| {
        config.drills.enabled = true;
        change(config);
    })
    .await;
    let dispatcher = worker.app().dispatcher.clone();
    let answers: Vec<Arc<AtomicU64>> = (0..GUILDS).map(|_| Arc::default()).collect();
    let done = Arc::new(AtomicBool::new(false));
    let mut loads = Vec::new();
    for (index, answers) in (0..GUILDS).zip(&answers) {
        worker.template(&guild(index).to_string(), "t", SOURCE).await.expect(201);
        loads.push(tokio::spawn(load(
            dispatcher.clone(),
            guild(index),
            Arc::clone(answers),
            Arc::clone(&done),
        )));
    }
    let all_answer = async || {
        let before: Vec<u64> = answers.iter().map(|answers| answers.load(Ordering::Relaxed)).collect();
        // The second one was sent after this began.
        let again =
            || answers.iter().zip(&before).all(|(now, before)| now.load(Ordering::Relaxed) >= before + 2);
        testkit::until("every guild answers", async || again()).await;
    };
    all_answer().await;

    let (mut times, mut hit, mut warm) = (Vec::new(), 0, None);
    for death in 0..length.deaths {
        if death == length.deaths / 3 {
            warm = Some(Use::now());
        }
        let before = workers(&dispatcher);
        times.push(Instant::now());
        die(&dispatcher, death).await;
        testkit::until("the worker is replaced", async || {
            workers(&dispatcher).keys().any(|id| !before.contains_key(id))
        })
        .await;
        all_answer().await;
        let after = workers(&dispatcher);
        let gone: Vec<_> = before.iter().filter(|(id, _)| !after.contains_key(id)).collect();
        let new: Vec<_> = after.iter().filter(|(id, _)| !before.contains_key(id)).collect();
        let ([(_, (guilds, restarts))], [(_, (_, restarts_now))]) = (&gone[..], &new[..]) else {
            panic!("one worker for another: {before:?}, {after:?}");
        };
        assert_eq!(*restarts_now, restarts + 1, "{before:?}, {after:?}");
        assert_eq!(after.values().map(|(guilds, _)| guilds).sum::<usize>(), 200, "{after:?}");
        hit += guilds;
        tokio::time::sleep(length.between.saturating_sub(times.last().unwrap().elapsed())).await;
    }
    let (warm, end) = (warm.unwrap(), Use::now());
    done.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for load in loads {
        seen.push(load.await.unwrap());
    }

    report(&seen, &times, &warm, &end);
    // A VM is made anew for each guild of a worker that died, and for nobody else.
    let fresh = seen.iter().flatten().filter(|seen| seen.value == Some(1)).count();
    assert_eq!(fresh, 200 + hit);
    // And a guild loses at most what was on its way when its worker died: its next event is answered.
    let lost = seen.iter().flatten().filter(|seen| seen.value.is_none()).count();
    assert!(lost <= hit, "{lost} events were lost, {hit} at most were on their way");
    for events in &seen {
        assert!(
            events.windows(2).all(|two| two.iter().any(|seen| seen.value.is_some())),
            "two in a row were lost"
        );
    }
    assert_eq!(end.children, warm.children);
    assert!(end.descriptors <= warm.descriptors, "{warm:?}, {end:?}");
    assert!(end.memory <= warm.memory + warm.memory / 5 + 20_000, "{warm:?}, {end:?}");
    worker.stop().await;
    assert_eq!(children(), [], "not even one that ended and was not buried");
}

/// For people: how long guilds were away.
fn report(seen: &[Vec<Seen>], deaths: &[Instant], warm: &Use, end: &Use) {
    let mut away = Vec::new();
    for (death, until) in deaths.iter().zip(deaths.iter().skip(1).map(Some).chain([None])) {
        for events in seen {
            let mut hit = false;
            let mut next = None;
            let later = events
                .iter()
                .filter(|seen| seen.answered >= *death && until.is_none_or(|until| seen.answered < *until));
            for seen in later {
                hit |= seen.value.is_none() || seen.value == Some(1);
                if seen.sent >= *death {
                    let first = *next.get_or_insert(seen.sent);
                    if seen.value.is_some() {
                        if hit {
                            away.push(seen.answered - first);
                        }
                        break;
                    }
                }
            }
        }
    }
    away.sort_unstable();
    let events = seen.iter().map(Vec::len).sum::<usize>();
    let lost = seen.iter().flatten().filter(|seen| seen.value.is_none()).count();
    let at = |share: usize| away[(away.len() * share / 100).min(away.len() - 1)];
    println!(
        "{} deaths, {events} events accepted and answered, {lost} of them with `vm_broken`",
        deaths.len()
    );
    println!(
        "from a guild's next event to an answer: {:?} in the middle, 90 of 100 within {:?}, 99 within {:?}, all within {:?} \
         ({} times)",
        at(50),
        at(90),
        at(99),
        at(100),
        away.len()
    );
    println!("used when warm: {warm:?}; at the end: {end:?}");
}

async fn a_thread_panics(length: Length) {
    let panic = async |dispatcher: &Dispatcher, death: u32| {
        let action = LuaVmAction::Panic { place: PanicPlace::Loop };
        dispatcher.act(guild(u64::from(death) % GUILDS), action).await.unwrap();
    };
    drill(length, |config| config.vm.threads = 4, panic).await;
}

async fn a_process_is_killed(length: Length) {
    let processes = |config: &mut Config| {
        config.vm.strategy = Strategy::ProcessPool;
        config.vm.processes = 4;
        config.vm.threads = 1;
    };
    let die = async |_: &Dispatcher, death: u32| {
        let all = children();
        kill(all[usize::try_from(death).unwrap() % all.len()], Signal::SIGKILL).unwrap();
    };
    drill(length, processes, die).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_die_one_after_the_other_lose_no_answer_and_leave_nothing_behind() {
    a_thread_panics(SHORT).await;
    a_process_is_killed(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn a_worker_that_dies_every_second() {
    a_thread_panics(LONG).await;
    a_process_is_killed(LONG).await;
}
