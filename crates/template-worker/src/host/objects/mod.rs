//! `ctx.ObjectStorage`: files of a guild, under names that its templates choose.
//!
//! Owns the order in which books and contents change, so that they agree whatever happens in between: a content is booked
//! as on its way in, written, and booked as its object's; a content that is not needed any more is booked as on its way
//! out, removed, and forgotten. What is acknowledged is both booked and written. After a crash, whatever is on its way
//! belongs to nobody, and is removed.
//!
//! The books, and with them the quota, are `storage`'s; where contents lie is for `stores`.

mod keys;
mod line;
mod stores;
mod urls;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use keys::MOST_KEY_BYTES;
pub use line::MOST_WAITING_BYTES;
pub use stores::{Contents, OpenError};

use self::line::Line;
use super::secrets::{KeyError, KeyFile};
use crate::ids::GuildId;
use crate::storage::{LooseBlob, ObjectQuota, ObjectRecord, Storage, StorageError};

/// Objects of one list; the next begins after the last.
pub const MOST_LISTED: u32 = 1_000;
/// Contents that are removed at a time.
const SWEPT: u32 = 256;
/// How often what could not be removed is tried again.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(300);

/// What a guild may have of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLimits {
    /// Bytes of one content.
    pub object_bytes: usize,
    /// How many, and bytes of all together.
    pub quota: ObjectQuota,
}

/// Why something about objects was not done, in words for a template's author.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The key is none.
    #[error("`{key}` cannot be the key of an object: {why}")]
    Key {
        /// Its beginning.
        key: String,
        /// What is wrong with it, and what to use.
        why: &'static str,
    },
    /// The content is larger than it may be.
    #[error("the object is larger than {limit} bytes (MAX_OBJECT_BYTES); store less, or in parts")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// There is no such object.
    #[error("there is no object `{key}`; `file_exists` tells, and `list_files` lists all")]
    NotFound {
        /// The key.
        key: String,
    },
    /// A URL would last too long, or not at all.
    #[error("a URL lasts from one second to seven days")]
    UrlTime,
    /// The service does not know its own address.
    #[error(
        "URLs of objects need the address at which this service is reached from outside: its operator can set it \
         (`links.api_url` in the configuration)"
    )]
    NoAddress,
    /// The place for contents does not work.
    #[error("the store of objects does not work at the moment; try again later")]
    Store(#[from] object_store::Error),
    /// There is no place for contents.
    #[error("the store of objects cannot be used: the operator of the service has to look at it")]
    Open(#[from] OpenError),
    /// URLs cannot be signed.
    #[error(
        "URLs of objects cannot be made at the moment: the operator of the service has to look at its key file"
    )]
    Sign(#[from] KeyError),
    /// Too many contents wait to be stored.
    #[error(
        "too many objects of {whose} wait to be stored; try again in a moment, and wait for each before the next"
    )]
    Busy {
        /// Whose they are.
        whose: &'static str,
    },
    /// An upload was cut off, with the whole service.
    #[error("the upload was cut off; try again")]
    CutOff,
    /// Storage failed, or the guild's quota is used up.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The content of an object that somebody has a URL of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// What it is called.
    pub key: String,
    /// Its content.
    pub content: Vec<u8>,
    /// How long the URL lasts on.
    pub lasts: Duration,
}

/// Opens the place for contents, when it is needed first.
type Opener = Box<dyn Fn() -> Result<Contents, OpenError> + Send + Sync>;

/// The objects of all guilds.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    storage: Arc<dyn Storage>,
    open: Opener,
    contents: OnceCell<Contents>,
    line: Line,
    key: Arc<KeyFile>,
    /// Where this service is reached from outside; empty where nobody said.
    address: String,
}

impl Objects {
    /// Objects that are booked in `storage`. `open` is asked for the place of their contents when it is needed first; `key`
    /// seals URLs, which begin with `address`.
    pub fn new(
        storage: Arc<dyn Storage>,
        open: impl Fn() -> Result<Contents, OpenError> + Send + Sync + 'static,
        key: Arc<KeyFile>,
        address: &str,
    ) -> Self {
        let address = address.trim_end_matches('/').to_owned();
        let (contents, line) = (OnceCell::new(), Line::default());
        Self(Arc::new(Inner { storage, open: Box::new(open), contents, line, key, address }))
    }

