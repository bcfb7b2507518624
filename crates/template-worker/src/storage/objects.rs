//! The books of guilds' objects: which there are, how large, and what their contents are called in the object store.
//!
//! Owns what storage promises about them. A content is written before its object is booked, and removed after; whatever is
//! in between is *loose*, and booked as that before anything happens, so that a crash leaves nothing that is not known.

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StorageError;
use crate::ids::GuildId;

/// An object, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRecord {
    /// What templates call it.
    pub key: String,
    /// What its content is called in the object store. A new content has a new name.
    pub blob: Uuid,
    /// Bytes of its content.
    pub size: u64,
    /// A text that is another one when the content is.
    pub etag: String,
    /// When it was stored; set by storage.
    pub stored_at: OffsetDateTime,
}

/// What a guild may have of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectQuota {
    /// Objects.
    pub objects: u64,
    /// Bytes of all contents together.
    pub bytes: u64,
}

/// A content that belongs to no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LooseBlob {
    /// Whose it is.
    pub guild: GuildId,
    /// What it is called.
    pub blob: Uuid,
}

/// What storage does about objects.
#[async_trait]
pub trait ObjectBooks: Send + Sync {
    /// Books a content of `size` bytes as on its way in to `key`, which takes its room from now on. What is on its way
    /// counts beside what is there, so that uploads at the same time never get past the quota together.
    ///
    /// # Errors
    /// `TooManyObjects` and `ObjectsTooLarge` where there is no room.
    async fn begin_object(
        &self,
        guild: GuildId,
        key: &str,
        blob: Uuid,
        size: u64,
        quota: ObjectQuota,
    ) -> Result<(), StorageError>;

    /// Books the object, whose content has arrived; the content that it had before is loose from now on, and returned.
    ///
    /// # Errors
    /// `Failed`, and nothing is changed; also where the content is not on its way in any more.
    async fn finish_object(
        &self,
        guild: GuildId,
        object: &ObjectRecord,
    ) -> Result<(ObjectRecord, Option<LooseBlob>), StorageError>;

    /// The object of this key.
    async fn find_object(&self, guild: GuildId, key: &str) -> Result<Option<ObjectRecord>, StorageError>;

    /// The object that this is the content of.
    async fn find_object_of(&self, guild: GuildId, blob: Uuid) -> Result<Option<ObjectRecord>, StorageError>;

    /// At most `limit` objects whose keys start with `prefix`, ordered by key, those after `after`.
    async fn list_objects(
        &self,
        guild: GuildId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ObjectRecord>, StorageError>;

    /// Removes an object; its content is loose from now on, and returned. `None` where there was none.
    async fn delete_object(&self, guild: GuildId, key: &str) -> Result<Option<LooseBlob>, StorageError>;

    /// Books what is on its way in as on its way out: one content, or all of them, when the service starts. `false` where
    /// none was on its way in.
    async fn abandon_incoming(&self, content: Option<LooseBlob>) -> Result<bool, StorageError>;

    /// At most `limit` contents on their way out, ordered by what they are called, those after `after`; and what to begin
    /// after for the next ones, where there may be more. One that cannot be read is left out, and logged.
    async fn outgoing_blobs(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<LooseBlob>, Option<String>), StorageError>;

    /// Forgets a loose content, which is gone from the object store.
    async fn forget_blob(&self, content: LooseBlob) -> Result<(), StorageError>;
}

/// The texts that start with `prefix` are those from `prefix` up to this one; `None` where all further ones do.
pub(super) fn end_of(prefix: &str) -> Option<String> {
    let mut kept: Vec<char> = prefix.chars().collect();
    while let Some(last) = kept.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            kept.push(next);
            return Some(kept.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text_of_its_length() {
        assert_eq!(end_of("a/"), Some("a0".to_owned()));
        assert_eq!(end_of("a\u{d7ff}"), Some("a\u{e000}".to_owned()), "there is nothing between");
        assert_eq!(end_of("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(end_of(""), None);
        assert_eq!(end_of("\u{10ffff}"), None);
    }
}
