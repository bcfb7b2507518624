//! The one signal that the service is stopping. Cheap to clone; it only ever goes from "running" to "stopping".

use std::sync::Arc;

use tokio::sync::watch;

/// Tells every part that holds a clone that the service is stopping.
#[derive(Debug, Clone)]
pub struct Stopping(Arc<watch::Sender<bool>>);

impl Default for Stopping {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stopping {
    /// Begins the shutdown. Again is fine.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has begun.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it has begun.
    pub async fn wait(&self) {
        // An error means that the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|stopping| *stopping).await;
    }
}
