//! Whether a request is let in at all: not while the service stops, and not beyond what it takes at once.
//!
//! Owns the one bound on requests at work, and what part of them may be of one guild. Nothing waits for a place: who finds
//! none is told when to come back. Whoever only waits for templates gives its place back meanwhile; how many of those there
//! are is bounded by how many executions each guild may have. Whose token may act for a guild is `auth`'s business.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::ApiError;
use crate::ids::GuildId;
use crate::places::{self, GuildPlaces};
use crate::shutdown::Stopping;

/// Templates of a guild that are put at the same time: they wait for each other at the compiler, each with its files.
pub const MOST_PUTS: usize = 8;
/// A guild has one place in so many: what its requests wait for is its own business, and must leave room for the others.
const GUILDS_PART: usize = 16;
/// Places that a guild has also where there are few.
const LEAST_PLACES: usize = 4;

/// The doorkeeper.
#[derive(Clone)]
pub(super) struct Admission {
    stopping: Stopping,
    places: Arc<Semaphore>,
    guilds: Arc<Guilds>,
    /// Each request holds a receiver as long as it is inside, also without a place: the sender knows when all are gone.
    inside: Arc<watch::Sender<()>>,
}

impl Admission {
    /// Lets in at most `at_work` requests at a time, not counting those that gave their place back, and none from
    /// `stopping` on.
    pub(super) fn new(stopping: Stopping, at_work: usize) -> Self {
        Self {
            stopping,
            places: Arc::new(Semaphore::new(at_work)),
            guilds: Arc::new(Guilds::new(at_work)),
            inside: Arc::new(watch::Sender::new(())),
        }
    }

    /// Returns when everyone who was let in has left, with a place or without.
    pub(super) async fn everyone_left(&self) {
        self.inside.closed().await;
    }
}

/// What each guild has of the places.
#[derive(Debug)]
struct Guilds {
    most: usize,
    at_work: GuildPlaces,
    puts: GuildPlaces,
}

impl Guilds {
    fn new(at_work: usize) -> Self {
        let most = (at_work / GUILDS_PART).max(LEAST_PLACES);
        Self { most, at_work: GuildPlaces::new(most), puts: GuildPlaces::new(MOST_PUTS) }
    }
}

/// A request's place among those at work. A handler that is done with work may give it back before it has an answer.
#[derive(Clone)]
pub(super) struct Place {
    taken: Arc<Mutex<Option<Taken>>>,
    guilds: Arc<Guilds>,
}

struct Taken {
    _of_all: OwnedSemaphorePermit,
    /// Once it is known which guild it is for.
    of_guild: Option<places::Place>,
}

impl Place {
    /// That of the request with these `parts`.
    pub(super) fn of(parts: &Parts) -> Result<Self, ApiError> {
        let place = parts.extensions.get().cloned();
        place.ok_or_else(|| ApiError::internal("a request was served that nobody had let in"))
    }

    /// Counts the request among those of `guild`. To be called when it is known that it may act for it, or strangers
    /// could use up what the guild has; and before its body is read, which takes as long as the client likes.
    pub(super) fn is_for(&self, guild: GuildId) -> Result<(), ApiError> {
        let most = self.guilds.most;
        let place = self.guilds.at_work.try_take(guild).ok_or_else(|| {
            ApiError::guild_busy(&format!(
                "this guild has as many requests in flight as it may ({most}); try again after `Retry-After` seconds"
            ))
        })?;
        if let Some(taken) = self.taken().as_mut() {
            taken.of_guild = Some(place);
        }
        Ok(())
    }

    /// A place among those who put a template of `guild`.
    pub(super) fn to_put(&self, guild: GuildId) -> Result<places::Place, ApiError> {
        self.guilds.puts.try_take(guild).ok_or_else(|| {
            ApiError::guild_busy(&format!(
                "{MOST_PUTS} templates of this guild are being put, which is the most; try again after `Retry-After` \
                 seconds, or put them one after the other"
            ))
        })
    }

    /// Lets someone else in. Again is fine.
    pub(super) fn give_back(&self) {
        drop(self.taken().take());
    }

    fn taken(&self) -> MutexGuard<'_, Option<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
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
    let Ok(_of_all) = Arc::clone(&admission.places).try_acquire_owned() else {
        return ApiError::overloaded().into_response();
    };
    let taken = Arc::new(Mutex::new(Some(Taken { _of_all, of_guild: None })));
    let place = Place { taken, guilds: Arc::clone(&admission.guilds) };
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    place.give_back();
    response
}
