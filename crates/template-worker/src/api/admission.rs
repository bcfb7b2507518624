//! Whether a request is let in at all: not while the service stops, and not beyond what it takes at once.
//!
//! Owns the one bound on requests in flight. Nothing waits for a place: who finds none is told when to come back.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::shutdown::Stopping;

/// The doorkeeper.
#[derive(Clone)]
pub(super) struct Admission {
    stopping: Stopping,
    places: Arc<Semaphore>,
    /// How many places there are.
    all: u32,
}

impl Admission {
    /// Lets in at most `in_flight` requests at a time, and none from `stopping` on.
    pub(super) fn new(stopping: Stopping, in_flight: usize) -> Self {
        let all = u32::try_from(in_flight).unwrap_or(u32::MAX);
        Self { stopping, places: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Returns when everyone who was let in has left.
    pub(super) async fn everyone_left(&self) {
        // An error would mean that the semaphore was closed, which nobody does.
        let _ = self.places.acquire_many(self.all).await;
    }
}

/// Serves the request, or says when to come back.
pub(super) async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    // Connections that were open before the shutdown began may still bring requests.
    if admission.stopping.is_stopping() {
        return ApiError::shutting_down().into_response();
    }
    let Ok(_place) = admission.places.try_acquire() else { return ApiError::overloaded().into_response() };
    next.run(request).await
}
