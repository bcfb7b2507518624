//! What is fed to the runtime, made from choices. Nothing here knows what should come of it.

pub mod bundle;
pub mod call;
pub mod grammar;
pub mod json;
pub mod program;
pub mod value;
