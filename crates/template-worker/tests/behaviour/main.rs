//! What the service does, claim by claim, through its own doors: HTTP, and the command line.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod admission;
mod api_templates;
mod api_tokens;
mod dispatching;
mod examples;
mod isolation;
mod limits;
mod panics;
mod process;
mod vm_life;
mod vms;
