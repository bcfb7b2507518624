//! Who runs next: executions, their Luau threads, and what they wait for.
//!
//! Owns the run queue, timers and parked threads. Leaves pausing to `preempt`, the clock to `ticker`, how executions end
//! to `verdicts`, what is done about memory to `memory`, the functions that scripts call to `host_functions`, and when to
//! run to the embedder, which calls [`Scheduler::run_slice`] as long as it likes.
//!
//! An *execution* (one event, one template) owns *strands*. A strand is a stack of chains: `task.spawn` puts the new
//! thread on top of the one that spawned it, and the one below goes on when the top finishes, yields or waits. An
//! execution runs its strands strictly in order, so pausing at the end of a slice changes nothing that a script can
//! see; executions take turns.

mod calls;
pub(crate) mod collector;
pub(crate) mod host_functions;
pub(crate) mod inbox;
mod memory;
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
use crate::value::json::Decoder;
use calls::{Call, Delivery};
use collector::{Charge, Collector};
use inbox::{CallId, Inbox};
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
    /// What its Luau threads waited for answers of the host, all of them added up. Calls that were not answered do not
    /// count.
    pub host_calls: Duration,
}

pub(crate) struct Scheduler {
    pub(crate) options: RuntimeOptions,
    pub(crate) inbox: Arc<Inbox>,
    state: RefCell<State>,
    /// The running chain's side of a pause; moves in and out with the chain.
    mail: RefCell<Mail>,
    /// What runs right now.
    current: Cell<Option<Current>>,
    broken: RefCell<Option<BrokenReason>>,
    /// The isolate that broke it, where one did.
    broken_by: RefCell<Option<Arc<str>>>,
    /// The metatable of lists, once the sandbox has made it.
    array: RefCell<Option<mlua::Table>>,
    /// Makes values of answers that are JSON text.
    decoder: RefCell<Option<Rc<Decoder>>>,
    /// What the times that scripts get are counted from.
    epoch: Instant,
    /// One more than links are alive.
    links: Rc<()>,
    collector: Collector,
    /// Whether the author knows that memory gets short.
    warned: Cell<bool>,
    /// What ran last: who made the garbage that has to be collected.
    last: Cell<Option<ExecutionId>>,
    /// The isolate of that one.
    last_isolate: RefCell<Option<Arc<str>>>,
    limits: Cell<RuntimeLimits>,
    /// CPU time that the last slice took.
    spent: Cell<Duration>,
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
    /// Calls that the host has not answered and nobody waits for, with what their arguments cost.
    abandoned: BTreeMap<CallId, Charge>,
    completions: Vec<Completion>,
    /// Executions of which something was cancelled: perhaps nothing is left of them.
    touched: BTreeSet<ExecutionId>,
    next_id: u64,
}

impl State {
    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Takes away a timer that has not fired.
    fn forget_timer(&mut self, timer: u64) {
        if let Some(Wakeup::Thread { execution: id, .. }) = self.timers.cancel(timer)
            && let Some(execution) = self.executions.get_mut(&id)
        {
            execution.timers.remove(&timer);
            self.touched.insert(id);
        }
    }
}

struct Execution {
    isolate: Arc<str>,
    limits: ExecutionLimits,
    started: Instant,
    cpu: Duration,
    /// Spent waiting for the host.
    host_calls: Duration,
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
    start: Start,
    mail: Mail,
    /// Counts it among [`Scheduler::threads`].
    _alive: Rc<()>,
}

/// What has to be true for a chain to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// It was paused: nothing else can resume it.
    Paused,
    /// It was not started, or had yielded: a script may have resumed or closed its thread meanwhile.
    Fresh,
    /// As `Fresh`, and this sleep of it is over.
    Slept(u64),
}

/// What a chain and the scheduler tell each other across a pause.
#[derive(Default)]
struct Mail {
    /// Why the chain is about to call `pause`.
    pending: Option<Pending>,
    /// What `host.take` will return.
    delivered: Option<Delivery>,
}

