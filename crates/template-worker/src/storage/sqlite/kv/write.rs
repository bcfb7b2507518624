//! Changes of records, many of them in one transaction.
//!
//! Owns that a change which cannot be done leaves the others of its transaction alone: a single one is checked before it
//! writes anything, several are undone to a savepoint. Where the database itself fails, the whole transaction does.

mod usage;

use std::collections::HashMap;

use sqlx::SqliteConnection;
use time::OffsetDateTime;

use self::usage::Usage;
use super::super::{guild_column, make_guild, to_micros};
use super::due;
use super::queue::{Answer, Job, Work};
use crate::ids::GuildId;
use crate::storage::StorageError;
use crate::storage::kv::{
    KvAt, KvDone, KvError, KvId, KvKey, KvOp, KvQuota, KvUsage, KvWritten, in_batch, number, readable,
};

/// One transaction's work, as far as it is done.
pub(super) struct Transaction<'a> {
    pub(super) db: &'a mut SqliteConnection,
    usage: HashMap<GuildId, Usage>,
    /// Whether something may be due earlier than before.
    pub(super) due_changed: bool,
}

row! {
    /// A record as far as a change has to know it.
    struct Row {
        seq: i64,
        id: String,
        scopes: String,
        key: String,
        bytes: i64,
        created_at: i64,
        expires_at: Option<i64>,
        due_at: Option<i64>,
        claimed: bool,
    }
}

/// The statement that reads a [`Row`].
macro_rules! row_where {
    ($condition:literal) => {
        concat!(
            "SELECT seq, id, scopes, key, bytes, created_at, expires_at, due_at, claimed FROM kv_records WHERE ",
            $condition
        )
    };
}

impl Row {
    fn is_live(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether whoever knows the id can still reach it.
    fn is_reachable(&self, now: i64) -> bool {
        self.is_live(now) || self.claimed || self.due_at.is_some()
    }
}

/// What a record is to become.
struct New<'a> {
    value: &'a str,
    expires_at: Option<OffsetDateTime>,
    resume: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(db: &'a mut SqliteConnection) -> Self {
        Self { db, usage: HashMap::new(), due_changed: false }
    }

    /// Does one job. An error of the storage is for the whole transaction, any other for this job alone.
    pub(super) async fn apply(&mut self, job: &Job) -> Result<Answer, KvError> {
        let now = to_micros(job.now);
        match &job.work {
            Work::Ops { ops, quota } => {
                let done = self.all(job.guild, ops, quota, now).await?;
                let Usage { records, bytes, .. } = *self.usage(job.guild).await?;
                let usage = KvUsage { records: records.unsigned_abs(), bytes: bytes.unsigned_abs() };
                Ok(Answer::Ops(KvWritten { done, usage }))
            }
            Work::Claim => due::claim(self, job.guild, now).await.map(Answer::Claimed),
            Work::Settle { due, settlement } => due::settle(self, due, settlement).await.map(Answer::Changed),
            Work::Retry { id } => due::retry(self, job.guild, id, now).await.map(Answer::Changed),
        }
    }

