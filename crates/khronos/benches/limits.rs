//! What the limits cost while nobody exceeds them, and what a guild costs its neighbour on the same thread.
//!
//! Programs run in bare mlua and here by turns, and the least time of each counts, in CPU time of this thread: that holds
//! on a busy machine. Latencies are real time, and want an idle one.

#![expect(clippy::unwrap_used, reason = "a bench whose set-up fails has failed")]
#![expect(clippy::print_stdout, reason = "the figures are what this is for")]

use std::time::{Duration, Instant};

use khronos::{
    BaseLibrary, Bundle, BytecodeCache, ExecutionLimits, IsolateId, KhronosRuntime, Program, RuntimeOptions,
    Ticker, Verdict,
};
use mlua::{Lua, LuaOptions, StdLib, Value};

/// Name, source, and how many times the time of bare mlua it may take.
const PROGRAMS: [(&str, &str, f64); 9] = [
    (
        "fib(30)",
        "local function fib(n) return if n < 2 then n else fib(n - 1) + fib(n - 2) end return fib(30)",
        1.05,
    ),
    ("loop of 10M", "local x = 0 for i = 1, 10000000 do x += i % 7 end return x", 1.05),
    (
        "string building",
        "local t = {} for i = 1, 50000 do t[#t + 1] = 'item ' .. i end return #table.concat(t, ',')",
        1.05,
    ),
    ("table insert", "local t = {} for i = 1, 200000 do table.insert(t, i) end return #t", 1.05),
    (
        "sort 200k",
        "local t = table.create(200000) local x = 1 \
         for i = 1, 200000 do x = (x * 16807) % 2147483647 t[i] = x end table.sort(t) return t[1]",
        2.0,
    ),
    (
        "sort 20k with a comparator",
        "local t = table.create(20000) local x = 1 for i = 1, 20000 do x = (x * 16807) % 2147483647 t[i] = x end \
         table.sort(t, function(a, b) return a > b end) return t[1]",
        2.0,
    ),
    (
        "generators",
        "local s = 0 for i = 1, 200 do \
         for v in coroutine.wrap(function() for j = 1, 500 do coroutine.yield(j) end end) do s += v end end return s",
        f64::INFINITY,
    ),
    ("small tables", "local t for i = 1, 200000 do t = {i} end return 1", f64::INFINITY),
    ("closures", "local t for i = 1, 200000 do t = function() return i end end return 1", f64::INFINITY),
];

const ROUNDS: usize = 25;

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    let ticker = Ticker::start().unwrap();
    let base = BaseLibrary::compile().unwrap();
    let runtime = || KhronosRuntime::new(RuntimeOptions::new(base.clone(), ticker.handle())).unwrap();
    println!("least CPU time of {ROUNDS} runs        bare mlua      khronos    ratio  at most");
    for (name, source, most) in PROGRAMS.into_iter().filter(|(name, ..)| name.contains(&wanted)) {
        compare(name, source, most, &runtime());
    }
    if wanted.is_empty() {
        neighbour(&runtime);
        first_event(&runtime);
    }
}

fn compare(name: &str, source: &str, most: f64, runtime: &KhronosRuntime) {
    let bare = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new()).unwrap();
    bare.sandbox(true).unwrap();
    let chunk = bare.load(source).into_function().unwrap();
    let isolate = runtime.create_isolate("bench", program(source)).unwrap();
    let (mut theirs, mut ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        bare.gc_collect().unwrap();
        theirs = theirs.min(cpu_time_of(|| assert!(chunk.call::<f64>(()).unwrap() != 0.0)));
        runtime.collect_garbage().unwrap();
        ours = ours.min(cpu_time_of(|| assert!(matches!(run(runtime, isolate), Verdict::Returned(_)))));
    }
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("{name:27} {:>9.3} ms {:>9.3} ms {ratio:>8.3} {most:>8}", millis(theirs), millis(ours));
}

/// An innocent VM on the thread of one that spins, as a worker thread runs them: by turns, a slice each.
fn neighbour(runtime: &impl Fn() -> KhronosRuntime) {
    println!();
    println!("time to the answer beside a spinner        p50          p99          max");
    for (name, source) in [
        ("a loop", "while true do end"),
        (
            "nested coroutines",
            "local function f(n) if n == 0 then while true do end end coroutine.wrap(f)(n - 1) end f(20)",
        ),
        (
            "a full heap of garbage",
            "kept = {} for i = 1, 100000 do kept[i] = {i, i} end while true do local _ = {1} end",
        ),
    ] {
        let (spinner, innocent) = (runtime(), runtime());
        let spin = spinner.create_isolate("spin", program(source)).unwrap();
        let quick = innocent.create_isolate("quick", program("return function() return 1 end")).unwrap();
        let forever =
            ExecutionLimits { cpu: Duration::from_secs(3600), wall_clock: Duration::from_secs(3600) };
        spinner.start(spin, "SPIN", &Value::Nil, &Value::Nil, forever).unwrap();
        let mut times: Vec<Duration> = (0..1_000)
            .map(|_| {
                // It arrives while the spinner is at it.
                spinner.run_slice();
                let arrived = Instant::now();
                spinner.run_slice();
                run(&innocent, quick);
                arrived.elapsed()
            })
            .collect();
        times.sort_unstable();
        let at = |part: usize| millis(times[times.len() * part / 1000]);
        println!("{name:34} {:>9.3} ms {:>9.3} ms {:>9.3} ms", at(500), at(990), at(999));
    }
}

/// The first event of a guild that gets a VM made ahead of need, and its second.
fn first_event(runtime: &impl Fn() -> KhronosRuntime) {
    let program = program("return function(event) return event end");
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let warm = runtime();
        let start = Instant::now();
        let isolate = warm.create_isolate("first", program.clone()).unwrap();
        run(&warm, isolate);
        first.push(start.elapsed());
        let start = Instant::now();
        run(&warm, isolate);
        second.push(start.elapsed());
    }
    first.sort_unstable();
    second.sort_unstable();
    println!();
    let (first, second) = (millis(first[100]), millis(second[100]));
    println!(
        "first event in a warm VM {first:.4} ms, second {second:.4} ms (median): {:.4} ms more",
        first - second
    );
}

fn program(source: &str) -> Program {
    let bundle = Bundle::new([("init.luau".to_owned(), source.to_owned())]).unwrap();
    BytecodeCache::default().compile(&bundle).unwrap()
}

/// From a fresh execution to its verdict.
fn run(runtime: &KhronosRuntime, isolate: IsolateId) -> Verdict {
    runtime.start(isolate, "BENCH", &Value::Nil, &Value::Nil, ExecutionLimits::default()).unwrap();
    loop {
        runtime.run_slice();
        if let Some(done) = runtime.take_completions().pop() {
            return done.verdict;
        }
    }
}

fn cpu_time_of(work: impl FnOnce()) -> Duration {
    let now =
        || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap();
    let before = now();
    work();
    now() - before
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
