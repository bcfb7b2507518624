//! `KeyResume`: telling templates of the keys that were set with `resume`, after they were loaded.
//!
//! Owns when: once after the start of the service, and once after each change of the guild's templates, without any event;
//! changes that come close after each other are told of together. That templates are read again because others needed the
//! memory, or that the guild gets a new VM, is not told: the first would tell of keys again and again, and of the second the
//! templates hear by finding their variables empty.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::key_event;
use crate::dispatch::{DispatchError, Dispatcher};
use crate::ids::{EventId, GuildId};
use crate::storage::expiry::ResumeKey;
use crate::storage::kv::KvError;
use crate::storage::{Clock, ExpiryStorage, StorageError};

/// Most keys of a guild that are told of after a load.
const MOST_KEYS: usize = 1_000;
/// Keys, or guilds, that are read at a time.
const PAGE: u32 = 100;
/// Guilds that are told at the same time.
const MOST_GUILDS: usize = 64;
/// Before a guild is told again: a template may change templates when it is told, and must not be told without end.
const BETWEEN_CHANGES: Duration = Duration::from_secs(1);
/// How often a key is tried while its guild has too much to do, and how long between.
const TRIES: usize = 60;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// How often the storage is asked that fails, and how long between.
const TRIES_TO_READ: usize = 30;
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Tells templates of keys to resume.
#[derive(Clone)]
pub(super) struct Resume {
    storage: Arc<dyn ExpiryStorage>,
    dispatcher: Dispatcher,
    clock: Clock,
    places: Arc<Semaphore>,
    told: Arc<Mutex<HashMap<GuildId, Told>>>,
}

/// A guild that was told of its keys, or is told now.
#[derive(Default)]
struct Told {
    /// Which of its templates were told, in which versions.
    fingerprint: Option<u64>,
    /// Whether a task looks after it.
    is_served: bool,
    /// Whether its templates were loaded or changed since the task last looked.
    looks_again: bool,
}

impl Resume {
    pub(super) fn new(storage: Arc<dyn ExpiryStorage>, dispatcher: Dispatcher, clock: Clock) -> Self {
        Self {
            storage,
            dispatcher,
            clock,
            places: Arc::new(Semaphore::new(MOST_GUILDS)),
            told: Arc::default(),
        }
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
                Err(error) => {
                    complain(&error);
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            let Some(last) = guilds.last().copied() else { return };
            after = Some(last);
            for guild in guilds {
                self.load(guild).await;
            }
        }
    }

    /// Loads the templates of a guild. Returns what stands for their versions, where that was possible.
    async fn load(&self, guild: GuildId) -> Option<u64> {
        let load = || async {
            match self.dispatcher.load_templates(guild).await {
                Ok(fingerprint) => Ok(Some(fingerprint)),
                Err(DispatchError::Storage(error)) => Err(KvError::from(error)),
                Err(error) => {
                    tracing::error!(%guild, %error, "failed to load templates that have keys to resume");
                    Ok(None)
                }
            }
        };
        patiently(load).await.unwrap_or_else(|error| {
            complain(&error);
            None
        })
    }

    async fn follow_loads(&self) {
        loop {
            let guild = self.dispatcher.next_load().await;
            if self.is_served(guild) {
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
                self.told().remove(&guild);
                continue;
            }
            self.told().entry(guild).or_default().is_served = true;
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let resume = self.clone();
            tokio::spawn(async move { resume.serve(guild, place).await });
        }
    }

    fn told(&self) -> MutexGuard<'_, HashMap<GuildId, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task looks after the guild; it will look again.
    fn is_served(&self, guild: GuildId) -> bool {
        let mut told = self.told();
        let served = told.get_mut(&guild).filter(|told| told.is_served);
        served.map(|told| told.looks_again = true).is_some()
    }

    /// Tells the guild of its keys, and again as long as its templates change meanwhile.
    async fn serve(&self, guild: GuildId, mut place: OwnedSemaphorePermit) {
        loop {
            self.tell_once(guild).await;
            drop(place);
            tokio::time::sleep(BETWEEN_CHANGES).await;
            if self.has_ended(guild) {
                return;
            }
            place = match Arc::clone(&self.places).acquire_owned().await {
                Ok(place) => place,
                Err(_) => return,
            };
        }
    }

