//! The binary: hands the command line, the environment and the terminal over to `cli`.

use std::io;
use std::process::ExitCode;

use template_worker::cli::{self, Console};
use template_worker::config::Environment;

fn main() -> ExitCode {
    // The handles stay unlocked: the service's log writes to the same stderr, from other threads.
    let (mut input, mut out, mut err) = (io::stdin(), io::stdout(), io::stderr());
    let mut console = Console { input: &mut input, out: &mut out, err: &mut err };
    cli::main(std::env::args_os(), Environment::of_process(), &mut console).into()
}
