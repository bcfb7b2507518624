//! The worker threads, for admins.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::auth::Admin;
use super::error::ApiError;
use super::extract::NoQuery;
use super::problem::problems;
use super::types::ThreadList;
use crate::app::App;

problems!(ThreadProblems: ANY | FOR_ADMINS);

/// List the worker threads
///
/// How many guilds live on each, what waits for it, and whether it had to be replaced.
#[utoipa::path(get, path = "/threads", tag = "threads", security(("token" = [])),
    responses((status = 200, description = "The threads", body = ThreadList), ThreadProblems))]
pub(super) async fn list_threads(
    State(app): State<Arc<App>>,
    _: Admin,
    _: NoQuery,
) -> Result<Json<ThreadList>, ApiError> {
    Ok(Json(ThreadList { threads: app.dispatcher.threads().into_iter().map(Into::into).collect() }))
}
