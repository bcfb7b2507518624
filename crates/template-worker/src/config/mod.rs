//! What an operator can set: one struct per concern, read once at start, passed down from there.
//!
//! Owns the keys, their defaults and bounds (`sections`), reading them from file, environment and command line
//! (`load`), showing them (`explain`), and every look at the process's environment (`environment`). What a limit means
//! is in `limits`; acting on a setting is up to the part that it is for.

mod discord;
pub mod environment;
mod explain;
mod load;
mod machine;
mod network;
mod outside;
mod secret;
mod sections;

pub use discord::DiscordConfig;
pub use environment::Environment;
pub(crate) use load::ADDRESS_FORM;
pub use load::{ConfigError, Loaded, Origin, Sources};
pub use network::{FixedName, Network, NotAFixedName, NotANetwork};
pub use outside::{HttpConfig, ObjectBackend, ObjectsConfig, SecretsConfig};
pub use secret::Secret;
pub use sections::{
    Backend, Config, DrillsConfig, LinksConfig, LogConfig, LogFormat, ServerConfig, StorageConfig, Strategy,
    TelemetryConfig, TemplatesConfig, VmConfig,
};
