//! The statements about objects.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{SqliteStorage, Unreadable, from_micros, guild_column, make_guild, now};
use crate::ids::GuildId;
use crate::storage::objects::end_of;
use crate::storage::{LooseBlob, ObjectBooks, ObjectQuota, ObjectRecord, StorageError};

/// An object as it is stored: key, blob, size, etag, time.
type Row = (String, String, i64, String, i64);

#[async_trait]
impl ObjectBooks for SqliteStorage {
    async fn begin_object(
        &self,
        guild: GuildId,
        key: &str,
        blob: Uuid,
        size: u64,
        quota: ObjectQuota,
    ) -> Result<(), StorageError> {
        let mut transaction = self.write(guild).await?;
        begin(&mut transaction, guild, key, blob, size, quota).await?;
        transaction.commit().await
    }

    async fn finish_object(
        &self,
        guild: GuildId,
        object: &ObjectRecord,
    ) -> Result<(ObjectRecord, Option<LooseBlob>), StorageError> {
        let mut transaction = self.write(guild).await?;
        let finished = finish(&mut transaction, guild, object).await?;
        transaction.commit().await?;
        Ok(finished)
    }

    async fn find_object(&self, guild: GuildId, key: &str) -> Result<Option<ObjectRecord>, StorageError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT key, blob, size, etag, stored_at FROM objects WHERE guild = ? AND key = ?",
        )
        .bind(guild_column(guild))
        .bind(key)
        .fetch_optional(&mut *self.read_of(guild).await?.connection)
        .await?;
        row.map(object).transpose()
    }

    async fn find_object_of(&self, guild: GuildId, blob: Uuid) -> Result<Option<ObjectRecord>, StorageError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT key, blob, size, etag, stored_at FROM objects WHERE guild = ? AND blob = ?",
        )
        .bind(guild_column(guild))
        .bind(blob.to_string())
        .fetch_optional(&mut *self.read_of(guild).await?.connection)
        .await?;
        row.map(object).transpose()
    }

    async fn list_objects(
        &self,
        guild: GuildId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ObjectRecord>, StorageError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT key, blob, size, etag, stored_at FROM objects \
             WHERE guild = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) AND (?4 IS NULL OR key > ?4) \
             ORDER BY key LIMIT ?5",
        )
        .bind(guild_column(guild))
        .bind(after.map_or(prefix, |after| prefix.max(after)))
        .bind(end_of(prefix))
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.read_of(guild).await?.connection)
        .await?;
        rows.into_iter().map(object).collect()
    }

    async fn delete_object(&self, guild: GuildId, key: &str) -> Result<Option<LooseBlob>, StorageError> {
        let mut transaction = self.write(guild).await?;
        let blob: Option<String> =
            sqlx::query_scalar("DELETE FROM objects WHERE guild = ? AND key = ? RETURNING blob")
                .bind(guild_column(guild))
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
        let loose = match blob {
            Some(blob) => Some(loosen(&mut transaction, guild, &blob).await?),
            None => None,
        };
        transaction.commit().await?;
        Ok(loose)
    }

    async fn abandon_incoming(&self, content: Option<LooseBlob>) -> Result<bool, StorageError> {
        let mut transaction = self.write(content.map(|content| content.guild)).await?;
        let changed = sqlx::query(
            "UPDATE loose_blobs SET incoming = 0, reserved = 0 WHERE incoming = 1 AND (?1 IS NULL OR blob = ?1)",
        )
        .bind(content.map(|content| content.blob.to_string()))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    async fn outgoing_blobs(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<LooseBlob>, Option<String>), StorageError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT guild, blob FROM loose_blobs WHERE incoming = 0 AND blob > ? ORDER BY blob LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let is_full = rows.len() >= limit as usize;
        let next = rows.last().filter(|_| is_full).map(|(_, blob)| blob.clone());
        let readable = rows.iter().filter_map(|(guild, blob)| {
            let read = loose(*guild, blob).inspect_err(|error| {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "left out a content of an object that is to be removed"
                );
            });
            read.ok()
        });
        Ok((readable.collect(), next))
    }

    async fn forget_blob(&self, content: LooseBlob) -> Result<(), StorageError> {
        let mut transaction = self.write(content.guild).await?;
        sqlx::query("DELETE FROM loose_blobs WHERE blob = ?")
            .bind(content.blob.to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

async fn begin(
    db: &mut SqliteConnection,
    guild: GuildId,
    key: &str,
    blob: Uuid,
    size: u64,
    quota: ObjectQuota,
) -> Result<(), StorageError> {
    make_guild(db, guild).await?;
    // What the new content replaces makes room for it.
    let (there, bytes): (i64, i64) =
        sqlx::query_as("SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE guild = ? AND key <> ?")
            .bind(guild_column(guild))
            .bind(key)
            .fetch_one(&mut *db)
            .await?;
    let (coming, reserved): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(reserved), 0) FROM loose_blobs WHERE guild = ? AND incoming = 1",
    )
    .bind(guild_column(guild))
    .fetch_one(&mut *db)
    .await?;
    let counted = |one: i64, other: i64| u64::try_from(one.saturating_add(other)).unwrap_or_default();
    if counted(there, coming) >= quota.objects {
        return Err(StorageError::TooManyObjects { limit: quota.objects });
    }
    if counted(bytes, reserved).saturating_add(size) > quota.bytes {
        return Err(StorageError::ObjectsTooLarge { limit: quota.bytes });
    }
    sqlx::query("INSERT INTO loose_blobs (blob, guild, reserved, incoming) VALUES (?, ?, ?, 1)")
        .bind(blob.to_string())
        .bind(guild_column(guild))
        .bind(column(size))
        .execute(db)
        .await?;
    Ok(())
}

