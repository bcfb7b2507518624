//! The embedded default: one SQLite file in the data folder.
//!
//! Owns opening it, its pragmas, its migrations, and one transaction per call; the statements are in `templates`,
//! `limits`, `secrets`, `objects` and `tokens`. Records go their own way, in `kv`.
//!
//! There is one connection that writes and a few that read. Writers queue up for the one, without polling, in the order that
//! `lanes` has; in WAL mode readers never wait for them. A second process on the same folder (`token create` beside a running
//! service) is waited for with `busy_timeout`.
//!
//! `synchronous` is FULL. NORMAL would survive a `kill -9`, since the operating system has the pages by then, but it
//! loses the last commits with the machine. Templates and tokens change rarely, so the flush per change is cheap; changes of
//! records share one.

mod kv;
mod lanes;
mod limits;
mod objects;
mod secrets;
mod templates;
mod tokens;

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool, Transaction};
use time::OffsetDateTime;

use self::lanes::{Lanes, Turn};
use super::{
    Storage, StorageError, Template, TemplateVersion, Token, TokenHash, Written, folder as data_folder,
};
use crate::ids::{GuildId, TokenId};
use crate::limits::LimitOverrides;
use crate::places::{GuildPlaces, Place};
use crate::template::{TemplateDraft, TemplateInfo, TemplateName, TemplatePatch};

const FILE: &str = "template-worker.db";
/// Connections that read what the service itself needs for every event, and others that read what guilds keep: so that no
/// guild's reading holds up an event.
const READERS: u32 = 4;
/// Reads of what one guild keeps, at a time: it waits behind itself.
const READS_OF_A_GUILD: usize = 2;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLite's result codes for "cannot open the file" and "the file is read-only".
const NOT_WRITABLE: [&str; 2] = ["14", "8"];

/// The order is the order in which they run; what has been released is never edited.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "templates and tokens", include_str!("../../../migrations/sqlite/0001_templates_and_tokens.sql")),
    (2, "guild limits", include_str!("../../../migrations/sqlite/0002_guild_limits.sql")),
    (3, "key-value records", include_str!("../../../migrations/sqlite/0003_kv.sql")),
    (4, "secrets and objects", include_str!("../../../migrations/sqlite/0004_secrets_and_objects.sql")),
    (5, "template authors", include_str!("../../../migrations/sqlite/0005_template_authors.sql")),
    (6, "versions after deletes", include_str!("../../../migrations/sqlite/0006_versions_after_deletes.sql")),
    (7, "bytes of versions", include_str!("../../../migrations/sqlite/0007_bytes_of_versions.sql")),
];

/// Storage in SQLite. Made once; share it behind an `Arc`.
#[derive(Debug)]
pub struct SqliteStorage {
    writer: SqlitePool,
    lanes: Arc<Lanes>,
    readers: SqlitePool,
    /// For what guilds keep.
    guild_readers: SqlitePool,
    places: GuildPlaces,
    kv: kv::Writer,
}

impl SqliteStorage {
    /// Opens the database in `folder`, makes both where they are missing, and brings the database up to date.
    ///
    /// # Errors
    /// `Folder` where it cannot be written, `Migration` where a newer version has used it.
    pub async fn open(folder: &Path) -> Result<Self, StorageError> {
        let unusable = |source| StorageError::Folder { path: folder.to_owned(), source };
        data_folder::make(folder).map_err(|source| unusable(source.into()))?;
        let options = options().filename(folder.join(FILE)).create_if_missing(true);
        let open = async {
            let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
            // A folder may be readable only, with a database in it: better to hear that now than at the first change.
            writer.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
            Ok(writer)
        };
        let writer = open.await.map_err(|error: sqlx::Error| {
            let code = error.as_database_error().and_then(|error| error.code());
            let locked_out = code.is_some_and(|code| NOT_WRITABLE.contains(&code.as_ref()));
            if locked_out { unusable(error.into()) } else { error.into() }
        })?;
        migrate(&writer).await?;
        let readers = || SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options.clone());
        Ok(Self::of(writer, readers(), readers()))
    }

    /// A database in memory, which is gone with this value.
    ///
    /// # Errors
    /// Where SQLite itself fails.
    pub async fn in_memory() -> Result<Self, StorageError> {
        // The database lives in its one connection, so that must never be let go of.
        let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = pool.connect_with(options().in_memory(true)).await?;
        migrate(&writer).await?;
        Ok(Self::of(writer.clone(), writer.clone(), writer))
    }

    fn of(writer: SqlitePool, readers: SqlitePool, guild_readers: SqlitePool) -> Self {
        let (lanes, places) = (Arc::new(Lanes::default()), GuildPlaces::new(READS_OF_A_GUILD));
        let kv = kv::Writer::start(writer.clone(), Arc::clone(&lanes));
        Self { writer, lanes, readers, guild_readers, places, kv }
    }

    /// A transaction that holds the write lock from its start, so that what it reads first stays true until it writes; when
    /// it is the turn of the guild, or of the service itself.
    async fn write(&self, guild: impl Into<Option<GuildId>>) -> Result<Write, StorageError> {
        let turn = self.lanes.other(guild.into()).await;
        Ok(Write { transaction: self.writer.begin_with("BEGIN IMMEDIATE").await?, _turn: turn })
    }

    /// A connection for what `guild` keeps, when it is its turn.
    async fn read_of(&self, guild: GuildId) -> Result<ReadOf, StorageError> {
        let place = self.places.take(guild).await;
        Ok(ReadOf { connection: self.guild_readers.acquire().await?, _place: place })
    }

    /// A transaction that sees one moment.
    async fn read(&self) -> Result<Transaction<'static, Sqlite>, StorageError> {
        Ok(self.readers.begin().await?)
    }
}

