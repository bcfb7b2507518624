//! Random operations, several at a time, against what must hold whatever their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::subject::{Answer, Subject, guild, within};
use crate::ids::ThreadId;
use crate::vm::action::{LuaVmAction, PanicPlace, WorkerAction};
use crate::vm::strategy::pool::Placing;
use crate::vm::strategy::{NotSent, VmDistributionStrategy as _};

const GUILDS: u64 = 8;
const STEPS: usize = 400;

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What was sent, and what is known of the workers.
struct Model {
    next: u64,
    sent: Vec<(u64, u64, Answer)>,
    others: Vec<Answer>,
    workers: BTreeSet<ThreadId>,
}

async fn try_out(subject: Subject, seed: u64) {
    let mut dice = Dice(seed);
    let kept = subject.serving().len();
    let mut model = Model { next: 0, sent: Vec::new(), others: Vec::new(), workers: BTreeSet::new() };
    let mut tasks = Vec::new();
    for _ in 0..STEPS {
        step(&subject, &mut dice, &mut model, &mut tasks);
        for worker in subject.pool.threads() {
            let is_new = model.workers.insert(worker.id);
            let newest = model.workers.last() == Some(&worker.id);
            assert!(
                !is_new || newest || worker.uptime_ms < 5_000,
                "seed {seed}: number {} came back",
                worker.id
            );
        }
        if dice.below(4) == 0 {
            tokio::time::sleep(Duration::from_millis(dice.below(4))).await;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (index, n, answer) in model.sent {
        let seen = answer.seen().await;
        if let Some(newest) = seen.last() {
            assert!(*newest == n && seen.is_sorted(), "seed {seed}, guild {index}, event {n}: {seen:?}");
            let before = last.insert(index, n);
            assert!(before < Some(n), "seed {seed}, guild {index}: {n} after {before:?}");
        }
    }
    for answer in model.others {
        answer.once().await;
    }
    // Everything has come to rest: who is routed has a VM, and no worker is missing or too many.
    if !subject.is_one_each {
        // A guild apart may have got its own.
        subject
            .until("the workers are as many as before", || {
                (kept..=kept + subject.apart).contains(&subject.serving().len())
            })
            .await;
    }
    let evicted = subject.pool.ask_all(WorkerAction::EvictIdle { idle: Duration::ZERO }, within(20_000));
    drop(evicted.await);
    for index in 0..GUILDS {
        // A guild that was moved before its first event is routed and has no VM, until somebody looks.
        subject.act(index, LuaVmAction::GetStatus).1.once().await;
    }
    subject
        .until("nobody is routed", || subject.pool.threads().iter().all(|worker| worker.guilds == 0))
        .await;
    for index in 0..GUILDS {
        assert_eq!(subject.seen(index, model.next).await, [model.next], "seed {seed}, guild {index}");
    }
    assert_eq!(subject.places().await.len() as u64, GUILDS, "seed {seed}");
    subject.end().await;
}

fn step(subject: &Subject, dice: &mut Dice, model: &mut Model, tasks: &mut Vec<tokio::task::JoinHandle<()>>) {
    let index = dice.below(GUILDS);
    let pool = Arc::clone(&subject.pool);
    let worker = {
        let all = subject.pool.threads();
        let pick = dice.below(all.len().max(1) as u64);
        all.get(usize::try_from(pick).unwrap()).map_or(ThreadId(1), |worker| worker.id)
    };
    let by = within(200 + dice.below(200));
    match dice.below(40) {
        0..=27 => {
            let n = model.next;
            model.next += 1;
            let data = match dice.below(6) {
                0 => json!({"wait": 0.01}),
                _ => Value::Null,
            };
            let (sent, answer) = subject.send(index, n, data);
            match sent {
                Ok(()) => model.sent.push((index, n, answer)),
                Err(NotSent::Full) => model.others.push(answer),
                Err(other) => panic!("{other:?}"),
            }
        }
        28..=30 => model.others.push(subject.act(index, LuaVmAction::Stop).1),
        31..=32 => model.others.push(subject.act(index, LuaVmAction::GetStatus).1),
        33 => model.others.push(subject.act(index, LuaVmAction::Panic { place: PanicPlace::Loop }).1),
        34..=37 => tasks.push(tokio::spawn(async move {
            let _ = pool.move_guild(guild(index), worker, by).await;
        })),
        _ => tasks.push(tokio::spawn(async move {
            let _ = pool.drain(worker, by).await;
        })),
    }
}

/// Several seeds for each way of placing guilds.
async fn try_all(placing: impl Fn() -> Placing) {
    for seed in 1..=6_u64 {
        try_out(Subject::simulated(placing()).await, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_workers_that_all_share_nothing_is_lost() {
    try_all(|| Placing::LeastLoaded { workers: 3 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_workers_by_id_nothing_is_lost() {
    try_all(|| Placing::ById { workers: 2, apart: BTreeSet::from([guild(3)]) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_workers_of_one_guild_each_nothing_is_lost() {
    try_all(|| Placing::OneEach { most: 32 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_threads_nothing_is_lost() {
    try_out(Subject::threads(Placing::LeastLoaded { workers: 2 }).await, 0x2545_F491_4F6C_DD1D).await;
}
