//! The statements that read records. Each function runs inside a transaction, or is one statement.

use sqlx::SqliteConnection;

use super::super::{Unreadable, from_micros, guild_column};
use super::due::unreadable;
use crate::ids::GuildId;
use crate::storage::kv::{
    KvAt, KvError, KvId, KvKey, KvKeys, KvPage, KvQuery, KvRecord, KvScopes, KvUsage, MOST_EXAMINED,
    MOST_FOUND, MOST_FOUND_BYTES, MOST_SCOPE_SETS, Scopes, ScopesPlace,
};

/// Keys that are read at a time while some are looked for.
const CHUNK: usize = 1_000;

row! {
    struct Row {
        id: String,
        key: String,
        scopes: String,
        created_at: i64,
        updated_at: i64,
        expires_at: Option<i64>,
        resume: bool,
        value: String,
    }
}

pub(super) async fn record<'a>(
    db: impl sqlx::SqliteExecutor<'a>,
    guild: GuildId,
    at: &KvAt,
    now: i64,
) -> Result<Option<KvRecord>, KvError> {
    let query = match at {
        KvAt::Key(key) => sqlx::query_as(
            "SELECT id, key, scopes, created_at, updated_at, expires_at, resume, value FROM kv_records \
             WHERE guild = ? AND scopes = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)",
        )
        .bind(guild_column(guild))
        .bind(key.scopes.to_column())
        .bind(&key.key),
        KvAt::Id(id) => sqlx::query_as(
            "SELECT id, key, scopes, created_at, updated_at, expires_at, resume, value FROM kv_records \
             WHERE id = ? AND guild = ? AND (expires_at IS NULL OR claimed = 1 OR due_at IS NOT NULL OR expires_at > ?)",
        )
        .bind(id.as_str())
        .bind(guild_column(guild)),
    };
    let row: Option<Row> = query.bind(now).fetch_optional(db).await?;
    row.map(|row| understand(guild, row)).transpose()
}

row! {
    /// A key that is looked at.
    struct Seen {
        seq: i64,
        scopes: String,
        key: String,
        bytes: i64,
        expires_at: Option<i64>,
    }
}

pub(super) async fn find(
    db: &mut SqliteConnection,
    guild: GuildId,
    query: &KvQuery,
    now: i64,
) -> Result<KvPage, KvError> {
    let limit = query.limit.clamp(1, MOST_FOUND);
    let only = query.scopes.as_ref().map(Scopes::to_column);
    let mut after = query.after.as_ref().map(|key| (key.scopes.to_column(), key.key.clone()));
    let (mut found, mut bytes, mut examined) = (Vec::new(), 0, 0);
    let is_last = 'search: loop {
        let chunk = keys_after(db, guild, only.as_deref(), after.as_ref()).await?;
        let is_last = chunk.len() < CHUNK;
        for seen in chunk {
            let fits = seen.expires_at.is_none_or(|at| at > now) && query.pattern.fits(&seen.key);
            let size = usize::try_from(seen.bytes).unwrap_or(usize::MAX);
            if fits && !found.is_empty() && (found.len() == limit || bytes + size > MOST_FOUND_BYTES) {
                break 'search false;
            }
            if fits {
                found.push(seen.seq);
                bytes += size;
            }
            after = Some((seen.scopes, seen.key));
            examined += 1;
        }
        if is_last || examined >= MOST_EXAMINED {
            break is_last;
        }
    };
    let next = match after.filter(|_| !is_last) {
        Some((scopes, key)) => {
            let scopes = Scopes::from_column(&scopes).map_err(|source| unreadable(guild, source.into()))?;
            Some(KvKey { key, scopes })
        }
        None => None,
    };
    Ok(KvPage { records: records(db, guild, &found).await?, next })
}

/// The next keys in the order of scopes and key.
async fn keys_after(
    db: &mut SqliteConnection,
    guild: GuildId,
    only: Option<&str>,
    after: Option<&(String, String)>,
) -> Result<Vec<Seen>, KvError> {
    let (scopes, key) = after.map_or(("", ""), |(scopes, key)| (scopes, key));
    // Two statements, so that each is one walk along the index.
    let query = match only {
        Some(only) => sqlx::query_as(
            "SELECT seq, scopes, key, bytes, expires_at FROM kv_records \
             WHERE guild = ?1 AND scopes = ?2 AND key > ?3 ORDER BY key LIMIT ?4",
        )
        .bind(guild_column(guild))
        .bind(only),
        None => sqlx::query_as(
            "SELECT seq, scopes, key, bytes, expires_at FROM kv_records \
             WHERE guild = ?1 AND (scopes, key) > (?2, ?3) ORDER BY scopes, key LIMIT ?4",
        )
        .bind(guild_column(guild))
        .bind(scopes),
    };
    // A cursor of other scopes than those that are looked for starts at its own place among them.
    let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    Ok(query.bind(key).bind(limit).fetch_all(db).await?)
}

