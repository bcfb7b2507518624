//! `KeyResume`: telling templates of the keys that were set with `resume`, after they were loaded.
//!
//! Owns when: once after the start of the service, and once after each change of the guild's templates. That templates are
//! read again because others needed the memory, or that the guild gets a new VM, is not told: the first would tell of keys
//! again and again, and of the second the templates hear by finding their variables empty.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::dispatch::{DispatchError, Dispatcher, Loaded};
use crate::events::Event;
use crate::ids::{EventId, GuildId};
use crate::storage::expiry::ResumeKey;
use crate::storage::kv::KvError;
use crate::storage::{Clock, ExpiryStorage};

/// Most keys of a guild that are told of after a load.
const MOST_KEYS: usize = 1_000;
/// Keys, or guilds, that are read at a time.
const PAGE: u32 = 100;
/// Guilds that are told at the same time.
const MOST_GUILDS: usize = 64;
/// How often a key is tried while its guild has too much to do, and how long between.
const TRIES: usize = 60;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Tells templates of keys to resume.
#[derive(Clone)]
pub(super) struct Resume {
    storage: Arc<dyn ExpiryStorage>,
    dispatcher: Dispatcher,
    clock: Clock,
    places: Arc<Semaphore>,
}

impl Resume {
    pub(super) fn new(storage: Arc<dyn ExpiryStorage>, dispatcher: Dispatcher, clock: Clock) -> Self {
        Self { storage, dispatcher, clock, places: Arc::new(Semaphore::new(MOST_GUILDS)) }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(self) {
        tokio::join!(self.load_all(), self.follow_loads());
    }

    /// Loads the templates of every guild that has keys to resume, one after the other: they need not wait for an event.
    async fn load_all(&self) {
        let mut after = None;
        loop {
            let guilds = match self.storage.guilds_to_resume(after, PAGE).await {
                Ok(guilds) => guilds,
                Err(error) => return complain(&error),
            };
            let Some(last) = guilds.last().copied() else { return };
            after = Some(last);
            for guild in guilds {
                if let Err(error) = self.dispatcher.load_templates(guild).await {
                    tracing::error!(%guild, %error, "failed to load templates that have keys to resume");
                }
            }
        }
    }

    async fn follow_loads(&self) {
        let mut known: HashMap<GuildId, u64> = HashMap::new();
        loop {
            let Loaded { guild, fingerprint } = self.dispatcher.next_load().await;
            if known.get(&guild) == Some(&fingerprint) {
                continue;
            }
            let keys = match self.keys(guild, None, 1).await {
                Ok(keys) => keys,
                Err(error) => {
                    complain(&error);
                    continue;
                }
            };
            if keys.is_empty() {
                // Nothing was told, so nothing has to be remembered.
                known.remove(&guild);
                continue;
            }
            known.insert(guild, fingerprint);
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let resume = self.clone();
            tokio::spawn(async move {
                resume.tell_all(guild).await.unwrap_or_else(|error| complain(&error));
                drop(place);
            });
        }
    }

    async fn keys(&self, guild: GuildId, after: Option<i64>, limit: u32) -> Result<Vec<ResumeKey>, KvError> {
        self.storage.keys_to_resume(guild, after, limit, self.clock.now()).await
    }

    async fn tell_all(&self, guild: GuildId) -> Result<(), KvError> {
        let (mut after, mut told) = (None, 0);
        while told < MOST_KEYS {
            let keys = self.keys(guild, after, PAGE).await?;
            let Some(last) = keys.last() else { return Ok(()) };
            after = Some(last.cursor);
            told += keys.len();
            for key in keys {
                if !self.tell(guild, key).await {
                    return Ok(());
                }
            }
        }
        tracing::warn!(%guild, MOST_KEYS, "a guild has more keys to resume than are told of after a load");
        Ok(())
    }

    /// Whether it is worth going on.
    async fn tell(&self, guild: GuildId, key: ResumeKey) -> bool {
        let scopes = key.scopes.to_vec();
        let data = serde_json::json!({"id": key.id.as_str(), "key": key.key, "scopes": scopes}).to_string();
        let Ok(name) = "KeyResume".parse() else { return false };
        let Ok(event) = Event::new(EventId::fresh(), guild, name, None, scopes, data.into()) else {
            return true;
        };
        for _ in 0..TRIES {
            match self.dispatcher.dispatch(event.clone()).await {
                Ok(_) => return true,
                Err(DispatchError::Busy { .. } | DispatchError::Overloaded { .. }) => {
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
                Err(DispatchError::ShuttingDown) => return false,
                Err(error) => {
                    tracing::error!(%guild, %error, "failed to tell of a key to resume");
                    return false;
                }
            }
        }
        false
    }
}

fn complain(error: &KvError) {
    tracing::error!(error = error as &dyn std::error::Error, "failed to look for keys to resume");
}
