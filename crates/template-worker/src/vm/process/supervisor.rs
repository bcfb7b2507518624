//! One VM process from its parent's side, from its start to its end: what it is sent, that it keeps answering, and what
//! is known of its death.
//!
//! A process that exits, hangs, uses too much memory or says what nobody can understand is ended, and everything that it
//! owes is answered. Starting the next one is the pool's business. What the process says is taken apart in `hearing`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::books::{Books, MOST_OWED, Memory, Told};
use super::calls::{Places, Replies, calls, instead};
use super::hearing::Hearing;
use super::spawned::{Death, Spawned};
use super::wire::{self, Action, FrameReader, Order, ToProcess, ToService, VERSION, encode_into};
use crate::ids::ThreadId;
use crate::limits::Limits;
use crate::metrics::Usage;
use crate::vm::action::{LuaVmAction, LuaVmResult, WorkerAction};
use crate::vm::quarantine::Break;
use crate::vm::reply::{Answers, replies};
use crate::vm::strategy::{Ended, Shared, WorkerStart};
use crate::vm::thread_entry::{Command, Message, Pulse};

/// Threads of a process that run no VMs, and those that are ending while others take their place.
const OTHER_THREADS: usize = 16;
/// Between two looks at a process.
const BEAT: Duration = Duration::from_millis(500);
/// How long a process may take to be locked in and ready.
const TIME_TO_START: Duration = Duration::from_secs(10);
/// How long a process may leave what it was sent unread.
const TIME_TO_READ: Duration = Duration::from_secs(10);
/// How long what is left of a process may take to end: itself once its connection is closed, its connection once it is gone.
const TIME_TO_DIE: Duration = Duration::from_secs(1);
/// Messages that are written at once.
const BATCH: usize = 128;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// What all processes of a pool have in common.
#[derive(Debug)]
pub(in crate::vm) struct Settings {
    /// The program; nothing for this one.
    pub(in crate::vm) program: PathBuf,
    /// Threads of each process.
    pub(in crate::vm) threads: usize,
    /// VMs that each thread keeps ready.
    pub(in crate::vm) warm_vms: usize,
    /// Milliseconds that a VM may be idle.
    pub(in crate::vm) idle_ms: u64,
    /// Bytes that the VMs of one process may use together.
    pub(in crate::vm) max_memory: usize,
    /// How long a process may be without an answer.
    pub(in crate::vm) heartbeat: Duration,
    /// Whether a process that cannot be locked in entirely is refused.
    pub(in crate::vm) require_confinement: bool,
    /// Whether drills are allowed.
    pub(in crate::vm) drills: bool,
}

impl Settings {
    /// Bytes of memory that a process may use, with everything that is not in a VM: code, stacks, what the allocator
    /// holds back.
    fn most_resident(&self) -> u64 {
        let vms = self.max_memory as u64;
        vms.saturating_add(vms / 2).saturating_add(256 << 20)
    }
}

