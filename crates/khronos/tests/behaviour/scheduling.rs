//! Luau threads, waiting, slices.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use khronos::{ExecutionLimits, KhronosValue, Reply, RuntimeLimits, Verdict};

use crate::vm::{Vm, list};

/// Slices so short that nearly every safepoint after half a millisecond is a pause.
fn choppy() -> Vm {
    Vm::with_limits(RuntimeLimits { slice: Duration::from_micros(1), ..RuntimeLimits::default() })
}

#[test]
fn task_functions_keep_roblox_order() {
    let vm = Vm::new();
    let script = r#"
        local seen = {}
        local function note(text) table.insert(seen, text) end
        task.defer(note, "deferred")
        task.delay(0.2, note, "delayed 0.2")
        task.delay(0.1, note, "delayed 0.1")
        task.spawn(function(a, b)
            note("spawned " .. a .. b)
            task.wait(0.05)
            note("spawned after wait")
        end, 1, 2)
        note("main")
        task.wait(1)
        note("main after wait")
        return seen
    "#;
    let want = [
        "spawned 12",
        "main",
        "deferred",
        "spawned after wait",
        "delayed 0.1",
        "delayed 0.2",
        "main after wait",
    ];
    assert_eq!(vm.value(script), list(want));
}

#[test]
fn cancelled_threads_do_not_run() {
    let vm = Vm::new();
    let script = r#"
        local seen = {}
        local a = task.delay(0.1, function() table.insert(seen, "delayed") end)
        local b = task.defer(function() table.insert(seen, "deferred") end)
        local c = task.spawn(function() task.wait(0.1) table.insert(seen, "waited") end)
        local d = task.spawn(function() coroutine.yield() table.insert(seen, "yielded") end)
        for _, thread in {a, b, c, d} do task.cancel(thread) end
        task.wait(1)
        table.insert(seen, coroutine.status(a) .. coroutine.status(b) .. coroutine.status(c) .. coroutine.status(d))
        local ok, message = pcall(task.cancel, coroutine.running())
        table.insert(seen, message)
        return seen
    "#;
    assert_eq!(vm.value(script), list(["deaddeaddeaddead", "cannot cancel a thread that is running"]));
}

#[test]
fn odd_times_are_defined() {
    let vm = Vm::new();
    for odd in ["0", "-1", "0/0", "-1/0", ""] {
        let took = vm.value(&format!("return task.wait({odd}) < 0.1"));
        assert_eq!(took, true.into(), "task.wait({odd})");
    }
    let message = vm.error("task.wait('soon')");
    assert_eq!(message, "init.luau:1: seconds must be a number, got string");
    let verdict = vm.run("task.wait(math.huge)");
    assert!(matches!(verdict, Verdict::LimitExceeded { .. }), "{verdict:?}");
}

#[test]
fn a_sleeping_coroutine_can_be_resumed_early() {
    let vm = Vm::new();
    let script = r#"
        local count = 0
        local co = coroutine.create(function() task.wait(100) count += 1 return "early" end)
        coroutine.resume(co)
        local ok, value = coroutine.resume(co)
        task.wait(200)
        return {value, tostring(count), coroutine.status(co)}
    "#;
    assert_eq!(vm.value(script), list(["early", "1", "dead"]));
}

#[test]
fn who_resumes_a_sleeper_early_gives_it_values_and_nothing_wakes_it_again() {
    let vm = Vm::new();
    let script = r#"
        local seen = {}
        local co = coroutine.create(function()
            local a, b, c = task.wait(0.2)
            table.insert(seen, `{a} {b} {c}`)
            local nothing = coroutine.yield()
            table.insert(seen, tostring(nothing))
        end)
        coroutine.resume(co)
        coroutine.resume(co, "early", nil, 3)
        task.wait(1)
        table.insert(seen, coroutine.status(co))
        task.spawn(co, "spawned")
        local sleeper = task.spawn(function() table.insert(seen, tostring(task.wait(5))) end)
        task.spawn(sleeper, false)
        local other = task.spawn(function() table.insert(seen, type(task.wait(5))) end)
        task.spawn(other)
        task.wait(10)
        return seen
    "#;
    assert_eq!(vm.value(script), list(["early nil 3", "suspended", "spawned", "false", "number"]));
}

