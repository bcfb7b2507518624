//! The signals that ask the service to stop.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on, so that no signal is lost between two waits.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caught {
    /// Its name, such as `SIGTERM`.
    pub(super) name: &'static str,
    /// Its number.
    pub(super) number: u8,
}

impl Signals {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.interrupt.recv() => Caught { name: "SIGINT", number: 2 },
            _ = self.terminate.recv() => Caught { name: "SIGTERM", number: 15 },
        }
    }
}
