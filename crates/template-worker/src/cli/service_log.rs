//! What the service says about itself while it runs: lines on stderr, as `[log]` of the configuration wants them.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Sends the log to stderr, for the rest of the process's life. Where somebody listens already, they go on.
pub(super) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.level)
        .with_context(|| format!("failed to understand `log.level`, which is `{}`", config.level))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    // The one way to fail is that this process has a subscriber, as in a test with several services.
    drop(started);
    Ok(())
}
