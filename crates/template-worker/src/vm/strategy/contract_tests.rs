//! What every strategy promises, tried on each: threads, and workers without Luau for each way of placing guilds.
//!
//! Owns the claims. A process needs the program that it runs, so the process pool has its part in
//! `tests/behaviour/strategies.rs`.

mod random;
mod simulated;
mod subject;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::pool::Placing;
use super::{NoSuchWorker, NotSent, VmDistributionStrategy as _};
use crate::ids::ThreadId;
use crate::vm::action::{LuaVmAction, LuaVmResult, WorkerAction, WorkerState};
use subject::{QUEUE, Subject, guild, within};

/// Every claim, for every strategy.
macro_rules! contract {
    (@of $name:ident $start:expr; $($claim:ident)+) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() {
                    let subject: Subject = $start.await;
                    super::$claim(&subject).await;
                    subject.end().await;
                }
            )+
        }
    };
    ($($name:ident: $start:expr;)+) => { $(
        contract!(@of $name $start;
            every_event_is_answered_once_in_its_order_and_by_the_same_vm
            a_guild_has_one_place_and_keeps_it
            only_an_event_gives_a_guild_a_place
            a_failed_worker_takes_its_own_guilds_and_nobody_elses
            a_worker_that_fails_again_is_replaced_again_and_never_twice
            a_full_queue_is_an_answer_and_what_was_accepted_is_done
            a_guild_whose_vm_goes_leaves_its_place
            a_stop_lets_run_what_has_time_to_end
            a_stop_ends_what_has_no_time_and_answers_everything
            nothing_is_taken_after_a_stop
            a_drained_worker_loses_nothing_and_goes
            a_guild_that_never_rests_is_ended_when_the_time_of_the_drain_is_over
            two_drains_of_one_worker_are_one
            a_worker_that_is_drained_may_fail
            a_stop_in_the_middle_of_a_drain_ends_both
            a_move_loses_nothing_and_keeps_the_order
            more_than_a_queue_holds_moves_without_loss
            nothing_moves_to_a_worker_that_takes_no_guilds
            a_move_to_a_worker_that_fails_meanwhile_loses_nothing
            a_stuck_worker_does_not_answer_and_is_left_out
            what_waits_for_a_worker_is_told
        );
    )+ };
}

contract! {
    thread_pool: Subject::threads(Placing::LeastLoaded { workers: 2 });
    thread_per_guild: Subject::threads(Placing::OneEach { most: 16 });
    simulated_least_loaded: Subject::simulated(Placing::LeastLoaded { workers: 3 });
    simulated_by_id: Subject::simulated(Placing::ById { workers: 2, apart: BTreeSet::from([guild(3)]) });
    simulated_one_each: Subject::simulated(Placing::OneEach { most: 16 });
}

/// What is seen of an event that was ended, or not run at all.
const NOT_DONE: [u64; 0] = [];

/// Seconds that a test never waits for.
fn for_long() -> Value {
    json!({"wait": 25})
}

async fn every_event_is_answered_once_in_its_order_and_by_the_same_vm(subject: &Subject) {
    let sent = (0..20).flat_map(|n| (0..6).map(move |index| (index, n)));
    let mut answers = Vec::new();
    for (index, n) in sent {
        answers.push((n, subject.event(index, n, Value::Null)));
        if n % 4 == 3 {
            // So that no queue is full, on whatever machine.
            subject
                .until("it is taken", || subject.pool.threads().iter().all(|one| one.queued < QUEUE / 2))
                .await;
        }
    }
    for (n, answer) in answers {
        assert_eq!(answer.seen().await, (0..=n).collect::<Vec<_>>());
    }
}

