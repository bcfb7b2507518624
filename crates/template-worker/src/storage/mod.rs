//! What outlives the process: templates with their versions, limits of single guilds, access tokens, and key-value records.
//!
//! Owns the [`Storage`] trait and what it promises, for records in `kv` and `expiry`; a backend owns how. What is acknowledged is stored: a method that
//! changes something returns after the change is safe, also from a crash of the machine. A method that fails has
//! changed nothing. Who may call what is decided before, in `api`.

mod clock;
pub mod expiry;
mod folder;
mod guild_secrets;
pub mod kv;
mod objects;
mod secret;
pub mod sqlite;
mod tokens;

#[cfg(test)]
mod contract_tests;

use std::path::PathBuf;

use async_trait::async_trait;
use time::OffsetDateTime;

pub use clock::Clock;
pub use expiry::ExpiryStorage;
pub use folder::DataLock;
pub use guild_secrets::{SealedSecret, SecretStorage};
pub use kv::KvStorage;
pub use objects::{LooseBlob, ObjectBooks, ObjectQuota, ObjectRecord};
pub use secret::{SecretError, TokenHash, TokenSecret};
pub use sqlite::SqliteStorage;
pub use tokens::{Right, Token, TokenOwner, UnknownRight};

use crate::ids::{GuildId, TokenId};
use crate::limits::LimitOverrides;
use crate::template::{Template, TemplateDraft, TemplateInfo, TemplateName, TemplatePatch};

/// How many versions of a template are kept, the current one included.
pub const KEPT_VERSIONS: u32 = 20;
/// Most bytes of all versions of a guild's templates that are kept beside the current ones.
pub const KEPT_VERSION_BYTES: u32 = 64 << 20;

/// What became of a template that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// There was none of that name.
    Created,
    /// It took the place of an earlier version.
    Replaced,
}

/// A line of a template's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVersion {
    /// The version.
    pub version: u32,
    /// Whether it brought files; otherwise they are those of the version before.
    pub new_files: bool,
    /// When it was stored.
    pub stored_at: OffsetDateTime,
}

