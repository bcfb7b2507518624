//! The statements about secrets of guilds.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{SqliteStorage, Unreadable, from_micros, guild_column, make_guild, now};
use crate::ids::GuildId;
use crate::storage::{SealedSecret, SecretStorage, StorageError, Written};

/// A secret as it is stored: name, hosts, sealed value, time.
type Row = (String, String, Vec<u8>, i64);

#[async_trait]
impl SecretStorage for SqliteStorage {
    async fn put_secret(
        &self,
        guild: GuildId,
        secret: &SealedSecret,
        most: usize,
    ) -> Result<(SealedSecret, Written), StorageError> {
        let mut transaction = self.write(guild).await?;
        let put = put(&mut transaction, guild, secret, most).await?;
        transaction.commit().await?;
        Ok(put)
    }

    async fn secrets_of(&self, guild: GuildId) -> Result<Vec<SealedSecret>, StorageError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT name, hosts, sealed, stored_at FROM secrets WHERE guild = ? ORDER BY name",
        )
        .bind(guild_column(guild))
        .fetch_all(&mut *self.read_of(guild).await?.connection)
        .await?;
        rows.into_iter().map(secret).collect()
    }

    async fn delete_secret(&self, guild: GuildId, name: &str) -> Result<bool, StorageError> {
        let mut transaction = self.write(guild).await?;
        let deleted = sqlx::query("DELETE FROM secrets WHERE guild = ? AND name = ?")
            .bind(guild_column(guild))
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn has_secrets(&self) -> Result<bool, StorageError> {
        let one: Option<i64> =
            sqlx::query_scalar("SELECT guild FROM secrets LIMIT 1").fetch_optional(&self.readers).await?;
        Ok(one.is_some())
    }
}

async fn put(
    db: &mut SqliteConnection,
    guild: GuildId,
    secret: &SealedSecret,
    most: usize,
) -> Result<(SealedSecret, Written), StorageError> {
    make_guild(db, guild).await?;
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM secrets WHERE guild = ? AND name = ?")
        .bind(guild_column(guild))
        .bind(&secret.name)
        .fetch_one(&mut *db)
        .await?;
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM secrets WHERE guild = ?")
        .bind(guild_column(guild))
        .fetch_one(&mut *db)
        .await?;
    if known == 0 && usize::try_from(all).is_ok_and(|all| all >= most) {
        return Err(StorageError::TooManySecrets { limit: most });
    }
    let hosts = serde_json::to_string(&secret.hosts).map_err(|source| StorageError::Failed(source.into()))?;
    let stored_at = now();
    sqlx::query(
        "INSERT OR REPLACE INTO secrets (guild, name, hosts, sealed, stored_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(guild_column(guild))
    .bind(&secret.name)
    .bind(&hosts)
    .bind(&secret.sealed)
    .bind(stored_at)
    .execute(db)
    .await?;
    let stored = self::secret((secret.name.clone(), hosts, secret.sealed.clone(), stored_at))?;
    Ok((stored, if known == 0 { Written::Created } else { Written::Replaced }))
}

fn secret(row: Row) -> Result<SealedSecret, StorageError> {
    let what = format!("secret {}", row.0);
    understand(row).map_err(|source| StorageError::Unreadable { what, source })
}

fn understand((name, hosts, sealed, stored_at): Row) -> Result<SealedSecret, Unreadable> {
    Ok(SealedSecret {
        name,
        hosts: serde_json::from_str(&hosts)?,
        sealed,
        stored_at: from_micros(stored_at)?,
    })
}
