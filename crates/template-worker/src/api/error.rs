//! `ApiError`: why a request was refused, on its way to the client.
//!
//! Owns turning the errors of the other modules into problems, and what a failure of our own shows (nothing) and logs
//! (everything, once). Codes and statuses are in `problem`.

use std::error::Error;
use std::iter;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use khronos::{BundleError, CompileError};

use super::problem::{self, FileError, Problem};
use crate::capabilities::CapabilityError;
use crate::dispatch::{DispatchError, LimitsError};
use crate::events::{EventError, FilterError, UnknownEvent};
use crate::execution::CompileFailure;
use crate::storage::{StorageError, UnknownRight};
use crate::template::DraftError;

/// Seconds after which a client may try again where nothing better is known.
const SOON: Duration = Duration::from_secs(1);
/// Seconds after which a service that shuts down is likely to be back.
const AFTER_RESTART: Duration = Duration::from_secs(5);

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(super) struct ApiError {
    problem: Problem,
    detail: String,
    errors: Vec<FileError>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    /// For a failure of our own: what is logged and never shown.
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// A problem, and what a client should know and do about it.
    pub(super) fn new(problem: Problem, detail: impl Into<String>) -> Self {
        Self { problem, detail: detail.into(), errors: Vec::new(), header: None, cause: None }
    }

    /// A problem that another module has the words for.
    pub(super) fn from_text(problem: Problem, text: &impl ToString) -> Self {
        Self::new(problem, text.to_string())
    }

    /// A failure of our own. `cause` is logged; the client gets to know nothing of it.
    pub(super) fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "the request could not be served; the service's log has the cause under this request id";
        Self { cause: Some(cause.into()), ..Self::new(Problem::Internal, detail) }
    }

    /// Too much at once.
    pub(super) fn overloaded() -> Self {
        let detail =
            "the service has as many requests in flight as it takes; try again after `Retry-After` seconds";
        Self::new(Problem::Overloaded, detail).retry_after(SOON)
    }

    /// The guild has too much on its way.
    pub(super) fn guild_busy(why: &impl ToString) -> Self {
        Self::from_text(Problem::GuildBusy, why).retry_after(SOON)
    }

    /// The end is near.
    pub(super) fn shutting_down() -> Self {
        let detail = "the service is shutting down; try again after `Retry-After` seconds";
        Self::new(Problem::ShuttingDown, detail).retry_after(AFTER_RESTART)
    }

    /// Every worker thread has ended, which nothing mends.
    pub(super) fn no_threads() -> Self {
        let detail = "no worker thread is left to run templates; restart the service";
        Self::new(Problem::NotReady, detail).retry_after(AFTER_RESTART)
    }

    /// Storage doesn't answer; why is logged.
    pub(super) fn storage_not_ready(cause: StorageError) -> Self {
        let error = Self::new(Problem::NotReady, "the storage does not answer").retry_after(SOON);
        Self { cause: Some(cause.into()), ..error }
    }

    /// With a header that belongs to the problem.
    pub(super) fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some(Box::new((name, value))), ..self }
    }

    /// The kind of problem.
    pub(super) fn problem(&self) -> Problem {
        self.problem
    }

    fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(RETRY_AFTER, seconds.max(1).into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            // The request's id is in the span that every request runs in.
            tracing::error!(cause = chain(&**cause), "failed to serve a request");
        }
        let body = Json(self.problem.body(self.detail, self.errors));
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE))];
        let mut response = (self.problem.status(), content_type, body).into_response();
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// An error and all its sources in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> =
        iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string).collect();
    texts.join(": ")
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::VersionConflict { .. } => Self::from_text(Problem::VersionConflict, &error),
            StorageError::TooManyTemplates { .. } => Self::from_text(Problem::TooManyTemplates, &error),
            _ => Self::internal(error),
        }
    }
}

impl From<DispatchError> for ApiError {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Busy { retry_after, .. }
            | DispatchError::TooManyBytes { retry_after, .. }
            | DispatchError::TooManyActions { retry_after, .. } => {
                Self::new(Problem::GuildBusy, error.to_string()).retry_after(retry_after)
            }
            DispatchError::Overloaded { retry_after } => {
                Self::new(Problem::ThreadBusy, error.to_string()).retry_after(retry_after)
            }
            DispatchError::ShuttingDown => Self::shutting_down(),
            DispatchError::Event(_) => Self::from_text(Problem::InvalidEvent, &error),
            DispatchError::Storage(_) | DispatchError::Compile(_) => Self::internal(error),
        }
    }
}

