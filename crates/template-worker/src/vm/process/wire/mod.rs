//! What the service and a VM process say to each other.
//!
//! Owns the messages and their version. `frame` is how they become bytes, `image` how the domain's types look in them.
//! Who says what when is the business of the two ends.
//!
//! What the service says is trusted, and checked all the same. What a VM process says is hostile: a script may have
//! taken it over. So reading a message checks everything that can be checked without knowing more than the message:
//! names and ids are legal, times are in range, texts are cut to the length that an honest process keeps to, lists have
//! a largest length, and a result is JSON. Whether an answer was asked for, and whether a guild lives in the process
//! that speaks for it, is checked by the service in its own books.

mod frame;
mod image;
mod outcome;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use frame::{EncodeError, FrameReader, encode_into};
use image::{as_image, cut, list};

use super::escape::Attempt;
use crate::capabilities::Capabilities;
use crate::events::Event;
use crate::execution::{LoadedTemplate, LogEntry};
use crate::host::{HostCall, HostReply};
use crate::ids::{GuildId, ThreadId};
use crate::limits::Limits;
use crate::template::TemplateName;
use crate::vm::{LuaVmResult, PanicPlace};

/// Counts up with every change of what is said. Both ends are the same program, unless somebody replaced its file while
/// it ran.
pub(super) const VERSION: u16 = 3;

/// Most bytes in a reason.
const MAX_REASON: usize = 1_024;
/// Most locks that a process tells of, and most bytes in the name and the state of one.
const MAX_LOCKS: usize = 64;
const MAX_LOCK_TEXT: usize = 256;
/// Most bytes of counts in a beat.
const MAX_COUNTS: usize = 64 << 10;

/// What the service tells a VM process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToProcess {
    /// The first message, and the only one of its kind.
    Start(Start),
    /// Remember a template under this key.
    Template {
        /// Under which dispatches name it.
        key: u64,
        /// What it is and its code.
        #[serde(with = "as_image")]
        template: Arc<LoadedTemplate>,
    },
    /// No dispatch names this template any more.
    ForgetTemplate {
        /// Its key.
        key: u64,
    },
    /// Remember limits under this key.
    Limits {
        /// Under which dispatches name them.
        key: u64,
        /// What a guild may use.
        #[serde(with = "as_image")]
        limits: Arc<Limits>,
    },
    /// No dispatch names these limits any more.
    ForgetLimits {
        /// Their key.
        key: u64,
    },
    /// Do something with the VM of a guild. Answered by [`ToService::Answer`] with the same number.
    Act {
        /// Counts up.
        number: u64,
        /// Whose VM.
        #[serde(with = "as_image")]
        guild: GuildId,
        /// What.
        action: Action,
    },
    /// Do something that concerns no guild, or all. Answered as an action is, and counted by the same numbers.
    Order {
        /// Counts up.
        number: u64,
        /// What.
        order: Order,
    },
    /// Finish what runs, and exit. Calls are still served meanwhile.
    Stop {
        /// Milliseconds after which what still runs is ended.
        within_ms: u64,
    },
    /// What came of a call of the host.
    Reply {
        /// The number of the call.
        number: u64,
        /// What came of it.
        reply: HostReply,
    },
}

/// What a VM process has to know before its first VM.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    /// [`VERSION`] of the service.
    pub(super) version: u16,
    /// The number that the process has as a worker.
    pub(super) worker: ThreadId,
    /// The limits of the service, before any guild's own.
    #[serde(with = "as_image")]
    pub(super) limits: Arc<Limits>,
    /// Worker threads.
    pub(super) threads: usize,
    /// Commands that may wait on the queue of each.
    pub(super) queue: usize,
    /// VMs that each makes ahead of need.
    pub(super) warm_vms: usize,
    /// Milliseconds after which a VM without anything to do is closed.
    pub(super) idle_ms: u64,
    /// Bytes that all VMs together may use.
    pub(super) max_memory: u64,
    /// Whether to refuse to go on where not every lock can be closed.
    pub(super) require_confinement: bool,
    /// Whether drills are allowed.
    pub(super) drills: bool,
}

