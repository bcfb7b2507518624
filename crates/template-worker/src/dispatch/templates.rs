//! The guilds' templates, compiled, as long as they are in use.
//!
//! Owns what is kept in memory between events. The truth is in `storage`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use khronos::LogLevel;
use moka::future::Cache;
use moka::ops::compute::Op;
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::DispatchError;
use super::loads::Loads;
use crate::events::Event;
use crate::execution::{CompileFailure, LoadedTemplate, Loader, LogEntry, TemplateLog};
use crate::ids::GuildId;
use crate::places::GuildPlaces;
use crate::storage::Storage;
use crate::template::TemplateInfo;

/// Bytes of compiled templates that are kept ready. Those of the least recently used guilds are read again at their
/// next event.
const CAPACITY: u64 = 256 << 20;
/// What a template weighs beside its code.
const OVERHEAD: usize = 2_048;

/// The templates of one guild. A change of them puts another slot in the place of this one, so that what was read before it
/// can be finished, and used by those who came before it, and by nobody else.
type Slot = Arc<Templates>;

/// Templates: being loaded, or there.
#[derive(Default)]
pub(super) struct Templates {
    loaded: OnceCell<Vec<Arc<LoadedTemplate>>>,
    /// Those before the last change, until they are loaded anew: most have not changed, and are not compiled again.
    before: Mutex<Vec<Arc<LoadedTemplate>>>,
}

impl Templates {
    /// All of them, once they are there.
    pub(super) fn all(&self) -> &[Arc<LoadedTemplate>] {
        self.loaded.get().map_or(&[], Vec::as_slice)
    }

    fn before(&self) -> MutexGuard<'_, Vec<Arc<LoadedTemplate>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot that takes the place of this one after a change.
    fn changed(&self) -> Self {
        let before = match self.loaded.get() {
            Some(loaded) => loaded.clone(),
            None => self.before().clone(),
        };
        Self { loaded: OnceCell::new(), before: Mutex::new(before) }
    }

    fn weight(&self) -> u32 {
        let bytes = |loaded: &Arc<LoadedTemplate>| loaded.program.code_bytes() + OVERHEAD;
        let bytes: usize = self.all().iter().map(bytes).chain(self.before().iter().map(bytes)).sum();
        u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX)
    }
}

/// All templates of the guilds that had events lately. Cheap to clone.
#[derive(Clone)]
pub struct TemplateCache {
    storage: Arc<dyn Storage>,
    loader: Loader,
    log: TemplateLog,
    loads: Arc<Loads>,
    /// One load of a guild at a time, however often its templates change meanwhile: each has the files of all of them.
    loading: Arc<GuildPlaces>,
    guilds: Cache<GuildId, Slot>,
}

impl TemplateCache {
    /// Nothing is kept yet.
    pub fn new(storage: Arc<dyn Storage>, loader: Loader, log: TemplateLog) -> Self {
        let guilds = Cache::builder().max_capacity(CAPACITY).weigher(|_, slot: &Slot| slot.weight()).build();
        let loading = Arc::new(GuildPlaces::new(1));
        Self { storage, loader, log, loads: Arc::default(), loading, guilds }
    }

    /// The templates that listen to `event`, ordered by name. A guild's templates are loaded once, however many events
    /// wait for them; each asks `before_waiting` whether it may.
    pub(super) async fn listening(
        &self,
        event: &Event,
        before_waiting: impl FnOnce() -> Result<(), DispatchError> + Send,
    ) -> Result<Vec<Arc<LoadedTemplate>>, DispatchError> {
        let all = self.templates(event.guild(), before_waiting).await?;
        Ok(all.all().iter().filter(|loaded| loaded.info.listens_to(event)).cloned().collect())
    }

    /// The guild's templates, loaded; where they are not yet, `before_waiting` is asked first.
    pub(super) async fn templates(
        &self,
        guild: GuildId,
        before_waiting: impl FnOnce() -> Result<(), DispatchError> + Send,
    ) -> Result<Slot, DispatchError> {
        let slot = self.guilds.get_with(guild, async { Slot::default() }).await;
        if slot.loaded.get().is_none() {
            before_waiting()?;
            slot.loaded.get_or_try_init(|| self.load(guild, &slot)).await?;
            slot.before().clear();
            self.weigh_again(guild, &slot).await;
        }
        Ok(slot)
    }

    /// The place of whoever loads the guild's templates.
    #[cfg(test)]
    pub(super) async fn hold_loads(&self, guild: GuildId) -> crate::places::Place {
        self.loading.take(guild).await
    }

    /// Waits for the next guild whose templates were loaded or have changed.
    pub(super) async fn next_load(&self) -> GuildId {
        self.loads.next().await
    }

    /// The guild's templates have changed.
    pub(super) async fn forget(&self, guild: GuildId) {
        let change = async |entry: Option<moka::Entry<GuildId, Slot>>| match entry {
            Some(entry) => Op::Put(Arc::new(entry.value().changed())),
            None => Op::Nop,
        };
        self.guilds.entry(guild).and_compute_with(change).await;
        self.loads.note(guild);
    }

    /// Lets the cache know how large a slot has become, if it is still there.
    async fn weigh_again(&self, guild: GuildId, slot: &Slot) {
        let ours = |there: &Slot| Arc::ptr_eq(there, slot);
        let weigh = async |entry: Option<moka::Entry<GuildId, Slot>>| match entry {
            Some(entry) if ours(entry.value()) => Op::Put(Arc::clone(slot)),
            _ => Op::Nop,
        };
        self.guilds.entry(guild).and_compute_with(weigh).await;
    }

    async fn load(
        &self,
        guild: GuildId,
        slot: &Templates,
    ) -> Result<Vec<Arc<LoadedTemplate>>, DispatchError> {
        let _place = self.loading.take(guild).await;
        let stored = self.storage.templates_of(guild).await.map_err(DispatchError::Storage)?;
        let mut loaded = Vec::with_capacity(stored.len());
        for template in stored {
            let info = Arc::new(template.info);
            // A version is never another's.
            let same = |known: &&Arc<LoadedTemplate>| {
                (&known.info.name, known.info.version) == (&info.name, info.version)
            };
            let known = slot.before().iter().find(same).map(|known| known.program.clone());
            match self.loader.load(Arc::clone(&info), template.bundle, known).await {
                Ok(template) => loaded.push(Arc::new(template)),
                Err(CompileFailure::Errors(errors)) => {
                    self.complain(&info, errors.iter().map(|error| format!("{error}\n")).collect());
                }
                Err(failure) => return Err(DispatchError::Compile(failure)),
            }
        }
        self.loads.note(guild);
        Ok(loaded)
    }

    /// What was stored compiled when it was stored; a later Luau may see it differently. The others still run.
    fn complain(&self, template: &TemplateInfo, text: String) {
        tracing::error!(guild = %template.guild, template = %template.name, text, "a stored template does not compile");
        self.log.write(LogEntry {
            at: OffsetDateTime::now_utc(),
            guild: template.guild,
            template: Arc::from(template.name.as_str()),
            event: None,
            level: LogLevel::Error,
            text,
        });
    }
}

impl std::fmt::Debug for TemplateCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemplateCache").field("guilds", &self.guilds.entry_count()).finish_non_exhaustive()
    }
}
