//! The HTTP API: JSON under `/api/v1`, described by its own OpenAPI document.
//!
//! Owns the routes and what every request goes through: it gets an id, a panic is caught, it is let in, its token and its
//! right are checked, its input is read. What a request is about belongs to the other modules; one resource a file here.

mod admission;
mod auth;
mod endpoints;
mod error;
mod events;
mod expiries;
mod extract;
mod finish;
mod health;
mod impatient;
mod kv;
mod limits;
mod metrics;
mod objects;
mod openapi;
mod paging;
mod problem;
mod request_id;
mod secrets;
mod server;
mod templates;
mod threads;
mod tokens;
mod types;
mod vm;
mod vms;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router, middleware};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use admission::MOST_PUTS;
pub use endpoints::{Access, ENDPOINTS, Endpoint};

use crate::app::{App, Stopped};
use admission::Admission;
use error::ApiError;
use openapi::Document;
use problem::Problem;
use server::Server;

/// How long a client may take to send the head of a request, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer that is being sent.
const TAKE_TIME: Duration = Duration::from_secs(30);
/// After the last request was answered, how long the answer may take to leave.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// What answers as long as the process lives.
fn unconditional() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(health::healthz))
        .routes(routes!(metrics::metrics))
}

/// What needs to be let in.
fn admitted() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(health::readyz))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(openapi::docs))
        .routes(routes!(objects::get_object))
        .nest("/api/v1", versioned())
}

/// What needs a token.
fn versioned() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(templates::list_templates))
        .routes(routes!(
            templates::put_template,
            templates::get_template,
            templates::patch_template,
            templates::delete_template
        ))
        .routes(routes!(templates::list_versions))
        .routes(routes!(templates::get_quarantine, templates::lift_quarantine))
        .routes(routes!(events::send_event))
        .routes(routes!(vm::get_vm, vm::delete_vm))
        .routes(routes!(vm::act_on_vm))
        .routes(routes!(limits::get_limits, limits::put_limits))
        .routes(routes!(kv::list_records))
        .routes(routes!(kv::get_record, kv::put_record, kv::delete_record))
        .routes(routes!(expiries::list_expiries))
        .routes(routes!(expiries::retry_expiry))
        .routes(routes!(secrets::list_secrets))
        .routes(routes!(secrets::put_secret, secrets::delete_secret))
        .routes(routes!(threads::list_threads))
        .routes(routes!(threads::drain_thread))
        .routes(routes!(threads::ping_thread))
        .routes(routes!(vms::list_vms))
        .routes(routes!(vms::evict_idle))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
}

/// The OpenAPI document of the API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    openapi::complete(unconditional().merge(admitted()).into_openapi())
}

/// The API in front of `app`. [`ENDPOINTS`] lists what it answers to.
pub fn router(app: Arc<App>) -> Router {
    let admission = Admission::new(app.stopping.clone(), app.config.server.max_requests_in_flight);
    guarded(app, admission)
}

/// The API in front of `app`, behind `admission`.
fn guarded(app: Arc<App>, admission: Admission) -> Router {
    let admitted =
        Router::from(admitted()).layer(middleware::from_fn_with_state(admission, admission::admit));
    let routes = Router::from(unconditional()).merge(admitted).layer(Extension(Document::of(&openapi())));
    wrapped(routes.with_state(app))
}

/// `routes` with what every request goes through, whatever it is for.
fn wrapped(routes: Router) -> Router {
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(request_id::identify))
}

/// Serves `app` to whoever connects to `listener`, until `app.stopping`: then it accepts no more connections, answers the
/// requests that it has, at the latest by [`App::stop_by`], and returns.
pub async fn serve(app: Arc<App>, listener: TcpListener) {
    let admission = Admission::new(app.stopping.clone(), app.config.server.max_requests_in_flight);
    let routes = guarded(Arc::clone(&app), admission.clone());
    serve_routes(app, listener, routes, admission).await;
}

/// Serves `routes`, which are behind `admission`, as [`serve`] promises.
async fn serve_routes(app: Arc<App>, listener: TcpListener, routes: Router, admission: Admission) {
    let server = Server {
        most_connections: app.config.server.max_connections,
        head_time: HEAD_TIME,
        take_time: TAKE_TIME,
    };
    let mut open = server.run(listener, routes, app.stopping.clone()).await;
    // A client that never completes its request would hold the shutdown for ever.
    let everyone_left = async {
        let in_time = timeout_at(Instant::from_std(app.stop_by()), admission.everyone_left()).await;
        tokio::time::sleep(LAST_BYTES).await;
        in_time
    };
    tokio::select! {
        () = open.all_ended() => {}
        in_time = everyone_left => {
            if in_time.is_err() {
                tracing::warn!("failed to answer all requests in time; the rest is cut off");
            }
        }
    }
}

/// Stops `app` and its `server`, a task that runs [`serve`]: nobody is let in any more, and whoever was let in is
/// answered, by [`App::stop_by`]. Only then the storage is closed, since a request may need it to the last.
pub async fn stop(app: &App, server: JoinHandle<()>) -> Stopped {
    app.stopping.begin();
    let (stopped, served) = tokio::join!(app.stop(), server);
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server had ended before it was asked to");
    }
    app.close().await;
    stopped
}

async fn unknown_route() -> ApiError {
    ApiError::new(
        Problem::NotFound,
        "there is nothing here; `/docs` and `/openapi.json` list all that there is",
    )
}

async fn method_not_allowed(method: Method) -> ApiError {
    let detail = format!("`{method}` is not among the methods of this URL, which the `Allow` header lists");
    ApiError::new(Problem::MethodNotAllowed, detail)
}

/// What a client gets where a handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "tower-http hands over what the panic carried")]
fn panicked(carried: Box<dyn Any + Send>) -> Response {
    let text = carried.downcast_ref::<&str>().copied().map(ToOwned::to_owned);
    let text = text.or_else(|| carried.downcast_ref::<String>().cloned());
    ApiError::internal(format!("a handler panicked: {}", text.unwrap_or_default())).into_response()
}

#[cfg(test)]
mod tests;