async fn a_guild_has_one_place_and_keeps_it(subject: &Subject) {
    for index in 0..6 {
        assert_eq!(subject.seen(index, 0).await, [0]);
    }
    let places = subject.places().await;
    assert_eq!(places.keys().copied().collect::<Vec<_>>(), (0..6).map(guild).collect::<Vec<_>>());
    for n in 1..4 {
        for index in 0..6 {
            subject.seen(index, n).await;
        }
        assert_eq!(subject.places().await, places);
    }
    let counted: usize = subject.pool.threads().iter().map(|worker| worker.guilds).sum();
    assert_eq!(counted, 6);
    let used: BTreeSet<_> = places.values().collect();
    assert!(if subject.is_one_each { used.len() == 6 } else { used.len() >= 2 }, "{places:?}");
}

async fn only_an_event_gives_a_guild_a_place(subject: &Subject) {
    let before = subject.serving();
    for action in [LuaVmAction::GetStatus, LuaVmAction::Stop, LuaVmAction::CollectGarbage] {
        let (sent, answer) = subject.act(0, action);
        assert_eq!(sent, Err(NotSent::Absent));
        assert_eq!(answer.once().await, LuaVmResult::Absent, "being refused is an answer as well");
    }
    assert_eq!((subject.serving(), subject.places().await.len()), (before, 0));
}

async fn a_failed_worker_takes_its_own_guilds_and_nobody_elses(subject: &Subject) {
    for index in 0..6 {
        subject.seen(index, 0).await;
    }
    let (places, workers) = (subject.places().await, subject.serving());
    let failing = places[&guild(0)];
    let running = subject.event(0, 1, for_long());
    subject.fail(0).await;
    assert_eq!(running.seen().await, NOT_DONE, "it went with its worker");
    for index in 0..6 {
        let had = places[&guild(index)];
        let want = if had == failing { vec![2] } else { vec![0, 2] };
        assert_eq!(subject.seen(index, 2).await, want, "guild {index}, of worker {had}; {failing} failed");
        let has = subject.place(index).await;
        assert_eq!(has == had, had != failing, "guild {index} was on {had} and is on {has}");
    }
    subject.until("it is forgotten", || subject.worker(failing).is_none()).await;
    let now = subject.pool.threads();
    assert_eq!(now.len(), workers.len(), "{now:#?}");
    if !subject.is_one_each {
        let new: Vec<_> = now.iter().filter(|worker| !workers.contains(&worker.id)).collect();
        assert_eq!((new.len(), new[0].restarts), (1, 1), "{now:#?}");
        assert!(Some(&new[0].id) > workers.last(), "a number is never used again");
    }
}

async fn a_worker_that_fails_again_is_replaced_again_and_never_twice(subject: &Subject) {
    let workers = subject.serving().len();
    for round in 1..=3 {
        assert_eq!(subject.seen(0, round).await, [round]);
        let failing = subject.place(0).await;
        subject.fail(0).await;
        subject.until("it is forgotten", || subject.worker(failing).is_none()).await;
        assert_eq!(subject.serving().len(), workers, "{:#?}", subject.pool.threads());
    }
    if !subject.is_one_each {
        let restarts: u32 = subject.pool.threads().iter().map(|worker| worker.restarts).sum();
        assert_eq!(restarts, 3);
    }
}

async fn a_full_queue_is_an_answer_and_what_was_accepted_is_done(subject: &Subject) {
    subject.seen(0, 0).await;
    let worker = subject.place(0).await;
    let stuck = subject.event(0, 1, json!({"stick": true}));
    subject.until("it is taken", || subject.worker(worker).is_some_and(|worker| worker.queued == 0)).await;
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for n in 2..(QUEUE as u64) + 12 {
        match subject.send(0, n, Value::Null) {
            (Ok(()), answer) => accepted.push(answer),
            (Err(reason), answer) => {
                assert_eq!(reason, NotSent::Full);
                assert!(matches!(answer.once().await, LuaVmResult::Broken { .. }));
                refused += 1;
            }
        }
    }
    assert_eq!((accepted.len(), refused), (QUEUE, 10));
    stuck.once().await;
    let mut last = Vec::new();
    for answer in accepted {
        last = answer.seen().await;
        assert!(!last.is_empty(), "what was accepted is done");
    }
    assert!(last.is_sorted(), "{last:?}");
}

