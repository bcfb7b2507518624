//! What templates print and how they fail, as entries that somebody may be listening to.

use std::sync::Arc;

use khronos::LogLevel;
use time::OffsetDateTime;
use tokio::sync::broadcast;

use crate::ids::{EventId, GuildId};

/// One line of a template's log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// When it was written.
    pub at: OffsetDateTime,
    /// Whose template.
    pub guild: GuildId,
    /// Which template.
    pub template: Arc<str>,
    /// The event that it was running for.
    pub event: Option<EventId>,
    /// How important it is.
    pub level: LogLevel,
    /// The text, at most [`khronos::MAX_LOG_LINE`] bytes.
    pub text: String,
}

/// Where log entries go. Listeners that are too slow lose the oldest ones and are told so; a template never waits.
#[derive(Debug, Clone)]
pub struct TemplateLog(broadcast::Sender<LogEntry>);

/// Entries that are kept for listeners that have not read them yet.
const KEPT: usize = 4_096;

impl Default for TemplateLog {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl TemplateLog {
    /// Everything that is written from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LogEntry> {
        self.0.subscribe()
    }

    pub(crate) fn write(&self, entry: LogEntry) {
        // An error means that nobody listens.
        let _ = self.0.send(entry);
    }
}
