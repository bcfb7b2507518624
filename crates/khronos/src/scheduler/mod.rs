//! Who runs next: executions, their Luau threads, and what they wait for.
//!
//! Owns the run queue, timers, parked threads and the verdicts. Leaves pausing to `preempt`, the clock to `ticker`,
//! the functions that scripts call to `host_functions`, and when to run to the embedder, which calls
//! [`Scheduler::run_slice`] as long as it likes.
//!
//! An *execution* (one event, one template) owns *strands*. A strand is a stack of chains: `task.spawn` puts the new
//! thread on top of the one that spawned it, and the one below goes on when the top finishes, yields or waits. An
//! execution runs its strands strictly in order, so pausing at the end of a slice changes nothing that a script can
//! see; executions take turns.

pub(crate) mod host_functions;
pub(crate) mod inbox;
pub(crate) mod preempt;
pub(crate) mod ticker;
pub(crate) mod timers;
mod verdicts;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Lua, Thread};

use crate::error::{BrokenReason, TemplateError, Verdict};
use crate::limits::{ExecutionLimits, LimitExceeded, RuntimeLimits};
use crate::options::{LogLevel, RuntimeOptions};
use crate::sandbox::Prelude;
use inbox::{Answer, CallId, Inbox};
use preempt::{Chain, Resumability, SliceLimits, Stop};
use timers::{Timers, Wakeup};
use verdicts::traceback;

/// Names one execution within its VM. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(pub(crate) u64);

impl std::fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The end of an execution's main thread. Threads that it spawned may go on; they have nobody to answer to.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Which execution.
    pub id: ExecutionId,
    /// How it ended.
    pub verdict: Verdict,
    /// CPU time that its Luau threads used until now.
    pub cpu: Duration,
    /// Time since it was started.
    pub wall_clock: Duration,
}

/// Luau may use a page more than its limit, because mlua lifts the limit for its own small allocations; more than
/// that is a script that lives off them.
const MEMORY_SLACK: usize = 64 << 10;

pub(crate) struct Scheduler {
    pub(crate) options: RuntimeOptions,
    pub(crate) inbox: Arc<Inbox>,
    state: RefCell<State>,
    /// The running chain's side of a pause; moves in and out with the chain.
    mail: RefCell<Mail>,
    /// What runs right now.
    current: Cell<Option<Current>>,
    broken: RefCell<Option<BrokenReason>>,
    /// The metatable of lists, once the sandbox has made it.
    array: RefCell<Option<mlua::Table>>,
    memory_limit: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Current {
    execution: ExecutionId,
    /// The number of its link, and which Luau thread is the root of its chain.
    link: u64,
    root: *const mlua::ffi::lua_State,
}

#[derive(Default)]
struct State {
    executions: BTreeMap<ExecutionId, Execution>,
    /// Executions that have a strand to run, in turn.
    turn: VecDeque<ExecutionId>,
    timers: Timers,
    calls: BTreeMap<CallId, Call>,
    completions: Vec<Completion>,
    next_id: u64,
}

impl State {
    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

struct Execution {
    isolate: Arc<str>,
    limits: ExecutionLimits,
    started: Instant,
    cpu: Duration,
    main: Thread,
    /// Whether a [`Completion`] was given out.
    settled: bool,
    /// Ready to run, in order.
    strands: VecDeque<Strand>,
    /// Whether it is in [`State::turn`].
    queued: bool,
    /// Its timers and unanswered calls, to end with it.
    timers: BTreeSet<u64>,
    calls: BTreeSet<CallId>,
}

/// See the head of this file. The last one runs.
struct Strand(Vec<Link>);

struct Link {
    /// Kept from sleep to sleep, so that `require` knows a thread again that waits while it loads a module.
    id: u64,
    chain: Chain,
    /// Not resumed yet since it was started or had yielded: others may have resumed or closed its thread meanwhile.
    fresh: bool,
    mail: Mail,
}

/// What a chain and the scheduler tell each other across a pause.
#[derive(Default)]
struct Mail {
    /// Why the chain is about to call `pause`.
    pending: Option<Pending>,
    /// What `host.take` will return.
    delivered: Option<Answer>,
}

enum Pending {
    Call(CallId),
    Spawn(Thread),
}

/// A host call, or a thread parked until another one wakes it.
struct Call {
    execution: ExecutionId,
    /// Threads parked by `require` are woken when any execution ends, to look again.
    is_park: bool,
    parked: Option<Strand>,
    answer: Option<Answer>,
}

impl Scheduler {
    pub(crate) fn new(options: RuntimeOptions) -> Rc<Self> {
        let inbox = Arc::new(Inbox::new(Arc::clone(&options.wake)));
        Rc::new(Self {
            memory_limit: Cell::new(options.limits.memory),
            options,
            inbox,
            state: RefCell::default(),
            mail: RefCell::default(),
            current: Cell::new(None),
            broken: RefCell::new(None),
            array: RefCell::new(None),
        })
    }

