//! What a VM process is told, and the question that is always open: whether it is alive.
//!
//! Owns the words, and how long a process may take to be ready, to read and to answer. What it says itself is taken apart in
//! `hearing`; its start, its end and who is to blame for that are the `supervisor`'s business.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::books::{Books, MOST_OWED, Memory, Told, lock};
use super::calls::{Places, Replies, instead};
use super::spawned::Death;
use super::supervisor::{Settings, asked_to_stop, patience};
use super::wire::{self, Action, Order, ToProcess, VERSION, encode_into};
use crate::ids::ThreadId;
use crate::limits::Limits;
use crate::metrics::Usage;
use crate::vm::action::{LuaVmAction, LuaVmResult, WorkerAction};
use crate::vm::reply::{Answers, replies};
use crate::vm::strategy::Shared;
use crate::vm::thread_entry::{Command, Message, Pulse};

/// Threads of a process that run no VMs, and those that are ending while others take their place.
const OTHER_THREADS: usize = 16;
/// Between two looks at a process.
const BEAT: Duration = Duration::from_millis(500);
/// How long a process may take to be locked in and ready.
const TIME_TO_START: Duration = Duration::from_secs(10);
/// How long a process may leave what it was sent unread.
const TIME_TO_READ: Duration = Duration::from_secs(10);
/// Bytes that are kept to write into.
const KEPT: usize = 64 << 10;
/// Messages that are written at once.
const BATCH: usize = 128;

/// Why the parent stops talking to a process.
pub(super) enum End {
    /// It has ended.
    Died(Death),
    /// The connection is gone.
    Broken(String),
    /// It does not do what it has to, or does what it must not, and is ended.
    Condemned(String),
    /// As it was asked to.
    Stopped,
}

