//! Pausing a running script so that it cannot notice: the only module that handles raw Luau threads.
//!
//! Owns how a chain of Luau threads is resumed and broken, and the slot through which the ticker reaches a running VM;
//! what Luau calls meanwhile is in `slice`. Leaves to `scheduler` who runs next and what a stop means, to `ticker` when
//! time is up, to `collector` how much memory is too much.
//!
//! # How
//! Luau calls `lua_Callbacks::interrupt` at every safepoint (loop back edges, calls, returns) if it is not null. It
//! is null while a slice lasts, so a script pays nothing for being preemptible. When the slice is over, the ticker
//! stores [`on_interrupt`] there; the handler takes itself out again and calls `lua_break`, which, unlike a yield,
//! goes through `coroutine.resume`, `coroutine.wrap` and `pcall` without a trace in the script: each level breaks in
//! turn (`debuginterrupt` tells us the chain, innermost first) and goes on where it stopped when the chain is
//! resumed in the same order.
//!
//! Allocations stop a script in the same way. Each is counted against a budget (`on_allocate`, some instructions);
//! once it is spent and the VM has reached its mark, the handler is armed, the script pauses at its next safepoint, and
//! garbage is collected before it goes on. So it cannot fail for garbage, however fast it makes it.
//!
//! # Why the ticker never touches a VM that is gone
//! The pointer to a VM's callbacks lives in a [`Slot`] behind a mutex, from just before `lua_resume` to just after
//! it. The ticker dereferences it only while it holds that mutex. A VM is dropped by the thread that owns it, which
//! is not inside `lua_resume` then, so its slot is empty, and emptying it waited for the ticker to let go.

#![expect(unsafe_code, reason = "Luau's break and resume are only reachable through its C API")]

mod slice;

use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mlua::ffi::{self, lua_State};
use mlua::{Function, Lua, Thread, Value};

use super::ticker::TickerHandle;
use slice::{Slice, on_interrupt};

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
    /// The script called `pause`. Resume the chain to make that call return.
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

/// Bytes of what was counted under `category` in the VM of `thread` and was not collected yet.
pub(crate) fn bytes_of(thread: &Thread, category: u8) -> usize {
    // SAFETY: the handle keeps the thread alive; a number of its VM is read.
    unsafe { ffi::lua_totalbytes(thread.state(), c_int::from(category)) }
}

/// The Luau function that pauses its caller: `pause()` returns when the scheduler resumes the chain. Where the
/// caller cannot be paused (below a metamethod or a C function) it returns at once.
pub(crate) fn pause_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: `pause` has the signature and the protocol of a Luau C function.
    unsafe { lua.create_c_function(slice::pause) }
}

/// The Luau function that says whether `pause()` would pause its caller.
pub(crate) fn can_pause_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: `can_pause` has the signature and the protocol of a Luau C function.
    unsafe { lua.create_c_function(slice::can_pause) }
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
    pub(crate) memory: MemoryLimits,
}

/// How much memory a VM may come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryLimits {
    /// Bytes that the host keeps for the VM; they count as if Luau had them.
    pub(crate) external: usize,
    /// The bytes at which garbage has to be collected.
    pub(crate) mark: usize,
    /// The bytes that may be in use once it has been.
    pub(crate) limit: usize,
}

/// Runs `chain` until it stops for one of the reasons in [`Stop`], at the latest soon after the slice is over.
pub(crate) fn resume(lua: &Lua, chain: &mut Chain, ticker: &TickerHandle, limits: SliceLimits) -> Stop {
    let slot = &ticker.slot;
    let started = Instant::now();
    // SAFETY: `root` keeps its VM's state alive.
    let callbacks = unsafe { NonNull::new_unchecked(ffi::lua_callbacks(chain.root.state())) };
    let mut slice = Slice::new(lua, callbacks, started, limits);
    *slot.lock() = Some(Running { callbacks, started, slice: limits.slice });
    ticker.wake();

    let status = slice.run(|slice| resume_states(&mut chain.states, slice));

    let mut running = slot.lock();
    *running = None;
    // SAFETY: the VM is alive; we hold the lock, so the ticker cannot arm it again.
    unsafe { set_interrupt(callbacks, ptr::null_mut()) };
    drop(running);
    slice.stop(status)
}

/// Resumes innermost first; once a level no longer breaks, the next one picks up its result. Returns the status of
/// the level that broke, or of the outermost one.
fn resume_states(states: &mut Vec<NonNull<lua_State>>, slice: *mut Slice) -> c_int {
    let mut status = ffi::LUA_OK;
    for level in 0..states.len() {
        let mut results = 0;
        let state = states[level].as_ptr();
        // SAFETY: the chain's threads are alive and not running; `lua_resume` catches everything that a script can
        // raise and returns it as a status.
        status = unsafe {
            // Luau lets 200 C functions run inside each other. A thread that broke knows how many there were around it,
            // so it is resumed as if by itself; counted from nothing, a script that was paused on its way down would
            // get further than one that was not.
            let around = if ffi::lua_status(state) == ffi::LUA_BREAK { state } else { ptr::null_mut() };
            ffi::lua_resume(state, around, 0, &raw mut results)
        };
        if status == ffi::LUA_BREAK {
            // SAFETY: `slice` outlives this call, and the handlers that write to it ran inside `lua_resume`.
            let mut broken = unsafe { (*slice).take_broken() };
            broken.extend_from_slice(&states[level + 1..]);
            *states = broken;
            return status;
        }
    }
    // Those that finished may be garbage by now.
    states.drain(..states.len().saturating_sub(1));
    status
}
