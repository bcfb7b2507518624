//! VMs in processes of their own, so that a script that breaks out of Luau finds an empty, locked room.
//!
//! Owns the child processes, and what is said between the service and them. Leaves to `strategy` which guild lives in
//! which process.

mod books;
mod calls;
pub mod confinement;
pub mod escape;
mod hearing;
mod inside;
mod line;
mod marker;
mod spawned;
mod supervisor;
mod syscalls;
mod talk;
mod wire;

pub use inside::{NotServed, serve};
pub(super) use marker::Marker;
pub(super) use supervisor::{Settings, patience, supervise};
