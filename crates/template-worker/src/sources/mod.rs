//! Where events come from that the service makes itself.
//!
//! Owns the tasks that make them, and that these end with the service. What an event is belongs to `events`, what becomes of
//! it to `dispatch`.

mod expiry;
mod resume;

use std::sync::Arc;

use tokio::sync::watch;

use crate::dispatch::Dispatcher;
use crate::events::Event;
use crate::ids::{EventId, GuildId};
use crate::metrics::Metrics;
use crate::shutdown::Stopping;
use crate::storage::kv::{KvId, Scopes};
use crate::storage::{Clock, Storage};

/// The tasks, as long as they run.
#[derive(Debug)]
pub struct Sources {
    /// Held by every task; nothing is ever sent.
    running: watch::Receiver<()>,
}

impl Sources {
    /// Starts all of them. They begin to end when `stopping` begins.
    pub fn start(
        storage: &Arc<dyn Storage>,
        dispatcher: &Dispatcher,
        clock: &Clock,
        stopping: &Stopping,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (held, running) = watch::channel(());
        let held = Arc::new(held);
        let expiry = expiry::Expiry::new(
            Arc::clone(storage) as _,
            Arc::new(dispatcher.clone()),
            clock.clone(),
            stopping.clone(),
            Arc::clone(metrics),
            Arc::clone(&held),
        );
        tokio::spawn(expiry.run());
        let resume = resume::Resume::new(Arc::clone(storage) as _, dispatcher.clone(), clock.clone());
        let stopping = stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopping.wait() => {}
                () = resume.run() => {}
            }
            drop(held);
        });
        Self { running }
    }

    /// Returns when all of them have ended, and what they began is stored.
    pub async fn ended(&self) {
        // An error means that nobody holds the other end any more.
        let _ = self.running.clone().changed().await;
    }
}

/// The event `name` about a key: what its handlers are told is the same, whatever has come of the key.
fn key_event(
    name: &str,
    event: EventId,
    guild: GuildId,
    id: &KvId,
    key: &str,
    scopes: &Scopes,
) -> Result<Event, Box<dyn std::error::Error + Send + Sync>> {
    let scopes = scopes.to_vec();
    let data = serde_json::json!({"id": id.as_str(), "key": key, "scopes": scopes}).to_string();
    Ok(Event::new(event, guild, name.parse()?, None, scopes, data.into())?)
}
