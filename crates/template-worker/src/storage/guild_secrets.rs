//! The secrets of guilds, as storage keeps them: sealed, with where they may be sent.
//!
//! Owns what storage promises about them. Sealing, opening and using them is the host's business; storage never sees one.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{StorageError, Written};
use crate::ids::GuildId;

/// A secret that nobody can read without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// What templates call it.
    pub name: String,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
    /// Its value, encrypted.
    pub sealed: Vec<u8>,
    /// When it was put; set by storage.
    pub stored_at: OffsetDateTime,
}

/// What storage does about secrets.
#[async_trait]
pub trait SecretStorage: Send + Sync {
    /// Keeps a secret, in place of one with its name.
    ///
    /// # Errors
    /// `TooManySecrets` for a new one in a guild that has `most` already.
    async fn put_secret(
        &self,
        guild: GuildId,
        secret: &SealedSecret,
        most: usize,
    ) -> Result<(SealedSecret, Written), StorageError>;

    /// All secrets of the guild, ordered by name.
    async fn secrets_of(&self, guild: GuildId) -> Result<Vec<SealedSecret>, StorageError>;

    /// Removes a secret; `false` where there was none.
    async fn delete_secret(&self, guild: GuildId, name: &str) -> Result<bool, StorageError>;

    /// Whether any guild has a secret.
    async fn has_secrets(&self) -> Result<bool, StorageError>;
}