#[test]
fn task_wait_in_a_coroutine_gives_control_back_to_its_resumer() {
    let vm = Vm::new();
    let script = r#"
        local seen = {}
        coroutine.wrap(function() task.wait(0.1) table.insert(seen, "background") end)()
        table.insert(seen, "foreground")
        task.wait(0.2)
        return seen
    "#;
    assert_eq!(vm.value(script), list(["foreground", "background"]));
}

/// A host function that answers when the test says so.
fn slow_host(vm: &Vm) -> Rc<RefCell<Vec<(KhronosValue, Reply)>>> {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&calls);
    let function = vm
        .runtime
        .create_async_function("fetch", move |mut args, reply| {
            seen.borrow_mut().push((args.remove(0), reply))
        })
        .unwrap();
    let ctx = vm.runtime.with_lua(|lua| {
        let ctx = lua.create_table().unwrap();
        ctx.raw_set("fetch", function).unwrap();
        ctx
    });
    CTX.with(|slot| slot.replace(Some(ctx.unwrap())));
    calls
}

thread_local! { static CTX: RefCell<Option<mlua::Table>> = const { RefCell::new(None) }; }

fn with_host(vm: &Vm, script: &str) -> Verdict {
    let calls = slow_host(vm);
    let isolate = vm.isolate(&[("init.luau", script)]);
    let nil = mlua::Value::Nil;
    let ctx = mlua::Value::Table(CTX.with(|slot| slot.borrow_mut().take()).unwrap());
    let id = vm.runtime.start(isolate, "TEST", &nil, &ctx, ExecutionLimits::default()).unwrap();
    for _ in 0..1_000_000 {
        vm.runtime.run_slice();
        if let Some(done) = vm.runtime.take_completions().into_iter().find(|done| done.id == id) {
            return done.verdict;
        }
        if !vm.runtime.is_ready() {
            // Everybody waits: answer the oldest call, from another thread.
            let (arg, reply) = calls.borrow_mut().remove(0);
            std::thread::spawn(move || match arg {
                KhronosValue::Text(text) if text == "fail" => reply.error("no such thing"),
                KhronosValue::Text(text) if text == "drop" => drop(reply),
                other => reply.ok(KhronosValue::from([("got", other)])),
            })
            .join()
            .unwrap();
        }
    }
    panic!("the script did not end");
}

#[test]
fn a_waiting_host_call_is_invisible_at_every_nesting() {
    for vm in [Vm::new(), choppy()] {
        let script = r#"
            local _, ctx = ...
            local out = {}
            local function work(n) return ctx.fetch(n).got end
            table.insert(out, work("plain"))
            table.insert(out, (select(2, pcall(work, "pcall"))))
            table.insert(out, coroutine.wrap(function() return work("wrap") end)())
            table.insert(out, coroutine.wrap(function()
                return coroutine.wrap(function() return select(2, pcall(work, "deep")) end)()
            end)())
            for value in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(work("gen" .. i)) end end) do
                table.insert(out, value)
            end
            for _, what in {"fail", "drop"} do
                local ok, message = pcall(work, what)
                table.insert(out, message)
            end
            return out
        "#;
        let want = list([
            "plain",
            "pcall",
            "wrap",
            "deep",
            "gen1",
            "gen2",
            "gen3",
            "init.luau:4: no such thing",
            "init.luau:4: the host gave no answer; try again later",
        ]);
        assert_eq!(with_host(&vm, script), Verdict::Returned(want.into()));
    }
}

#[test]
fn spawned_threads_wait_for_the_host_side_by_side() {
    let vm = Vm::new();
    let script = r#"
        local _, ctx = ...
        local out = {}
        for i = 1, 3 do
            task.spawn(function() table.insert(out, ctx.fetch("call" .. i).got) end)
        end
        table.insert(out, "all asked")
        while #out < 4 do ctx.fetch("poll") end
        return out
    "#;
    let want = list(["all asked", "call1", "call2", "call3"]);
    assert_eq!(with_host(&vm, script), Verdict::Returned(want.into()));
}

#[test]
fn waiting_where_it_is_impossible_is_an_error_that_says_so() {
    let vm = Vm::new();
    let script = r#"
        local _, ctx = ...
        local t = setmetatable({}, {__index = function(_, key) return ctx.fetch(key) end})
        return select(2, pcall(function() return t.x end))
    "#;
    let Verdict::Returned(message) = with_host(&vm, script) else { panic!() };
    let message = message.as_str();
    assert!(message.contains("fetch has to wait") && message.contains("metamethod"), "{message}");
}

