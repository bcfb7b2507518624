//! How fast requests go out: Discord lets a bot make 50 a second, all its guilds together.
//!
//! Owns that guilds share these fairly: a guild has few requests on their way at a time, and whoever is next in line has
//! the next place. A guild that asks for much waits behind its own requests, not the others behind it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::failure::Failure;
use crate::ids::GuildId;
use crate::places::{GuildPlaces, Place};

/// Between two requests: 40 a second.
const BETWEEN: Duration = Duration::from_millis(25);
/// How many may go at once after a quiet time: with those of a second fewer than 50.
const AT_ONCE: u32 = 5;
/// Requests of a guild that are on their way at the same time.
const ON_THEIR_WAY: usize = 5;
/// The same for those that Discord does not count to all: answers to interactions have three seconds, and no time to wait
/// for a guild's other requests.
const WITH_OWN_TOKEN: usize = 10;
/// The longest that a request waits for its guild, and again for all.
const LONGEST: Duration = Duration::from_secs(10);
/// Discord puts off all requests of the bot, it seems, where it put off those of so many guilds lately and answered none;
/// fewer may have done that themselves.
const PUT_OFF: usize = 10;
/// What lately is.
const LATELY: Duration = Duration::from_secs(5);
/// How long nothing goes out then.
const HOLD: Duration = Duration::from_secs(2);

/// The pace of all requests.
#[derive(Debug)]
pub struct Pace {
    counted: GuildPlaces,
    with_own_token: GuildPlaces,
    /// When the next request would be due if none had been saved up.
    next: Mutex<Instant>,
    /// Whose requests were put off since one was answered, and when.
    put_off: Mutex<HashMap<GuildId, Instant>>,
}

/// The place of a request; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _place: Option<Place>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            counted: GuildPlaces::new(ON_THEIR_WAY),
            with_own_token: GuildPlaces::new(WITH_OWN_TOKEN),
            next: Mutex::new(Instant::now()),
            put_off: Mutex::default(),
        }
    }

    /// Waits for the turn of a request of `guild`, or of the service itself. Those that Discord does not count to all have
    /// places of their own, and do not wait for those of other guilds.
    ///
    /// # Errors
    /// [`Failure::Busy`] where that would take too long.
    pub async fn turn(&self, guild: impl Into<Option<GuildId>>, is_counted: bool) -> Result<Turn, Failure> {
        let places = if is_counted { &self.counted } else { &self.with_own_token };
        let place = match guild.into() {
            Some(guild) => Some(timeout(LONGEST, places.take(guild)).await.map_err(|_| Failure::Busy)?),
            None => None,
        };
        if is_counted {
            let due = self.reserve().ok_or(Failure::Busy)?;
            sleep_until(due).await;
        }
        Ok(Turn { _place: place })
    }

    /// When the next request may go; nothing where that is too far away.
    fn reserve(&self) -> Option<Instant> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = (*next).max(now);
        let goes = due.checked_sub(BETWEEN * AT_ONCE).unwrap_or(now).max(now);
        if goes.duration_since(now) > LONGEST {
            return None;
        }
        *next = due + BETWEEN;
        Some(goes)
    }

    /// Discord has put a request of `guild` off again and again. Where it does so with those of many guilds, nothing more
    /// goes for a while.
    pub fn put_off(&self, guild: GuildId) {
        let now = Instant::now();
        let mut guilds = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        guilds.retain(|_, at| now.duration_since(*at) < LATELY);
        guilds.insert(guild, now);
        if guilds.len() >= PUT_OFF {
            guilds.clear();
            self.hold(HOLD);
        }
    }

    /// Discord has answered a request that counts, so it does not put off all. Without this, guilds that have themselves put
    /// off on purpose could hold up the others.
    pub fn answered(&self) {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn hold(&self, time: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let held = Instant::now() + time + BETWEEN * AT_ONCE;
        *next = (*next).max(held);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_than_50_requests_go_out_in_any_second() {
        let (pace, start) = (Pace::new(), Instant::now());
        let mut went = Vec::new();
        for id in 1..=200 {
            pace.turn(guild(id), true).await.unwrap();
            went.push(start.elapsed());
        }
        for (at, first) in went.iter().enumerate() {
            let within = went[at..].iter().filter(|one| **one < *first + Duration::from_secs(1)).count();
            assert!(within <= 46, "{within} went within a second from {first:?}");
        }
        assert!(went[199] <= Duration::from_secs(5), "{:?}", went[199]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guild_that_asks_for_much_does_not_keep_another_waiting() {
        let pace = Arc::new(Pace::new());
        let mut greedy = Vec::new();
        for _ in 0..300 {
            let pace = Arc::clone(&pace);
            greedy.push(tokio::spawn(async move {
                let turn = pace.turn(guild(1), true).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                drop(turn);
            }));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        pace.turn(guild(2), true).await.unwrap();
        assert!(start.elapsed() <= BETWEEN * 6, "{:?}", start.elapsed());
        greedy.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_would_wait_too_long_is_told_so_and_takes_no_place() {
        let pace = Pace::new();
        pace.hold(LONGEST * 2);
        assert!(matches!(pace.turn(guild(1), true).await, Err(Failure::Busy)));
        pace.turn(guild(1), false).await.unwrap();
        tokio::time::sleep(LONGEST * 2).await;
        pace.turn(guild(1), true).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_guild_that_is_put_off_holds_nobody_up_and_ten_say_that_it_is_the_bot() {
        let pace = Pace::new();
        let waited = async |id| {
            let start = Instant::now();
            pace.turn(guild(id), true).await.unwrap();
            start.elapsed()
        };
        for _ in 0..100 {
            pace.put_off(guild(1));
        }
        assert_eq!(waited(2).await, Duration::ZERO);
        for id in 1..=PUT_OFF as u64 {
            pace.put_off(guild(id));
        }
        assert_eq!(waited(2).await, HOLD);
        tokio::time::sleep(Duration::from_secs(1)).await;
        for id in 1..=100 {
            pace.put_off(guild(id));
            if id % 5 == 0 {
                pace.answered();
            }
        }
        assert_eq!(waited(2).await, Duration::ZERO, "others are answered");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_with_a_token_of_their_own_have_places_of_their_own_and_not_without_end() {
        let pace = Pace::new();
        let mut turns = Vec::new();
        for _ in 0..ON_THEIR_WAY {
            turns.push(pace.turn(guild(1), true).await.unwrap());
        }
        let start = Instant::now();
        for _ in 0..WITH_OWN_TOKEN {
            turns.push(pace.turn(guild(1), false).await.unwrap());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(matches!(pace.turn(guild(1), false).await, Err(Failure::Busy)));
        turns.clear();
        pace.turn(guild(1), false).await.unwrap();
    }
}
