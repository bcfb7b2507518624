//! Key-value records of guilds: what they are, and what a backend promises about them.
//!
//! Owns [`KvStorage`], the bounds of what may be asked, and the words for what goes wrong. Whether a template may ask at
//! all is decided before, in `host` and `api`.
//!
//! A record is what a guild has under a key and a *set* of scopes. From its time of expiry on it is gone for everything
//! that goes by keys, while `expiry` still has to tell the templates; until that is over, whoever knows its id (the event
//! tells it) can still reach it by that.

mod error;
pub(super) mod number;
mod op;
mod pattern;
mod scopes;

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use time::OffsetDateTime;

pub use error::KvError;
pub(super) use error::readable;
pub use op::{KvDone, KvOp, MOST_BATCH_BYTES, MOST_BATCH_OPS};
pub(super) use op::{check_all, in_batch};
pub use pattern::{KeyPattern, MOST_WILDCARDS};
pub use scopes::Scopes;

use crate::ids::GuildId;
use crate::limits::Limits;

/// Most records that one call lists.
pub const MOST_FOUND: usize = 1_000;
/// Bytes of records after which a list ends early.
pub const MOST_FOUND_BYTES: usize = 2 << 20;
/// Most keys that one call looks at to find or list some, expired ones included.
pub const MOST_EXAMINED: usize = 10_000;
/// Most sets of scopes that one call lists, and most keys that it looks at for them.
pub const MOST_SCOPE_SETS: usize = 1_000;
/// Most changes of a guild that wait to be stored.
pub const MOST_WAITING: usize = 512;
/// Most bytes of a key, whatever its guild may have.
pub const MOST_KEY_BYTES: usize = 4_096;
/// Most bytes of an id that anybody sends.
const MOST_ID_BYTES: usize = 64;

/// The name of a record that nobody can guess: it stands for the record alone, and only in its own guild.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvId(String);

impl KvId {
    /// An id that nobody has had before: 24 random bytes.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes.
    pub fn fresh() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The id that somebody sent; `None` where it cannot be one.
    pub fn sent(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        (plain && (1..=MOST_ID_BYTES).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    /// An id that was stored.
    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KvId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key together with its scopes: what a record is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvKey {
    /// The key.
    pub key: String,
    /// Its scopes.
    pub scopes: Scopes,
}

/// One of the two ways to say which record is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvAt {
    /// By its key.
    Key(KvKey),
    /// By its id.
    Id(KvId),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvRecord {
    /// Its id.
    pub id: KvId,
    /// Its key.
    pub key: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its value, as typed JSON.
    pub value: String,
    /// When it was made. Storage keeps microseconds.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
    /// From when on it is gone.
    pub expires_at: Option<OffsetDateTime>,
    /// Whether `KeyResume` tells of it when the guild's templates were loaded.
    pub resume: bool,
}

/// Some of the records that were asked for, in the order of their scopes and keys.
#[derive(Debug, Default)]
pub struct KvPage {
    /// The records.
    pub records: Vec<KvRecord>,
    /// Where the next page starts; `None` after the last one.
    pub next: Option<KvKey>,
}

/// Some of the keys with a set of scopes, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KvKeys {
    /// The keys.
    pub keys: Vec<String>,
    /// What the next page starts after; `None` after the last one.
    pub next: Option<String>,
}

/// Some of the sets of scopes under which a guild has records, in a fixed order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KvScopes {
    /// The sets.
    pub sets: Vec<Scopes>,
    /// What the next page starts after; `None` after the last one.
    pub next: Option<ScopesPlace>,
}

/// How far the sets of scopes were looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopesPlace {
    /// The last set that was looked at.
    pub scopes: Scopes,
    /// The last of its keys that was looked at, where all up to there had expired; `None` where it was listed.
    pub key: Option<String>,
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct KvQuery {
    /// Which keys.
    pub pattern: KeyPattern,
    /// With which scopes, exactly; `None` for all.
    pub scopes: Option<Scopes>,
    /// Start after this one.
    pub after: Option<KvKey>,
    /// At most so many, and never more than [`MOST_FOUND`].
    pub limit: usize,
}

/// What a guild has stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KvUsage {
    /// Its records, expired ones included until they are removed.
    pub records: u64,
    /// Bytes of their keys, scopes and values.
    pub bytes: u64,
}

/// What came of changes.
#[derive(Debug, Clone, PartialEq)]
pub struct KvWritten {
    /// Of each, in their order.
    pub done: Vec<KvDone>,
    /// What the guild has stored then.
    pub usage: KvUsage,
}

/// What a guild may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvQuota {
    /// MAX_KV_KEY_BYTES.
    pub key_bytes: usize,
    /// MAX_KV_VALUE_BYTES.
    pub value_bytes: usize,
    /// MAX_KV_RECORDS.
    pub records: usize,
    /// MAX_KV_BYTES.
    pub bytes: usize,
}

impl KvQuota {
    /// What `limits` allow.
    pub fn of(limits: &Limits) -> Self {
        Self {
            key_bytes: limits.max_kv_key_bytes,
            value_bytes: limits.max_kv_value_bytes,
            records: limits.max_kv_records,
            bytes: limits.max_kv_bytes,
        }
    }
}

/// Records of guilds. What "now" is, is said by the caller, so that everybody has the same.
#[async_trait]
pub trait KvStorage: Send + Sync {
    /// The record, if there is one that can be read at `now`.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn kv_record(
        &self,
        guild: GuildId,
        at: &KvAt,
        now: OffsetDateTime,
    ) -> Result<Option<KvRecord>, KvError>;

    /// The records whose keys fit, a page at a time. A page may be empty and not the last one: one call looks at
    /// [`MOST_EXAMINED`] keys and no more.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn kv_find(&self, guild: GuildId, query: &KvQuery, now: OffsetDateTime) -> Result<KvPage, KvError>;

    /// The keys with exactly these scopes, ordered, those after `after`, a page at a time. A page may be short, or empty, and
    /// not the last one: one call looks at [`MOST_EXAMINED`] keys, expired ones included.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn kv_keys(
        &self,
        guild: GuildId,
        scopes: &Scopes,
        after: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<KvKeys, KvError>;

    /// The sets of scopes under which the guild has records, in a fixed order, those after `after`, a page at a time. A page
    /// may be short, or empty, and not the last one: one call looks at [`MOST_SCOPE_SETS`] keys, which are the first of each
    /// set, and those that have expired before one that has not.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn kv_scopes(
        &self,
        guild: GuildId,
        after: Option<&ScopesPlace>,
        now: OffsetDateTime,
    ) -> Result<KvScopes, KvError>;

    /// Does all of `ops`, in their order, or none; what is returned has happened, also if the machine dies then.
    ///
    /// # Errors
    /// Where one of them cannot be done; `Busy` where the guild, or all guilds together, have too many changes waiting.
    async fn kv_write(
        &self,
        guild: GuildId,
        ops: Vec<KvOp>,
        quota: KvQuota,
        now: OffsetDateTime,
    ) -> Result<KvWritten, KvError>;

    /// What the guild has stored.
    ///
    /// # Errors
    /// Where the storage fails.
    async fn kv_usage(&self, guild: GuildId) -> Result<KvUsage, KvError>;
}
