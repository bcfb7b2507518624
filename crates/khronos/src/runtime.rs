//! [`KhronosRuntime`]: the one owner of a Luau VM.
//!
//! Owns the VM's life. Leaves running scripts to `scheduler`, templates' worlds to `isolate`, and what a guild is to
//! the embedder.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, Table, Value};

use crate::bytecode::Program;
use crate::closing::Closing;
use crate::error::{BrokenReason, RuntimeError};
use crate::isolate::{IsolateId, Isolates};
use crate::library::Library;
use crate::limits::{ExecutionLimits, RuntimeLimits};
use crate::object::HostFunctions;
use crate::options::RuntimeOptions;
use crate::sandbox::{self, Prelude};
use crate::scheduler::inbox::Reply;
use crate::scheduler::{Completion, ExecutionId, Scheduler, host_functions, preempt};
use crate::value::json::{DecodeError, Decoder};
use crate::value::{KhronosValue, convert};

type OnBroken = Box<dyn FnOnce(&BrokenReason)>;

/// Where a VM is in its life. It only ever moves forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmState {
    /// Set up; no template has touched it.
    New,
    /// At least one isolate was made in it.
    Ready,
    /// Given up; nothing runs in it any more.
    Broken(BrokenReason),
    /// Gone, its memory given back. Seen through a [`RuntimeHandle`] only.
    Closed,
}

/// One sandboxed Luau VM, on one thread, with one owner.
///
/// It cannot be cloned, and neither it nor anything that keeps it alive can be had from it:
///
/// ```compile_fail
/// fn second_owner(runtime: &khronos::KhronosRuntime) -> khronos::KhronosRuntime {
///     runtime.clone()
/// }
/// ```
///
/// Nothing runs by itself: call [`run_slice`](Self::run_slice) while there is something to run, and take what is
/// finished with [`take_completions`](Self::take_completions).
pub struct KhronosRuntime {
    prelude: Prelude,
    decoder: Rc<Decoder>,
    isolates: Rc<Isolates>,
    scheduler: Rc<Scheduler>,
    touched: Cell<bool>,
    on_broken: RefCell<Option<OnBroken>>,
    /// Last, so that it is dropped last: dropping it gives the memory back.
    lua: Lua,
}

/// What others may hold of a VM: it tells the state and keeps nothing alive.
#[derive(Clone)]
pub struct RuntimeHandle(Weak<Scheduler>);

impl RuntimeHandle {
    /// Whether the VM is still there and not broken.
    pub fn is_usable(&self) -> bool {
        self.0.upgrade().is_some_and(|scheduler| scheduler.broken().is_none())
    }

