//! What a worker thread does: take commands, give every VM that is ready a slice, make VMs ahead of need, wait when
//! there is nothing to do.
//!
//! Owns the VMs of its thread through `guild_table`. It never waits for a template. Ends when it is told to stop and
//! owes nobody an answer, or when its time to do so is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use khronos::TickerHandle;
use tokio::sync::{mpsc, watch};

use super::guild_table::{GuildTable, Vacate};
use super::panic_hook::has_panicked;
use super::running::NowRunning;
use super::strategy::Shared;
use super::thread_entry::{Message, Pulse};
use crate::ids::ThreadId;

/// When a thread has to be done: `None` while it is not asked to.
pub(super) type StopBy = watch::Receiver<Option<Instant>>;

pub(super) struct ThreadLoop {
    messages: mpsc::Receiver<Message>,
    table: GuildTable,
    shared: Arc<Shared>,
    stop_by: StopBy,
    pulse: Arc<Pulse>,
}

/// What a worker thread has from its pool.
pub(super) struct WorkerParts {
    pub(super) id: ThreadId,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) stop_by: StopBy,
    pub(super) vacate: Vacate,
}

impl ThreadLoop {
    /// `running` is told who runs.
    pub(super) fn new(
        worker: WorkerParts,
        shared: &Arc<Shared>,
        ticker: TickerHandle,
        running: NowRunning,
    ) -> Self {
        let WorkerParts { id, messages, pulse, stop_by, vacate } = worker;
        let table = GuildTable::new(id, Arc::clone(shared), ticker, running, vacate);
        Self { messages, table, shared: Arc::clone(shared), stop_by, pulse }
    }

    /// Runs until it is told to stop. Blocks the thread that it is called on, which has to have the stack for Luau.
    pub(super) fn run(&mut self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.serve());
        Ok(())
    }

    async fn serve(&mut self) {
        let woken = self.table.woken();
        let mut short_of_memory = self.shared.memory.watch();
        loop {
            // For a slice at most, like everybody else: a flood of commands cannot keep VMs from running.
            let began = Instant::now();
            let until = began + self.shared.limits.slice();
            loop {
                if has_panicked() {
                    // Somebody caught it, and does not know what was left half done: nothing here is to be used any more.
                    return;
                }
                let Ok(message) = self.messages.try_recv() else { break };
                message.handle(&mut self.table);
                if Instant::now() >= until {
                    break;
                }
            }
            self.table.has_taken_commands();
            if has_panicked() {
                return;
            }
            self.pulse.busy.store(true, Ordering::Relaxed);
            let ran = self.table.run_round();
            self.pulse.busy.store(false, Ordering::Relaxed);
            if has_panicked() {
                return;
            }
            let now = Instant::now();
            if ran {
                self.pulse.load.was_busy(began, now);
            }

            let stop_by = *self.stop_by.borrow();
            if let Some(by) = stop_by
                && (now >= by || (self.messages.is_empty() && !self.table.owes()))
            {
                return self.finish();
            }
            if ran || !self.messages.is_empty() {
                continue;
            }
            self.table.rest();
            // After a moment of quiet, since a guild's first event is often followed by its second. And one at a time: an
            // event that comes meanwhile waits for no more than that.
            let quiet = stop_by.is_none() && self.table.warm().wants_one();
            let quiet = quiet.then(|| Instant::now() + self.shared.limits.slice());
            let timer = [self.table.next_timer(), stop_by].into_iter().flatten().min();
            tokio::select! {
                // The order matters only when several are there at once; commands first, since they may stop a VM.
                biased;
                message = self.messages.recv() => match message {
                    Some(message) => message.handle(&mut self.table),
                    // Nobody can reach this thread any more.
                    None => return self.finish(),
                },
                () = woken.wait() => {}
                () = sleep_until(timer) => {}
                // VMs of other threads have grown: perhaps one of this thread's is idle. The books outlive the loop.
                _ = short_of_memory.changed() => {}
                () = sleep_until(quiet) => self.table.warm().top_up(),
                changed = self.stop_by.changed() => if changed.is_err() {
                    return self.finish();
                },
            }
        }
    }

    /// Lets go of everything that somebody waits for, after a panic: that comes before closing VMs, which may take long.
    pub(super) fn abandon(&mut self) {
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            drop(message);
        }
        self.table.abandon();
    }

    /// Answers what is still owed: nothing more is accepted, and what sits in the queue was accepted.
    fn finish(&mut self) {
        // Before the pool hears that guilds have left, which may be the word to end for a thread that had none.
        let by = *self.stop_by.borrow();
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            drop(message);
        }
        self.table.stop_all("the service is shutting down");
        if let Some(by) = by {
            self.table.finish_closing(by);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
