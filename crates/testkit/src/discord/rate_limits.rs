//! How much Discord takes: a bucket for each route and major parameter, 50 requests a second of the bot in all, and
//! 10,000 invalid requests in ten minutes, after which the whole address is locked out.
//!
//! Counts on the simulator's own clock, which a test can push forward.

use std::collections::HashMap;
use std::time::Duration;

use super::errors::{self, Failure};

/// So many requests in so long.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// How many.
    pub requests: u32,
    /// In which time, from the first of them.
    pub per: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Duration,
    used: u32,
}

impl Window {
    /// Spends one of `limit` at `now`. What is left, or how long to wait.
    fn spend(&mut self, limit: Limit, now: Duration) -> Result<u32, Duration> {
        if now >= self.ends {
            *self = Self { ends: now + limit.per, used: 0 };
        }
        if self.used >= limit.requests {
            return Err(self.ends - now);
        }
        self.used += 1;
        Ok(limit.requests - self.used)
    }
}

const FRESH: Window = Window { ends: Duration::ZERO, used: 0 };

/// The limits and what of them is spent.
#[derive(Debug)]
pub(super) struct RateLimits {
    /// Of the bot, for all routes that need its token.
    pub(super) global: Limit,
    /// Of a route that has none of its own.
    pub(super) usual: Limit,
    /// Of routes, by method and path.
    pub(super) routes: HashMap<(String, String), Limit>,
    /// Of answers with 401, 403 and 429.
    pub(super) invalid: Limit,
    all: Window,
    buckets: HashMap<String, Window>,
    invalids: Window,
}

/// What a request finds in its bucket.
pub(super) struct Spent {
    /// Set where it was one too many.
    pub(super) refused: Option<Failure>,
    /// What every answer says about the bucket.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// Whose request it is.
pub(super) struct Spender<'a> {
    /// The method and the path with the names of its parameters.
    pub(super) route: (&'a str, &'a str),
    /// The values of channel, guild or webhook, which have buckets of their own.
    pub(super) major: &'a str,
    /// Whether it counts for the bot's global limit.
    pub(super) global: bool,
}

impl RateLimits {
    pub(super) fn new() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            global: Limit { requests: 50, per: Duration::from_secs(1) },
            usual: Limit { requests: 1_000, per: minute },
            routes: HashMap::new(),
            invalid: Limit { requests: 10_000, per: minute * 10 },
            all: FRESH,
            buckets: HashMap::new(),
            invalids: FRESH,
        }
    }

    /// Spends one request at `now`, which is the time since 1970.
    pub(super) fn spend(&mut self, spender: &Spender<'_>, now: Duration) -> Spent {
        if spender.global
            && let Err(wait) = self.all.spend(self.global, now)
        {
            let (failure, headers) = refuse_all(wait);
            return Spent { refused: Some(failure), headers };
        }
        let (method, path) = spender.route;
        let limit = self.routes.get(&(method.to_owned(), path.to_owned())).copied().unwrap_or(self.usual);
        let name = bucket_name(method, path);
        let bucket = self.buckets.entry(format!("{name}:{}", spender.major)).or_insert(FRESH);
        let spent = bucket.spend(limit, now);
        let left = bucket.ends - now;
        let mut headers = vec![
            ("x-ratelimit-limit", limit.requests.to_string()),
            ("x-ratelimit-remaining", spent.unwrap_or(0).to_string()),
            ("x-ratelimit-reset", thousandths(bucket.ends)),
            ("x-ratelimit-reset-after", thousandths(left)),
            ("x-ratelimit-bucket", name),
        ];
        let refused = spent.err().map(|wait| {
            headers.push(("retry-after", seconds_up(wait)));
            headers.push(("x-ratelimit-scope", "user".to_owned()));
            errors::rate_limited(wait.as_secs_f64(), false)
        });
        Spent { refused, headers }
    }

    /// Counts an answer, if it is one of those that may not come too often.
    pub(super) fn count(&mut self, status: u16, now: Duration) {
        if [401, 403, 429].contains(&status) {
            let _ = self.invalids.spend(Limit { requests: u32::MAX, ..self.invalid }, now);
        }
    }

    /// How many invalid requests came in the present ten minutes.
    pub(super) fn invalid(&self, now: Duration) -> u32 {
        if now < self.invalids.ends { self.invalids.used } else { 0 }
    }

    /// How long the address is locked out, if it is.
    pub(super) fn locked_out(&self, now: Duration) -> Option<Duration> {
        (self.invalid(now) >= self.invalid.requests).then(|| self.invalids.ends - now)
    }
}