/// A transaction that has the one connection that writes.
struct Write {
    transaction: Transaction<'static, Sqlite>,
    // Given back after the connection.
    _turn: Turn,
}

impl Write {
    async fn commit(self) -> Result<(), StorageError> {
        Ok(self.transaction.commit().await?)
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

/// A connection that a guild's read has for itself.
struct ReadOf {
    connection: PoolConnection<Sqlite>,
    // Given back after the connection.
    _place: Place,
}

impl ReadOf {
    /// A transaction that sees one moment.
    async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, StorageError> {
        Ok(self.connection.begin().await?)
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
}

async fn migrate(pool: &SqlitePool) -> Result<(), StorageError> {
    let migrations = MIGRATIONS.map(|(version, what, sql)| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.into());
    migrator.run(pool).await.map_err(|error| StorageError::Migration(error.into()))
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Now, as exact as it is stored.
fn now() -> i64 {
    to_micros(OffsetDateTime::now_utc())
}

/// Microseconds since 1970; every date that `time` can hold fits.
fn to_micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Result<OffsetDateTime, Unreadable> {
    Ok(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)?)
}

/// What is wrong with something stored; whoever knows what it is makes a `StorageError` of it.
type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// Ids are at most `i64::MAX`, see `ids`.
fn guild_column(guild: GuildId) -> i64 {
    i64::try_from(guild.get()).unwrap_or(i64::MAX)
}

/// Makes sure that there is a row for the guild, which others refer to.
async fn make_guild(db: &mut SqliteConnection, guild: GuildId) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO guilds (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(guild_column(guild))
        .bind(now())
        .execute(db)
        .await?;
    Ok(())
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn put_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
        draft: TemplateDraft,
        if_match: Option<u32>,
        max_templates: usize,
    ) -> Result<(Template, Written), StorageError> {
        let mut transaction = self.write(guild).await?;
        let written = templates::put(&mut transaction, guild, name, draft, if_match, max_templates).await?;
        transaction.commit().await?;
        Ok(written)
    }

    async fn patch_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
        patch: TemplatePatch,
        if_match: Option<u32>,
    ) -> Result<Option<Template>, StorageError> {
        let mut transaction = self.write(guild).await?;
        let patched = templates::patch(&mut transaction, guild, name, patch, if_match).await?;
        transaction.commit().await?;
        Ok(patched)
    }

    async fn get_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
    ) -> Result<Option<Template>, StorageError> {
        let mut read = self.read_of(guild).await?;
        templates::get(&mut *read.begin().await?, guild, name).await
    }

    async fn list_templates(
        &self,
        guild: GuildId,
        after: Option<&TemplateName>,
        limit: u32,
    ) -> Result<Vec<TemplateInfo>, StorageError> {
        let mut read = self.read_of(guild).await?;
        templates::list(&mut *read.begin().await?, guild, after, limit).await
    }

    async fn templates_of(&self, guild: GuildId) -> Result<Vec<Template>, StorageError> {
        templates::all(&mut *self.read().await?, guild).await
    }

