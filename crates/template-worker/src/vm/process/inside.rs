//! A VM process from the inside: it locks itself in, and then does for its parent what the parent's own threads would.
//!
//! Owns the order of that. What it says goes by its `line`. What runs here is the same as in a service with threads: a pool, its
//! thread loops, their VMs. The process ends when it is told to, or when its parent is gone.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc};
use tokio::task::LocalSet;

use super::confinement::{LockError, LockState, Locks, lock_in};
use super::line::{Line, PIECE, read};
use super::marker::Marker;
use super::wire::{self, Action, FrameReader, Order, Start, ToProcess, ToService, VERSION};
use crate::config::VmConfig;
use crate::execution::{LoadedTemplate, LogEntry, TemplateLog};
use crate::host::HostLine;
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::vm::action::{LuaVmAction, LuaVmResult, WorkerAction, merge_vms};
use crate::vm::quarantine::BreakReports;
use crate::vm::reply::{Answering, Reply, replies_to};
use crate::vm::strategy::{NotSent, Outside, Shared, VmDistributionStrategy, inside_process};
use crate::vm::thread_entry::{Command, CommandNumber};

/// How long the threads have to answer when they are asked for something.
const TIME_TO_ANSWER: Duration = Duration::from_secs(60);

/// Why a VM process did not serve.
#[derive(Debug, thiserror::Error)]
pub enum NotServed {
    /// Its descriptors are not what the service hands over.
    #[error("a VM process is started by the service only: its first descriptor is no socket")]
    NoSocket(#[source] io::Error),
    /// The service said something else than it has to.
    #[error("the service did not say what to do")]
    NoStart,
    /// Not every lock could be closed.
    #[error("failed to lock this process in")]
    Locks(#[source] LockError),
    /// The operating system has not what it takes.
    #[error("failed to set up the process")]
    Setup(#[source] io::Error),
    /// The runtime could not be set up.
    #[error("failed to set up the Luau runtime")]
    Runtime(#[from] khronos::RuntimeError),
    /// The connection failed.
    #[error("the connection to the service failed")]
    Connection(#[source] io::Error),
}

/// Serves the service that has started this process, until that says stop or is gone. To be called while the process has
/// one thread.
///
/// # Errors
/// [`NotServed`].
pub fn serve() -> Result<(), NotServed> {
    let (start, rest) = read_start()?;
    let memory = most_memory(&start);
    let locks = Locks { memory_bytes: memory, require: start.require_confinement };
    let confinement = lock_in(&locks).map_err(NotServed::Locks)?;
    let locks = confinement
        .locks()
        .map(|(lock, state)| wire::Lock {
            name: lock.name().to_owned(),
            state: match state {
                LockState::Enforced => "enforced".to_owned(),
                LockState::Missing(why) => why.clone(),
            },
        })
        .collect();
    let line = Arc::new(Line::new(Arc::clone(&start.capabilities)));
    let process = Process::start(&start, Marker::of_this_process(), &line)?;
    line.say(&ToService::Ready { version: VERSION, locks });
    let said = Arc::clone(&line);
    let writing = spawn("line", move || said.write_out()).map_err(NotServed::Setup)?;
    let (ended, end) = sync_channel(2);
    // It goes on listening while what runs is finished: that may wait for replies.
    spawn("ears", move || {
        let done = process.listen(rest, &ended);
        // An error means that the process has ended meanwhile.
        let _ = ended.send(done);
    })
    .map_err(NotServed::Setup)?;
    let done = end.recv().unwrap_or(Ok(()));
    // What was said last is to be heard.
    line.close();
    // It cannot panic; and if it did, nobody would be left to be told.
    let _ = writing.join();
    done
}

/// A thread beside those that run VMs. Blocking calls on few threads are quicker here than an event loop, and need fewer
/// system calls that a lock would have to spare.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn runtime() -> Result<Runtime, NotServed> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(NotServed::Setup)
}

/// Bytes of writable memory: the VMs with room to spare, the stacks, and what is used besides.
fn most_memory(start: &Start) -> u64 {
    let stacks = start.threads.saturating_mul(start.limits.max_vm_thread_stack_size) as u64;
    start.max_memory.saturating_mul(2).saturating_add(stacks).saturating_add(512 << 20)
}

/// The first message, read without anything that a lock would have to spare; and what had come after it.
fn read_start() -> Result<(Start, FrameReader<ToProcess>), NotServed> {
    let mut reader = FrameReader::<ToProcess>::default();
    let mut piece = [0; 4_096];
    loop {
        let read = read(&mut piece).map_err(NotServed::NoSocket)?;
        if read == 0 {
            return Err(NotServed::NoStart);
        }
        reader.feed(piece.get(..read).unwrap_or_default());
        match reader.next() {
            Ok(Some(ToProcess::Start(start))) if start.version == VERSION => return Ok((start, reader)),
            Ok(None) => {}
            _ => return Err(NotServed::NoStart),
        }
    }
}

async fn pass_on_logs(mut log: broadcast::Receiver<LogEntry>, line: Arc<Line>) {
    let mut dropped = 0;
    loop {
        match log.recv().await {
            Ok(_) if line.is_full() => dropped += 1,
            Ok(entry) => {
                if dropped > 0 {
                    line.say(&ToService::LogsDropped { lines: std::mem::take(&mut dropped) });
                }
                line.say(&ToService::Log(entry));
            }
            Err(broadcast::error::RecvError::Lagged(lines)) => dropped += lines,
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// What does the work.
struct Process {
    strategy: Arc<dyn VmDistributionStrategy>,
    shared: Arc<Shared>,
    line: Arc<Line>,
    templates: HashMap<u64, Arc<LoadedTemplate>>,
    limits: HashMap<u64, Arc<Limits>>,
    /// To the thread that asks the others.
    orders: mpsc::Sender<(Order, Reply)>,
    drills: bool,
}

/// Orders that may wait: the service sends few, and answers for those that are refused.
const ORDERS: usize = 64;

impl Process {
    fn start(start: &Start, marker: Marker, line: &Arc<Line>) -> Result<Self, NotServed> {
        let vm = VmConfig {
            warm_vms: start.warm_vms,
            idle_ms: start.idle_ms,
            max_memory: usize::try_from(start.max_memory).unwrap_or(usize::MAX),
            ..VmConfig::default()
        };
        let metrics = Arc::new(Metrics::new(&start.limits));
        let breaks: Arc<dyn BreakReports> = Arc::clone(line) as _;
        let host: Arc<dyn HostLine> = Arc::clone(line) as _;
        let mut shared =
            Shared::new(Arc::clone(&start.limits), &vm, metrics, TemplateLog::default(), breaks, host)?;
        let vacated = {
            let line = Arc::clone(line);
            move |guild| line.vacated(guild)
        };
        shared.outside = Some(Outside { marker, vacated: Box::new(vacated) });
        let shared = Arc::new(shared);
        let strategy = inside_process(start.threads, start.queue, &shared).map_err(NotServed::Setup)?;
        let (orders, taken) = mpsc::channel(ORDERS);
        let asking = Asking {
            strategy: Arc::clone(&strategy),
            shared: Arc::clone(&shared),
            line: Arc::clone(line),
            threads: start.threads,
        };
        let runtime = runtime()?;
        spawn("orders", move || runtime.block_on(asking.run(taken))).map_err(NotServed::Setup)?;
        Ok(Self {
            strategy,
            shared,
            line: Arc::clone(line),
            orders,
            templates: HashMap::new(),
            limits: HashMap::new(),
            drills: start.drills,
        })
    }

    /// Does what the parent says, until it says nothing any more. Once it says stop, `ended` hears when that is done.
    fn listen(
        mut self,
        mut reader: FrameReader<ToProcess>,
        ended: &SyncSender<Result<(), NotServed>>,
    ) -> Result<(), NotServed> {
        let mut piece = vec![0; PIECE];
        loop {
            while let Some(message) = reader
                .next()
                .map_err(|error| NotServed::Connection(io::Error::new(io::ErrorKind::InvalidData, error)))?
            {
                match message {
                    ToProcess::Stop { within_ms } => self.stop(within_ms, ended.clone())?,
                    message => self.take(message),
                }
            }
            match read(&mut piece).map_err(NotServed::Connection)? {
                // The service is gone, and nobody is left to be answered.
                0 => return Ok(()),
                bytes => reader.feed(piece.get(..bytes).unwrap_or_default()),
            }
        }
    }

    fn stop(&self, within_ms: u64, ended: SyncSender<Result<(), NotServed>>) -> Result<(), NotServed> {
        let by = Instant::now() + Duration::from_millis(within_ms);
        let (runtime, strategy) = (runtime()?, Arc::clone(&self.strategy));
        let (shared, line) = (Arc::clone(&self.shared), Arc::clone(&self.line));
        let stop = move || {
            runtime.block_on(strategy.stop(by));
            // What was counted since the last beat.
            line.say(&beat(&*strategy, &shared));
            // An error means that the process has ended meanwhile.
            let _ = ended.send(Ok(()));
        };
        spawn("stop", stop).map(drop).map_err(NotServed::Setup)
    }

    fn take(&mut self, message: ToProcess) {
        match message {
            ToProcess::Template { key, template } => {
                self.templates.insert(key, template);
            }
            ToProcess::ForgetTemplate { key } => {
                self.templates.remove(&key);
            }
            ToProcess::Limits { key, limits } => {
                self.limits.insert(key, limits);
            }
            ToProcess::ForgetLimits { key } => {
                self.limits.remove(&key);
            }
            ToProcess::Act { number, guild, action } => self.act(number, guild, action),
            ToProcess::Order { number, order } => self.order(number, order),
            ToProcess::Reply { number, reply } => self.line.replied(number, reply),
            ToProcess::Start(_) | ToProcess::Stop { .. } => {}
        }
    }

    fn act(&self, number: CommandNumber, guild: GuildId, action: Action) {
        let answers = match &action {
            Action::DispatchEvent { templates, .. } => templates.len(),
            _ => 1,
        };
        let link: Arc<dyn Answering> = Arc::clone(&self.line) as _;
        let replies = replies_to(&link, number, answers, &self.shared.owed);
        match self.understood(action) {
            Ok(action) => {
                let command = Command::new(guild, action, replies);
                let (sent, vacated) = self.line.pass(number, guild, || self.strategy.send(command));
                // What was told of the guild was told as of the command before this one. So whoever has its VM is made to
                // look again.
                let look = || self.strategy.send(Command::new(guild, LuaVmAction::GetStatus, Vec::new()));
                if sent == Err(NotSent::Absent) || (vacated && look() == Err(NotSent::Absent)) {
                    self.line.vacated(guild);
                }
                // A command that was not sent has answered for itself.
            }
            Err(reason) => {
                for reply in replies {
                    reply.send(LuaVmResult::Broken { reason: reason.to_owned() });
                }
            }
        }
    }

    fn understood(&self, action: Action) -> Result<LuaVmAction, &'static str> {
        Ok(match action {
            Action::DispatchEvent { event, templates, limits } => {
                let known = templates.iter().map(|key| self.templates.get(key).cloned());
                let templates = known
                    .collect::<Option<Vec<_>>>()
                    .ok_or("a template was not sent to the guild's process")?;
                let limits =
                    self.limits.get(&limits).ok_or("the limits were not sent to the guild's process")?;
                LuaVmAction::DispatchEvent { event, templates, limits: Arc::clone(limits) }
            }
            Action::Stop => LuaVmAction::Stop,
            Action::CloseIfIdle => LuaVmAction::CloseIfIdle,
            Action::GetStatus => LuaVmAction::GetStatus,
            Action::GetMemoryUsage => LuaVmAction::GetMemoryUsage,
            Action::SetMemoryLimit { limit } => LuaVmAction::SetMemoryLimit { limit },
            Action::ClearCache { template } => LuaVmAction::ClearCache { template },
            Action::CollectGarbage => LuaVmAction::CollectGarbage,
            Action::Panic { .. } | Action::Escape { .. } if !self.drills => {
                return Err("drills are switched off");
            }
            Action::Panic { place } => LuaVmAction::Panic { place },
            Action::Escape { attempt } => LuaVmAction::Escape { attempt },
        })
    }

    fn order(&self, number: CommandNumber, order: Order) {
        let link: Arc<dyn Answering> = Arc::clone(&self.line) as _;
        for reply in replies_to(&link, number, 1, &self.shared.owed) {
            // Where there is no room, the reply answers for itself.
            let _ = self.orders.try_send((order.clone(), reply));
        }
    }
}

/// What carries orders out: all threads are asked, and what they say is one answer.
#[derive(Clone)]
struct Asking {
    strategy: Arc<dyn VmDistributionStrategy>,
    shared: Arc<Shared>,
    line: Arc<Line>,
    threads: usize,
}

impl Asking {
    async fn run(self, mut orders: mpsc::Receiver<(Order, Reply)>) {
        let local = LocalSet::new();
        local.spawn_local(pass_on_logs(self.shared.log.subscribe(), Arc::clone(&self.line)));
        let serve = async {
            while let Some((order, reply)) = orders.recv().await {
                let asking = self.clone();
                tokio::task::spawn_local(async move { asking.ask(order, reply).await });
            }
        };
        local.run_until(serve).await;
    }

    async fn ask(self, order: Order, reply: Reply) {
        let by = Instant::now() + TIME_TO_ANSWER;
        let Self { strategy, shared, line, threads } = self;
        match order {
            Order::Ping => {
                let answers = strategy.ask_all(WorkerAction::Ping, by).await;
                line.say(&beat(&*strategy, &shared));
                // Dropped, it would say that a thread is gone, which is no answer to this either.
                if answers.len() >= threads {
                    reply.send(LuaVmResult::Done);
                }
            }
            Order::ListVms { after, limit } => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let answers = strategy.ask_all(WorkerAction::ListVms { after, limit }, by).await;
                let lists = answers.into_iter().filter_map(LuaVmResult::into_vms);
                reply.send(LuaVmResult::Vms(merge_vms(lists, limit)));
            }
            Order::EvictIdle { idle_ms } => {
                let idle = Duration::from_millis(idle_ms);
                let answers = strategy.ask_all(WorkerAction::EvictIdle { idle }, by).await;
                let vms = answers.into_iter().filter_map(LuaVmResult::evicted).sum();
                reply.send(LuaVmResult::Evicted { vms });
            }
        }
    }
}

fn beat(strategy: &dyn VmDistributionStrategy, shared: &Shared) -> ToService {
    let threads = strategy.threads();
    let load: f64 = threads.iter().map(|thread| thread.load).sum::<f64>() / threads.len().max(1) as f64;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ToService::Beat {
        counts: postcard::to_allocvec(&shared.metrics.take_counts()).unwrap_or_default(),
        vms: count(shared.vms.count()),
        idle: count(shared.idle.count()),
        closing: count(shared.closing.count()),
        warm: count(shared.warm.count()),
        memory: shared.memory.used() as u64,
        load_permille: (load.clamp(0.0, 1.0) * 1_000.0) as u32,
    }
}
