//! What `prelude.luau` calls: the Rust half of `task`, of waiting for the host, and of handing in results.
//!
//! Owns the convention that such a function never throws: it returns `true, ..` or `false, message`. A panic in one
//! condemns the VM and nothing more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Thread, Value};

use super::calls::Delivery;
use super::inbox::{Reply, Returned};
use super::verdicts::beginning;
use super::{ExecutionId, Link, Pending, Resumability, Scheduler, Start, Strand, preempt};
use crate::error::{TemplateError, Verdict};
use crate::options::{LogLevel, LogLine, MAX_LOG_LINE, cut};
use crate::sandbox::library;
use crate::value::encode::{self, Json};
use crate::value::json::DecodeError;
use crate::value::{KhronosValue, convert};

/// Shorter sleeps are as long as this, so that a loop around `task.wait()` leaves the thread to others.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
/// Longer sleeps are as long as this. No execution lives so long.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 3600);

/// Adds `name` to `table`: calls `f` and returns `true` and its results, or `false` and its message.
pub(crate) fn add<A, R>(
    lua: &Lua,
    scheduler: &Rc<Scheduler>,
    table: &Table,
    name: &str,
    f: impl Fn(&Lua, A) -> Result<R, String> + 'static,
) -> mlua::Result<()>
where
    A: mlua::FromLuaMulti,
    R: IntoLuaMulti,
{
    table.raw_set(name, function(lua, scheduler, f)?)
}

/// A function after the convention of this file.
pub(crate) fn function<A, R>(
    lua: &Lua,
    scheduler: &Rc<Scheduler>,
    f: impl Fn(&Lua, A) -> Result<R, String> + 'static,
) -> mlua::Result<Function>
where
    A: mlua::FromLuaMulti,
    R: IntoLuaMulti,
{
    let scheduler = Rc::clone(scheduler);
    lua.create_function(move |lua, args: A| match catch_unwind(AssertUnwindSafe(|| f(lua, args))) {
        Ok(Ok(results)) => (true, results.into_lua_multi(lua)?).into_lua_multi(lua),
        Ok(Err(message)) => (false, message).into_lua_multi(lua),
        Err(_) => {
            scheduler.panicked();
            (false, "internal error").into_lua_multi(lua)
        }
    })
}

/// The table that `prelude.luau` gets as `host`, without what `isolate` adds.
pub(crate) fn table(lua: &Lua, scheduler: &Rc<Scheduler>) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    host.raw_set("pause", preempt::pause_function(lua)?)?;
    host.raw_set("can_pause", preempt::can_pause_function(lua)?)?;
    library::add_to(lua, scheduler, &host)?;
    add_task(lua, scheduler, &host)?;
    add_waiting(lua, scheduler, &host)?;
    Ok(host)
}

fn add_task(lua: &Lua, scheduler: &Rc<Scheduler>, host: &Table) -> mlua::Result<()> {
    let s = Rc::clone(scheduler);
    add(lua, scheduler, host, "spawn", move |_, thread: Thread| {
        s.check_room()?;
        s.mail.borrow_mut().pending = Some(Pending::Spawn(thread));
        Ok(())
    })?;
    let s = Rc::clone(scheduler);
    add(lua, scheduler, host, "defer", move |_, thread: Thread| {
        s.check_room()?;
        let id = s.current()?;
        let number = s.state.borrow_mut().fresh();
        s.requeue(id, Strand(vec![s.link(number, thread, Start::Fresh)]), false);
        Ok(())
    })?;
    let s = Rc::clone(scheduler);
    add(lua, scheduler, host, "sleep", move |_, (thread, seconds): (Thread, Value)| {
        let duration = duration(&seconds)?;
        s.check_room()?;
        let (id, now) = (s.current()?, s.now());
        let mut state = s.state.borrow_mut();
        let link = match s.current.get() {
            Some(current) if current.root == thread.state() => current.link,
            _ => state.fresh(),
        };
        let timer = state.timers.add_thread(now + duration, id, link, thread);
        if let Some(execution) = state.executions.get_mut(&id) {
            execution.timers.insert(timer);
        }
        Ok((timer, now.saturating_duration_since(s.epoch).as_secs_f64()))
    })?;
    let s = Rc::clone(scheduler);
    let awake = lua.create_function(move |_, (timer, since): (u64, f64)| {
        let now = s.now().saturating_duration_since(s.epoch).as_secs_f64();
        let mut state = s.state.borrow_mut();
        // Where a script resumed it before its time, or before its turn, nothing else must.
        state.timers.consume(timer);
        state.forget_timer(timer);
        Ok((now - since).max(0.0))
    })?;
    host.raw_set("awake", awake)?;
    let s = Rc::clone(scheduler);
    add(lua, scheduler, host, "cancel", move |_, thread: Thread| s.cancel(&thread))
}

