//! A VM for tests: give it files, run them, look at the verdict and the log.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use khronos::{
    BaseLibrary, Bundle, BytecodeCache, Completion, ExecutionLimits, IsolateId, KhronosRuntime, KhronosValue,
    LogLine, Program, RuntimeLimits, RuntimeOptions, Ticker, Verdict,
};

pub struct Vm {
    pub runtime: KhronosRuntime,
    pub log: Rc<RefCell<Vec<LogLine>>>,
    /// Slices run since the VM was made.
    pub slices: Cell<usize>,
    /// The test fails when there were more.
    pub most_slices: Cell<usize>,
    /// What time it is for the VM; `None` for the real time.
    clock: Rc<Cell<Option<Instant>>>,
    _ticker: Ticker,
}

impl Vm {
    pub fn new() -> Self {
        Self::with_limits(RuntimeLimits::default())
    }

    pub fn with_limits(limits: RuntimeLimits) -> Self {
        Self::with_options(|options| options.limits = limits)
    }

    pub fn with_options(choose: impl FnOnce(&mut RuntimeOptions)) -> Self {
        let ticker = Ticker::start().unwrap();
        let log = Rc::new(RefCell::new(Vec::new()));
        let clock = Rc::new(Cell::new(Some(Instant::now())));
        let mut options = RuntimeOptions::new(BaseLibrary::compile().unwrap(), ticker.handle());
        choose(&mut options);
        let (lines, time) = (Rc::clone(&log), Rc::clone(&clock));
        options.log = Rc::new(move |line| lines.borrow_mut().push(line));
        options.clock = Rc::new(move || time.get().unwrap_or_else(Instant::now));
        let runtime = KhronosRuntime::new(options).unwrap();
        let most_slices = Cell::new(usize::MAX);
        Self { runtime, log, slices: Cell::new(0), most_slices, clock, _ticker: ticker }
    }

    /// From here on, sleeps take as long as they say.
    pub fn follow_real_time(&mut self) {
        self.clock.set(None);
    }

    pub fn isolate(&self, files: &[(&str, &str)]) -> IsolateId {
        self.runtime.create_isolate("test", program(files)).unwrap()
    }

    /// Runs `init.luau` once in a fresh isolate, without an event.
    pub fn run(&self, source: &str) -> Verdict {
        self.run_files(&[("init.luau", source)])
    }

    pub fn run_files(&self, files: &[(&str, &str)]) -> Verdict {
        let isolate = self.isolate(files);
        self.dispatch(isolate, "null").verdict
    }

    pub fn value(&self, source: &str) -> KhronosValue {
        match self.run(source) {
            Verdict::Returned(value) => value.to_value(),
            other => panic!("{source}\ndid not return: {other:#?}"),
        }
    }

    pub fn error(&self, source: &str) -> String {
        match self.run(source) {
            Verdict::Failed(error) => error.message,
            other => panic!("{source}\ndid not throw: {other:#?}"),
        }
    }

    pub fn dispatch(&self, isolate: IsolateId, event: &str) -> Completion {
        self.dispatch_with(isolate, event, ExecutionLimits::default())
    }

    pub fn dispatch_with(&self, isolate: IsolateId, event: &str, limits: ExecutionLimits) -> Completion {
        let event = self.runtime.decode_json(event).unwrap();
        let ctx = mlua_nil(&self.runtime);
        let id = self.runtime.start(isolate, "TEST", &event, &ctx, limits).unwrap();
        self.finish(id)
    }

    /// Runs until the execution has its verdict; sleeps pass at once.
    pub fn finish(&self, id: khronos::ExecutionId) -> Completion {
        let mut done = Vec::new();
        loop {
            done.extend(self.runtime.take_completions());
            if let Some(at) = done.iter().position(|completion| completion.id == id) {
                return done.swap_remove(at);
            }
            self.step();
        }
    }

    /// Runs until nothing is left to run, wait for or sleep.
    pub fn drain(&self) {
        while self.runtime.executions() > 0 {
            self.step();
        }
    }

    /// One slice; where there is none, time jumps to the next timer.
    fn step(&self) {
        if self.runtime.run_slice() {
            self.slices.set(self.slices.get() + 1);
            assert!(
                self.slices.get() <= self.most_slices.get(),
                "more than {} slices",
                self.most_slices.get()
            );
        } else if let Some(at) = self.runtime.next_timer().filter(|_| !self.runtime.is_ready()) {
            self.clock.set(self.clock.get().map(|now| at.max(now)));
        }
    }

    pub fn logged(&self) -> Vec<String> {
        self.log.borrow().iter().map(|line| line.text.clone()).collect()
    }
}

pub fn program(files: &[(&str, &str)]) -> Program {
    let files = files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned()));
    BytecodeCache::default().compile(&Bundle::new(files).unwrap()).unwrap()
}

fn mlua_nil(runtime: &KhronosRuntime) -> mlua::Value {
    runtime.create_value(&KhronosValue::Null).unwrap()
}

pub fn list<const N: usize>(items: [&str; N]) -> KhronosValue {
    KhronosValue::List(items.into_iter().map(Into::into).collect())
}
