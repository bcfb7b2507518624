//! Events: which there are, one of them, and what a template listens to.
//!
//! Owns names and matching; pure data, no IO. Where events come from is up to the sources and `api`, what becomes of
//! them to `dispatch`.

mod discord;
mod event;
mod filter;
mod name;
mod registry;
mod said;

pub use discord::{DATA_TYPES, data_of};
pub use event::{Event, EventError, MAX_SCOPE_BYTES, MAX_SCOPES};
pub use filter::{EventFilter, FilterError};
pub use name::{BaseName, EventName, MAX_NAME_BYTES, UnknownEvent};
pub use registry::{ALIASES, ANTIRAID, CUSTOM_PREFIXES, DISCORD, FOR_THE_SERVICE, SERVICE, ServiceEvent};
pub use said::{Said, is_an_outage, with_a_cause};
