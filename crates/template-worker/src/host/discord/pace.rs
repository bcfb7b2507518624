//! How fast requests go out: Discord lets a bot make 50 a second, all its guilds together.
//!
//! Owns that guilds share these fairly: a guild has few requests on their way at a time, and one of them in the line for the
//! next slot. Its others stand behind that one, so slots go in turns of guilds: a guild that asks for much waits behind its
//! own requests, and costs each other guild one slot, however many guilds do the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
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
/// The longest that a request waits for its guild, and again for a slot.
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
    /// Who of each guild stands in line.
    in_line: GuildPlaces,
    /// Who of the service's own requests does.
    service_in_line: Semaphore,
    /// Who is at the front of the line. Those behind get there in the order in which they came.
    front: Semaphore,
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
            in_line: GuildPlaces::new(1),
            service_in_line: Semaphore::new(1),
            front: Semaphore::new(1),
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
        let guild = guild.into();
        let places = if is_counted { &self.counted } else { &self.with_own_token };
        let place = match guild {
            Some(guild) => Some(timeout(LONGEST, places.take(guild)).await.map_err(|_| Failure::Busy)?),
            None => None,
        };
        if is_counted {
            timeout(LONGEST, self.slot(guild)).await.map_err(|_| Failure::Busy)?;
        }
        Ok(Turn { _place: place })
    }

    /// Takes a slot when it is the turn of `guild`, or of the service, which has turns like a guild. Dropped before that, it
    /// takes none, and the next in line moves up.
    async fn slot(&self, guild: Option<GuildId>) {
        // Given back from the last to the first, so that a guild's next comes to the end of the line. The semaphores are never
        // closed.
        let _of_guild = match guild {
            Some(guild) => Some(self.in_line.take(guild).await),
            None => None,
        };
        let _of_service = match guild {
            Some(_) => None,
            None => self.service_in_line.acquire().await.ok(),
        };
        let _front = self.front.acquire().await.ok();
        // Once more each time, for the slot may be put off meanwhile.
        while let Err(due) = self.take_due() {
            sleep_until(due).await;
        }
    }

    /// Takes the slot that is due; or says when the next one will be.
    fn take_due(&self) -> Result<(), Instant> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(due) = next.checked_sub(BETWEEN * AT_ONCE).filter(|due| *due > now) {
            return Err(due);
        }
        *next = (*next).max(now) + BETWEEN;
        Ok(())
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
    use std::collections::HashSet;
    use std::sync::Arc;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    /// Whose requests went, in order.
    type Went = Arc<Mutex<Vec<Option<GuildId>>>>;

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    /// So many requests of `guild` at the same time, again and again until this is dropped.
    fn greedy(pace: &Arc<Pace>, guild: Option<GuildId>, requests: usize, went: &Went) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..requests {
            let (pace, went) = (Arc::clone(pace), Arc::clone(went));
            tasks.spawn(async move {
                loop {
                    let Ok(_turn) = pace.turn(guild, true).await else { continue };
                    went.lock().unwrap().push(guild);
                    sleep(Duration::from_millis(200)).await;
                }
            });
        }
        tasks
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
        for greedy_one in [Some(guild(1)), None] {
            let (pace, went) = (Arc::new(Pace::new()), Went::default());
            let _greedy = greedy(&pace, greedy_one, 300, &went);
            sleep(Duration::from_secs(1)).await;
            let start = Instant::now();
            pace.turn(guild(2), true).await.unwrap();
            assert!(start.elapsed() <= BETWEEN * 2, "behind {greedy_one:?}: {:?}", start.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_greedy_guilds_cost_another_one_turn_each() {
        let (pace, went) = (Arc::new(Pace::new()), Went::default());
        let _greedy: Vec<_> = (1..=30).map(|id| greedy(&pace, Some(guild(id)), 6, &went)).collect();
        for _ in 0..10 {
            sleep(Duration::from_millis(333)).await;
            let (start, before) = (Instant::now(), went.lock().unwrap().len());
            pace.turn(guild(31), true).await.unwrap();
            let waited = start.elapsed();
            let ahead = went.lock().unwrap()[before..].to_vec();
            let guilds: HashSet<_> = ahead.iter().collect();
            assert_eq!(guilds.len(), ahead.len(), "some went twice before another's first: {ahead:?}");
            assert!(waited <= BETWEEN * 31, "{waited:?}");
        }
        // Those at the start went before the others were there.
        let went = went.lock().unwrap().split_off(30);
        let each: Vec<_> =
            (1..=30).map(|id| went.iter().filter(|one| **one == Some(guild(id))).count()).collect();
        assert!(each.iter().max().unwrap() - each.iter().min().unwrap() <= 1, "not in turns: {each:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn ninety_greedy_guilds_do_not_have_another_refused() {
        let (pace, went) = (Arc::new(Pace::new()), Went::default());
        let _greedy: Vec<_> = (1..=90).map(|id| greedy(&pace, Some(guild(id)), 20, &went)).collect();
        for call in 0..20 {
            sleep(Duration::from_secs(1)).await;
            let start = Instant::now();
            let came = pace.turn(guild(91), true).await;
            assert!(came.is_ok(), "call {call} was refused after {:?}", start.elapsed());
            assert!(start.elapsed() <= BETWEEN * 91, "call {call} waited {:?}", start.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_leaves_no_gap() {
        let (pace, start) = (Arc::new(Pace::new()), Instant::now());
        pace.hold(HOLD);
        let went = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for id in 1..=10 {
            let (pace, went) = (Arc::clone(&pace), Arc::clone(&went));
            waiting.push(tokio::spawn(async move {
                pace.turn(guild(id), true).await.unwrap();
                went.lock().unwrap().push((id, start.elapsed()));
            }));
            tokio::task::yield_now().await;
        }
        // The first in line, the next as soon as it is that, one amid the others, and the last.
        for id in [1, 2, 5, 10] {
            waiting[id - 1].abort();
        }
        let mut gave_up = 0;
        for one in waiting {
            gave_up += usize::from(one.await.is_err());
        }
        assert_eq!(gave_up, 4);
        let expected: Vec<_> =
            [3, 4, 6, 7, 8, 9].into_iter().zip((0..).map(|slot| HOLD + BETWEEN * slot)).collect();
        assert_eq!(*went.lock().unwrap(), expected);
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
