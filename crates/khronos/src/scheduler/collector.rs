//! When garbage has to be collected before a script may go on, and when what is left is too much.
//!
//! Luau's own collector works in small steps while scripts allocate, and is enough as long as a VM is far from its
//! limit. It knows of no limit, though, and lets the heap double before it begins: with half of the limit in use, a script
//! would fail for garbage. So a VM has a *mark*: when its memory reaches that, whatever ran is paused (`preempt`), and a
//! whole collection is done first, a slice at a time, so that other VMs have their turns in between. What is in use then
//! says where the next mark is, half way to the limit, and whether the VM is still within it.
//!
//! So the limit is about what is in use, not about garbage. Between two safepoints a script can get past it, and is
//! stopped at the next one: for a collection, or for good where no collection could bring it back within the limit.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::Lua;
use mlua::state::{GcIncParams, GcMode};

use super::ExecutionId;
use super::preempt::MemoryLimits;

/// How often its limit Luau gets for a VM. That much is only asked for by single calls whose result could never be kept;
/// everything less is noticed at the next safepoint, where no `pcall` is in the way.
const MOST: usize = 4;
/// The least distance from what is in use to the next mark, as a part of the limit: a heap that is nearly full is
/// collected often, but not at each allocation.
const LEAST_STEP: usize = 64;
/// KiB of allocation whose work Luau does in one step while a collection is to be finished soon, and else.
const BIG_STEP: i32 = 8;
const USUAL_STEP: i32 = 1;
/// A step that takes longer than this is of texts that hash alike. Then the steps are as small as they can be: a page.
const LONG_STEP: Duration = Duration::from_micros(500);

/// Where the next collection is due when `used` of `limit` bytes are in use after one.
pub(super) fn mark_after(used: usize, limit: usize) -> usize {
    used + (limit.saturating_sub(used) / 2).max(limit / LEAST_STEP)
}

/// More than this is too much without a look at the garbage: whoever was below the mark, and allocates what is within the
/// limit beside what is in use, stays below it.
pub(super) fn hopeless(limit: usize) -> usize {
    limit + limit / 2
}

/// What a collection came to.
pub(super) enum Collected {
    /// The slice is over, and there is more to do.
    Partly,
    /// So many bytes are in use.
    Within(usize),
    /// What is in use is more than the limit, for which the execution is to blame under which it was noticed.
    TooMuch(Option<ExecutionId>),
}

/// The memory of one VM.
pub(super) struct Collector {
    limit: Cell<usize>,
    mark: Cell<usize>,
    /// Bytes that the host keeps for the VM.
    external: Rc<Cell<usize>>,
    collecting: Cell<Option<Collecting>>,
}

#[derive(Clone, Copy)]
struct Collecting {
    /// Who ran when the mark was reached.
    by: Option<ExecutionId>,
    /// Whether the cycle began after that. One that was under way leaves what became garbage meanwhile.
    is_fresh: bool,
    /// Whether all garbage is to go, and not only so much that the VM is below its mark.
    is_thorough: bool,
    /// Whether the steps have to be small.
    is_slow: bool,
}

impl Collecting {
    fn new(by: Option<ExecutionId>) -> Self {
        Self { by, is_fresh: false, is_thorough: false, is_slow: false }
    }
}

/// Bytes that the host keeps for a VM, until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    external: Rc<Cell<usize>>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.external.set(self.external.get().saturating_sub(self.bytes));
    }
}

impl Collector {
    /// For a VM that may use `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: Cell::new(limit),
            mark: Cell::new(mark_after(0, limit)),
            external: Rc::default(),
            collecting: Cell::new(None),
        }
    }

    /// The bytes that may be in use.
    pub(super) fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Changes the limit. What is in use is looked at before anything runs.
    pub(super) fn set_limit(&self, lua: &Lua, limit: usize) -> mlua::Result<()> {
        lua.set_memory_limit(limit.saturating_mul(MOST))?;
        self.limit.set(limit);
        self.mark.set(mark_after(0, limit));
        if self.used(lua) > limit {
            // Perhaps it is garbage, which was within the limit until now.
            self.request(None);
        }
        Ok(())
    }

    /// What Luau and the host have for this VM.
    pub(super) fn used(&self, lua: &Lua) -> usize {
        lua.used_memory() + self.external.get()
    }

    /// Counts bytes that the host keeps for this VM.
    ///
    /// # Errors
    /// The limit, when no collection could make room for them.
    pub(super) fn charge(&self, lua: &Lua, bytes: usize) -> Result<Charge, usize> {
        let limit = self.limit.get();
        if self.used(lua) + bytes > hopeless(limit) {
            return Err(limit);
        }
        self.external.set(self.external.get() + bytes);
        Ok(Charge { external: Rc::clone(&self.external), bytes })
    }

    /// What the next slice may come to.
    pub(super) fn limits(&self) -> MemoryLimits {
        MemoryLimits { external: self.external.get(), mark: self.mark.get(), limit: self.limit.get() }
    }

    /// Whether it is too much without a look at the garbage.
    pub(super) fn is_past_hope(&self, lua: &Lua) -> bool {
        // Where everything is going to be looked at, it will be seen.
        let is_thorough = self.collecting.get().is_some_and(|state| state.is_thorough);
        !is_thorough && self.used(lua) > hopeless(self.limit.get())
    }

    /// Whether nothing may run before garbage was collected.
    pub(super) fn is_due(&self, lua: &Lua) -> bool {
        self.collecting.get().is_some() || self.used(lua) >= self.mark.get()
    }

    /// Collects for at most about `slice`. `by` is who ran when it became due.
    pub(super) fn collect(
        &self,
        lua: &Lua,
        by: Option<ExecutionId>,
        slice: Duration,
    ) -> mlua::Result<Collected> {
        if self.is_past_hope(lua) {
            return Ok(Collected::TooMuch(by));
        }
        let until = Instant::now() + slice;
        let mut state = self.collecting.get().unwrap_or(Collecting::new(by));
        step_size(lua, if state.is_slow { USUAL_STEP } else { BIG_STEP });
        let mut before = Instant::now();
        let done = loop {
            if lua.gc_step()? {
                let used = self.used(lua);
                if state.is_fresh || (!state.is_thorough && used < self.mark.get()) {
                    break Some(used);
                }
                state.is_fresh = true;
            }
            let now = Instant::now();
            if !state.is_slow && now - before > LONG_STEP {
                state.is_slow = true;
                step_size(lua, USUAL_STEP);
            }
            if now >= until {
                break None;
            }
            before = now;
        };
        step_size(lua, USUAL_STEP);
        let Some(used) = done else {
            self.collecting.set(Some(state));
            return Ok(Collected::Partly);
        };
        self.collecting.set(None);
        let limit = self.limit.get();
        self.mark.set(mark_after(used, limit));
        Ok(if used > limit { Collected::TooMuch(state.by) } else { Collected::Within(used) })
    }

    /// Whether `bytes` more would be within the limit.
    pub(super) fn fits(&self, lua: &Lua, bytes: usize) -> bool {
        self.used(lua).saturating_add(bytes) <= self.limit.get()
    }

    /// Has all garbage collected before anything else runs. A collection that is under way goes on: nothing has run since
    /// it began, and whoever asks again and again must not keep it from its end.
    pub(super) fn request(&self, by: Option<ExecutionId>) {
        let state = self.collecting.get().unwrap_or(Collecting::new(by));
        self.collecting.set(Some(Collecting { is_thorough: true, ..state }));
    }
}

fn step_size(lua: &Lua, kib: i32) {
    // Returns the mode that it was in, which is always this one.
    lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().step_size(kib)));
}
