//! A worker's side of its pool: what it starts with, and what it tells the pool about itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::Inner;
use crate::ids::{GuildId, ThreadId};
use crate::vm::quarantine::Break;
use crate::vm::reply::Present;
use crate::vm::thread_entry::{CommandNumber, Message, Pulse};

/// What a worker starts with.
pub(in crate::vm) struct Start {
    /// Its place in the pool.
    pub(in crate::vm) seat: Seat,
    /// Its queue.
    pub(in crate::vm) messages: mpsc::Receiver<Message>,
    /// What it tells everybody.
    pub(in crate::vm) pulse: Arc<Pulse>,
    /// When it has to be done: `None` while it is not asked to.
    pub(in crate::vm) stop_by: watch::Receiver<Option<Instant>>,
    /// How long it has to wait before it starts.
    pub(in crate::vm) pause: Duration,
}

/// How a worker came to its end.
#[derive(Debug, Clone)]
pub(in crate::vm) enum Ended {
    /// As it was asked to.
    Stopped,
    /// It panicked, crashed, or could not start.
    Failed {
        /// Why, and where.
        reason: String,
        /// What it was running.
        culprits: Vec<Break>,
    },
}

/// A worker's place in its pool. Dropping it says that nothing of the worker is left.
#[derive(Debug)]
pub(in crate::vm) struct Seat {
    id: ThreadId,
    pool: Arc<Inner>,
    /// `None` until the worker has begun: who failed to start it knows that already.
    ended: Option<Ended>,
    alive: Option<Present>,
}

impl Seat {
    pub(super) fn new(id: ThreadId, pool: Arc<Inner>, alive: Present) -> Self {
        Self { id, pool, ended: None, alive: Some(alive) }
    }

    /// The first thing that a worker says.
    pub(in crate::vm) fn begin(&mut self) {
        self.ended =
            Some(Ended::Failed { reason: "it ended without a word".to_owned(), culprits: Vec::new() });
    }

    /// The worker's number.
    pub(in crate::vm) fn id(&self) -> ThreadId {
        self.id
    }

    /// Tells the pool that a guild has no VM here any more, as of the command with this number. With a later one on its
    /// way, the guild is about to have one again, and nothing changes.
    pub(in crate::vm) fn vacating(&self) -> impl Fn(GuildId, CommandNumber) + Send + Sync + 'static {
        let (id, pool) = (self.id, Arc::clone(&self.pool));
        move |guild, upto| pool.vacate(id, guild, upto)
    }

    /// How it came to its end. Its guilds are free to be placed anew from here on, and another worker takes its place; it
    /// may still have to clean up.
    pub(in crate::vm) fn ends(&mut self, ended: Ended) {
        self.ended = None;
        self.pool.ended(self.id, ended);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            self.pool.ended(self.id, ended);
        }
        drop(self.alive.take());
        self.pool.ended.notify_waiters();
    }
}
