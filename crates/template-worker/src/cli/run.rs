//! `run`: a template from a folder, run for events from files, in the very service, with a database in memory.
//!
//! Owns what is printed of it. That the limits and the sandbox are those of the service follows from using its `app`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use khronos::LogLevel;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::app::App;
use crate::config::{Config, Sources};
use crate::events::Event;
use crate::execution::{CompileFailure, LogEntry, Outcome, OutcomeResult};
use crate::ids::GuildId;
use crate::storage::SqliteStorage;
use crate::template::{TemplateDraft, TemplateName};

use super::check::{counted, show};
use super::console::{Console, Exit, plain};
use super::event_file::{self, EventText};
use super::folder::{self, Problem};

const HELP: &str = "\
Sends the events one after another to the template, in one VM, under the limits of the configuration. No
service is needed, nothing is stored. For each event, the outcome goes to stdout as JSON; what the template
logs goes to stderr.

An event file holds {\"name\": .., \"data\": ..}, as the API takes it, or an array of those; `-` is stdin.

Examples:
  template-worker run examples/ping --event examples/ping/events/ping.json
  template-worker run examples/join-raid --event examples/join-raid/events/*.json --json
  echo '{\"name\": \"WebHello\", \"data\": {}}' | template-worker run examples/ping --event -

Exit codes:
  0  the template returned for every event
  1  it did not come to that: the folder, an event file or the configuration is wrong
  2  the command line is wrong
  3  the template failed for some event
";

/// Beyond the execution's own limit, so that an execution that reaches it is reported as such.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The template's folder, with template.toml and init.luau
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Files with the events to send, in this order; `-` is stdin
    #[arg(long = "event", value_name = "FILE", required = true, num_args = 1..)]
    events: Vec<PathBuf>,

    /// Print one line of JSON for each event: {"event", "outcome", "log"}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let mut config = Config::load(sources)?.config;
    // One guild lives on one thread.
    config.vm.threads = 1;
    let draft = draft(&args.dir, &config, console)?;
    let mut texts = Vec::new();
    for path in &args.events {
        texts.extend(event_file::read(path, console.input)?);
    }
    let events = into_events(texts)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let storage = Arc::new(SqliteStorage::in_memory().await?);
        let app = App::start_with(config, storage).await?;
        let exit = run_in(&app, args, draft, events, console).await;
        app.stop().await;
        app.close().await;
        exit
    })
}

/// All events belong to one guild, so that they meet in one VM: the first that any of them names.
pub(super) fn into_events(texts: Vec<EventText>) -> anyhow::Result<Vec<Event>> {
    let named = texts.iter().find_map(EventText::guild);
    let guild = named.or_else(|| GuildId::new(1)).context("failed to choose a guild")?;
    texts.into_iter().map(|text| text.into_event(guild)).collect()
}

pub(super) fn draft(dir: &Path, config: &Config, console: &mut Console<'_>) -> anyhow::Result<TemplateDraft> {
    let folder = folder::read(dir, &config.limits)?;
    match folder.draft {
        Some(draft) if folder.problems.is_empty() => Ok(draft),
        _ => refuse(dir, folder.problems, console),
    }
}

fn refuse<T>(dir: &Path, mut problems: Vec<Problem>, console: &mut Console<'_>) -> anyhow::Result<T> {
    problems.sort();
    show(dir, &problems, console.err)?;
    bail!("failed to load the template {}: it has {}", dir.display(), counted(problems.len(), "problem"))
}

/// Stores the template for the guild of `events`, where it compiles, so that it gets all of them.
pub(super) async fn store(
    app: &App,
    dir: &Path,
    mut draft: TemplateDraft,
    events: &[Event],
    console: &mut Console<'_>,
) -> anyhow::Result<TemplateName> {
    match app.compiler.compile(None, draft.bundle.clone()).await {
        Err(CompileFailure::Errors(errors)) => {
            return refuse(dir, errors.into_iter().map(Problem::from).collect(), console);
        }
        compiled => drop(compiled?),
    }
    let name = template_name(dir)?;
    for event in events {
        if !draft.events.iter().any(|filter| filter.matches(event)) {
            writeln!(
                console.err,
                "warning: `events` in template.toml has no `{0}`: in the service, the template would not get it",
                event.name()
            )?;
            draft.events.push(event.name().as_str().parse()?);
        }
    }
    if let Some(guild) = events.first().map(Event::guild) {
        app.storage.put_template(guild, &name, draft, None, 1).await?;
        app.dispatcher.templates_changed(guild).await;
    }
    Ok(name)
}

async fn run_in(
    app: &App,
    args: &Args,
    draft: TemplateDraft,
    events: Vec<Event>,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    let name = store(app, &args.dir, draft, &events, console).await?;
    let mut log = app.log.subscribe();
    let mut exit = Exit::Success;
    for event in events {
        let shown = Shown { id: event.id().to_string(), name: event.name().to_string() };
        let (outcome, lines) = execute(app, &name, event, &mut log, args.json, console).await?;
        if !matches!(outcome.result, OutcomeResult::Ok { .. }) {
            exit = Exit::TemplateFailed;
        }
        if args.json {
            serde_json::to_writer(&mut *console.out, &Line { event: shown, outcome, log: lines })?;
        } else {
            serde_json::to_writer_pretty(&mut *console.out, &outcome)?;
        }
        writeln!(console.out)?;
    }
    Ok(exit)
}

/// What `--json` prints for an event.
#[derive(Debug, Serialize)]
struct Line {
    event: Shown,
    outcome: Outcome,
    log: Vec<LogText>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct LogText {
    level: &'static str,
    text: String,
}

/// Sends `event`, and takes what is logged until its outcome is there: as `LogText` where it is to be kept, else to
/// stderr while it comes.
pub(super) async fn execute(
    app: &App,
    name: &TemplateName,
    event: Event,
    log: &mut Receiver<LogEntry>,
    keep: bool,
    console: &mut Console<'_>,
) -> anyhow::Result<(Outcome, Vec<LogText>)> {
    let mut kept = Vec::new();
    let mut take = |line: LogText| {
        if keep {
            kept.push(line);
            return Ok(());
        }
        writeln!(console.err, "[{}] {}", line.level, plain(&line.text))
    };
    let what = format!("failed to dispatch {}", event.name());
    let wait = app.config.limits.max_templates_execution_time() + PATIENCE;
    let mut outcomes = {
        let dispatched = app.dispatcher.dispatch(event).await.with_context(|| what.clone())?;
        let mut dispatch = std::pin::pin!(dispatched.outcomes(wait));
        loop {
            tokio::select! {
                // Lines that are there already come before the outcome that they led to.
                biased;
                entry = log.recv() => match entry {
                    Ok(entry) => take(text_of(entry))?,
                    Err(RecvError::Lagged(count)) => take(lost(count))?,
                    Err(RecvError::Closed) => bail!("{what}: the service has stopped"),
                },
                outcomes = &mut dispatch => break outcomes,
            }
        }
    };
    loop {
        match log.try_recv() {
            Ok(entry) => take(text_of(entry))?,
            Err(TryRecvError::Lagged(count)) => take(lost(count))?,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    let outcome = outcomes.remove(name).with_context(|| format!("{what}: the template did not get it"))?;
    Ok((outcome, kept))
}

fn text_of(entry: LogEntry) -> LogText {
    let level = match entry.level {
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    LogText { level, text: entry.text }
}

fn lost(count: u64) -> LogText {
    LogText { level: "warn", text: format!("{count} lines came faster than they could be shown") }
}

/// The folder's name, where a template may be called so.
pub(super) fn template_name(dir: &Path) -> anyhow::Result<TemplateName> {
    let folder = std::fs::canonicalize(dir)?;
    let own = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    own.map_or_else(|| Ok("template".parse()?), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> EventText {
        event_file::read(Path::new("-"), &mut json.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn all_events_get_the_first_guild_that_any_of_them_names() {
        let texts = vec![
            text(r#"{"name": "WebHello", "data": 1}"#),
            text(r#"{"name": "MESSAGE_CREATE", "data": {"guild_id": "42"}}"#),
            text(r#"{"name": "MESSAGE_CREATE", "data": {"guild_id": "43"}}"#),
        ];
        let guilds: Vec<_> = into_events(texts).unwrap().iter().map(|event| event.guild().get()).collect();
        assert_eq!(guilds, [42, 42, 42]);
        let guilds = into_events(vec![text(r#"{"name": "WebHello", "data": null}"#)]).unwrap();
        assert_eq!(guilds[0].guild().get(), 1);
    }

    #[test]
    fn a_folder_whose_name_no_template_can_have_is_called_template() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("ä ö");
        std::fs::create_dir(&odd).unwrap();
        assert_eq!(template_name(&odd).unwrap().as_str(), "template");
        let plain = dir.path().join("greet");
        std::fs::create_dir(&plain).unwrap();
        assert_eq!(template_name(&plain).unwrap().as_str(), "greet");
    }
}
