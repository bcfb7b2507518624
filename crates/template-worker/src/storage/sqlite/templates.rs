//! The statements about templates. Each function runs inside a transaction that its caller began and commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use khronos::Bundle;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection};

use super::{Unreadable, from_micros, guild_column, make_guild, now};
use crate::ids::GuildId;
use crate::storage::{KEPT_VERSION_BYTES, KEPT_VERSIONS, StorageError, TemplateVersion, Written};
use crate::template::{Author, Template, TemplateDraft, TemplateInfo, TemplateName, TemplatePatch};

/// Bytes of old versions after which no more are forgotten with one change: whoever writes next waits meanwhile.
const FORGOTTEN_AT_ONCE: u32 = 16 << 20;

/// A template's current version as it is stored, without its files.
struct Row {
    name: String,
    version: i64,
    files_version: i64,
    events: String,
    capabilities: String,
    description: String,
    error_channel: Option<String>,
    paused: bool,
    created_at: i64,
    created_by: Option<String>,
    stored_at: i64,
    stored_by: Option<String>,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            files_version: row.try_get("files_version")?,
            events: row.try_get("events")?,
            capabilities: row.try_get("capabilities")?,
            description: row.try_get("description")?,
            error_channel: row.try_get("error_channel")?,
            paused: row.try_get("paused")?,
            created_at: row.try_get("created_at")?,
            created_by: row.try_get("created_by")?,
            stored_at: row.try_get("stored_at")?,
            stored_by: row.try_get("stored_by")?,
        })
    }
}

pub(super) async fn put(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
    draft: TemplateDraft,
    if_match: Option<u32>,
    max_templates: usize,
) -> Result<(Template, Written), StorageError> {
    let before = current(db, guild, name).await?;
    check_version(if_match, before.as_ref().map(|before| before.version))?;
    let written = if before.is_none() { Written::Created } else { Written::Replaced };
    if written == Written::Created {
        make_room(db, guild, max_templates).await?;
    }
    let now = now();
    let time = |micros| from_micros(micros).map_err(|source| unreadable(guild, name.as_str(), source));
    let (version, created_at, created_by) = match before {
        Some(before) => (before.version + 1, before.created_at, before.created_by),
        None => (first_version(db, guild).await?, now, draft.author.clone()),
    };
    let info = TemplateInfo {
        guild,
        name: name.clone(),
        version,
        events: draft.events,
        capabilities: draft.capabilities,
        description: draft.description,
        error_channel: draft.error_channel,
        paused: draft.paused,
        created_at: time(created_at)?,
        created_by,
        updated_at: time(now)?,
        updated_by: draft.author,
    };
    insert_version(db, &info, &draft.bundle, version, created_at, now).await?;
    for (path, source) in draft.bundle.files() {
        sqlx::query(
            "INSERT INTO template_files (guild, name, files_version, path, source) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(guild_column(guild))
        .bind(name.as_str())
        .bind(version)
        .bind(path)
        .bind(&*source.text)
        .execute(&mut *db)
        .await?;
    }
    forget_old_versions(db, guild, name, version).await?;
    Ok((Template { info, bundle: draft.bundle }, written))
}

pub(super) async fn patch(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
    patch: TemplatePatch,
    if_match: Option<u32>,
) -> Result<Option<Template>, StorageError> {
    let Some(row) = rows(db, guild, Some(name), None, 1).await?.pop() else { return Ok(None) };
    let (files_version, created_at) = (row.files_version, row.created_at);
    let Template { mut info, bundle } = with_files(db, guild, row).await?;
    check_version(if_match, Some(info.version))?;
    let now = now();
    info.version += 1;
    info.events = patch.events.unwrap_or(info.events);
    info.capabilities = patch.capabilities.unwrap_or(info.capabilities);
    info.description = patch.description.unwrap_or(info.description);
    info.error_channel = patch.error_channel.unwrap_or(info.error_channel);
    info.paused = patch.paused.unwrap_or(info.paused);
    info.updated_at = from_micros(now).map_err(|source| unreadable(guild, name.as_str(), source))?;
    info.updated_by = patch.author;
    insert_version(db, &info, &bundle, files_version, created_at, now).await?;
    forget_old_versions(db, guild, name, info.version).await?;
    Ok(Some(Template { info, bundle }))
}

pub(super) async fn get(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
) -> Result<Option<Template>, StorageError> {
    match rows(db, guild, Some(name), None, 1).await?.pop() {
        Some(row) => with_files(db, guild, row).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn list(
    db: &mut SqliteConnection,
    guild: GuildId,
    after: Option<&TemplateName>,
    limit: u32,
) -> Result<Vec<TemplateInfo>, StorageError> {
    rows(db, guild, None, after, limit).await?.into_iter().map(|row| understand(guild, row)).collect()
}

pub(super) async fn all(db: &mut SqliteConnection, guild: GuildId) -> Result<Vec<Template>, StorageError> {
    let mut templates = Vec::new();
    for row in rows(db, guild, None, None, u32::MAX).await? {
        templates.push(with_files(db, guild, row).await?);
    }
    Ok(templates)
}

pub(super) async fn delete(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
    if_match: Option<u32>,
) -> Result<bool, StorageError> {
    let version = current(db, guild, name).await?.map(|before| before.version);
    check_version(if_match, version)?;
    let Some(version) = version else { return Ok(false) };
    sqlx::query("UPDATE guilds SET last_version = max(last_version, ?) WHERE id = ?")
        .bind(version)
        .bind(guild_column(guild))
        .execute(&mut *db)
        .await?;
    // Versions and files go with it, by their foreign keys.
    sqlx::query("DELETE FROM templates WHERE guild = ? AND name = ?")
        .bind(guild_column(guild))
        .bind(name.as_str())
        .execute(db)
        .await?;
    Ok(true)
}

pub(super) async fn versions(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
) -> Result<Vec<TemplateVersion>, StorageError> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT version, files_version, stored_at FROM template_versions WHERE guild = ? AND name = ? \
         ORDER BY version DESC",
    )
    .bind(guild_column(guild))
    .bind(name.as_str())
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|(version, files_version, stored_at)| {
            Ok(TemplateVersion {
                version: u32::try_from(version)?,
                new_files: version == files_version,
                stored_at: from_micros(stored_at)?,
            })
        })
        .collect::<Result<_, Unreadable>>()
        .map_err(|source| unreadable(guild, name.as_str(), source))
}

