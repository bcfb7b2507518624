//! A template's files as the runtime sees them: checked paths, sources, and a content hash each.
//!
//! Owns what a legal path is and how large a bundle may be. What a `require` string means inside a bundle is
//! `require`'s business; where bundles are stored is the embedder's.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The file that a template starts with; `init.lua` is taken where there is no `init.luau`.
pub const ENTRY: &str = "init.luau";
const ENTRY_OLD: &str = "init.lua";

/// Most files in one bundle.
pub const MAX_FILES: usize = 256;
/// Most bytes of source in one bundle, all files together.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;
/// Most bytes in one path.
pub const MAX_PATH_BYTES: usize = 200;

/// SHA-256 of a source text: the key under which its bytecode is shared by all VMs.
pub type ContentHash = [u8; 32];

/// One file of a bundle.
#[derive(Debug, Clone)]
pub struct Source {
    /// The text as its author wrote it.
    pub text: Arc<str>,
    /// The hash of `text`.
    pub hash: ContentHash,
}

/// The files of one template version: immutable, cheap to share, known to be within the limits.
#[derive(Debug, Clone)]
pub struct Bundle {
    files: BTreeMap<Arc<str>, Source>,
}

/// Why files cannot be a bundle. Every text names the file and says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A path that is empty, absolute, too long, or leaves the bundle.
    #[error(
        "`{path}` is not a path inside the template: use relative paths such as `lib/words.luau`, with `/`, without \
         `.` or `..` parts, of at most {MAX_PATH_BYTES} bytes"
    )]
    BadPath {
        /// The offending path, cut to a readable length.
        path: String,
    },
    /// Two files at one path.
    #[error("`{path}` is there twice: leave one of the two files out")]
    Twice {
        /// The path.
        path: String,
    },
    /// Neither `init.luau` nor `init.lua`.
    #[error("there is no `init.luau`: it is the file that runs when an event arrives")]
    NoEntry,
    /// More than [`MAX_FILES`].
    #[error("{count} files are more than a template may have ({MAX_FILES})")]
    TooManyFiles {
        /// How many there were.
        count: usize,
    },
    /// More than [`MAX_SOURCE_BYTES`].
    #[error(
        "{bytes} bytes of source are more than a template may have ({MAX_SOURCE_BYTES} bytes, all files together)"
    )]
    TooLarge {
        /// How many there were.
        bytes: usize,
    },
}

impl Bundle {
    /// Checks `files` (path, source) and takes them in. Nothing is compiled yet.
    ///
    /// # Errors
    /// The first [`BundleError`] in the order of the variants; paths are checked in the order given.
    pub fn new<I: IntoIterator<Item = (String, String)>>(files: I) -> Result<Self, BundleError> {
        let mut checked = BTreeMap::new();
        let mut bytes = 0;
        for (path, text) in files {
            check_path(&path)?;
            bytes += text.len();
            let hash = Sha256::digest(text.as_bytes()).into();
            let source = Source { text: Arc::from(text), hash };
            if checked.insert(Arc::from(&*path), source).is_some() {
                return Err(BundleError::Twice { path });
            }
        }
        if !checked.contains_key(ENTRY) && !checked.contains_key(ENTRY_OLD) {
            return Err(BundleError::NoEntry);
        }
        if checked.len() > MAX_FILES {
            return Err(BundleError::TooManyFiles { count: checked.len() });
        }
        if bytes > MAX_SOURCE_BYTES {
            return Err(BundleError::TooLarge { bytes });
        }
        Ok(Self { files: checked })
    }

    /// The path of the file that a template starts with.
    pub fn entry(&self) -> &str {
        if self.files.contains_key(ENTRY) { ENTRY } else { ENTRY_OLD }
    }

    /// The file at `path`, if there is one.
    pub fn get(&self, path: &str) -> Option<&Source> {
        self.files.get(path)
    }

    /// All files, ordered by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files.iter().map(|(path, source)| (&**path, source))
    }
}

fn check_path(path: &str) -> Result<(), BundleError> {
    let fine = path.len() <= MAX_PATH_BYTES
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if fine { Ok(()) } else { Err(BundleError::BadPath { path: path.chars().take(80).collect() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(paths: &[&str]) -> Result<Bundle, BundleError> {
        Bundle::new(paths.iter().map(|path| ((*path).to_owned(), "return 1".to_owned())))
    }

    #[test]
    fn a_path_that_leaves_the_bundle_is_refused() {
        for path in ["../x.luau", "/etc/passwd", "a//b", "a/./b", "", "a\\b", "a/../../b", "a\0b", "x/"] {
            let got = bundle(&["init.luau", path]);
            assert!(matches!(got, Err(BundleError::BadPath { .. })), "{path:?} gave {got:?}");
        }
        assert!(bundle(&["init.luau", "lib/words.luau", "ä.lua"]).is_ok());
    }

    #[test]
    fn a_path_has_one_file() {
        let twice = bundle(&["init.luau", "a.luau", "a.luau"]).err();
        assert_eq!(twice, Some(BundleError::Twice { path: "a.luau".to_owned() }));
    }

    #[test]
    fn a_bundle_has_an_entry_and_prefers_luau() {
        assert_eq!(bundle(&["lib.luau"]).err(), Some(BundleError::NoEntry));
        assert_eq!(bundle(&["init.lua"]).map(|b| b.entry().to_owned()), Ok("init.lua".to_owned()));
        assert_eq!(
            bundle(&["init.lua", "init.luau"]).map(|b| b.entry().to_owned()),
            Ok("init.luau".to_owned())
        );
    }

    #[test]
    fn equal_sources_have_equal_hashes_and_the_size_is_capped() {
        let b = bundle(&["init.luau", "same.luau"]).unwrap();
        assert_eq!(b.get("init.luau").map(|s| s.hash), b.get("same.luau").map(|s| s.hash));
        let big = Bundle::new([("init.luau".to_owned(), " ".repeat(MAX_SOURCE_BYTES + 1))]);
        assert_eq!(big.err(), Some(BundleError::TooLarge { bytes: MAX_SOURCE_BYTES + 1 }));
    }
}