    /// Whether the VM is gone.
    pub fn is_closed(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl KhronosRuntime {
    /// Makes a VM and turns it into a sandbox. Costs a few hundred microseconds; do it ahead of need.
    ///
    /// # Errors
    /// [`RuntimeError::Create`] when even that does not fit into the memory limit.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        Self::create(options).map_err(RuntimeError::Create)
    }

    fn create(options: RuntimeOptions) -> mlua::Result<Self> {
        let lua = sandbox::new_vm()?;
        let (limits, base) = (options.limits, options.base.clone());
        let scheduler = Scheduler::new(options);
        let isolates = Rc::new(Isolates::default());
        let host = host_functions::table(&lua, &scheduler)?;
        isolates.add_to(&lua, &scheduler, &host)?;
        let prelude = sandbox::install(&lua, &base, host)?;
        let decoder = Rc::new(Decoder::new(prelude.array.clone()));
        scheduler.set_values(prelude.array.clone(), Rc::clone(&decoder));
        Library::add_to(&lua, &scheduler, &prelude)?;
        scheduler.set_limits(&lua, limits)?;
        Ok(Self {
            decoder,
            prelude,
            isolates,
            scheduler,
            touched: Cell::new(false),
            on_broken: RefCell::new(None),
            lua,
        })
    }

    /// Where the VM is in its life.
    pub fn state(&self) -> VmState {
        match self.scheduler.broken() {
            Some(reason) => VmState::Broken(reason),
            None if self.touched.get() => VmState::Ready,
            None => VmState::New,
        }
    }

    /// A handle that keeps nothing alive.
    pub fn handle(&self) -> RuntimeHandle {
        RuntimeHandle(Rc::downgrade(&self.scheduler))
    }

    /// Runs `f` with the VM; the only way in. What `f` makes must not outlive the call, other than as values that
    /// are handed back to this runtime.
    ///
    /// # Errors
    /// [`RuntimeError::Broken`].
    pub fn with_lua<R>(&self, f: impl FnOnce(&Lua) -> R) -> Result<R, RuntimeError> {
        self.check()?;
        Ok(f(&self.lua))
    }

    /// Runs `f` once, as soon as the VM breaks; at once if it has. A second call replaces an `f` that has not run.
    pub fn on_broken(&self, f: impl FnOnce(&BrokenReason) + 'static) {
        self.on_broken.replace(Some(Box::new(f)));
        self.announce();
    }

    /// Gives up the VM: every execution that has no verdict gets [`Verdict::Broken`](crate::Verdict::Broken).
    pub fn condemn(&self, reason: BrokenReason) {
        self.scheduler.condemn(reason, None);
        self.announce();
    }

    /// Makes a world for a template. `name` is what its log lines carry.
    ///
    /// # Errors
    /// [`RuntimeError::Broken`]; [`RuntimeError::CreateIsolate`], which means that the memory limit was hit and the
    /// VM is broken now.
    pub fn create_isolate(&self, name: &str, program: Program) -> Result<IsolateId, RuntimeError> {
        self.check()?;
        self.touched.set(true);
        let isolate = self.isolates.create(&self.lua, &self.prelude, name, program).map_err(|error| {
            self.condemn_for_memory();
            RuntimeError::CreateIsolate(error)
        })?;
        self.check_memory()?;
        Ok(isolate)
    }

    /// Forgets a template's world. Executions that run in it go on to their end. Returns whether it was there.
    pub fn remove_isolate(&self, id: IsolateId) -> bool {
        self.isolates.remove(id)
    }

    /// Turns JSON text into Luau values that no script can change.
    ///
    /// # Errors
    /// [`RuntimeError::Json`] for text that is not JSON or exceeds the limits; [`RuntimeError::Broken`], also when
    /// the memory limit was hit by decoding.
    pub fn decode_json(&self, text: &str) -> Result<Value, RuntimeError> {
        self.check()?;
        let value =
            self.decoder.decode(&self.lua, text, self.scheduler.limits().json, true).map_err(|error| {
                match error {
                    DecodeError::Json(text) => RuntimeError::Json(text),
                    DecodeError::OutOfMemory => RuntimeError::Broken(self.condemn_for_memory()),
                }
            })?;
        self.check_memory()?;
        Ok(value)
    }

    /// Puts `value` into the VM as Luau values that no script can change.
    ///
    /// # Errors
    /// [`RuntimeError::Broken`]; [`RuntimeError::CreateValue`] when the memory limit was hit.
    pub fn create_value(&self, value: &KhronosValue) -> Result<Value, RuntimeError> {
        self.check()?;
        self.made(convert::to_luau(&self.lua, value, &self.prelude.array, true))
    }

    /// A function for scripts that answers at once: values in, a value or a text to throw out.
    ///
    /// # Errors
    /// As [`create_value`](Self::create_value).
    pub fn create_function<A, R>(
        &self,
        f: impl Fn(&Lua, A) -> Result<R, String> + 'static,
    ) -> Result<Function, RuntimeError>
    where
        A: mlua::FromLuaMulti,
        R: mlua::IntoLuaMulti,
    {
        self.check()?;
        self.made(self.host_functions().function(&self.lua, f))
    }

    /// A function for scripts whose answer may come later: `serve` gets the arguments and a [`Reply`], which may be
    /// sent to any thread. The Luau thread that called sleeps until then, at any depth of coroutines, and others run.
    ///
    /// # Errors
    /// As [`create_value`](Self::create_value).
    pub fn create_async_function(
        &self,
        name: &str,
        serve: impl Fn(Vec<KhronosValue>, Reply) + 'static,
    ) -> Result<Function, RuntimeError> {
        self.check()?;
        self.made(self.host_functions().async_function(&self.lua, name, serve))
    }

    /// What makes functions and objects of the host for scripts of this VM.
    pub fn host_functions(&self) -> HostFunctions {
        HostFunctions::new(&self.scheduler, &self.prelude)
    }

    /// A read-only table of the functions `info`, `warn` and `error`, which write to the log of `isolate`.
    ///
    /// # Errors
    /// As [`create_value`](Self::create_value).
    pub fn create_logger(&self, isolate: IsolateId) -> Result<Table, RuntimeError> {
        self.check()?;
        self.made(self.prelude.logger.call(isolate))
    }

    /// Starts an execution: the isolate's template gets `event`, whose name is `event_name`, and `ctx`. It runs in
    /// [`run_slice`](Self::run_slice).
    ///
    /// # Errors
    /// [`RuntimeError::Broken`]; [`RuntimeError::Start`] when the isolate is gone, or when the memory limit was hit,
    /// which breaks the VM.
    pub fn start(
        &self,
        isolate: IsolateId,
        event_name: &str,
        event: &Value,
        ctx: &Value,
        limits: ExecutionLimits,
    ) -> Result<ExecutionId, RuntimeError> {
        self.check()?;
        let Some(world) = self.isolates.get(isolate) else {
            return Err(RuntimeError::Start(mlua::Error::runtime("the isolate was removed")));
        };
        let id = self.scheduler.reserve();
        let (chunk, handlers) = world.run();
        let old_names = self.scheduler.options.old_names.iter();
        let old_name = old_names.copied().find_map(|(old, name)| (name == event_name).then_some(old));
        let args = (id.0, isolate, chunk, handlers, event_name, old_name, event, ctx);
        let main = self.prelude.start.call(args).map_err(|error| {
            self.condemn_for_memory();
            RuntimeError::Start(error)
        })?;
        preempt::count_under(&main, world.category);
        self.scheduler.start(id, world.name.clone(), main, limits);
        Ok(id)
    }

    /// Runs one execution for about one slice, or collects garbage for as long where that is due. Returns whether there
    /// was something to do.
    pub fn run_slice(&self) -> bool {
        let ran = self.scheduler.run_slice(&self.lua, &self.prelude);
        self.announce();
        ran
    }

    /// CPU time that the last slice took. Much more than a slice, where a script was inside a function that cannot be paused.
    pub fn last_slice(&self) -> Duration {
        self.scheduler.spent()
    }

    /// Whether there is something to do now.
    pub fn is_ready(&self) -> bool {
        self.scheduler.broken().is_none() && self.scheduler.is_ready(&self.lua)
    }

    /// The name of the isolate whose script broke the VM. None where no script was running: where the owner gave the VM up,
    /// lowered its limit below what is in use, or put too much into it. For memory this is who ran when there was too much,
    /// which is not always who holds it: see [`memory_of`](Self::memory_of).
    pub fn broken_by(&self) -> Option<Arc<str>> {
        self.scheduler.broken_by()
    }

    /// Whether garbage has to be collected before anything else. What is put into the VM meanwhile comes on top.
    pub fn is_short_of_memory(&self) -> bool {
        self.scheduler.is_short_of_memory(&self.lua)
    }

    /// When a sleeping thread or a deadline is due next.
    pub fn next_timer(&self) -> Option<Instant> {
        self.scheduler.next_timer()
    }

    /// The executions that got their verdict since the last call.
    pub fn take_completions(&self) -> Vec<Completion> {
        self.scheduler.take_completions()
    }

    /// Executions that run, wait or sleep, those included whose main thread has returned.
    pub fn executions(&self) -> usize {
        self.scheduler.executions()
    }

    /// Luau threads that are ready to run, wait or sleep.
    pub fn threads(&self) -> usize {
        self.scheduler.threads()
    }

    /// Bytes that Luau has allocated, and those that the host keeps for this VM: arguments and answers of host calls.
    pub fn used_memory(&self) -> usize {
        self.scheduler.used_memory(&self.lua)
    }

    /// Bytes that the template in `isolate` has allocated and that were not collected yet; 0 where it was removed. What
    /// all templates have together (the library, events) is nobody's.
    pub fn memory_of(&self, isolate: IsolateId) -> usize {
        let main = self.lua.current_thread();
        self.isolates.get(isolate).map_or(0, |isolate| preempt::bytes_of(&main, isolate.category))
    }

    /// Bytes that may be in use.
    pub fn memory_limit(&self) -> usize {
        self.scheduler.memory_limit()
    }

    /// Changes how many bytes may be in use. If less than what is, without garbage, the VM breaks before it runs anything.
    ///
    /// # Errors
    /// [`RuntimeError::Broken`].
    pub fn set_memory_limit(&self, bytes: usize) -> Result<(), RuntimeError> {
        self.set_limits(RuntimeLimits { memory: bytes, ..self.scheduler.limits() })
    }

    /// Changes the limits: of a VM that was made before it was known for whom. They hold from the next slice on.
    ///
    /// # Errors
    /// [`RuntimeError::Broken`].
    pub fn set_limits(&self, limits: RuntimeLimits) -> Result<(), RuntimeError> {
        self.check()?;
        self.scheduler.set_limits(&self.lua, limits).map_err(RuntimeError::CreateValue)
    }

    /// Has garbage collected in the next slices, before anything else runs: [`is_short_of_memory`](Self::is_short_of_memory)
    /// until that is done.
    pub fn request_collection(&self) {
        self.scheduler.request_collection();
    }

    /// Collects all garbage now, however long it takes. For a VM that no script has touched.
    ///
    /// # Errors
    /// [`RuntimeError::Broken`].
    pub fn collect_garbage(&self) -> Result<(), RuntimeError> {
        self.check()?;
        // Twice: the first round finds what finalizers let go.
        for _ in 0..2 {
            self.lua.gc_collect().map_err(RuntimeError::CreateValue)?;
        }
        Ok(())
    }

    /// Ends the VM and gives its memory back, bit by bit. Every value of it must have been dropped before. Dropping a VM
    /// does the same at once, which may take long where a script wants it to.
    pub fn close(self) -> Closing {
        Closing::new(self)
    }

    /// Drops everything that keeps objects of scripts alive.
    pub(crate) fn let_go(&self) {
        // Handles to threads and tables, while the VM can still take them back.
        self.scheduler.clear();
        self.isolates.clear();
        Library::remove_from(&self.lua);
    }

    /// A step of a collection in a VM that is being closed. Returns whether that was the last of one.
    pub(crate) fn collect_a_step(&self) -> mlua::Result<bool> {
        self.lua.set_memory_limit(0)?;
        self.lua.gc_step()
    }

    fn check(&self) -> Result<(), RuntimeError> {
        self.scheduler.broken().map_or(Ok(()), |reason| Err(RuntimeError::Broken(reason)))
    }

    /// Making a value fails for want of memory only, which breaks the VM.
    fn made<T>(&self, value: mlua::Result<T>) -> Result<T, RuntimeError> {
        let value = value.map_err(|error| {
            self.condemn_for_memory();
            RuntimeError::CreateValue(error)
        })?;
        self.check_memory()?;
        Ok(value)
    }

    /// Breaks the VM if the host has put more into it than a collection could make room for.
    fn check_memory(&self) -> Result<(), RuntimeError> {
        if self.scheduler.is_past_hope(&self.lua) {
            return Err(RuntimeError::Broken(self.condemn_for_memory()));
        }
        Ok(())
    }

    fn condemn_for_memory(&self) -> BrokenReason {
        let reason = BrokenReason::OutOfMemory { limit: self.memory_limit() };
        self.condemn(reason.clone());
        reason
    }

    fn announce(&self) {
        if let Some(reason) = self.scheduler.broken()
            && let Some(tell) = self.on_broken.take()
        {
            tell(&reason);
        }
    }
}

impl Drop for KhronosRuntime {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl std::fmt::Debug for KhronosRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KhronosRuntime").field("state", &self.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::KhronosRuntime;

    static_assertions::assert_not_impl_any!(KhronosRuntime: Clone, Send, Sync);
}
