//! How executions end: the verdict, who else ends with them, and when the whole VM is given up.
//!
//! | what happens | the execution | the VM |
//! | --- | --- | --- |
//! | it returns, or throws | completed; threads it spawned go on | goes on |
//! | its CPU time or wall clock is over | `LimitExceeded`; its paused threads are never resumed | goes on |
//! | it cannot be paused for too long | `LimitExceeded`, raised as an error to get out | condemned |
//! | an allocation fails | `LimitExceeded` | condemned |
//! | a host function panics | `Broken` | condemned |
//!
//! Ending a paused execution needs no error inside the script: nothing can catch what never resumes.

use std::sync::Arc;

use mlua::{Lua, Thread, Value};

use super::preempt::{self, Chain};
use super::{Completion, Execution, ExecutionId, Scheduler, Start, State};
use crate::error::{BrokenReason, TemplateError, Verdict};
use crate::limits::LimitExceeded;
use crate::options::LogLevel;
use crate::sandbox::{Prelude, clean_traceback};
use crate::value::convert;

impl Scheduler {
    pub(super) fn failed(&self, id: ExecutionId, thread: &Thread, lua: &Lua, prelude: &Prelude) {
        let traceback = traceback(lua, prelude, &Chain::new(thread.clone()));
        let message = match preempt::take_error(lua, thread) {
            Ok(error) => render_error(&error, &prelude.array),
            Err(_) => return self.out_of_memory(Some(id)),
        };
        self.blame(id, thread, TemplateError { message, traceback });
    }

    /// `thread`, which a thread of the running execution resumed, threw `error`.
    pub(super) fn report(&self, thread: &Thread, error: TemplateError) {
        if let Ok(id) = self.current() {
            self.blame(id, thread, error);
        }
    }

    /// An error of an execution's main thread is its verdict, whoever resumed it; any other goes to the log of `id`.
    fn blame(&self, id: ExecutionId, thread: &Thread, error: TemplateError) {
        let is_main = |execution: &Execution| execution.main.state() == thread.state();
        let owner =
            self.state.borrow().executions.iter().find(|(_, other)| is_main(other)).map(|(id, _)| *id);
        match owner {
            Some(owner) => {
                self.settle(owner, |_| Verdict::Failed(error));
                // Perhaps nothing is left of it now.
                self.state.borrow_mut().touched.insert(owner);
            }
            None => self.log(id, LogLevel::Error, &format!("{}\n{}", error.message, error.traceback)),
        }
    }

    pub(super) fn exceeded(&self, id: ExecutionId, limit: LimitExceeded, lua: &Lua, prelude: &Prelude) {
        let settled = self.state.borrow().executions.get(&id).is_none_or(|execution| execution.settled);
        if settled {
            self.log(id, LogLevel::Warn, &format!("threads that outlived their event were ended: {limit}"));
        }
        self.settle(id, |execution| {
            let running = execution.strands.front().and_then(|strand| strand.0.last());
            let traceback = match running {
                Some(link) => traceback(lua, prelude, &link.chain),
                None => traceback(lua, prelude, &Chain::new(execution.main.clone())),
            };
            Verdict::LimitExceeded { limit, traceback }
        });
        self.remove(id);
    }

    /// Gives up the VM for want of memory, and tells the execution that is to blame what it did.
    pub(super) fn out_of_memory(&self, by: Option<ExecutionId>) {
        let limit = self.memory_limit();
        if let Some(id) = by {
            // No traceback: reading one allocates.
            self.settle(id, |_| Verdict::LimitExceeded {
                limit: LimitExceeded::Memory(limit),
                traceback: String::new(),
            });
        }
        // Where nobody is to blame, the limit was lowered below what was in use.
        let isolate = by.and_then(|_| self.last_isolate());
        self.condemn(BrokenReason::OutOfMemory { limit }, isolate);
    }