async fn a_guild_whose_vm_goes_leaves_its_place(subject: &Subject) {
    for index in 0..3 {
        subject.seen(index, 0).await;
    }
    let had = subject.place(0).await;
    assert_eq!(subject.act(0, LuaVmAction::Stop).1.once().await, LuaVmResult::Done);
    subject
        .until("it is unrouted", || subject.act(0, LuaVmAction::GetStatus).0 == Err(NotSent::Absent))
        .await;
    if subject.is_one_each {
        subject.until("its worker ends", || subject.worker(had).is_none()).await;
    }
    assert_eq!((subject.seen(0, 1).await, subject.seen(1, 1).await), (vec![1], vec![0, 1]));

    // One that is refused is not on its way: the VM that goes takes the route with it.
    let stuck = subject.event(0, 2, json!({"stick": true}));
    let worker = subject.place(1).await;
    drop(stuck);
    let evicted =
        subject.pool.ask_all(WorkerAction::EvictIdle { idle: std::time::Duration::ZERO }, within(20_000));
    assert!(!evicted.await.is_empty());
    subject.until("nobody is on it", || subject.worker(worker).is_none_or(|worker| worker.guilds <= 1)).await;
}

async fn a_stop_lets_run_what_has_time_to_end(subject: &Subject) {
    let answers: Vec<_> = (0..4).map(|index| subject.event(index, 0, json!({"wait": 0.2}))).collect();
    assert!(subject.pool.stop(within(20_000)).await);
    for answer in answers {
        assert_eq!(answer.seen().await, [0]);
    }
}

async fn a_stop_ends_what_has_no_time_and_answers_everything(subject: &Subject) {
    let mut answers: Vec<_> = (0..4).map(|index| subject.event(index, 0, for_long())).collect();
    answers.extend((0..4).map(|index| subject.event(index, 1, for_long())));
    assert!(subject.pool.stop(within(50)).await);
    for answer in answers {
        assert_eq!(answer.seen().await, NOT_DONE);
    }
    assert_eq!(subject.pool.threads(), []);
}

async fn nothing_is_taken_after_a_stop(subject: &Subject) {
    subject.seen(0, 0).await;
    assert!(subject.pool.stop(within(5_000)).await);
    for index in 0..2 {
        let (sent, answer) = subject.send(index, 1, Value::Null);
        assert_eq!(sent, Err(NotSent::Stopping));
        answer.once().await;
    }
    assert!(subject.pool.stop(within(0)).await, "again is fine");
    assert_eq!(subject.pool.drain(ThreadId(1), within(100)).await, Err(NoSuchWorker));
    assert_eq!(subject.pool.ping(ThreadId(1), within(100)).await, Err(NoSuchWorker));
}

