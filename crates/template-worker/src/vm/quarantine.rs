//! What broke VMs.

use crate::ids::GuildId;
use crate::template::TemplateName;

/// A template broke its VM, or the worker that it ran on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Whose template.
    pub guild: GuildId,
    /// Which, where that is known.
    pub template: Option<TemplateName>,
    /// How.
    pub reason: String,
}

/// Hears of breaks.
pub trait BreakReports: Send + Sync + std::fmt::Debug {
    /// One more.
    fn report(&self, broke: Break);
}

/// Nobody hears.
#[derive(Debug)]
pub struct Unheard;
impl BreakReports for Unheard {
    fn report(&self, _: Break) {}
}