/// Why storage did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The template isn't in the version that the caller has seen.
    #[error(
        "failed to change the template: it {}; read it again, and send the version that you saw",
        match current { Some(version) => format!("is in version {version} by now"), None => "does not exist".to_owned() }
    )]
    VersionConflict {
        /// The version that it is in; `None` where there is no such template.
        current: Option<u32>,
    },
    /// The guild has as many templates as it may have.
    #[error(
        "failed to store the template: the guild has {limit} templates, which is the most \
             (MAX_TEMPLATES_PER_GUILD); delete one first"
    )]
    TooManyTemplates {
        /// The limit.
        limit: usize,
    },
    /// The guild has as many secrets as it may have.
    #[error("failed to store the secret: the guild has {limit} secrets, which is the most; delete one first")]
    TooManySecrets {
        /// The limit.
        limit: usize,
    },
    /// The guild has as many objects as it may have.
    #[error(
        "failed to store the object: the guild may have {limit} objects (MAX_OBJECTS), and has them, or they are on \
             their way; delete one first"
    )]
    TooManyObjects {
        /// The limit.
        limit: u64,
    },
    /// The guild's objects would be larger than they may be.
    #[error(
        "failed to store the object: the guild's objects would have more than {limit} bytes together \
             (MAX_OBJECT_STORAGE_BYTES); delete some first"
    )]
    ObjectsTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The data folder cannot be made or written.
    #[error("failed to use the data folder {}: make it writable for the user that runs this, or choose another one \
             (`--data`, or `storage.data` in the configuration)", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another service has the data folder.
    #[error("failed to take the data folder {}: another template-worker serves from it; stop that one, or choose another \
             folder (`--data`, or `storage.data` in the configuration)", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The database has a form that this version doesn't know.
    #[error(
        "failed to bring the database up to date: where a newer template-worker has used it, run that one, or \
             restore a backup from before"
    )]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something stored cannot be understood, such as an event that this version doesn't know.
    #[error("failed to read {what}: it was stored by another version, or changed by hand")]
    Unreadable {
        /// What it is.
        what: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database failed.
    #[error("failed to use the database")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A backend. Guilds need no set-up: a guild exists from its first template on.
#[async_trait]
pub trait Storage: KvStorage + ExpiryStorage + SecretStorage + ObjectBooks {
    /// Creates or replaces a template. Versions count up from 1, or from the highest that a deleted template of the guild had,
    /// so that none comes back; the last [`KEPT_VERSIONS`] are kept, and fewer where the guild's old ones have more than
    /// [`KEPT_VERSION_BYTES`] together: those that were stored first go first.
    ///
    /// # Errors
    /// `VersionConflict` unless the template is in version `if_match`, where that is given (0: unless there is none);
    /// `TooManyTemplates` for a new one in a guild that has `max_templates` already.
    async fn put_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
        draft: TemplateDraft,
        if_match: Option<u32>,
        max_templates: usize,
    ) -> Result<(Template, Written), StorageError>;

    /// Changes parts of a template, as a new version with the same files; `None` where there is no such template.
    ///
    /// # Errors
    /// `VersionConflict` unless the template is in version `if_match`, where that is given.
    async fn patch_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
        patch: TemplatePatch,
        if_match: Option<u32>,
    ) -> Result<Option<Template>, StorageError>;

    /// A template in its current version.
    async fn get_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
    ) -> Result<Option<Template>, StorageError>;

    /// A page of the guild's templates without their files: at most `limit`, ordered by name, those after `after`.
    async fn list_templates(
        &self,
        guild: GuildId,
        after: Option<&TemplateName>,
        limit: u32,
    ) -> Result<Vec<TemplateInfo>, StorageError>;

    /// All templates of the guild, ordered by name, as of one moment.
    async fn templates_of(&self, guild: GuildId) -> Result<Vec<Template>, StorageError>;

    /// Removes a template and its history; `false` where there was none.
    ///
    /// # Errors
    /// `VersionConflict` unless the template is in version `if_match`, where that is given.
    async fn delete_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
        if_match: Option<u32>,
    ) -> Result<bool, StorageError>;

    /// The kept versions of a template, the newest first; empty where there is no such template.
    async fn template_versions(
        &self,
        guild: GuildId,
        name: &TemplateName,
    ) -> Result<Vec<TemplateVersion>, StorageError>;

    /// Sets which limits of the guild differ from the service's, instead of all that did; none clears them.
    async fn put_limits(&self, guild: GuildId, overrides: &LimitOverrides) -> Result<(), StorageError>;

    /// The guilds whose limits differ from the service's, ordered by id.
    async fn all_limits(&self) -> Result<Vec<(GuildId, LimitOverrides)>, StorageError>;

    /// Keeps a new token. Two tokens with one id or one hash are an error.
    async fn insert_token(&self, token: &Token, hash: &TokenHash) -> Result<(), StorageError>;

    /// The token with this hash, if it can be used now: unknown, expired and revoked ones are all `None`.
    async fn find_token_by_hash(&self, hash: &TokenHash) -> Result<Option<Token>, StorageError>;

    /// All tokens, also expired and revoked ones, the oldest first.
    async fn list_tokens(&self) -> Result<Vec<Token>, StorageError>;

    /// Makes a token useless from now on; `false` where there is no such token. Again is fine.
    async fn revoke_token(&self, id: TokenId) -> Result<bool, StorageError>;

    /// How many tokens were ever made: 0 says that this is the first start.
    async fn count_tokens(&self) -> Result<u64, StorageError>;

    /// Whether the database answers.
    async fn check(&self) -> Result<(), StorageError>;

    /// Ends all work and lets go of the files. What comes after is an error.
    async fn close(&self);
}
