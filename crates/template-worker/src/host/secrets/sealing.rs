//! Sealing: bytes that only this service can read, and that nobody can change or put elsewhere.
//!
//! Owns the key, its file, and the one way in which it is used. What is sealed, and bound to what, is up to whoever seals.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("failed to read the key file {}: make it readable for the user that runs this", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error(
        "failed to make the key file {}: make its folder writable for the user that runs this, or choose another one \
         (`secrets.key_file` in the configuration)", path.display()
    )]
    Make {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no key.
    #[error("the key file {} holds no key: expected {KEY_BYTES} bytes in base64, as `openssl rand -base64 32` makes", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// There is no file, and there are secrets that were sealed with a key.
    #[error(
        "the key file {} is missing, and secrets were sealed with it: restore it from a backup, or delete all secrets", path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The operating system has no random numbers.
    #[error("failed to make a key: the operating system gave no random bytes ({0})")]
    NoRandomness(getrandom::Error),
    /// AES-GCM takes no more than some gigabytes.
    #[error("failed to seal: it is too long")]
    TooLong,
}

/// The key behind everything that is sealed. It is shown nowhere.
#[derive(Clone)]
pub struct SealingKey([u8; KEY_BYTES]);

impl SealingKey {
    /// The key in the file at `path`; `None` where there is no such file.
    ///
    /// # Errors
    /// `Read`, `NoKey`.
    pub fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::Read { path: path.to_owned(), source }),
        };
        let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Some(Self(bytes))).ok_or_else(|| KeyError::NoKey { path: path.to_owned() })
    }

    /// A new key in a new file at `path`, for its owner alone. It is there whole, or not at all.
    ///
    /// # Errors
    /// `Make`, also where there is a file; `NoRandomness`.
    pub fn make(path: &Path) -> Result<Self, KeyError> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(KeyError::NoRandomness)?;
        let write = || {
            let mut unfinished = path.to_owned().into_os_string();
            unfinished.push(".new");
            // Left over from a crash, it was nobody's key.
            let _ = fs::remove_file(&unfinished);
            let mut options = File::options();
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.create_new(true).write(true).open(&unfinished)?;
            writeln!(file, "{}", BASE64_STANDARD.encode(key))?;
            file.sync_all()?;
            // Unlike renaming, linking never takes the place of a file that is there.
            fs::hard_link(&unfinished, path)?;
            fs::remove_file(&unfinished)?;
            path.parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|source| KeyError::Make { path: path.to_owned(), source })?;
        Ok(Self(key))
    }

    /// Seals and opens for one `purpose`; what is sealed for one cannot be opened for another.
    pub fn sealer(&self, purpose: &str) -> Sealer {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(purpose);
        let derived: [u8; KEY_BYTES] = hash.finalize().into();
        Sealer(Aes256Gcm::new(&derived.into()))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// Seals and opens: AES-256 in GCM, with a fresh random nonce in front of each.
#[derive(Clone)]
pub struct Sealer(Aes256Gcm);

impl Sealer {
    /// `open` sealed, bound to `place`: it can be opened with the same alone.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes, or `open` has gigabytes.
    pub fn seal(&self, place: &[u8], open: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(KeyError::NoRandomness)?;
        let payload = Payload { msg: open, aad: place };
        let ciphertext = self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| KeyError::TooLong)?;
        Ok([nonce.as_slice(), &ciphertext].concat())
    }

    /// What was sealed; `None` where it was with another key, for another place, or is not what was sealed.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.0.decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: place }).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let (key, other) = (SealingKey([1; 32]), SealingKey([2; 32]));
        let sealed = key.sealer("secrets").seal(b"guild 1", b"correct horse").unwrap();
        assert_eq!(key.sealer("secrets").open(b"guild 1", &sealed).unwrap(), b"correct horse");
        assert_eq!(key.sealer("secrets").open(b"guild 2", &sealed), None);
        assert_eq!(key.sealer("urls").open(b"guild 1", &sealed), None);
        assert_eq!(other.sealer("secrets").open(b"guild 1", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.sealer("secrets").open(b"guild 1", &changed), None, "byte {at}");
        }
        assert_eq!(key.sealer("secrets").open(b"guild 1", &[]), None);
        let again = key.sealer("secrets").seal(b"guild 1", b"correct horse").unwrap();
        assert_ne!(sealed, again, "the nonce is always another");
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        assert!(SealingKey::read(&path).unwrap().is_none());
        let made = SealingKey::make(&path).unwrap();
        assert_eq!(SealingKey::read(&path).unwrap().unwrap().0, made.0);
        assert!(matches!(SealingKey::make(&path), Err(KeyError::Make { .. })), "another was made over it");
        assert_eq!(SealingKey::read(&path).unwrap().unwrap().0, made.0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "one unfinished file may be left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        for wrong in [
            "",
            "short",
            &BASE64_STANDARD.encode([1; 31]),
            &BASE64_STANDARD.encode([1; 33]),
            "%".repeat(44).as_str(),
        ] {
            fs::write(&path, wrong).unwrap();
            let error = SealingKey::read(&path).unwrap_err();
            assert!(matches!(error, KeyError::NoKey { .. }), "{wrong:?}: {error}");
            assert!(wrong.is_empty() || !error.to_string().contains(wrong), "{error}");
        }
        assert_eq!(format!("{:?}", SealingKey([7; 32])), "SealingKey(..)");
    }
}