enum Pending {
    Call(CallId),
    Spawn(Thread),
}

impl Scheduler {
    pub(crate) fn new(options: RuntimeOptions) -> Rc<Self> {
        let inbox = Arc::new(Inbox::new(Arc::clone(&options.wake)));
        Rc::new(Self {
            collector: Collector::new(options.limits.memory),
            limits: Cell::new(options.limits),
            epoch: (options.clock)(),
            options,
            inbox,
            state: RefCell::default(),
            mail: RefCell::default(),
            current: Cell::new(None),
            broken: RefCell::new(None),
            broken_by: RefCell::new(None),
            array: RefCell::new(None),
            decoder: RefCell::new(None),
            links: Rc::default(),
            warned: Cell::new(false),
            last: Cell::new(None),
            last_isolate: RefCell::default(),
            spent: Cell::default(),
        })
    }

    pub(crate) fn limits(&self) -> RuntimeLimits {
        self.limits.get()
    }

    fn now(&self) -> Instant {
        (self.options.clock)()
    }

    pub(crate) fn set_limits(&self, lua: &Lua, limits: RuntimeLimits) -> mlua::Result<()> {
        self.limits.set(limits);
        self.collector.set_limit(lua, limits.memory)
    }

    /// Why the VM is broken, if it is.
    pub(crate) fn broken(&self) -> Option<BrokenReason> {
        self.broken.borrow().clone()
    }

    pub(crate) fn set_values(&self, array: mlua::Table, decoder: Rc<Decoder>) {
        self.array.replace(Some(array));
        self.decoder.replace(Some(decoder));
    }

    pub(crate) fn reserve(&self) -> ExecutionId {
        ExecutionId(self.state.borrow_mut().fresh())
    }

    /// Registers an execution whose main thread is `main`; it runs when its turn comes.
    pub(crate) fn start(&self, id: ExecutionId, isolate: Arc<str>, main: Thread, limits: ExecutionLimits) {
        let started = self.now();
        let mut state = self.state.borrow_mut();
        let link = self.link(state.fresh(), main.clone(), Start::Fresh);
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
                host_calls: Duration::ZERO,
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

    /// A chain that starts, or goes on from a yield, with `thread`.
    fn link(&self, id: u64, thread: Thread, start: Start) -> Link {
        Link { id, chain: Chain::new(thread), start, mail: Mail::default(), _alive: Rc::clone(&self.links) }
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
        Rc::strong_count(&self.links) - 1 + self.state.borrow().timers.sleepers()
    }

    pub(crate) fn take_completions(&self) -> Vec<Completion> {
        std::mem::take(&mut self.state.borrow_mut().completions)
    }

    /// Whether [`Scheduler::run_slice`] would find something to do now.
    pub(crate) fn is_ready(&self, lua: &Lua) -> bool {
        self.has_turn()
            || !self.inbox.is_empty()
            || self.is_short_of_memory(lua)
            || self.next_timer().is_some_and(|at| at <= self.now())
    }

    fn has_turn(&self) -> bool {
        !self.state.borrow().turn.is_empty()
    }

    /// When the next timer fires.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.state.borrow_mut().timers.next()
    }

