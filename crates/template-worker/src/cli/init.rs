//! `init`: a template to begin with, whose editor knows everything that a template sees.
//!
//! Owns which files that is; most of them are in the folder `init` beside this file, and the types come from `reference`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::console::{Console, Exit, Failure};
use super::types;
use crate::config::{Config, Sources};
use crate::reference::Written;
use crate::template::TemplateName;

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
    // Without a slash at the end.
    let dir = &args.dir.components().collect::<PathBuf>();
    let failed = || format!("failed to make a template in {}", dir.display());
    let refuse = |why: &str, hint: &str| Err(Failure::new(format!("{}: {why}", failed()), hint).into());
    const FREE: &str = "name a folder that is not there yet, or an empty one";
    if dir.is_dir() {
        if let Some(there) = in_the_way(dir).with_context(failed)? {
            return refuse(&format!("it is not empty: it has {there}"), FREE);
        }
    } else if dir.exists() {
        return refuse("it is a file", FREE);
    }
    let name = match name_of(dir).with_context(failed)?.parse::<TemplateName>() {
        Ok(name) => name,
        Err(error) => {
            return refuse(&error.to_string(), "the folder's name becomes the template's: choose another");
        }
    };
    fs::create_dir_all(dir).with_context(failed)?;
    let files = FILES
        .map(|(path, text)| Written { path: path.to_owned(), text: text.replace("{name}", name.as_str()) });
    types::write(dir, &files)?;
    types::write(&dir.join(TYPES), &crate::reference::types())?;
    let (shown, event) = (quoted(dir), quoted(&dir.join("events/hello.json")));
    write!(
        console.out,
        "A template is in {shown}. Try it:\n\n  template-worker check {shown}\n  template-worker run {shown} --event \
         {event}\n  template-worker test {shown}\n\nOpen {shown} in an editor with luau-lsp: it knows ctx, events and modules.\n"
    )?;
    Ok(Exit::Success)
}

/// The last part of a folder's path, whether it is there or not.
fn name_of(dir: &Path) -> std::io::Result<String> {
    let dir = if dir.exists() { fs::canonicalize(dir)? } else { dir.to_owned() };
    Ok(dir.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte);
    match text.starts_with('-') {
        false if !text.is_empty() && text.bytes().all(plain) => text.into_owned(),
        _ => format!("'{}'", text.replace('\'', r"'\''")),
    }
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
