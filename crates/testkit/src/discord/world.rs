//! Everything that the simulator holds: the state, what arrived, what was wrong, limits, faults, and the clock.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::body::Body;
use super::faults::{Fault, Faults};
use super::rate_limits::RateLimits;
use super::routes;
use super::state::{Id, State};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// `GET`, `POST`, ..
    pub method: String,
    /// The path, with the version and as it was encoded.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// The headers; names are lowercase.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    pub(super) answered: Arc<OnceLock<u16>>,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The status of the answer; none if there is no answer yet, or never was one.
    pub fn status(&self) -> Option<u16> {
        self.answered.get().copied()
    }

    /// The path without the version of the API.
    pub fn api_path(&self) -> &str {
        self.path.strip_prefix("/api/v10").unwrap_or(&self.path)
    }

    /// The reason for the audit log, decoded.
    pub fn reason(&self) -> Option<String> {
        self.header("x-audit-log-reason").map(routes::decode)
    }

    /// The route as Discord writes it, such as `/channels/{channel_id}/messages`.
    pub fn route(&self) -> Option<&'static str> {
        routes::find(&self.method, self.api_path()).map(|(route, _)| route.path)
    }

    /// The method and the path: `POST /channels/7/messages`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.api_path())
    }

    /// The parameters behind the question mark, decoded.
    pub fn queries(&self) -> Vec<(String, String)> {
        let parts = self.query.split('&').filter(|part| !part.is_empty());
        parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(key, value)| (routes::decode(key), routes::decode(&value.replace('+', " "))))
            .collect()
    }
}

pub(super) struct World {
    pub(super) state: State,
    pub(super) limits: RateLimits,
    pub(super) faults: Faults,
    pub(super) received: Vec<Received>,
    pub(super) violations: Vec<String>,
    pub(super) token: String,
    started: (Instant, Duration),
}

impl World {
    pub(super) fn new(bot: Id, token: &str) -> Self {
        let now = OffsetDateTime::now_utc();
        let since = Duration::try_from(now - OffsetDateTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            state: State::new(bot, now),
            limits: RateLimits::new(),
            faults: Faults::default(),
            received: Vec::new(),
            violations: Vec::new(),
            token: token.to_owned(),
            started: (Instant::now(), since),
        }
    }

    /// Logs a request, and says which fault it meets.
    pub(super) fn meet(&mut self, received: &Received) -> Option<Fault> {
        self.received.push(received.clone());
        let found = routes::find(&received.method, received.api_path());
        let path = found.map_or("", |(route, _)| route.path);
        self.faults.take(&received.method, path)
    }

    /// The value that `Authorization` must have.
    pub(super) fn authorisation(&self) -> String {
        format!("Bot {}", self.token)
    }

    /// Notes that a request or a reply is not as Discord describes it.
    pub(super) fn violation(&mut self, received: &Received, side: &str, what: &str) {
        self.violations.push(format!("{}: {side}: {what}", received.line()));
    }

    /// The time since 1970, by a clock that goes on by itself.
    pub(super) fn now(&self) -> Duration {
        self.started.1 + self.started.0.elapsed()
    }

    /// The same as a date.
    pub(super) fn wall(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + self.now()
    }

    /// Pushes the clock forward.
    pub(super) fn advance(&mut self, by: Duration) {
        self.started.1 += by;
        self.state.pushed += by;
        self.state.now = self.wall();
    }
}
