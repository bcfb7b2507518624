//! A VM for one input: its clock jumps, its host answers as it is told, and at its end the books must balance.
//!
//! Owns driving a [`KhronosRuntime`] to the end of everything that was started in it, and what has to hold for each
//! of them, whatever ran. Leaves to the oracles what ran, and what it should have come to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use khronos::{
    BaseLibrary, BrokenReason, Bundle, BytecodeCache, Completion, ExecutionId, ExecutionLimits, IsolateId,
    KhronosRuntime, KhronosValue, LogLine, MAX_LOG_LINE, Program, Reply, RuntimeError, RuntimeLimits,
    RuntimeOptions, Ticker, Verdict, VmState,
};

/// Slices after which an input that is still running counts as one that never ends.
const MOST_SLICES: usize = 1_000_000;
/// CPU time that an execution may take beyond its limits: far more than a slice, far less than what a library
/// function without a safepoint can take.
const CPU_SLACK: Duration = Duration::from_secs(3);
/// Bytes that a VM may have beyond its limit: some pages of small allocations that must not fail.
const MEMORY_SLACK: usize = 128 << 10;
/// Bytes of an error and its traceback.
const MOST_TEXT: usize = 20_000;

thread_local! {
    /// What all VMs of a thread share, made once.
    static SHARED: (BaseLibrary, Ticker) = (BaseLibrary::compile().unwrap(), Ticker::start().unwrap());
}

/// A host call that waits for its answer, with the first argument.
type Waiting = (KhronosValue, Reply);

pub struct Vm {
    pub runtime: KhronosRuntime,
    pub log: Rc<RefCell<Vec<LogLine>>>,
    pub completions: RefCell<Vec<Completion>>,
    /// First arguments of all calls of `ctx.fetch`, in order.
    pub fetched: Rc<RefCell<Vec<KhronosValue>>>,
    waiting: Rc<RefCell<VecDeque<Waiting>>>,
    never_answered: RefCell<Vec<Reply>>,
    started: RefCell<BTreeMap<ExecutionId, ExecutionLimits>>,
    clock: Rc<Cell<Instant>>,
    limits: RuntimeLimits,
}

impl Vm {
    /// # Errors
    /// When not even an empty VM fits into the memory limit.
    pub fn new(limits: RuntimeLimits) -> Result<Self, RuntimeError> {
        let mut options = SHARED.with(|(base, ticker)| RuntimeOptions::new(base.clone(), ticker.handle()));
        let log = Rc::new(RefCell::new(Vec::new()));
        // Ahead of the real time, which is what the VM's own time is counted from.
        let clock = Rc::new(Cell::new(Instant::now() + Duration::from_secs(1)));
        let (lines, time) = (Rc::clone(&log), Rc::clone(&clock));
        options.limits = limits;
        options.log = Rc::new(move |line| lines.borrow_mut().push(line));
        options.clock = Rc::new(move || time.get());
        Ok(Self {
            runtime: KhronosRuntime::new(options)?,
            log,
            completions: RefCell::default(),
            fetched: Rc::default(),
            waiting: Rc::default(),
            never_answered: RefCell::default(),
            started: RefCell::default(),
            clock,
            limits,
        })
    }

    /// `ctx` with the function `fetch`. What it is asked says what the host does: `now`, `big`, `never`, `drop`,
    /// `fail`; anything else is sent back when nothing else is left to do.
    pub fn ctx(&self) -> Result<mlua::Value, RuntimeError> {
        let (waiting, fetched) = (Rc::clone(&self.waiting), Rc::clone(&self.fetched));
        let fetch = self.runtime.create_async_function("fetch", move |mut args, reply| {
            let asked = if args.is_empty() { KhronosValue::Null } else { args.swap_remove(0) };
            fetched.borrow_mut().push(asked.clone());
            match &asked {
                KhronosValue::Text(text) if text == "now" => reply.ok("answered at once"),
                KhronosValue::Text(text) if text == "big" => reply.ok(vec!["text".repeat(50); 500]),
                KhronosValue::Text(text) if text == "fail" => reply.error("refused"),
                KhronosValue::Text(text) if text == "drop" => drop(reply),
                _ => waiting.borrow_mut().push_back((asked, reply)),
            }
        })?;
        let ctx = self.runtime.with_lua(|lua| {
            let ctx = lua.create_table()?;
            ctx.raw_set("fetch", fetch)?;
            Ok(mlua::Value::Table(ctx))
        })?;
        ctx.map_err(RuntimeError::CreateValue)
    }