const INVISIBLE: &str = r#"
    local out = {}
    local function note(...) table.insert(out, table.concat({...}, " ")) end
    local function burn(n) local x = 0 for i = 1, n do x += i % 7 end return x end
    -- generators over work, nested, with errors and varargs
    local function numbers(n) return coroutine.wrap(function(...)
        for i = 1, n do burn(2000) coroutine.yield(i, ...) end
    end) end
    local gen, sum = numbers(50), 0
    for i = 1, 50 do sum += (gen("a", "b")) burn(500) end
    note("sum", sum)
    note(tostring(pcall(function() burn(20000) error("plain", 0) end)))
    note(select(2, pcall(function() burn(20000) error({code = 7}) end)).code)
    note(select(2, xpcall(function() burn(20000) error("x") end, function(m) return "handled " .. m end)))
    local nested = coroutine.wrap(function()
        local inner = coroutine.wrap(function() for i = 1, 5 do burn(3000) coroutine.yield(i) end return "end" end)
        while true do local v = inner() coroutine.yield(v) if v == "end" then return "closed" end end
    end)
    for i = 1, 7 do note(tostring(nested())) end
    local co = coroutine.create(function() burn(3000) coroutine.yield(1) burn(3000) error("inside") end)
    note(tostring(coroutine.resume(co)), coroutine.status(co))
    note(tostring(select(2, coroutine.resume(co))), coroutine.status(co))
    task.spawn(function() burn(10000) note("spawned") task.wait() note("spawned later") end)
    note("after spawn")
    task.defer(function() note("deferred") end)
    burn(50000)
    note("before wait")
    task.wait(0.1)
    local t = {} for i = 1, 300 do t[i] = (i * 7919) % 301 end
    table.sort(t, function(a, b) burn(10) return a < b end)
    note(t[1], t[150], t[300])
    note((string.gsub("hello", "%w", function(c) burn(10) return c:upper() end)))
    note(tostring(setmetatable({}, {__tostring = function() burn(1000) return "meta" end})))
    return out
"#;

#[test]
fn slices_are_invisible() {
    let smooth =
        Vm::with_limits(RuntimeLimits { slice: Duration::from_secs(60), ..RuntimeLimits::default() });
    let want = smooth.value(INVISIBLE);
    let vm = choppy();
    for _ in 0..20 {
        assert_eq!(vm.value(INVISIBLE), want);
    }
    assert!(vm.slices.get() > 100, "only {} slices: nothing was preempted", vm.slices.get());
}

#[test]
fn executions_take_turns() {
    let vm = Vm::new();
    let spinner = vm.isolate(&[("init.luau", "while true do end")]);
    let quick = vm.isolate(&[("init.luau", "local x = 0 for i = 1, 100 do x += i end return x")]);
    let nil = mlua::Value::Nil;
    let limits = ExecutionLimits::default();
    vm.runtime.start(spinner, "A", &nil, &nil, limits).unwrap();
    for _ in 0..20 {
        let id = vm.runtime.start(quick, "B", &nil, &nil, limits).unwrap();
        let before = vm.slices.get();
        assert_eq!(vm.finish(id).verdict, Verdict::Returned(5050.0.into()));
        assert!(vm.slices.get() - before <= 2, "waited {} slices", vm.slices.get() - before);
    }
}

#[test]
fn a_million_spawned_threads_one_after_another() {
    let vm = Vm::new();
    let script = "local n = 0 for i = 1, 1000000 do task.spawn(function() n += 1 end) end return n";
    assert_eq!(vm.value(script), 1_000_000.0.into());
}

#[test]
fn too_many_waiting_threads_is_an_error_and_not_more() {
    let vm = Vm::new();
    let message = vm.error("for i = 1, 2000 do task.delay(1, print) end");
    assert!(message.contains("1000 threads of this guild are waiting already"), "{message}");
    vm.drain();
    assert_eq!(vm.value("task.wait(1) return 'fine'"), "fine".into());
}

#[test]
fn a_yield_that_nobody_can_resume_is_an_error() {
    let vm = Vm::new();
    assert!(vm.error("coroutine.yield()").contains("nothing is left that could resume it"));
}

#[test]
fn errors_in_spawned_threads_go_to_the_log() {
    let vm = Vm::new();
    assert_eq!(vm.value("task.spawn(function() error('lost') end) return 1"), 1.0.into());
    assert!(vm.logged()[0].starts_with("init.luau:1: lost"), "{:?}", vm.logged());
}

