//! What `ctx.Discord` does, claim by claim: the real client against a Discord on a real socket, which has its own opinion of
//! who may do what.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod believed;
mod cases;
mod current_user;
mod every_method;
mod forms;
mod limits;
mod power;
mod state;
mod templates;
mod world;
