//! What a template's execution came to, as the API shows it.

use std::time::Duration;

use khronos::{BrokenReason, Completion, Json, LimitExceeded, ValueError, Verdict};
use serde::Serialize;

use crate::limits::{Limit, Limits};
use crate::metrics::Status;

/// The result of one template for one event, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// How it ended.
    #[serde(flatten)]
    pub result: OutcomeResult,
    /// Microseconds from its start to its end, waiting included.
    pub duration_us: u64,
    /// Microseconds of CPU that its Luau threads used.
    pub cpu_us: u64,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum OutcomeResult {
    /// It returned.
    Ok {
        /// What it returned; null for nothing, a list for several values.
        value: Json,
    },
    /// It threw.
    Error {
        /// What it threw, with file and line in front where Luau knew them.
        error: String,
        /// Where, a line a function.
        traceback: String,
    },
    /// It used too much of something.
    LimitExceeded {
        /// The limit's name.
        limit: String,
        /// The limit's value, with its unit.
        value: String,
        /// What to do about it.
        error: String,
        /// Where it was at that moment.
        traceback: String,
    },
    /// The caller waited long enough; the execution may go on.
    TimedOut,
    /// It was not run: it has broken its VM too often.
    Quarantined {
        /// What it did, and what to do about it.
        reason: String,
    },
    /// Its VM broke, and not by its own fault.
    VmBroken {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The outcome of an execution that was started.
    pub(crate) fn of(completion: Completion) -> Self {
        let result = match completion.verdict {
            Verdict::Returned(value) => OutcomeResult::Ok { value },
            Verdict::Failed(error) => {
                OutcomeResult::Error { error: error.message, traceback: error.traceback }
            }
            Verdict::LimitExceeded { limit, traceback } => OutcomeResult::LimitExceeded {
                limit: limit.name().to_owned(),
                value: limit.value(),
                error: limit.to_string(),
                traceback,
            },
            Verdict::Broken(reason) => OutcomeResult::VmBroken { reason: reason.to_string() },
        };
        Self { result, duration_us: micros(completion.wall_clock), cpu_us: micros(completion.cpu) }
    }

    /// The outcome of an execution that could not be started, because its VM has no memory left for it.
    pub(crate) fn not_started(reason: &BrokenReason) -> Self {
        let result = match reason {
            BrokenReason::OutOfMemory { limit } => {
                let limit = LimitExceeded::Memory(*limit);
                OutcomeResult::LimitExceeded {
                    limit: limit.name().to_owned(),
                    value: limit.value(),
                    error: limit.to_string(),
                    traceback: String::new(),
                }
            }
            reason => OutcomeResult::VmBroken { reason: reason.to_string() },
        };
        Self { result, duration_us: 0, cpu_us: 0 }
    }

    /// The template could not be run, for a reason of its own or of the event's.
    pub(crate) fn error(error: String) -> Self {
        Self { result: OutcomeResult::Error { error, traceback: String::new() }, duration_us: 0, cpu_us: 0 }
    }

    /// The VM is gone, or will not come.
    pub(crate) fn vm_broken(reason: impl Into<String>) -> Self {
        Self { result: OutcomeResult::VmBroken { reason: reason.into() }, duration_us: 0, cpu_us: 0 }
    }

    /// It has broken its VM too often.
    pub(crate) fn quarantined(reason: String) -> Self {
        Self { result: OutcomeResult::Quarantined { reason }, duration_us: 0, cpu_us: 0 }
    }

    /// Nobody waits any longer.
    pub(crate) fn timed_out(waited: Duration) -> Self {
        Self { result: OutcomeResult::TimedOut, duration_us: micros(waited), cpu_us: 0 }
    }

    /// The limit that the execution met.
    pub(crate) fn limit(&self, limits: &Limits) -> Option<Limit> {
        match &self.result {
            OutcomeResult::Error { error, .. } => limit_of_result(error, limits),
            OutcomeResult::LimitExceeded { limit, .. } => Limit::named(limit),
            OutcomeResult::Ok { .. }
            | OutcomeResult::TimedOut
            | OutcomeResult::Quarantined { .. }
            | OutcomeResult::VmBroken { .. } => None,
        }
    }

    /// How it ended, in the terms of the metrics. `None` while it goes on, though nobody waits any longer.
    pub(crate) fn status(&self) -> Option<Status> {
        Some(match &self.result {
            OutcomeResult::Ok { .. } => Status::Ok,
            OutcomeResult::Error { .. } => Status::Error,
            OutcomeResult::LimitExceeded { .. } => Status::LimitExceeded,
            OutcomeResult::VmBroken { .. } => Status::VmBroken,
            OutcomeResult::Quarantined { .. } => Status::Quarantined,
            OutcomeResult::TimedOut => return None,
        })
    }

    /// Why it came to no good end; nothing where it returned.
    pub(crate) fn failure(&self) -> Option<String> {
        match &self.result {
            OutcomeResult::Ok { .. } => None,
            OutcomeResult::TimedOut => Some("it did not come to its end".to_owned()),
            OutcomeResult::Error { error, .. } | OutcomeResult::LimitExceeded { error, .. } => {
                Some(error.clone())
            }
            OutcomeResult::Quarantined { reason } | OutcomeResult::VmBroken { reason } => {
                Some(reason.clone())
            }
        }
    }

    /// What the author has to know of it; nothing if all went well.
    pub(crate) fn complaint(&self) -> Option<String> {
        match &self.result {
            // The author was told of a quarantine when it began.
            OutcomeResult::Ok { .. } | OutcomeResult::TimedOut | OutcomeResult::Quarantined { .. } => None,
            OutcomeResult::Error { error, traceback }
            | OutcomeResult::LimitExceeded { error, traceback, .. } => {
                Some(format!("{error}\n{traceback}").trim_end().to_owned())
            }
            OutcomeResult::VmBroken { reason } => Some(format!("the VM of this guild broke: {reason}")),
        }
    }
}

/// The limit that kept a result in its VM, by the words that the runtime has for it.
fn limit_of_result(error: &str, limits: &Limits) -> Option<Limit> {
    let words = [
        (Limit::ResultDepth, ValueError::TooDeep { limit: limits.max_result_depth }),
        (Limit::ResultNodes, ValueError::TooManyNodes { limit: limits.max_result_nodes }),
        (Limit::ResultBytes, ValueError::TooManyBytes { limit: limits.max_result_bytes }),
    ];
    words.into_iter().find(|(_, words)| error.ends_with(&words.returned())).map(|(limit, _)| limit)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_look_as_the_api_promises() {
        let json = |result| serde_json::to_string(&Outcome { result, duration_us: 5, cpu_us: 4 }).unwrap();
        assert_eq!(
            json(OutcomeResult::Ok { value: "pong".into() }),
            r#"{"status":"ok","value":"pong","duration_us":5,"cpu_us":4}"#
        );
        let value = khronos::KhronosValue::from([("n", 1.0.into())]).into();
        assert_eq!(
            json(OutcomeResult::Ok { value }),
            r#"{"status":"ok","value":{"n":1},"duration_us":5,"cpu_us":4}"#
        );
        assert_eq!(json(OutcomeResult::TimedOut), r#"{"status":"timed_out","duration_us":5,"cpu_us":4}"#);
        let broken = Outcome::not_started(&BrokenReason::OutOfMemory { limit: 1024 });
        let OutcomeResult::LimitExceeded { limit, value, .. } = broken.result else { panic!("{broken:?}") };
        assert_eq!((limit.as_str(), value.as_str()), ("memory", "1024B"));
    }
}