/// The records of these rows, in this order.
async fn records(db: &mut SqliteConnection, guild: GuildId, rows: &[i64]) -> Result<Vec<KvRecord>, KvError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, key, scopes, created_at, updated_at, expires_at, resume, value \
         FROM (SELECT value AS wanted, key AS place FROM json_each(?)) JOIN kv_records ON seq = wanted ORDER BY place",
    )
    .bind(serde_json::json!(rows).to_string())
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| understand(guild, row)).collect()
}

pub(super) async fn keys(
    db: &mut SqliteConnection,
    guild: GuildId,
    scopes: &Scopes,
    after: Option<&str>,
    now: i64,
) -> Result<KvKeys, KvError> {
    let (guild, scopes, after) = (guild_column(guild), scopes.to_column(), after.unwrap_or_default());
    let most = i64::try_from(MOST_EXAMINED).unwrap_or(i64::MAX);
    // The last one that is looked at, where there are so many: a walk along the index alone.
    let next = sqlx::query_scalar(
        "SELECT key FROM kv_records WHERE guild = ? AND scopes = ? AND key > ? ORDER BY key LIMIT 1 OFFSET ?",
    );
    let next = next.bind(guild).bind(&scopes).bind(after).bind(most - 1).fetch_optional(&mut *db).await?;
    // Those that have expired are looked at as well, so that a call costs as much however many there are.
    let keys = sqlx::query_scalar(
        "SELECT key FROM (SELECT key, expires_at FROM kv_records WHERE guild = ? AND scopes = ? AND key > ? \
         ORDER BY key LIMIT ?) WHERE expires_at IS NULL OR expires_at > ? ORDER BY key",
    );
    let keys = keys.bind(guild).bind(&scopes).bind(after).bind(most).bind(now).fetch_all(db).await?;
    Ok(KvKeys { keys, next })
}

pub(super) async fn scopes<'a>(
    db: impl sqlx::SqliteExecutor<'a>,
    guild: GuildId,
    after: Option<&ScopesPlace>,
    now: i64,
) -> Result<KvScopes, KvError> {
    let (scopes, key) =
        after.map_or((String::new(), None), |after| (after.scopes.to_column(), after.key.as_deref()));
    // One step along the index for each set, however many keys it has; and one for each that has expired before the first
    // that has not. The first row is the place to start after.
    let rows: Vec<(String, String, bool)> = sqlx::query_as(
        "WITH RECURSIVE walk (scopes, key, live) AS ( \
             SELECT ?2, ?3, ?4 \
             UNION ALL \
             SELECT next.scopes, next.key, next.expires_at IS NULL OR next.expires_at > ?5 \
             FROM walk JOIN kv_records AS next ON next.seq = coalesce( \
                 CASE WHEN walk.live THEN NULL ELSE (SELECT seq FROM kv_records \
                     WHERE guild = ?1 AND scopes = walk.scopes AND key > walk.key ORDER BY key LIMIT 1) END, \
                 (SELECT seq FROM kv_records WHERE guild = ?1 AND scopes > walk.scopes ORDER BY scopes, key LIMIT 1)) \
             LIMIT ?6 \
         ) SELECT scopes, key, live FROM walk",
    )
    .bind(guild_column(guild))
    .bind(scopes)
    .bind(key.unwrap_or_default())
    .bind(key.is_none())
    .bind(now)
    .bind(i64::try_from(MOST_SCOPE_SETS + 1).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    let read = |column: &str| Scopes::from_column(column).map_err(|source| unreadable(guild, source.into()));
    let next = match rows.last().filter(|_| rows.len() > MOST_SCOPE_SETS) {
        Some((scopes, key, live)) => {
            Some(ScopesPlace { scopes: read(scopes)?, key: (!live).then(|| key.clone()) })
        }
        None => None,
    };
    let live = rows.iter().skip(1).filter(|(.., live)| *live);
    Ok(KvScopes { sets: live.map(|(scopes, ..)| read(scopes)).collect::<Result<_, _>>()?, next })
}

pub(super) async fn usage<'a>(db: impl sqlx::SqliteExecutor<'a>, guild: GuildId) -> Result<KvUsage, KvError> {
    let row: Option<(i64, i64)> = sqlx::query_as("SELECT records, bytes FROM kv_guilds WHERE guild = ?")
        .bind(guild_column(guild))
        .fetch_optional(db)
        .await?;
    let (records, bytes) = row.unwrap_or_default();
    Ok(KvUsage { records: records.unsigned_abs(), bytes: bytes.unsigned_abs() })
}

fn understand(guild: GuildId, row: Row) -> Result<KvRecord, KvError> {
    let read = || -> Result<KvRecord, Unreadable> {
        Ok(KvRecord {
            id: KvId::stored(row.id),
            key: row.key,
            scopes: Scopes::from_column(&row.scopes)?,
            value: row.value,
            created_at: from_micros(row.created_at)?,
            updated_at: from_micros(row.updated_at)?,
            expires_at: row.expires_at.map(from_micros).transpose()?,
            resume: row.resume,
        })
    };
    read().map_err(|source| unreadable(guild, source))
}
