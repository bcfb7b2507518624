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
use crate::storage::SqliteStorage;
use crate::template::TemplateDraft;

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
    let mut failed = 0;
    for case in &cases {
        let differences = runtime.block_on(differences(args, &config, draft.clone(), case, console))?;
        let name = case.display();
        if differences.is_empty() {
            writeln!(console.out, "{name}: as expected")?;
        }
        for difference in &differences {
            writeln!(console.out, "{name}: {}", plain(difference))?;
        }
        failed += usize::from(!differences.is_empty());
    }
    let dir = args.dir.display();
    if failed > 0 {
        writeln!(console.out, "{dir}: {failed} of {} not as expected", counted(cases.len(), "file"))?;
        return Ok(Exit::TemplateFailed);
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

/// What came otherwise than expected for the events of one file, in a service of their own.
async fn differences(
    args: &Args,
    config: &Config,
    draft: TemplateDraft,
    case: &Path,
    console: &mut Console<'_>,
) -> anyhow::Result<Vec<String>> {
    let events = into_events(event_file::read(&args.dir.join("events").join(case), console.input)?)?;
    let expected = expected(&args.dir.join("expected").join(case), events.len())?;
    let app = App::start_with(config.clone(), Arc::new(SqliteStorage::in_memory().await?)).await?;
    let name = run::store(&app, &args.dir, draft, &events, console).await?;
    let mut log = app.log.subscribe();
    let mut differences = Vec::new();
    for (number, (event, expected)) in events.into_iter().zip(expected).enumerate() {
        let (outcome, _) = run::execute(&app, &name, event, &mut log, true, console).await?;
        let outcome = serde_json::to_value(outcome)?;
        let (status, value) = (&outcome["status"], &outcome["value"]);
        if status != "ok" {
            differences.push(format!("event {}: the template failed: {outcome}", number + 1));
        } else if !same(value, &expected) {
            differences.push(format!("event {}: returned {value}, expected {expected}", number + 1));
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

/// Whether two values are equal; numbers are so as numbers.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let is_there = |(key, value)| right.get(key).is_some_and(|other| same(value, other));
            left.len() == right.len() && left.iter().all(is_there)
        }
        (left, right) => left == right,
    }
}