/// Returns when the process is ready. Where it will not be, somebody else notices.
async fn becomes(ready: &mut watch::Receiver<bool>) {
    if ready.wait_for(|ready| *ready).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A question that is always open: whether the process is alive.
#[derive(Default)]
struct Ping {
    answers: Option<Answers>,
    /// For how long it has had no answer.
    since: Option<Instant>,
}

/// What the parent says.
pub(super) struct Talk {
    write: OwnedWriteHalf,
    buffer: Vec<u8>,
    books: Arc<Mutex<Books>>,
    memory: Memory,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
    /// Of the host, for the calls of the process.
    replies: Replies,
    stopping: bool,
}

impl Talk {
    pub(super) fn new(
        write: OwnedWriteHalf,
        books: Arc<Mutex<Books>>,
        settings: Arc<Settings>,
        shared: Arc<Shared>,
        pulse: Arc<Pulse>,
        replies: Replies,
    ) -> Self {
        let (buffer, memory) = (Vec::new(), Memory::default());
        Self { write, buffer, books, memory, settings, shared, pulse, replies, stopping: false }
    }

    /// Whether the process was asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Talks to the process `pid` until there is a reason to end it, or it is asked to end.
    pub(super) async fn run(
        &mut self,
        pid: Option<u32>,
        worker: ThreadId,
        messages: &mut mpsc::Receiver<Message>,
        mut stop_by: watch::Receiver<Option<Instant>>,
        mut is_ready: watch::Receiver<bool>,
    ) -> End {
        self.say(&self.start(worker));
        if let Err(end) = self.flush().await {
            return end;
        }
        tokio::select! {
            ready = timeout(TIME_TO_START, becomes(&mut is_ready)) => if ready.is_err() {
                return End::Condemned("it was not ready in time".to_owned());
            },
            // Nobody has been sent anything yet.
            _ = asked_to_stop(&mut stop_by) => {
                self.stopping = true;
                return End::Stopped;
            }
        }
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = Ping::default();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // Where there is no room, the next beat looks again.
                taken = messages.recv_many(&mut batch, BATCH), if lock(&self.books).have_room() => {
                    if taken == 0 {
                        return End::Stopped;
                    }
                    for message in batch.drain(..) {
                        self.pass_on(message);
                    }
                }
                Some((reply, places)) = self.replies.recv() => self.reply(&reply, places),
                _ = beats.tick() => {
                    if let Err(end) = self.look(pid, &mut ping) {
                        return end;
                    }
                }
                by = asked_to_stop(&mut stop_by) => return self.stop(by, messages).await,
            }
            if let Err(end) = self.flush().await {
                return end;
            }
        }
    }

    /// Lets the process finish. It ends by itself, which somebody else notices; or its time is over.
    async fn stop(&mut self, by: Instant, messages: &mut mpsc::Receiver<Message>) -> End {
        self.stopping = true;
        // What was accepted goes first, and it will hear of nothing that comes later.
        messages.close();
        while let Ok(message) = messages.try_recv() {
            self.pass_on(message);
        }
        let within = by.saturating_duration_since(Instant::now());
        self.say(&ToProcess::Stop { within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX) });
        if let Err(end) = self.flush().await {
            return end;
        }
        let over = tokio::time::sleep_until((by + patience(&self.shared.limits)).into());
        tokio::pin!(over);
        loop {
            tokio::select! {
                // What finishes may have to wait for the host.
                Some((reply, places)) = self.replies.recv() => self.reply(&reply, places),
                () = &mut over => return End::Condemned("it did not stop in time".to_owned()),
            }
            if let Err(end) = self.flush().await {
                return end;
            }
        }
    }

    /// Puts a reply of the host, and those that wait behind it, into the words of the wire.
    fn reply(&mut self, first: &ToProcess, places: Option<Places>) {
        self.say_reply(first);
        drop(places);
        for _ in 1..BATCH {
            let Ok((reply, _places)) = self.replies.try_recv() else { return };
            self.say_reply(&reply);
        }
    }

    fn say_reply(&mut self, reply: &ToProcess) {
        if let Err(error) = encode_into(&mut self.buffer, reply)
            && let ToProcess::Reply { number, .. } = reply
        {
            self.say(&instead(*number, &error.to_string()));
        }
    }

    fn start(&self, worker: ThreadId) -> ToProcess {
        ToProcess::Start(wire::Start {
            version: VERSION,
            worker,
            limits: Arc::clone(&self.shared.limits),
            capabilities: self.shared.host.most(),
            threads: self.settings.threads,
            queue: MOST_OWED + BATCH,
            warm_vms: self.settings.warm_vms,
            idle_ms: self.settings.idle_ms,
            max_memory: self.settings.max_memory as u64,
            require_confinement: self.settings.require_confinement,
            drills: self.settings.drills,
        })
    }

    /// Asks whether it is alive, once it has answered the last time, and looks at its memory.
    fn look(&mut self, pid: Option<u32>, ping: &mut Ping) -> Result<(), End> {
        if let Some(answers) = &mut ping.answers {
            match answers.try_recv() {
                Ok((_, LuaVmResult::Done)) => *ping = Ping::default(),
                Err(TryRecvError::Empty) => {}
                // One of its threads has just failed. It is asked again, and has no more time for that.
                _ => ping.answers = None,
            }
        }
        if ping.since.is_some_and(|since| since.elapsed() >= self.settings.heartbeat) {
            return Err(End::Condemned(format!("it did not answer for {:?}", self.settings.heartbeat)));
        }
        if let Some(Usage { resident, threads }) = pid.and_then(|pid| Usage::of(Some(pid))) {
            self.pulse.hears(|inside| inside.resident = resident);
            let most = self.settings.most_resident();
            if resident > most {
                return Err(End::Condemned(format!(
                    "it used {resident} bytes of memory, and {most} are the most"
                )));
            }
            let most = self.settings.threads + OTHER_THREADS;
            if threads > most {
                return Err(End::Condemned(format!("it has {threads} threads, and {most} are the most")));
            }
        }
        if ping.answers.is_none() {
            let (mut duty, answers) = replies(1, &self.shared.owed, None);
            if let Some(reply) = duty.pop() {
                self.pass_on(Message::Order(WorkerAction::Ping, reply));
            }
            ping.answers = Some(answers);
            ping.since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Puts a message into the words of the wire.
    fn pass_on(&mut self, message: Message) {
        match message {
            Message::Command(Command { guild, action, replies, number, .. }) => {
                let number = lock(&self.books).sent(number, guild, &action, replies);
                let action = self.action(action);
                let said = encode_into(&mut self.buffer, &ToProcess::Act { number, guild, action });
                if let Err(error) = said {
                    lock(&self.books)
                        .refuse(number, &format!("it cannot be sent to the guild's process: {error}"));
                }
            }
            Message::Order(action, reply) => {
                let order = match action {
                    WorkerAction::Ping => Order::Ping,
                    WorkerAction::ListVms { after, limit } => {
                        Order::ListVms { after, limit: u32::try_from(limit).unwrap_or(u32::MAX) }
                    }
                    WorkerAction::EvictIdle { idle } => {
                        Order::EvictIdle { idle_ms: u64::try_from(idle.as_millis()).unwrap_or(u64::MAX) }
                    }
                };
                let number = lock(&self.books).ordered(reply);
                self.say(&ToProcess::Order { number, order });
            }
        }
    }

    fn action(&mut self, action: LuaVmAction) -> Action {
        match action {
            LuaVmAction::DispatchEvent { event, templates, limits } => {
                for key in self.memory.templates.forget() {
                    self.say(&ToProcess::ForgetTemplate { key });
                }
                for key in self.memory.limits.forget() {
                    self.say(&ToProcess::ForgetLimits { key });
                }
                let mut keys = Vec::with_capacity(templates.len());
                for template in templates {
                    keys.push(match self.memory.templates.tell(&template, template.program.code_bytes()) {
                        Told::Known(key) => key,
                        Told::New(key) => {
                            self.say(&ToProcess::Template { key, template });
                            key
                        }
                    });
                }
                let limits = match self.memory.limits.tell(&limits, size_of::<Limits>()) {
                    Told::Known(key) => key,
                    Told::New(key) => {
                        self.say(&ToProcess::Limits { key, limits });
                        key
                    }
                };
                Action::DispatchEvent { event, templates: keys, limits }
            }
            LuaVmAction::Stop => Action::Stop,
            LuaVmAction::CloseIfIdle => Action::CloseIfIdle,
            LuaVmAction::GetStatus => Action::GetStatus,
            LuaVmAction::GetMemoryUsage => Action::GetMemoryUsage,
            LuaVmAction::SetMemoryLimit { limit } => Action::SetMemoryLimit { limit },
            LuaVmAction::ClearCache { template } => Action::ClearCache { template },
            LuaVmAction::CollectGarbage => Action::CollectGarbage,
            LuaVmAction::Panic { place } => Action::Panic { place },
            LuaVmAction::Escape { attempt } => Action::Escape { attempt },
        }
    }

    /// Says something that nobody waits for. What cannot be written is missed by the process, which says so then.
    fn say(&mut self, message: &ToProcess) {
        if let Err(error) = encode_into(&mut self.buffer, message) {
            tracing::error!(%error, "a message to a VM process cannot be written");
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = timeout(TIME_TO_READ, self.write.write_all(&self.buffer)).await;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        match written {
            Ok(Ok(())) => Ok(()),
            // It is about to end, and somebody else knows more.
            Ok(Err(error)) => Err(End::Broken(format!("the connection to it failed: {error}"))),
            Err(_) => Err(End::Condemned(format!("it took nothing for {TIME_TO_READ:?}"))),
        }
    }
}
