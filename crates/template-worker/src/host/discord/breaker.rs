//! Requests that Discord refuses: at 10,000 within ten minutes it locks the whole bot out, whichever guilds they were of.
//!
//! Owns that no guild can use up what all have: each has a budget, and whoever has spent it is refused here until its
//! window is over. The sum of all is watched as well.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::ids::GuildId;
use crate::remembered::Remembered;

/// What Discord counts over.
const WINDOW: Duration = Duration::from_secs(600);
/// Refused requests of a guild in a window: a hundredth of what all have.
const GUILD_BUDGET: u32 = 100;
/// Of all guilds; the rest of the 10,000 is for what the service itself asks.
const ALL_BUDGET: u32 = 9_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    refused: u32,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { began: now, refused: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.began) >= WINDOW
    }

    fn left(&self, now: Instant) -> Duration {
        WINDOW.saturating_sub(now.duration_since(self.began))
    }
}

#[derive(Debug)]
struct Books {
    guilds: Remembered<GuildId, Window>,
    all: Window,
}

/// Counts what Discord refuses, and stops who has it refused too often.
#[derive(Debug)]
pub struct Breaker(Mutex<Books>);

impl Breaker {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Books { guilds: Remembered::default(), all: Window::new(Instant::now()) }))
    }

    /// Whether `guild` may ask Discord for anything; without a guild, whether the service itself may.
    ///
    /// # Errors
    /// Says until when it may not.
    pub fn check(&self, guild: impl Into<Option<GuildId>>) -> Result<(), Failure> {
        let (books, now) = (self.books(), Instant::now());
        if !books.all.is_over(now) && books.all.refused >= ALL_BUDGET {
            return Err(Failure::AllClosed { left: books.all.left(now) });
        }
        match guild.into().and_then(|guild| books.guilds.get(&guild)) {
            Some(window) if !window.is_over(now) && window.refused >= GUILD_BUDGET => {
                Err(Failure::Closed { left: window.left(now) })
            }
            _ => Ok(()),
        }
    }

    /// A request of `guild` was refused, or one of the service itself.
    pub fn refused(&self, guild: impl Into<Option<GuildId>>) {
        let (mut books, now) = (self.books(), Instant::now());
        if books.all.is_over(now) {
            books.all = Window::new(now);
        }
        books.all.refused += 1;
        let Some(guild) = guild.into() else { return };
        let window = books.guilds.entry(guild, |window| window.is_over(now), || Window::new(now));
        if window.is_over(now) {
            *window = Window::new(now);
        }
        window.refused += 1;
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_guild_that_is_refused_too_often_is_stopped_alone_and_not_for_ever() {
        let breaker = Breaker::new();
        for _ in 0..GUILD_BUDGET {
            breaker.check(guild(1)).unwrap();
            breaker.refused(guild(1));
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        let text = breaker.check(guild(1)).unwrap_err().to_string();
        assert!(text.contains("try again in 540 s"), "{text}");
        breaker.check(guild(2)).unwrap();
        tokio::time::advance(Duration::from_secs(540)).await;
        breaker.check(guild(1)).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn all_guilds_together_stay_below_what_locks_the_bot_out() {
        let breaker = Breaker::new();
        let mut refused = 0;
        for id in 1..=1_000 {
            for _ in 0..GUILD_BUDGET {
                if breaker.check(guild(id)).is_ok() {
                    breaker.refused(guild(id));
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, ALL_BUDGET);
        assert!(matches!(breaker.check(guild(2_000)), Err(Failure::AllClosed { .. })));
        tokio::time::advance(WINDOW).await;
        breaker.check(guild(2_000)).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn guilds_whose_window_is_over_are_forgotten() {
        let breaker = Breaker::new();
        for id in 1..=5_000 {
            breaker.refused(guild(id));
            tokio::time::advance(WINDOW / 100).await;
        }
        let remembered = breaker.books().guilds.len();
        assert!(remembered < 5_000, "{remembered}");
    }
}
