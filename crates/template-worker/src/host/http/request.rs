//! What a template asks for, and what of it is sent.
//!
//! Owns the methods and headers that a template may choose, and the sizes. Where the request goes is for `destination`.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::HttpLimits;
use super::error::{HttpError, shortened};

/// The methods that a template may use. Not CONNECT and TRACE, which speak to what is on the way.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Most headers of a request.
const MOST_HEADERS: usize = 64;
/// Most bytes of all names and values together.
const MOST_HEADER_BYTES: usize = 16 * 1024;

/// Headers that the service sets, because they say how the message is carried, or by whom.
const OURS: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// A request as a template made it: nothing of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values, in order; a name may be there several times.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// How long the template wants to wait; never longer than the guild may.
    pub timeout: Option<Duration>,
}

/// The method to send.
pub(super) fn method(text: &str) -> Result<Method, HttpError> {
    let unknown = || HttpError::Method { method: shortened(text) };
    let known = METHODS.into_iter().find(|known| *known == text).ok_or_else(unknown)?;
    known.parse().map_err(|_| unknown())
}

/// The headers to send.
pub(super) fn headers(given: &[(String, Vec<u8>)]) -> Result<HeaderMap, HttpError> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return Err(HttpError::Headers { count: MOST_HEADERS, bytes: MOST_HEADER_BYTES });
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (text, value) in given {
        let refused = |why| HttpError::Header { name: shortened(text), why };
        let name: HeaderName =
            text.parse().map_err(|_| refused("its name is empty, or has characters that no header has"))?;
        if OURS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
            return Err(refused("the service sets it; leave it out"));
        }
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| refused("its value has line breaks or other control characters"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The body to send.
pub(super) fn body(given: Vec<u8>, limits: HttpLimits) -> Result<Vec<u8>, HttpError> {
    let limit = limits.request_bytes;
    if given.len() > limit { Err(HttpError::RequestTooLarge { limit }) } else { Ok(given) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &[u8]) -> Result<HeaderMap, HttpError> {
        headers(&[(name.to_owned(), value.to_vec())])
    }

    #[test]
    fn only_the_methods_of_the_list_can_be_used() {
        for fine in METHODS {
            assert_eq!(method(fine).unwrap().as_str(), fine);
        }
        for wrong in ["", "get", "CONNECT", "TRACE", "GET ", "GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET", "BREW"]
        {
            let error = method(wrong).unwrap_err().to_string();
            assert!(error.contains("GET, HEAD, POST") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn headers_that_say_how_a_message_is_carried_are_refused() {
        for name in
            OURS.into_iter().chain(["Host", "CONTENT-LENGTH", "Proxy-Authorization", "proxy-connection"])
        {
            let error = one(name, b"x").unwrap_err().to_string();
            assert!(error.contains("the service sets it"), "{name}: {error}");
        }
        for name in ["accept", "Authorization", "content-type", "Cookie", "X-Anything", "range"] {
            assert!(one(name, b"x").is_ok(), "{name}");
        }
    }

    #[test]
    fn a_header_cannot_become_two() {
        let values: [&[u8]; 5] = [b"a\r\nHost: evil", b"a\nX: y", b"a\rb", b"a\0b", b"\x7f"];
        for value in values {
            assert!(matches!(one("x-a", value), Err(HttpError::Header { .. })), "{value:?}");
        }
        for name in ["", "x a", "x:a", "x\r\nHost", "x\u{e4}"] {
            assert!(matches!(one(name, b"x"), Err(HttpError::Header { .. })), "{name:?}");
        }
        assert_eq!(one("x-a", "ä".as_bytes()).unwrap()["x-a"].as_bytes(), "ä".as_bytes());
    }

    #[test]
    fn headers_are_bounded_in_number_and_in_bytes() {
        let many = |count, bytes| headers(&vec![("x".to_owned(), vec![b'a'; bytes]); count]);
        assert_eq!(many(MOST_HEADERS, 1).unwrap().get_all("x").iter().count(), MOST_HEADERS);
        assert!(matches!(many(MOST_HEADERS + 1, 1), Err(HttpError::Headers { .. })));
        assert!(many(1, MOST_HEADER_BYTES - 1).is_ok());
        assert!(matches!(many(1, MOST_HEADER_BYTES), Err(HttpError::Headers { .. })));
    }
}