    fn has_ended(&self, guild: GuildId) -> bool {
        let mut told = self.told();
        let Some(told) = told.get_mut(&guild) else { return true };
        told.is_served = std::mem::take(&mut told.looks_again);
        !told.is_served
    }

    /// Tells the guild of its keys, unless these very templates were told.
    async fn tell_once(&self, guild: GuildId) {
        let Some(fingerprint) = self.load(guild).await else { return };
        let known = self.told().get(&guild).and_then(|told| told.fingerprint);
        if known == Some(fingerprint) {
            return;
        }
        let all = self.tell_all(guild).await.unwrap_or_else(|error| {
            complain(&error);
            false
        });
        // Where some have not been told, the next load of the same templates tells them.
        self.told().entry(guild).or_default().fingerprint = all.then_some(fingerprint);
    }

    async fn keys(&self, guild: GuildId, after: Option<i64>, limit: u32) -> Result<Vec<ResumeKey>, KvError> {
        patiently(|| self.storage.keys_to_resume(guild, after, limit, self.clock.now())).await
    }

    /// Returns whether the guild was told of all that it is told of.
    async fn tell_all(&self, guild: GuildId) -> Result<bool, KvError> {
        let (mut after, mut told) = (None, 0);
        while told < MOST_KEYS {
            let keys = self.keys(guild, after, PAGE).await?;
            let Some(last) = keys.last() else { return Ok(true) };
            after = Some(last.cursor);
            told += keys.len();
            for key in keys {
                if !self.tell(guild, &key).await {
                    return Ok(false);
                }
            }
        }
        tracing::warn!(%guild, MOST_KEYS, "a guild has more keys to resume than are told of after a load");
        Ok(true)
    }

    /// Whether it is worth going on.
    async fn tell(&self, guild: GuildId, key: &ResumeKey) -> bool {
        let event = match key_event("KeyResume", EventId::fresh(), guild, &key.id, &key.key, &key.scopes) {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(%guild, error = &*error as &dyn std::error::Error, "a key to resume makes no event");
                return true;
            }
        };
        for _ in 0..TRIES {
            match self.dispatcher.dispatch(event.clone()).await {
                Ok(_) => return true,
                Err(DispatchError::ShuttingDown) => return false,
                Err(DispatchError::Event(error)) => {
                    tracing::error!(%guild, error, "failed to tell of a key to resume");
                    return true;
                }
                Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
        tracing::warn!(%guild, "a guild had too much to do to be told of its keys to resume; its next load tells them");
        false
    }
}

/// What `ask` gives; where the storage fails, it is asked again for a while.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, KvError>
where
    F: Future<Output = Result<T, KvError>>,
{
    for _ in 1..TRIES_TO_READ {
        match ask().await {
            // What cannot be understood will not be later.
            Err(error) if !matches!(error, KvError::Storage(StorageError::Unreadable { .. })) => {
                complain(&error);
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

fn complain(error: &KvError) {
    tracing::error!(error = error as &dyn std::error::Error, "failed to look for keys to resume");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Asks a storage that fails with `error` the first `failures` times. Returns how often, and whether it was answered.
    async fn asked(failures: usize, error: fn() -> StorageError) -> (usize, bool) {
        let times = Cell::new(0);
        let ask = || async {
            times.set(times.get() + 1);
            if times.get() > failures { Ok(()) } else { Err(KvError::from(error())) }
        };
        let answered = patiently(ask).await.is_ok();
        (times.get(), answered)
    }

    #[tokio::test(start_paused = true)]
    async fn a_storage_that_fails_is_asked_again_for_a_while() {
        let failed = || StorageError::Failed("the disk is away".into());
        assert_eq!(asked(0, failed).await, (1, true));
        assert_eq!(asked(3, failed).await, (4, true));
        assert_eq!(asked(usize::MAX, failed).await, (TRIES_TO_READ, false));
        let unreadable = || StorageError::Unreadable { what: "a record".to_owned(), source: "no".into() };
        assert_eq!(asked(1, unreadable).await, (1, false));
    }
}