/// A refusal by the bot's global limit, `wait` long, with its headers.
pub(super) fn refuse_all(wait: Duration) -> (Failure, Vec<(&'static str, String)>) {
    let headers = vec![
        ("retry-after", seconds_up(wait)),
        ("x-ratelimit-global", "true".to_owned()),
        ("x-ratelimit-scope", "global".to_owned()),
    ];
    (errors::rate_limited(wait.as_secs_f64(), true), headers)
}

/// A refusal by a limit that many bots share, as emoji and the topics of channels have.
pub(super) fn refuse_shared(wait: Duration) -> (Failure, Vec<(&'static str, String)>) {
    let headers = vec![
        ("retry-after", seconds_up(wait)),
        ("x-ratelimit-bucket", bucket_name("", "shared")),
        ("x-ratelimit-limit", "1".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset-after", thousandths(wait)),
        ("x-ratelimit-scope", "shared".to_owned()),
    ];
    let mut failure = errors::rate_limited(wait.as_secs_f64(), false);
    failure.body["message"] = "The resource is being rate limited.".into();
    (failure, headers)
}

/// Seconds with three digits, never less than there are, or who waits so long would come too early.
fn thousandths(time: Duration) -> String {
    let thousandths = time.as_micros().div_ceil(1_000);
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// Whole seconds, as the header has them.
fn seconds_up(wait: Duration) -> String {
    wait.as_millis().div_ceil(1_000).to_string()
}

/// What Discord calls a bucket says nothing about the route, and is the same each time.
fn bucket_name(method: &str, path: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in method.bytes().chain(path.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn spender(major: &str) -> Spender<'_> {
        Spender { route: ("POST", "/channels/{channel_id}/messages"), major, global: true }
    }

    fn refused(limits: &mut RateLimits, major: &str, now: Duration) -> bool {
        limits.spend(&spender(major), now).refused.is_some()
    }

    #[test]
    fn each_channel_has_a_bucket_and_it_fills_again() {
        let mut limits = RateLimits::new();
        limits.usual = Limit { requests: 2, per: SECOND * 5 };
        let took: Vec<bool> = (0..3).map(|_| !refused(&mut limits, "1", SECOND)).collect();
        assert_eq!(took, [true, true, false]);
        assert!(!refused(&mut limits, "2", SECOND), "another channel pays for the first");
        assert!(refused(&mut limits, "1", SECOND * 5));
        assert!(!refused(&mut limits, "1", SECOND * 6));
    }

    #[test]
    fn the_global_limit_counts_all_buckets_of_the_bot() {
        let mut limits = RateLimits::new();
        let taken = (0..60).filter(|n| !refused(&mut limits, &n.to_string(), SECOND)).count();
        assert_eq!(taken, 50);
        let without_token = Spender { global: false, ..spender("x") };
        assert!(limits.spend(&without_token, SECOND).refused.is_none());
    }

    #[test]
    fn too_many_invalid_requests_lock_the_address_out_for_a_while() {
        let mut limits = RateLimits::new();
        limits.invalid.requests = 3;
        for status in [401, 200, 403, 404, 429] {
            assert_eq!(limits.locked_out(SECOND), None);
            limits.count(status, SECOND);
        }
        assert_eq!((limits.invalid(SECOND), limits.locked_out(SECOND)), (3, Some(SECOND * 600)));
        assert_eq!(limits.locked_out(SECOND * 601), None);
    }
}
