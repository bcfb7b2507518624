//! One guild's VM on its thread: the templates' worlds in it, the executions that run, and those that wait.
//!
//! Owns the way from an accepted job to its answered reply. Leaves which VM gets a slice to `guild_table`.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use khronos::{
    BrokenReason, ExecutionId, IsolateId, KhronosRuntime, LogLevel, LogLine, RuntimeError, RuntimeOptions,
};
use mlua::{Table, Value};
use time::OffsetDateTime;

use super::action::{LuaVmResult, VmState, VmStatus};
use super::reply::{Present, Reply};
use super::strategy::Shared;
use crate::events::Event;
use crate::execution::{LoadedTemplate, LogEntry, Outcome, TemplateLog, create_context};
use crate::ids::{EventId, GuildId, ThreadId};
use crate::template::TemplateName;

/// A template that is to run for an event, and the duty to say what came of it.
pub(super) struct Job {
    pub(super) event: Arc<Event>,
    pub(super) template: Arc<LoadedTemplate>,
    pub(super) reply: Reply,
    /// How many slices the thread had begun when it was sent.
    pub(super) sent_at: Arc<AtomicU64>,
}

/// A job that was started.
struct Running {
    event: EventId,
    template: TemplateName,
    reply: Reply,
}

/// A template's world, and the `ctx` that it gets.
struct World {
    loaded: Arc<LoadedTemplate>,
    isolate: IsolateId,
    ctx: Value,
}

type EventOf = Rc<RefCell<BTreeMap<ExecutionId, EventId>>>;

pub(super) struct GuildVm {
    guild: GuildId,
    thread: ThreadId,
    started: Instant,
    worlds: BTreeMap<TemplateName, World>,
    running: BTreeMap<ExecutionId, Running>,
    /// Accepted and not started, in order.
    waiting: VecDeque<Job>,
    longest_wait: u64,
    /// Who asked for a garbage collection.
    garbage: Vec<Reply>,
    /// The event that was decoded last, for the other templates that listen to it.
    decoded: Option<(Arc<Event>, Value)>,
    /// The table that the guild's templates share as `ctx.store`.
    store: Table,
    /// Which event each execution is for, for the log.
    event_of: EventOf,
    shared: Arc<Shared>,
    /// The VM; after everything that refers to it.
    runtime: KhronosRuntime,
    _alive: Present,
}

impl GuildVm {
    /// Makes a VM for `guild`. `wake` is called from any thread when it has something to run again.
    pub(super) fn new(
        guild: GuildId,
        thread: ThreadId,
        shared: &Arc<Shared>,
        mut options: RuntimeOptions,
    ) -> Result<Self, RuntimeError> {
        let event_of = EventOf::default();
        options.log = write_to(shared.log.clone(), guild, Rc::clone(&event_of));
        let runtime = KhronosRuntime::new(options)?;
        let store = runtime.with_lua(|lua| lua.create_table())?.map_err(RuntimeError::Create)?;
        Ok(Self {
            guild,
            thread,
            started: Instant::now(),
            worlds: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            longest_wait: 0,
            garbage: Vec::new(),
            decoded: None,
            store,
            event_of,
            shared: Arc::clone(shared),
            runtime,
            _alive: shared.vms.enter(),
        })
    }

    pub(super) fn runtime(&self) -> &KhronosRuntime {
        &self.runtime
    }

    /// Whether an answer is owed.
    pub(super) fn owes(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty() || !self.garbage.is_empty()
    }

    /// Takes jobs in. They are started one by one, each in a turn of the VM, so that a flood of events costs its guild.
    pub(super) fn queue(&mut self, jobs: Vec<Job>) {
        self.waiting.extend(jobs);
    }

    /// Collects all garbage in the VM's next turn, once for all who ask until then.
    pub(super) fn collect_garbage(&mut self, replies: Vec<Reply>) {
        self.garbage.extend(replies);
    }

    /// Whether a turn would find something to do.
    pub(super) fn wants_turn(&self) -> bool {
        self.runtime.is_ready() || !self.garbage.is_empty() || self.has_job_to_start()
    }

    fn has_job_to_start(&self) -> bool {
        !self.waiting.is_empty() && self.running.len() < self.shared.limits.max_executions_in_flight
    }

