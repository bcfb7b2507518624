//! `ctx.HTTPClient`: sending a request. Requests are made in the VM, as objects; what leaves it is one call.

use std::time::Duration;

use khronos::KhronosValue;
use serde::{Deserialize, Serialize};

use super::arguments::kind;
use super::{Any, Argument, Bucket, host_calls, requests};
use crate::host::http::{Destination, capability_for};

/// What the existing system allowed.
const HTTP: Bucket = Bucket { name: "http", burst: 3, every_ms: 5_000 };

host_calls! {
    /// Requests to the public internet.
    pub enum HttpCall in "HTTPClient" {
        /// Sends a request and waits for its answer: `request:send()`.
        Send "send" (
            /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.
            method: String,
            /// Where to: `https` or `http`, with the name of a host.
            url: String,
            /// Names and values.
            headers: Headers,
            /// Bytes, or a table, which is sent as JSON.
            body: Body,
            /// Seconds that it may take; never longer than the guild may.
            timeout: Option<Seconds>,
        ) -> "Response", gated "http:{host}", changes true;
    }
    wants(call) { call.capabilities() }
    names(call) { call.host() }
    buckets [HTTP];
    types requests::TYPES;
    beside requests::CLIENT;
}

impl HttpCall {
    /// Without the rest of the URL, which may be worth keeping secret.
    fn host(&self) -> String {
        let Self::Send { url, .. } = self;
        Destination::parse_any_port(url).map(|to| to.host().to_owned()).unwrap_or_default()
    }

    /// That for its host. A URL that cannot be requested is refused when it is served.
    fn capabilities(&self) -> Vec<String> {
        let Self::Send { url, .. } = self;
        Destination::parse_any_port(url).map(|to| capability_for(to.host())).into_iter().collect()
    }
}

/// Names and values of headers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Argument for Headers {
    const LUAU: &'static str = "Headers";
    const LUAU_OPTIONAL: &'static str = "Headers?";

    fn take(value: KhronosValue) -> Result<Self, String> {
        let entries = match value {
            KhronosValue::Map(entries) => entries,
            KhronosValue::List(items) if items.is_empty() => return Ok(Self::default()),
            other => return Err(format!("headers, got {}", kind(&other))),
        };
        let one = |(name, value)| match value {
            KhronosValue::Text(text) => Ok((name, text.into_bytes())),
            KhronosValue::Buffer(bytes) => Ok((name, bytes)),
            other => Err(format!("headers with texts as values, got {}", kind(&other))),
        };
        entries.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Body {
    /// There is none.
    #[default]
    Empty,
    /// It is sent as it is.
    Bytes(Vec<u8>),
    /// It is sent as JSON.
    Json(Any),
}

impl Argument for Body {
    const LUAU: &'static str = "(string | buffer | Blob | {any} | {[string]: any})?";
    const LUAU_OPTIONAL: &'static str = Self::LUAU;

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Null => Ok(Self::Empty),
            KhronosValue::Text(text) => Ok(Self::Bytes(text.into_bytes())),
            KhronosValue::Buffer(bytes) => Ok(Self::Bytes(bytes)),
            table @ (KhronosValue::List(_) | KhronosValue::Map(_)) => Ok(Self::Json(Any(table))),
            other => Err(format!("a string, a buffer, a Blob or a table, got {}", kind(&other))),
        }
    }
}

/// A length of time: a `TimeDelta`, or seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seconds(pub f64);

impl Seconds {
    /// The same; none for what is negative or no number, and the longest for what is longer than any.
    pub fn duration(self) -> Duration {
        if self.0.is_nan() || self.0 <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(self.0).unwrap_or(Duration::MAX)
    }
}

impl Argument for Seconds {
    const LUAU: &'static str = "(TimeDelta | number)";
    const LUAU_OPTIONAL: &'static str = "(TimeDelta | number)?";

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Interval(span) => Ok(Self(span.as_seconds())),
            KhronosValue::Float(_) | KhronosValue::Integer(_) => f64::take(value).map(Self),
            other => Err(format!("a TimeDelta or a number of seconds, got {}", kind(&other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_never_negative_and_never_too_long() {
        let durations =
            [f64::NAN, -1.0, 0.0, 1.5, f64::INFINITY, 1e300].map(|seconds| Seconds(seconds).duration());
        let expected = [
            Duration::ZERO,
            Duration::ZERO,
            Duration::ZERO,
            Duration::from_millis(1500),
            Duration::MAX,
            Duration::MAX,
        ];
        assert_eq!(durations, expected);
    }

    #[test]
    fn a_call_wants_the_capability_for_its_host() {
        let wants = |url: &str| {
            let (method, url) = ("GET".to_owned(), url.to_owned());
            let call =
                HttpCall::Send { method, url, headers: Headers::default(), body: Body::Empty, timeout: None };
            super::super::Family::wants(&call)
        };
        assert_eq!(wants("https://API.example.com/x"), ["http:api.example.com"]);
        assert_eq!(wants("https://api.example.com:8443/x"), ["http:api.example.com"]);
        assert_eq!(wants("https://127.0.0.1/x"), [""; 0]);
    }
}
