//! Whether a request is let in at all: not while the service stops, and not beyond what it takes at once.
//!
//! Owns the one bound on requests at work. Nothing waits for a place: who finds none is told when to come back. Whoever
//! only waits for templates gives its place back meanwhile; how many of those there are is bounded by how many
//! executions each guild may have.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::ApiError;
use crate::shutdown::Stopping;

/// The doorkeeper.
#[derive(Clone)]
pub(super) struct Admission {
    stopping: Stopping,
    places: Arc<Semaphore>,
    /// Each request holds a receiver as long as it is inside, also without a place: the sender knows when all are gone.
    inside: Arc<watch::Sender<()>>,
}

impl Admission {
    /// Lets in at most `at_work` requests at a time, not counting those that gave their place back, and none from
    /// `stopping` on.
    pub(super) fn new(stopping: Stopping, at_work: usize) -> Self {
        Self { stopping, places: Arc::new(Semaphore::new(at_work)), inside: Arc::new(watch::Sender::new(())) }
    }

    /// Returns when everyone who was let in has left, with a place or without.
    pub(super) async fn everyone_left(&self) {
        self.inside.closed().await;
    }
}

/// A request's place among those at work. A handler that is done with work may give it back before it has an answer.
#[derive(Clone)]
pub(super) struct Place(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Place {
    /// Lets someone else in. Again is fine.
    pub(super) fn give_back(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(..)")
    }
}

/// Serves the request, or says when to come back.
pub(super) async fn admit(State(admission): State<Admission>, mut request: Request, next: Next) -> Response {
    // Taken before the question whether the service stops, so that whoever is let in is also waited for.
    let _inside = admission.inside.subscribe();
    // Connections that were open before the shutdown began may still bring requests.
    if admission.stopping.is_stopping() {
        return ApiError::shutting_down().into_response();
    }
    let Ok(permit) = Arc::clone(&admission.places).try_acquire_owned() else {
        return ApiError::overloaded().into_response();
    };
    let place = Place(Arc::new(Mutex::new(Some(permit))));
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    place.give_back();
    response
}
