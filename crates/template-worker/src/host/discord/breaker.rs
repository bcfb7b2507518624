//! Requests that Discord refuses: at 10,000 within ten minutes it locks the whole bot out, whichever guilds they were of.
//!
//! Owns that guilds cannot use up what all have, not even together: each has a share of what is left, which shrinks as
//! more is spent, and whoever has spent it is refused here until its window is over.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::ids::GuildId;
use crate::remembered::Remembered;

/// What Discord counts over.
const WINDOW: Duration = Duration::from_secs(600);
/// Refused requests in a window; not all of the 10,000, since the same bot may be used elsewhere as well.
const ALL_BUDGET: u32 = 9_000;
/// A guild may have so much refused of what the others have left: 100 while they have spent nothing. Ninety guilds that
/// spend all they can leave half, and with it 50 for every other guild.
const SHARE: u32 = 90;

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

    /// How many were refused in a window that is not over.
    fn refused(&self, now: Instant) -> u32 {
        if self.is_over(now) { 0 } else { self.refused }
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
        let all = books.all.refused(now);
        let Some(guild) = guild.into() else {
            return if all < ALL_BUDGET {
                Ok(())
            } else {
                Err(Failure::AllClosed { left: books.all.left(now) })
            };
        };
        let window = books.guilds.get(&guild).copied().unwrap_or_else(|| Window::new(now));
        let own = window.refused(now);
        let left = ALL_BUDGET.saturating_sub(all.saturating_sub(own));
        match own {
            _ if own < left / SHARE => Ok(()),
            0 => Err(Failure::AllClosed { left: books.all.left(now) }),
            _ => Err(Failure::Closed { left: window.left(now) }),
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

    /// How many requests of the guild are refused before it is stopped.
    fn spend(breaker: &Breaker, id: u64) -> u32 {
        let mut refused = 0;
        while breaker.check(guild(id)).is_ok() {
            breaker.refused(guild(id));
            refused += 1;
        }
        refused
    }

    #[tokio::test(start_paused = true)]
    async fn a_guild_that_is_refused_too_often_is_stopped_alone_and_not_for_ever() {
        let breaker = Breaker::new();
        assert_eq!(spend(&breaker, 1), 100);
        tokio::time::advance(Duration::from_secs(60)).await;
        let text = breaker.check(guild(1)).unwrap_err().to_string();
        assert!(text.contains("try again in 540 s"), "{text}");
        breaker.check(guild(2)).unwrap();
        tokio::time::advance(Duration::from_secs(540)).await;
        breaker.check(guild(1)).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn guilds_that_spend_all_they_can_leave_something_for_the_others() {
        let breaker = Breaker::new();
        for _ in 0..100 {
            for id in 1..=90 {
                if breaker.check(guild(id)).is_ok() {
                    breaker.refused(guild(id));
                }
            }
        }
        assert!((1..=90).all(|id| matches!(breaker.check(guild(id)), Err(Failure::Closed { .. }))));
        assert_eq!(spend(&breaker, 91), 50, "of what ninety others have left");
    }

    #[tokio::test(start_paused = true)]
    async fn all_guilds_together_stay_below_what_locks_the_bot_out() {
        let breaker = Breaker::new();
        let refused: u32 = (1..=10_000).map(|id| spend(&breaker, id)).sum();
        assert!((8_000..=ALL_BUDGET).contains(&refused), "{refused}");
        let text = breaker.check(guild(20_000)).unwrap_err().to_string();
        assert!(text.contains("of this service"), "{text}");
        breaker.check(None).unwrap();
        tokio::time::advance(WINDOW).await;
        breaker.check(guild(20_000)).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_itself_may_go_on_until_the_end() {
        let breaker = Breaker::new();
        for _ in 0..ALL_BUDGET {
            breaker.check(None).unwrap();
            breaker.refused(None);
        }
        assert!(matches!(breaker.check(None), Err(Failure::AllClosed { .. })));
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
