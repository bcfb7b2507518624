//! Whose templates were loaded or changed lately, for those who have something to tell them then.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::execution::LoadedTemplate;
use crate::ids::GuildId;

/// Guilds that nobody has taken yet: each of them once, so that there are never more than guilds.
#[derive(Debug, Default)]
pub(super) struct Loads {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    guilds: HashSet<GuildId>,
    /// The same guilds, the one that waits longest first.
    turns: VecDeque<GuildId>,
}

impl Loads {
    pub(super) fn note(&self, guild: GuildId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.guilds.insert(guild) {
            waiting.turns.push_back(guild);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits for the next one. For one that waits only.
    pub(super) async fn next(&self) -> GuildId {
        loop {
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(guild) = waiting.turns.pop_front() {
                    waiting.guilds.remove(&guild);
                    return guild;
                }
            }
            self.changed.notified().await;
        }
    }
}

/// Which templates, in which versions: the same again means that nothing has changed.
pub(super) fn fingerprint(templates: &[Arc<LoadedTemplate>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for template in templates {
        (template.info.name.as_str(), template.info.version, template.info.created_at).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_longest_is_next_and_each_guild_waits_once() {
        let loads = Loads::default();
        for guild in [7, 3, 9, 7, 1, 3] {
            loads.note(GuildId::new(guild).unwrap());
        }
        let mut order = vec![loads.next().await.get()];
        // One that comes again and again does not overtake those that wait.
        loads.note(GuildId::new(7).unwrap());
        for _ in 0..4 {
            order.push(loads.next().await.get());
        }
        assert_eq!(order, [7, 3, 9, 1, 7]);
    }
}
