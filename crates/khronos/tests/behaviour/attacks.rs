//! What hostile scripts tried, and what came of it. Each of these once crashed, hung or confused the runtime.

use std::time::Duration;

use khronos::{ExecutionLimits, RuntimeLimits, Verdict};

use crate::vm::{Vm, list};

/// Spins until the sleeps of other threads are over, so that they are queued behind this one.
const OVERSLEEP: &str =
    "local function oversleep() local t = os.clock() while os.clock() - t < 0.01 do end end ";

/// A VM whose timers follow the real clock.
fn real_time() -> Vm {
    let mut vm = Vm::new();
    vm.follow_real_time();
    vm
}

#[test]
fn a_running_thread_whose_sleep_is_over_cannot_cancel_itself_away() {
    let vm = real_time();
    let script = r#"
        local message
        local T = task.spawn(function()
            task.wait(0.005)
            message = select(2, pcall(task.cancel, coroutine.running()))
            return "went on"
        end)
        oversleep()
        local ok, value = coroutine.resume(T)
        task.wait(0.05)
        return {message, tostring(ok), value}
    "#;
    let want = list(["cannot cancel a thread that is running", "true", "went on"]);
    assert_eq!(vm.value(&format!("{OVERSLEEP}{script}")), want);
}

#[test]
fn a_thread_that_was_resumed_early_is_not_resumed_again_when_its_sleep_is_over() {
    let vm = real_time();
    let script = r#"
        local woken = {}
        local T = task.spawn(function()
            task.wait(0.005)
            local slept = task.wait(0.1)
            table.insert(woken, if slept >= 0.09 then "in time" else "too early")
        end)
        oversleep()
        coroutine.resume(T)
        task.wait(0.2)
        return woken
    "#;
    assert_eq!(vm.value(&format!("{OVERSLEEP}{script}")), list(["in time"]));
}

#[test]
fn cancelling_a_thread_that_waits_in_nested_coroutines_leaves_nothing_to_resume() {
    let vm = real_time();
    let files = [
        (
            "init.luau",
            &*format!(
                r#"{OVERSLEEP}
                task.spawn(function() pcall(require, "./slow") end)
                local T = task.spawn(function()
                    task.wait(0.005)
                    coroutine.wrap(function() coroutine.wrap(function() require("./slow") end)() end)()
                end)
                oversleep()
                local resumer = task.spawn(function() coroutine.resume(T) end)
                task.wait(0.01)
                local ok, message = pcall(task.cancel, T)
                task.cancel(resumer)
                for i = 1, 1000 do coroutine.create(function() error("a stranger was resumed") end) end
                task.wait(1.5)
                return tostring(ok) .. " " .. tostring(message)"#
            ),
        ),
        ("slow.luau", "task.wait(1) return 'slow'"),
    ];
    let want = "false cannot cancel a thread that is running";
    assert_eq!(vm.run_files(&files), Verdict::Returned(want.into()));
    assert!(vm.logged().iter().all(|line| !line.contains("stranger")), "{:?}", vm.logged());
}

