//! Where guilds' VMs live and how they are reached.
//!
//! Owns actions and their answers, the worker threads, and the strategies that spread guilds over them. Leaves what a
//! template sees to `execution`, and which templates an event is for to `dispatch`.
//!
//! A *strategy* finds the *thread* that holds a guild's VM and puts a *command* (an action and the duty to answer it)
//! on that thread's bounded queue. The *thread loop* owns the VMs of its thread, and gives each a slice in turn.

mod action;
mod closing;
mod eviction;
mod guild_log;
mod guild_table;
mod guild_vm;
mod handle;
mod load;
mod memory;
mod panic_hook;
pub mod process;
pub mod quarantine;
mod reaper;
mod reply;
mod running;
mod runtime_limits;
pub mod strategy;
mod thread_entry;
mod thread_loop;
mod turns;
mod warm_pool;
mod warnings;

pub(crate) use action::merge_vms;
pub use action::{
    LuaVmAction, LuaVmResult, PanicPlace, ThreadStatus, VmState, VmStatus, WorkerAction, WorkerState,
};
pub use memory::MemoryBook;
pub use reaper::Reaper;
pub use reply::{Answers, Census, Present, Reply};
pub(crate) use reply::{Observe, replies};
pub use thread_entry::{Command, ThreadEntry};
