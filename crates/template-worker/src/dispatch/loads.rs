//! Whose templates were loaded lately, for those who have something to tell them then.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::execution::LoadedTemplate;
use crate::ids::GuildId;

/// A guild's templates were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// The guild.
    pub guild: GuildId,
    /// Which templates, in which versions: the same again means that nothing has changed.
    pub fingerprint: u64,
}

/// Loads that nobody has taken yet: the last one of each guild, so that there are never more than guilds.
#[derive(Debug, Default)]
pub(super) struct Loads {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    fingerprints: HashMap<GuildId, u64>,
    /// The same guilds, the one that waits longest first.
    turns: VecDeque<GuildId>,
}

impl Loads {
    pub(super) fn note(&self, guild: GuildId, templates: &[Arc<LoadedTemplate>]) {
        let mut hasher = DefaultHasher::new();
        for template in templates {
            (template.info.name.as_str(), template.info.version, template.info.created_at).hash(&mut hasher);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.fingerprints.insert(guild, hasher.finish()).is_none() {
            waiting.turns.push_back(guild);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits for the next one. For one that waits only.
    pub(super) async fn next(&self) -> Loaded {
        loop {
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let first = waiting.turns.pop_front();
                if let Some((guild, fingerprint)) =
                    first.and_then(|guild| waiting.fingerprints.remove_entry(&guild))
                {
                    return Loaded { guild, fingerprint };
                }
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_longest_is_next_and_each_guild_waits_once() {
        let loads = Loads::default();
        for guild in [7, 3, 9, 7, 1, 3] {
            loads.note(GuildId::new(guild).unwrap(), &[]);
        }
        let mut order = vec![loads.next().await.guild.get()];
        // One that comes again and again does not overtake those that wait.
        loads.note(GuildId::new(7).unwrap(), &[]);
        for _ in 0..4 {
            order.push(loads.next().await.guild.get());
        }
        assert_eq!(order, [7, 3, 9, 1, 7]);
    }
}
