//! What guilds have, while one transaction changes it.
//!
//! Owns that what is counted is what is there, and that no guild gets more than it may.

use super::super::super::guild_column;
use super::{Row, Transaction};
use crate::ids::GuildId;
use crate::storage::kv::{KvError, KvQuota};

/// What a guild has, as it will be stored at the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) records: i64,
    pub(super) bytes: i64,
    /// Whether it has a row.
    pub(super) stored: bool,
}

impl Transaction<'_> {
    /// Stores what the guilds have by now. To be called before the commit.
    pub(in super::super) async fn finish(self) -> Result<(), KvError> {
        for (guild, usage) in self.usage {
            sqlx::query(
                "UPDATE kv_guilds SET records = ?2, bytes = ?3, next_due = \
                 (SELECT min(due_at) FROM kv_records WHERE guild = ?1 AND due_at IS NOT NULL) WHERE guild = ?1",
            )
            .bind(guild_column(guild))
            .bind(usage.records)
            .bind(usage.bytes)
            .execute(&mut *self.db)
            .await?;
        }
        Ok(())
    }

    /// Has the guild's row brought up to date at the end.
    pub(in super::super) async fn touch(&mut self, guild: GuildId) -> Result<(), KvError> {
        self.usage(guild).await.map(|_| ())
    }

    /// A record of the guild is gone.
    pub(in super::super) async fn removed(&mut self, guild: GuildId, bytes: i64) -> Result<(), KvError> {
        let usage = self.usage(guild).await?;
        usage.records -= 1;
        usage.bytes -= bytes;
        Ok(())
    }

    pub(super) async fn usage(&mut self, guild: GuildId) -> Result<&mut Usage, KvError> {
        if !self.usage.contains_key(&guild) {
            let row: Option<(i64, i64)> =
                sqlx::query_as("SELECT records, bytes FROM kv_guilds WHERE guild = ?")
                    .bind(guild_column(guild))
                    .fetch_optional(&mut *self.db)
                    .await?;
            let usage = row.map(|(records, bytes)| Usage { records, bytes, stored: true });
            self.usage.insert(guild, usage.unwrap_or_default());
        }
        Ok(self.usage.entry(guild).or_default())
    }

    /// Whether a record of `bytes` has room in the place of `there`. What does not grow always has.
    pub(super) async fn check_room(
        &mut self,
        guild: GuildId,
        there: Option<&Row>,
        bytes: i64,
        quota: &KvQuota,
    ) -> Result<(), KvError> {
        let usage = *self.usage(guild).await?;
        let most = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        if there.is_none() && usage.records >= most(quota.records) {
            return Err(KvError::TooManyRecords { limit: quota.records });
        }
        let growth = bytes - there.map_or(0, |row| row.bytes);
        let after = usage.bytes + growth;
        if growth > 0 && after > most(quota.bytes) {
            return Err(KvError::TooManyBytes { bytes: after.unsigned_abs(), limit: quota.bytes });
        }
        Ok(())
    }
}
