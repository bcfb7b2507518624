//! What the service does, claim by claim, through its own doors: HTTP, and the command line.

mod api_templates;
mod api_tokens;
mod dispatching;
mod examples;
mod isolation;
mod limits;
mod panics;
mod process;
mod vms;
