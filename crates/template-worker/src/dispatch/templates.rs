//! The guilds' templates, compiled, as long as they are in use.
//!
//! Owns what is kept in memory between events. The truth is in `storage`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use khronos::LogLevel;
use moka::future::Cache;
use time::OffsetDateTime;

use super::DispatchError;
use crate::events::Event;
use crate::execution::{CompileFailure, Compiler, LoadedTemplate, LogEntry, TemplateLog};
use crate::ids::GuildId;
use crate::storage::Storage;
use crate::template::Template;

/// Guilds whose templates are kept ready; those of the least recently used one are read again at its next event.
const GUILDS: u64 = 20_000;

type Loaded = Arc<[Arc<LoadedTemplate>]>;

/// All templates of the guilds that had events lately. Cheap to clone.
#[derive(Clone)]
pub struct TemplateCache {
    storage: Arc<dyn Storage>,
    compiler: Compiler,
    log: TemplateLog,
    guilds: Cache<GuildId, Loaded>,
    /// Counts changes, so that what was read before one is not kept after it.
    changes: Arc<AtomicU64>,
}

impl TemplateCache {
    /// Nothing is kept yet.
    pub fn new(storage: Arc<dyn Storage>, compiler: Compiler, log: TemplateLog) -> Self {
        Self { storage, compiler, log, guilds: Cache::new(GUILDS), changes: Arc::default() }
    }

    /// The templates that listen to `event`, ordered by name.
    pub(super) async fn listening(&self, event: &Event) -> Result<Vec<Arc<LoadedTemplate>>, DispatchError> {
        let all = match self.guilds.get(&event.guild()).await {
            Some(known) => known,
            None => self.load(event.guild()).await?,
        };
        Ok(all.iter().filter(|loaded| loaded.template.listens_to(event)).cloned().collect())
    }

    /// The guild's templates have changed.
    pub(super) async fn forget(&self, guild: GuildId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.guilds.invalidate(&guild).await;
    }

    async fn load(&self, guild: GuildId) -> Result<Loaded, DispatchError> {
        let seen = self.changes.load(Ordering::SeqCst);
        let stored = self
            .storage
            .templates_of(guild)
            .await
            .map_err(|error| DispatchError::Storage(Arc::new(error)))?;
        let mut loaded = Vec::with_capacity(stored.len());
        for template in stored {
            match self.compiler.compile(Arc::clone(&template.bundle)).await {
                Ok(program) => loaded.push(Arc::new(LoadedTemplate { template, program })),
                Err(failure) => self.complain(&template, &failure),
            }
        }
        let loaded: Loaded = loaded.into();
        self.guilds.insert(guild, Arc::clone(&loaded)).await;
        // Looked at after the insertion: a change either sees what we inserted, or we see the change.
        if self.changes.load(Ordering::SeqCst) != seen {
            self.guilds.invalidate(&guild).await;
        }
        Ok(loaded)
    }

    /// What was stored compiled when it was stored; a later Luau may see it differently. The others still run.
    fn complain(&self, template: &Template, failure: &CompileFailure) {
        let text = match failure {
            CompileFailure::Errors(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
            CompileFailure::Unavailable => failure.to_string(),
        };
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
