//! How answers look in a message.
//!
//! Owns the images of results, outcomes and statuses, and what a result may be: JSON that was checked, never taken on
//! the word of whoever sent it.

use khronos::Json;
use serde::{Deserialize, Serialize};

use super::super::escape::Escape;
use super::MAX_REASON;
use super::image::{Illegal, MAX_ERROR, MAX_TRACEBACK, OnWire, cut, cut_some, list};
use crate::execution::{Outcome, OutcomeResult};
use crate::ids::{GuildId, ThreadId};
use crate::template::TemplateName;
use crate::vm::{LuaVmResult, VmState, VmStatus};

/// Most bytes in a limit's name or value.
const MAX_WORD: usize = 64;
/// Most VMs in a list.
const MAX_VMS: usize = 1_000;
/// Most templates in the status of a VM: as many as a guild can have.
const MAX_TEMPLATES: usize = 10_000;

#[derive(Serialize, Deserialize)]
pub(super) enum ResultImage<'a> {
    Done,
    Absent,
    MemoryUsage {
        used: usize,
        limit: usize,
    },
    Status(#[serde(borrow)] StatusImage<'a>),
    Outcome(#[serde(borrow)] OutcomeImage<'a>),
    Vms(#[serde(borrow)] Vec<(u64, StatusImage<'a>)>),
    Evicted {
        vms: usize,
    },
    EscapeRefused {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_REASON>")]
        how: &'a str,
    },
    EscapeSucceeded {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_REASON>")]
        how: &'a str,
    },
    Broken {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_REASON>")]
        reason: &'a str,
    },
    Refused {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_REASON>")]
        reason: &'a str,
    },
}

impl OnWire for LuaVmResult {
    type Image<'a> = ResultImage<'a>;

    fn image(&self) -> ResultImage<'_> {
        match self {
            Self::Done => ResultImage::Done,
            Self::Absent => ResultImage::Absent,
            Self::MemoryUsage { used, limit } => ResultImage::MemoryUsage { used: *used, limit: *limit },
            Self::Status(status) => ResultImage::Status(status.image()),
            Self::Outcome(outcome) => ResultImage::Outcome(outcome.image()),
            Self::Vms(vms) => {
                ResultImage::Vms(vms.iter().map(|(guild, vm)| (guild.get(), vm.image())).collect())
            }
            Self::Evicted { vms } => ResultImage::Evicted { vms: *vms },
            Self::Escape(Escape::Refused(how)) => ResultImage::EscapeRefused { how },
            Self::Escape(Escape::Succeeded(how)) => ResultImage::EscapeSucceeded { how },
            Self::Broken { reason } => ResultImage::Broken { reason },
            Self::Refused { reason } => ResultImage::Refused { reason },
        }
    }

    fn from_image(image: ResultImage<'_>) -> Result<Self, Illegal> {
        Ok(match image {
            ResultImage::Done => Self::Done,
            ResultImage::Absent => Self::Absent,
            ResultImage::MemoryUsage { used, limit } => Self::MemoryUsage { used, limit },
            ResultImage::Status(status) => Self::Status(VmStatus::from_image(status)?),
            ResultImage::Outcome(outcome) => Self::Outcome(Outcome::from_image(outcome)?),
            ResultImage::Vms(vms) if vms.len() > MAX_VMS => return Err(Illegal("a list of VMs is too long")),
            ResultImage::Vms(vms) => {
                let vm = |(guild, vm)| {
                    let guild = GuildId::new(guild).ok_or(Illegal("a guild has no id"))?;
                    Ok((guild, VmStatus::from_image(vm)?))
                };
                Self::Vms(vms.into_iter().map(vm).collect::<Result<_, Illegal>>()?)
            }
            ResultImage::Evicted { vms } => Self::Evicted { vms },
            ResultImage::EscapeRefused { how } => Self::Escape(Escape::Refused(how.to_owned())),
            ResultImage::EscapeSucceeded { how } => Self::Escape(Escape::Succeeded(how.to_owned())),
            ResultImage::Broken { reason } => Self::Broken { reason: reason.to_owned() },
            ResultImage::Refused { reason } => Self::Refused { reason: reason.to_owned() },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct OutcomeImage<'a> {
    #[serde(borrow)]
    result: OutcomeResultImage<'a>,
    duration_us: u64,
    cpu_us: u64,
}

#[derive(Serialize, Deserialize)]
enum OutcomeResultImage<'a> {
    Ok {
        value: &'a str,
    },
    Error {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_ERROR>")]
        error: &'a str,
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_TRACEBACK>")]
        traceback: &'a str,
    },
    LimitExceeded {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_WORD>")]
        limit: &'a str,
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_WORD>")]
        value: &'a str,
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_ERROR>")]
        error: &'a str,
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_TRACEBACK>")]
        traceback: &'a str,
    },
    TimedOut,
    Quarantined {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_REASON>")]
        reason: &'a str,
    },
    VmBroken {
        #[serde(borrow, deserialize_with = "cut::<_, _, MAX_REASON>")]
        reason: &'a str,
    },
}

impl OnWire for Outcome {
    type Image<'a> = OutcomeImage<'a>;

    fn image(&self) -> OutcomeImage<'_> {
        let result = match &self.result {
            OutcomeResult::Ok { value } => OutcomeResultImage::Ok { value: value.as_str() },
            OutcomeResult::Error { error, traceback } => OutcomeResultImage::Error { error, traceback },
            OutcomeResult::LimitExceeded { limit, value, error, traceback } => {
                OutcomeResultImage::LimitExceeded { limit, value, error, traceback }
            }
            OutcomeResult::TimedOut => OutcomeResultImage::TimedOut,
            OutcomeResult::Quarantined { reason } => OutcomeResultImage::Quarantined { reason },
            OutcomeResult::VmBroken { reason } => OutcomeResultImage::VmBroken { reason },
        };
        OutcomeImage { result, duration_us: self.duration_us, cpu_us: self.cpu_us }
    }

    fn from_image(image: OutcomeImage<'_>) -> Result<Self, Illegal> {
        let result = match image.result {
            OutcomeResultImage::Ok { value } => {
                let value = Json::from_text(value.to_owned()).ok_or(Illegal("result"))?;
                OutcomeResult::Ok { value }
            }
            OutcomeResultImage::Error { error, traceback } => {
                OutcomeResult::Error { error: error.to_owned(), traceback: traceback.to_owned() }
            }
            OutcomeResultImage::LimitExceeded { limit, value, error, traceback } => {
                OutcomeResult::LimitExceeded {
                    limit: limit.to_owned(),
                    value: value.to_owned(),
                    error: error.to_owned(),
                    traceback: traceback.to_owned(),
                }
            }
            OutcomeResultImage::TimedOut => OutcomeResult::TimedOut,
            OutcomeResultImage::Quarantined { reason } => {
                OutcomeResult::Quarantined { reason: reason.to_owned() }
            }
            OutcomeResultImage::VmBroken { reason } => OutcomeResult::VmBroken { reason: reason.to_owned() },
        };
        Ok(Self { result, duration_us: image.duration_us, cpu_us: image.cpu_us })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StatusImage<'a> {
    #[serde(with = "StateImage")]
    state: VmState,
    #[serde(borrow, deserialize_with = "cut_some::<_, MAX_REASON>")]
    reason: Option<&'a str>,
    memory_used: usize,
    memory_limit: usize,
    luau_threads: usize,
    in_flight: usize,
    waiting: usize,
    longest_wait: u64,
    templates: usize,
    #[serde(borrow, deserialize_with = "list::<_, _, MAX_TEMPLATES>")]
    template_memory: Vec<(&'a str, usize)>,
    thread: Option<ThreadId>,
    uptime_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "VmState")]
enum StateImage {
    Absent,
    Ready,
    Busy,
    Broken,
}

impl OnWire for VmStatus {
    type Image<'a> = StatusImage<'a>;

    fn image(&self) -> StatusImage<'_> {
        StatusImage {
            state: self.state,
            reason: self.reason.as_deref(),
            memory_used: self.memory_used,
            memory_limit: self.memory_limit,
            luau_threads: self.luau_threads,
            in_flight: self.in_flight,
            waiting: self.waiting,
            longest_wait: self.longest_wait,
            templates: self.templates,
            template_memory: self
                .template_memory
                .iter()
                .map(|(name, bytes)| (name.image(), *bytes))
                .collect(),
            thread: self.thread,
            uptime_ms: self.uptime_ms,
        }
    }

    fn from_image(image: StatusImage<'_>) -> Result<Self, Illegal> {
        let template_memory = image.template_memory.into_iter();
        let template_memory =
            template_memory.map(|(name, bytes)| Ok((TemplateName::from_image(name)?, bytes)));
        Ok(Self {
            state: image.state,
            reason: image.reason.map(str::to_owned),
            memory_used: image.memory_used,
            memory_limit: image.memory_limit,
            luau_threads: image.luau_threads,
            in_flight: image.in_flight,
            waiting: image.waiting,
            longest_wait: image.longest_wait,
            templates: image.templates,
            template_memory: template_memory.collect::<Result<_, _>>()?,
            thread: image.thread,
            uptime_ms: image.uptime_ms,
        })
    }
}