    pub(crate) fn limits(&self) -> &RuntimeLimits {
        &self.options.limits
    }

    fn now(&self) -> Instant {
        (self.options.clock)()
    }

    pub(crate) fn set_memory_limit(&self, bytes: usize) {
        self.memory_limit.set(bytes);
    }

    pub(crate) fn memory_limit(&self) -> usize {
        self.memory_limit.get()
    }

    /// Why the VM is broken, if it is.
    pub(crate) fn broken(&self) -> Option<BrokenReason> {
        self.broken.borrow().clone()
    }

    pub(crate) fn set_array(&self, array: mlua::Table) {
        self.array.replace(Some(array));
    }

    pub(crate) fn reserve(&self) -> ExecutionId {
        ExecutionId(self.state.borrow_mut().fresh())
    }

    /// Registers an execution whose main thread is `main`; it runs when its turn comes.
    pub(crate) fn start(&self, id: ExecutionId, isolate: Arc<str>, main: Thread, limits: ExecutionLimits) {
        let started = self.now();
        let mut state = self.state.borrow_mut();
        let link =
            Link { id: state.fresh(), chain: Chain::new(main.clone()), fresh: true, mail: Mail::default() };
        if let Some(at) = started.checked_add(limits.wall_clock) {
            state.timers.add(at, Wakeup::Deadline(id));
        }
        state.executions.insert(
            id,
            Execution {
                isolate,
                limits,
                started,
                cpu: Duration::ZERO,
                main,
                settled: false,
                strands: VecDeque::from([Strand(vec![link])]),
                queued: true,
                timers: BTreeSet::new(),
                calls: BTreeSet::new(),
            },
        );
        state.turn.push_back(id);
    }

    /// Executions that are running, waiting or sleeping, lingering threads included.
    pub(crate) fn executions(&self) -> usize {
        self.state.borrow().executions.len()
    }

    pub(crate) fn is_alive(&self, id: ExecutionId) -> bool {
        self.state.borrow().executions.contains_key(&id)
    }

    /// Luau threads that are ready, waiting or sleeping.
    pub(crate) fn threads(&self) -> usize {
        let state = self.state.borrow();
        let ready: usize = state
            .executions
            .values()
            .map(|execution| execution.strands.iter().map(|s| s.0.len()).sum::<usize>())
            .sum();
        ready + state.timers.sleepers() + state.calls.len()
    }

    pub(crate) fn take_completions(&self) -> Vec<Completion> {
        std::mem::take(&mut self.state.borrow_mut().completions)
    }

    /// Whether [`Scheduler::run_slice`] would find something to run now.
    pub(crate) fn is_ready(&self) -> bool {
        self.has_turn() || !self.inbox.is_empty() || self.next_timer().is_some_and(|at| at <= self.now())
    }

    fn has_turn(&self) -> bool {
        !self.state.borrow().turn.is_empty()
    }

    /// When the next timer fires.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.state.borrow_mut().timers.next()
    }

