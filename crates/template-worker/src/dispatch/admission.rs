//! How many executions of each guild may run and wait, and how many bytes their events may have.
//!
//! Owns the places, taken before a dispatch waits for anything and given back with each answer, whatever strategy runs it.
//! How many there are is in the guild's limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::GuildId;

/// What an event has of its guild's places.
#[derive(Debug)]
pub(super) struct Ticket {
    /// One for each execution.
    pub(super) executions: OwnedSemaphorePermit,
    /// One for each byte of its data.
    pub(super) bytes: OwnedSemaphorePermit,
}

/// The places of all guilds that have something running or waiting.
#[derive(Debug, Default)]
pub(super) struct Admissions(Mutex<HashMap<GuildId, Places>>);

#[derive(Debug)]
struct Places {
    all: usize,
    free: Weak<Semaphore>,
}

impl Admissions {
    /// So `many` of the guild's `places`, those that it `has` already among them; `None` where fewer are free.
    pub(super) fn take(
        &self,
        guild: GuildId,
        places: usize,
        many: usize,
        has: Option<OwnedSemaphorePermit>,
    ) -> Option<OwnedSemaphorePermit> {
        let free = self.of(guild, places);
        // Those of another number are not counted any more.
        let has = has.filter(|has| Arc::ptr_eq(has.semaphore(), &free));
        let more = many.saturating_sub(has.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let mut taken = free.try_acquire_many_owned(u32::try_from(more).ok()?).ok()?;
        if let Some(has) = has {
            taken.merge(has);
        }
        Some(taken)
    }

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
    fn who_has_some_takes_the_rest_and_loses_them_where_there_are_too_few() {
        let (admissions, guild) = (Admissions::default(), GuildId::new(1).unwrap());
        let one = admissions.take(guild, 3, 1, None).unwrap();
        let three = admissions.take(guild, 3, 3, Some(one)).unwrap();
        assert_eq!(three.num_permits(), 3, "the one is among them");
        let of_another_number = admissions.take(guild, 4, 4, Some(three)).unwrap();
        assert!(admissions.take(guild, 4, 1, None).is_none());
        assert!(admissions.take(guild, 4, 5, Some(of_another_number)).is_none());
        assert_eq!(admissions.of(guild, 4).available_permits(), 4);
    }

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
