//! The data folder: made where it is missing, and served from by one service at a time.
//!
//! Owns the folder and its lock. What lies in it is the backend's business.

use std::fs::{DirBuilder, File, TryLockError};
use std::path::Path;

use super::StorageError;

/// Locked while a service uses the folder. The operating system takes the lock away with the process, so that the file
/// may stay behind.
const LOCK_FILE: &str = "serve.lock";

/// The right to serve from a data folder: services keep templates in memory, so a second one would show old ones. Ends
/// when it is dropped. Commands that only read and write the database, such as `token`, do without.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl DataLock {
    /// Takes the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// `InUse` where another service has it, `Folder` where it cannot be written.
    pub fn take(folder: &Path) -> Result<Self, StorageError> {
        let open = || {
            make(folder)?;
            File::options().create(true).append(true).open(folder.join(LOCK_FILE))
        };
        let unusable =
            |source: std::io::Error| StorageError::Folder { path: folder.to_owned(), source: source.into() };
        let file = open().map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StorageError::InUse { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

/// Makes the folder. Others on the machine have no business with the templates and the hashes of tokens.
pub(super) fn make(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_served_from_by_one_service_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = DataLock::take(&data).unwrap();
        let error = DataLock::take(&data).unwrap_err();
        assert!(matches!(error, StorageError::InUse { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("another template-worker") && text.contains("--data"), "{text}");
        assert!(DataLock::take(&folder.path().join("other")).is_ok());
        drop(first);
        assert!(DataLock::take(&data).is_ok(), "it was not given back");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_not_one_that_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = DataLock::take(&file).unwrap_err();
        assert!(matches!(error, StorageError::Folder { .. }), "{error:?}");
    }
}
