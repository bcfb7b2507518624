//! The statements about limits of single guilds. Each function runs inside a transaction that its caller began and
//! commits.

use sqlx::SqliteConnection;

use super::{Unreadable, guild_column, make_guild, now};
use crate::ids::GuildId;
use crate::limits::LimitOverrides;
use crate::storage::StorageError;

pub(super) async fn put(
    db: &mut SqliteConnection,
    guild: GuildId,
    overrides: &LimitOverrides,
) -> Result<(), StorageError> {
    if overrides.is_empty() {
        sqlx::query("DELETE FROM guild_limits WHERE guild = ?").bind(guild_column(guild)).execute(db).await?;
        return Ok(());
    }
    let text = serde_json::to_string(overrides).map_err(|source| StorageError::Failed(source.into()))?;
    make_guild(db, guild).await?;
    sqlx::query("INSERT OR REPLACE INTO guild_limits (guild, overrides, stored_at) VALUES (?, ?, ?)")
        .bind(guild_column(guild))
        .bind(text)
        .bind(now())
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn all(db: &mut SqliteConnection) -> Result<Vec<(GuildId, LimitOverrides)>, StorageError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT guild, overrides FROM guild_limits ORDER BY guild").fetch_all(db).await?;
    rows.into_iter()
        .map(|(guild, overrides)| {
            understand(guild, &overrides).map_err(|source| {
                let what = format!("the limits of guild {guild}");
                StorageError::Unreadable { what, source }
            })
        })
        .collect()
}

fn understand(guild: i64, overrides: &str) -> Result<(GuildId, LimitOverrides), Unreadable> {
    let guild = u64::try_from(guild).ok().and_then(GuildId::new).ok_or("its guild is no id")?;
    Ok((guild, serde_json::from_str(overrides)?))
}
