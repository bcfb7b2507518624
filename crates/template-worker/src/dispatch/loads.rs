//! Whose templates were loaded lately, for those who have something to tell them then.

use std::collections::HashMap;
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
    waiting: Mutex<HashMap<GuildId, u64>>,
    changed: Notify,
}

impl Loads {
    pub(super) fn note(&self, guild: GuildId, templates: &[Arc<LoadedTemplate>]) {
        let mut hasher = DefaultHasher::new();
        for template in templates {
            (template.info.name.as_str(), template.info.version, template.info.created_at).hash(&mut hasher);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(guild, hasher.finish());
        self.changed.notify_one();
    }

    /// Waits for the next one. For one that waits only.
    pub(super) async fn next(&self) -> Loaded {
        loop {
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let first = waiting.keys().next().copied();
                if let Some((guild, fingerprint)) = first.and_then(|guild| waiting.remove_entry(&guild)) {
                    return Loaded { guild, fingerprint };
                }
            }
            self.changed.notified().await;
        }
    }
}
