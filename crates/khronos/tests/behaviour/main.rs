//! What a VM does, claim by claim. `vm` makes one and runs scripts in it; each other file is one area.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod attacks;
mod blame;
mod decoding;
mod images;
mod library;
mod limits;
mod memory;
mod round_trips;
mod sandbox;
mod scheduling;
mod values;
mod vm;
