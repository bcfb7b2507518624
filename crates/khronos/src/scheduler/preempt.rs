//! Pausing a running script so that it cannot notice: the only file that handles raw Luau states.
//!
//! Owns how a chain of Luau threads is resumed and broken, the interrupt handler, the slot through which the ticker
//! reaches a running VM, and the budget that allocations are counted against. Leaves to `scheduler` who runs next and
//! what a stop means, to `ticker` when time is up, to `collector` how much memory is too much.
//!
//! # How
//! Luau calls `lua_Callbacks::interrupt` at every safepoint (loop back edges, calls, returns) if it is not null. It
//! is null while a slice lasts, so a script pays nothing for being preemptible. When the slice is over, the ticker
//! stores [`on_interrupt`] there; the handler takes itself out again and calls `lua_break`, which, unlike a yield,
//! goes through `coroutine.resume`, `coroutine.wrap` and `pcall` without a trace in the script: each level breaks in
//! turn (`debuginterrupt` tells us the chain, innermost first) and goes on where it stopped when the chain is
//! resumed in the same order.
//!
//! Allocations stop a script in the same way. Each is counted against a budget ([`on_allocate`], some instructions);
//! once it is spent and the VM has reached its mark, the handler is armed, the script pauses at its next safepoint, and
//! garbage is collected before it goes on. So it cannot fail for garbage, however fast it makes it.
//!
//! # Why the ticker never touches a VM that is gone
//! The pointer to a VM's callbacks lives in a [`Slot`] behind a mutex, from just before `lua_resume` to just after
//! it. The ticker dereferences it only while it holds that mutex. A VM is dropped by the thread that owns it, which
//! is not inside `lua_resume` then, so its slot is empty, and emptying it waited for the ticker to let go.

#![expect(unsafe_code, reason = "Luau's break and resume are only reachable through its C API")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mlua::ffi::{self, lua_State};
use mlua::{Function, Lua, Thread, Value};

use super::collector;
use super::ticker::TickerHandle;

thread_local! {
    /// The slice that runs on this thread; the handlers below find it here, since Luau gives them a state only.
    static CURRENT: Cell<*mut Slice> = const { Cell::new(ptr::null_mut()) };
    /// Bytes that may be allocated before somebody has to look at the VM's memory. Apart from the slice, because every
    /// allocation comes here.
    static BUDGET: Cell<isize> = const { Cell::new(isize::MAX) };
}

/// What the handlers note down while a slice runs.
struct Slice {
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
    memory: MemoryWatch,
    /// The mark was reached.
    pressed: bool,
    callbacks: NonNull<ffi::lua_Callbacks>,
}

/// Why a script had to be ended where it cannot be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    /// It ran for too long.
    Time,
    /// All that it has is in use, and it is too much.
    Memory,
}

/// How much memory a slice may come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryWatch {
    /// The VM. It runs, so it is alive.
    pub(crate) lua: *const Lua,
    /// Bytes that the host keeps for the VM; they count as if Luau had them.
    pub(crate) external: usize,
    /// The bytes at which garbage has to be collected.
    pub(crate) mark: usize,
    /// The bytes that may be in use once it has been.
    pub(crate) limit: usize,
}

impl MemoryWatch {
    fn used(&self) -> usize {
        // SAFETY: `lua` points to the VM that runs this slice, whose owner is borrowed by the caller of `resume`.
        unsafe { (*self.lua).used_memory() + self.external }
    }

    /// What may be allocated before the mark is reached.
    fn left(&self) -> isize {
        self.mark.saturating_sub(self.used()).try_into().unwrap_or(isize::MAX)
    }
}

impl Slice {
    /// Whether all levels can be broken. A coroutine that can, inside a sort comparator that cannot, would break alone
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

/// CPU time of this thread.
pub(super) fn cpu_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .unwrap_or_default()
}

