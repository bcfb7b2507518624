//! Whether the service lives, and whether it can do its work. For those who watch it; no token needed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::error::ApiError;
use super::problem::problems;
use super::types::Health;
use crate::app::App;

problems!(ReadyProblems: ADMITTED, NotReady);

/// Whether the process answers
///
/// It does also while the service shuts down or has too much to do: a reason to restart it is that this fails.
#[utoipa::path(get, path = "/healthz", tag = "service",
    responses((status = 200, description = "It lives", body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether it can serve requests
///
/// The storage answers, and the service neither shuts down nor has too much to do.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, description = "It is ready", body = Health), ReadyProblems))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    // That the service stops, or has too much to do, is found out before any request comes here.
    app.storage.check().await.map_err(ApiError::not_ready)?;
    Ok(Json(Health { status: "ready" }))
}
