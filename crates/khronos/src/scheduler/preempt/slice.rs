//! The slice that runs on this thread, and what Luau calls while it does.
//!
//! Owns the handlers and what they note down: where a chain broke, how long a script was where it cannot be paused, how
//! much it has allocated. Leaves to `preempt` how a chain is resumed, and what its end means.

#![expect(unsafe_code, reason = "Luau's handlers get raw states")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use mlua::Lua;
use mlua::ffi::{self, lua_State};

use super::super::collector;
use super::{MemoryLimits, SliceLimits, Stop, cpu_time, set_interrupt};

thread_local! {
    /// The slice that runs on this thread; the handlers below find it here, since Luau gives them a state only.
    static CURRENT: Cell<*mut Slice> = const { Cell::new(ptr::null_mut()) };
    /// Bytes that may be allocated before somebody has to look at the VM's memory. Apart from the slice, because every
    /// allocation comes here.
    static BUDGET: Cell<isize> = const { Cell::new(isize::MAX) };
}

/// What the handlers note down while a slice runs.
pub(super) struct Slice {
    /// The coroutines that run inside each other in this call of `lua_resume`, outermost first.
    nesting: Vec<NonNull<lua_State>>,
    /// The threads that broke, innermost first.
    broken: Vec<NonNull<lua_State>>,
    /// Whether [`pause`] broke them, and not the end of the slice.
    paused: bool,
    /// When the slice is over.
    ends: Instant,
    non_yieldable_limit: Duration,
    /// When the slice was over, and could not end: by the clock, and in CPU time of this thread.
    overdue: Option<(Instant, Duration)>,
    /// An error was raised in place of a break, because the script ran below a C function for too long, or had too much
    /// memory there.
    killed: Option<Killed>,
    memory: MemoryLimits,
    /// The mark was reached.
    pressed: bool,
    lua: *const Lua,
    callbacks: NonNull<ffi::lua_Callbacks>,
}

/// Why a script had to be ended where it cannot be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    /// It ran for too long.
    Time,
    /// All that it has is in use, and it is too much.
    Memory,
}

impl Slice {
    pub(super) fn new(
        lua: &Lua,
        callbacks: NonNull<ffi::lua_Callbacks>,
        started: Instant,
        limits: SliceLimits,
    ) -> Self {
        Self {
            nesting: Vec::new(),
            broken: Vec::new(),
            paused: false,
            ends: started + limits.slice,
            non_yieldable_limit: limits.non_yieldable,
            overdue: None,
            killed: None,
            memory: limits.memory,
            pressed: false,
            lua,
            callbacks,
        }
    }

    /// Has the handlers write to this slice while `resume` runs the VM that it was made for.
    pub(super) fn run(&mut self, resume: impl FnOnce(*mut Self) -> c_int) -> c_int {
        // SAFETY: the VM is alive and only this thread runs it; Luau reads the fields when it gets to such a place.
        unsafe {
            let callbacks = &mut *self.callbacks.as_ptr();
            callbacks.debuginterrupt = Some(on_level);
            callbacks.preresume = Some(on_resume);
            callbacks.postresume = Some(after_resume);
            callbacks.onallocate = Some(on_allocate);
        }
        BUDGET.set(self.budget());
        let slice: *mut Self = self;
        let before = CURRENT.replace(slice);
        let status = resume(slice);
        CURRENT.set(before);
        BUDGET.set(isize::MAX);
        status
    }

    /// What it means that the chain stopped with `status`.
    pub(super) fn stop(&self, status: c_int) -> Stop {
        match (self.killed, status) {
            (Some(Killed::Time), _) => Stop::Killed,
            (Some(Killed::Memory), _) => Stop::OutOfMemory,
            (None, ffi::LUA_OK) => Stop::Finished,
            (None, ffi::LUA_YIELD) => Stop::Yielded,
            (None, ffi::LUA_BREAK) if self.paused => Stop::Paused,
            (None, ffi::LUA_BREAK) if self.pressed => Stop::Pressed,
            (None, ffi::LUA_BREAK) => Stop::SliceOver,
            (None, ffi::LUA_ERRMEM) => Stop::OutOfMemory,
            (None, _) => Stop::Failed,
        }
    }

