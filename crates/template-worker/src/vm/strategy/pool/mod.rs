//! What all ways of spreading guilds have in common: which worker a guild's VM lives on, and that a worker which fails
//! is replaced.
//!
//! A pool is made of two things: a [`WorkerKind`], which starts workers, and a [`Placing`], which says where a guild
//! belongs. Everything else is here, the same for threads and for processes: the routes, what becomes of them when a
//! worker fails, moving guilds, draining and stopping. Who lives where is in `table`, moving in `moving`.

mod moving;
mod seat;
mod table;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;

pub(in crate::vm) use seat::{Ended, Seat, Start};
use table::{Gone, Table};

use super::{NoSuchWorker, NotSent, Shared, VmDistributionStrategy};
use crate::ids::{GuildId, ThreadId};
use crate::metrics::{Broke, Count, Worker};
use crate::vm::action::{LuaVmResult, ThreadStatus, WorkerAction};
use crate::vm::reply::{Census, replies};
use crate::vm::thread_entry::{Command, CommandNumber, Message, ThreadEntry};

/// A worker that lived for less has failed at its start: the next one waits.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The first pause before a worker is started again; it doubles with each short life, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What a worker is, and how one is started.
pub(super) trait WorkerKind: Send + Sync + std::fmt::Debug + 'static {
    /// Starts a worker that takes what `start` has for it until it is told to stop
    /// or fails. It holds its seat until nothing of it is left.
    ///
    /// # Errors
    /// When the operating system gives none.
    fn start(&self, start: Start) -> std::io::Result<()>;

    /// What its replacements are counted as.
    fn counted_as(&self) -> Worker {
        Worker::Thread
    }

    /// How long after its time was over a worker may still need to end.
    fn patience(&self) -> Duration;
}

/// Where guilds belong.
#[derive(Debug, Clone)]
pub(super) enum Placing {
    /// A new guild goes to the worker with the fewest, of so many.
    LeastLoaded {
        /// How many workers.
        workers: usize,
    },
    /// A guild has its place among so many workers by its id, but for those that have a worker of their own.
    ById {
        /// How many workers.
        workers: usize,
        /// Guilds apart.
        apart: BTreeSet<GuildId>,
    },
    /// Every guild has a worker of its own, which is started for its first event and ends with its VM.
    OneEach {
        /// How many workers at most.
        most: usize,
    },
}

/// A place that is kept filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// One of those that all guilds share.
    Shared(usize),
    /// A guild's own.
    Own(GuildId),
}

/// Workers of one kind, and the guilds on them.
#[derive(Debug)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    kind: Box<dyn WorkerKind>,
    /// How many messages may wait for one worker.
    queue: usize,
    shared: Arc<Shared>,
    /// The workers that have not ended.
    alive: Census,
    /// Told when a worker has ended.
    ended: Notify,
}

impl Pool {
    /// Starts the workers that `placing` has from the start, each with a queue of `queue` messages.
    ///
    /// # Errors
    /// When the operating system gives no worker.
    pub(super) fn start(
        kind: Box<dyn WorkerKind>,
        placing: Placing,
        queue: usize,
        shared: &Arc<Shared>,
    ) -> std::io::Result<Self> {
        let kept = match &placing {
            Placing::LeastLoaded { workers } | Placing::ById { workers, .. } => *workers,
            Placing::OneEach { .. } => 0,
        };
        let pool = Self(Arc::new(Inner {
            table: Mutex::new(Table::new(placing)),
            kind,
            queue,
            shared: Arc::clone(shared),
            alive: Census::default(),
            ended: Notify::new(),
        }));
        for slot in 0..kept {
            pool.0.fill(&mut pool.0.lock(), Slot::Shared(slot), 0, Duration::ZERO)?;
        }
        Ok(pool)
    }