    /// Runs one chain for at most about a slice. Returns whether there was one.
    pub(crate) fn run_slice(&self, lua: &Lua, prelude: &Prelude) -> bool {
        if self.broken.borrow().is_some() {
            return false;
        }
        self.collect_answers();
        self.fire_timers(lua, prelude);
        let Some((id, mut strand)) = self.next_strand(lua, prelude) else { return false };
        let Some(mut link) = strand.0.pop() else { return false };

        if link.fresh {
            match preempt::resumability(link.chain.root()) {
                Resumability::Ready => {}
                Resumability::Over => {
                    self.go_on(id, strand, lua, prelude);
                    return true;
                }
                Resumability::Busy => {
                    // Its timer fired while it was paused on its way to the yield: it has to get there first.
                    strand.0.push(link);
                    self.requeue(id, strand, false);
                    return true;
                }
            }
            link.fresh = false;
        }

        self.mail.replace(std::mem::take(&mut link.mail));
        let root = link.chain.root().state().cast_const();
        self.current.set(Some(Current { execution: id, link: link.id, root }));
        let before = cpu_time();
        let limits = SliceLimits { slice: self.limits().slice, non_yieldable: self.limits().non_yieldable };
        let stop = preempt::resume(&mut link.chain, &self.options.ticker, limits);
        let spent = cpu_time().saturating_sub(before);
        self.current.set(None);
        link.mail = self.mail.take();
        self.charge(id, spent);
        self.stopped(id, strand, link, stop, lua, prelude);
        if lua.used_memory() > self.memory_limit.get() + MEMORY_SLACK {
            self.out_of_memory(id);
        }
        true
    }

    /// Adds to the CPU time of an execution, and to its completion if it was given out during the slice.
    fn charge(&self, id: ExecutionId, spent: Duration) {
        let mut state = self.state.borrow_mut();
        if let Some(execution) = state.executions.get_mut(&id) {
            execution.cpu += spent;
        }
        if let Some(completion) = state.completions.last_mut().filter(|completion| completion.id == id) {
            completion.cpu += spent;
        }
    }

    /// Takes the next execution whose turn it is and that has CPU time left, and the front one of its strands.
    fn next_strand(&self, lua: &Lua, prelude: &Prelude) -> Option<(ExecutionId, Strand)> {
        loop {
            let id = self.state.borrow_mut().turn.pop_front()?;
            let over = {
                let mut state = self.state.borrow_mut();
                let Some(execution) = state.executions.get_mut(&id) else { continue };
                execution.queued = false;
                if execution.cpu < execution.limits.cpu {
                    let strand = execution.strands.pop_front()?;
                    return Some((id, strand));
                }
                LimitExceeded::CpuTime(execution.limits.cpu)
            };
            self.exceeded(id, over, lua, prelude);
        }
    }

    fn stopped(
        &self,
        id: ExecutionId,
        mut strand: Strand,
        mut link: Link,
        stop: Stop,
        lua: &Lua,
        prelude: &Prelude,
    ) {
        match stop {
            Stop::SliceOver => {
                strand.0.push(link);
                self.requeue(id, strand, true);
            }
            Stop::Paused => match link.mail.pending.take() {
                Some(Pending::Spawn(thread)) => {
                    strand.0.push(link);
                    let id_of_link = self.state.borrow_mut().fresh();
                    let chain = Chain::new(thread);
                    strand.0.push(Link { id: id_of_link, chain, fresh: true, mail: Mail::default() });
                    self.requeue(id, strand, true);
                }
                Some(Pending::Call(call)) => {
                    self.park(call, Strand(vec![link]));
                    self.go_on(id, strand, lua, prelude);
                }
                None => {
                    strand.0.push(link);
                    self.requeue(id, strand, true);
                }
            },
            Stop::Finished | Stop::Yielded => self.go_on(id, strand, lua, prelude),
            Stop::Failed => {
                self.failed(id, link.chain.root(), lua, prelude);
                self.go_on(id, strand, lua, prelude);
            }
            Stop::OutOfMemory => self.out_of_memory(id),
            Stop::Killed => {
                let limit = self.limits().non_yieldable;
                self.settle(id, |_| Verdict::LimitExceeded {
                    limit: LimitExceeded::NonYieldable(limit),
                    traceback: traceback(lua, prelude, &link.chain),
                });
                self.condemn(BrokenReason::KilledInNative { limit });
            }
        }
    }