    /// The threads that broke, innermost first.
    pub(super) fn take_broken(&mut self) -> Vec<NonNull<lua_State>> {
        std::mem::take(&mut self.broken)
    }

    fn used_memory(&self) -> usize {
        // SAFETY: `lua` is the VM that runs this slice; whoever called `resume` has borrowed it.
        unsafe { (*self.lua).used_memory() + self.memory.external }
    }

    /// What may be allocated before the mark is reached.
    fn budget(&self) -> isize {
        self.memory.mark.saturating_sub(self.used_memory()).try_into().unwrap_or(isize::MAX)
    }

    /// Whether all levels can be broken. A coroutine that can, inside a metamethod that cannot, would break alone
    /// and its parent would fail.
    fn is_breakable(&self) -> bool {
        // SAFETY: all of them are running inside this slice, and reading a state's call depth changes nothing.
        self.nesting.iter().all(|level| unsafe { ffi::lua_isyieldable(level.as_ptr()) != 0 })
    }

    fn break_at(&mut self, level: NonNull<lua_State>) {
        self.broken.clear();
        self.broken.push(level);
    }

    /// Whether an overdue slice has used up the time that it may take in a place where it cannot be paused. CPU time
    /// counts, so that a busy machine ends nobody; asking for it costs a system call, so the clock is asked first.
    fn is_out_of_time(&mut self) -> bool {
        let (since, cpu) = *self.overdue.get_or_insert_with(|| (Instant::now(), cpu_time()));
        since.elapsed() > self.non_yieldable_limit
            && cpu_time().saturating_sub(cpu) > self.non_yieldable_limit
    }
}

/// Runs at a safepoint after the ticker armed it.
pub(super) unsafe extern "C-unwind" fn on_interrupt(state: *mut lua_State, gc: c_int) {
    if gc >= 0 {
        return; // a step of the garbage collector is no place to stop
    }
    let current = CURRENT.get();
    // SAFETY: Luau calls us from inside `resume`, which set `CURRENT` to a live `Slice`; nothing else refers to it
    // meanwhile. Raising or breaking is what an interrupt handler may do, and no value with a destructor is alive
    // where `luaL_error` unwinds.
    unsafe {
        let (Some(slice), Some(level)) = (current.as_mut(), NonNull::new(state)) else { return };
        if slice.is_breakable() {
            set_interrupt(slice.callbacks, ptr::null_mut());
            slice.break_at(level);
            ffi::lua_break(state);
            return;
        }
        if slice.killed.is_none() && slice.pressed {
            if slice.used_memory() > collector::hopeless(slice.memory.limit) {
                slice.killed = Some(Killed::Memory);
            } else {
                collect_here(state, current);
            }
        }
        let slice = &mut *current;
        if slice.killed.is_none() && Instant::now() < slice.ends {
            return set_interrupt(slice.callbacks, ptr::null_mut());
        }
        if slice.killed.is_none() && slice.is_out_of_time() {
            slice.killed = Some(Killed::Time);
        }
        // Stays armed: caught by a `pcall`, it is raised again, until the script can be paused for good.
        let text = match slice.killed {
            Some(Killed::Time) => c"limit exceeded: ran too long where a script cannot be paused",
            Some(Killed::Memory) => c"limit exceeded: not enough memory",
            None => return,
        };
        ffi::luaL_error(state, text.as_ptr());
    }
}