    /// Asks the workers for something and collects what they say until `by`. A worker that does not answer is left out.
    async fn ask(&self, workers: Vec<ThreadEntry>, action: &WorkerAction, by: Instant) -> Vec<LuaVmResult> {
        let mut asked = Vec::with_capacity(workers.len());
        for worker in workers {
            let (mut owed, answer) = replies(1, &self.0.shared.owed, None);
            let Some(reply) = owed.pop() else { continue };
            if worker.send(Message::Order(action.clone(), reply)).is_ok() {
                asked.push(answer);
            }
        }
        let mut results = Vec::with_capacity(asked.len());
        for mut answer in asked {
            if let Ok(Some((_, result))) = tokio::time::timeout_at(by.into(), answer.recv()).await {
                results.push(result);
            }
        }
        results
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock; if something did, the table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker for `slot` and enters it in the table.
    fn fill(
        self: &Arc<Self>,
        table: &mut Table,
        slot: Slot,
        restarts: u32,
        pause: Duration,
    ) -> std::io::Result<ThreadId> {
        let id = table.next_id();
        let (entry, messages) = ThreadEntry::new(id, self.queue, restarts);
        let entry = entry.after(pause);
        let (stop, stop_by) = tokio::sync::watch::channel(None);
        let seat = Seat::new(id, Arc::clone(self), self.alive.enter());
        let start = Start { seat, messages, pulse: entry.pulse(), stop_by, pause };
        table.enter(slot, entry, stop);
        self.kind.start(start).inspect_err(|_| {
            table.forget(id);
        })?;
        Ok(id)
    }

    fn vacate(&self, id: ThreadId, guild: GuildId, upto: CommandNumber) {
        let mut table = self.lock();
        if table.vacate(id, guild, upto)
            && let Some(outside) = &self.shared.outside
        {
            (outside.vacated)(guild);
        }
    }

    /// Forgets a worker that has ended, and starts another in its place, where that is to be filled.
    fn replace(self: &Arc<Self>, table: &mut Table, id: ThreadId) -> Option<Gone> {
        let gone = table.forget(id)?;
        self.shared.metrics.count_times(Count::Broke(Broke::Worker), gone.guilds);
        if gone.is_kept {
            self.shared.metrics.count(Count::Restarted(self.kind.counted_as()));
            let pause = table.pause_after(gone.slot, gone.lived);
            if let Err(error) = self.fill(table, gone.slot, gone.restarts + 1, pause) {
                tracing::error!(%error, "failed to replace a worker");
            }
        }
        Some(gone)
    }

    /// A worker has ended. Called once for each.
    fn ended(self: &Arc<Self>, id: ThreadId, ended: Ended) {
        let mut table = self.lock();
        let culprits = match ended {
            Ended::Stopped => {
                table.forget(id);
                drop(table);
                Vec::new()
            }
            Ended::Failed { reason, culprits } => {
                self.replace(&mut table, id);
                drop(table);
                tracing::error!(
                    worker = %id, reason, ran = ?culprits,
                    "a worker failed; its guilds get a place at their next event"
                );
                culprits
            }
        };
        for culprit in culprits {
            self.shared.breaks.report(culprit);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Workers that nobody stopped would live for ever.
        self.0.lock().stop_all(Instant::now());
    }
}

#[async_trait]
impl VmDistributionStrategy for Pool {
    fn send(&self, command: Command) -> Result<(), NotSent> {
        self.0.send(&mut self.0.lock(), command)
    }

    fn can_take_guilds(&self) -> bool {
        self.0.lock().can_take_guilds()
    }

    fn guilds(&self) -> usize {
        self.0.lock().routes.len()
    }

    fn threads(&self) -> Vec<ThreadStatus> {
        self.0.lock().statuses()
    }

    async fn ping(&self, id: ThreadId, by: Instant) -> Result<bool, NoSuchWorker> {
        let entry = self.0.lock().entry(id).ok_or(NoSuchWorker)?;
        let answers = self.ask(vec![entry], &WorkerAction::Ping, by).await;
        Ok(answers.contains(&LuaVmResult::Done))
    }

    async fn ask_all(&self, action: WorkerAction, by: Instant) -> Vec<LuaVmResult> {
        let workers = self.0.lock().entries();
        self.ask(workers, &action, by).await
    }

    async fn drain(&self, id: ThreadId, by: Instant) -> Result<(), NoSuchWorker> {
        let pool = Arc::clone(&self.0);
        // Also where the caller goes away: what is parked for guilds on the move would stay so for ever.
        tokio::spawn(async move { pool.drain(id, by).await }).await.unwrap_or(Err(NoSuchWorker))
    }

    async fn move_guild(&self, guild: GuildId, to: ThreadId, by: Instant) -> Result<(), NoSuchWorker> {
        if !self.0.lock().serves(to) {
            return Err(NoSuchWorker);
        }
        let pool = Arc::clone(&self.0);
        let moving = tokio::spawn(async move { pool.move_guild(guild, None, Some(to), by).await });
        moving.await.map_err(|_| NoSuchWorker)
    }

    async fn stop(&self, by: Instant) -> bool {
        self.0.lock().stop_all(by);
        let patience = by + self.0.kind.patience();
        loop {
            let ended = self.0.ended.notified();
            if self.0.alive.count() == 0 {
                return true;
            }
            if tokio::time::timeout_at(patience.into(), ended).await.is_err() {
                return self.0.alive.count() == 0;
            }
        }
    }
}
