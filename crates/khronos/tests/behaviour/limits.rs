//! What a script cannot get more of, and what its VM is worth afterwards.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use khronos::{BrokenReason, ExecutionLimits, LimitExceeded, RuntimeError, RuntimeLimits, Verdict, VmState};

use crate::vm::Vm;

fn tight() -> ExecutionLimits {
    ExecutionLimits { cpu: Duration::from_millis(20), ..ExecutionLimits::default() }
}

#[test]
fn cpu_time_ends_loops_that_would_catch_it_and_the_vm_goes_on() {
    let vm = Vm::new();
    for spin in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do pcall(error) end",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "pcall(coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end))",
        "for _ in setmetatable({}, {__iter = function() return function() return 1 end end}) do end",
        "task.spawn(function() while true do end end)",
        "task.defer(function() while true do end end) task.wait(1e9)",
        "while true do task.spawn(function() end) end",
        "local function f() return f() end f()",
    ] {
        let isolate = vm.isolate(&[("init.luau", spin)]);
        let done = vm.dispatch_with(isolate, "null", tight());
        let cpu = LimitExceeded::CpuTime(Duration::from_millis(20));
        match done.verdict {
            Verdict::LimitExceeded { limit, .. } => assert_eq!(limit, cpu, "{spin}"),
            // Unbounded recursion may hit Luau's own stack limit first.
            Verdict::Failed(error) => assert!(error.message.contains("stack overflow"), "{spin}: {error:?}"),
            other => panic!("{spin}: {other:?}"),
        }
        assert_eq!(vm.value("return 'normal after all'"), "normal after all".into());
    }
}

#[test]
fn the_traceback_of_a_limit_shows_the_innermost_line() {
    let vm = Vm::new();
    let script =
        "local function spin()\n  while true do end\nend\ncoroutine.wrap(function()\n  spin()\nend)()";
    let isolate = vm.isolate(&[("init.luau", script)]);
    let Verdict::LimitExceeded { traceback, .. } = vm.dispatch_with(isolate, "null", tight()).verdict else {
        panic!()
    };
    assert!(traceback.starts_with("init.luau:2 function spin\ninit.luau:5"), "{traceback}");
}

#[test]
fn what_cannot_be_paused_is_ended_and_breaks_the_vm() {
    let limits = RuntimeLimits { non_yieldable: Duration::from_millis(20), ..RuntimeLimits::default() };
    for spin in [
        "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
        "pcall(string.find, string.rep('a', 30000), string.rep('a-', 30) .. 'b') return 'caught'",
        "while true do pcall(string.match, string.rep('a', 30000), '.-.-.-.-.-b') end",
        "local t = setmetatable({}, {__lt = function() while true do end end}) return pcall(table.sort, {t, t})",
        "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
    ] {
        let vm = Vm::with_limits(limits);
        let isolate = vm.isolate(&[("init.luau", spin)]);
        let bystander = vm.isolate(&[("init.luau", "task.wait(1e6)")]);
        let nil = mlua::Value::Nil;
        let waiting = vm.runtime.start(bystander, "B", &nil, &nil, ExecutionLimits::default()).unwrap();
        let verdict = vm.dispatch(isolate, "null").verdict;
        let want = LimitExceeded::NonYieldable(Duration::from_millis(20));
        assert!(
            matches!(&verdict, Verdict::LimitExceeded { limit, .. } if *limit == want),
            "{spin}: {verdict:?}"
        );
        let reason = BrokenReason::KilledInNative { limit: Duration::from_millis(20) };
        assert_eq!(vm.runtime.state(), VmState::Broken(reason));
        assert_eq!(vm.runtime.executions(), 0, "nobody is left waiting");
        let _ = waiting;
    }
}