    async fn all(
        &mut self,
        guild: GuildId,
        ops: &[KvOp],
        quota: &KvQuota,
        now: i64,
    ) -> Result<Vec<KvDone>, KvError> {
        if let [op] = ops {
            return Ok(vec![self.one(guild, op, quota, now).await?]);
        }
        let before = *self.usage(guild).await?;
        sqlx::query("SAVEPOINT several").execute(&mut *self.db).await?;
        let mut done = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            match self.one(guild, op, quota, now).await {
                Ok(one) => done.push(one),
                Err(error) if error.is_internal() => return Err(error),
                Err(error) => {
                    sqlx::query("ROLLBACK TO several").execute(&mut *self.db).await?;
                    sqlx::query("RELEASE several").execute(&mut *self.db).await?;
                    self.usage.insert(guild, before);
                    return Err(in_batch(ops.len(), index, error));
                }
            }
        }
        sqlx::query("RELEASE several").execute(&mut *self.db).await?;
        Ok(done)
    }

    async fn one(&mut self, guild: GuildId, op: &KvOp, quota: &KvQuota, now: i64) -> Result<KvDone, KvError> {
        match op {
            KvOp::Set { at, value, expires_at, resume } => {
                let new = New { value, expires_at: *expires_at, resume: *resume };
                let (existed, id) = match (at, self.find(guild, at).await?) {
                    (KvAt::Key(key), there) => self.put(guild, key, there, &new, quota, now).await?,
                    (KvAt::Id(_), Some(row)) if row.is_reachable(now) => {
                        self.check_room(guild, Some(&row), size(&row.key, &row.scopes, value), quota).await?;
                        let (id, created_at) = (row.id.clone(), row.created_at);
                        self.replace(guild, &row, &id, created_at, &new, now).await?;
                        (row.is_live(now), KvId::stored(id))
                    }
                    (KvAt::Id(_), _) => return Err(KvError::NoSuchId),
                };
                Ok(KvDone::Set { existed, id })
            }
            KvOp::SetExpiry { at, expires_at } => self.set_expiry(guild, at, *expires_at, now).await,
            KvOp::Delete { at } => self.delete(guild, at, now).await,
            KvOp::Increment { key, by } => self.increment(guild, key, *by, quota, now).await,
            KvOp::CompareAndSet { key, expected, value } => {
                self.compare_and_set(guild, key, expected.as_deref(), value, quota, now).await
            }
        }
    }

    /// Sets what is to be found under `key`. What is there and has expired is none: it goes, and with it its id.
    async fn put(
        &mut self,
        guild: GuildId,
        key: &KvKey,
        there: Option<Row>,
        new: &New<'_>,
        quota: &KvQuota,
        now: i64,
    ) -> Result<(bool, KvId), KvError> {
        let scopes = key.scopes.to_column();
        let size = size(&key.key, &scopes, new.value);
        self.check_room(guild, there.as_ref(), size, quota).await?;
        match there {
            Some(row) if row.is_live(now) => {
                self.replace(guild, &row, &row.id, row.created_at, new, now).await?;
                Ok((true, KvId::stored(row.id)))
            }
            Some(row) => {
                let id = fresh_id()?;
                self.replace(guild, &row, id.as_str(), now, new, now).await?;
                Ok((false, id))
            }
            None => {
                let id = fresh_id()?;
                self.insert(guild, key, &scopes, &id, new, now).await?;
                Ok((false, id))
            }
        }
    }

    async fn insert(
        &mut self,
        guild: GuildId,
        key: &KvKey,
        scopes: &str,
        id: &KvId,
        new: &New<'_>,
        now: i64,
    ) -> Result<(), KvError> {
        let bytes = size(&key.key, scopes, new.value);
        if !self.usage(guild).await?.stored {
            make_guild(self.db, guild).await?;
            sqlx::query("INSERT INTO kv_guilds (guild, records, bytes) VALUES (?, 0, 0)")
                .bind(guild_column(guild))
                .execute(&mut *self.db)
                .await?;
        }
        sqlx::query(
            "INSERT INTO kv_records (guild, id, scopes, key, bytes, revision, created_at, updated_at, resume, \
             expires_at, due_at, claimed, attempts, value) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, ?8, ?8, 0, 0, ?9)",
        )
        .bind(guild_column(guild))
        .bind(id.as_str())
        .bind(scopes)
        .bind(&key.key)
        .bind(bytes)
        .bind(now)
        .bind(new.resume)
        .bind(new.expires_at.map(to_micros))
        .bind(new.value)
        .execute(&mut *self.db)
        .await?;
        self.due_changed |= new.expires_at.is_some();
        let usage = self.usage(guild).await?;
        *usage = Usage { records: usage.records + 1, bytes: usage.bytes + bytes, stored: true };
        Ok(())
    }

    /// Makes `row` a record that nobody has claimed and no handler has failed for.
    async fn replace(
        &mut self,
        guild: GuildId,
        row: &Row,
        id: &str,
        created_at: i64,
        new: &New<'_>,
        now: i64,
    ) -> Result<(), KvError> {
        let bytes = size(&row.key, &row.scopes, new.value);
        sqlx::query(
            "UPDATE kv_records SET id = ?2, bytes = ?3, created_at = ?4, updated_at = ?5, resume = ?6, expires_at = ?7, \
             due_at = ?7, value = ?8, revision = revision + 1, claimed = 0, attempts = 0, failed_in = NULL, \
             last_error = NULL WHERE seq = ?1",
        )
        .bind(row.seq)
        .bind(id)
        .bind(bytes)
        .bind(created_at)
        .bind(now)
        .bind(new.resume)
        .bind(new.expires_at.map(to_micros))
        .bind(new.value)
        .execute(&mut *self.db)
        .await?;
        self.due_changed |= new.expires_at.is_some();
        self.usage(guild).await?.bytes += bytes - row.bytes;
        Ok(())
    }

    async fn set_expiry(
        &mut self,
        guild: GuildId,
        at: &KvAt,
        expires_at: Option<OffsetDateTime>,
        now: i64,
    ) -> Result<KvDone, KvError> {
        let there = self.find(guild, at).await?;
        let row = match at {
            KvAt::Key(key) => there
                .filter(|row| row.is_live(now))
                .ok_or_else(|| KvError::NoSuchKey { key: readable(&key.key) })?,
            KvAt::Id(_) => there.filter(|row| row.is_reachable(now)).ok_or(KvError::NoSuchId)?,
        };
        sqlx::query(
            "UPDATE kv_records SET expires_at = ?2, due_at = ?2, updated_at = ?3, revision = revision + 1, claimed = 0, \
             attempts = 0, failed_in = NULL, last_error = NULL WHERE seq = ?1",
        )
        .bind(row.seq)
        .bind(expires_at.map(to_micros))
        .bind(now)
        .execute(&mut *self.db)
        .await?;
        self.due_changed |= expires_at.is_some();
        self.touch(guild).await?;
        Ok(KvDone::ExpirySet)
    }

    async fn delete(&mut self, guild: GuildId, at: &KvAt, now: i64) -> Result<KvDone, KvError> {
        let Some(row) = self.find(guild, at).await? else { return Ok(KvDone::Deleted { existed: false }) };
        sqlx::query("DELETE FROM kv_records WHERE seq = ?").bind(row.seq).execute(&mut *self.db).await?;
        self.removed(guild, row.bytes).await?;
        Ok(KvDone::Deleted { existed: row.is_live(now) })
    }

    async fn increment(
        &mut self,
        guild: GuildId,
        key: &KvKey,
        by: f64,
        quota: &KvQuota,
        now: i64,
    ) -> Result<KvDone, KvError> {
        let there = self.find_key(guild, key).await?;
        let before = match &there {
            Some(row) if row.is_live(now) => number::read(&self.value(row).await?)
                .ok_or_else(|| KvError::NotANumber { key: readable(&key.key) })?,
            _ => 0.0,
        };
        let sum = before + by;
        let value = number::write(sum).ok_or(KvError::NotFinite)?;
        self.revalue(guild, key, there, &value, quota, now).await?;
        Ok(KvDone::Sum(sum))
    }

    async fn compare_and_set(
        &mut self,
        guild: GuildId,
        key: &KvKey,
        expected: Option<&str>,
        value: &str,
        quota: &KvQuota,
        now: i64,
    ) -> Result<KvDone, KvError> {
        let there = self.find_key(guild, key).await?;
        let as_expected = match (&there, expected) {
            (Some(row), Some(expected)) if row.is_live(now) => {
                number::same(&self.value(row).await?, expected)
            }
            (Some(row), None) => !row.is_live(now),
            (None, None) => true,
            (_, Some(_)) => false,
        };
        if as_expected {
            self.revalue(guild, key, there, value, quota, now).await?;
        }
        Ok(KvDone::Swapped(as_expected))
    }

    /// Changes the value alone, or makes a record that never expires.
    async fn revalue(
        &mut self,
        guild: GuildId,
        key: &KvKey,
        there: Option<Row>,
        value: &str,
        quota: &KvQuota,
        now: i64,
    ) -> Result<(), KvError> {
        let Some(row) = there.as_ref().filter(|row| row.is_live(now)) else {
            let new = New { value, expires_at: None, resume: false };
            return self.put(guild, key, there, &new, quota, now).await.map(|_| ());
        };
        if value.len() > quota.value_bytes {
            return Err(KvError::ValueTooLarge { bytes: value.len(), limit: quota.value_bytes });
        }
        let bytes = size(&row.key, &row.scopes, value);
        self.check_room(guild, Some(row), bytes, quota).await?;
        sqlx::query(
            "UPDATE kv_records SET value = ?2, bytes = ?3, updated_at = ?4, revision = revision + 1 WHERE seq = ?1",
        )
        .bind(row.seq)
        .bind(value)
        .bind(bytes)
        .bind(now)
        .execute(&mut *self.db)
        .await?;
        self.usage(guild).await?.bytes += bytes - row.bytes;
        Ok(())
    }

    async fn find(&mut self, guild: GuildId, at: &KvAt) -> Result<Option<Row>, KvError> {
        match at {
            KvAt::Key(key) => self.find_key(guild, key).await,
            KvAt::Id(id) => {
                let query = sqlx::query_as(row_where!("id = ? AND guild = ?"))
                    .bind(id.as_str())
                    .bind(guild_column(guild));
                Ok(query.fetch_optional(&mut *self.db).await?)
            }
        }
    }

    async fn find_key(&mut self, guild: GuildId, key: &KvKey) -> Result<Option<Row>, KvError> {
        let query = sqlx::query_as(row_where!("guild = ? AND scopes = ? AND key = ?"));
        let query = query.bind(guild_column(guild)).bind(key.scopes.to_column()).bind(&key.key);
        Ok(query.fetch_optional(&mut *self.db).await?)
    }

    async fn value(&mut self, row: &Row) -> Result<String, KvError> {
        let query = sqlx::query_scalar("SELECT value FROM kv_records WHERE seq = ?").bind(row.seq);
        Ok(query.fetch_one(&mut *self.db).await?)
    }
}

fn fresh_id() -> Result<KvId, KvError> {
    KvId::fresh().map_err(|error| StorageError::Failed(error.into()).into())
}

/// What a record counts for in its guild's quota.
fn size(key: &str, scopes: &str, value: &str) -> i64 {
    i64::try_from(key.len() + scopes.len() + value.len()).unwrap_or(i64::MAX)
}
