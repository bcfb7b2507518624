//! Which worker a guild's VM lives on.
//!
//! Owns the trait that the dispatcher knows, and the strategies that an operator can choose from. Each is a kind of
//! worker and a way of placing guilds, put together on the `pool` that they all share; [`start`] is where a new one is
//! registered. `docs/extending/strategy.md` goes through adding one.

#[cfg(test)]
mod contract_tests;
mod pool;
mod processes;
mod threads;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use khronos::{BaseLibrary, RuntimeError};

pub(super) use pool::{Ended, Start as WorkerStart};
use pool::{Placing, Pool};
use processes::Processes;
use threads::Threads;

use super::action::{LuaVmResult, ThreadStatus, WorkerAction};
use super::memory::MemoryBook;
use super::process::{Marker, Settings};
use super::quarantine::BreakReports;
use super::reaper::Reaper;
use super::reply::Census;
use super::thread_entry::Command;
use crate::config::{Strategy, VmConfig};
use crate::execution::TemplateLog;
use crate::host::HostLine;
use crate::ids::{GuildId, ThreadId};
use crate::limits::Limits;
use crate::metrics::Metrics;

/// What all threads of a service share.
#[derive(Debug)]
pub struct Shared {
    /// The limits of guilds that have none of their own.
    pub limits: Arc<Limits>,
    /// What happens, counted.
    pub metrics: Arc<Metrics>,
    /// Where templates' log entries go.
    pub log: TemplateLog,
    /// The runtime's own Luau code.
    pub base: BaseLibrary,
    /// The guilds' VMs that are alive.
    pub vms: Census,
    /// Those of them in which nothing runs.
    pub idle: Census,
    /// The VMs that were given up and are not gone yet.
    pub closing: Census,
    /// The VMs that wait for a guild.
    pub warm: Census,
    /// How many each thread has of these.
    pub warm_vms: usize,
    /// How long a VM may be idle; `None` for ever.
    pub idle_time: Option<Duration>,
    /// The memory that all VMs use together.
    pub memory: Arc<MemoryBook>,
    /// Gives the memory of closed VMs back.
    pub reaper: Reaper,
    /// The answers that are owed.
    pub owed: Census,
    /// Hears of templates that broke their VM, or the worker that they ran on.
    pub breaks: Arc<dyn BreakReports>,
    /// Where host calls go.
    pub host: Arc<dyn HostLine>,
    /// In a VM process: its line to the service.
    pub(super) outside: Option<Outside>,
}

impl Shared {
    /// Nobody is alive yet and nothing is owed.
    ///
    /// # Errors
    /// When the runtime's own code does not compile, which would be a defect.
    pub fn new(
        limits: Arc<Limits>,
        vm: &VmConfig,
        metrics: Arc<Metrics>,
        log: TemplateLog,
        breaks: Arc<dyn BreakReports>,
        host: Arc<dyn HostLine>,
    ) -> Result<Self, RuntimeError> {
        let base = BaseLibrary::compile()?;
        Ok(Self {
            metrics,
            limits,
            log,
            base,
            vms: Census::default(),
            warm: Census::default(),
            idle: Census::default(),
            closing: Census::default(),
            warm_vms: vm.warm_vms_per_thread(),
            idle_time: vm.idle_time(),
            memory: MemoryBook::new(vm.memory()),
            reaper: Reaper::default(),
            owed: Census::default(),
            breaks,
            host,
            outside: None,
        })
    }
}

/// What a VM process tells the service beside its answers.
pub(super) struct Outside {
    /// Who is being run, for the case that the process dies of it.
    pub(super) marker: Marker,
    /// Hears of guilds that have no VM in this process any more. Called under the lock of the routes, so that no command
    /// can be sent meanwhile.
    pub(super) vacated: Box<dyn Fn(GuildId) + Send + Sync>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("marker", &self.marker).finish_non_exhaustive()
    }
}

/// Why a command was not taken. Its replies have been answered; nobody has to wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The guild has no VM, and the command does not make one.
    Absent,
    /// The queue of the guild's thread is full, or the thread is just being replaced.
    Full,
    /// The service is stopping.
    Stopping,
}

