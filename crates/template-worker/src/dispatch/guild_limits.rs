//! The limits of each guild: the service's, or its own where an admin set some otherwise.
//!
//! Owns what is known of them in memory: the guilds that differ, which are few. All others share one value, and nobody
//! asks the storage for an event. The truth is in `storage`; what an override can be is said in `limits`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::ids::GuildId;
use crate::limits::{LimitOverrides, Limits};
use crate::settings::BadSetting;
use crate::storage::{Storage, StorageError};

/// Why a guild's limits were not set. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// One of them makes no sense, for itself or beside the others.
    #[error("{0}")]
    Bad(#[from] BadSetting),
    /// They could not be stored.
    #[error("failed to store the guild's limits")]
    Storage(#[from] StorageError),
}

/// What every guild may use.
pub struct GuildLimits {
    storage: Arc<dyn Storage>,
    service: Arc<Limits>,
    own: RwLock<HashMap<GuildId, Own>>,
    /// Held while a change is stored and entered, so that both see changes in the same order.
    changing: tokio::sync::Mutex<()>,
}

/// A guild that differs.
#[derive(Clone)]
struct Own {
    overrides: LimitOverrides,
    effective: Arc<Limits>,
}

impl GuildLimits {
    /// What `storage` knows, on top of the limits of the service.
    ///
    /// # Errors
    /// Where the storage cannot be read.
    pub async fn load(storage: Arc<dyn Storage>, service: Arc<Limits>) -> Result<Self, StorageError> {
        let mut own = HashMap::new();
        for (guild, overrides) in storage.all_limits().await? {
            let effective = service.with(&overrides).unwrap_or_else(|bad| {
                // The configuration was changed since. A guild's events must not depend on somebody noticing.
                tracing::error!(
                    %guild, %bad,
                    "the limits set for a guild do not go with those of the configuration, which count until they are set anew"
                );
                Limits::clone(&service)
            });
            own.insert(guild, Own { overrides, effective: Arc::new(effective) });
        }
        let (own, changing) = (RwLock::new(own), tokio::sync::Mutex::default());
        Ok(Self { storage, service, own, changing })
    }

    /// What the guild may use.
    pub fn of(&self, guild: GuildId) -> Arc<Limits> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(own.get(&guild).map_or(&self.service, |own| &own.effective))
    }

    /// Which of its limits were set for it alone.
    pub fn overrides(&self, guild: GuildId) -> LimitOverrides {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.get(&guild).map(|own| own.overrides.clone()).unwrap_or_default()
    }

    /// Sets them, instead of all that were set before; none clears them. Returns what the guild may use from now on.
    ///
    /// # Errors
    /// [`LimitsError`].
    pub async fn set(&self, guild: GuildId, overrides: LimitOverrides) -> Result<Arc<Limits>, LimitsError> {
        let effective = Arc::new(self.service.with(&overrides)?);
        let _turn = self.changing.lock().await;
        self.storage.put_limits(guild, &overrides).await?;
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if overrides.is_empty() {
            own.remove(&guild);
            return Ok(Arc::clone(&self.service));
        }
        own.insert(guild, Own { overrides, effective: Arc::clone(&effective) });
        Ok(effective)
    }
}

impl std::fmt::Debug for GuildLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuildLimits").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::SqliteStorage;

    const GUILD: u64 = 818_880_986_845_679_757;

    fn guild(index: u64) -> GuildId {
        GuildId::new(GUILD + index).unwrap()
    }

    fn overrides(text: &str) -> LimitOverrides {
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn guilds_without_limits_of_their_own_share_one_value() {
        let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::in_memory().await.unwrap());
        let service = Arc::new(Limits::default());
        let limits = GuildLimits::load(Arc::clone(&storage), Arc::clone(&service)).await.unwrap();
        let own = limits.set(guild(1), overrides(r#"{"slice_ms": 1}"#)).await.unwrap();
        assert_eq!(own.slice_ms, 1);
        assert!(Arc::ptr_eq(&limits.of(guild(1)), &own));
        assert!(Arc::ptr_eq(&limits.of(guild(2)), &service));

        let again = GuildLimits::load(Arc::clone(&storage), Arc::clone(&service)).await.unwrap();
        assert_eq!(again.of(guild(1)), own, "read from the storage");
        assert_eq!(again.overrides(guild(1)), overrides(r#"{"slice_ms": 1}"#));
        again.set(guild(1), LimitOverrides::default()).await.unwrap();
        assert!(Arc::ptr_eq(&again.of(guild(1)), &service));
    }

    #[tokio::test]
    async fn a_refused_change_changes_nothing() {
        let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::in_memory().await.unwrap());
        let limits = GuildLimits::load(Arc::clone(&storage), Arc::default()).await.unwrap();
        let error = limits.set(guild(1), overrides(r#"{"slice_ms": 0}"#)).await.unwrap_err();
        assert_eq!(error.to_string(), "`slice_ms` is 0: use a value from 1 to 1000");
        assert!(limits.overrides(guild(1)).is_empty());
        storage.close().await;
        let error = limits.set(guild(1), overrides(r#"{"slice_ms": 1}"#)).await.unwrap_err();
        assert!(matches!(error, LimitsError::Storage(_)), "{error:?}");
        assert_eq!(*limits.of(guild(1)), Limits::default());
    }

    #[tokio::test]
    async fn limits_that_no_longer_go_with_the_configuration_do_not_count() {
        let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::in_memory().await.unwrap());
        storage.put_limits(guild(1), &overrides(r#"{"max_cpu_time_ms": 300}"#)).await.unwrap();
        let service = Limits { max_non_yieldable_time_ms: 400, ..Limits::default() };
        let limits = GuildLimits::load(storage, Arc::new(service.clone())).await.unwrap();
        assert_eq!(*limits.of(guild(1)), service);
        assert!(!limits.overrides(guild(1)).is_empty(), "an admin can still see them");
    }
}