    /// Books what a service before this one has left on its way in as nobody's. To be called before the first upload.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn take_over(&self) -> Result<(), StorageError> {
        self.0.storage.abandon_incoming(None).await.map(|_| ())
    }

    /// Removes what is nobody's, again and again; never ends.
    pub async fn sweep_for_ever(&self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to look for contents of objects to remove; tried again later"
                );
            }
            tokio::time::sleep(BETWEEN_SWEEPS).await;
        }
    }

    /// Removes the contents that are on their way out. One that stays holds up no other.
    async fn sweep(&self) -> Result<(), StorageError> {
        let mut next = Some(String::new());
        while let Some(after) = next {
            let (swept, last) = self.0.storage.outgoing_blobs(&after, SWEPT).await?;
            for blob in swept {
                self.remove_soon(Some(blob)).await;
            }
            next = last;
        }
        Ok(())
    }

    /// At most [`MOST_LISTED`] of the guild's objects whose keys start with `prefix`, ordered by key, those after `after`.
    ///
    /// # Errors
    /// Where storage fails, or a key could be none.
    pub async fn list(
        &self,
        guild: GuildId,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<ObjectRecord>, ObjectsError> {
        if prefix.len() > MOST_KEY_BYTES || after.is_some_and(|after| after.len() > MOST_KEY_BYTES) {
            let key = prefix.chars().take(80).collect();
            return Err(ObjectsError::Key { key, why: "a key has 1 to 2,048 bytes" });
        }
        Ok(self.0.storage.list_objects(guild, prefix, after, MOST_LISTED).await?)
    }

    /// Whether the guild has this object.
    ///
    /// # Errors
    /// Where storage fails, or the key is none.
    pub async fn exists(&self, guild: GuildId, key: &str) -> Result<bool, ObjectsError> {
        keys::check(key)?;
        Ok(self.0.storage.find_object(guild, key).await?.is_some())
    }

    /// The content of an object.
    ///
    /// # Errors
    /// `NotFound`, or where storage fails.
    pub async fn download(&self, guild: GuildId, key: &str) -> Result<Vec<u8>, ObjectsError> {
        keys::check(key)?;
        let missing = || ObjectsError::NotFound { key: key.to_owned() };
        let mut record = self.0.storage.find_object(guild, key).await?.ok_or_else(missing)?;
        loop {
            match self.content(guild, &record).await {
                // Somebody may have stored another content since the books were read.
                Err(object_store::Error::NotFound { path, source }) => {
                    let now = self.0.storage.find_object(guild, key).await?.ok_or_else(missing)?;
                    if now.blob == record.blob {
                        return Err(object_store::Error::NotFound { path, source }.into());
                    }
                    record = now;
                }
                came => return Ok(came?),
            }
        }
    }

    /// Stores an object, in place of one with its key. Once it is its turn, it goes on to its end when nobody waits for it any
    /// more.
    ///
    /// # Errors
    /// Where the content is too large or the quota used up, or too much waits already; then nothing has changed.
    pub async fn upload(
        &self,
        guild: GuildId,
        key: &str,
        content: Vec<u8>,
        limits: ObjectLimits,
    ) -> Result<ObjectRecord, ObjectsError> {
        keys::check(key)?;
        if content.len() > limits.object_bytes {
            return Err(ObjectsError::TooLarge { limit: limits.object_bytes });
        }
        let on_its_way = self.0.line.enter(guild, content.len()).await?;
        let (objects, key) = (self.clone(), key.to_owned());
        let upload = async move {
            let stored = objects.store(guild, key, content, limits.quota).await;
            drop(on_its_way);
            stored
        };
        tokio::spawn(upload).await.unwrap_or(Err(ObjectsError::CutOff))
    }

    async fn store(
        &self,
        guild: GuildId,
        key: String,
        content: Vec<u8>,
        quota: ObjectQuota,
    ) -> Result<ObjectRecord, ObjectsError> {
        let storage = &self.0.storage;
        let (blob, size) = (Uuid::now_v7(), content.len() as u64);
        let etag = etag(&content);
        storage.begin_object(guild, &key, blob, size, quota).await?;
        let object = ObjectRecord { key, blob, size, etag, stored_at: OffsetDateTime::now_utc() };
        let stored = async {
            let contents = self.contents().await?;
            contents.store.put(&path(guild, blob), PutPayload::from(content)).await?;
            Ok::<_, ObjectsError>(storage.finish_object(guild, &object).await?)
        };
        match stored.await {
            Ok((object, before)) => {
                self.remove_soon(before).await;
                Ok(object)
            }
            Err(error) => {
                match storage.abandon_incoming(Some(LooseBlob { guild, blob })).await {
                    // Whether it was written is not known, so it is removed as if it was. Its room is free again at once.
                    Ok(true) => self.remove_soon(Some(LooseBlob { guild, blob })).await,
                    // The books were changed all the same: by them it is an object's.
                    Ok(false) => {}
                    // As far as is known it is still on its way in, and nobody's when the service starts again.
                    Err(error) => {
                        tracing::warn!(guild = %guild, blob = %blob, error = &error as &dyn std::error::Error, "failed to book the content of an object as nobody's; done when the service starts again");
                    }
                }
                Err(error)
            }
        }
    }

    /// Removes an object; `false` where there was none.
    ///
    /// # Errors
    /// Where storage fails, or the key is none.
    pub async fn delete(&self, guild: GuildId, key: &str) -> Result<bool, ObjectsError> {
        keys::check(key)?;
        let on_its_way = self.0.line.enter(guild, 0).await?;
        let (objects, key) = (self.clone(), key.to_owned());
        let delete = async move {
            let loose = objects.0.storage.delete_object(guild, &key).await?;
            objects.remove_soon(loose).await;
            drop(on_its_way);
            Ok(loose.is_some())
        };
        tokio::spawn(delete).await.unwrap_or(Err(ObjectsError::CutOff))
    }

    /// A URL that gives the object, as it is now, to whoever has it, for `lasts`.
    ///
    /// # Errors
    /// `NotFound`, `UrlTime`, `NoAddress`, or where signing fails.
    pub async fn url(&self, guild: GuildId, key: &str, lasts: Duration) -> Result<String, ObjectsError> {
        keys::check(key)?;
        if lasts < Duration::from_secs(1) || lasts > urls::LONGEST {
            return Err(ObjectsError::UrlTime);
        }
        let found = self.0.storage.find_object(guild, key).await?;
        let blob = found.ok_or_else(|| ObjectsError::NotFound { key: key.to_owned() })?.blob;
        if let Some(signer) = &self.contents().await?.signer {
            // Its method type is that of the HTTP library.
            let url = signer.signed_url(reqwest::Method::GET, &path(guild, blob), lasts).await?;
            return Ok(url.into());
        }
        if self.0.address.is_empty() {
            return Err(ObjectsError::NoAddress);
        }
        let key = self.0.key.to_seal::<ObjectsError>(&*self.0.storage).await?;
        let sealer = key.sealer(urls::PURPOSE);
        let token = urls::token(&sealer, LooseBlob { guild, blob }, OffsetDateTime::now_utc() + lasts)?;
        Ok(format!("{}/objects/{token}", self.0.address))
    }

    /// What the URL that ends in `token` gives at `now`; `None` where it has ended, or the object was changed or deleted.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn shared(&self, token: &str, now: OffsetDateTime) -> Result<Option<Shared>, ObjectsError> {
        let Ok(key) = self.0.key.to_open() else { return Ok(None) };
        let Some((blob, end)) = urls::read(&key.sealer(urls::PURPOSE), token) else { return Ok(None) };
        let Ok(lasts) = Duration::try_from(end - now) else { return Ok(None) };
        let Some(record) = self.0.storage.find_object_of(blob.guild, blob.blob).await? else {
            return Ok(None);
        };
        match self.content(blob.guild, &record).await {
            Ok(content) => Ok(Some(Shared { key: record.key, content, lasts })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn contents(&self) -> Result<&Contents, ObjectsError> {
        let open = async || (self.0.open)();
        Ok(self.0.contents.get_or_try_init(open).await?)
    }

    async fn content(&self, guild: GuildId, record: &ObjectRecord) -> Result<Vec<u8>, object_store::Error> {
        let contents = self.contents().await.map_err(generic)?;
        let found = contents.store.get(&path(guild, record.blob)).await?;
        // Larger than it was stored, it was changed by hand, and could be of any size.
        if found.meta.size != record.size {
            return Err(generic("the content is not as large as when it was stored"));
        }
        Ok(found.bytes().await?.into())
    }

    /// Removes a content that is on its way out; what fails is tried again by the sweep.
    async fn remove_soon(&self, blob: Option<LooseBlob>) {
        if let Some(blob) = blob
            && let Err(error) = self.remove(blob).await
        {
            tracing::warn!(guild = %blob.guild, blob = %blob.blob, error = &error as &dyn std::error::Error, "failed to remove the content of an object; tried again later");
        }
    }

    async fn remove(&self, loose: LooseBlob) -> Result<(), ObjectsError> {
        match self.contents().await?.store.delete(&path(loose.guild, loose.blob)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                Ok(self.0.storage.forget_blob(loose).await?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("address", &self.0.address).finish_non_exhaustive()
    }
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "objects", source: source.into() }
}

/// Where a content lies. Nothing of it was chosen by a template.
fn path(guild: GuildId, blob: Uuid) -> Path {
    Path::from(format!("guilds/{guild}/{blob}"))
}

fn etag(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
