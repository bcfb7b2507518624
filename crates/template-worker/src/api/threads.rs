//! The workers, for admins: how they are, whether they answer, and replacing one.
//!
//! Owns how long a client may wait for a drain. What a drain is, is `vm`'s business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::admission::Place;
use super::auth::Admin;
use super::error::ApiError;
use super::extract::{NoQuery, QueryOf, ThreadPath};
use super::openapi::ThreadParam;
use super::problem::{Problem, problems};
use super::types::{DrainedBody, Pong, ThreadBody, ThreadList};
use crate::app::App;
use crate::dispatch::TIME_TO_ANSWER;
use crate::ids::ThreadId;

/// The longest time that a drain can be given, in milliseconds.
const LONGEST_DRAIN_MS: u64 = 600_000;

problems!(ListProblems: ANY | FOR_ADMINS);
problems!(PingProblems: ANY | FOR_ADMINS, InvalidThreadId, NotFound, ThreadStuck);
problems!(DrainProblems: ANY | FOR_ADMINS, InvalidThreadId, NotFound);

/// List the worker threads
///
/// Or processes. How many guilds live on each, what waits for it, how busy it is, and whether it had to be replaced.
#[utoipa::path(get, path = "/threads", tag = "threads", security(("token" = [])),
    responses((status = 200, description = "The threads", body = ThreadList), ListProblems))]
pub(super) async fn list_threads(
    State(app): State<Arc<App>>,
    _: Admin,
    _: NoQuery,
) -> Result<Json<ThreadList>, ApiError> {
    let strategy = app.config.vm.strategy;
    let threads = app.dispatcher.threads().into_iter();
    Ok(Json(ThreadList { threads: threads.map(|status| ThreadBody::new(status, strategy)).collect() }))
}

/// Ask a thread whether it answers
///
/// One that is busy does; one that is stuck doesn't.
#[utoipa::path(post, path = "/threads/{id}/ping", tag = "threads", security(("token" = [])), params(ThreadParam),
    responses((status = 200, description = "It answered", body = Pong), PingProblems))]
pub(super) async fn ping_thread(
    State(app): State<Arc<App>>,
    _: Admin,
    ThreadPath(id): ThreadPath,
    _: NoQuery,
) -> Result<Json<Pong>, ApiError> {
    let asked = Instant::now();
    if app.dispatcher.ping(id).await.map_err(|_| unknown(id))? {
        let after_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        return Ok(Json(Pong { answered: true, after_us }));
    }
    let detail = format!(
        "thread {id} did not answer within {} seconds; `DELETE /api/v1/threads/{id}` replaces it",
        TIME_TO_ANSWER.as_secs()
    );
    Err(ApiError::new(Problem::ThreadStuck, detail))
}

/// How long what runs has to end.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DrainTime {
    /// Milliseconds that executions have to end: 0 to 600,000, otherwise `server.drain_time_ms`.
    #[param(minimum = 0, maximum = 600_000, example = 5000)]
    drain_ms: Option<u64>,
}

/// Drain and replace a thread
///
/// Another takes its place at once. Each of its guilds moves on as soon as nothing runs in its VM, and what comes for it
/// meanwhile waits; what still runs when the time is over ends as `vm_broken`. The answer comes when the thread is gone.
#[utoipa::path(delete, path = "/threads/{id}", tag = "threads", security(("token" = [])),
    params(ThreadParam, DrainTime),
    responses((status = 200, description = "What became of it", body = DrainedBody), DrainProblems))]
pub(super) async fn drain_thread(
    State(app): State<Arc<App>>,
    Extension(place): Extension<Place>,
    admin: Admin,
    ThreadPath(id): ThreadPath,
    QueryOf(time): QueryOf<DrainTime>,
) -> Result<Json<DrainedBody>, ApiError> {
    let within = match time.drain_ms {
        None => app.config.server.drain_time(),
        Some(ms) if ms <= LONGEST_DRAIN_MS => Duration::from_millis(ms),
        Some(ms) => {
            let detail = format!("`drain_ms` is {ms}: use a value from 0 to {LONGEST_DRAIN_MS}");
            return Err(ApiError::new(Problem::InvalidQuery, detail));
        }
    };
    // It only waits: others are not to be kept from being served.
    place.give_back();
    tracing::info!(thread = %id, by = %admin.token, "draining a thread");
    let drained = app.dispatcher.drain(id, within).await.map_err(|_| unknown(id))?;
    Ok(Json(drained.into()))
}

/// There is no such thread.
pub(super) fn unknown(id: ThreadId) -> ApiError {
    let detail = format!(
        "there is no thread {id} that takes guilds; `GET /api/v1/threads` lists those that there are"
    );
    ApiError::new(Problem::NotFound, detail)
}
