//! VMs in processes of their own, so that a script that breaks out of Luau finds an empty, locked room.
//!
//! Owns the child processes, and what is said between the service and them. Leaves to `strategy` which guild lives in
//! which process.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "its users are the two ends of the socket"))]
mod wire;