/// Runs one process until it has ended.
pub(in crate::vm) async fn supervise(start: WorkerStart, settings: Arc<Settings>, shared: Arc<Shared>) {
    let WorkerStart { mut seat, mut messages, pulse, mut stop_by, pause } = start;
    seat.begin();
    if pause > Duration::ZERO {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = asked_to_stop(&mut stop_by) => return seat.ends(Ended::Stopped),
        }
    }
    let mut process = match Spawned::start(&settings.program, seat.id()) {
        Ok(process) => process,
        Err(error) => {
            let reason = format!("its process could not be started: {error}");
            close(&mut messages, &refusal(&reason));
            return seat.ends(Ended::Failed { reason, culprits: Vec::new() });
        }
    };
    let (read, write) = match process.take_socket() {
        Some(socket) => socket.into_split(),
        None => return,
    };
    let books = Arc::new(Mutex::new(Books::default()));
    let (ready, is_ready) = watch::channel(false);
    let vacate = Box::new(seat.vacating());
    let (calls, replies) = calls();
    let hearing = Hearing::new(
        seat.id(),
        Arc::clone(&books),
        Arc::clone(&shared),
        Arc::clone(&pulse),
        vacate,
        ready,
        calls,
    );
    let mut talk = Talk {
        write,
        buffer: Vec::new(),
        books: Arc::clone(&books),
        memory: Memory::default(),
        settings: Arc::clone(&settings),
        shared,
        pulse,
        replies,
        stopping: false,
    };
    let pid = process.pid();
    let mut listening = tokio::spawn(listen(read, hearing));
    let end = tokio::select! {
        end = talk.run(pid, seat.id(), &mut messages, stop_by, is_ready) => end,
        death = process.ended() => End::Died(death),
        heard = &mut listening => heard.unwrap_or_else(|_| {
            End::Condemned("what it said made its parent panic".to_owned())
        }),
    };
    // From here on, commands go to its successor; what was queued is refused at the end.
    messages.close();
    let death = match end {
        // It closes the connection a moment before it is gone.
        End::Broken(reason) => match timeout(TIME_TO_DIE, process.ended()).await {
            Ok(death) => death,
            Err(_) => Death { reason, own_doing: true, exited: false },
        },
        End::Condemned(reason) => Death { reason, own_doing: true, exited: false },
        // An exit that nobody asked for is its own doing, however it looks.
        End::Died(death) => Death { own_doing: death.own_doing || (death.exited && !talk.stopping), ..death },
        End::Stopped => Death { reason: "it was stopped".to_owned(), own_doing: false, exited: false },
    };
    process.kill().await;
    // What it had said by then counts.
    if !listening.is_finished() {
        drop(timeout(TIME_TO_DIE, &mut listening).await);
    }
    listening.abort();
    let stopped = talk.stopping;
    close(&mut messages, &refusal(&death.reason));
    lock(&books).close(&refusal(&death.reason));
    if stopped && !death.own_doing {
        return seat.ends(Ended::Stopped);
    }
    let running = if death.own_doing { process.marker.read() } else { Vec::new() };
    // With several threads at work, who can say which of them it was?
    let running = if running.len() == 1 { running } else { Vec::new() };
    let culprits = running
        .into_iter()
        .filter(|(guild, template)| lock(&books).can_have_broken(*guild, Some(template)))
        .map(|(guild, template)| Break {
            guild,
            template: Some(template),
            reason: format!("the process of its VM ended while it ran: {}", death.reason),
        })
        .collect();
    seat.ends(Ended::Failed { reason: death.reason, culprits });
}

/// What whoever waits is told of the end of a process.
fn refusal(reason: &str) -> String {
    format!("the process that ran this guild's VM ended: {reason}; try again")
}

/// Takes nothing more in. Whoever waits hears why.
fn close(messages: &mut mpsc::Receiver<Message>, reason: &str) {
    messages.close();
    while let Ok(message) = messages.try_recv() {
        message.refuse(reason);
    }
}

/// Returns when the worker is asked to end: by when it has to. At once, where nobody is left who could ask.
async fn asked_to_stop(stop_by: &mut watch::Receiver<Option<Instant>>) -> Instant {
    let asked = stop_by.wait_for(Option::is_some).await.ok().and_then(|by| *by);
    asked.unwrap_or_else(Instant::now)
}

/// Returns when the process is ready. Where it will not be, somebody else notices.
async fn becomes(ready: &mut watch::Receiver<bool>) {
    if ready.wait_for(|ready| *ready).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Why the parent stops talking to a process.
enum End {
    /// It has ended.
    Died(Death),
    /// The connection is gone.
    Broken(String),
    /// It does not do what it has to, or does what it must not, and is ended.
    Condemned(String),
    /// As it was asked to.
    Stopped,
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes in what the process says until it cannot be understood or has nothing more to say. Returns why.
async fn listen(mut read: OwnedReadHalf, mut hearing: Hearing) -> End {
    let mut reader = FrameReader::<ToService>::default();
    let mut piece = vec![0; PIECE];
    loop {
        match read.read(&mut piece).await {
            Ok(0) => return End::Broken("it closed the connection".to_owned()),
            Ok(bytes) => reader.feed(piece.get(..bytes).unwrap_or_default()),
            Err(error) => return End::Broken(format!("the connection to it failed: {error}")),
        }
        loop {
            match reader.next() {
                Ok(Some(message)) => {
                    if let Err(reason) = hearing.take(message) {
                        return End::Condemned(reason);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    return End::Condemned(format!("it said what nobody understands: {error}"));
                }
            }
        }
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
struct Talk {
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
    async fn run(
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
        self.buffer.shrink_to(PIECE);
        match written {
            Ok(Ok(())) => Ok(()),
            // It is about to end, and somebody else knows more.
            Ok(Err(error)) => Err(End::Broken(format!("the connection to it failed: {error}"))),
            Err(_) => Err(End::Condemned(format!("it took nothing for {TIME_TO_READ:?}"))),
        }
    }
}

/// How long after its time was over a process may still need to end.
pub(in crate::vm) fn patience(limits: &Limits) -> Duration {
    limits.max_non_yieldable_time() + Duration::from_secs(2)
}
