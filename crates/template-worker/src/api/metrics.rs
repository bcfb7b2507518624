//! What the service counts about itself, for Prometheus. No token needed: it tells of no guild.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::app::App;
use crate::metrics;

/// What the service has counted
///
/// In the text format of Prometheus. `docs/limits.md` lists the metrics.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let shared = &app.shared;
    let text = shared.metrics.render(shared.vms.count(), shared.memory.used());
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}