/// Why a chain stopped running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The outermost thread returned.
    Finished,
    /// The outermost thread yielded; something has to resume it.
    Yielded,
    /// The outermost thread died of an error, which is on top of its stack.
    Failed,
    /// An allocation failed and nothing in the script caught it.
    OutOfMemory,
    /// The slice was over. Resume the chain to go on.
    SliceOver,
    /// The script called [`pause`]. Resume the chain to make that call return.
    Paused,
    /// The script has allocated so much that garbage has to be collected. Then resume the chain to go on.
    Pressed,
    /// The script ran longer than allowed where it cannot be paused, and was ended by an error.
    Killed,
}

/// A Luau thread that is about to run or paused, with the nested coroutines that were running inside it.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Innermost first; the last is `root`'s. All but `root` are anchored by the stack of the next one, where they are an
    /// argument of `coroutine.resume` or the function that `coroutine.wrap` made. Nothing takes a paused thread's stack
    /// away: Luau refuses to close one that is not suspended, and we never reset one.
    states: Vec<NonNull<lua_State>>,
    /// Keeps the chain alive.
    root: Thread,
}

impl Chain {
    /// A chain that starts, or goes on from a yield, with `root` alone.
    pub(crate) fn new(root: Thread) -> Self {
        Self { states: NonNull::new(root.state()).into_iter().collect(), root }
    }

    /// The outermost thread.
    pub(crate) fn root(&self) -> &Thread {
        &self.root
    }

    /// The thread that would run next: where a traceback is worth reading.
    pub(crate) fn innermost(&self, lua: &Lua) -> mlua::Result<Thread> {
        let Some(&inner) = self.states.first() else { return Ok(self.root.clone()) };
        // SAFETY: `inner` belongs to this VM and is anchored (see `states`). Pushing a thread onto its own stack
        // takes one slot, which we ask for, and moves it to the protected stack we were given.
        unsafe {
            lua.exec_raw((), |state| {
                ffi::lua_rawcheckstack(inner.as_ptr(), 1);
                ffi::lua_pushthread(inner.as_ptr());
                ffi::lua_xmove(inner.as_ptr(), state, 1);
            })
        }
    }
}

/// The state of a Luau thread, as far as resuming it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumability {
    /// Yielded, or not started.
    Ready,
    /// Paused or running inside a chain; its own chain will go on with it.
    Busy,
    /// Finished or dead.
    Over,
}

/// Asks Luau, without running anything, whether `thread` could be resumed.
pub(crate) fn resumability(thread: &Thread) -> Resumability {
    let state = thread.state();
    // SAFETY: the handle keeps the thread alive; both calls only read it. Comparing it with itself would say
    // "running", so the main state serves as the observer.
    let status = unsafe { ffi::lua_costatus(ffi::lua_mainthread(state), state) };
    match status {
        ffi::LUA_COSUS => Resumability::Ready,
        ffi::LUA_COFIN | ffi::LUA_COERR => Resumability::Over,
        _ => Resumability::Busy,
    }
}

/// Takes the error object off the stack of a thread that [`Stop::Failed`].
pub(crate) fn take_error(lua: &Lua, thread: &Thread) -> mlua::Result<Value> {
    let dead = thread.state();
    // SAFETY: the handle keeps the thread alive, and it does not run. One value moves between two stacks of the
    // same VM; `exec_raw` guarantees room for it.
    unsafe {
        lua.exec_raw((), |state| {
            if ffi::lua_gettop(dead) > 0 { ffi::lua_xmove(dead, state, 1) } else { ffi::lua_pushnil(state) }
        })
    }
}

/// Has what `thread` allocates from now on, and the threads that it makes, counted under `category`.
pub(crate) fn count_under(thread: &Thread, category: u8) {
    // SAFETY: the handle keeps the thread alive; a number is stored in it.
    unsafe { ffi::lua_setmemcat(thread.state(), c_int::from(category)) }
}

/// Has what `make` makes counted under `category`.
pub(crate) fn counted_under<R>(lua: &Lua, category: u8, make: impl FnOnce() -> R) -> R {
    let count = |category| {
        // SAFETY: as in `count_under`. A failure means that there is no memory, which `make` is about to find out.
        let _ = unsafe {
            lua.exec_raw::<()>((), |state| ffi::lua_setmemcat(ffi::lua_mainthread(state), category))
        };
    };
    count(c_int::from(category));
    let made = make();
    count(0);
    made
}

