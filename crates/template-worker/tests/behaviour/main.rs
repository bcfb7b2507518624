//! What the service does, claim by claim, through its own doors: HTTP, and the command line.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod admission;
mod api_kv;
mod api_templates;
mod api_tokens;
mod backpressure;
mod captcha;
mod dispatching;
mod every_call;
mod every_limit;
mod examples;
mod examples_on_discord;
mod expiry;
mod extending;
mod guild_limits;
mod host_calls;
mod hostile_calls;
mod http_client;
mod internet;
mod isolation;
mod kv;
mod kv_crash;
mod large_calls;
mod limits;
mod limits_page;
mod locks;
mod logs;
mod metrics_page;
mod modules;
mod object_storage;
mod operations;
mod panics;
mod process;
mod process_pool;
mod process_programs;
mod quarantine;
mod read_only;
mod secrets;
mod strategies;
mod template_store;
mod traces;
mod vm_life;
mod vms;
