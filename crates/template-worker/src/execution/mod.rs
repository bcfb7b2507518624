//! Running a template for an event: what it is compiled to, what it sees as `ctx`, and what came of it.
//!
//! Owns the template context, outcomes and log entries. Leaves the VM to `khronos`, and where VMs live, and whose
//! turn it is, to `vm`.

mod compiler;
mod context;
mod declared;
mod loader;
mod log;
mod outcome;

use std::sync::Arc;

use khronos::Program;

pub use compiler::{CompileFailure, Compiler};
pub(crate) use context::create_context;
pub(crate) use declared::instead_of;
pub use declared::{CONTEXT, EVENT, TABLES};
pub use loader::Loader;
pub use log::{LogEntry, TemplateLog};
pub use outcome::{Outcome, OutcomeResult};

use crate::host::discord::CurrentUser;
use crate::template::TemplateInfo;

/// A template that can run: what it is, and what it was compiled to. Its sources are not kept in memory.
#[derive(Debug)]
pub struct LoadedTemplate {
    /// What its author and the guild's admin said.
    pub info: Arc<TemplateInfo>,
    /// Its code.
    pub program: Program,
    /// The bot's user, where it was known when the template was loaded.
    pub current_user: Option<Arc<CurrentUser>>,
}

impl LoadedTemplate {
    /// Whether this is a later version than `other`, a version of a template of the same name, or the same one with the bot's
    /// user, which was not known before.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        let age =
            |loaded: &Self| (loaded.info.updated_at, loaded.info.version, loaded.current_user.is_some());
        age(self) > age(other)
    }
}
