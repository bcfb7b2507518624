//! What happens later: a heap of instants and what to do then. Cancelled entries stay in the heap until their time
//! comes, or until they are the majority.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Instant;

use mlua::Thread;

use super::ExecutionId;

/// What is due.
#[derive(Debug)]
pub(super) enum Wakeup {
    /// A thread that sleeps, or that was delayed.
    Thread { timer: u64, execution: ExecutionId, link: u64, thread: Thread },
    /// An execution's wall clock.
    Deadline(ExecutionId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    wakeups: BTreeMap<u64, Wakeup>,
    deadlines: BTreeMap<ExecutionId, u64>,
    /// Sleeps that are over, whose thread has not gone on yet. Where a script resumes it first, it takes this away, and
    /// what was queued for it is void.
    over: BTreeSet<u64>,
    next: u64,
}

impl Timers {
    /// Adds a wakeup; equal instants fire in the order of adding. Returns the timer's number.
    pub(super) fn add(&mut self, at: Instant, wakeup: Wakeup) -> u64 {
        self.next += 1;
        let timer = self.next;
        if let Wakeup::Deadline(id) = wakeup {
            self.deadlines.insert(id, timer);
        }
        self.wakeups.insert(timer, wakeup);
        self.heap.push(Reverse((at, timer)));
        timer
    }

    /// Adds the wakeup of a sleeping thread.
    pub(super) fn add_thread(
        &mut self,
        at: Instant,
        execution: ExecutionId,
        link: u64,
        thread: Thread,
    ) -> u64 {
        let timer = self.next + 1;
        self.add(at, Wakeup::Thread { timer, execution, link, thread })
    }

    pub(super) fn cancel(&mut self, timer: u64) -> Option<Wakeup> {
        let wakeup = self.wakeups.remove(&timer);
        if self.heap.len() > 64 && self.heap.len() > self.wakeups.len() * 2 {
            let Self { heap, wakeups, .. } = self;
            heap.retain(|Reverse((_, timer))| wakeups.contains_key(timer));
        }
        wakeup
    }

    pub(super) fn forget_deadline(&mut self, id: ExecutionId) {
        if let Some(timer) = self.deadlines.remove(&id) {
            self.cancel(timer);
        }
    }

    pub(super) fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, timer))) = self.heap.peek() {
            if self.wakeups.contains_key(timer) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Wakeup> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, timer)) = self.heap.pop()?;
        let wakeup = self.wakeups.remove(&timer);
        match &wakeup {
            Some(Wakeup::Deadline(id)) => drop(self.deadlines.remove(id)),
            Some(Wakeup::Thread { .. }) => drop(self.over.insert(timer)),
            None => {}
        }
        wakeup
    }

    /// Takes the end of a sleep away; `true` for the first who asks.
    pub(super) fn consume(&mut self, timer: u64) -> bool {
        self.over.remove(&timer)
    }

    /// How many threads sleep.
    pub(super) fn sleepers(&self) -> usize {
        self.wakeups.len() - self.deadlines.len()
    }

    /// The timer that would resume `thread`.
    pub(super) fn of_thread(&self, thread: &Thread) -> Option<u64> {
        let is_it = |wakeup: &Wakeup| matches!(wakeup, Wakeup::Thread { thread: t, .. } if t.state() == thread.state());
        self.wakeups.iter().find(|(_, wakeup)| is_it(wakeup)).map(|(timer, _)| *timer)
    }
}
