//! `@lune/..`: modules that look as those of Lune, for templates that are run there as well.
//!
//! Lune's own crates are made for scripts that their user trusts: a layout for a date can make them panic, a pattern may
//! take any amount of memory and time, and so may what was compressed. So the libraries below them are used here, with
//! limits, and what a limit is for each function is said where it is declared.

pub(crate) mod datetime;
pub(super) mod regex;
mod regex_work;
pub(super) mod serde;
