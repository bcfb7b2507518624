//! How many requests are in flight, of each guild and altogether.
//!
//! Owns the counts. A request that finds no place is refused, not queued: the template is told, and nothing piles up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::HttpError;
use crate::ids::GuildId;

/// Requests in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    most: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Guilds that have some; never 0.
    guilds: HashMap<GuildId, usize>,
}

/// The place of one request; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    in_flight: Arc<InFlight>,
    guild: GuildId,
}

impl InFlight {
    pub(super) fn new(most: usize) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// A place for a request of `guild`, which may have `limit`.
    pub(super) fn enter(self: &Arc<Self>, guild: GuildId, limit: usize) -> Result<Place, HttpError> {
        let counts = &mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.guilds.get(&guild).is_some_and(|count| *count >= limit) {
            return Err(HttpError::TooManyInFlight { limit });
        }
        if counts.all >= self.most {
            return Err(HttpError::Busy);
        }
        counts.all += 1;
        *counts.guilds.entry(guild).or_default() += 1;
        Ok(Place { in_flight: Arc::clone(self), guild })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counts = &mut *self.in_flight.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(count) = counts.guilds.get_mut(&self.guild) {
            *count -= 1;
            if *count == 0 {
                counts.guilds.remove(&self.guild);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_each_guilds_and_altogether_and_come_back() {
        let guild = |id| GuildId::new(id).unwrap();
        let in_flight = Arc::new(InFlight::new(3));
        let first = [in_flight.enter(guild(1), 2).unwrap(), in_flight.enter(guild(1), 2).unwrap()];
        assert_eq!(in_flight.enter(guild(1), 2).unwrap_err(), HttpError::TooManyInFlight { limit: 2 });
        let second = in_flight.enter(guild(2), 2).unwrap();
        assert_eq!(in_flight.enter(guild(3), 2).unwrap_err(), HttpError::Busy);
        drop(first);
        let third = in_flight.enter(guild(1), 2).unwrap();
        drop((second, third));
        let counts = in_flight.counts.lock().unwrap();
        assert_eq!((counts.all, counts.guilds.len()), (0, 0));
    }
}
