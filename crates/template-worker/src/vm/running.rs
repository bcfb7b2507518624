//! Whose template a worker thread is running right now, for the case that something goes wrong that nobody survives to
//! tell: a panic of the thread, which the pool learns of, and the death of a VM process, which its parent does by the
//! process's marker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::quarantine::Break;
use super::strategy::Shared;
use crate::ids::{GuildId, ThreadId};

/// What a thread runs.
#[derive(Debug, Clone)]
pub(super) struct NowRunning(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    thread: ThreadId,
    shared: Arc<Shared>,
    now: RefCell<Option<(GuildId, Arc<str>)>>,
    /// Whether the marker names somebody.
    is_marked: Cell<bool>,
}

impl NowRunning {
    /// The thread runs nothing.
    pub(super) fn new(thread: ThreadId, shared: &Arc<Shared>) -> Self {
        let (now, is_marked) = (RefCell::new(None), Cell::new(false));
        Self(Rc::new(Inner { thread, shared: Arc::clone(shared), now, is_marked }))
    }

    /// A template of `guild` is about to run.
    pub(super) fn set(&self, guild: GuildId, template: &str) {
        let mut now = self.0.now.borrow_mut();
        if now.as_ref().is_none_or(|(known, name)| *known != guild || &**name != template) {
            *now = Some((guild, template.into()));
        }
        if let Some(outside) = &self.0.shared.outside {
            outside.marker.runs(self.0.thread, guild, template);
            self.0.is_marked.set(true);
        }
    }

    /// Nothing runs for a moment. The marker, which takes a system call, may still name who ran last.
    pub(super) fn rests(&self) {
        self.0.now.replace(None);
    }

    /// Nothing runs, nor does anybody say so.
    pub(super) fn rests_altogether(&self) {
        self.rests();
        if self.0.is_marked.replace(false)
            && let Some(outside) = &self.0.shared.outside
        {
            outside.marker.rests(self.0.thread);
        }
    }

    /// Whoever was running when something happened for `reason`.
    pub(super) fn culprit(&self, reason: &str) -> Option<Break> {
        let (guild, template) = self.0.now.borrow().clone()?;
        let reason = format!("the thread of its VM failed while it ran: {reason}");
        Some(Break { guild, template: template.parse().ok(), reason })
    }
}
