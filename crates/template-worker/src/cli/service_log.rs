//! What the service says about itself while it runs: lines on stderr, as `[log]` of the configuration wants them, and
//! traces, as `[telemetry]` does.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat, TelemetryConfig};
use crate::telemetry::Traces;

/// Sends the log to stderr, and traces to where they are wanted, for the rest of the process's life. Where somebody listens
/// already, they go on.
pub(super) fn start(config: &LogConfig, telemetry: &TelemetryConfig) -> anyhow::Result<Traces> {
    let filter = EnvFilter::try_new(&config.level)
        .with_context(|| format!("failed to understand `log.level`, which is `{}`", config.level))?;
    let traces = Traces::start(&telemetry.otlp_endpoint, telemetry.sampling, &telemetry.service_name)?;
    let lines = fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let started =
        tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces.layer()).try_init();
    // The one way to fail is that this process has a subscriber, as in a test with several services.
    drop(started);
    Ok(traces)
}
