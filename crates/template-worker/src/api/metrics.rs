//! What the service counts about itself, for Prometheus. No token needed for what tells of no guild; the rest is for
//! admins.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::auth::Admin;
use super::error::ApiError;
use crate::app::App;
use crate::metrics;

/// What the service has counted
///
/// In the text format of Prometheus. `docs/metrics.md` lists the metrics. Those that name guilds come with an admin's
/// token only.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    admin: Result<Admin, ApiError>,
) -> impl IntoResponse {
    let shared = &app.shared;
    let mut text = shared.metrics.render(&app.levels());
    if admin.is_ok() {
        text.push_str(&shared.metrics.render_guilds(Instant::now()));
    }
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}
