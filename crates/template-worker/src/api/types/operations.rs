//! Bodies about workers, and about all VMs.

use serde::Serialize;
use utoipa::ToSchema;

use super::VmBody;
use crate::config::Strategy;
use crate::dispatch::Drained;
use crate::ids::{GuildId, ThreadId};
use crate::vm::{ThreadStatus, VmStatus, WorkerState};

/// All workers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ThreadList {
    /// The workers.
    pub(in crate::api) threads: Vec<ThreadBody>,
}

/// How a worker is: a thread, or a process with threads of its own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Thread)]
pub(in crate::api) struct ThreadBody {
    /// Its number; one that replaces another has a number of its own.
    #[schema(value_type = u32)]
    id: ThreadId,
    /// `serving`, or `draining` while its guilds move on.
    #[schema(value_type = String, example = "serving")]
    state: &'static str,
    /// `thread`, or `process`.
    #[schema(value_type = String, example = "thread")]
    kind: &'static str,
    /// Guilds whose VM lives on it.
    guilds: usize,
    /// Actions on its queue.
    queued: usize,
    /// Whether it runs something right now.
    busy: bool,
    /// The share of its time, from 0 to 1, in which it was busy lately.
    load: f64,
    /// How many workers before it in its place failed.
    restarts: u32,
    /// Milliseconds since it was started.
    uptime_ms: u64,
}

impl ThreadBody {
    /// How a worker of a service with this strategy is.
    pub(in crate::api) fn new(status: ThreadStatus, strategy: Strategy) -> Self {
        let ThreadStatus { id, state, guilds, queued, busy, load, restarts, uptime_ms, inside: _ } = status;
        let state = match state {
            WorkerState::Serving => "serving",
            WorkerState::Draining => "draining",
        };
        let kind = match strategy {
            Strategy::ThreadPool | Strategy::ThreadPerGuild => "thread",
            Strategy::ProcessPool => "process",
        };
        Self { id, state, kind, guilds, queued, busy, load, restarts, uptime_ms }
    }
}

/// The worker answered.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Pong {
    /// True.
    pub(in crate::api) answered: bool,
    /// Microseconds that it took.
    #[schema(example = 180)]
    pub(in crate::api) after_us: u64,
}

/// What came of draining a worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drained)]
pub(in crate::api) struct DrainedBody {
    /// How many guilds it had, which live elsewhere now.
    guilds: usize,
    /// Whether it is gone. Otherwise it hangs, and nothing but the end of the service ends it.
    ended: bool,
}

impl From<Drained> for DrainedBody {
    fn from(Drained { guilds, has_ended }: Drained) -> Self {
        Self { guilds, ended: has_ended }
    }
}

/// Some VMs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct VmPage {
    /// The VMs, in the order of their guilds.
    vms: Vec<GuildVm>,
    /// What to send as `after` to get the next page; null on the last.
    next_after: Option<GuildId>,
    /// Whether every worker answered: where this is false, VMs are missing.
    complete: bool,
}

impl VmPage {
    /// A page of `vms`; there are `more` after it.
    pub(in crate::api) fn new(vms: Vec<(GuildId, VmStatus)>, more: bool, complete: bool) -> Self {
        let next_after = vms.last().filter(|_| more).map(|(guild, _)| *guild);
        let vms = vms.into_iter().map(|(guild_id, status)| GuildVm { guild_id, vm: status.into() });
        Self { vms: vms.collect(), next_after, complete }
    }
}

/// A VM, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
struct GuildVm {
    /// The guild.
    guild_id: GuildId,
    #[serde(flatten)]
    vm: VmBody,
}

/// What came of closing idle VMs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Evicted {
    /// How many were closed.
    pub(in crate::api) evicted: usize,
    /// Whether every worker answered: where this is false, some may still be idle.
    pub(in crate::api) complete: bool,
}
