//! VMs in processes of their own, locked in before the first template is loaded.
//!
//! Owns what such a process may no longer do, and the drill that tries it all the same.

pub mod confinement;
pub mod escape;
mod syscalls;
