//! One guild's VM on its thread: the templates' worlds in it, the executions that run, and those that wait.
//!
//! Owns the way from an accepted job to its answered reply. Leaves which VM gets a slice to `guild_table`.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khronos::{BrokenReason, ExecutionId, IsolateId, KhronosRuntime, LogLevel, RuntimeError};
use mlua::{Table, Value};
use tracing::Span;

use super::action::{LuaVmResult, VmState, VmStatus};
use super::guild_log::GuildLog;
use super::memory::Charge;
use super::reply::{Present, Reply};
use super::running::NowRunning;
use super::runtime_limits::{execution_limits, runtime_limits};
use super::strategy::Shared;
use super::warm_pool::{EventOf, WarmVm};
use super::warnings::Warnings;
use crate::events::Event;
use crate::execution::{LoadedTemplate, Outcome, create_context};
use crate::ids::{EventId, GuildId, ThreadId};
use crate::limits::{Limit, Limits};
use crate::metrics::{Broke, Count, Stage};
use crate::telemetry;
use crate::template::TemplateName;

/// A template that is to run for an event, and the duty to say what came of it.
pub(super) struct Job {
    pub(super) event: Arc<Event>,
    pub(super) template: Arc<LoadedTemplate>,
    pub(super) reply: Reply,
    /// When it was sent.
    pub(super) since: Instant,
    /// How many slices the thread had run when this began to wait for other VMs.
    pub(super) sent_at: u64,
}

/// A job that was started.
struct Running {
    event: EventId,
    template: TemplateName,
    reply: Reply,
    /// Open until it is answered.
    _span: Span,
}

/// A template's world, and the `ctx` that it gets.
struct World {
    loaded: Arc<LoadedTemplate>,
    isolate: IsolateId,
    ctx: Value,
}

pub(super) struct GuildVm {
    guild: GuildId,
    /// Told who runs.
    running_now: NowRunning,
    thread: ThreadId,
    started: Instant,
    worlds: BTreeMap<TemplateName, World>,
    running: BTreeMap<ExecutionId, Running>,
    /// Accepted and not started, in order.
    waiting: VecDeque<Job>,
    longest_wait: u64,
    /// How many slices the thread had run before its last turn.
    last_turn: Option<u64>,
    /// Who asked for a garbage collection.
    garbage: Vec<Reply>,
    /// The event that was decoded last, for the other templates that listen to it.
    decoded: Option<(Arc<Event>, Value)>,
    /// The table that the guild's templates share as `ctx.store`.
    store: Table,
    event_of: EventOf,
    /// What the guild may use, as its last event brought it.
    limits: Arc<Limits>,
    log: Rc<GuildLog>,
    /// What authors were told of limits that are near.
    warnings: Warnings,
    /// Whether it had as many Luau threads as it may, when that was looked at last.
    threads_full: bool,
    shared: Arc<Shared>,
    memory: Charge,
    /// The VM; after everything that refers to it.
    runtime: KhronosRuntime,
    _alive: Present,
}

impl GuildVm {
    /// Makes `vm` the VM of `guild`, which may use `limits`.
    pub(super) fn new(
        vm: WarmVm,
        guild: GuildId,
        thread: ThreadId,
        shared: &Arc<Shared>,
        limits: &Arc<Limits>,
        running: &NowRunning,
    ) -> Result<Self, RuntimeError> {
        let log = Rc::new(GuildLog::new(guild, Arc::clone(shared), limits.max_log_lines_per_second));
        vm.adopt(guild, runtime_limits(limits), Rc::clone(&log))?;
        let WarmVm { event_of, store, memory, runtime, .. } = vm;
        Ok(Self {
            guild,
            running_now: running.clone(),
            thread,
            started: Instant::now(),
            worlds: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            longest_wait: 0,
            last_turn: None,
            garbage: Vec::new(),
            decoded: None,
            store,
            event_of,
            limits: Arc::clone(limits),
            log,
            warnings: Warnings::default(),
            threads_full: false,
            shared: Arc::clone(shared),
            memory,
            runtime,
            _alive: shared.vms.enter(),
        })
    }

    pub(super) fn runtime(&self) -> &KhronosRuntime {
        &self.runtime
    }

    pub(super) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Keeps to `limits` from now on. What runs keeps its own limits of time.
    pub(super) fn keep_to(&mut self, limits: &Arc<Limits>) {
        if Arc::ptr_eq(&self.limits, limits) {
            return;
        }
        let mut of_vm = runtime_limits(limits);
        if self.limits.max_template_memory_usage == of_vm.memory {
            // Where the guild set itself less, that stays.
            of_vm.memory = self.runtime.memory_limit();
        }
        // A VM that is broken is about to be replaced by one with the new limits.
        let _ = self.runtime.set_limits(of_vm);
        self.log.set_limit(limits.max_log_lines_per_second);
        self.limits = Arc::clone(limits);
    }

    /// Whether an answer is owed.
    pub(super) fn owes(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty() || !self.garbage.is_empty()
    }

