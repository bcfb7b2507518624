//! The cheap handle to a worker thread, the same for every strategy: its number, its queue, and how it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::action::{LuaVmAction, ThreadStatus};
use super::reply::{Present, Reply};
use crate::ids::{GuildId, ThreadId};

/// An action for a guild's VM, and the duty to answer: one [`Reply`] for each answer that the action owes.
#[derive(Debug)]
pub struct Command {
    /// Whose VM.
    pub guild: GuildId,
    /// What to do.
    pub action: LuaVmAction,
    /// To whom it matters.
    pub replies: Vec<Reply>,
    /// Says that the command is on its way to the guild's thread.
    pub(super) queued: Option<Present>,
    /// How many slices its thread had begun when it was on its queue. Not yet: no number is larger.
    pub(super) sent_at: Arc<AtomicU64>,
}

impl Command {
    /// A command that has not been sent.
    pub fn new(guild: GuildId, action: LuaVmAction, replies: Vec<Reply>) -> Self {
        Self { guild, action, replies, queued: None, sent_at: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

/// Why a thread did not take a command. The command comes back, with its replies.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// Its queue is full.
    Full(Command),
    /// The thread has ended.
    Ended(Command),
}

/// A worker thread, as everybody but itself sees it.
#[derive(Debug, Clone)]
pub struct ThreadEntry {
    id: ThreadId,
    commands: mpsc::Sender<Command>,
    /// Set by the thread while it runs something, so that an operator can tell a busy thread from a stuck one.
    busy: Arc<AtomicBool>,
    /// Counted by the thread: the clock in which waiting for neighbours is measured.
    slices: Arc<AtomicU64>,
    started: Instant,
    restarts: u32,
}

impl ThreadEntry {
    /// An entry and the receiving end of its queue, which holds at most `queue` commands.
    pub(crate) fn new(id: ThreadId, queue: usize, restarts: u32) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(queue);
        let busy = Arc::new(AtomicBool::new(false));
        (Self { id, commands, busy, slices: Arc::default(), started: Instant::now(), restarts }, receiver)
    }

    /// The thread's number.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    pub(crate) fn busy_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.busy)
    }

    pub(crate) fn slices(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.slices)
    }

    /// Puts `command` on the thread's queue, now or not at all.
    ///
    /// # Errors
    /// [`NotTaken`], with the command.
    pub(super) fn send(&self, command: Command) -> Result<(), NotTaken> {
        let sent_at = Arc::clone(&command.sent_at);
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) => NotTaken::Full(command),
            TrySendError::Closed(command) => NotTaken::Ended(command),
        })?;
        // Afterwards: a caller that loses its CPU in between has not made anybody wait.
        sent_at.store(self.slices.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }

    /// How it is, with `guilds` from the strategy's table.
    pub fn status(&self, guilds: usize) -> ThreadStatus {
        ThreadStatus {
            id: self.id,
            guilds,
            queued: self.commands.max_capacity() - self.commands.capacity(),
            busy: self.busy.load(Ordering::Relaxed),
            restarts: self.restarts,
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