#[test]
fn spawned_threads_outlive_their_event_and_end_with_its_wall_clock() {
    let vm = Vm::new();
    let isolate = vm.isolate(&[(
        "init.luau",
        "task.spawn(function() for i = 1, 10 do print(i) task.wait(10) end end) return 'first'",
    )]);
    let limits = ExecutionLimits { wall_clock: Duration::from_secs(35), ..ExecutionLimits::default() };
    assert_eq!(vm.dispatch_with(isolate, "null", limits).verdict, Verdict::Returned("first".into()));
    vm.drain();
    let logged = vm.logged();
    assert_eq!(logged[..4], ["1", "2", "3", "4"]);
    assert!(logged[4].contains("still running 35s after the event"), "{logged:?}");
}

#[test]
fn coroutines_nest_equally_deep_whether_they_are_paused_on_the_way_or_not() {
    let script = r#"
        local function burn() local x = 0 for i = 1, 3000 do x += i end end
        local function nest(n) burn() return if n > 0 then coroutine.wrap(nest)(n - 1) + 1 else 0 end
        local function deepest(n) local ok, depth = pcall(nest, n) return if ok then depth else nil end
        local function without_end() burn() return coroutine.wrap(without_end)() end
        local ok, message = pcall(without_end)
        return {tostring(deepest(150)), tostring(deepest(250)), tostring(ok), string.sub(message, -16)}
    "#;
    for vm in [Vm::new(), choppy()] {
        assert_eq!(vm.value(script), list(["150", "nil", "false", "C stack overflow"]));
    }
}

#[test]
fn calls_that_were_cancelled_count_until_the_host_has_answered_them() {
    let vm = Vm::with_limits(RuntimeLimits { threads: 10, ..RuntimeLimits::default() });
    let calls = slow_host(&vm);
    let ctx = mlua::Value::Table(CTX.with(|slot| slot.borrow_mut().take()).unwrap());
    let script = r#"
        local _, ctx = ...
        local refused = 0
        for i = 1, 50 do
            local thread = task.spawn(function()
                local ok, message = pcall(ctx.fetch, "x")
                if not ok then refused += 1 assert(string.find(message, "10 threads")) end
            end)
            if coroutine.status(thread) ~= "dead" then task.cancel(thread) end
        end
        return refused
    "#;
    let isolate = vm.isolate(&[("init.luau", script)]);
    let run = || {
        let nil = mlua::Value::Nil;
        let id = vm.runtime.start(isolate, "TEST", &nil, &ctx, ExecutionLimits::default()).unwrap();
        match vm.finish(id).verdict {
            Verdict::Returned(refused) => refused,
            other => panic!("{other:?}"),
        }
    };
    let begun = |refused: &khronos::Json| 50 - refused.as_str().parse::<usize>().unwrap();
    let first = run();
    assert!(begun(&first) < 10, "{first}");
    assert_eq!(calls.borrow().len(), begun(&first));
    calls.borrow_mut().drain(..).for_each(|(_, reply)| reply.ok("late"));
    assert_eq!(run(), first, "as many as before, now that the host is done with those");
}

#[test]
fn what_was_waited_for_the_host_is_told_and_no_other_waiting() {
    let vm = Vm::new();
    let kept = RefCell::new(None);
    let serve = move |args: Vec<KhronosValue>, reply: Reply| match args.first() {
        Some(KhronosValue::Text(text)) if text == "ask" => drop(kept.replace(Some(reply))),
        _ => {
            reply.ok(KhronosValue::Null);
            kept.take().map(|first: Reply| first.ok(KhronosValue::Null)).unwrap_or_default()
        }
    };
    let host = mlua::Value::Function(vm.runtime.create_async_function("host", serve).unwrap());
    let (nil, limits) = (mlua::Value::Nil, ExecutionLimits::default());
    let waited = |script: &str| {
        let isolate = vm.isolate(&[("init.luau", script)]);
        let id = vm.runtime.start(isolate, "TEST", &nil, &host, limits).unwrap();
        let done = vm.finish(id);
        (done.host_calls.as_secs_f64().round(), done.wall_clock.as_secs_f64().round())
    };
    assert_eq!(waited("return function(_, host) task.wait(7) end"), (0.0, 7.0));
    let script = "return function(_, host) task.delay(5, host, 'answer') host('ask') task.wait(2) end";
    assert_eq!(waited(script), (5.0, 7.0));
}