    /// Starts at most one job, runs one slice, and answers what is finished. The thread has run `slices` before this one.
    pub(super) fn turn(&mut self, slices: u64) {
        if !self.garbage.is_empty() {
            let result = self.runtime.collect_garbage();
            for reply in self.garbage.drain(..) {
                reply.send(match &result {
                    Ok(()) => LuaVmResult::Done,
                    Err(error) => LuaVmResult::Broken { reason: error.to_string() },
                });
            }
        }
        if self.has_job_to_start()
            && let Some(job) = self.waiting.pop_front()
        {
            let waited = slices.saturating_sub(job.sent_at.load(Ordering::Relaxed));
            self.longest_wait = self.longest_wait.max(waited);
            self.start(job);
        }
        self.runtime.run_slice();
        self.answer();
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.runtime.state(), khronos::VmState::Broken(_))
    }

    /// What was accepted and not started: it goes to the VM's successor.
    pub(super) fn take_waiting(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.waiting).into()
    }

    /// Ends the VM and gives its memory back.
    pub(super) fn close(self) {
        let (shared, bytes) = (Arc::clone(&self.shared), self.runtime.used_memory());
        drop(self);
        shared.reaper.closed(bytes);
    }

    /// Ends everything with `reason` and answers everybody.
    pub(super) fn condemn(&mut self, reason: &str) {
        self.runtime.condemn(BrokenReason::Condemned(reason.to_owned()));
        self.answer();
        for reply in self.garbage.drain(..) {
            reply.send(LuaVmResult::Broken { reason: reason.to_owned() });
        }
        for job in self.take_waiting() {
            job.reply.send(LuaVmResult::Outcome(Outcome::vm_broken(reason)));
        }
    }

    /// Forgets the world of `template`, or all.
    pub(super) fn forget(&mut self, template: Option<&TemplateName>) {
        self.worlds.retain(|name, world| {
            let kept = template.is_some_and(|wanted| wanted != name);
            if !kept {
                self.runtime.remove_isolate(world.isolate);
            }
            kept
        });
    }

    pub(super) fn status(&self) -> VmStatus {
        let (state, reason) = match self.runtime.state() {
            khronos::VmState::Broken(reason) => (VmState::Broken, Some(reason.to_string())),
            _ if self.runtime.executions() > 0 || self.owes() => (VmState::Busy, None),
            _ => (VmState::Ready, None),
        };
        VmStatus {
            state,
            reason,
            memory_used: self.runtime.used_memory(),
            memory_limit: self.runtime.memory_limit(),
            luau_threads: self.runtime.threads(),
            in_flight: self.running.len(),
            waiting: self.waiting.len(),
            longest_wait: self.longest_wait,
            templates: self.worlds.len(),
            thread: Some(self.thread),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn start(&mut self, job: Job) {
        let started = self.event_value(&job.event).and_then(|event| {
            let world = self.world(&job.template)?;
            let (isolate, ctx) = (world.isolate, world.ctx.clone());
            self.runtime.start(isolate, job.event.name().as_str(), &event, &ctx, self.shared.execution_limits)
        });
        let (event, template) = (job.event.id().clone(), job.template.info.name.clone());
        match started {
            Ok(id) => {
                self.event_of.borrow_mut().insert(id, event.clone());
                self.running.insert(id, Running { event, template, reply: job.reply });
            }
            Err(error) => {
                let outcome = match self.runtime.state() {
                    khronos::VmState::Broken(reason) => Outcome::not_started(&reason),
                    _ => Outcome::error(format!("the template was not started: {error}")),
                };
                self.settle(event, &template, job.reply, outcome);
            }
        }
        if !self.waiting.front().is_some_and(|next| Arc::ptr_eq(&next.event, &job.event)) {
            self.decoded = None;
        }
    }

    /// The event as Luau values, from the text that the source brought: decoded once for templates that get it one
    /// after the other.
    fn event_value(&mut self, event: &Arc<Event>) -> Result<Value, RuntimeError> {
        if let Some((known, value)) = &self.decoded
            && Arc::ptr_eq(known, event)
        {
            return Ok(value.clone());
        }
        let value = self.runtime.decode_json(&event.to_json())?;
        self.decoded = Some((Arc::clone(event), value.clone()));
        Ok(value)
    }

    /// The template's world. New code gets a new one; where only its description, events or capabilities changed, it
    /// keeps its state and gets a new `ctx`. A job that was accepted before the last change runs in the newest world.
    fn world(&mut self, loaded: &Arc<LoadedTemplate>) -> Result<&World, RuntimeError> {
        let name = &loaded.info.name;
        let known = self.worlds.get(name);
        let keep = known.is_some_and(|world| !loaded.is_newer_than(&world.loaded));
        if !keep {
            let isolate = match known.filter(|world| world.loaded.program.has_same_code(&loaded.program)) {
                Some(world) => world.isolate,
                None => {
                    self.forget(Some(name));
                    self.runtime.create_isolate(name.as_str(), loaded.program.clone())?
                }
            };
            let ctx = create_context(&self.runtime, isolate, &loaded.info, &self.store)?;
            self.worlds.insert(name.clone(), World { loaded: Arc::clone(loaded), isolate, ctx });
        }
        self.worlds.get(name).ok_or_else(|| {
            RuntimeError::Broken(BrokenReason::Condemned("a template's world is missing".to_owned()))
        })
    }

    pub(super) fn answer(&mut self) {
        for completion in self.runtime.take_completions() {
            self.event_of.borrow_mut().remove(&completion.id);
            if let Some(running) = self.running.remove(&completion.id) {
                let outcome = Outcome::of(completion);
                self.settle(running.event, &running.template, running.reply, outcome);
            }
        }
    }

    fn settle(&self, event: EventId, template: &TemplateName, reply: Reply, outcome: Outcome) {
        if let Some(text) = outcome.complaint() {
            self.shared.log.write(LogEntry {
                at: OffsetDateTime::now_utc(),
                guild: self.guild,
                template: Arc::from(template.as_str()),
                event: Some(event),
                level: LogLevel::Error,
                text,
            });
        }
        reply.send(LuaVmResult::Outcome(outcome));
    }
}

/// A sink for the lines that templates of `guild` print.
fn write_to(log: TemplateLog, guild: GuildId, event_of: EventOf) -> Rc<dyn Fn(LogLine)> {
    Rc::new(move |line| {
        let event = line.execution.and_then(|id| event_of.borrow().get(&id).cloned());
        log.write(LogEntry {
            at: OffsetDateTime::now_utc(),
            guild,
            template: line.isolate,
            event,
            level: line.level,
            text: line.text,
        });
    })
}
