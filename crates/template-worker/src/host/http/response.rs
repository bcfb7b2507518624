//! What came back, read no further than it may be long.
//!
//! Owns the bounds of heads and bodies. The body is counted after decompression, piece by piece as it is read, so that a
//! megabyte that unfolds to a gigabyte is left after the first megabyte of it.

use reqwest::Response;

use super::HttpLimits;
use super::error::HttpError;

/// Most headers of an answer; the HTTP library reads no more than these.
pub(super) const MOST_HEADERS: usize = 100;
/// Most bytes of all names and values together.
pub(super) const MOST_HEADER_BYTES: usize = 64 * 1024;

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// What was asked for, without secrets.
    pub url: String,
    /// The status, 100..=999. Redirects are answers like others.
    pub status: u16,
    /// Names in lower case, and values, as they came. Those that said how the body was compressed are gone.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// Reads `response`, which `host` sent.
pub(super) async fn read(
    mut response: Response,
    host: &str,
    limits: HttpLimits,
) -> Result<HttpResponse, HttpError> {
    let bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if response.headers().len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return Err(head_too_large(host));
    }
    let limit = limits.response_bytes;
    let too_large = || HttpError::ResponseTooLarge { host: host.to_owned(), limit };
    // Without compression the head already says it.
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let broken = |_| HttpError::Failed {
        host: host.to_owned(),
        why: "its answer broke off, or could not be decompressed",
    };
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if piece.len() > limit - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    let headers = response.headers().iter();
    Ok(HttpResponse {
        url: response.url().as_str().to_owned(),
        status: response.status().as_u16(),
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
        body,
    })
}

pub(super) fn head_too_large(host: &str) -> HttpError {
    HttpError::ResponseHead { host: host.to_owned(), count: MOST_HEADERS, bytes: MOST_HEADER_BYTES }
}
