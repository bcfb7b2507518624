//! Bodies about VMs and the threads that they live on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::ThreadId;
use crate::template::TemplateName;
use crate::vm::process::escape::Attempt;
use crate::vm::{PanicPlace, ThreadStatus, VmState, VmStatus, WorkerState};

/// How a guild's VM is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vm)]
pub(in crate::api) struct VmBody {
    /// Where it is in its life.
    state: StateBody,
    /// Why it is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Bytes that it has allocated.
    #[schema(example = 412_345)]
    memory_used: usize,
    /// Bytes that it may allocate.
    #[schema(example = 20_971_520)]
    memory_limit: usize,
    /// Luau threads that are alive in it.
    luau_threads: usize,
    /// Executions that run or sleep.
    in_flight: usize,
    /// Executions that wait for their start.
    waiting: usize,
    /// Templates that have run in it.
    templates: usize,
    /// Bytes that each of them has allocated, by its name, garbage included. What they share is nobody's.
    #[schema(example = json!({"ping": 52_310}))]
    template_memory: BTreeMap<String, usize>,
    /// The worker thread that it lives on; null where there is no VM.
    #[schema(value_type = Option<u32>)]
    thread: Option<ThreadId>,
    /// Milliseconds since it was made.
    uptime_ms: u64,
}

/// Where a VM is in its life.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VmState)]
pub(in crate::api) enum StateBody {
    /// There is none; the next event makes one.
    Absent,
    /// Nothing runs in it.
    Ready,
    /// Something runs, sleeps or waits in it.
    Busy,
    /// It is being given up.
    Broken,
}

impl From<VmStatus> for VmBody {
    fn from(status: VmStatus) -> Self {
        let state = match status.state {
            VmState::Absent => StateBody::Absent,
            VmState::Ready => StateBody::Ready,
            VmState::Busy => StateBody::Busy,
            VmState::Broken => StateBody::Broken,
        };
        Self {
            state,
            reason: status.reason,
            memory_used: status.memory_used,
            memory_limit: status.memory_limit,
            luau_threads: status.luau_threads,
            in_flight: status.in_flight,
            waiting: status.waiting,
            templates: status.templates,
            template_memory: status
                .template_memory
                .into_iter()
                .map(|(name, bytes)| (name.as_str().to_owned(), bytes))
                .collect(),
            thread: status.thread,
            uptime_ms: status.uptime_ms,
        }
    }
}

/// What to do with a guild's VM.
// Unit variants would take fields that don't exist.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = VmAction, example = json!({"action": "set_memory_limit", "limit": 10_485_760}))]
pub(in crate::api) enum VmActionBody {
    /// Destroy it; what runs in it ends as `vm_broken`.
    Stop {},
    /// Say how much memory it uses.
    GetMemoryUsage {},
    /// Change how much memory it may use, until it is gone.
    SetMemoryLimit {
        /// Bytes.
        limit: usize,
    },
    /// Forget what templates keep in memory: their globals, modules and handlers.
    ClearCache {
        /// Only this template's.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        template: Option<TemplateName>,
    },
    /// Collect all garbage now.
    CollectGarbage {},
    /// Panic on its thread: a drill, for admins, where the configuration allows it.
    Panic {
        /// What it is that panics: `loop`, the thread's own code, or `host_function`, called by a script under `pcall`.
        #[serde(default)]
        #[schema(value_type = Option<String>, example = "loop")]
        place: PanicPlace,
    },
    /// Try to get out of the process of the VM: a drill, for admins, where the configuration allows it.
    Escape {
        /// By which way.
        #[schema(value_type = String, example = "open_file")]
        attempt: Attempt,
    },
}

/// What an action came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(in crate::api) enum VmActionResult {
    /// It is done.
    Done,
    /// The memory of the VM.
    MemoryUsage {
        /// Bytes that it has allocated.
        #[schema(example = 412_345)]
        used: usize,
        /// Bytes that it may allocate.
        #[schema(example = 20_971_520)]
        limit: usize,
    },
    /// How the attempt to get out of the VM's process went.
    Escape(EscapeBody),
}

/// What came of a drill that tries to get out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "escape", content = "detail", rename_all = "snake_case")]
pub(in crate::api) enum EscapeBody {
    /// It was stopped, in these words.
    Refused(String),
    /// Nothing stopped it; this is how far it came.
    Succeeded(String),
}

/// All worker threads.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ThreadList {
    /// The threads.
    pub(in crate::api) threads: Vec<ThreadBody>,
}

/// How a worker thread is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Thread)]
pub(in crate::api) struct ThreadBody {
    /// Its number; one that replaces another has a number of its own.
    #[schema(value_type = u32)]
    id: ThreadId,
    /// `serving`, or `draining` while its guilds move on.
    #[schema(value_type = String, example = "serving")]
    state: &'static str,
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

impl From<ThreadStatus> for ThreadBody {
    fn from(status: ThreadStatus) -> Self {
        let ThreadStatus { id, state, guilds, queued, busy, load, restarts, uptime_ms, inside: _ } = status;
        let state = match state {
            WorkerState::Serving => "serving",
            WorkerState::Draining => "draining",
        };
        Self { id, state, guilds, queued, busy, load, restarts, uptime_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(text: &str) -> Result<VmActionBody, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_action_takes_its_own_fields_and_no_others() {
        assert!(matches!(action(r#"{"action": "stop"}"#), Ok(VmActionBody::Stop {})));
        let cleared = action(r#"{"action": "clear_cache", "template": "ping"}"#);
        assert!(matches!(cleared, Ok(VmActionBody::ClearCache { template: Some(_) })), "{cleared:?}");
        assert!(matches!(
            action(r#"{"action": "clear_cache"}"#),
            Ok(VmActionBody::ClearCache { template: None })
        ));
        for wrong in [r#"{"action": "stop", "now": true}"#, r#"{"action": "set_memory_limit", "limt": 1}"#] {
            let error = action(wrong).unwrap_err();
            assert!(error.starts_with("unknown field"), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_event_cannot_be_sent_as_an_action() {
        let error = action(r#"{"action": "dispatch_event"}"#).unwrap_err();
        assert!(error.starts_with("unknown variant `dispatch_event`, expected one of `stop`"), "{error}");
    }
}