    /// Starts an execution, whose completion will be asked for at the end.
    pub fn start(
        &self,
        isolate: IsolateId,
        event: &mlua::Value,
        ctx: &mlua::Value,
        limits: ExecutionLimits,
    ) -> Result<ExecutionId, RuntimeError> {
        let id = self.runtime.start(isolate, "TEST", event, ctx, limits)?;
        self.started.borrow_mut().insert(id, limits);
        Ok(id)
    }

    /// Does the next thing that there is to do: a slice, an answer of the host, or what happens later. Returns whether
    /// there was one.
    pub fn step(&self) -> bool {
        let ran = self.runtime.run_slice();
        self.completions.borrow_mut().extend(self.runtime.take_completions());
        if ran || self.runtime.is_ready() {
            return true;
        }
        let next = self.waiting.borrow_mut().pop_front();
        if let Some((asked, reply)) = next {
            if asked == "never".into() {
                self.never_answered.borrow_mut().push(reply);
            } else {
                reply.ok(asked);
            }
            return true;
        }
        let Some(at) = self.runtime.next_timer() else { return false };
        self.clock.set(self.clock.get().max(at));
        true
    }

    /// Goes on until nothing is left to do.
    pub fn run(&self) {
        for _ in 0..MOST_SLICES {
            if !self.step() {
                return self.balance();
            }
        }
        panic!("still running after {MOST_SLICES} slices");
    }

    /// What must hold when nothing is left to do: every execution has exactly one answer, in its time, and the VM is
    /// either empty or broken, and not by a panic.
    fn balance(&self) {
        let completions = self.completions.borrow();
        for (id, limits) in &*self.started.borrow() {
            let answers: Vec<_> = completions.iter().filter(|completion| completion.id == *id).collect();
            let [answer] = &*answers else { panic!("execution {id} was answered by {answers:#?}") };
            let most = limits.cpu + self.limits.non_yieldable + CPU_SLACK;
            assert!(answer.cpu <= most, "took {:?} of CPU time: {:?}", answer.cpu, answer.verdict);
            if let Verdict::Failed(error) = &answer.verdict {
                assert!(error.message.len() + error.traceback.len() <= MOST_TEXT, "a long text: {error:?}");
            }
        }
        assert_eq!(completions.len(), self.started.borrow().len(), "answers to nobody: {completions:#?}");
        let lines = self.log.borrow();
        assert!(
            lines.iter().all(|line| line.text.len() <= MAX_LOG_LINE + '…'.len_utf8()),
            "a long line: {lines:?}"
        );
        match self.runtime.state() {
            VmState::Broken(BrokenReason::Panicked) => panic!("a host function panicked"),
            VmState::Broken(_) => {}
            _ => {
                assert_eq!((self.runtime.executions(), self.runtime.threads()), (0, 0), "something is left");
                let (used, limit) = (self.runtime.used_memory(), self.runtime.memory_limit());
                assert!(used <= limit + MEMORY_SLACK, "{used} bytes are in use, and the limit is {limit}");
            }
        }
    }

    /// An error of the runtime, where nothing but memory can be short, means that the VM is broken.
    pub fn must_be_broken(&self, error: &RuntimeError) {
        let state = self.runtime.state();
        assert!(matches!(state, VmState::Broken(_)), "{error:?}, and the VM is {state:?}");
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.runtime.state(), VmState::Broken(_))
    }

    /// What was logged, by the isolate's name.
    pub fn logged(&self, isolate: &str) -> Vec<String> {
        let lines = self.log.borrow();
        lines.iter().filter(|line| &*line.isolate == isolate).map(|line| line.text.clone()).collect()
    }

    /// Ends the VM; nothing of it may be left.
    pub fn close(self) {
        let handle = self.runtime.handle();
        self.runtime.close();
        assert!(handle.is_closed(), "something keeps the VM alive");
    }
}

pub fn program(files: &[(&str, &str)]) -> Program {
    let bundle = Bundle::new(files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())));
    let program = BytecodeCache::default().compile(&bundle.unwrap());
    program.unwrap_or_else(|errors| panic!("{errors:#?} in {files:#?}"))
}
