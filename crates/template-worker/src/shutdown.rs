//! The one signal that the service is stopping. Cheap to clone; it only ever goes from "running" to "stopping".

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

/// Tells every part that holds a clone that the service is stopping, and since when.
#[derive(Debug, Clone)]
pub struct Stopping(Arc<watch::Sender<Option<Instant>>>);

impl Default for Stopping {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stopping {
    /// Begins the shutdown. Again is fine, and changes nothing.
    pub fn begin(&self) {
        self.0.send_if_modified(|begun| {
            let first = begun.is_none();
            begun.get_or_insert_with(Instant::now);
            first
        });
    }

    /// When it has begun.
    pub fn begun(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Whether it has begun.
    pub fn is_stopping(&self) -> bool {
        self.begun().is_some()
    }

    /// Returns when it has begun.
    pub async fn wait(&self) {
        // An error means that the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}
