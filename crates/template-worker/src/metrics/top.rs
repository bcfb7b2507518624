//! Which guilds use most CPU time, about, in bounded memory.
//!
//! Owns the sketch: the way of Misra and Gries, done for many at once, and a decay. A guild that uses more than its
//! share of about a two-hundredth of everything is in it, however many guilds there are; what is told of it is at most
//! that much too low.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::GuildId;

/// How many guilds are told of.
pub const TOP: usize = 20;
/// How many are kept in mind when it has become too many, and how many are too many.
const KEPT: usize = 256;
const MOST: usize = 2 * KEPT;
/// How often, and to what part of it, what was used before comes to count for less: together about ten minutes.
const EVERY: Duration = Duration::from_mins(1);
const REMAINS: f64 = 0.9;
/// What is forgotten, in microseconds.
const NOTHING: f64 = 1.0;

/// Who used how much lately.
#[derive(Debug, Default)]
pub(super) struct TopGuilds(Mutex<Sketch>);

#[derive(Debug, Default)]
struct Sketch {
    micros: HashMap<GuildId, f64>,
    aged: Option<Instant>,
}

impl TopGuilds {
    pub(super) fn used(&self, guild: GuildId, micros: u64, now: Instant) {
        let mut sketch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sketch.age(now);
        *sketch.micros.entry(guild).or_default() += super::number(micros);
        if sketch.micros.len() >= MOST {
            sketch.thin_out();
        }
    }

    /// Those that used most, the most first, in seconds.
    pub(super) fn list(&self, now: Instant) -> Vec<(GuildId, f64)> {
        let mut sketch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sketch.age(now);
        let mut all: Vec<(GuildId, f64)> =
            sketch.micros.iter().map(|(guild, micros)| (*guild, micros / 1e6)).collect();
        drop(sketch);
        all.sort_unstable_by(|(one, a), (other, b)| b.total_cmp(a).then(one.cmp(other)));
        all.truncate(TOP);
        all
    }
}

impl Sketch {
    fn age(&mut self, now: Instant) {
        let aged = *self.aged.get_or_insert(now);
        let times = now.saturating_duration_since(aged).as_secs() / EVERY.as_secs();
        if times == 0 {
            return;
        }
        self.aged = Some(aged + EVERY * u32::try_from(times).unwrap_or(u32::MAX));
        let remains = REMAINS.powf(super::number(times));
        self.micros.retain(|_, micros| {
            *micros *= remains;
            *micros >= NOTHING
        });
    }

    /// Takes from everybody what the first one has that is not kept.
    fn thin_out(&mut self) {
        let mut all: Vec<f64> = self.micros.values().copied().collect();
        let (_, least, _) = all.select_nth_unstable_by(KEPT, |a, b| b.total_cmp(a));
        let least = *least;
        self.micros.retain(|_, micros| {
            *micros -= least;
            *micros > 0.0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(index: u64) -> GuildId {
        GuildId::new(818_880_986_845_679_757 + index).unwrap()
    }

    #[test]
    fn those_that_use_most_are_found_among_very_many_and_nobody_else_is_kept() {
        let (top, now) = (TopGuilds::default(), Instant::now());
        for index in 0..100_000 {
            top.used(guild(1_000 + index), 10, now);
            top.used(guild(index % 20), 10, now);
        }
        let list = top.list(now);
        let mut found: Vec<GuildId> = list.iter().map(|(guild, _)| *guild).collect();
        found.sort_unstable();
        assert_eq!(found, (0..20).map(guild).collect::<Vec<_>>());
        // At most a part in KEPT too low, and never too high.
        let (each, slack) = (0.05, 2.0 / 256.0);
        assert!(list.iter().all(|(_, used)| (each - slack..=each + 1e-9).contains(used)), "{list:?}");
        assert!(top.0.lock().unwrap().micros.len() < MOST);
    }

    #[test]
    fn what_was_used_long_ago_is_forgotten() {
        let (top, now) = (TopGuilds::default(), Instant::now());
        top.used(guild(1), 1_000_000, now);
        top.used(guild(2), 500_000, now);
        assert_eq!(top.list(now), [(guild(1), 1.0), (guild(2), 0.5)]);
        top.used(guild(2), 500_000, now + EVERY);
        assert_eq!(top.list(now + EVERY), [(guild(2), 0.95), (guild(1), 0.9)]);
        assert_eq!(top.list(now + EVERY * 1_000), []);
    }
}