#[test]
fn ending_deep_threads_in_a_full_heap_does_not_end_the_process() {
    let vm = Vm::with_limits(RuntimeLimits { memory: 4 << 20, ..RuntimeLimits::default() });
    let script = r#"
        local function deep(n) if n > 0 then deep(n - 1) local _ = n else task.wait(0.01) end end
        local threads = {}
        for i = 1, 40 do threads[i] = task.spawn(deep, 150) end
        local kept = {}
        for size = 16, 4, -1 do pcall(function() while true do kept[#kept + 1] = table.create(2 ^ size, 0) end end) end
        while true do end
    "#;
    let isolate = vm.isolate(&[("init.luau", script)]);
    let limits = ExecutionLimits { cpu: Duration::from_millis(300), ..ExecutionLimits::default() };
    let verdict = vm.dispatch_with(isolate, "null", limits).verdict;
    assert!(matches!(verdict, Verdict::LimitExceeded { .. }), "{verdict:?}");
}

#[test]
fn closing_deep_threads_in_a_full_heap_fails_and_does_not_break_them() {
    let vm = Vm::with_limits(RuntimeLimits { memory: 4 << 20, ..RuntimeLimits::default() });
    let script = r#"
        local function deep(n) if n > 0 then local a, b, c = n, n, n deep(n - 1) return a + b + c else task.wait(1e6) end end
        local threads = {}
        for i = 1, 40 do threads[i] = task.spawn(deep, 60) end
        local kept, size = table.create(100000), 2 ^ 20
        local function fill() while true do kept[#kept + 1] = buffer.create(size) end end
        local function fill_tables() while true do kept[#kept + 1] = {} end end
        local function fill_threads() while true do kept[#kept + 1] = coroutine.create(deep) end end
        while size >= 16 do pcall(fill) size //= 2 end
        pcall(fill_tables) pcall(fill_threads)
        for _, thread in threads do pcall(coroutine.close, thread) pcall(task.cancel, thread) pcall(coroutine.resume, thread) end
        return "went on"
    "#;
    let verdict = vm.run(script);
    let memory = khronos::LimitExceeded::Memory(4 << 20);
    let ended = matches!(&verdict, Verdict::LimitExceeded { limit, .. } if *limit == memory);
    assert!(ended || verdict == Verdict::Returned("went on".into()), "{verdict:?}");
}

#[test]
fn library_calls_on_long_texts_end() {
    let vm = Vm::new();
    let script = r#"
        local a, b = string.rep("a", 2000000), string.rep("a", 1000000) .. "b"
        local out = {tostring(string.find(a, b, 1, true)), tostring(string.find(a, b)), tostring(#string.split(a, b))}
        local x = string.rep("ab", 100000)
        table.insert(out, table.concat({string.find(x .. "END", "END", -3, true)}, " "))
        table.insert(out, table.concat(string.split(x .. "/" .. string.rep("-", 30) .. "/z", "/" .. string.rep("-", 30) .. "/"), "", 2))
        return out
    "#;
    assert_eq!(vm.value(script), list(["nil", "nil", "1", "200001 200003", "z"]));
}

#[test]
fn replaced_searches_agree_with_luaus_own() {
    let vm = Vm::new();
    // The same call on a text that is too long for Luau's own, and on its short beginning.
    let script = r#"
        local pad = string.rep("x", 3000000)
        local text = "hello" .. pad
        local out = {}
        for _, init in {1, 2, 5, -1, -5, 0, "3", 100} do
            for _, needle in {"ll", "hello", "zz", "."} do
                local short = table.concat({string.find("hello", needle, init, true)}, ",")
                local long = table.concat({string.find(text, needle, if tonumber(init) < 0 then init - #pad else init, true)}, ",")
                if short ~= long then table.insert(out, `{init} {needle}: {short} / {long}`) end
            end
        end
        return out
    "#;
    assert_eq!(vm.value(script), khronos::KhronosValue::Map(Default::default()), "differences");
}

#[test]
fn a_coroutine_inside_a_metamethod_cannot_stretch_the_limit() {
    let limits = RuntimeLimits { non_yieldable: Duration::from_millis(50), ..RuntimeLimits::default() };
    for script in [
        "local spin = function() while true do end end local w = {} \
         for i = 1, 2000 do w[i] = coroutine.wrap(spin) end \
         local t = setmetatable({}, {__index = function(_, i) return pcall(w[i]) end}) \
         return pcall(function() for i = 1, 2000 do local _ = t[i] end end)",
        "local t = setmetatable({}, {__index = function() \
         while true do pcall(coroutine.wrap(function() while true do end end)) end end}) return t.x",
    ] {
        let vm = Vm::with_limits(limits);
        let isolate = vm.isolate(&[("init.luau", script)]);
        let done = vm.dispatch(isolate, "null");
        assert!(matches!(done.verdict, Verdict::LimitExceeded { .. }), "{script}: {done:?}");
        assert!(done.cpu < Duration::from_secs(2), "{script}: {:?}", done.cpu);
    }
}

#[test]
fn an_honest_coroutine_inside_a_comparator_does_not_notice_the_end_of_a_slice() {
    let vm = Vm::with_limits(RuntimeLimits { slice: Duration::from_micros(1), ..RuntimeLimits::default() });
    let script = r#"
        local function burn() local x = 0 for i = 1, 20000 do x += i end return x end
        local t = {5, 3, 8, 1, 9, 2}
        table.sort(t, function(a, b)
            local gen = coroutine.wrap(function() burn() coroutine.yield(a) burn() coroutine.yield(b) end)
            local spawned = false
            task.spawn(function() spawned = true end)
            return gen() < gen()
        end)
        return table.concat(t, " ")
    "#;
    for _ in 0..5 {
        assert_eq!(vm.value(script), "1 2 3 5 8 9".into());
    }
}

#[test]
fn errors_that_are_thrown_for_nobody_are_charged_to_their_thrower() {
    let vm = Vm::new();
    let script = "local e = string.rep('e', 8000000) local function f() task.defer(f) error(e, 0) end task.defer(f) task.wait(1e6)";
    let isolate = vm.isolate(&[("init.luau", script)]);
    let limits = ExecutionLimits { cpu: Duration::from_millis(50), ..ExecutionLimits::default() };
    let done = vm.dispatch_with(isolate, "null", limits);
    assert!(matches!(done.verdict, Verdict::LimitExceeded { .. }), "{done:?}");
    assert!(vm.logged().iter().all(|line| line.len() <= khronos::MAX_LOG_LINE + 3));
}

#[test]
fn a_debounce_leaves_no_execution_behind() {
    let vm = Vm::new();
    let isolate = vm.isolate(&[(
        "init.luau",
        "return function() if pending then task.cancel(pending) end pending = task.delay(5, print, 'quiet') end",
    )]);
    for _ in 0..200 {
        vm.dispatch(isolate, "null");
    }
    assert!(vm.runtime.executions() <= 2, "{} executions are left", vm.runtime.executions());
    vm.drain();
    assert_eq!(vm.logged(), ["quiet"]);
}

#[test]
fn recursion_by_spawning_is_limited_too() {
    let vm = Vm::new();
    let message = vm.error("local function f() task.spawn(f) end f() error('never')");
    assert!(message.contains("never"), "{message}");
    assert!(vm.logged().iter().any(|line| line.contains("1000 threads")), "{:?}", vm.logged());
}

#[test]
fn a_cancelled_loader_lets_others_load() {
    let vm = Vm::new();
    let files = [
        (
            "init.luau",
            "local loader = task.spawn(function() require('./m') end) local got \
             task.spawn(function() got = require('./m') end) task.wait(1) task.cancel(loader) task.wait(200) return got",
        ),
        ("m.luau", "task.wait(100) return 'loaded'"),
    ];
    assert_eq!(vm.run_files(&files), Verdict::Returned("loaded".into()));
}

#[test]
fn a_file_with_an_odd_name_is_seen_in_its_tracebacks() {
    let vm = Vm::new();
    let files = [
        ("init.luau", "return require('./[runtime]').f()"),
        ("[runtime].luau", "return {f = function() error('here') end}"),
    ];
    let Verdict::Failed(error) = vm.run_files(&files) else { panic!() };
    assert!(error.traceback.starts_with("[runtime].luau:1"), "{error:?}");
}

#[test]
fn a_finished_coroutine_is_not_looked_at_when_its_parent_is_killed() {
    let limits = RuntimeLimits {
        slice: Duration::from_millis(1),
        non_yieldable: Duration::from_millis(100),
        ..RuntimeLimits::default()
    };
    let script = r#"
        local function burn(seconds) local t = os.clock() while os.clock() - t < seconds do end end
        do
            local inner = coroutine.create(function() burn(0.01) end)
            coroutine.resume(inner)
        end
        local t = setmetatable({}, {__index = function()
            while true do local _ = {coroutine.create(burn), string.rep("x", 100)} end
        end})
        return t.x
    "#;
    for _ in 0..3 {
        let vm = Vm::with_limits(limits);
        let verdict = vm.run(script);
        assert!(matches!(verdict, Verdict::LimitExceeded { .. }), "{verdict:?}");
    }
}

#[test]
fn sets_of_characters_and_texts_with_brackets_do_not_take_for_ever() {
    let vm = Vm::new();
    for call in ["match(text, set)", "find(text, set)", "gmatch(text, set)", "gsub(text, set, '')"] {
        let source = format!(
            "local text, set = string.rep('a', 300000), '[' .. string.rep('b', 300000) .. 'a]*' return string.{call}"
        );
        assert!(vm.error(&source).contains("too long for so long a text"), "{call}");
    }
    let brackets = "return string.find(string.rep('a', 2000000), string.rep('a', 1000000) .. ']')";
    assert_eq!(vm.value(brackets), khronos::KhronosValue::Null);
    assert_eq!(vm.value("return string.gsub('hello', '[el]+', string.upper)"), {
        khronos::KhronosValue::List(vec!["hELLo".into(), 1.0.into()])
    });
}

#[test]
fn an_error_in_somebody_elses_thread_keeps_its_text() {
    let vm = Vm::new();
    let script = "task.spawn(coroutine.create(function() error('the real reason') end)) return 1";
    assert_eq!(vm.value(script), 1.0.into());
    assert!(vm.logged()[0].contains("the real reason"), "{:?}", vm.logged());
    let script = "local main = coroutine.running() task.defer(main) coroutine.yield() error('of main')";
    assert_eq!(vm.error(script), "init.luau:1: of main");
}

#[test]
fn a_closed_loader_lets_others_load() {
    let vm = Vm::new();
    let files = [
        (
            "init.luau",
            "local loader = task.spawn(function() require('./m') end) local got \
             task.spawn(function() got = require('./m') end) task.wait(1) coroutine.close(loader) task.wait(200) return got",
        ),
        ("m.luau", "task.wait(100) return 'loaded'"),
    ];
    assert_eq!(vm.run_files(&files), Verdict::Returned("loaded".into()));
}