/// What is known of a template that is about to be replaced.
struct Before {
    version: u32,
    created_at: i64,
    created_by: Option<Author>,
}

/// The version that the template is in, and when and by whom its first was stored.
async fn current(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
) -> Result<Option<Before>, StorageError> {
    let row: Option<(u32, i64, Option<String>)> =
        sqlx::query_as("SELECT version, created_at, created_by FROM templates WHERE guild = ? AND name = ?")
            .bind(guild_column(guild))
            .bind(name.as_str())
            .fetch_optional(db)
            .await?;
    let Some((version, created_at, created_by)) = row else { return Ok(None) };
    let created_by = author(created_by).map_err(|source| unreadable(guild, name.as_str(), source))?;
    Ok(Some(Before { version, created_at, created_by }))
}

fn check_version(wanted: Option<u32>, current: Option<u32>) -> Result<(), StorageError> {
    if wanted.is_some_and(|wanted| wanted != current.unwrap_or(0)) {
        Err(StorageError::VersionConflict { current })
    } else {
        Ok(())
    }
}

/// Makes sure that the guild exists and may have one template more.
async fn make_room(db: &mut SqliteConnection, guild: GuildId, limit: usize) -> Result<(), StorageError> {
    make_guild(db, guild).await?;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM templates WHERE guild = ?")
        .bind(guild_column(guild))
        .fetch_one(db)
        .await?;
    let full = usize::try_from(count).unwrap_or(usize::MAX) >= limit;
    if full { Err(StorageError::TooManyTemplates { limit }) } else { Ok(()) }
}

/// The version that a new template of the guild begins with: none that one had which was deleted.
async fn first_version(db: &mut SqliteConnection, guild: GuildId) -> Result<u32, StorageError> {
    let last: u32 = sqlx::query_scalar("SELECT last_version FROM guilds WHERE id = ?")
        .bind(guild_column(guild))
        .fetch_one(db)
        .await?;
    Ok(last + 1)
}