    /// The top of `strand` is done for now: what is below it runs next, or the execution is over.
    fn go_on(&self, id: ExecutionId, strand: Strand, lua: &Lua, prelude: &Prelude) {
        if !strand.0.is_empty() {
            self.requeue(id, strand, true);
            return;
        }
        let mut state = self.state.borrow_mut();
        let Some(execution) = state.executions.get_mut(&id) else { return };
        if !execution.strands.is_empty() {
            execution.queued = true;
            state.turn.push_back(id);
        } else if execution.timers.is_empty() && execution.calls.is_empty() {
            drop(state);
            self.settle(id, |execution| {
                Verdict::Failed(TemplateError {
                    message: "the template yielded, and nothing is left that could resume it".to_owned(),
                    traceback: traceback(lua, prelude, &Chain::new(execution.main.clone())),
                })
            });
            self.remove(id);
        }
    }

    fn requeue(&self, id: ExecutionId, strand: Strand, front: bool) {
        let mut state = self.state.borrow_mut();
        let Some(execution) = state.executions.get_mut(&id) else { return };
        if front {
            execution.strands.push_front(strand);
        } else {
            execution.strands.push_back(strand);
        }
        if !std::mem::replace(&mut execution.queued, true) {
            state.turn.push_back(id);
        }
    }

    fn park(&self, call: CallId, mut strand: Strand) {
        let mut state = self.state.borrow_mut();
        let Some(slot) = state.calls.get_mut(&call) else { return };
        let Some(answer) = slot.answer.take() else {
            slot.parked = Some(strand);
            return;
        };
        let id = slot.execution;
        state.calls.remove(&call);
        if let Some(execution) = state.executions.get_mut(&id) {
            execution.calls.remove(&call);
        }
        drop(state);
        strand.deliver(answer);
        self.requeue(id, strand, false);
    }

    fn collect_answers(&self) {
        for (call, answer) in self.inbox.take() {
            self.answer(call, answer);
        }
    }

    fn answer(&self, call: CallId, answer: Answer) {
        let mut state = self.state.borrow_mut();
        let Some(slot) = state.calls.get_mut(&call) else { return };
        let id = slot.execution;
        let Some(mut strand) = slot.parked.take() else {
            slot.answer = Some(answer); // not parked yet: it will find the answer when it does
            return;
        };
        state.calls.remove(&call);
        if let Some(execution) = state.executions.get_mut(&id) {
            execution.calls.remove(&call);
        }
        drop(state);
        strand.deliver(answer);
        self.requeue(id, strand, false);
    }

    fn fire_timers(&self, lua: &Lua, prelude: &Prelude) {
        let now = self.now();
        loop {
            let due = self.state.borrow_mut().timers.pop_due(now);
            match due {
                None => return,
                Some(Wakeup::Deadline(id)) => {
                    let limit = self.state.borrow().executions.get(&id).map(|e| e.limits.wall_clock);
                    if let Some(limit) = limit {
                        self.exceeded(id, LimitExceeded::WallClock(limit), lua, prelude);
                    }
                }
                Some(Wakeup::Thread { timer, execution: id, link, thread }) => {
                    let mut state = self.state.borrow_mut();
                    let link =
                        Link { id: link, chain: Chain::new(thread), fresh: true, mail: Mail::default() };
                    if let Some(execution) = state.executions.get_mut(&id) {
                        execution.timers.remove(&timer);
                    }
                    drop(state);
                    self.requeue(id, Strand(vec![link]), false);
                }
            }
        }
    }

    /// Lets go of everything, before the VM is dropped.
    pub(crate) fn clear(&self) {
        self.state.take();
        self.mail.take();
        self.array.take();
    }

    pub(crate) fn log(&self, id: ExecutionId, level: LogLevel, text: &str) {
        let isolate = self.state.borrow().executions.get(&id).map(|execution| Arc::clone(&execution.isolate));
        if let Some(isolate) = isolate {
            self.log_line(isolate, Some(id), level, text);
        }
    }
}

impl Strand {
    fn deliver(&mut self, answer: Answer) {
        if let Some(top) = self.0.last_mut() {
            top.mail.delivered = Some(answer);
        }
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .unwrap_or_default()
}
