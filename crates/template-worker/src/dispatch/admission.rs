//! How many executions of each guild may run and wait.
//!
//! Owns the places, taken before a dispatch and given back with each answer, whatever strategy runs it. How many there
//! are is in the guild's limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::ids::GuildId;

/// The places of all guilds that have something running or waiting.
#[derive(Debug, Default)]
pub(super) struct Admissions(Mutex<HashMap<GuildId, Places>>);

#[derive(Debug)]
struct Places {
    all: usize,
    free: Weak<Semaphore>,
}

impl Admissions {
    /// The guild's `places`. Where the number changes, all of them are free again, and what was accepted before is not
    /// counted any more.
    pub(super) fn of(&self, guild: GuildId, places: usize) -> Arc<Semaphore> {
        let mut guilds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = guilds.get(&guild).filter(|known| known.all == places);
        if let Some(known) = known.and_then(|known| known.free.upgrade()) {
            return known;
        }
        // Permits keep their semaphore alive, so one that is gone had all its permits back.
        if guilds.len() == guilds.capacity() {
            guilds.retain(|_, known| known.free.strong_count() > 0);
        }
        let fresh = Arc::new(Semaphore::new(places));
        guilds.insert(guild, Places { all: places, free: Arc::downgrade(&fresh) });
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_while_one_is_taken_and_forgotten_after() {
        let (admissions, guild) = (Admissions::default(), GuildId::new(1).unwrap());
        let taken = admissions.of(guild, 2).try_acquire_many_owned(2).unwrap();
        assert!(admissions.of(guild, 2).try_acquire().is_err());
        assert!(admissions.of(guild, 3).try_acquire().is_ok(), "another number is another semaphore");
        drop(taken);
        for other in 2..10_000 {
            admissions.of(GuildId::new(other).unwrap(), 1);
        }
        assert!(admissions.0.lock().unwrap().len() < 100, "nobody runs anything");
    }
}
