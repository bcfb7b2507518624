//! The id of a request: on every response, and in every log line that the request causes.
//!
//! Owns which ids are taken from a client and how new ones are made.

use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

/// The header that carries the id, in both directions.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Most bytes of an id that a client may choose: it stands in every log line of the request.
const MAX_BYTES: usize = 64;

/// Gives the request its id.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let id = request.headers().get(X_REQUEST_ID).filter(|id| is_plausible(id)).cloned().unwrap_or_else(fresh);
    let shown = id.to_str().unwrap_or_default();
    // The span is of the highest level, so that the id is never filtered out of the lines that need it.
    let span =
        tracing::error_span!("request", id = shown, method = %request.method(), path = request.uri().path());
    let started = Instant::now();
    let mut response = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), took = ?started.elapsed(), "served");
        response
    }
    .instrument(span)
    .await;
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

fn is_plausible(id: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

fn fresh() -> HeaderValue {
    // A UUID has only hexadecimal digits and hyphens.
    HeaderValue::try_from(Uuid::now_v7().to_string()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_plain_id_of_a_client_is_kept() {
        let long = "x".repeat(65);
        for fine in ["a", "0199e4c4-7d5c-7e0e", "job_7.2", &long[1..]] {
            assert!(is_plausible(&HeaderValue::from_str(fine).unwrap()), "{fine}");
        }
        for wrong in ["", "a b", "a\"b", "a=b", "<script>", &long] {
            assert!(!is_plausible(&HeaderValue::from_str(wrong).unwrap()), "{wrong}");
        }
        assert!(is_plausible(&fresh()) && fresh() != fresh());
    }
}
