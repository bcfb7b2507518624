//! `init`: a template to begin with, whose editor knows everything that a template sees.
//!
//! Owns which files that is; most of them are in the folder `init` beside this file, and the types come from `reference`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::console::{Console, Exit, Failure};
use super::run::template_name;
use super::types;
use crate::config::{Config, Sources};
use crate::reference::Written;

const HELP: &str = "\
Writes a template that runs, an event to try it with, what it is to return for that, and the types for an editor with
luau-lsp. The folder is made; one that has something in it is left alone.

Examples:
  template-worker init greet
  template-worker run greet --event greet/events/hello.json

Exit codes:
  0  the template is there
  1  it could not be written, or something is in the way
  2  the command line is wrong
";

/// Where the types are: a folder that begins with a dot is no part of a template.
const TYPES: &str = ".types";
/// Names of what is in the way that are shown.
const SHOWN: usize = 5;

const FILES: [(&str, &str); 7] = [
    ("init.luau", include_str!("init/init.luau")),
    ("template.toml", include_str!("init/template.toml")),
    (".luaurc", include_str!("init/luaurc.json")),
    (".vscode/settings.json", include_str!("init/settings.json")),
    ("README.md", include_str!("init/README.md")),
    ("events/hello.json", include_str!("init/hello.json")),
    ("expected/hello.json", include_str!("init/hello.expected.json")),
];

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The folder to make; its name becomes the template's
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    drop(Config::load(sources)?);
    let dir = &args.dir;
    let failed = || format!("failed to make a template in {}", dir.display());
    fs::create_dir_all(dir).with_context(failed)?;
    if let Some(there) = in_the_way(dir).with_context(failed)? {
        let what = format!("{}: it is not empty: it has {there}", failed());
        return Err(Failure::new(what, "name a folder that is not there yet, or an empty one").into());
    }
    let name = template_name(dir).with_context(failed)?;
    let files = FILES
        .map(|(path, text)| Written { path: path.to_owned(), text: text.replace("{name}", name.as_str()) });
    types::write(dir, &files)?;
    types::write(&dir.join(TYPES), &crate::reference::types())?;
    let shown = dir.display();
    write!(
        console.out,
        "A template is in {shown}. Try it:\n\n  template-worker check {shown}\n  template-worker run {shown} --event \
         {shown}/events/hello.json\n  template-worker test {shown}\n\nOpen {shown} in an editor with luau-lsp: it knows ctx, events and modules.\n"
    )?;
    Ok(Exit::Success)
}

/// What is in a folder, where there is something.
fn in_the_way(dir: &Path) -> std::io::Result<Option<String>> {
    let mut names = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Ok(match (names.len(), more) {
        (0, _) => None,
        (_, 0) => Some(shown),
        _ => Some(format!("{shown} and {more} more")),
    })
}
