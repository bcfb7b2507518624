//! Where the contents lie: a folder, or a bucket.
//!
//! Owns how each is opened and how long it may take. What lies there, and under which names, is for `objects`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::signer::Signer;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::config::{ObjectBackend, ObjectsConfig};

/// How long one request to a bucket may take.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// How long it is tried again.
const RETRY_TIME: Duration = Duration::from_secs(20);
const RETRIES: usize = 3;

/// Why there is no place for contents.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error(
        "failed to make the folder for objects {}: make it writable for the user that runs this, or choose another one \
         (`objects.folder` in the configuration)", path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the secret access key cannot be read.
    #[error("failed to read the secret access key from {} (`objects.s3_secret_key_file` in the configuration)", path.display())]
    SecretKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be set up.
    #[error("failed to open the store of objects; look at `[objects]` in the configuration")]
    Store(#[from] object_store::Error),
}

/// A place for contents.
#[derive(Debug, Clone)]
pub struct Contents {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Where the store signs URLs by itself.
    pub(super) signer: Option<Arc<dyn Signer>>,
}

impl Contents {
    /// The place that `config` says, with `data` as the data folder.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &ObjectsConfig, data: &Path) -> Result<Self, OpenError> {
        match config.backend {
            ObjectBackend::Local if config.folder.as_os_str().is_empty() => {
                Self::folder(&data.join("objects"))
            }
            ObjectBackend::Local => Self::folder(&config.folder),
            ObjectBackend::S3 => Self::bucket(config),
        }
    }

    fn folder(path: &Path) -> Result<Self, OpenError> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.recursive(true).create(path);
        made.map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
        // What is booked has to be there also after the machine has failed.
        let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), signer: None })
    }

    fn bucket(config: &ObjectsConfig) -> Result<Self, OpenError> {
        let path = &config.s3_secret_key_file;
        let secret =
            fs::read_to_string(path).map_err(|source| OpenError::SecretKey { path: path.clone(), source })?;
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIME, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.s3_bucket)
            .with_region(&config.s3_region)
            .with_access_key_id(&config.s3_access_key_id)
            .with_secret_access_key(secret.trim())
            .with_client_options(ClientOptions::new().with_timeout(REQUEST_TIME))
            // One is removed at a time, and not every store that speaks like S3 knows more.
            .with_disable_bulk_delete(true)
            .with_retry(retry);
        if !config.s3_endpoint.is_empty() {
            builder = builder
                .with_endpoint(&config.s3_endpoint)
                .with_allow_http(config.s3_endpoint.starts_with("http://"));
        }
        let store = Arc::new(builder.build()?);
        Ok(Self { store: Arc::clone(&store) as _, signer: Some(store) })
    }
}
