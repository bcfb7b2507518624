//! So many at a time of each guild: for what all guilds share and a few could fill.
//!
//! Owns that a guild waits behind itself, and not in front of the others. How many can be served together is the business of
//! whoever serves.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::GuildId;
use crate::remembered::Remembered;

/// The places of all guilds.
#[derive(Debug)]
pub struct GuildPlaces {
    of_each: usize,
    guilds: Mutex<Remembered<GuildId, Arc<Semaphore>>>,
}

/// A place; dropped, it is free for the guild's next.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl GuildPlaces {
    /// So many places for each guild.
    pub fn new(of_each: usize) -> Self {
        Self { of_each, guilds: Mutex::default() }
    }

    /// A place of `guild`, once it has one left. Those who wait get theirs in order.
    pub async fn take(&self, guild: GuildId) -> Place {
        let places = self.of(guild);
        // It is never closed.
        Place { _permit: places.acquire_owned().await.ok() }
    }

    /// The same, if there is one left now.
    pub fn try_take(&self, guild: GuildId) -> Option<Place> {
        self.of(guild).try_acquire_owned().ok().map(|permit| Place { _permit: Some(permit) })
    }

    fn of(&self, guild: GuildId) -> Arc<Semaphore> {
        let mut guilds = self.guilds.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unused = |places: &Arc<Semaphore>| Arc::strong_count(places) == 1;
        Arc::clone(guilds.entry(guild, is_unused, || Arc::new(Semaphore::new(self.of_each))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_guild_waits_behind_itself_alone() {
        let places = GuildPlaces::new(2);
        let (first, _second) = (places.take(guild(1)).await, places.take(guild(1)).await);
        assert!(
            timeout(Duration::from_secs(60), places.take(guild(1))).await.is_err(),
            "both places are taken"
        );
        assert!(places.try_take(guild(1)).is_none());
        let _other = places.take(guild(2)).await;
        drop(first);
        assert!(places.try_take(guild(1)).is_some());
        assert!(timeout(Duration::from_secs(60), places.take(guild(1))).await.is_ok());
    }

    #[tokio::test]
    async fn guilds_without_a_place_are_forgotten_and_the_others_are_not() {
        let places = GuildPlaces::new(1);
        let _taken = places.take(guild(1)).await;
        for id in 2..=5_000 {
            drop(places.take(guild(id)).await);
        }
        let guilds = places.guilds.lock().unwrap();
        assert!(guilds.len() < 2_000, "{}", guilds.len());
        assert!(guilds.get(&guild(1)).is_some());
    }
}
