//! How much of its time a worker was busy lately: a share that forgets with time, so that it needs no clock of its own.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so long, about a third of what was before still counts.
const MEMORY: Duration = Duration::from_secs(5);

/// A share from 0 to 1.
#[derive(Debug, Default)]
pub(super) struct Load(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    share: f64,
    at: Option<Instant>,
}

impl Load {
    /// It was busy from `since` to `now`.
    pub(super) fn was_busy(&self, since: Instant, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = 1.0 - fading(now.saturating_duration_since(since));
        seen.share = seen.faded(now) + busy;
        seen.at = Some(now);
    }

    /// Somebody else has measured it: `share` at `now`.
    pub(super) fn set(&self, share: f64, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { share: share.clamp(0.0, 1.0), at: Some(now) };
    }

    /// What it comes to at `now`.
    pub(super) fn now(&self, now: Instant) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).faded(now).clamp(0.0, 1.0)
    }
}

impl Seen {
    fn faded(&self, now: Instant) -> f64 {
        self.at.map_or(0.0, |at| self.share * fading(now.saturating_duration_since(at)))
    }
}

/// What is left of a share after `time`.
fn fading(time: Duration) -> f64 {
    (-time.as_secs_f64() / MEMORY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_of_busy_time_and_fades_when_nothing_happens() {
        let (load, start, ms) = (Load::default(), Instant::now(), Duration::from_millis(1));
        assert!(load.now(start) < 0.001);
        for round in 0..60_000 {
            // One millisecond of four.
            load.was_busy(start + ms * round * 4, start + ms * (round * 4 + 1));
        }
        let end = start + ms * 240_000;
        assert!((0.24..0.26).contains(&load.now(end)), "{}", load.now(end));
        assert!(load.now(end + MEMORY * 5) < 0.01);
        load.set(7.0, end);
        assert!((load.now(end) - 1.0).abs() < 0.001);
    }
}
