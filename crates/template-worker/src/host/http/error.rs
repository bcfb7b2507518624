//! Why a request got no answer, in words for a template's author.
//!
//! Owns the texts. They name what the template sent, cut to a length, and never what the network behind the service looks
//! like.

use std::time::Duration;

/// Most characters that are shown of what a template sent.
const SHOWN: usize = 100;

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The URL is none that can be requested.
    #[error("`{url}` cannot be requested: {why}")]
    Url {
        /// Its beginning.
        url: String,
        /// What is wrong, and what to use.
        why: String,
    },
    /// The method is not one of the list.
    #[error("`{method}` is not a method that can be used; these can: {}", super::request::METHODS.join(", "))]
    Method {
        /// Its beginning.
        method: String,
    },
    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// More headers than a request may have.
    #[error("the request has too many headers: at most {count} with {bytes} bytes altogether can be sent")]
    Headers {
        /// Most headers.
        count: usize,
        /// Most bytes.
        bytes: usize,
    },
    /// The body is larger than it may be.
    #[error(
        "the body of the request is larger than {limit} bytes (MAX_HTTP_REQUEST_BYTES); send less at a time"
    )]
    RequestTooLarge {
        /// The limit.
        limit: usize,
    },
    /// No capability covers the host.
    #[error(
        "requests to `{host}` are not allowed: the template needs the capability `http:{host}`; an admin of the guild can \
         add it to the template's capabilities"
    )]
    NotAllowed {
        /// The host.
        host: String,
    },
    /// The operator holds the host back.
    #[error(
        "requests to `{host}` are not allowed with `http:*`: the template needs the capability `http:{host}`; an admin of \
         the guild can add it to the template's capabilities"
    )]
    Denied {
        /// The host.
        host: String,
    },
    /// It is Discord's.
    #[error(
        "requests to `{host}` are not possible: use `ctx.Discord`, which knows the guild's rights and Discord's limits"
    )]
    Discord {
        /// The host.
        host: String,
    },
    /// The name leads nowhere, or somewhere inside.
    #[error("`{host}` has no public address; check the name")]
    NoPublicAddress {
        /// The host.
        host: String,
    },
    /// The guild has as many requests in flight as it may have.
    #[error(
        "the guild has {limit} requests in flight, which is the most (MAX_HTTP_IN_FLIGHT); wait for the answer of one first"
    )]
    TooManyInFlight {
        /// The limit.
        limit: usize,
    },
    /// The service has as many requests in flight as it can hold.
    #[error("the service has too many requests in flight; try again in a moment")]
    Busy,
    /// The answer was not there in time.
    #[error("`{host}` did not answer completely within {} ms (MAX_HTTP_TIME, or the request's own timeout)", time.as_millis())]
    TimedOut {
        /// The host.
        host: String,
        /// How long it had.
        time: Duration,
    },
    /// The head of the answer is larger than it may be.
    #[error(
        "the headers of the answer of `{host}` are larger than can be taken: at most {count} with {bytes} bytes"
    )]
    ResponseHead {
        /// The host.
        host: String,
        /// Most headers.
        count: usize,
        /// Most bytes.
        bytes: usize,
    },
    /// The body of the answer is larger than it may be.
    #[error(
        "the answer of `{host}` is larger than {limit} bytes after decompression (MAX_HTTP_RESPONSE_BYTES); ask for less, \
         such as a page"
    )]
    ResponseTooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// Connecting failed, or TLS, or the answer is no HTTP.
    #[error("the request to `{host}` failed: {why}")]
    Failed {
        /// The host.
        host: String,
        /// At which step.
        why: &'static str,
    },
}

/// What is shown of `text`, which a template sent: its beginning, on one line.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
