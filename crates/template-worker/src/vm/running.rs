//! Whose template a worker thread is running right now, for the case that something goes wrong that nobody survives to
//! tell: a panic of the thread, which the pool learns of, and the death of the process, which its parent does.

use std::cell::RefCell;
use std::rc::Rc;

use super::quarantine::Break;
use crate::ids::GuildId;
use crate::template::TemplateName;

/// What a thread runs. Its own; the marker of a process is written beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct NowRunning(Rc<RefCell<Option<(GuildId, TemplateName)>>>);

impl NowRunning {
    /// A template of `guild` is about to run.
    pub(super) fn set(&self, guild: GuildId, template: &TemplateName) {
        let mut now = self.0.borrow_mut();
        if now.as_ref().is_none_or(|(known, name)| *known != guild || name != template) {
            *now = Some((guild, template.clone()));
        }
    }

    /// Nothing runs.
    pub(super) fn clear(&self) {
        self.0.replace(None);
    }

    /// Whoever was running when something happened for `reason`.
    pub(super) fn culprit(&self, reason: &str) -> Option<Break> {
        let (guild, template) = self.0.borrow().clone()?;
        let reason = format!("the thread of its VM failed while it ran: {reason}");
        Some(Break { guild, template: Some(template), reason })
    }
}
