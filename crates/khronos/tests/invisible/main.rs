//! Preemption is invisible: scripts that cover the language run in one piece and in slices of 50 µs, and say the same.
//!
//! Owns how a script of this folder is run, and the list of them, which is checked against the folder in both directions.
//! Leaves what a script checks to the script: each checks itself and notes down what it saw.
//!
//! A script is a module that returns a function `round(note, ctx)`, or a table of it and a `last()` with which the run ends
//! (in an error, say). Rounds are repeated for a while, so that slices end everywhere in them, and each must note down the
//! same. `ctx.fetch(x)` waits for the host, which answers `x` at once; `ctx.later(x)` waits until somebody calls
//! `ctx.answer()`, which answers the one that has waited longest. A line `--- file: x.luau` starts another module.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

#[path = "../behaviour/vm.rs"]
#[expect(dead_code, reason = "shared with the tests of behaviour")]
mod vm;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use khronos::{ExecutionLimits, KhronosValue, Reply, RuntimeLimits, Verdict};
use mlua::Value;
use vm::Vm;

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*
        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
    };
}

scripts! {
    assignment
    buffers_and_vectors
    cancelling_and_closing
    closures
    coroutine_states
    depth_of_coroutines
    errors
    garbage
    generators
    handlers
    host_calls
    inheritance
    iterators
    loops
    metatables
    modules
    nested_coroutines
    numbers
    patterns
    programs
    recursion
    sorting
    strings
    tables
    task_errors
    task_order
    tracebacks
    uncaught_in_a_coroutine
    unicode
    varargs
}

#[test]
fn every_script_is_a_test() {
    let file = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut files: Vec<String> = std::fs::read_dir(folder()).unwrap().map(file).collect();
    files.retain_mut(|name| {
        name.strip_suffix(".luau").map(str::to_owned).is_some_and(|stem| {
            *name = stem;
            true
        })
    });
    files.sort_unstable();
    let mut listed = SCRIPTS.to_vec();
    listed.sort_unstable();
    assert_eq!(files, listed, "left: files, right: the list in this file");
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/invisible")
}

/// Runs a script's rounds. The number of them goes to the log, where the runner takes it out again.
const DRIVER: &str = r#"
local _, ctx = ...
local script = require("./script")
local round = if type(script) == "table" then script.round else script
local rounds, first, started = 0, nil, os.clock()
repeat
    rounds += 1
    local lines = {}
    round(function(...)
        local parts = table.pack(...)
        for index = 1, parts.n do
            parts[index] = tostring(parts[index])
        end
        table.insert(lines, table.concat(parts, " "))
    end, ctx)
    local seen = table.concat(lines, "\n")
    first = first or seen
    if seen ~= first then
        error(`round {rounds} saw\n{seen}\nand the first\n{first}`)
    end
until rounds >= 3 and os.clock() - started > 0.1
print(rounds)
print(first)
if type(script) == "table" then
    return script.last()
end
return first
"#;

/// What somebody outside could tell two runs apart by.
#[derive(Debug, PartialEq)]
struct Seen {
    verdict: Verdict,
    log: Vec<String>,
}

fn run(name: &str) {
    let text = std::fs::read_to_string(folder().join(name).with_extension("luau")).unwrap();
    let (smooth, rounds, slices) = run_with(Duration::from_secs(60), &text);
    assert!(!smooth.log.is_empty(), "{name}: {:#?}", smooth.verdict);
    let mut pauses = 0;
    for _ in 0..4 {
        let (choppy, more_rounds, more_slices) = run_with(Duration::from_micros(50), &text);
        assert_eq!(choppy, smooth, "{name}: left: in slices, right: in one piece");
        // Spawning and waiting take slices too, the same for each round; what is beyond that are pauses.
        pauses += more_slices.saturating_sub(slices * more_rounds / rounds + 1);
    }
    assert!(pauses > 10, "{name}: only {pauses} pauses: it was hardly preempted");
}

/// Returns what was seen, the rounds and the slices.
fn run_with(slice: Duration, text: &str) -> (Seen, usize, usize) {
    let vm = Vm::with_limits(RuntimeLimits {
        slice,
        non_yieldable: Duration::from_secs(60),
        ..RuntimeLimits::default()
    });
    let mut files = vec![("init.luau", DRIVER.to_owned()), ("script.luau", String::new())];
    for line in text.lines() {
        match line.strip_prefix("--- file: ") {
            Some(path) => files.push((path, String::new())),
            None => files.last_mut().unwrap().1.extend([line, "\n"]),
        }
    }
    let files: Vec<_> = files.iter().map(|(path, source)| (*path, &**source)).collect();
    let isolate = vm.isolate(&files);
    let ctx = context(&vm);
    let limits = ExecutionLimits { cpu: Duration::from_secs(60), wall_clock: Duration::from_secs(1_000_000) };
    let id = vm.runtime.start(isolate, "TEST", &Value::Nil, &ctx, limits).unwrap();
    let verdict = vm.finish(id).verdict;
    vm.drain();
    let mut log = vm.logged();
    let is_count = |line: &String| line.parse::<usize>().is_ok();
    let rounds = log.iter().position(is_count).map_or(1, |at| log.remove(at).parse().unwrap());
    (Seen { verdict, log }, rounds, vm.slices.get())
}

fn context(vm: &Vm) -> Value {
    let runtime = &vm.runtime;
    let waiting: Rc<RefCell<VecDeque<(KhronosValue, Reply)>>> = Rc::default();
    let argument =
        |mut args: Vec<KhronosValue>| if args.is_empty() { KhronosValue::Null } else { args.swap_remove(0) };
    let fetch = runtime.create_async_function("fetch", move |args, reply| match argument(args) {
        KhronosValue::Text(text) if text.starts_with("fail") => reply.error(text),
        value => reply.ok(value),
    });
    let queue = Rc::clone(&waiting);
    let later = runtime.create_async_function("later", move |args, reply| {
        queue.borrow_mut().push_back((argument(args), reply));
    });
    let answer = runtime.create_function(move |_, ()| {
        let next = waiting.borrow_mut().pop_front();
        Ok(next.map(|(value, reply)| reply.ok(value)).is_some())
    });
    runtime
        .with_lua(|lua| {
            let ctx = lua.create_table().unwrap();
            for (name, function) in [("fetch", fetch), ("later", later), ("answer", answer)] {
                ctx.raw_set(name, function.unwrap()).unwrap();
            }
            ctx.set_readonly(true);
            Value::Table(ctx)
        })
        .unwrap()
}