async fn a_drained_worker_loses_nothing_and_goes(subject: &Subject) {
    for index in 0..6 {
        subject.seen(index, 0).await;
    }
    let (places, workers) = (subject.places().await, subject.serving().len());
    let drained = places[&guild(0)];
    let running = subject.event(0, 1, json!({"wait": 0.2}));
    let drain = subject.drain(drained, 20_000);
    let mut during = Vec::new();
    for n in 2..30 {
        during.push((0, n, subject.event(0, n, Value::Null)));
        during.push((1, n, subject.event(1, n, Value::Null)));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(drain.await.unwrap(), Ok(()));
    assert_eq!(running.seen().await, [0, 1], "what ran had its time");
    for (index, n, answer) in during {
        let seen = answer.seen().await;
        assert!(seen.is_sorted() && seen.last() == Some(&n), "guild {index}, event {n}: {seen:?}");
    }
    assert_eq!(subject.worker(drained), None);
    for index in 0..6 {
        subject.seen(index, 99).await;
        let is_same = subject.place(index).await == places[&guild(index)];
        assert_eq!(is_same, places[&guild(index)] != drained, "guild {index}");
    }
    assert_eq!(subject.serving().len(), workers, "{:#?}", subject.pool.threads());
}

async fn a_guild_that_never_rests_is_ended_when_the_time_of_the_drain_is_over(subject: &Subject) {
    let restless = subject.event(0, 0, for_long());
    let drained = subject.place(0).await;
    let drain = subject.drain(drained, 200);
    subject.until_drained(drained).await;
    let next = subject.event(0, 1, Value::Null);
    assert_eq!(restless.seen().await, NOT_DONE);
    let seen = next.seen().await;
    assert!(seen.last().is_none_or(|last| *last == 1), "on the old worker, or the new one: {seen:?}");
    assert_eq!(drain.await.unwrap(), Ok(()));
    assert_eq!(subject.worker(drained), None);
    assert_eq!(subject.seen(0, 2).await.last(), Some(&2));
}

async fn two_drains_of_one_worker_are_one(subject: &Subject) {
    let running = subject.event(0, 0, json!({"wait": 0.3}));
    let workers = subject.serving().len();
    let drained = subject.place(0).await;
    let drains: Vec<_> = (0..3).map(|_| subject.drain(drained, 20_000)).collect();
    for drain in drains {
        assert_eq!(drain.await.unwrap(), Ok(()));
        assert_eq!(subject.worker(drained), None, "each returns when the worker is gone");
    }
    assert_eq!(running.seen().await, [0]);
    assert_eq!(subject.pool.drain(drained, within(100)).await, Err(NoSuchWorker));
    subject.seen(0, 1).await;
    assert_eq!(subject.serving().len(), workers, "its slot was filled once: {:#?}", subject.pool.threads());
}

async fn a_worker_that_is_drained_may_fail(subject: &Subject) {
    let workers = {
        subject.seen(0, 0).await;
        subject.seen(1, 0).await;
        subject.serving().len()
    };
    let (running, drained) = (subject.event(0, 1, for_long()), subject.place(0).await);
    // It is on the queue before the guilds are parked.
    let (_, failed) = subject.act(0, LuaVmAction::Panic { place: crate::vm::action::PanicPlace::Loop });
    let _ = subject.pool.drain(drained, within(20_000)).await;
    assert_eq!(running.seen().await, NOT_DONE);
    failed.once().await;
    assert_eq!(subject.seen(0, 2).await, [2]);
    subject.seen(1, 2).await;
    subject.until("it is gone", || subject.worker(drained).is_none()).await;
    assert_eq!(subject.serving().len(), workers, "{:#?}", subject.pool.threads());
}

async fn a_stop_in_the_middle_of_a_drain_ends_both(subject: &Subject) {
    let running = subject.event(0, 0, for_long());
    let drained = subject.place(0).await;
    let drain = subject.drain(drained, 20_000);
    subject.until_drained(drained).await;
    let parked = subject.event(0, 1, Value::Null);
    assert!(subject.pool.stop(within(100)).await);
    assert_eq!(running.seen().await, NOT_DONE);
    let seen = parked.seen().await;
    assert!(seen.is_empty() || seen == [0, 1], "it was on the old worker already, or parked: {seen:?}");
    let _ = drain.await.unwrap();
}

async fn a_move_loses_nothing_and_keeps_the_order(subject: &Subject) {
    subject.seen(0, 0).await;
    subject.seen(1, 0).await;
    let targets = [subject.place(1).await, subject.place(0).await];
    let mut answers = Vec::new();
    for (turn, target) in targets.into_iter().enumerate() {
        let first = 1 + turn as u64 * 100;
        answers.push((first, subject.event(0, first, json!({"wait": 0.1}))));
        let pool = Arc::clone(&subject.pool);
        let to = if subject.worker(target).is_some() { target } else { subject.place(1).await };
        let moved = tokio::spawn(async move { pool.move_guild(guild(0), to, within(20_000)).await });
        for n in first + 1..first + 40 {
            answers.push((n, subject.event(0, n, Value::Null)));
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        assert_eq!(moved.await.unwrap(), Ok(()));
        assert_eq!(subject.place(0).await, to);
    }
    let mut before: Vec<u64> = vec![0];
    for (n, answer) in answers {
        let seen = answer.seen().await;
        // The VM that saw the one before, or a fresh one.
        let goes_on = seen.strip_suffix(&[n]).is_some_and(|rest| rest.is_empty() || rest == before);
        assert!(goes_on, "event {n} was seen after {before:?} as {seen:?}");
        before = seen;
    }
}

async fn more_than_a_queue_holds_moves_without_loss(subject: &Subject) {
    subject.seen(0, 0).await;
    subject.seen(1, 0).await;
    let to = subject.place(1).await;
    let running = subject.event(0, 1, json!({"wait": 0.2}));
    if to == subject.place(0).await {
        running.once().await;
        return;
    }
    let pool = Arc::clone(&subject.pool);
    let moved = tokio::spawn(async move { pool.move_guild(guild(0), to, within(20_000)).await });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let parked: Vec<_> = (2..42).map(|n| subject.event(0, n, Value::Null)).collect();
    // The new worker is stuck and has half of a queue when they come.
    let stuck = subject.event(1, 1, json!({"stick": true}));
    subject.until("it is taken", || subject.worker(to).is_some_and(|worker| worker.queued == 0)).await;
    let neighbours: Vec<_> = (2..42).map(|n| subject.event(1, n, Value::Null)).collect();
    assert_eq!(moved.await.unwrap(), Ok(()));
    stuck.once().await;
    running.once().await;
    for (n, answer) in (2..42).zip(parked) {
        assert_eq!(answer.seen().await, (2..=n).collect::<Vec<_>>());
    }
    for answer in neighbours {
        assert!(!answer.seen().await.is_empty());
    }
}

async fn nothing_moves_to_a_worker_that_takes_no_guilds(subject: &Subject) {
    subject.seen(0, 0).await;
    subject.seen(1, 0).await;
    assert_eq!(subject.pool.move_guild(guild(0), ThreadId(9_999), within(1_000)).await, Err(NoSuchWorker));
    let running = subject.event(0, 1, json!({"wait": 0.3}));
    let drained = subject.place(0).await;
    let drain = subject.drain(drained, 20_000);
    subject
        .until("it is drained", || {
            subject.worker(drained).is_some_and(|worker| worker.state == WorkerState::Draining)
        })
        .await;
    assert_eq!(subject.pool.move_guild(guild(1), drained, within(1_000)).await, Err(NoSuchWorker));
    assert_eq!(running.seen().await, [0, 1]);
    assert_eq!(drain.await.unwrap(), Ok(()));
}

async fn a_move_to_a_worker_that_fails_meanwhile_loses_nothing(subject: &Subject) {
    subject.seen(0, 0).await;
    subject.seen(1, 0).await;
    let (from, to) = (subject.place(0).await, subject.place(1).await);
    let running = subject.event(0, 1, json!({"wait": 1.0}));
    if from == to {
        running.once().await;
        return;
    }
    let pool = Arc::clone(&subject.pool);
    let moved = tokio::spawn(async move { pool.move_guild(guild(0), to, within(20_000)).await });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let parked: Vec<_> = (2..12).map(|n| subject.event(0, n, Value::Null)).collect();
    subject.fail(1).await;
    subject.until("it is forgotten", || subject.worker(to).is_none()).await;
    assert_eq!(running.seen().await, [0, 1]);
    for (n, answer) in (2..12).zip(parked) {
        assert_eq!(answer.seen().await, (2..=n).collect::<Vec<_>>());
    }
    assert_eq!(moved.await.unwrap(), Ok(()));
}

async fn a_stuck_worker_does_not_answer_and_is_left_out(subject: &Subject) {
    subject.seen(0, 0).await;
    subject.seen(1, 0).await;
    let worker = subject.place(0).await;
    assert_eq!(subject.pool.ping(worker, within(20_000)).await, Ok(true));
    assert_eq!(subject.pool.ping(ThreadId(9_999), within(20_000)).await, Err(NoSuchWorker));
    let stuck = subject.event(0, 1, json!({"stick": true}));
    subject.until("it is taken", || subject.worker(worker).is_some_and(|worker| worker.queued == 0)).await;
    assert_eq!(subject.pool.ping(worker, within(50)).await, Ok(false));
    let all = subject.pool.threads().len();
    assert_eq!(subject.pool.ask_all(WorkerAction::Ping, within(500)).await.len(), all - 1);
    stuck.once().await;
    // A thread that is one guild's may have ended with the VM that got stuck.
    let ping = subject.pool.ping(worker, within(20_000)).await;
    assert!(ping == Ok(true) || (subject.is_one_each && ping == Err(NoSuchWorker)), "{ping:?}");
}

async fn what_waits_for_a_worker_is_told(subject: &Subject) {
    subject.seen(0, 0).await;
    let worker = subject.place(0).await;
    let stuck = subject.event(0, 1, json!({"stick": true}));
    subject.until("it is taken", || subject.worker(worker).is_some_and(|worker| worker.queued == 0)).await;
    let waiting: Vec<_> = (2..7).map(|n| subject.event(0, n, Value::Null)).collect();
    let status = subject.worker(worker).unwrap();
    assert_eq!((status.queued, status.guilds, status.restarts), (5, 1, 0));
    stuck.once().await;
    for answer in waiting {
        answer.once().await;
    }
    let status = subject.worker(worker).unwrap();
    assert_eq!(status.queued, 0);
    assert!(status.load > 0.0 && status.load <= 1.0 && status.uptime_ms > 0, "{status:?}");
}

#[tokio::test]
async fn a_guild_apart_has_a_worker_of_its_own_and_others_have_theirs_by_id() {
    let subject = Subject::simulated(Placing::ById { workers: 2, apart: BTreeSet::from([guild(3)]) }).await;
    for index in 0..8 {
        subject.seen(index, 0).await;
    }
    let places = subject.places().await;
    let (even, odd) = (places[&guild(1)], places[&guild(0)]);
    for index in [0, 2, 4, 6] {
        assert_eq!(
            (places[&guild(index)], places[&guild(index + 1)]),
            (odd, if index == 2 { places[&guild(3)] } else { even })
        );
    }
    assert_eq!(places.values().filter(|place| **place == places[&guild(3)]).count(), 1);
    subject.end().await;
}

#[tokio::test]
async fn no_more_workers_than_the_most_are_started_and_each_ends_with_its_guild() {
    for subject in [
        Subject::threads(Placing::OneEach { most: 3 }).await,
        Subject::simulated(Placing::OneEach { most: 3 }).await,
    ] {
        assert_eq!(subject.pool.threads(), []);
        for index in 0..3 {
            assert_eq!(subject.seen(index, 0).await, [0]);
        }
        assert_eq!(subject.send(3, 0, Value::Null).0, Err(NotSent::Full));
        assert_eq!(subject.seen(1, 1).await, [0, 1], "who has one keeps it");
        // One that is drained at the most has its place kept.
        let (running, drained) = (subject.event(2, 1, json!({"wait": 0.2})), subject.place(2).await);
        let drain = subject.drain(drained, 20_000);
        subject
            .until("it is drained", || {
                subject.worker(drained).is_some_and(|worker| worker.state == WorkerState::Draining)
            })
            .await;
        let parked = subject.event(2, 2, Value::Null);
        assert_eq!(running.seen().await, [0, 1]);
        assert_eq!(parked.seen().await.last(), Some(&2));
        assert_eq!(drain.await.unwrap(), Ok(()));
        subject.act(0, LuaVmAction::Stop).1.once().await;
        subject.until("its thread ends", || subject.pool.threads().len() == 2).await;
        assert_eq!(subject.seen(3, 0).await, [0]);
        subject.end().await;
    }
}
