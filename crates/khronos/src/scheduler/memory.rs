//! What a VM that needs memory gets done, and when its author hears of it.
//!
//! Owns that garbage is collected before anything else runs where memory is short, at the cost of whoever made it, and the
//! warning before the limit. Counting, and how garbage is collected, is `collector`'s business.

use mlua::Lua;

use super::collector::{Charge, Collected};
use super::{Scheduler, preempt};
use crate::options::LogLevel;

/// The part of the memory limit, in percent, at which the author is warned.
const WARN_AT: usize = 80;
/// The part at which the warning may come again.
const WARN_AGAIN_BELOW: usize = 60;

impl Scheduler {
    pub(crate) fn memory_limit(&self) -> usize {
        self.collector.limit()
    }

    /// Whether `bytes` more would be within the limit.
    pub(crate) fn fits(&self, lua: &Lua, bytes: usize) -> bool {
        self.collector.fits(lua, bytes)
    }

    /// Counts bytes that the host keeps for this VM.
    pub(crate) fn keep(&self, lua: &Lua, bytes: usize) -> Result<Charge, usize> {
        self.collector.charge(lua, bytes)
    }

    /// Has garbage collected, slice by slice, before anything else runs.
    pub(crate) fn request_collection(&self) {
        self.collector.request(self.last.get());
    }

    /// Whether garbage has to be collected before anything else.
    pub(crate) fn is_short_of_memory(&self, lua: &Lua) -> bool {
        self.collector.is_due(lua)
    }

    /// Whether so much is in use that no collection could bring it back within the limit.
    pub(crate) fn is_past_hope(&self, lua: &Lua) -> bool {
        self.collector.is_past_hope(lua)
    }

    /// Bytes that Luau and the host have for this VM.
    pub(crate) fn used_memory(&self, lua: &Lua) -> usize {
        self.collector.used(lua)
    }

    /// Does a slice of the collection that is due, at the cost of whoever made it necessary.
    pub(super) fn collect_garbage(&self, lua: &Lua) {
        let before = preempt::cpu_time();
        let collected = self.collector.collect(lua, self.last.get(), self.limits().slice);
        if let Some(id) = self.last.get() {
            self.charge(id, preempt::cpu_time().saturating_sub(before));
        }
        match collected {
            Ok(Collected::Partly) => {}
            Ok(Collected::Within(used)) => self.warn_of_memory(used),
            Ok(Collected::TooMuch(by)) => self.out_of_memory(by),
            Err(_) => self.out_of_memory(self.last.get()),
        }
    }

    /// Tells the author, once, that memory gets short.
    fn warn_of_memory(&self, used: usize) {
        let limit = self.collector.limit();
        let percent = used.saturating_mul(100) / limit.max(1);
        if percent < WARN_AGAIN_BELOW {
            self.warned.set(false);
        }
        if percent < WARN_AT || self.warned.get() {
            return;
        }
        if let Some(id) = self.last.get().filter(|id| self.is_alive(*id)) {
            self.warned.set(true);
            let text = format!(
                "{percent} % of the memory limit is in use: {used} of {limit} bytes, for all templates of the guild \
                 together; keep less in tables, or the VM ends, and with it everything that is kept in variables"
            );
            self.log(id, LogLevel::Warn, &text);
        }
    }
}