impl From<LimitsError> for ApiError {
    fn from(error: LimitsError) -> Self {
        match error {
            LimitsError::Bad(bad) => Self::from_text(Problem::InvalidValue, &bad),
            LimitsError::Storage(error) => error.into(),
        }
    }
}

impl From<CompileFailure> for ApiError {
    fn from(failure: CompileFailure) -> Self {
        match failure {
            CompileFailure::Errors(errors) => {
                let detail = match errors.as_slice() {
                    [one] => one.to_string(),
                    many => format!("{} files do not compile; `errors` has the lines", many.len()),
                };
                let errors = errors.into_iter().map(FileError::from).collect();
                Self { errors, ..Self::new(Problem::DoesNotCompile, detail) }
            }
            CompileFailure::Unavailable => Self::overloaded(),
        }
    }
}

impl From<CompileError> for FileError {
    fn from(CompileError { file, line, message }: CompileError) -> Self {
        Self { file, line, message }
    }
}

impl From<BundleError> for ApiError {
    fn from(error: BundleError) -> Self {
        let problem = match error {
            BundleError::BadPath { .. } => Problem::InvalidPath,
            BundleError::Twice { .. } => Problem::InvalidValue,
            BundleError::NoEntry => Problem::NoEntry,
            BundleError::TooManyFiles { .. } => Problem::TooManyFiles,
            BundleError::TooLarge { .. } => Problem::TooLarge,
        };
        Self::from_text(problem, &error)
    }
}

impl From<FilterError> for ApiError {
    fn from(error: FilterError) -> Self {
        let problem = match error {
            FilterError::UnknownEvent(_) => Problem::UnknownEvent,
            FilterError::BadScope { .. } => Problem::InvalidValue,
        };
        Self::from_text(problem, &error)
    }
}

/// Errors that are one kind of problem, and whose words are fit for the client.
macro_rules! each_is {
    ($( $error:ty => $problem:ident, )+) => {
        $( impl From<$error> for ApiError {
            fn from(error: $error) -> Self {
                Self::from_text(Problem::$problem, &error)
            }
        } )+
    };
}

each_is! {
    UnknownEvent => UnknownEvent,
    CapabilityError => UnknownCapability,
    UnknownRight => UnknownRight,
    DraftError => InvalidValue,
    EventError => InvalidValue,
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::StatusCode;
    use serde_json::Value;

    use super::*;

    async fn sent(error: ApiError) -> (Response, Value) {
        let (parts, body) = error.into_response().into_parts();
        let body = serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap();
        (Response::from_parts(parts, axum::body::Body::empty()), body)
    }

    #[tokio::test]
    async fn a_failure_of_our_own_shows_no_internals() {
        let cause = StorageError::Failed("secret table is locked".into());
        let (response, body) = sent(cause.into()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("secret") && !body.to_string().contains("database"), "{body}");
    }

    #[tokio::test]
    async fn an_error_is_a_problem_document_and_says_when_to_come_back() {
        let busy = DispatchError::Busy { running: 1, waiting: 2, retry_after: Duration::from_millis(1200) };
        let (response, body) = sent(busy.into()).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!((&body["code"], &body["status"]), (&"guild_busy".into(), &429.into()));
        let (response, _) = sent(ApiError::shutting_down()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }

    #[tokio::test]
    async fn what_does_not_compile_is_named_by_file_and_line() {
        let error = CompileError { file: "a.luau".to_owned(), line: 7, message: "no".to_owned() };
        let (response, body) = sent(CompileFailure::Errors(vec![error]).into()).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(body["errors"], serde_json::json!([{"file": "a.luau", "line": 7, "message": "no"}]));
    }

    #[test]
    fn the_words_of_the_domain_reach_the_client() {
        let unknown = "MESAGE_CREATE".parse::<crate::events::EventFilter>().unwrap_err();
        let error = ApiError::from(unknown);
        assert_eq!(error.problem(), Problem::UnknownEvent);
        assert!(error.to_string().ends_with("did you mean `MESSAGE_CREATE`?"), "{error}");
        let conflict = ApiError::from(StorageError::VersionConflict { current: Some(3) });
        assert_eq!(conflict.problem(), Problem::VersionConflict);
        assert!(conflict.to_string().contains("version 3"), "{conflict}");
    }

    #[test]
    fn a_chain_has_every_source() {
        let error = StorageError::Failed("disk is gone".into());
        assert_eq!(chain(&error), "failed to use the database: disk is gone");
    }
}