    /// Runs one chain for at most about a slice, or collects garbage for as long. Returns whether there was something to
    /// do.
    pub(crate) fn run_slice(&self, lua: &Lua, prelude: &Prelude) -> bool {
        self.spent.take();
        if self.broken.borrow().is_some() {
            return false;
        }
        if self.is_short_of_memory(lua) {
            self.collect_garbage(lua);
            return true;
        }
        self.collect_answers(lua);
        self.fire_timers(lua, prelude);
        let Some((id, mut strand)) = self.next_strand(lua, prelude) else { return false };
        let Some(mut link) = strand.0.pop() else { return false };

        let before = preempt::cpu_time();
        if self.is_void(&link) {
            drop(link);
            self.go_on(id, strand, lua, prelude);
            self.charge(id, preempt::cpu_time().saturating_sub(before));
            return true;
        }
        link.start = Start::Paused;

        self.mail.replace(std::mem::take(&mut link.mail));
        let root = link.chain.root().state().cast_const();
        self.current.set(Some(Current { execution: id, link: link.id, root }));
        self.remember(id);
        self.tell_who_runs();
        let limits = SliceLimits {
            slice: self.limits().slice,
            non_yieldable: self.limits().non_yieldable,
            memory: self.collector.limits(),
        };
        let stop = preempt::resume(lua, &mut link.chain, &self.options.ticker, limits);
        self.current.set(None);
        link.mail = self.mail.take();
        self.stopped(id, strand, link, stop, lua, prelude);
        let touched = std::mem::take(&mut self.state.borrow_mut().touched);
        for other in touched {
            self.look_after(other, lua, prelude);
        }
        // With what the host had to do for it, such as writing its errors down.
        self.charge(id, preempt::cpu_time().saturating_sub(before));
        true
    }

    /// Whether a queued chain must not be resumed any more: somebody else has resumed or closed its thread.
    fn is_void(&self, link: &Link) -> bool {
        let slept = match link.start {
            Start::Paused => return false,
            Start::Fresh => true,
            Start::Slept(timer) => self.state.borrow_mut().timers.consume(timer),
        };
        !slept || preempt::resumability(link.chain.root()) != Resumability::Ready
    }

    /// CPU time that the last slice took: more than a slice, where a script could not be paused.
    pub(crate) fn spent(&self) -> Duration {
        self.spent.get()
    }

    /// Adds a slice to the CPU time of an execution, and to its completion if it was given out meanwhile.
    fn charge(&self, id: ExecutionId, spent: Duration) {
        self.spent.set(spent);
        let mut state = self.state.borrow_mut();
        if let Some(execution) = state.executions.get_mut(&id) {
            execution.cpu += spent;
        }
        if let Some(completion) = state.completions.iter_mut().rev().find(|completion| completion.id == id) {
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
            Stop::SliceOver | Stop::Pressed => {
                strand.0.push(link);
                self.requeue(id, strand, true);
            }
            Stop::Paused => match link.mail.pending.take() {
                Some(Pending::Spawn(thread)) => {
                    strand.0.push(link);
                    let number = self.state.borrow_mut().fresh();
                    strand.0.push(self.link(number, thread, Start::Fresh));
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
            Stop::OutOfMemory => self.out_of_memory(Some(id)),
            Stop::Killed => {
                let limit = self.limits().non_yieldable;
                self.settle(id, |_| Verdict::LimitExceeded {
                    limit: LimitExceeded::NonYieldable(limit),
                    traceback: traceback(lua, prelude, &link.chain),
                });
                self.condemn(BrokenReason::KilledInNative { limit }, self.last_isolate());
            }
        }
    }

    /// The top of `strand` is done for now: what is below it runs next, or the execution is over.
    fn go_on(&self, id: ExecutionId, strand: Strand, lua: &Lua, prelude: &Prelude) {
        if strand.0.is_empty() {
            self.look_after(id, lua, prelude);
        } else {
            self.requeue(id, strand, true);
        }
    }

    /// Puts an execution where it belongs now: in turn, or away when nothing of it is left that could run.
    fn look_after(&self, id: ExecutionId, lua: &Lua, prelude: &Prelude) {
        let mut state = self.state.borrow_mut();
        let Some(execution) = state.executions.get_mut(&id) else { return };
        if !execution.strands.is_empty() {
            if !std::mem::replace(&mut execution.queued, true) {
                state.turn.push_back(id);
            }
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
                    let link = self.link(link, thread, Start::Slept(timer));
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
        self.decoder.take();
    }

    pub(crate) fn log(&self, id: ExecutionId, level: LogLevel, text: &str) {
        let isolate = self.state.borrow().executions.get(&id).map(|execution| Arc::clone(&execution.isolate));
        if let Some(isolate) = isolate {
            self.log_line(isolate, Some(id), level, text);
        }
    }
}
