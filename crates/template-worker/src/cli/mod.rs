//! The command line: its arguments and help texts, one file a command.
//!
//! Owns which commands there are and what they are handed: the sources of the configuration, and the console to talk
//! to. What a command does is in its file; what it builds belongs to `app`, `api` and `storage`.

mod banner;
mod check;
mod config;
mod console;
mod data_folder;
mod event_file;
mod first_token;
mod folder;
mod handlers;
mod init;
mod manifest;
mod requires;
mod run;
mod serve;
mod service_log;
mod signals;
mod template_log;
mod test;
mod token;
mod types;
mod vm_process;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use console::{Console, Exit};

use crate::config::{Environment, Sources};

const EXAMPLES: &str = "\
Examples:
  template-worker serve
  template-worker init greet
  template-worker check examples/ping
  template-worker run examples/ping --event examples/ping/events/ping.json

Exit codes:
  0  all went well
  1  it failed, and said why
  2  the command line is wrong
  3  run: a template failed
";

/// Runs the Luau templates of very many Discord guilds, so that none of them can hurt another
#[derive(Debug, Parser)]
#[command(name = "template-worker", version, after_help = EXAMPLES)]
struct Cli {
    /// Read the configuration from this TOML file; `template-worker config` shows what can be in it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the service
    Serve(serve::Args),
    /// Run a template from a folder, under the same limits as in the service
    Run(run::Args),
    /// Look for mistakes in the template of a folder
    Check(check::Args),
    /// Run the events of a template's folder, and compare what it returns with what is expected there
    Test(test::Args),
    /// Make a template to begin with
    Init(init::Args),
    /// Write the types of everything that a template sees, for editors
    Types(types::TypesArgs),
    /// Make, list and revoke access tokens
    Token(token::Args),
    /// Print the effective configuration, with the meaning of every key and where its value came from
    Config(config::Args),
    /// Write the pages of the reference
    #[command(hide = true)]
    Reference(types::ReferenceArgs),
    /// Hold VMs for the service, which starts this
    #[command(hide = true)]
    VmProcess(vm_process::Args),
}

/// Does what the command line `args` (its first word is the program's name) asks for. Errors are shown on the console,
/// so that only the exit code is left to be passed on.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    environment: Environment,
    console: &mut Console<'_>,
) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(usage) => return console.show_usage(&usage),
    };
    let sources = Sources { file: cli.config, environment, flags: Vec::new() };
    let done = match cli.command {
        Command::Serve(args) => serve::run(args, sources, console),
        Command::Run(args) => run::run(&args, sources, console),
        Command::Check(args) => check::run(&args, sources, console),
        Command::Test(args) => test::run(&args, sources, console),
        Command::Init(args) => init::run(&args, sources, console),
        Command::Types(args) => types::types(&args, sources, console),
        Command::Reference(args) => types::pages(&args, sources, console),
        Command::Token(args) => token::run(args, sources, console),
        Command::Config(args) => config::run(&args, sources, console),
        Command::VmProcess(args) => vm_process::run(&args, sources, console),
    };
    done.unwrap_or_else(|error| console.show_error(&error))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