fn add_waiting(lua: &Lua, scheduler: &Rc<Scheduler>, host: &Table) -> mlua::Result<()> {
    let s = Rc::clone(scheduler);
    host.raw_set(
        "chain",
        lua.create_function(move |_, ()| Ok(s.current.get().map(|current| current.link)))?,
    )?;
    let s = Rc::clone(scheduler);
    host.raw_set("alive", lua.create_function(move |_, id: u64| Ok(s.is_alive(ExecutionId(id))))?)?;
    let s = Rc::clone(scheduler);
    host.raw_set(
        "look_again",
        lua.create_function(move |_, ()| {
            s.wake_parked();
            Ok(())
        })?,
    )?;
    let s = Rc::clone(scheduler);
    add(lua, scheduler, host, "park", move |lua, ()| s.begin_call(lua, 0, true))?;
    let s = Rc::clone(scheduler);
    let unpark = lua.create_function(move |_, call: u64| {
        s.answer(call, Delivery::wake_up());
        Ok(())
    })?;
    host.raw_set("unpark", unpark)?;
    let s = Rc::clone(scheduler);
    add(lua, scheduler, host, "take", move |lua, ()| {
        let delivery = s.mail.borrow_mut().delivered.take();
        match delivery.map(|delivery| delivery.answer) {
            Some(Ok(Returned::Values(values))) => {
                let array = s.array.borrow();
                let Some(array) = &*array else { return Err("internal error".to_owned()) };
                let values = values.iter().map(|value| convert::to_luau(lua, value, array, false));
                values.collect::<mlua::Result<MultiValue>>().map_err(|error| s.explain(&error))
            }
            Some(Ok(Returned::Json(text))) => {
                s.decode(lua, &text).map(|value| MultiValue::from_iter([value]))
            }
            Some(Ok(Returned::Blob(bytes))) => {
                crate::library::blob(lua, bytes).map(|blob| MultiValue::from_iter([blob]))
            }
            Some(Err(message)) => Err(message),
            None => Err("cannot wait here".to_owned()),
        }
    })?;
    let s = Rc::clone(scheduler);
    let report = lua.create_function(move |_, (thread, message, traceback): (Thread, Value, String)| {
        let message = match &message {
            Value::String(text) => beginning(text, MAX_LOG_LINE),
            _ => "an error object was thrown".to_owned(),
        };
        s.report(&thread, TemplateError { message, traceback: crate::sandbox::clean_traceback(&traceback) });
        Ok(())
    })?;
    host.raw_set("report", report)?;
    let s = Rc::clone(scheduler);
    let deliver = lua.create_function(move |_, (id, results): (u64, MultiValue)| {
        let id = ExecutionId(id);
        let verdict = match s.read_results(&results) {
            Ok(value) => Verdict::Returned(value),
            Err(message) => Verdict::Failed(TemplateError { message, traceback: String::new() }),
        };
        s.deliver(id, verdict);
        Ok(())
    })?;
    host.raw_set("deliver", deliver)
}

/// What happens to the arguments of a host function before they leave the VM.
pub(crate) type Arguments = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue, String>>;
/// What happens to what a host function returned before the script gets it.
pub(crate) type Results = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue, String>>;

/// A function that scripts can call and whose answer may come later: from any thread, by its [`Reply`].
pub(crate) fn awaiting(
    lua: &Lua,
    scheduler: &Rc<Scheduler>,
    await_: &Function,
    name: &str,
    arguments: Option<Arguments>,
    results: Option<Results>,
    serve: impl Fn(Vec<KhronosValue>, Reply) + 'static,
) -> mlua::Result<Function> {
    let s = Rc::clone(scheduler);
    let begin = function(lua, scheduler, move |lua, mut args: MultiValue| {
        if let Some(arguments) = &arguments {
            args = arguments(lua, args)?;
        }
        let limits = s.limits().arguments;
        let array = s.array.borrow().clone();
        let args = convert::arguments(&args, array.as_ref(), limits).map_err(|error| error.passed())?;
        let call = s.begin_call(lua, args.iter().map(KhronosValue::size).sum(), false)?;
        serve(args, Reply::new(call, std::sync::Arc::clone(&s.inbox)));
        Ok(())
    })?;
    let finish = results.map(|results| function(lua, scheduler, results)).transpose()?;
    await_.call((name, begin, finish))
}

