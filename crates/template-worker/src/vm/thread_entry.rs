//! The cheap handle to a worker (a thread, or a process with threads of its own), the same for every strategy: its
//! number, its queue, and how it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::action::{LuaVmAction, LuaVmResult, ThreadStatus, WorkerAction, WorkerState};
use super::load::Load;
use super::reply::Reply;
use crate::ids::{GuildId, ThreadId};
use crate::metrics::Inside;

/// An action for a guild's VM, and the duty to answer: one [`Reply`] for each answer that the action owes.
#[derive(Debug)]
pub struct Command {
    /// Whose VM.
    pub guild: GuildId,
    /// What to do.
    pub action: LuaVmAction,
    /// To whom it matters.
    pub replies: Vec<Reply>,
    /// When it was made.
    pub(crate) since: Instant,
    /// Counts the commands that were sent; given when this one is.
    pub(super) number: CommandNumber,
}

/// Counts the commands of a pool in the order in which they were put on queues.
pub(super) type CommandNumber = u64;

impl Command {
    /// A command that has not been sent.
    pub fn new(guild: GuildId, action: LuaVmAction, replies: Vec<Reply>) -> Self {
        Self { guild, action, replies, since: Instant::now(), number: 0 }
    }

    /// Answers everybody who waits for it. Nothing else comes of it.
    pub(super) fn answer(self, result: &LuaVmResult) {
        for reply in self.replies {
            reply.send(result.clone());
        }
    }
}

/// What a worker finds on its queue.
#[derive(Debug)]
pub(super) enum Message {
    /// For a guild's VM.
    Command(Command),
    /// For the worker itself.
    Order(WorkerAction, Reply),
}

impl Message {
    /// Answers it with why nothing came of it.
    pub(super) fn refuse(self, reason: &str) {
        let result = LuaVmResult::Broken { reason: reason.to_owned() };
        match self {
            Self::Command(command) => command.answer(&result),
            Self::Order(_, reply) => reply.send(result),
        }
    }
}

/// Why a worker did not take a message. The message comes back, with its replies.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// Its queue is full.
    Full(Message),
    /// The worker has ended.
    Ended(Message),
}

/// What a worker tells about itself, and everybody may read.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Set while it runs something, so that an operator can tell a busy worker from a stuck one.
    pub(super) busy: AtomicBool,
    /// How much of its time it was busy lately.
    pub(super) load: Load,
    /// What a process says is in it; a thread has nothing to add.
    inside: Mutex<Option<Inside>>,
}

impl Pulse {
    /// A process tells something about what is in it.
    pub(super) fn hears(&self, change: impl FnOnce(&mut Inside)) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        change(inside.get_or_insert_default());
    }

    fn inside(&self) -> Option<Inside> {
        *self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker, as everybody but itself sees it.
#[derive(Debug, Clone)]
pub struct ThreadEntry {
    id: ThreadId,
    messages: mpsc::Sender<Message>,
    pulse: Arc<Pulse>,
    started: Instant,
    restarts: u32,
}

impl ThreadEntry {
    /// An entry and the receiving end of its queue, which holds at most `queue` messages.
    pub(super) fn new(id: ThreadId, queue: usize, restarts: u32) -> (Self, mpsc::Receiver<Message>) {
        let (messages, receiver) = mpsc::channel(queue);
        (Self { id, messages, pulse: Arc::default(), started: Instant::now(), restarts }, receiver)
    }

    /// The same of a worker that is to wait first: its life begins then.
    pub(super) fn after(mut self, pause: Duration) -> Self {
        self.started += pause;
        self
    }

    /// The worker's number.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// How many workers before it in its place failed.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Puts `message` on the worker's queue, now or not at all.
    ///
    /// # Errors
    /// [`NotTaken`], with the message.
    pub(super) fn send(&self, message: Message) -> Result<(), NotTaken> {
        self.messages.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) => NotTaken::Full(message),
            TrySendError::Closed(message) => NotTaken::Ended(message),
        })
    }

    /// How it is, with what the strategy's table knows.
    pub(super) fn status(&self, state: WorkerState, guilds: usize) -> ThreadStatus {
        ThreadStatus {
            id: self.id,
            state,
            guilds,
            queued: self.messages.max_capacity() - self.messages.capacity(),
            busy: self.pulse.busy.load(Ordering::Relaxed),
            load: self.pulse.load.now(Instant::now()),
            restarts: self.restarts,
            inside: self.pulse.inside(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
