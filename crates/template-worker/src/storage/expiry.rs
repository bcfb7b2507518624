//! The expiry of records: what is due, who is told, and what becomes of it when nobody could be told.
//!
//! Owns [`ExpiryStorage`]. Who sends the event, and how often, is `sources`' business.
//!
//! A record with a time of expiry is *waiting*, then *due*. Who wants to tell the templates *claims* it, so that nobody
//! else does, and *settles* it: it is removed, or due again later, or *dead*. Any change of the record in between counts
//! as a new record, and settles nothing. A claim outlives a crash; at the next start all are released.

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::kv::{KvError, KvId, Scopes};
use crate::ids::GuildId;
use crate::template::TemplateName;

/// A record whose expiry is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueKey {
    /// The record's guild.
    pub guild: GuildId,
    /// Its id.
    pub id: KvId,
    /// Its key.
    pub key: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// How often its handlers failed already.
    pub attempts: u32,
    /// The templates that failed last time; none: all that listen are to be told.
    pub failed_in: Vec<TemplateName>,
    /// The revision that is claimed.
    pub(super) revision: i64,
}

impl DueKey {
    /// The id of its event: the same for each attempt, and for no other time at which the key expires.
    pub fn event_id(&self) -> String {
        format!("{}-{}", self.id, self.revision)
    }
}

/// What becomes of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Everybody has been told: the record is removed.
    Told,
    /// Nobody saw it: it is due again, and that was no attempt.
    Released {
        /// When.
        again_at: OffsetDateTime,
    },
    /// Some could not be told.
    Failed {
        /// The templates that are to be told again; none for all that listen.
        failed_in: Vec<TemplateName>,
        /// Why, for the operator.
        error: String,
        /// When to try again; `None`: never, it is dead.
        again_at: Option<OffsetDateTime>,
    },
}

/// How far the expiry of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryState {
    /// Its time has not come.
    Waiting,
    /// Its time has come, and templates are told now or next.
    Due,
    /// Handlers failed; it is tried again.
    Failing,
    /// Handlers failed too often.
    Dead,
}

/// The expiry of a record, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyExpiry {
    /// The record's id.
    pub id: KvId,
    /// Its key.
    pub key: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// When it expires, or did.
    pub expires_at: OffsetDateTime,
    /// How far it is.
    pub state: ExpiryState,
    /// How often its handlers failed.
    pub attempts: u32,
    /// When they are tried again.
    pub again_at: Option<OffsetDateTime>,
    /// Why they failed last time.
    pub last_error: Option<String>,
    /// Where the list goes on after it.
    pub cursor: (i64, i64),
}

/// A record that was set with `resume`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeKey {
    /// Its id.
    pub id: KvId,
    /// Its key.
    pub key: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// Where the list goes on after it.
    pub cursor: i64,
}

/// What is due, and telling the templates of it.
#[async_trait]
pub trait ExpiryStorage: Send + Sync {
    /// Changes whenever some key may have become due earlier than before.
    fn due_changes(&self) -> watch::Receiver<u64>;

    /// Gives back what was claimed before a crash: it is due again, at once. To be called once, before the first claim.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn release_claims(&self, now: OffsetDateTime) -> Result<(), KvError>;

    /// Guilds that have something due at `now`, at most `limit`, those that wait longest first.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn due_guilds(&self, now: OffsetDateTime, limit: usize) -> Result<Vec<GuildId>, KvError>;

    /// When a guild that has nothing due at `now` has something next.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn next_due(&self, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, KvError>;

    /// Claims the record of the guild that is due longest; `None` where nothing is due at `now`.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn claim_due(&self, guild: GuildId, now: OffsetDateTime) -> Result<Option<DueKey>, KvError>;

    /// Settles a claim; `false` where the record was changed since, which leaves it as it is.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn settle(&self, due: &DueKey, settlement: Settlement) -> Result<bool, KvError>;

    /// The guild's expiries by their time, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn expiries(
        &self,
        guild: GuildId,
        after: Option<(i64, i64)>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<KeyExpiry>, KvError>;

    /// Makes an expiry whose handlers failed due at `now`, with all attempts before it; `false` where there is none.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn retry_expiry(&self, guild: GuildId, id: &KvId, now: OffsetDateTime) -> Result<bool, KvError>;

    /// Guilds that have records to resume, ordered by id, those after `after`; at most `limit`.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn guilds_to_resume(&self, after: Option<GuildId>, limit: u32) -> Result<Vec<GuildId>, KvError>;

    /// The guild's records to resume, the oldest first, those after `after`; at most `limit`. One call looks at
    /// `kv::MOST_EXAMINED` records: one behind so many that have expired is not found.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn keys_to_resume(
        &self,
        guild: GuildId,
        after: Option<i64>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<ResumeKey>, KvError>;
}