impl Link {
    fn is(&self, thread: &Thread) -> bool {
        self.chain.root().state() == thread.state()
    }
}

impl Scheduler {
    pub(crate) fn current(&self) -> Result<ExecutionId, String> {
        self.current
            .get()
            .map(|current| current.execution)
            .ok_or_else(|| "not possible outside an event".to_owned())
    }

    pub(crate) fn log_line(
        &self,
        isolate: std::sync::Arc<str>,
        execution: Option<ExecutionId>,
        level: LogLevel,
        text: &str,
    ) {
        let text = cut(text.to_owned(), MAX_LOG_LINE);
        (self.options.log)(LogLine { isolate, execution, level, text });
    }

    /// What an answer in JSON is to a script: its own, as other answers are.
    pub(crate) fn decode(&self, lua: &Lua, text: &str) -> Result<Value, String> {
        let decoder = self.decoder.borrow().clone();
        let Some(decoder) = decoder else { return Err("internal error".to_owned()) };
        decoder.decode(lua, text, self.limits().json, false).map_err(|error| match error {
            DecodeError::Json(text) => format!("the answer cannot be read: {text}"),
            DecodeError::OutOfMemory => {
                self.out_of_memory(self.current().ok());
                "out of memory".to_owned()
            }
        })
    }

    /// What a script hears of an error that the VM raised while the host worked for it. Want of memory ends the VM: no
    /// script should be able to go on from there.
    pub(crate) fn explain(&self, error: &mlua::Error) -> String {
        if matches!(error, mlua::Error::MemoryError(_)) {
            self.out_of_memory(self.current().ok());
        }
        error.to_string()
    }

    pub(super) fn check_room(&self) -> Result<(), String> {
        if self.broken.borrow().is_some() {
            return Err("the VM is being given up".to_owned());
        }
        let most = self.limits().threads;
        if self.threads() + self.state.borrow().abandoned.len() < most {
            return Ok(());
        }
        Err(format!(
            "limit exceeded: {most} threads of this guild are waiting already, the limit of Luau threads; wait for some of \
             them to end"
        ))
    }

    /// Makes sure that the scheduler never resumes `thread` again. Closing it is up to the caller, where Luau allows it.
    /// Returns the number of the chain that was dropped, where the thread was paused at the root of one.
    fn cancel(&self, thread: &Thread) -> Result<Option<u64>, String> {
        let mut state = self.state.borrow_mut();
        if let Some(timer) = state.timers.of_thread(thread) {
            state.forget_timer(timer);
        }
        let is_it = |strand: &Strand| matches!(strand.0.as_slice(), [only] if only.is(thread));
        let parked = state.calls.iter().find(|(_, slot)| slot.parked.as_ref().is_some_and(is_it));
        let parked = parked.map(|(call, slot)| (*call, slot.execution));
        let dropped = parked.and_then(|(call, execution)| {
            state.touched.insert(execution);
            state.abandon_call(call)?.0.pop()
        });
        drop(state);
        match dropped {
            Some(link) => Ok(Some(link.id)),
            None if preempt::resumability(thread) == Resumability::Busy => {
                Err("cannot cancel a thread that is running".to_owned())
            }
            None => Ok(None),
        }
    }

    fn read_results(&self, results: &MultiValue) -> Result<Json, String> {
        let array = self.array.borrow().clone();
        encode::results(results, array.as_ref(), self.limits().values)
            .map_err(|error| format!("cannot return the result: {}", error.returned()))
    }
}

/// Seconds as scripts give them: nothing is 0, NaN and negative ones are 0, huge ones are [`LONGEST_SLEEP`].
fn duration(seconds: &Value) -> Result<Duration, String> {
    let seconds = match seconds {
        Value::Nil => 0.0,
        Value::Number(n) => *n,
        #[expect(clippy::cast_precision_loss, reason = "no sleep is so long that it matters")]
        Value::Integer(n) => *n as f64,
        other => return Err(format!("seconds must be a number, got {}", convert::kind(other))),
    };
    let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, LONGEST_SLEEP.as_secs_f64()) };
    Ok(Duration::from_secs_f64(seconds).max(SHORTEST_SLEEP))
}
