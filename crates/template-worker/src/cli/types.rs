//! `types` and `reference`: what scripts see, written to a folder, for editors and for people.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::check::counted;
use super::console::{Console, Exit, Failure};
use crate::config::{Config, Sources};
use crate::reference::{self, Written};

const HELP_OF_TYPES: &str = "\
Writes template-worker.d.luau, which tells a language server what `ctx`, events and all types are, and a module for each that
can be required. `init` has written them for a new template; after an update they are written anew.

Examples:
  template-worker types greet/.types

Exit codes:
  0  they are there
  1  they could not be written
  2  the command line is wrong
";

const HELP_OF_REFERENCE: &str = "\
Writes the pages of the reference, which are made of the same declarations as the types.

Examples:
  template-worker reference docs/reference

Exit codes:
  0  they are there
  1  they could not be written
  2  the command line is wrong
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP_OF_TYPES)]
pub(super) struct TypesArgs {
    /// The folder to write to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = HELP_OF_REFERENCE)]
pub(super) struct ReferenceArgs {
    /// The folder to write to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn types(args: &TypesArgs, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    write_all(&args.dir, &reference::types(), sources, console)
}

pub(super) fn pages(
    args: &ReferenceArgs,
    sources: Sources,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    write_all(&args.dir, &reference::pages(), sources, console)
}

fn write_all(
    dir: &Path,
    files: &[Written],
    sources: Sources,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    drop(Config::load(sources)?);
    if dir.exists() && !dir.is_dir() {
        let what = format!("failed to write to {}: it is a file", dir.display());
        return Err(Failure::new(what, "name a folder; it is made where it is missing").into());
    }
    write(dir, files)?;
    writeln!(console.out, "{}: wrote {}", dir.display(), counted(files.len(), "file"))?;
    Ok(Exit::Success)
}

/// Writes `files` below `dir`, over what is there of the same name.
pub(super) fn write(dir: &Path, files: &[Written]) -> anyhow::Result<()> {
    for file in files {
        let path = dir.join(&file.path);
        let failed = || format!("failed to write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        fs::write(&path, &file.text).with_context(failed)?;
    }
    Ok(())
}