/// More memory than any machine has: where that of the machine is unknown, a process may use any.
const MOST_PROCESS_MEMORY: usize = 1 << 44;

/// There is no worker with this number, or there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchWorker;

/// A way of spreading guilds' VMs over workers.
#[async_trait]
pub trait VmDistributionStrategy: Send + Sync + std::fmt::Debug {
    /// Puts `command` on the queue of the worker that holds the guild's VM. A guild that has none gets a place first,
    /// if the action makes a VM. Never waits.
    ///
    /// # Errors
    /// [`NotSent`].
    fn send(&self, command: Command) -> Result<(), NotSent>;

    /// Whether there is a worker for guilds that have none, or one can be started.
    fn can_take_guilds(&self) -> bool;

    /// How many guilds have a place on a worker. Costs the same however many there are.
    fn guilds(&self) -> usize;

    /// All workers.
    fn threads(&self) -> Vec<ThreadStatus>;

    /// Whether the worker answers until `by`.
    ///
    /// # Errors
    /// [`NoSuchWorker`].
    async fn ping(&self, id: ThreadId, by: Instant) -> Result<bool, NoSuchWorker>;

    /// Asks all workers for something; what those say that answer until `by`.
    async fn ask_all(&self, action: WorkerAction, by: Instant) -> Vec<LuaVmResult>;

    /// Replaces a worker. Its guilds move on; executions have until `by` to end, and what comes meanwhile waits.
    ///
    /// # Errors
    /// [`NoSuchWorker`].
    async fn drain(&self, id: ThreadId, by: Instant) -> Result<(), NoSuchWorker>;

    /// Moves a guild to a worker, in the same way.
    ///
    /// # Errors
    /// [`NoSuchWorker`].
    async fn move_guild(&self, guild: GuildId, to: ThreadId, by: Instant) -> Result<(), NoSuchWorker>;

    /// Answers everything that was accepted, ends the VMs and the workers. What is not done by then is ended with an
    /// answer that says so. Returns whether all workers have ended.
    async fn stop(&self, by: Instant) -> bool;
}

/// Starts the strategy that `config` names.
///
/// # Errors
/// When the operating system gives no thread or process.
pub fn start(
    config: &VmConfig,
    drills: bool,
    shared: &Arc<Shared>,
) -> std::io::Result<Arc<dyn VmDistributionStrategy>> {
    let threads = || Threads::new(Arc::clone(shared)).map(Box::new);
    let workers = config.thread_count().get();
    let pool = match config.strategy {
        Strategy::ThreadPool => {
            Pool::start(threads()?, Placing::LeastLoaded { workers }, config.queue, shared)
        }
        Strategy::ThreadPerGuild => {
            Pool::start(threads()?, Placing::OneEach { most: config.most_threads() }, config.queue, shared)
        }
        Strategy::ProcessPool => {
            let workers = config.process_count().get();
            let apart = config.guilds_apart.iter().copied().collect();
            let all = workers + config.guilds_apart.len();
            let settings = Settings {
                program: config.process_program.clone(),
                threads: config.threads_per_process().get(),
                warm_vms: config.warm_vms,
                idle_ms: config.idle_ms,
                max_memory: (config.memory() / all).min(MOST_PROCESS_MEMORY),
                heartbeat: config.heartbeat(),
                require_confinement: config.require_confinement,
                drills,
            };
            let queue = config.queue.saturating_mul(settings.threads);
            let kind = Box::new(Processes::new(settings, Arc::clone(shared)));
            Pool::start(kind, Placing::ById { workers, apart }, queue, shared)
        }
    };
    Ok(Arc::new(pool?))
}

/// The part of a VM process that is a strategy: threads for the guilds that the service has placed there.
///
/// # Errors
/// When the operating system gives no thread.
pub(super) fn inside_process(
    threads: usize,
    queue: usize,
    shared: &Arc<Shared>,
) -> std::io::Result<Arc<dyn VmDistributionStrategy>> {
    let kind = Box::new(Threads::new(Arc::clone(shared))?);
    Ok(Arc::new(Pool::start(kind, Placing::LeastLoaded { workers: threads }, queue, shared)?))
}
