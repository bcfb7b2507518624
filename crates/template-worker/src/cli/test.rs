//! `test`: the events of a template's folder, each file in a VM of its own, and whether the template returns for them what the
//! folder expects.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;

use super::check::counted;
use super::console::{Console, Exit, Failure, plain};
use super::event_file;
use super::run::{self, into_events};
use crate::app::App;
use crate::config::{Config, Sources};
use crate::events::Event;
use crate::execution::{Outcome, OutcomeResult};
use crate::storage::SqliteStorage;
use crate::template::TemplateDraft;

/// Characters of a value that are shown.
const MOST_SHOWN: usize = 200;

const HELP: &str = "\
Sends the events of each file in the folder `events`, as `run` does, and compares what the template returns with the file
of the same name in `expected`: a value for one event, a list of values for several. What returns nothing is null.

Examples:
  template-worker test examples/ping
  template-worker test .

Exit codes:
  0  everything is as expected
  1  it did not come to that: the folder, a file or the configuration is wrong
  2  the command line is wrong
  3  the template failed, or returned something else
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The template's folder, with template.toml, init.luau, events and expected
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let mut config = Config::load(sources)?.config;
    config.vm.threads = 1;
    let draft = run::draft(&args.dir, &config, console)?;
    let cases = cases(&args.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut failed, mut unread) = (0, 0);
    for case in &cases {
        let name = case.display();
        let (events, expected) = match read(&args.dir, case, console) {
            Ok(read) => read,
            Err(error) => {
                console.show_error(&error);
                unread += 1;
                continue;
            }
        };
        let differences =
            runtime.block_on(differences(args, &config, draft.clone(), events, expected, console))?;
        if differences.is_empty() {
            writeln!(console.out, "{name}: as expected")?;
        }
        for difference in &differences {
            writeln!(console.out, "{name}: {}", plain(difference))?;
        }
        failed += usize::from(!differences.is_empty());
    }
    let dir = args.dir.display();
    if unread > 0 {
        writeln!(console.out, "{dir}: {} of {} could not be tried", unread, counted(cases.len(), "file"))?;
    }
    if failed > 0 {
        writeln!(console.out, "{dir}: {failed} of {} not as expected", counted(cases.len(), "file"))?;
        return Ok(Exit::TemplateFailed);
    }
    if unread > 0 {
        return Ok(Exit::Failure);
    }
    writeln!(console.out, "{dir}: {} as expected", counted(cases.len(), "file"))?;
    Ok(Exit::Success)
}

/// The names of the files with events.
fn cases(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let events = dir.join("events");
    let hint =
        "`events/hello.json` holds events, and `expected/hello.json` what the template returns for them";
    let there = fs::read_dir(&events)
        .map_err(|error| Failure::new(format!("failed to list {}", events.display()), hint).because(error))?;
    let mut cases = Vec::new();
    for entry in there {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|extension| extension == "json") {
            cases.push(name);
        }
    }
    if cases.is_empty() {
        return Err(Failure::new(format!("there is no event file in {}", events.display()), hint).into());
    }
    cases.sort();
    Ok(cases)
}

/// The events of a file, and what is expected for each.
fn read(dir: &Path, case: &Path, console: &mut Console<'_>) -> anyhow::Result<(Vec<Event>, Vec<Value>)> {
    let (file, expecting) = (dir.join("events").join(case), dir.join("expected").join(case));
    let events = into_events(event_file::read(&file, console.input)?)?;
    if !expecting.exists() {
        let what = format!(
            "failed to find what is expected for {}: there is no {}",
            file.display(),
            expecting.display()
        );
        let hint = format!(
            "`template-worker run {} --event {}` prints as `value` what the template returns: where it is right, it \
             belongs there",
            dir.display(),
            file.display()
        );
        return Err(Failure::new(what, hint).into());
    }
    let expected = expected(&expecting, events.len())?;
    Ok((events, expected))
}

/// What came otherwise than expected for the events of one file, in a service of their own.
async fn differences(
    args: &Args,
    config: &Config,
    draft: TemplateDraft,
    events: Vec<Event>,
    expected: Vec<Value>,
    console: &mut Console<'_>,
) -> anyhow::Result<Vec<String>> {
    let app = App::start_with(config.clone(), Arc::new(SqliteStorage::in_memory().await?)).await?;
    let name = run::store(&app, &args.dir, draft, &events, console).await?;
    let mut log = app.log.subscribe();
    let mut differences = Vec::new();
    for (number, (event, expected)) in events.into_iter().zip(expected).enumerate() {
        let (outcome, _) = run::execute(&app, &name, event, &mut log, true, console).await?;
        let number = number + 1;
        if let OutcomeResult::Ok { value } = &outcome.result {
            let difference = difference("$", Some(&serde_json::to_value(value)?), Some(&expected));
            differences.extend(difference.map(|difference| format!("event {number}: {difference}")));
        } else {
            differences.push(format!("event {number}: the template failed: {}", failure(&outcome)));
        }
    }
    app.stop().await;
    app.close().await;
    Ok(differences)
}

/// What a file says that is to be returned for `count` events.
fn expected(path: &Path, count: usize) -> anyhow::Result<Vec<Value>> {
    let failed = || format!("failed to read what is expected in {}", path.display());
    let value: Value =
        serde_json::from_reader(File::open(path).with_context(failed)?).with_context(failed)?;
    match value {
        value if count == 1 => Ok(vec![value]),
        Value::Array(values) if values.len() == count => Ok(values),
        _ => bail!("{}: it has to be a list of {count} values, one for each event", failed()),
    }
}

/// Why a template failed, and where: each line of the traceback on its own.
fn failure(outcome: &Outcome) -> String {
    let traceback = match &outcome.result {
        OutcomeResult::Error { traceback, .. } | OutcomeResult::LimitExceeded { traceback, .. } => traceback,
        _ => "",
    };
    let lines = traceback.lines().map(|line| format!("\n    {line}"));
    outcome.failure().into_iter().chain(lines).collect()
}

/// The first place where two values differ, and how; numbers are the same as numbers.
fn difference(path: &str, got: Option<&Value>, expected: Option<&Value>) -> Option<String> {
    match (got, expected) {
        (Some(Value::Number(got)), Some(Value::Number(expected))) if got.as_f64() == expected.as_f64() => {
            None
        }
        (Some(Value::Array(got)), Some(Value::Array(expected))) => (0..got.len().max(expected.len()))
            .find_map(|at| difference(&format!("{path}[{at}]"), got.get(at), expected.get(at))),
        (Some(Value::Object(got)), Some(Value::Object(expected))) => {
            let more = got.keys().filter(|key| !expected.contains_key(*key));
            let mut keys = expected.keys().chain(more);
            keys.find_map(|key| difference(&format!("{path}.{key}"), got.get(key), expected.get(key)))
        }
        (got, expected) if got == expected => None,
        (got, expected) => Some(format!("{path}: got {}, expected {}", shown(got), shown(expected))),
    }
}

/// A value as JSON, or its beginning.
fn shown(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}..", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
