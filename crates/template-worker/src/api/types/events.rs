//! Bodies about events and what templates made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::execution::{Outcome, OutcomeResult};
use crate::ids::{EventId, UserId};

/// An event to dispatch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "MESSAGE_CREATE", "data": {"content": "!ping", "author": {"id": "80351110224678912"}}}))]
pub(in crate::api) struct EventBody {
    /// A gateway event, an event of the service, or a name of your own that starts with `Web` or `Custom`.
    pub(in crate::api) name: String,
    /// What templates see as `event.data`: any JSON. It is passed on as it is written here.
    #[schema(value_type = serde_json::Value)]
    pub(in crate::api) data: Box<RawValue>,
    /// Its scopes: only templates that listen to one of them, or to all, get it.
    #[serde(default)]
    pub(in crate::api) scopes: Vec<String>,
    /// The Discord user who caused it.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "80351110224678912")]
    pub(in crate::api) author: Option<UserId>,
    /// What templates see as its id; made by the service where it is left out. The service doesn't compare ids: an event
    /// that is sent twice runs twice, and a template that minds has to remember the ids it has seen.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "order-4711")]
    pub(in crate::api) id: Option<EventId>,
}

/// The event is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Accepted {
    /// The event's id, as templates see it.
    pub(in crate::api) event_id: EventId,
    /// How many templates get it.
    #[schema(example = 1)]
    pub(in crate::api) templates: usize,
}

/// What templates made of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Results {
    /// The event's id, as templates saw it.
    pub(in crate::api) event_id: EventId,
    /// One outcome for each template that got it, by its name.
    #[schema(example = json!({"ping": {"status": "ok", "value": "pong", "duration_us": 812, "cpu_us": 640}}))]
    pub(in crate::api) results: BTreeMap<String, OutcomeBody>,
}

/// How a template's execution ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outcome)]
pub(in crate::api) struct OutcomeBody {
    #[serde(flatten)]
    ending: Ending,
    /// Microseconds from start to end, waiting included.
    #[schema(example = 812)]
    duration_us: u64,
    /// Microseconds of CPU that it took.
    #[schema(example = 640)]
    cpu_us: u64,
}

/// The ways in which an execution ends.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(in crate::api) enum Ending {
    /// It returned.
    Ok {
        /// What it returned: null for nothing, a list for several values.
        #[schema(value_type = serde_json::Value)]
        value: khronos::Json,
    },
    /// It threw.
    Error {
        /// What it threw.
        error: String,
        /// Where.
        traceback: String,
    },
    /// It used too much of something.
    LimitExceeded {
        /// Which limit.
        #[schema(example = "cpu_time")]
        limit: String,
        /// The limit's value.
        #[schema(example = "10s")]
        value: String,
        /// What to do about it.
        error: String,
        /// Where it was at that moment.
        traceback: String,
    },
    /// The wait ended; the execution may go on.
    TimedOut,
    /// It was not run, since it has broken its VM too often.
    Quarantined {
        /// What it did, and what to do about it.
        reason: String,
    },
    /// Its VM broke.
    VmBroken {
        /// Why.
        reason: String,
    },
}

impl From<Outcome> for OutcomeBody {
    fn from(Outcome { result, duration_us, cpu_us }: Outcome) -> Self {
        let ending = match result {
            OutcomeResult::Ok { value } => Ending::Ok { value },
            OutcomeResult::Error { error, traceback } => Ending::Error { error, traceback },
            OutcomeResult::LimitExceeded { limit, value, error, traceback } => {
                Ending::LimitExceeded { limit, value, error, traceback }
            }
            OutcomeResult::TimedOut => Ending::TimedOut,
            OutcomeResult::Quarantined { reason } => Ending::Quarantined { reason },
            OutcomeResult::VmBroken { reason } => Ending::VmBroken { reason },
        };
        Self { ending, duration_us, cpu_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_sent_as_execution_writes_it() {
        let results = [
            OutcomeResult::Ok { value: "pong".into() },
            OutcomeResult::Error { error: "no".into(), traceback: "init.luau:1".into() },
            OutcomeResult::LimitExceeded {
                limit: "cpu_time".into(),
                value: "10s".into(),
                error: "too much".into(),
                traceback: String::new(),
            },
            OutcomeResult::TimedOut,
            OutcomeResult::Quarantined { reason: "too often".into() },
            OutcomeResult::VmBroken { reason: "out of memory".into() },
        ];
        for result in results {
            let outcome = Outcome { result, duration_us: 2, cpu_us: 1 };
            let sent = serde_json::to_value(OutcomeBody::from(outcome.clone())).unwrap();
            assert_eq!(sent, serde_json::to_value(outcome).unwrap());
        }
    }

    #[test]
    fn the_data_of_an_event_stays_as_it_was_written() {
        let body = r#"{"name": "X", "data": {"n": 12345678901234567890123, "a": [ ]}}"#;
        let event: EventBody = serde_json::from_str(body).unwrap();
        assert_eq!(event.data.get(), r#"{"n": 12345678901234567890123, "a": [ ]}"#);
    }
}
