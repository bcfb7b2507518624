//! Discord's own limits, as its answers tell them: so many requests of a kind for one channel, guild or webhook.
//!
//! Owns that a request waits for its turn instead of being refused, which would count against the bot. The client beneath
//! learns a limit only from a refusal; what successful answers say about it is heard here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use super::table::Verb;
use crate::remembered::Remembered;

/// The longest that a request waits for a limit.
const LONGEST: Duration = Duration::from_secs(10);

/// Which limit a request counts against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Verb, String);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u32,
    until: Instant,
}

/// What is left of each limit.
#[derive(Debug, Default)]
pub struct Buckets(Mutex<Remembered<Key, Bucket>>);

impl Key {
    /// The limit of a request: its path, with ids left out that it does not depend on.
    pub fn of(verb: Verb, path: &str) -> Self {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let kept = if path.starts_with("webhooks/") || path.starts_with("applications/") { 4 } else { 2 };
        let is_id = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) || part.contains('%');
        let part = |(at, part): (usize, &str)| {
            if at >= kept && is_id(part) { "*".to_owned() } else { part.to_owned() }
        };
        Self(verb, path.split('/').enumerate().map(part).collect::<Vec<_>>().join("/"))
    }
}

impl Buckets {
    /// Waits until a request may go.
    ///
    /// # Errors
    /// [`Failure::RateLimited`] where that would take too long.
    pub async fn wait(&self, key: &Key) -> Result<(), Failure> {
        let latest = Instant::now() + LONGEST;
        while let Some(until) = self.take(key) {
            if until > latest {
                return Err(Failure::RateLimited);
            }
            sleep_until(until).await;
        }
        Ok(())
    }

    /// Takes one; says until when there is none.
    fn take(&self, key: &Key) -> Option<Instant> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get_mut(key).filter(|bucket| bucket.until > Instant::now())?;
        match bucket.left.checked_sub(1) {
            Some(left) => {
                bucket.left = left;
                None
            }
            None => Some(bucket.until),
        }
    }

    /// Hears what an answer says.
    pub fn hear<'h>(&self, key: &Key, headers: impl Iterator<Item = (&'h str, &'h [u8])>) {
        let (mut left, mut after) = (None, None);
        for (name, value) in headers {
            let text = std::str::from_utf8(value).unwrap_or_default();
            match name {
                "x-ratelimit-remaining" => left = text.parse::<u32>().ok(),
                "x-ratelimit-reset-after" => after = text.parse::<f64>().ok(),
                _ => {}
            }
        }
        let after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let (Some(left), Some(after)) = (left, after) else { return };
        let now = Instant::now();
        let until = now + after.min(Duration::from_secs(3600));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |bucket: &Bucket| bucket.until <= now;
        let known = buckets.entry(key.clone(), is_over, || Bucket { left, until });
        // Answers overtake each other, and others are on their way: within a window there is never more again.
        let left = if known.until > now { known.left.min(left) } else { left };
        *known = Bucket { left, until };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Key {
        Key::of(Verb::Post, path)
    }

    fn hear(buckets: &Buckets, key: &Key, left: &str, after: &str) {
        let headers =
            [("x-ratelimit-remaining", left.as_bytes()), ("x-ratelimit-reset-after", after.as_bytes())];
        buckets.hear(key, headers.into_iter());
    }

    #[test]
    fn a_limit_is_one_of_a_channel_a_guild_or_a_token_and_not_of_a_message() {
        assert_eq!(key("channels/1/messages/2"), key("channels/1/messages/3"));
        assert_eq!(
            key("channels/1/messages/2/reactions/%F0/@me"),
            key("channels/1/messages/3/reactions/%F1/@me")
        );
        assert_eq!(key("channels/1/messages?limit=1"), key("channels/1/messages"));
        assert_eq!(key("webhooks/1/a/messages/5?wait=true").1, "webhooks/1/a/messages/*");
        assert_ne!(key("channels/1/messages"), key("channels/2/messages"));
        assert_ne!(key("webhooks/1/a"), key("webhooks/1/b"));
        assert_ne!(key("guilds/1/bans/3"), Key::of(Verb::Delete, "guilds/1/bans/3"));
        assert_ne!(key("applications/9/guilds/1/commands"), key("applications/9/guilds/2/commands"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_up_is_waited_for_and_nothing_else() {
        let (buckets, one, other) =
            (Buckets::default(), key("channels/1/messages"), key("channels/2/messages"));
        hear(&buckets, &one, "1", "2.5");
        let start = Instant::now();
        buckets.wait(&one).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        buckets.wait(&other).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        buckets.wait(&one).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(2_500), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_take_too_long_is_refused_and_nonsense_is_not_heard() {
        let (buckets, one) = (Buckets::default(), key("channels/1/messages"));
        for (left, after) in [("0", "NaN"), ("0", "-1"), ("0", "inf"), ("", "1"), ("-1", "1"), ("0", "")] {
            hear(&buckets, &one, left, after);
            buckets.wait(&one).await.unwrap();
        }
        hear(&buckets, &one, "0", "60");
        assert!(matches!(buckets.wait(&one).await, Err(Failure::RateLimited)));
        hear(&buckets, &one, "5", "60");
        assert!(
            matches!(buckets.wait(&one).await, Err(Failure::RateLimited)),
            "a late answer gave some back"
        );
    }
}
