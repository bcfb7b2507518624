//! Sees every answer to an event, and counts it once, whichever worker it comes from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::Span;
use tracing::span::Id;

use crate::ids::GuildId;
use crate::metrics::{Stage, Status};
use crate::vm::strategy::Shared;
use crate::vm::{LuaVmResult, Observe};

/// Counts the answers to one event.
#[derive(Debug)]
pub(super) struct Observer {
    guild: GuildId,
    accepted: Instant,
    shared: Arc<Shared>,
    /// Replies that were dropped before it was known whether the event was sent: one that was refused drops all of its.
    /// `None` from then on.
    dropped: Mutex<Option<u32>>,
    /// Open until the last answer.
    span: Span,
}

impl Observer {
    pub(super) fn new(guild: GuildId, accepted: Instant, shared: Arc<Shared>, span: Span) -> Arc<Self> {
        Arc::new(Self { guild, accepted, shared, dropped: Mutex::new(Some(0)), span })
    }

    /// The event is on its way.
    pub(super) fn sent(&self) {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner).take();
        for _ in 0..dropped.unwrap_or_default() {
            self.count(Status::VmBroken, 0);
        }
    }

    fn count(&self, status: Status, cpu_us: u64) {
        let now = Instant::now();
        let metrics = &self.shared.metrics;
        let taken = now.saturating_duration_since(self.accepted);
        // A VM process says how much it was; it cannot be more than the time that went by.
        let cpu_us = cpu_us.min(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
        metrics.executed(self.guild, status, cpu_us, now);
        metrics.took(Stage::Total, taken);
    }
}

impl Observe for Observer {
    fn answered(&self, result: &LuaVmResult) {
        if let LuaVmResult::Outcome(outcome) = result {
            outcome.status().inspect(|status| self.count(*status, outcome.cpu_us));
            return;
        }
        // What is not an outcome is what a dropped reply says.
        if let Some(dropped) = &mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner) {
            *dropped += 1;
            return;
        }
        self.count(Status::VmBroken, 0);
    }

    fn span(&self) -> Option<Id> {
        self.span.id()
    }
}