#[test]
fn out_of_memory_breaks_the_vm_once_and_answers_everybody() {
    for hog in [
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do table.insert(t, buffer.create(100000)) end",
        "local t = {} while true do table.insert(t, coroutine.create(print)) end",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
    ] {
        let vm = Vm::with_limits(RuntimeLimits { memory: 4 << 20, ..RuntimeLimits::default() });
        let broken = Rc::new(RefCell::new(0));
        let seen = Rc::clone(&broken);
        vm.runtime.on_broken(move |_| *seen.borrow_mut() += 1);
        assert_eq!(vm.runtime.state(), VmState::New);
        let bystander = vm.isolate(&[("init.luau", "task.wait(1e6)")]);
        let isolate = vm.isolate(&[("init.luau", hog)]);
        assert_eq!(vm.runtime.state(), VmState::Ready);
        let nil = mlua::Value::Nil;
        let waiting = vm.runtime.start(bystander, "B", &nil, &nil, ExecutionLimits::default()).unwrap();
        let hog_id = vm.runtime.start(isolate, "A", &nil, &nil, tight()).unwrap();
        let mut verdicts = Vec::new();
        for _ in 0..100_000 {
            vm.runtime.run_slice();
            verdicts.extend(vm.runtime.take_completions());
            if verdicts.iter().any(|done| done.id == hog_id) {
                break;
            }
        }
        let verdict = &verdicts.iter().find(|done| done.id == hog_id).unwrap().verdict;
        if hog.starts_with("while") {
            // Caught again and again: it may hit the CPU limit before the heap is beyond repair.
            assert!(matches!(verdict, Verdict::LimitExceeded { .. }), "{hog}: {verdict:?}");
            continue;
        }
        let memory = LimitExceeded::Memory(4 << 20);
        assert!(
            matches!(verdict, Verdict::LimitExceeded { limit, .. } if *limit == memory),
            "{hog}: {verdict:?}"
        );
        let reason = BrokenReason::OutOfMemory { limit: 4 << 20 };
        assert_eq!(
            verdicts.iter().find(|done| done.id == waiting).unwrap().verdict,
            Verdict::Broken(reason.clone())
        );
        assert_eq!(vm.runtime.state(), VmState::Broken(reason));
        assert!(vm.runtime.start(isolate, "A", &nil, &nil, tight()).is_err());
        drop(vm);
        assert_eq!(*broken.borrow(), 1, "on_broken runs exactly once");
    }
}

#[test]
fn an_event_that_does_not_fit_breaks_the_vm() {
    let vm = Vm::with_limits(RuntimeLimits { memory: 1 << 20, ..RuntimeLimits::default() });
    let event = format!("[{}0]", "[],".repeat(90_000));
    let error = vm.runtime.decode_json(&event).unwrap_err().to_string();
    assert!(error.contains("out of memory"), "{error}");
    assert!(matches!(vm.runtime.state(), VmState::Broken(_)));
}

#[test]
fn a_panic_in_a_host_function_condemns_the_vm_and_nothing_else() {
    let vm = Vm::new();
    let boom = vm.runtime.create_function(|_, (): ()| -> Result<(), String> { panic!("drill") }).unwrap();
    let isolate = vm.isolate(&[("init.luau", "local _, ctx = ... return pcall(ctx)")]);
    let nil = mlua::Value::Nil;
    let ctx = mlua::Value::Function(boom);
    let id = vm.runtime.start(isolate, "A", &nil, &ctx, ExecutionLimits::default()).unwrap();
    assert_eq!(vm.finish(id).verdict, Verdict::Broken(BrokenReason::Panicked));
    assert!(!vm.runtime.handle().is_usable());
}

#[test]
fn closing_gives_the_memory_back_and_handles_know() {
    let vm = Vm::new();
    let handle = vm.runtime.handle();
    vm.value("local t = {} for i = 1, 1e5 do t[i] = i end kept = t return #t");
    assert!(handle.is_usable() && !handle.is_closed());
    let Vm { runtime, .. } = vm;
    runtime.close();
    assert!(handle.is_closed() && !handle.is_usable());
}

#[test]
fn limits_that_are_set_later_hold_from_then_on() {
    let vm = Vm::new();
    assert_eq!(vm.runtime.state(), VmState::New);
    let spawn = "for i = 1, 5 do task.delay(1, function() end) end return 'fine'";
    assert_eq!(vm.value(spawn), "fine".into());
    vm.drain();
    let limits = RuntimeLimits { memory: 3 << 20, threads: 3, ..RuntimeLimits::default() };
    vm.runtime.set_limits(limits).unwrap();
    assert_eq!(vm.runtime.memory_limit(), 3 << 20);
    let error = vm.error(spawn);
    assert!(error.contains('3'), "{error}");
    let hog = vm.run("local t = {} while true do t[#t + 1] = {} end");
    let memory = LimitExceeded::Memory(3 << 20);
    assert!(matches!(hog, Verdict::LimitExceeded { limit, .. } if limit == memory));
    assert!(matches!(vm.runtime.set_limits(limits), Err(RuntimeError::Broken(_))));
}
