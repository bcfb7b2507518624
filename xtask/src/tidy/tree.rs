//! The files that tidy reads: what git tracks, and what it would track after `git add .`.
//!
//! Owns reading them, once, and what kind of file a path is. Binary files are left out; nothing here knows a
//! rule.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, ensure};

use super::layers::Layers;

/// The repository as the rules see it.
pub(crate) struct Tree {
    files: Vec<File>,
}

/// One text file.
pub(super) struct File {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    /// As it is on disk.
    pub(super) text: String,
    /// The same text taken apart, for Rust files only.
    pub(super) rust: Option<Layers>,
}

impl Tree {
    /// Reads every file below `root` that git tracks or doesn't ignore.
    ///
    /// # Errors
    /// When git can't list the files, or a listed file can't be read.
    pub(crate) fn of_repository(root: &Path) -> anyhow::Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("failed to start git, which tidy asks for the list of files")?;
        ensure!(
            listing.status.success(),
            "failed to list the files of the repository: {}",
            String::from_utf8_lossy(&listing.stderr).trim()
        );
        let listed = String::from_utf8(listing.stdout).context("failed to read git's list of files")?;
        // A set, because a file with a merge conflict is listed once for each side.
        let paths: BTreeSet<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();

        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match fs::read(root.join(path)) {
                Ok(bytes) => files.extend(String::from_utf8(bytes).ok().map(|text| File::new(path, text))),
                // Deleted, and the deletion not yet added.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("failed to read {path}")),
            }
        }
        Ok(Self { files })
    }

    /// A tree that exists only in a test.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect() }
    }

    /// Every text file, sorted by path.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust files, each with its layers.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&File, &Layers)> {
        self.files.iter().filter_map(|file| file.rust.as_ref().map(|layers| (file, layers)))
    }

    /// Whether `path` is a file of the tree, or a folder that holds one.
    pub(super) fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| {
            file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let rust = path.ends_with(".rs").then(|| Layers::of(&text));
        Self { path: path.to_owned(), text, rust }
    }

    /// Whether the file is only compiled for tests or benches: an integration test, or a module such as
    /// `tests.rs` and `contract_tests/`, whose `#[cfg(test)]` stands in another file.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            name == "tests" || name.ends_with("_tests") || name == "benches"
        })
    }

    /// The crate's folder name and the path below its `src`, for `crates/<crate>/src/<rest>`.
    pub(super) fn in_crate_source(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix("crates/")?.split_once("/src/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> File {
        File::new(path, String::new())
    }

    #[test]
    fn test_files_are_known_by_their_path() {
        assert!(file("crates/khronos/tests/limits.rs").is_test());
        assert!(file("crates/khronos/benches/decode.rs").is_test());
        assert!(file("crates/template-worker/src/vm/strategy/contract_tests.rs").is_test());
        assert!(!file("crates/template-worker/src/vm/strategy.rs").is_test());
        assert!(!file("crates/testkit/src/lib.rs").is_test());
    }

    #[test]
    fn a_folder_is_held_by_its_files_and_a_prefix_is_not() {
        let tree = Tree::of(&[("docs/limits/memory.md", "")]);
        assert!(tree.holds("docs/limits"));
        assert!(tree.holds("docs/limits/"));
        assert!(!tree.holds("docs/lim"));
    }

    #[test]
    fn the_repository_lists_its_own_workspace() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
        let tree = Tree::of_repository(root).expect("git lists the files");
        assert!(tree.holds("Cargo.toml"));
        assert!(!tree.holds("target"), "ignored files are none of tidy's business");
    }
}