async fn insert_version(
    db: &mut SqliteConnection,
    info: &TemplateInfo,
    bundle: &Bundle,
    files_version: impl Into<i64>,
    created_at: i64,
    now: i64,
) -> Result<(), StorageError> {
    let (guild, name) = (guild_column(info.guild), info.name.as_str());
    let json = |source: serde_json::Error| StorageError::Failed(source.into());
    let (events, capabilities) =
        (serde_json::to_string(&info.events), serde_json::to_string(&info.capabilities));
    let (events, capabilities) = (events.map_err(json)?, capabilities.map_err(json)?);
    let files_bytes: usize = bundle.files().map(|(path, source)| path.len() + source.text.len()).sum();
    sqlx::query(
        "INSERT INTO templates (guild, name, version, created_at, created_by) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (guild, name) DO UPDATE SET version = excluded.version",
    )
    .bind(guild)
    .bind(name)
    .bind(info.version)
    .bind(created_at)
    .bind(info.created_by.as_ref().map(Author::as_str))
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO template_versions (guild, name, version, files_version, events, capabilities, description, \
         error_channel, paused, stored_at, stored_by, bytes, files_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(guild)
    .bind(name)
    .bind(info.version)
    .bind(files_version.into())
    .bind(&events)
    .bind(&capabilities)
    .bind(&info.description)
    .bind(&info.error_channel)
    .bind(info.paused)
    .bind(now)
    .bind(info.updated_by.as_ref().map(Author::as_str))
    .bind(size(events.len() + capabilities.len() + info.description.len()))
    .bind(size(files_bytes))
    .execute(db)
    .await?;
    Ok(())
}

/// Sizes are bounded far below `i64::MAX`.
fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Keeps the last versions of the template, and of all others of the guild what its old versions may have together.
async fn forget_old_versions(
    db: &mut SqliteConnection,
    guild: GuildId,
    name: &TemplateName,
    version: u32,
) -> Result<(), StorageError> {
    sqlx::query("DELETE FROM template_versions WHERE guild = ? AND name = ? AND version <= ?")
        .bind(guild_column(guild))
        .bind(name.as_str())
        .bind(version.saturating_sub(KEPT_VERSIONS))
        .execute(&mut *db)
        .await?;
    let mut changed: BTreeSet<String> = forget_oldest(db, guild).await?.into_iter().collect();
    changed.insert(name.as_str().to_owned());
    for name in changed {
        sqlx::query(
            "DELETE FROM template_files WHERE guild = ?1 AND name = ?2 AND files_version NOT IN \
             (SELECT files_version FROM template_versions WHERE guild = ?1 AND name = ?2)",
        )
        .bind(guild_column(guild))
        .bind(name)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Forgets the oldest of the guild's old versions while they have too many bytes together, and returns their templates. Files
/// that versions share count for the last of them.
async fn forget_oldest(db: &mut SqliteConnection, guild: GuildId) -> Result<Vec<String>, StorageError> {
    // The index has all that is needed: the rows themselves are as large as what is counted.
    let names = sqlx::query_scalar(
        "WITH kept AS ( \
             SELECT name, version, stored_at, bytes, files_bytes, files_version, \
                 lead(files_version) OVER (PARTITION BY name ORDER BY version) AS next_files \
             FROM template_versions INDEXED BY template_versions_by_bytes WHERE guild = ?1 \
         ), old AS ( \
             SELECT name, version, stored_at, bytes + iif(next_files = files_version, 0, files_bytes) AS bytes \
             FROM kept WHERE next_files IS NOT NULL \
         ), summed AS ( \
             SELECT name, version, sum(bytes) OVER (ORDER BY stored_at DESC, version DESC, name DESC \
                 ROWS UNBOUNDED PRECEDING) AS newer, sum(bytes) OVER () AS whole FROM old \
         ) DELETE FROM template_versions WHERE guild = ?1 AND (name, version) IN \
             (SELECT name, version FROM summed WHERE newer > ?2 AND whole - newer < ?3) RETURNING name",
    )
    .bind(guild_column(guild))
    .bind(KEPT_VERSION_BYTES)
    .bind(FORGOTTEN_AT_ONCE)
    .fetch_all(db)
    .await?;
    Ok(names)
}

/// Current versions: the one called `only`, or all after `after`, at most `limit`, ordered by name.
async fn rows(
    db: &mut SqliteConnection,
    guild: GuildId,
    only: Option<&TemplateName>,
    after: Option<&TemplateName>,
    limit: u32,
) -> Result<Vec<Row>, StorageError> {
    let rows = sqlx::query_as(
        "SELECT name, version, files_version, events, capabilities, description, error_channel, paused, created_at, \
         created_by, stored_at, stored_by FROM templates JOIN template_versions USING (guild, name, version) \
         WHERE guild = ?1 AND (?2 IS NULL OR name = ?2) AND (?3 IS NULL OR name > ?3) ORDER BY name LIMIT ?4",
    )
    .bind(guild_column(guild))
    .bind(only.map(TemplateName::as_str))
    .bind(after.map(TemplateName::as_str))
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

async fn with_files(db: &mut SqliteConnection, guild: GuildId, row: Row) -> Result<Template, StorageError> {
    let files: Vec<(String, String)> = sqlx::query_as(
        "SELECT path, source FROM template_files WHERE guild = ? AND name = ? AND files_version = ?",
    )
    .bind(guild_column(guild))
    .bind(&row.name)
    .bind(row.files_version)
    .fetch_all(db)
    .await?;
    let bundle = Bundle::new(files).map_err(|source| unreadable(guild, &row.name, source.into()))?;
    Ok(Template { info: understand(guild, row)?, bundle: Arc::new(bundle) })
}

fn understand(guild: GuildId, row: Row) -> Result<TemplateInfo, StorageError> {
    let name = row.name.clone();
    let understood = || -> Result<TemplateInfo, Unreadable> {
        Ok(TemplateInfo {
            guild,
            name: row.name.parse()?,
            version: u32::try_from(row.version)?,
            events: serde_json::from_str(&row.events)?,
            capabilities: serde_json::from_str(&row.capabilities)?,
            description: row.description,
            error_channel: row.error_channel,
            paused: row.paused,
            created_at: from_micros(row.created_at)?,
            created_by: author(row.created_by)?,
            updated_at: from_micros(row.stored_at)?,
            updated_by: author(row.stored_by)?,
        })
    };
    understood().map_err(|source| unreadable(guild, &name, source))
}

fn author(text: Option<String>) -> Result<Option<Author>, Unreadable> {
    Ok(text.map(|text| text.parse()).transpose()?)
}

fn unreadable(guild: GuildId, name: &str, source: Unreadable) -> StorageError {
    StorageError::Unreadable { what: format!("template \"{name}\" of guild {guild}"), source }
}

#[cfg(test)]
mod tests {
    use super::super::SqliteStorage;
    use super::*;
    use crate::capabilities::Capabilities;
    use crate::storage::Storage as _;

    #[tokio::test]
    async fn old_versions_go_with_their_files_and_not_too_many_at_once() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        let guild = GuildId::new(1).unwrap();
        let put = async |name: &str| {
            let draft = TemplateDraft {
                bundle: Arc::new(Bundle::new([("init.luau".to_owned(), "return 1".to_owned())]).unwrap()),
                events: Vec::new(),
                capabilities: Capabilities::default(),
                description: String::new(),
                error_channel: None,
                paused: false,
                author: None,
            };
            storage.put_template(guild, &name.parse().unwrap(), draft, None, 10).await.unwrap();
        };
        let files = async || -> Vec<(String, i64)> {
            sqlx::query_as("SELECT name, files_version FROM template_files ORDER BY name, files_version")
                .fetch_all(&storage.readers)
                .await
                .unwrap()
        };
        for _ in 0..4 {
            put("a").await;
        }
        sqlx::query("UPDATE template_versions SET files_bytes = ? WHERE version < 4")
            .bind(KEPT_VERSION_BYTES - 1_000)
            .execute(&storage.writer)
            .await
            .unwrap();
        for (first, last) in [(2, 1), (3, 2), (3, 3)] {
            put("b").await;
            let of_a = (first..=4).map(|version| ("a".to_owned(), version));
            let of_b = (1..=last).map(|version| ("b".to_owned(), version));
            assert_eq!(files().await, of_a.chain(of_b).collect::<Vec<_>>());
        }
    }
}