async fn finish(
    db: &mut SqliteConnection,
    guild: GuildId,
    object: &ObjectRecord,
) -> Result<(ObjectRecord, Option<LooseBlob>), StorageError> {
    let arrived = sqlx::query("DELETE FROM loose_blobs WHERE blob = ? AND guild = ? AND incoming = 1")
        .bind(object.blob.to_string())
        .bind(guild_column(guild))
        .execute(&mut *db)
        .await?;
    if arrived.rows_affected() == 0 {
        return Err(StorageError::Failed("the content is not booked as on its way in".into()));
    }
    let before: Option<String> = sqlx::query_scalar("SELECT blob FROM objects WHERE guild = ? AND key = ?")
        .bind(guild_column(guild))
        .bind(&object.key)
        .fetch_optional(&mut *db)
        .await?;
    let row: Row =
        (object.key.clone(), object.blob.to_string(), column(object.size), object.etag.clone(), now());
    sqlx::query(
        "INSERT OR REPLACE INTO objects (guild, key, blob, size, etag, stored_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(guild_column(guild))
    .bind(&row.0)
    .bind(&row.1)
    .bind(row.2)
    .bind(&row.3)
    .bind(row.4)
    .execute(&mut *db)
    .await?;
    let loose = match before {
        Some(before) => Some(loosen(db, guild, &before).await?),
        None => None,
    };
    Ok((self::object(row)?, loose))
}

/// Books a content as on its way out.
async fn loosen(db: &mut SqliteConnection, guild: GuildId, blob: &str) -> Result<LooseBlob, StorageError> {
    sqlx::query("INSERT INTO loose_blobs (blob, guild, reserved, incoming) VALUES (?, ?, 0, 0)")
        .bind(blob)
        .bind(guild_column(guild))
        .execute(db)
        .await?;
    loose(guild_column(guild), blob)
}

/// Sizes are bounded far below `i64::MAX`.
fn column(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn loose(guild: i64, blob: &str) -> Result<LooseBlob, StorageError> {
    let understand = || -> Result<LooseBlob, Unreadable> {
        let guild = u64::try_from(guild).ok().and_then(GuildId::new).ok_or("its guild is no id")?;
        Ok(LooseBlob { guild, blob: blob.parse()? })
    };
    understand().map_err(|source| StorageError::Unreadable { what: format!("content {blob}"), source })
}

fn object(row: Row) -> Result<ObjectRecord, StorageError> {
    let what = format!("object {}", row.0);
    understand(row).map_err(|source| StorageError::Unreadable { what, source })
}

fn understand((key, blob, size, etag, stored_at): Row) -> Result<ObjectRecord, Unreadable> {
    let (blob, size) = (blob.parse()?, u64::try_from(size)?);
    Ok(ObjectRecord { key, blob, size, etag, stored_at: from_micros(stored_at)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_content_that_cannot_be_read_hides_no_other() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        let (guild, quota) = (GuildId::new(1).unwrap(), ObjectQuota { objects: 10, bytes: 10 });
        let blobs = [Uuid::now_v7(), Uuid::now_v7()];
        for blob in blobs {
            storage.begin_object(guild, "k", blob, 1, quota).await.unwrap();
        }
        storage.abandon_incoming(None).await.unwrap();
        let mut transaction = storage.write(None).await.unwrap();
        sqlx::query("UPDATE loose_blobs SET blob = '!' WHERE blob = ?")
            .bind(blobs[0].to_string())
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let page = storage.outgoing_blobs("", 1).await.unwrap();
        assert_eq!(page, (Vec::new(), Some("!".to_owned())));
        let page = storage.outgoing_blobs("!", 10).await.unwrap();
        assert_eq!(page, (vec![LooseBlob { guild, blob: blobs[1] }], None));
    }
}