    async fn delete_template(
        &self,
        guild: GuildId,
        name: &TemplateName,
        if_match: Option<u32>,
    ) -> Result<bool, StorageError> {
        let mut transaction = self.write(guild).await?;
        let deleted = templates::delete(&mut transaction, guild, name, if_match).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn template_versions(
        &self,
        guild: GuildId,
        name: &TemplateName,
    ) -> Result<Vec<TemplateVersion>, StorageError> {
        let mut read = self.read_of(guild).await?;
        templates::versions(&mut *read.begin().await?, guild, name).await
    }

    async fn put_limits(&self, guild: GuildId, overrides: &LimitOverrides) -> Result<(), StorageError> {
        let mut transaction = self.write(None).await?;
        limits::put(&mut transaction, guild, overrides).await?;
        transaction.commit().await
    }

    async fn all_limits(&self) -> Result<Vec<(GuildId, LimitOverrides)>, StorageError> {
        limits::all(&mut *self.read().await?).await
    }

    async fn insert_token(&self, token: &Token, hash: &TokenHash) -> Result<(), StorageError> {
        let mut transaction = self.write(None).await?;
        tokens::insert(&mut transaction, token, hash).await?;
        transaction.commit().await
    }

    async fn find_token_by_hash(&self, hash: &TokenHash) -> Result<Option<Token>, StorageError> {
        let found = tokens::find(&mut *self.read().await?, hash).await?;
        Ok(found.filter(|token| token.is_live(OffsetDateTime::now_utc())))
    }

    async fn list_tokens(&self) -> Result<Vec<Token>, StorageError> {
        tokens::list(&mut *self.read().await?).await
    }

    async fn revoke_token(&self, id: TokenId) -> Result<bool, StorageError> {
        let mut transaction = self.write(None).await?;
        let revoked = tokens::revoke(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(revoked)
    }

    async fn count_tokens(&self) -> Result<u64, StorageError> {
        tokens::count(&mut *self.read().await?).await
    }

    async fn check(&self) -> Result<(), StorageError> {
        sqlx::query("SELECT id FROM guilds LIMIT 1").fetch_optional(&self.readers).await?;
        Ok(())
    }

    async fn close(&self) {
        self.kv.close().await;
        self.readers.close().await;
        self.guild_readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = SqliteStorage::open(&file.join("data")).await.unwrap_err();
        assert!(matches!(error, StorageError::Folder { .. }), "{error:?}");
        assert!(error.to_string().contains("--data"), "{error}");
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        // A folder in place of the file fails also where the user may write everywhere.
        std::fs::create_dir(folder.path().join(FILE)).unwrap();
        let error = SqliteStorage::open(folder.path()).await.unwrap_err();
        assert!(matches!(error, StorageError::Folder { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn what_guilds_read_holds_up_neither_events_nor_guilds_that_read_little() {
        let folder = tempfile::tempdir().unwrap();
        let storage = SqliteStorage::open(folder.path()).await.unwrap();
        let guild = |id| GuildId::new(id).unwrap();
        let mut reading = Vec::new();
        for _ in 0..READS_OF_A_GUILD {
            reading.push(storage.read_of(guild(1)).await.unwrap());
        }
        let soon = std::time::Duration::from_millis(50);
        assert!(
            tokio::time::timeout(soon, storage.read_of(guild(1))).await.is_err(),
            "it waits behind itself"
        );
        while reading.len() < READERS as usize {
            reading.push(storage.read_of(guild(1 + reading.len() as u64)).await.unwrap());
        }
        // All connections for what guilds keep are taken.
        assert!(tokio::time::timeout(soon, storage.read_of(guild(9))).await.is_err());
        let name = "greet".parse().unwrap();
        for asked in [
            tokio::time::timeout(soon, storage.get_template(guild(9), &name)).await.is_err(),
            tokio::time::timeout(soon, storage.list_templates(guild(9), None, 1)).await.is_err(),
            tokio::time::timeout(soon, storage.template_versions(guild(9), &name)).await.is_err(),
        ] {
            assert!(asked, "what templates ask for is read there as well");
        }
        assert!(storage.templates_of(guild(9)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_database_in_memory_lasts_as_long_as_its_value() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        let (first, second) = tokio::join!(storage.count_tokens(), storage.revoke_token(TokenId::fresh()));
        assert_eq!((first.unwrap(), second.unwrap()), (0, false));
        assert!(storage.check().await.is_ok());
        assert_eq!(SqliteStorage::in_memory().await.unwrap().count_tokens().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let storage = SqliteStorage::open(folder.path()).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'of tomorrow', 1, x'00', 0)";
        sqlx::query(newer).execute(&storage.writer).await.unwrap();
        storage.close().await;
        let error = SqliteStorage::open(folder.path()).await.unwrap_err();
        assert!(matches!(error, StorageError::Migration(_)), "{error:?}");
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = SqliteStorage::open(folder.path()).await.unwrap();
        let pragma = |name: &'static str| sqlx::query_scalar::<_, i64>(name).fetch_one(&storage.writer);
        assert_eq!(pragma("PRAGMA synchronous").await.unwrap(), 2, "FULL");
        assert_eq!(pragma("PRAGMA foreign_keys").await.unwrap(), 1);
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&storage.writer).await.unwrap();
        assert_eq!(mode, "wal");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_new_data_folder_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        SqliteStorage::open(&data).await.unwrap().close().await;
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
