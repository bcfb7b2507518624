//! A template as a folder on disk: `template.toml`, and the files that would be uploaded.
//!
//! Owns which files belong to the template, and that reading them stays inside the folder and within the limits, also
//! when somebody names the root of the disk by mistake. What is in `template.toml` is for `manifest`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use khronos::{Bundle, BundleError, CompileError, ENTRY, MAX_PATH_BYTES};

use crate::limits::Limits;
use crate::template::TemplateDraft;

use super::console::Failure;
use super::manifest::{self, line_after};

/// Files and folders that are looked at. A template has at most [`khronos::MAX_FILES`] files, and some beside them.
const MAX_ENTRIES: usize = 10_000;
/// Nobody writes 64 KiB of `template.toml`.
const MAX_MANIFEST_BYTES: usize = 64 << 10;

const MINIMAL_MANIFEST: &str =
    "a template needs one that says when it runs, such as: events = [\"MESSAGE_CREATE\"]";

/// Something wrong in a file of the template, where its author can mend it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Problem {
    file: String,
    line: u32,
    message: String,
}

impl Problem {
    pub(super) fn new(file: impl Into<String>, line: u32, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }

    /// `<dir>/<file>:<line>: <message>`, which editors can jump to.
    pub(super) fn in_folder(&self, dir: &Path) -> String {
        format!("{}:{}: {}", dir.join(&self.file).display(), self.line, self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl From<CompileError> for Problem {
    fn from(error: CompileError) -> Self {
        Self::new(error.file, error.line, error.message)
    }
}

/// What the folder holds.
#[derive(Debug)]
pub(super) struct Folder {
    /// The template, if its files can be one; with problems, parts may be missing.
    pub(super) draft: Option<TemplateDraft>,
    /// What is wrong with it so far. Nothing is compiled yet.
    pub(super) problems: Vec<Problem>,
}

/// Reads the template in `dir`.
///
/// # Errors
/// Where there is no such folder, or it is no template's. Mistakes in its files are [`Problem`]s.
pub(super) fn read(dir: &Path, limits: &Limits) -> anyhow::Result<Folder> {
    let failed = || format!("failed to read the template's folder {}", dir.display());
    let root = fs::canonicalize(dir).with_context(failed)?;
    if !root.is_dir() {
        let hint = "name the folder that holds `template.toml` and `init.luau`";
        return Err(Failure::new(format!("{}: it is not a folder", failed()), hint).into());
    }
    if ![manifest::FILE, ENTRY, "init.lua"].iter().any(|file| root.join(file).exists()) {
        let what = format!("{}: it has neither `template.toml` nor `init.luau`", failed());
        return Err(Failure::new(what, "`examples/ping` shows what a template's folder looks like").into());
    }

    let mut walk = Walk::new(&root, limits.max_template_source);
    walk.folder(&root, "").with_context(failed)?;
    let manifest = walk.manifest().with_context(failed)?;
    let Walk { files, mut problems, .. } = walk;

    let bundle = Bundle::new(files).map_err(|error| problems.push(about(&error))).ok();
    let draft = bundle.map(|bundle| TemplateDraft {
        bundle: Arc::new(bundle),
        events: manifest.events,
        capabilities: manifest.capabilities,
        description: manifest.description,
        error_channel: None,
        paused: false,
        author: None,
    });
    if let Some(Err(error)) = draft.as_ref().map(TemplateDraft::check) {
        problems.push(Problem::new(manifest::FILE, 1, error.to_string()));
    }
    Ok(Folder { draft, problems })
}

/// What is wrong with the files as a whole stands at the top of the one that a template starts with.
fn about(error: &BundleError) -> Problem {
    Problem::new(ENTRY, 1, error.to_string())
}

struct Walk<'r> {
    root: &'r Path,
    /// Bytes of source that may still come.
    bytes_left: usize,
    limit: usize,
    entries_left: usize,
    files: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl<'r> Walk<'r> {
    fn new(root: &'r Path, limit: usize) -> Self {
        let (files, problems) = (BTreeMap::new(), Vec::new());
        Self { root, bytes_left: limit, limit, entries_left: MAX_ENTRIES, files, problems }
    }

    /// Takes the sources in `folder`, whose path inside the template is `prefix`, and in the folders in it.
    fn folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
            if self.entries_left == 0 {
                bail!("there are more than {MAX_ENTRIES} files in it, which cannot all be a template's");
            }
            self.entries_left -= 1;
            entries.push(entry?);
        }
        entries.sort_by_key(fs::DirEntry::file_name);

        for entry in entries {
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let path = format!("{prefix}{}", name.to_string_lossy());
            if kind.is_dir() {
                // Such as `.git`, which holds no module.
                let hidden = path.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
                if !hidden && path.len() < MAX_PATH_BYTES {
                    self.folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if is_source(&path) {
                if name.to_str().is_none() {
                    self.problems.push(Problem::new(path, 1, "the file's name is not UTF-8: rename it"));
                } else if kind.is_symlink() && !self.leads_inside(&entry.path()) {
                    let message =
                        "the link leads out of the template's folder, or nowhere: copy the file instead";
                    self.problems.push(Problem::new(path, 1, message));
                } else {
                    self.file(path, &entry.path())?;
                }
            }
        }
        Ok(())
    }

    fn leads_inside(&self, link: &Path) -> bool {
        fs::canonicalize(link).is_ok_and(|target| target.starts_with(self.root))
    }

    fn file(&mut self, path: String, at: &Path) -> anyhow::Result<()> {
        match read_text(at, self.bytes_left)? {
            Text::Whole(text) => {
                self.bytes_left -= text.len();
                self.files.insert(path, text);
            }
            Text::TooLong => {
                let message = format!(
                    "with this file there are more than {} bytes of source, which is the most, all files together \
                     (MAX_TEMPLATE_SOURCE)",
                    self.limit
                );
                self.problems.push(Problem::new(path, 1, message));
            }
            Text::NotUtf8 { line } => self.problems.push(Problem::new(path, line, "not UTF-8 text")),
            Text::NotAFile => self.problems.push(Problem::new(path, 1, "not an ordinary file")),
        }
        Ok(())
    }

    fn manifest(&mut self) -> anyhow::Result<manifest::Manifest> {
        let at: PathBuf = self.root.join(manifest::FILE);
        let mut problem =
            |line, message: &str| self.problems.push(Problem::new(manifest::FILE, line, message));
        if fs::symlink_metadata(&at).is_err() {
            problem(1, &format!("there is no `{}`: {MINIMAL_MANIFEST}", manifest::FILE));
            return Ok(manifest::Manifest::default());
        }
        match read_text(&at, MAX_MANIFEST_BYTES)? {
            Text::Whole(text) => {
                let (manifest, problems) = manifest::parse(&text);
                self.problems.extend(problems);
                return Ok(manifest);
            }
            Text::TooLong => problem(1, &format!("longer than {MAX_MANIFEST_BYTES} bytes")),
            Text::NotUtf8 { line } => problem(line, "not UTF-8 text"),
            Text::NotAFile => problem(1, "not an ordinary file"),
        }
        Ok(manifest::Manifest::default())
    }
}

/// Whether a file belongs to the template: modules, and the aliases of `require`.
fn is_source(path: &str) -> bool {
    path.ends_with(".luau") || path.ends_with(".lua") || path.rsplit('/').next() == Some(".luaurc")
}

enum Text {
    Whole(String),
    TooLong,
    NotUtf8 { line: u32 },
    NotAFile,
}

/// Reads at most `most` bytes, whatever the file says about its length. A pipe is not opened: that would wait for ever.
fn read_text(at: &Path, most: usize) -> anyhow::Result<Text> {
    let failed = || format!("failed to read {}", at.display());
    if !fs::metadata(at).with_context(failed)?.is_file() {
        return Ok(Text::NotAFile);
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(at).and_then(|file| file.take(limit).read_to_end(&mut bytes)).with_context(failed)?;
    if bytes.len() > most {
        return Ok(Text::TooLong);
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Text::Whole(text),
        Err(error) => {
            let fine = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            Text::NotUtf8 { line: line_after(&String::from_utf8_lossy(fine)) }
        }
    })
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
