//! The HTTP API: JSON under `/api/v1`, described by its own OpenAPI document.
//!
//! Owns the routes and what every request goes through: it gets an id, a panic is caught, it is let in, its token and its
//! right are checked, its input is read. What a request is about belongs to the other modules; one resource a file here.

mod admission;
mod auth;
mod endpoints;
mod error;
mod events;
mod extract;
mod finish;
mod health;
mod openapi;
mod problem;
mod request_id;
mod templates;
mod threads;
mod tokens;
mod types;
mod vm;

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use axum::{Extension, Router, middleware};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use endpoints::{Access, ENDPOINTS, Endpoint};

use crate::app::App;
use admission::Admission;
use error::ApiError;
use openapi::Document;
use problem::Problem;

/// After the last request was answered, how long the answer may take to leave.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// What answers as long as the process lives.
fn unconditional() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::head()).routes(routes!(health::healthz))
}

/// What needs to be let in.
fn admitted() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(health::readyz))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(openapi::docs))
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
        .routes(routes!(events::send_event))
        .routes(routes!(vm::get_vm, vm::delete_vm))
        .routes(routes!(vm::act_on_vm))
        .routes(routes!(threads::list_threads))
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
/// requests that it has, at the latest within the drain time, and returns.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(app: Arc<App>, listener: TcpListener) -> io::Result<()> {
    let (stopping, drain_time) = (app.stopping.clone(), app.config.server.drain_time());
    let admission = Admission::new(stopping.clone(), app.config.server.max_requests_in_flight);
    // An answer is one small write: it shouldn't wait for more to come.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "failed to switch off delays of a connection");
        }
    });
    let begun = stopping.clone();
    let server = axum::serve(listener, guarded(app, admission.clone()))
        .with_graceful_shutdown(async move { begun.wait().await });
    // A client that never completes its request would hold the shutdown for ever.
    let overtime = async {
        stopping.wait().await;
        let in_time = tokio::time::timeout(drain_time, admission.everyone_left()).await;
        tokio::time::sleep(LAST_BYTES).await;
        in_time
    };
    tokio::select! {
        result = server.into_future() => result,
        in_time = overtime => {
            if in_time.is_err() {
                tracing::warn!("failed to answer all requests in time; the rest is cut off");
            }
            Ok(())
        }
    }
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
