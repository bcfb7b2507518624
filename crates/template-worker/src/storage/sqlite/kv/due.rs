//! The statements about expiry.

use sqlx::SqliteConnection;
use time::OffsetDateTime;

use super::super::{Unreadable, from_micros, guild_column, to_micros};
use super::write::Transaction;
use crate::ids::GuildId;
use crate::storage::StorageError;
use crate::storage::expiry::{DueKey, ExpiryState, KeyExpiry, ResumeKey, Settlement};
use crate::storage::kv::{KvError, KvId, MOST_EXAMINED, Scopes};

row! {
    struct Due {
        seq: i64,
        id: String,
        key: String,
        scopes: String,
        attempts: u32,
        failed_in: Option<String>,
        revision: i64,
    }
}

pub(super) async fn claim(
    transaction: &mut Transaction<'_>,
    guild: GuildId,
    now: i64,
) -> Result<Option<DueKey>, KvError> {
    let row: Option<Due> = sqlx::query_as(
        "SELECT seq, id, key, scopes, attempts, failed_in, revision FROM kv_records \
         WHERE guild = ? AND due_at <= ? ORDER BY due_at LIMIT 1",
    )
    .bind(guild_column(guild))
    .bind(now)
    .fetch_optional(&mut *transaction.db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query("UPDATE kv_records SET claimed = 1, due_at = NULL WHERE seq = ?")
        .bind(row.seq)
        .execute(&mut *transaction.db)
        .await?;
    transaction.touch(guild).await?;
    let failed_in = row.failed_in.as_deref().map(serde_json::from_str).transpose();
    let read = || -> Result<DueKey, Unreadable> {
        Ok(DueKey {
            guild,
            scopes: Scopes::from_column(&row.scopes)?,
            attempts: row.attempts,
            failed_in: failed_in?.unwrap_or_default(),
            revision: row.revision,
            key: row.key,
            id: KvId::stored(row.id),
        })
    };
    read().map(Some).map_err(|source| unreadable(guild, source))
}

pub(super) async fn settle(
    transaction: &mut Transaction<'_>,
    due: &DueKey,
    settlement: &Settlement,
) -> Result<bool, KvError> {
    let guild = guild_column(due.guild);
    match settlement {
        Settlement::Told => {
            let bytes: Option<i64> = sqlx::query_scalar(
                "DELETE FROM kv_records WHERE id = ? AND guild = ? AND revision = ? AND claimed = 1 RETURNING bytes",
            )
            .bind(due.id.as_str())
            .bind(guild)
            .bind(due.revision)
            .fetch_optional(&mut *transaction.db)
            .await?;
            if let Some(bytes) = bytes {
                transaction.removed(due.guild, bytes).await?;
            }
            Ok(bytes.is_some())
        }
        Settlement::Released { again_at } => {
            let changed = sqlx::query(
                "UPDATE kv_records SET claimed = 0, due_at = ?4 \
                 WHERE id = ?1 AND guild = ?2 AND revision = ?3 AND claimed = 1",
            )
            .bind(due.id.as_str())
            .bind(guild)
            .bind(due.revision)
            .bind(to_micros(*again_at))
            .execute(&mut *transaction.db)
            .await?;
            transaction.due_changed = true;
            transaction.touch(due.guild).await?;
            Ok(changed.rows_affected() > 0)
        }
        Settlement::Failed { failed_in, error, again_at } => {
            let failed_in = (!failed_in.is_empty()).then(|| serde_json::to_string(failed_in)).transpose();
            let failed_in = failed_in.map_err(|source| StorageError::Failed(source.into()))?;
            let changed = sqlx::query(
                "UPDATE kv_records SET claimed = 0, due_at = ?4, attempts = attempts + 1, failed_in = ?5, last_error = ?6 \
                 WHERE id = ?1 AND guild = ?2 AND revision = ?3 AND claimed = 1",
            )
            .bind(due.id.as_str())
            .bind(guild)
            .bind(due.revision)
            .bind(again_at.map(to_micros))
            .bind(failed_in)
            .bind(error)
            .execute(&mut *transaction.db)
            .await?;
            transaction.due_changed |= again_at.is_some();
            transaction.touch(due.guild).await?;
            Ok(changed.rows_affected() > 0)
        }
    }
}

pub(super) async fn retry(
    transaction: &mut Transaction<'_>,
    guild: GuildId,
    id: &KvId,
    now: i64,
) -> Result<bool, KvError> {
    let changed = sqlx::query(
        "UPDATE kv_records SET due_at = ?3, attempts = 0 \
         WHERE id = ?1 AND guild = ?2 AND claimed = 0 AND attempts > 0",
    )
    .bind(id.as_str())
    .bind(guild_column(guild))
    .bind(now)
    .execute(&mut *transaction.db)
    .await?;
    transaction.due_changed = true;
    transaction.touch(guild).await?;
    Ok(changed.rows_affected() > 0)
}

/// Inside a transaction that the caller began and commits.
pub(super) async fn release_claims(db: &mut SqliteConnection, now: i64) -> Result<(), KvError> {
    sqlx::query(
        "UPDATE kv_guilds SET next_due = min(coalesce(next_due, ?1), ?1) \
         WHERE guild IN (SELECT guild FROM kv_records WHERE claimed = 1)",
    )
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query("UPDATE kv_records SET claimed = 0, due_at = ? WHERE claimed = 1")
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn guilds(
    db: &mut SqliteConnection,
    now: i64,
    limit: usize,
) -> Result<Vec<GuildId>, KvError> {
    let sql = "SELECT guild FROM kv_guilds WHERE next_due <= ? ORDER BY next_due LIMIT ?";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    guild_ids(sqlx::query_scalar(sql).bind(now).bind(limit).fetch_all(db).await?)
}

pub(super) async fn next(db: &mut SqliteConnection, now: i64) -> Result<Option<OffsetDateTime>, KvError> {
    let sql = "SELECT min(next_due) FROM kv_guilds WHERE next_due > ?";
    let micros: Option<i64> = sqlx::query_scalar(sql).bind(now).fetch_one(db).await?;
    micros
        .map(from_micros)
        .transpose()
        .map_err(|source| StorageError::Unreadable { what: "when a key is due".to_owned(), source }.into())
}

row! {
    struct Listed {
        seq: i64,
        id: String,
        key: String,
        scopes: String,
        expires_at: i64,
        due_at: Option<i64>,
        claimed: bool,
        attempts: u32,
        last_error: Option<String>,
    }
}

pub(super) async fn list(
    db: &mut SqliteConnection,
    guild: GuildId,
    after: Option<(i64, i64)>,
    limit: u32,
    now: i64,
) -> Result<Vec<KeyExpiry>, KvError> {
    let (time, seq) = after.unwrap_or((i64::MIN, i64::MIN));
    let rows: Vec<Listed> = sqlx::query_as(
        "SELECT seq, id, key, scopes, expires_at, due_at, claimed, attempts, last_error FROM kv_records \
         WHERE guild = ?1 AND expires_at IS NOT NULL AND (expires_at, seq) > (?2, ?3) ORDER BY expires_at, seq LIMIT ?4",
    )
    .bind(guild_column(guild))
    .bind(time)
    .bind(seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let understand = |row: Listed| -> Result<KeyExpiry, Unreadable> {
        let state = match (row.due_at, row.claimed) {
            (None, false) => ExpiryState::Dead,
            _ if row.attempts > 0 => ExpiryState::Failing,
            _ if row.expires_at > now => ExpiryState::Waiting,
            _ => ExpiryState::Due,
        };
        Ok(KeyExpiry {
            scopes: Scopes::from_column(&row.scopes)?,
            expires_at: from_micros(row.expires_at)?,
            again_at: row.due_at.filter(|_| row.attempts > 0).map(from_micros).transpose()?,
            id: KvId::stored(row.id),
            key: row.key,
            state,
            attempts: row.attempts,
            last_error: row.last_error,
            cursor: (row.expires_at, row.seq),
        })
    };
    rows.into_iter().map(understand).collect::<Result<_, _>>().map_err(|source| unreadable(guild, source))
}

pub(super) async fn guilds_to_resume(
    db: &mut SqliteConnection,
    after: Option<GuildId>,
    limit: u32,
) -> Result<Vec<GuildId>, KvError> {
    let sql = "SELECT DISTINCT guild FROM kv_records WHERE resume = 1 AND guild > ? ORDER BY guild LIMIT ?";
    let after = after.map_or(0, guild_column);
    guild_ids(sqlx::query_scalar(sql).bind(after).bind(limit).fetch_all(db).await?)
}

pub(super) async fn keys_to_resume(
    db: &mut SqliteConnection,
    guild: GuildId,
    after: Option<i64>,
    limit: u32,
    now: i64,
) -> Result<Vec<ResumeKey>, KvError> {
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(
        "SELECT seq, id, key, scopes FROM (SELECT seq, id, key, scopes, expires_at FROM kv_records \
         WHERE resume = 1 AND guild = ?1 AND seq > ?2 ORDER BY seq LIMIT ?5) \
         WHERE expires_at IS NULL OR expires_at > ?3 ORDER BY seq LIMIT ?4",
    )
    .bind(guild_column(guild))
    .bind(after.unwrap_or(i64::MIN))
    .bind(now)
    .bind(limit)
    .bind(i64::try_from(MOST_EXAMINED).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|(cursor, id, key, scopes)| {
            let scopes = Scopes::from_column(&scopes).map_err(|source| unreadable(guild, source.into()))?;
            Ok(ResumeKey { id: KvId::stored(id), key, scopes, cursor })
        })
        .collect()
}

fn guild_ids(columns: Vec<i64>) -> Result<Vec<GuildId>, KvError> {
    let guild = |id: i64| u64::try_from(id).ok().and_then(GuildId::new);
    let read = |id| {
        guild(id).ok_or_else(|| {
            let what = format!("the records of guild {id}");
            StorageError::Unreadable { what, source: "its guild is no id".into() }.into()
        })
    };
    columns.into_iter().map(read).collect()
}

pub(super) fn unreadable(guild: GuildId, source: Unreadable) -> KvError {
    StorageError::Unreadable { what: format!("a record of guild {guild}"), source }.into()
}
