//! Changes of objects on their way: how many at a time, and how much of their contents is in memory.
//!
//! Owns that a guild waits behind itself, and that what all guilds have in memory meanwhile is bounded. What a change does is
//! for `objects`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ObjectsError;
use crate::ids::GuildId;
use crate::places::{GuildPlaces, Place};

/// Changes that are on their way at a time: of one guild, and of all together.
const ON_THEIR_WAY_OF_A_GUILD: usize = 2;
const ON_THEIR_WAY: usize = 16;
/// Most bytes of a guild's contents that wait to be stored, those on their way included; a single one may be larger.
pub const MOST_WAITING_BYTES: usize = 8 << 20;
/// The same of all guilds together.
const MOST_BYTES: usize = 64 << 20;
/// The same with those of guilds that have no other: a few cannot shut the door for all.
const MOST_BYTES_WITH_FIRSTS: usize = 2 * MOST_BYTES;

/// Where changes wait for their turn.
#[derive(Debug)]
pub(super) struct Line {
    guilds: GuildPlaces,
    all: Arc<Semaphore>,
    bytes: Arc<Mutex<Bytes>>,
}

#[derive(Debug, Default)]
struct Bytes {
    all: usize,
    /// Guilds that have some; never 0.
    guilds: HashMap<GuildId, usize>,
}

/// A change that is on its way; dropped, its places are others'.
#[derive(Debug)]
pub(super) struct OnItsWay {
    _turn: Option<OwnedSemaphorePermit>,
    _place: Place,
    _held: Held,
}

/// A content in memory.
#[derive(Debug)]
struct Held {
    bytes: Arc<Mutex<Bytes>>,
    guild: GuildId,
    size: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            guilds: GuildPlaces::new(ON_THEIR_WAY_OF_A_GUILD),
            all: Arc::new(Semaphore::new(ON_THEIR_WAY)),
            bytes: Arc::default(),
        }
    }
}

impl Line {
    /// The turn of a change of `guild`, with a content of `size` bytes.
    ///
    /// # Errors
    /// `Busy` at once, where too many bytes wait already.
    pub(super) async fn enter(&self, guild: GuildId, size: usize) -> Result<OnItsWay, ObjectsError> {
        let held = self.hold(guild, size)?;
        let place = self.guilds.take(guild).await;
        // It is never closed. No guild has more than its few in this line, so that it goes by turns of guilds.
        let turn = Arc::clone(&self.all).acquire_owned().await.ok();
        Ok(OnItsWay { _turn: turn, _place: place, _held: held })
    }

    fn hold(&self, guild: GuildId, size: usize) -> Result<Held, ObjectsError> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_guild = bytes.guilds.get(&guild).copied().unwrap_or_default();
        // A single one may be larger than all that may wait: an operator can allow such objects.
        let fits = |there: usize, most: usize| size == 0 || there == 0 || there + size <= most;
        if !fits(of_guild, MOST_WAITING_BYTES) {
            return Err(ObjectsError::Busy { whose: "this guild" });
        }
        if !fits(bytes.all, if of_guild == 0 { MOST_BYTES_WITH_FIRSTS } else { MOST_BYTES }) {
            return Err(ObjectsError::Busy { whose: "all guilds" });
        }
        bytes.all += size;
        if size > 0 {
            *bytes.guilds.entry(guild).or_default() += size;
        }
        Ok(Held { bytes: Arc::clone(&self.bytes), guild, size })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = &mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.all -= self.size;
        if let Some(of_guild) = bytes.guilds.get_mut(&self.guild) {
            *of_guild -= self.size;
            if *of_guild == 0 {
                bytes.guilds.remove(&self.guild);
            }
        }
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

    /// A change that has its turn; `None` where it has none however long it waits.
    async fn turn(line: &Line, of: u64) -> Option<OnItsWay> {
        let turn = timeout(Duration::from_secs(60), line.enter(guild(of), 1)).await;
        turn.ok().map(Result::unwrap)
    }

    #[tokio::test(start_paused = true)]
    async fn a_guild_waits_behind_itself_and_all_together_for_their_turns() {
        let line = Line::default();
        let (mut first, second) = (turn(&line, 1).await, turn(&line, 1).await);
        assert!(first.is_some() && second.is_some());
        assert!(turn(&line, 1).await.is_none(), "it has both of its places");
        let mut others = Vec::new();
        while let Some(other) = turn(&line, 2 + others.len() as u64).await {
            others.push(other);
        }
        assert_eq!(2 + others.len(), ON_THEIR_WAY);
        let waits = async {
            let waited = turn(&line, 100).await;
            assert!(turn(&line, 1).await.is_none(), "who waited longer was first");
            waited
        };
        let (waited, ()) = tokio::join!(waits, async { drop(first.take()) });
        assert!(waited.is_some());
        drop((second, others, waited));
        let bytes = line.bytes.lock().unwrap();
        assert_eq!((bytes.all, bytes.guilds.len()), (0, 0));
    }

    #[test]
    fn a_guild_that_has_much_in_memory_is_refused_and_one_that_has_nothing_is_not() {
        let line = Line::default();
        let (half, whose) = (MOST_WAITING_BYTES / 2, |error| match error {
            ObjectsError::Busy { whose } => whose,
            other => panic!("{other:?}"),
        });
        let mut held = vec![line.hold(guild(1), half).unwrap(), line.hold(guild(1), half).unwrap()];
        assert_eq!(line.hold(guild(1), 1).map_err(whose).unwrap_err(), "this guild");
        line.hold(guild(1), 0).unwrap();
        for of in 2..=MOST_BYTES / MOST_WAITING_BYTES {
            held.extend([(); 2].map(|()| line.hold(guild(of as u64), half).unwrap()));
        }
        let large = line.hold(guild(100), half).unwrap();
        assert_eq!(line.hold(guild(100), 1).map_err(whose).unwrap_err(), "all guilds");
        let firsts: Vec<_> = (101..).map_while(|of| line.hold(guild(of), half).ok()).collect();
        assert_eq!(firsts.len(), 15, "these are bounded as well");
        drop((large, firsts));
        held.clear();
        assert!(line.hold(guild(1), 10 * MOST_BYTES).is_ok(), "alone it may be larger");
        assert_eq!(line.bytes.lock().unwrap().all, 0);
    }
}