    /// Gives out the completion of an execution, unless it has one.
    pub(super) fn settle(&self, id: ExecutionId, verdict: impl FnOnce(&Execution) -> Verdict) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let Some(execution) = state.executions.get_mut(&id) else { return };
        if std::mem::replace(&mut execution.settled, true) {
            return;
        }
        let completion = Completion {
            id,
            verdict: verdict(execution),
            cpu: execution.cpu,
            host_calls: execution.host_calls,
            wall_clock: now.saturating_duration_since(execution.started),
        };
        state.completions.push(completion);
    }

    /// The main thread returned `verdict`. Called while it runs.
    pub(crate) fn deliver(&self, id: ExecutionId, verdict: Verdict) {
        self.settle(id, |_| verdict);
    }

    /// Ends everything that belongs to an execution. Its paused threads are never resumed; they are garbage.
    pub(super) fn remove(&self, id: ExecutionId) {
        let mut state = self.state.borrow_mut();
        let Some(execution) = state.executions.remove(&id) else { return };
        state.turn.retain(|other| *other != id);
        for timer in &execution.timers {
            state.timers.cancel(*timer);
        }
        state.timers.forget_deadline(id);
        for link in execution.strands.iter().flat_map(|strand| &strand.0) {
            if let Start::Slept(timer) = link.start {
                state.timers.consume(timer);
            }
        }
        for call in &execution.calls {
            state.abandon_call(*call);
        }
        drop(state);
        self.wake_parked();
    }

    /// `id` is what runs: who is to blame, should the VM break.
    pub(super) fn remember(&self, id: ExecutionId) {
        if self.last.replace(Some(id)) != Some(id) {
            let isolate =
                self.state.borrow().executions.get(&id).map(|execution| Arc::clone(&execution.isolate));
            self.last_isolate.replace(isolate);
        }
    }

    /// Tells the host whose slice is about to begin.
    pub(super) fn tell_who_runs(&self) {
        if let Some(isolate) = &*self.last_isolate.borrow() {
            (self.options.runs)(isolate);
        }
    }

    /// The isolate that ran last.
    pub(super) fn last_isolate(&self) -> Option<Arc<str>> {
        self.last_isolate.borrow().clone()
    }

    /// The isolate that broke the VM.
    pub(crate) fn broken_by(&self) -> Option<Arc<str>> {
        self.broken_by.borrow().clone()
    }

    /// Breaks the VM because a function of the host panicked.
    pub(crate) fn panicked(&self) {
        let caller = self.current().ok().and_then(|_| self.last_isolate());
        self.condemn(BrokenReason::Panicked, caller);
    }

    /// Gives up the VM, because of what the isolate `by` did, where it was one. Everybody who waits gets an answer; nothing
    /// runs any more.
    pub(crate) fn condemn(&self, reason: BrokenReason, by: Option<Arc<str>>) {
        if self.broken.borrow().is_some() {
            return;
        }
        let waiting: Vec<ExecutionId> = self.state.borrow().executions.keys().copied().collect();
        for id in waiting {
            self.settle(id, |_| Verdict::Broken(reason.clone()));
        }
        let mut state = self.state.borrow_mut();
        let completions = std::mem::take(&mut state.completions);
        // No closing of threads: the VM is not to be touched.
        *state = State { completions, next_id: state.next_id, ..State::default() };
        drop(state);
        self.broken.replace(Some(reason));
        self.broken_by.replace(by);
    }
}

pub(super) fn traceback(lua: &Lua, prelude: &Prelude, chain: &Chain) -> String {
    chain
        .innermost(lua)
        .and_then(|thread| prelude.traceback.call::<mlua::LuaString>(thread))
        .map(|text| clean_traceback(&text.to_string_lossy()))
        .unwrap_or_default()
}

/// The beginning of a text, of which no more than that is looked at.
pub(super) fn beginning(text: &mlua::LuaString, most: usize) -> String {
    let bytes = text.as_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(most + 4)]).into_owned()
}

/// What an error object says, without running any of the script's code.
fn render_error(error: &Value, array: &mlua::Table) -> String {
    const MOST: usize = 4_096;
    let text = match error {
        Value::String(text) => beginning(text, MOST),
        Value::Error(error) => match &**error {
            mlua::Error::CallbackError { cause, .. } => cause.to_string(),
            other => other.to_string(),
        },
        Value::Table(_) => {
            let limits = crate::value::ValueLimits { depth: 8, nodes: 200, bytes: MOST };
            match convert::from_luau(error, "error", Some(array), limits) {
                Ok(value) => serde_json::to_string(&value).unwrap_or_default(),
                Err(reason) => format!("a table was thrown ({reason})"),
            }
        }
        Value::Nil => "nil was thrown".to_owned(),
        Value::Boolean(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::Integer(n) => n.to_string(),
        other => format!("a {} was thrown", convert::kind(other)),
    };
    crate::options::cut(text, MOST)
}
