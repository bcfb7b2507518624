//! Workers that are processes of their own, each with threads for its guilds.
//!
//! A script that breaks out of Luau, or that makes it crash, has its process, which is locked in, and the guilds in it;
//! and nothing of the service.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Shared;
use super::pool::{Start, WorkerKind};
use crate::metrics::Worker;
use crate::vm::process::{Settings, patience, supervise};

/// Starts VM processes, each with a task that looks after it.
#[derive(Debug)]
pub(super) struct Processes {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Processes {
    /// Processes that are looked after by the async runtime that this is called in.
    pub(super) fn new(settings: Settings, shared: Arc<Shared>) -> Self {
        Self { settings: Arc::new(settings), shared, runtime: Handle::current() }
    }
}

impl WorkerKind for Processes {
    fn start(&self, start: Start) -> std::io::Result<()> {
        self.runtime.spawn(supervise(start, Arc::clone(&self.settings), Arc::clone(&self.shared)));
        Ok(())
    }

    fn counted_as(&self) -> Worker {
        Worker::Process
    }

    fn patience(&self) -> Duration {
        patience(&self.shared.limits) + Duration::from_secs(5)
    }
}
