//! `check`: every mistake in a template's folder that can be seen without running it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use khronos::{Bundle, ENTRY, Program};

use crate::config::{Config, Sources};
use crate::execution::{CompileFailure, Compiler};

use super::console::{Console, Exit, plain};
use super::folder::{self, Problem};
use super::handlers;
use super::manifest;
use super::requires::{Require, requires};

const HELP: &str = "\
Compiles every file, resolves every require of a literal string, and looks at the names of events and
capabilities in template.toml, and at the handlers in a table that init.luau returns. Each problem is a line: <file>:<line>: <what is wrong>.

Examples:
  template-worker check examples/ping
  template-worker check .

Exit codes:
  0  no problems
  1  there are problems, or the folder cannot be read
  2  the command line is wrong
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The template's folder, with template.toml and init.luau
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let limits = Config::load(sources)?.config.limits;
    let mut folder = folder::read(&args.dir, &limits)?;
    let mut files = 0;
    if let Some(draft) = folder.draft {
        files = draft.bundle.files().count();
        if draft.events.is_empty() && folder.problems.is_empty() {
            let message = "`events` is empty: the template never runs; name some, such as events = [\"MESSAGE_CREATE\"]";
            folder.problems.push(Problem::new(manifest::FILE, 1, message));
        }
        if let Some(source) = draft.bundle.get(ENTRY) {
            folder.problems.extend(handlers::problems(&source.text, &draft.events));
        }
        for (path, source) in draft.bundle.files() {
            folder.problems.extend(handlers::old_names(path, &source.text));
        }
        let compiler =
            Compiler::start(limits.max_vm_thread_stack_size).context("failed to start the compiler")?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        folder.problems.extend(runtime.block_on(problems_of(&compiler, draft.bundle))?);
    }
    folder.problems.sort();
    show(&args.dir, &folder.problems, console.out)?;
    let dir = args.dir.display();
    match folder.problems.len() {
        0 => writeln!(console.out, "{dir}: no problems in {}", counted(files, "file"))?,
        count => writeln!(console.out, "{dir}: {}", counted(count, "problem"))?,
    }
    Ok(if folder.problems.is_empty() { Exit::Success } else { Exit::Failure })
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A line a problem.
pub(super) fn show(dir: &Path, problems: &[Problem], out: &mut dyn std::io::Write) -> std::io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(out, "{}", plain(&problem.in_folder(dir))))
}

/// What doesn't compile, and what is required and isn't there.
async fn problems_of(compiler: &Compiler, bundle: Arc<Bundle>) -> anyhow::Result<Vec<Problem>> {
    let broken = match compiler.compile(None, bundle.clone()).await {
        Ok(program) => return Ok(unresolved(&bundle, &program)),
        Err(CompileFailure::Errors(errors)) => errors,
        Err(other) => return Err(other.into()),
    };
    // The files that compile are looked at all the same, with empty ones in place of the broken.
    let files = bundle.files().map(|(path, source)| {
        let text = if broken.iter().all(|error| error.file != path) { &*source.text } else { blank(path) };
        (path.to_owned(), text.to_owned())
    });
    let rest = Arc::new(Bundle::new(files)?);
    let mut problems: Vec<Problem> = broken.into_iter().map(Problem::from).collect();
    match compiler.compile(None, rest.clone()).await {
        Ok(program) => problems.extend(unresolved(&rest, &program)),
        Err(CompileFailure::Errors(errors)) => problems.extend(errors.into_iter().map(Problem::from)),
        Err(other) => return Err(other.into()),
    }
    Ok(problems)
}

/// The least that compiles.
fn blank(path: &str) -> &'static str {
    if path.ends_with(".luaurc") { "{}" } else { "" }
}

fn unresolved(bundle: &Bundle, program: &Program) -> Vec<Problem> {
    let mut problems = Vec::new();
    for path in program.modules() {
        let Some(source) = bundle.get(path) else { continue };
        for Require { line, request } in requires(&source.text) {
            if let Err(message) = program.resolve(path, request) {
                problems.push(Problem::new(path, line, message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let compiler = Compiler::start(20 << 20).unwrap();
        let found = problems_of(&compiler, Arc::new(Bundle::new(files).unwrap())).await.unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_require_that_leads_nowhere_is_found_with_its_line() {
        let found = problems(&[
            ("init.luau", "-- require('./no')\nlocal a = require('./a')\nreturn require('./b')"),
            ("a.luau", "return require('@lib/x')"),
        ])
        .await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.luau:1: cannot require \"@lib/x\""), "{found:?}");
        assert!(found[1].starts_with("init.luau:3: cannot require \"./b\""), "{found:?}");
    }

    #[tokio::test]
    async fn a_file_that_does_not_compile_hides_no_other_problem() {
        let found = problems(&[
            ("init.luau", "return require('./broken'), require('./gone')"),
            ("broken.luau", "local x = 1\nlocal = 2"),
            ("also.luau", "return ("),
            (".luaurc", "{"),
        ])
        .await;
        assert_eq!(found.len(), 4, "{found:?}");
        for start in
            ["broken.luau:2: ", "also.luau:1: ", ".luaurc:1: ", "init.luau:1: cannot require \"./gone\""]
        {
            assert!(found.iter().any(|problem| problem.starts_with(start)), "{start} is not in {found:?}");
        }
    }

    #[tokio::test]
    async fn a_template_that_is_fine_has_no_problems() {
        let found = problems(&[("init.luau", "return require('./a')"), ("a.luau", "return 1")]).await;
        assert!(found.is_empty(), "{found:?}");
    }
}