/// Bytes of what was counted under `category` and is in use.
pub(crate) fn bytes_of(lua: &Lua, category: u8) -> usize {
    let bytes = Cell::new(0);
    // SAFETY: reads a number of the VM.
    let read = unsafe {
        lua.exec_raw::<()>((), |state| bytes.set(ffi::lua_totalbytes(state, c_int::from(category))))
    };
    read.map_or(0, |()| bytes.get())
}

/// The Luau function that pauses its caller: `pause()` returns when the scheduler resumes the chain. Where the
/// caller cannot be paused (below a metamethod or a C function) it returns at once.
pub(crate) fn pause_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: `pause` has the signature and the protocol of a Luau C function.
    unsafe { lua.create_c_function(pause) }
}

/// The Luau function that says whether `pause()` would pause its caller.
pub(crate) fn can_pause_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: `can_pause` has the signature and the protocol of a Luau C function.
    unsafe { lua.create_c_function(can_pause) }
}

/// Where one worker thread shows the ticker which VM it runs, and since when.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    callbacks: NonNull<ffi::lua_Callbacks>,
    started: Instant,
    slice: Duration,
}

// SAFETY: `callbacks` is dereferenced only in `Slot::tick`, under the slot's mutex, while the VM is alive (see the
// head of this file), and only its `interrupt` field, which Luau allows to be set from any thread.
unsafe impl Send for Running {}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        // The guarded code does not panic, and a stale entry would be replaced by the next slice anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms the interrupt of the VM that runs, if its slice is over. Returns how long the slice, or the one that follows,
    /// has still to go, if any VM runs.
    pub(crate) fn tick(&self, now: Instant) -> Option<Duration> {
        let running = self.lock();
        let running = running.as_ref()?;
        let left = running.slice.saturating_sub(now.saturating_duration_since(running.started));
        if left.is_zero() {
            // SAFETY: under the lock, so the VM is alive.
            unsafe { set_interrupt(running.callbacks, on_interrupt as *mut ()) }
            return Some(running.slice);
        }
        Some(left)
    }
}

/// # Safety
/// `callbacks` must be those of a VM that is alive; `handler` null or [`on_interrupt`].
unsafe fn set_interrupt(callbacks: NonNull<ffi::lua_Callbacks>, handler: *mut ()) {
    // SAFETY: by the caller; the field is an aligned, nullable function pointer, which is what an `AtomicPtr` is.
    // It is read by Luau without a lock: a late read costs one more safepoint, nothing else.
    unsafe {
        let field = &raw mut (*callbacks.as_ptr()).interrupt;
        AtomicPtr::from_ptr(field.cast::<*mut ()>()).store(handler, Ordering::Relaxed);
    }
}

/// How long a chain may run before it is paused, and before it is ended where it cannot be paused; and its memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SliceLimits {
    pub(crate) slice: Duration,
    pub(crate) non_yieldable: Duration,
    pub(crate) memory: MemoryWatch,
}

