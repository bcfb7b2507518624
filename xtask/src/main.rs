//! `cargo xtask <task>`: the chores of this repository that are too long for a shell line.
//!
//! Owns the command line and the exit code. What `tidy` checks is in [`tidy`]; formatting, clippy and the
//! tests are called by `scripts/test`, not from here.

mod tidy;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

const USAGE: &str = "usage: cargo xtask tidy    checks the house rules of docs/house-rules.md\n";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => {
            let tree = tidy::Tree::of_repository(repository_root()?)?;
            let findings = tidy::check(&tree);
            tidy::report(&tree, &findings, &mut out)?;
            Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        [] | ["help" | "--help" | "-h"] => {
            out.write_all(USAGE.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown task `{}`\n{USAGE}", other.join(" ")),
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
fn repository_root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("failed to find the folder above xtask")
}
