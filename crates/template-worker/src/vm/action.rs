//! What a guild's VM can be asked to do, and what comes back. Plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::escape::{Attempt, Escape};
use crate::events::Event;
use crate::execution::{LoadedTemplate, Outcome};
use crate::ids::{GuildId, ThreadId};
use crate::limits::Limits;
use crate::metrics::Inside;
use crate::template::TemplateName;

/// One thing that a VM is asked to do.
#[derive(Debug, Clone)]
pub enum LuaVmAction {
    /// Run `templates` for `event`: as many answers as templates, in their order. The one action that makes a VM.
    DispatchEvent {
        /// The event.
        event: Arc<Event>,
        /// Which templates.
        templates: Vec<Arc<LoadedTemplate>>,
        /// What the guild may use, from this event on.
        limits: Arc<Limits>,
    },
    /// Destroy the VM; what runs in it ends with `vm_broken`.
    Stop,
    /// Close the VM if nothing runs, waits or sleeps in it.
    CloseIfIdle,
    /// Say how it is.
    GetStatus,
    /// Say how much memory it uses.
    GetMemoryUsage,
    /// Change how much memory it may use, until it is gone.
    SetMemoryLimit {
        /// Bytes.
        limit: usize,
    },
    /// Forget the worlds of templates: their globals, modules and handlers. What runs goes on in the old ones.
    ClearCache {
        /// Only this template's.
        template: Option<TemplateName>,
    },
    /// Collect all garbage now.
    CollectGarbage,
    /// Panic on the VM's thread. A drill.
    Panic {
        /// What it is that panics.
        place: PanicPlace,
    },
    /// Try to get out of the process that the VM lives in. A drill.
    Escape {
        /// By which way.
        attempt: Attempt,
    },
}

/// Where a drill panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanicPlace {
    /// In the thread's own loop.
    #[default]
    Loop,
    /// In a host function that a script calls under `pcall`.
    HostFunction,
}

/// One thing that a worker is asked to do, whoever lives on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerAction {
    /// Answer. Every thread of the worker has to be able to.
    Ping,
    /// List VMs, in the order of their guilds.
    ListVms {
        /// Those of guilds after this one.
        after: Option<GuildId>,
        /// So many at most.
        limit: usize,
    },
    /// Close the VMs that have been idle for so long.
    EvictIdle {
        /// How long.
        idle: Duration,
    },
}

impl LuaVmAction {
    /// Whether a guild without a VM gets one for this.
    pub(crate) fn makes_vm(&self) -> bool {
        matches!(self, Self::DispatchEvent { .. })
    }

    /// How many answers it owes.
    pub(crate) fn answers(&self) -> usize {
        match self {
            Self::DispatchEvent { templates, .. } => templates.len(),
            _ => 1,
        }
    }
}

/// What an action came to.
#[derive(Debug, Clone, PartialEq)]
pub enum LuaVmResult {
    /// Done, nothing to tell.
    Done,
    /// The guild has no VM.
    Absent,
    /// Answer to `GetMemoryUsage`.
    MemoryUsage {
        /// Bytes that Luau has allocated.
        used: usize,
        /// Bytes that it may allocate.
        limit: usize,
    },
    /// Answer to `GetStatus`.
    Status(VmStatus),
    /// Answer to `DispatchEvent`, one a template.
    Outcome(Outcome),
    /// Answer to `ListVms`.
    Vms(Vec<(GuildId, VmStatus)>),
    /// Answer to `EvictIdle`.
    Evicted {
        /// How many VMs were closed.
        vms: usize,
    },
    /// Answer to `Escape`.
    Escape(Escape),
    /// The VM, or its thread, went away before it could answer.
    Broken {
        /// Why.
        reason: String,
    },
    /// It makes no sense or is not allowed; says what would be.
    Refused {
        /// Why.
        reason: String,
    },
}

impl LuaVmResult {
    /// The VMs that it lists.
    pub(crate) fn into_vms(self) -> Option<Vec<(GuildId, VmStatus)>> {
        match self {
            Self::Vms(vms) => Some(vms),
            _ => None,
        }
    }

    /// How many VMs it says were closed.
    pub(crate) fn evicted(self) -> Option<usize> {
        match self {
            Self::Evicted { vms } => Some(vms),
            _ => None,
        }
    }
}

/// The first `limit` VMs of what several workers list, in the order of their guilds.
pub(crate) fn merge_vms(
    lists: impl IntoIterator<Item = Vec<(GuildId, VmStatus)>>,
    limit: usize,
) -> Vec<(GuildId, VmStatus)> {
    let mut vms: Vec<_> = lists.into_iter().flatten().collect();
    vms.sort_unstable_by_key(|(guild, _)| *guild);
    // A guild that has just moved may be on both of its workers' lists.
    vms.dedup_by_key(|(guild, _)| *guild);
    vms.truncate(limit);
    vms
}

/// Where a VM is in its life, as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VmState {
    /// There is none; the next event makes one.
    Absent,
    /// Nothing runs in it.
    Ready,
    /// Something runs, sleeps or waits in it.
    Busy,
    /// It is being given up.
    Broken,
}

/// How a VM is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmStatus {
    /// Where it is in its life.
    pub state: VmState,
    /// Why it is broken.
    pub reason: Option<String>,
    /// Bytes that Luau has allocated.
    pub memory_used: usize,
    /// Bytes that it may allocate.
    pub memory_limit: usize,
    /// Luau threads that are ready, sleep or wait.
    pub luau_threads: usize,
    /// Executions that somebody may wait for.
    pub in_flight: usize,
    /// Executions that wait for their start.
    pub waiting: usize,
    /// The most slices of other VMs on its thread between an event's arrival and its start.
    pub longest_wait: u64,
    /// Templates that have a world in it.
    pub templates: usize,
    /// Bytes that each of them has allocated, garbage included.
    pub template_memory: BTreeMap<TemplateName, usize>,
    /// The thread that it lives on.
    pub thread: Option<ThreadId>,
    /// Milliseconds since it was made.
    pub uptime_ms: u64,
}

impl VmStatus {
    /// The status of a VM that is not there.
    pub(crate) fn absent() -> Self {
        Self {
            state: VmState::Absent,
            reason: None,
            memory_used: 0,
            memory_limit: 0,
            luau_threads: 0,
            in_flight: 0,
            waiting: 0,
            longest_wait: 0,
            templates: 0,
            template_memory: BTreeMap::new(),
            thread: None,
            uptime_ms: 0,
        }
    }
}

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// It takes guilds.
    Serving,
    /// Its guilds are moving on, and it takes no new ones.
    Draining,
}

/// How a worker is: a thread, or a process with threads of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadStatus {
    /// Its number. A replacement gets a new one.
    pub id: ThreadId,
    /// Where it is in its life.
    pub state: WorkerState,
    /// Guilds whose VM lives on it.
    pub guilds: usize,
    /// Actions on its queue.
    pub queued: usize,
    /// Whether it runs something right now.
    pub busy: bool,
    /// The share of its time, from 0 to 1, in which it was busy lately.
    pub load: f64,
    /// How many workers before it in its place failed.
    pub restarts: u32,
    /// What is in it, for a process that has said so.
    pub inside: Option<Inside>,
    /// Milliseconds since it was started.
    pub uptime_ms: u64,
}
