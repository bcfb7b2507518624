//! The service: very many guilds' templates, each guild in a Luau VM of its own, fed with events.
//!
//! # The walk of one event
//! A source makes an event of it: guild, name, JSON text. The dispatcher asks which of the guild's templates listen; where
//! none do, that was all. Otherwise the distribution strategy finds the thread that holds the guild's VM and puts the
//! event on that thread's queue. The thread finds or makes the VM, and the execution engine runs one Luau thread per
//! template, in slices, under the limits. What each template returned, or how it failed, goes back to whoever waits.
//!
//! # Modules
//! - [`ids`]: guilds, users, threads, events, tokens: one type per kind of id
//! - [`limits`]: what one guild may use, by the names that the field knows
//! - [`metrics`]: what the service counts about itself; [`telemetry`]: its traces, for others to collect
//! - [`config`]: what an operator can set, from file, environment and command line
//! - [`capabilities`]: the closed list of what a template may be allowed, and the comparison of patterns
//! - [`events`]: the closed list of events, one event, and what a template listens to
//! - [`template`]: a template, its name, and what an author sends to change it
//! - [`host`]: everything that a template can do to the world, who may, and doing it; `plugins`: what scripts see of it
//! - [`mod@reference`]: what scripts see, written down: type files and the pages of the reference
//! - [`storage`]: what outlives the process: templates with their versions, and access tokens
//! - [`tls`]: which library speaks TLS
//! - `settings`, `nearest`: how a section of settings is declared; the nearest known name for a typo
//! - `cursor`: where the next page of a list begins, as a text
//! - `places`: so many at a time of each guild
//! - `remembered`: a map that forgets what is worth nothing any more

pub mod api;
pub mod app;
pub mod capabilities;
pub mod cli;
pub mod config;
mod cursor;
pub mod dispatch;
pub mod events;
pub mod execution;
pub mod host;
pub mod ids;
pub mod limits;
pub mod metrics;
mod nearest;
mod places;
mod plugins;
pub mod reference;
mod remembered;
pub mod settings;
pub mod shutdown;
pub mod sources;
pub mod storage;
pub mod telemetry;
pub mod template;
pub mod tls;
pub mod vm;
