//! The statements about tokens. Each function runs inside a transaction that its caller began and commits.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::{Unreadable, from_micros, guild_column, now, to_micros};
use crate::ids::{GuildId, TokenId};
use crate::storage::{Right, StorageError, Token, TokenHash, TokenOwner};

/// A token as it is stored: id, name, guild, rights, and the times it was made, ends, and was revoked.
type Row = (String, String, Option<i64>, String, i64, Option<i64>, Option<i64>);

pub(super) async fn insert(
    db: &mut SqliteConnection,
    token: &Token,
    hash: &TokenHash,
) -> Result<(), StorageError> {
    let none = BTreeSet::new();
    let (guild, rights) = match &token.owner {
        TokenOwner::Admin => (None, &none),
        TokenOwner::Guild { guild, rights } => (Some(guild_column(*guild)), rights),
    };
    let rights = serde_json::to_string(rights).map_err(|source| StorageError::Failed(source.into()))?;
    sqlx::query(
        "INSERT INTO tokens (id, name, hash, guild, rights, created_at, expires_at, revoked_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(token.id.to_string())
    .bind(&token.name)
    .bind(hash.as_bytes().as_slice())
    .bind(guild)
    .bind(rights)
    .bind(to_micros(token.created_at))
    .bind(token.expires_at.map(to_micros))
    .bind(token.revoked_at.map(to_micros))
    .execute(db)
    .await?;
    Ok(())
}

/// The index compares hashes as fast as it can. That tells nobody anything: who could choose hashes at will would have
/// to know secrets for them.
pub(super) async fn find(db: &mut SqliteConnection, hash: &TokenHash) -> Result<Option<Token>, StorageError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, name, guild, rights, created_at, expires_at, revoked_at FROM tokens WHERE hash = ?",
    )
    .bind(hash.as_bytes().as_slice())
    .fetch_optional(db)
    .await?;
    row.map(token).transpose()
}

pub(super) async fn list(db: &mut SqliteConnection) -> Result<Vec<Token>, StorageError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, guild, rights, created_at, expires_at, revoked_at FROM tokens ORDER BY created_at, id",
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(token).collect()
}

pub(super) async fn revoke(db: &mut SqliteConnection, id: TokenId) -> Result<bool, StorageError> {
    // The first time counts: who revokes again doesn't move it.
    let revoked = sqlx::query("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?")
        .bind(now())
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(revoked.rows_affected() > 0)
}

pub(super) async fn count(db: &mut SqliteConnection) -> Result<u64, StorageError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tokens").fetch_one(db).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

fn token(row: Row) -> Result<Token, StorageError> {
    let what = format!("token {}", row.0);
    understand(row).map_err(|source| StorageError::Unreadable { what, source })
}

fn understand((id, name, guild, rights, created, expires, revoked): Row) -> Result<Token, Unreadable> {
    let rights: BTreeSet<Right> = serde_json::from_str(&rights)?;
    let owner = match guild {
        None => TokenOwner::Admin,
        Some(guild) => {
            let guild = u64::try_from(guild).ok().and_then(GuildId::new).ok_or("its guild is no id")?;
            TokenOwner::Guild { guild, rights }
        }
    };
    Ok(Token {
        id: id.parse()?,
        name,
        owner,
        created_at: from_micros(created)?,
        expires_at: expires.map(from_micros).transpose()?,
        revoked_at: revoked.map(from_micros).transpose()?,
    })
}