    /// Whether nothing runs, waits or sleeps in it, threads included that outlived their event: their own limits end
    /// these, and until then they are what their author wanted. What is left is the templates' state.
    pub(super) fn is_idle(&self) -> bool {
        !self.owes() && self.runtime.executions() == 0 && !self.wants_turn()
    }

    /// Takes jobs in. They are started one by one, each in a turn of the VM, so that a flood of events costs its guild.
    pub(super) fn queue(&mut self, jobs: Vec<Job>) {
        let free = self.limits.max_executions_in_flight.saturating_sub(self.running.len());
        self.waiting.extend(jobs);
        let put_off = self.waiting.len().saturating_sub(free);
        if put_off > 0 {
            self.shared.metrics.exceeded(Limit::ExecutionsInFlight);
        }
        if let Some(last) = self.waiting.back().map(|job| &job.template.info.name)
            && let Some((limit, text)) = self.warnings.of_waiting(last, put_off, &self.limits)
        {
            self.shared.metrics.warned(limit);
            self.log.write(last.as_str(), None, LogLevel::Warn, text);
        }
    }

    /// Collects all garbage in the VM's next turns, once for all who ask until then.
    pub(super) fn collect_garbage(&mut self, replies: Vec<Reply>) {
        self.garbage.extend(replies);
        self.runtime.request_collection();
    }

    /// Whether a turn would find something to do.
    pub(super) fn wants_turn(&self) -> bool {
        self.runtime.is_ready() || !self.garbage.is_empty() || self.has_job_to_start()
    }

    fn has_job_to_start(&self) -> bool {
        !self.waiting.is_empty() && self.running.len() < self.limits.max_executions_in_flight
    }

    /// Starts at most one job, runs one slice, and answers what is finished. The thread has run `slices` before this one.
    /// Returns the CPU time of the slice.
    pub(super) fn turn(&mut self, slices: u64) -> Duration {
        if self.has_job_to_start()
            && !self.runtime.is_short_of_memory()
            && let Some(job) = self.waiting.pop_front()
        {
            let own = self.last_turn.is_some_and(|at| at >= job.sent_at);
            let others = slices.saturating_sub(job.sent_at).saturating_sub(u64::from(own));
            self.longest_wait = self.longest_wait.max(others);
            self.start(job);
        }
        self.last_turn = Some(slices);
        self.runtime.run_slice();
        self.shared.metrics.count(Count::Slice);
        self.answer();
        if !self.runtime.is_short_of_memory() {
            self.answer_garbage(&LuaVmResult::Done);
        }
        self.look_at_limits();
        self.runtime.last_slice()
    }