/// What is to be done with the VM of a guild. [`LuaVmAction`](crate::vm::LuaVmAction) with keys for what was sent
/// before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Action {
    /// Run templates for an event: as many answers as templates, in their order.
    DispatchEvent {
        /// The event.
        #[serde(with = "as_image")]
        event: Arc<Event>,
        /// Keys of the templates.
        templates: Vec<u64>,
        /// Key of the limits.
        limits: u64,
    },
    /// Destroy the VM.
    Stop,
    /// Destroy the VM if nothing runs in it.
    CloseIfIdle,
    /// Say how it is.
    GetStatus,
    /// Say how much memory it uses.
    GetMemoryUsage,
    /// Change how much memory it may use.
    SetMemoryLimit {
        /// Bytes.
        limit: usize,
    },
    /// Forget the worlds of templates.
    ClearCache {
        /// Only this template's.
        #[serde(with = "as_image")]
        template: Option<TemplateName>,
    },
    /// Collect all garbage.
    CollectGarbage,
    /// Panic on the VM's thread. A drill.
    Panic {
        /// What it is that panics.
        place: PanicPlace,
    },
    /// Try to get out of the process. A drill.
    Escape {
        /// By which way.
        attempt: Attempt,
    },
}

/// What a process is to do that concerns no single guild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Answer.
    Ping,
    /// Say how VMs are, in the order of their guilds.
    ListVms {
        /// Only those of guilds after this one.
        #[serde(with = "as_image")]
        after: Option<GuildId>,
        /// At most so many.
        limit: u32,
    },
    /// Close the VMs that had nothing to do for a while.
    EvictIdle {
        /// Milliseconds.
        idle_ms: u64,
    },
}

/// What a VM process tells the service.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToService {
    /// The first message: it is locked in, and takes actions.
    Ready {
        /// [`VERSION`] of the process.
        version: u16,
        /// The locks that are closed behind it, and those that the kernel has not.
        #[serde(deserialize_with = "list::<_, _, MAX_LOCKS>")]
        locks: Vec<Lock>,
    },
    /// One answer to an action or an order.
    Answer {
        /// The number of what it answers.
        number: u64,
        /// Which of the answers that are owed.
        index: u32,
        /// What came of it.
        #[serde(with = "as_image")]
        result: LuaVmResult,
    },
    /// There is no VM of the guild here any more, as of the action with this number.
    Vacated {
        /// Whose VM.
        #[serde(with = "as_image")]
        guild: GuildId,
        /// The last action that it knew.
        upto: u64,
    },
    /// A line of a template's log.
    Log(#[serde(with = "as_image")] LogEntry),
    /// There was no room for some lines.
    LogsDropped {
        /// How many.
        lines: u64,
    },
    /// A VM broke.
    Broke {
        /// Whose.
        #[serde(with = "as_image")]
        guild: GuildId,
        /// By which template, where that is known.
        #[serde(with = "as_image")]
        template: Option<TemplateName>,
        /// Why.
        #[serde(deserialize_with = "cut::<_, _, MAX_REASON>")]
        reason: String,
    },
    /// It is alive.
    Beat {
        /// What it counted since the last beat.
        #[serde(deserialize_with = "list::<_, _, MAX_COUNTS>")]
        counts: Vec<u8>,
        /// VMs of guilds.
        vms: u32,
        /// Those of them in which nothing runs.
        idle: u32,
        /// VMs that are being closed.
        closing: u32,
        /// VMs made ahead of need.
        warm: u32,
        /// Bytes that all VMs use.
        memory: u64,
        /// How much of the time its threads were busy, in thousandths.
        load_permille: u32,
    },
    /// A template wants something of the world. Answered by [`ToProcess::Reply`] with the same number.
    Call {
        /// Told apart by it from others that are not answered.
        number: u64,
        /// Whose template.
        #[serde(with = "as_image")]
        guild: GuildId,
        /// Which. What it may do, the service knows by itself.
        #[serde(with = "as_image")]
        template: TemplateName,
        /// What the template has limited itself to, where it has.
        #[serde(with = "as_image")]
        limited: Option<Capabilities>,
        /// What it wants.
        call: HostCall,
    },
}

/// One way out that is closed, or that the kernel cannot close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    /// Its name.
    #[serde(deserialize_with = "cut::<_, _, MAX_LOCK_TEXT>")]
    pub(super) name: String,
    /// How it is.
    #[serde(deserialize_with = "cut::<_, _, MAX_LOCK_TEXT>")]
    pub(super) state: String,
}