/// Runs `chain` until it stops for one of the reasons in [`Stop`], at the latest soon after the slice is over.
pub(crate) fn resume(chain: &mut Chain, ticker: &TickerHandle, limits: SliceLimits) -> Stop {
    let slot = &ticker.slot;
    let started = Instant::now();
    // SAFETY: `root` keeps its VM's state alive.
    let callbacks = unsafe { NonNull::new_unchecked(ffi::lua_callbacks(chain.root.state())) };
    let mut slice = Slice {
        nesting: Vec::new(),
        broken: Vec::new(),
        paused: false,
        ends: started + limits.slice,
        non_yieldable_limit: limits.non_yieldable,
        overdue: None,
        killed: None,
        memory: limits.memory,
        pressed: false,
        callbacks,
    };
    // SAFETY: the VM is alive and only this thread runs it; Luau reads the fields when coroutines are resumed and break.
    unsafe {
        (*callbacks.as_ptr()).debuginterrupt = Some(on_level);
        (*callbacks.as_ptr()).preresume = Some(on_resume);
        (*callbacks.as_ptr()).postresume = Some(after_resume);
        (*callbacks.as_ptr()).onallocate = Some(on_allocate);
    }
    let before = CURRENT.replace(&raw mut slice);
    BUDGET.set(slice.memory.left());
    *slot.lock() = Some(Running { callbacks, started, slice: limits.slice });
    ticker.wake();

    let status = resume_states(&mut chain.states, &raw mut slice);

    let mut running = slot.lock();
    *running = None;
    // SAFETY: the VM is alive; we hold the lock, so the ticker cannot arm it again.
    unsafe { set_interrupt(callbacks, ptr::null_mut()) };
    drop(running);
    CURRENT.set(before);
    BUDGET.set(isize::MAX);

    match status {
        _ if slice.killed == Some(Killed::Time) => Stop::Killed,
        _ if slice.killed == Some(Killed::Memory) => Stop::OutOfMemory,
        ffi::LUA_OK => Stop::Finished,
        ffi::LUA_YIELD => Stop::Yielded,
        ffi::LUA_BREAK if slice.paused => Stop::Paused,
        ffi::LUA_BREAK if slice.pressed => Stop::Pressed,
        ffi::LUA_BREAK => Stop::SliceOver,
        ffi::LUA_ERRMEM => Stop::OutOfMemory,
        _ => Stop::Failed,
    }
}

/// Resumes innermost first; once a level no longer breaks, the next one picks up its result. Returns the status of
/// the level that broke, or of the outermost one.
fn resume_states(states: &mut Vec<NonNull<lua_State>>, slice: *mut Slice) -> c_int {
    let mut status = ffi::LUA_OK;
    for level in 0..states.len() {
        let mut results = 0;
        // SAFETY: the chain's threads are alive and not running; `lua_resume` catches everything that a script can
        // raise and returns it as a status.
        status = unsafe { ffi::lua_resume(states[level].as_ptr(), ptr::null_mut(), 0, &raw mut results) };
        if status == ffi::LUA_BREAK {
            // SAFETY: `slice` outlives this call, and the handlers that write to it ran inside `lua_resume`.
            let mut broken = unsafe { std::mem::take(&mut (*slice).broken) };
            broken.extend_from_slice(&states[level + 1..]);
            *states = broken;
            return status;
        }
    }
    // Those that finished may be garbage by now.
    states.drain(..states.len().saturating_sub(1));
    status
}

/// Runs at a safepoint after the ticker armed it.
unsafe extern "C-unwind" fn on_interrupt(state: *mut lua_State, gc: c_int) {
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
            if slice.memory.used() > collector::hopeless(slice.memory.limit) {
                slice.killed = Some(Killed::Memory);
            } else {
                // It has to be done here, then. The memory of a VM is little enough.
                ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0);
                after_collection(current);
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

/// Decides, where a script cannot be paused, whether what is left after a collection is too much.
///
/// # Safety
/// `current` must be the running slice, and nothing else refer to it.
unsafe fn after_collection(current: *mut Slice) {
    // SAFETY: by the caller.
    let slice = unsafe { &mut *current };
    let used = slice.memory.used();
    slice.pressed = false;
    if used > slice.memory.limit {
        slice.killed = Some(Killed::Memory);
    }
    slice.memory.mark = collector::mark_after(used, slice.memory.limit);
    BUDGET.set(slice.memory.left());
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
    let left = BUDGET.get().saturating_sub_unsigned(bytes);
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
        let left = (*current).memory.left();
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

unsafe extern "C-unwind" fn pause(state: *mut lua_State) -> c_int {
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

unsafe extern "C-unwind" fn can_pause(state: *mut lua_State) -> c_int {
    // SAFETY: as in `on_interrupt`; a C function has room for its results.
    unsafe {
        let can = CURRENT.get().as_ref().is_some_and(Slice::is_breakable);
        ffi::lua_pushboolean(state, c_int::from(can));
    }
    1
}