    /// Counts what the runtime does not tell: a slice that was not enough, and as many Luau threads as there may be. The
    /// one that met that limit may have ended by it.
    fn look_at_limits(&mut self) {
        if self.runtime.is_ready() {
            self.shared.metrics.exceeded(Limit::Slice);
            self.shared.metrics.count(Count::Preemption);
        }
        let is_full = self.runtime.threads() + 1 >= self.limits.max_luau_threads;
        if is_full && !self.threads_full {
            self.shared.metrics.exceeded(Limit::LuauThreads);
        }
        self.threads_full = is_full;
        self.memory.set(self.runtime.used_memory());
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.runtime.state(), khronos::VmState::Broken(_))
    }

    /// Counts why it broke.
    pub(super) fn count_break(&self) {
        let khronos::VmState::Broken(reason) = self.runtime.state() else { return };
        let reason = match reason {
            BrokenReason::OutOfMemory { .. } => Broke::Memory,
            BrokenReason::KilledInNative { .. } => Broke::NonYieldable,
            BrokenReason::Panicked => Broke::Panic,
            BrokenReason::Condemned(_) => Broke::Condemned,
        };
        // A panic itself is counted where the thread ends by it.
        self.shared.metrics.count(Count::Broke(reason));
    }

    /// What was accepted and not started: it goes to the VM's successor.
    pub(super) fn take_waiting(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.waiting).into()
    }

    /// Lets go of everything but the VM itself, which is nobody's any more.
    pub(super) fn into_runtime(self) -> KhronosRuntime {
        self.runtime
    }

    /// Its way to the log, which a successor goes on with.
    pub(super) fn log(&self) -> &Rc<GuildLog> {
        &self.log
    }

    /// Tells those who asked for a collection what came of it.
    pub(super) fn answer_garbage(&mut self, result: &LuaVmResult) {
        for reply in self.garbage.drain(..) {
            reply.send(result.clone());
        }
    }

    /// Drops what is owed, which answers it, and leaves the VM alone.
    pub(super) fn abandon(&mut self) {
        self.running.clear();
        self.waiting.clear();
        self.garbage.clear();
    }

    /// Ends everything with `reason` and answers everybody.
    pub(super) fn condemn(&mut self, reason: &str) {
        self.runtime.condemn(BrokenReason::Condemned(reason.to_owned()));
        self.answer();
        self.answer_garbage(&LuaVmResult::Broken { reason: reason.to_owned() });
        for job in self.take_waiting() {
            job.reply.send(LuaVmResult::Outcome(Outcome::vm_broken(reason)));
        }
    }

    /// Forgets the world of `template`, or all.
    pub(super) fn forget(&mut self, template: Option<&TemplateName>) {
        self.warnings.forget(template);
        self.worlds.retain(|name, world| {
            let kept = template.is_some_and(|wanted| wanted != name);
            if !kept {
                self.runtime.remove_isolate(world.isolate);
            }
            kept
        });
    }

    /// Lets a script call `f` under `pcall`, in a world of its own.
    pub(super) fn call_from_script(&mut self, f: fn() -> LuaVmResult) -> LuaVmResult {
        let called = self.runtime.create_function(move |_, ()| {
            f();
            Ok(())
        });
        let done = called.and_then(|f| {
            self.runtime.with_lua(|lua| {
                let pcall: mlua::Function = lua.globals().get("pcall")?;
                pcall.call::<mlua::MultiValue>(f)
            })
        });
        match done {
            Ok(Ok(_)) => LuaVmResult::Done,
            Ok(Err(error)) => LuaVmResult::Broken { reason: error.to_string() },
            Err(error) => LuaVmResult::Broken { reason: error.to_string() },
        }
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
            template_memory: self
                .worlds
                .iter()
                .map(|(name, world)| (name.clone(), self.runtime.memory_of(world.isolate)))
                .collect(),
            thread: Some(self.thread),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The template that broke the VM, where it was one. Too little memory is the fault of whoever holds half of it; where
    /// events do, it is the fault of nobody in here. Otherwise of whoever ran.
    pub(super) fn culprit(&self) -> Option<TemplateName> {
        let khronos::VmState::Broken(reason) = self.runtime.state() else { return None };
        if let BrokenReason::OutOfMemory { limit } = reason
            // Somebody who lowers the limit does not make those guilty who were within it.
            && limit == self.limits.max_template_memory_usage
        {
            let held =
                || self.worlds.iter().map(|(name, world)| (self.runtime.memory_of(world.isolate), name));
            if let Some((_, name)) = held().max().filter(|(bytes, _)| *bytes >= limit / 2) {
                return Some(name.clone());
            }
            let of_templates: usize = held().map(|(bytes, _)| bytes).sum();
            if self.runtime.used_memory().saturating_sub(of_templates) >= limit / 2 {
                return None;
            }
        }
        self.runtime.broken_by()?.parse().ok()
    }

    fn start(&mut self, job: Job) {
        self.running_now.set(self.guild, job.template.info.name.as_str());
        let now = Instant::now();
        self.shared.metrics.took(Stage::Queue, now.saturating_duration_since(job.since));
        let started = self.event_value(&job.event, now).and_then(|event| {
            let world = self.world(&job.template)?;
            let (isolate, ctx) = (world.isolate, world.ctx.clone());
            self.runtime.start(
                isolate,
                job.event.name().as_str(),
                &event,
                &ctx,
                execution_limits(&self.limits),
            )
        });
        let (event, template) = (job.event.id().clone(), job.template.info.name.clone());
        match started {
            Ok(id) => {
                self.event_of.borrow_mut().insert(id, event.clone());
                let _span = tracing::debug_span!(
                    target: telemetry::SPANS, parent: job.reply.span(), "execution",
                    guild = %self.guild, template = %template, execution = %id, event_id = %event,
                );
                self.running.insert(id, Running { event, template, reply: job.reply, _span });
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
    fn event_value(&mut self, event: &Arc<Event>, now: Instant) -> Result<Value, RuntimeError> {
        if let Some((known, value)) = &self.decoded
            && Arc::ptr_eq(known, event)
        {
            return Ok(value.clone());
        }
        let value = self.runtime.decode_json(&event.to_json())?;
        self.shared.metrics.took(Stage::Decode, now.elapsed());
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
            let ctx = create_context(&self.runtime, isolate, loaded, &self.store, &self.shared.host)?;
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
                self.shared.metrics.took(Stage::Run, completion.wall_clock);
                if !completion.host_calls.is_zero() {
                    self.shared.metrics.took(Stage::HostCall, completion.host_calls);
                }
                let outcome = Outcome::of(completion);
                self.warn(&running, &outcome);
                self.settle(running.event, &running.template, running.reply, outcome);
            }
        }
    }

    /// Tells the author that what has just ended was near a limit.
    fn warn(&mut self, running: &Running, outcome: &Outcome) {
        for (limit, text) in self.warnings.of_execution(&running.template, outcome, &self.limits) {
            self.shared.metrics.warned(limit);
            self.log.write(running.template.as_str(), Some(running.event.clone()), LogLevel::Warn, text);
        }
    }

    fn settle(&self, event: EventId, template: &TemplateName, reply: Reply, outcome: Outcome) {
        if let Some(limit) = outcome.limit(&self.limits) {
            self.shared.metrics.exceeded(limit);
        }
        if let Some(world) = self.worlds.get(template) {
            self.shared.metrics.template_memory(self.runtime.memory_of(world.isolate));
        }
        if let Some(text) = outcome.complaint() {
            self.log.write(template.as_str(), Some(event), LogLevel::Error, text);
        }
        self.log.tell_of_dropped(template.as_str());
        reply.send(LuaVmResult::Outcome(outcome));
    }
}
