//! `config`: what the service would run with, and where each value came from.

use crate::config::{Config, Sources};

use super::console::{Console, Exit};

const HELP: &str = "\
Examples:
  template-worker config                          the defaults, and what the environment sets
  template-worker config > template-worker.toml   a file to start from
  template-worker config --config template-worker.toml

Every key can also be set from the environment: `threads` of `[vm]` is TEMPLATE_WORKER_VM__THREADS.
The command line wins over the environment, and that over the file.

Exit codes:
  0  printed
  1  the configuration cannot be read; the error names the key
  2  the command line is wrong
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {}

pub(super) fn run(_: &Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let loaded = Config::load(sources)?;
    console.out.write_all(loaded.explain().as_bytes())?;
    Ok(Exit::Success)
}