/// Collects garbage where a script cannot be paused, as long as it may stay there. The first collection may have begun
/// when things were still in use, so there are two.
///
/// # Safety
/// As for `on_interrupt`, and nothing else refers to the slice.
unsafe fn collect_here(state: *mut lua_State, current: *mut Slice) {
    for _ in 0..2 {
        // SAFETY: by the caller. A step runs no code of a script.
        while unsafe { ffi::lua_gc(state, ffi::LUA_GCSTEP, 0) } == 0 {
            // SAFETY: by the caller.
            if unsafe { (*current).is_out_of_time() } {
                return;
            }
        }
    }
    // SAFETY: by the caller.
    unsafe { after_collection(current) }
}

/// Decides, where a script cannot be paused, whether what is left after a collection is too much.
///
/// # Safety
/// `current` must be the running slice, and nothing else refer to it.
unsafe fn after_collection(current: *mut Slice) {
    // SAFETY: by the caller.
    let slice = unsafe { &mut *current };
    let used = slice.used_memory();
    slice.pressed = false;
    if used > slice.memory.limit {
        slice.killed = Some(Killed::Memory);
    }
    slice.memory.mark = collector::mark_after(used, slice.memory.limit);
    BUDGET.set(slice.budget());
}

/// Runs after each allocation of Luau, and so has to be short.
unsafe extern "C-unwind" fn on_allocate(
    _: *mut lua_State,
    _: *mut c_void,
    _: usize,
    bytes: usize,
    _: u8,
    _: c_int,
    _: c_int,
) {
    // What was freed meanwhile is not taken off: then the look comes early, and finds more to spend.
    let left = BUDGET.get().wrapping_sub_unsigned(bytes);
    BUDGET.set(left);
    if left < 0 {
        budget_is_spent();
    }
}

#[cold]
fn budget_is_spent() {
    let current = CURRENT.get();
    if current.is_null() {
        // The host allocates. The scheduler looks before it runs anything.
        return BUDGET.set(isize::MAX);
    }
    // SAFETY: as in `on_interrupt`; the handlers that hold a reference to the slice allocate nothing meanwhile.
    unsafe {
        let left = (*current).budget();
        if left > 0 {
            return BUDGET.set(left);
        }
        (*current).pressed = true;
        BUDGET.set(isize::MAX);
        set_interrupt((*current).callbacks, on_interrupt as *mut ());
    }
}

/// Runs before a coroutine goes on, and [`after_resume`] when it stops, for whatever reason.
unsafe extern "C-unwind" fn on_resume(state: *mut lua_State) {
    // SAFETY: as in `on_interrupt`.
    if let (Some(slice), Some(level)) = (unsafe { CURRENT.get().as_mut() }, NonNull::new(state)) {
        slice.nesting.push(level);
    }
}

unsafe extern "C-unwind" fn after_resume(_: *mut lua_State) {
    // SAFETY: as in `on_interrupt`.
    if let Some(slice) = unsafe { CURRENT.get().as_mut() } {
        slice.nesting.pop();
    }
}

/// Runs once for each enclosing `coroutine.resume` or `wrap` of a thread that breaks.
unsafe extern "C-unwind" fn on_level(state: *mut lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: as in `on_interrupt`.
    if let (Some(slice), Some(level)) = (unsafe { CURRENT.get().as_mut() }, NonNull::new(state)) {
        slice.broken.push(level);
    }
}

pub(super) unsafe extern "C-unwind" fn pause(state: *mut lua_State) -> c_int {
    // SAFETY: as in `on_interrupt`; a C function that breaks returns what `lua_break` gave it, and its call returns
    // no values when the chain is resumed.
    unsafe {
        let (Some(slice), Some(level)) = (CURRENT.get().as_mut(), NonNull::new(state)) else { return 0 };
        if !slice.is_breakable() {
            return 0;
        }
        slice.paused = true;
        slice.break_at(level);
        ffi::lua_break(state)
    }
}

pub(super) unsafe extern "C-unwind" fn can_pause(state: *mut lua_State) -> c_int {
    // SAFETY: as in `on_interrupt`; a C function has room for its results.
    unsafe {
        let can = CURRENT.get().as_ref().is_some_and(Slice::is_breakable);
        ffi::lua_pushboolean(state, c_int::from(can));
    }
    1
}
