//! Running a template for an event: what it is compiled to, what it sees as `ctx`, and what came of it.
//!
//! Owns the template context, outcomes and log entries. Leaves the VM to `khronos`, and where VMs live, and whose
//! turn it is, to `vm`.

mod compiler;
mod context;
mod log;
mod outcome;

use khronos::Program;

pub use compiler::{CompileFailure, Compiler};
pub(crate) use context::create_context;
pub use log::{LogEntry, TemplateLog};
pub use outcome::{Outcome, OutcomeResult};

use crate::template::Template;

/// A template that can run: what it is, and what it was compiled to.
#[derive(Debug)]
pub struct LoadedTemplate {
    /// What its author and the guild's admin said.
    pub template: Template,
    /// Its code.
    pub program: Program,
}

impl LoadedTemplate {
    /// Whether `other` is this very version of this very template.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let (a, b) = (&self.template, &other.template);
        a.name == b.name && a.version == b.version && a.updated_at == b.updated_at
    }
}
