//! Which thread a guild's VM lives on.
//!
//! Owns the trait that every way of spreading guilds implements. Adding one: implement [`VmDistributionStrategy`] on
//! top of `ThreadEntry`, and register it in `app`.

mod thread_pool;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use khronos::{BaseLibrary, RuntimeError};
use tokio::sync::Semaphore;

pub use thread_pool::ThreadPool;

use super::action::ThreadStatus;
use super::memory::MemoryBook;
use super::reaper::Reaper;
use super::reply::Census;
use super::thread_entry::Command;
use crate::config::VmConfig;
use crate::execution::TemplateLog;
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// What all threads of a service share.
#[derive(Debug)]
pub struct Shared {
    /// The limits of guilds that have none of their own.
    pub limits: Arc<Limits>,
    /// What happens, counted.
    pub metrics: Metrics,
    /// Where templates' log entries go.
    pub log: TemplateLog,
    /// The runtime's own Luau code.
    pub base: BaseLibrary,
    /// The guilds' VMs that are alive.
    pub vms: Census,
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
}

impl Shared {
    /// Nobody is alive yet and nothing is owed.
    ///
    /// # Errors
    /// When the runtime's own code does not compile, which would be a defect.
    pub fn new(
        limits: Arc<Limits>,
        vm: &VmConfig,
        metrics: Metrics,
        log: TemplateLog,
    ) -> Result<Self, RuntimeError> {
        let base = BaseLibrary::compile()?;
        Ok(Self {
            metrics,
            limits,
            log,
            base,
            vms: Census::default(),
            warm: Census::default(),
            warm_vms: vm.warm_vms,
            idle_time: vm.idle_time(),
            memory: MemoryBook::new(vm.memory()),
            reaper: Reaper::default(),
            owed: Census::default(),
        })
    }
}

/// Why a command was not taken. Its replies have been answered by being dropped; nobody should wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The guild has no VM, and the command does not make one.
    Absent,
    /// The queue of the guild's thread is full, or the thread is just being replaced.
    Full,
    /// The service is stopping.
    Stopping,
}

/// A way of spreading guilds' VMs.
#[async_trait]
pub trait VmDistributionStrategy: Send + Sync + std::fmt::Debug {
    /// Puts `command` on the queue of the thread that holds the guild's VM. A guild that has none gets a place first,
    /// if the action makes a VM. Never waits.
    ///
    /// # Errors
    /// [`NotSent`].
    fn send(&self, command: Command) -> Result<(), NotSent>;

    /// The guild's `places` for executions that run or wait. Taken before a dispatch, given back with each answer. Where
    /// the number changes, all of them are free again, and what was accepted before is not counted any more.
    fn admission(&self, guild: GuildId, places: usize) -> Arc<Semaphore>;

    /// All threads.
    fn threads(&self) -> Vec<ThreadStatus>;

    /// Answers everything that was accepted, ends the VMs and the threads. What is not done by then is ended with an
    /// answer that says so. Returns whether all threads have ended.
    async fn stop(&self, by: Instant) -> bool;
}
