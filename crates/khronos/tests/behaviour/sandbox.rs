//! What one template cannot see or change of another, and `require`.

use khronos::{KhronosValue, Verdict};

use crate::vm::{Vm, list};

#[test]
fn globals_are_an_isolates_own() {
    let vm = Vm::new();
    assert_eq!(vm.value("secret = 1 _G.other = 2 return secret + other"), 3.0.into());
    assert_eq!(vm.value("return {tostring(secret), tostring(_G.other)}"), list(["nil", "nil"]));
    assert_eq!(vm.value("return _G._G == _G"), true.into());
}

#[test]
fn the_standard_library_cannot_be_changed() {
    let vm = Vm::new();
    for attack in [
        "string.rep = nil",
        "table.insert = print",
        "task.wait = nil",
        "getmetatable('').__index = nil",
        "rawset(math, 'pi', 3)",
        "table.clear(string)",
        "string = nil",
        "_G.pcall = error",
        "setmetatable(_G, nil)",
        "setmetatable(string, {})",
        "debug.info = nil",
    ] {
        let verdict = vm.run(attack);
        assert!(matches!(verdict, Verdict::Failed(_)), "{attack}: {verdict:?}");
    }
    assert_eq!(vm.value("return {string.rep('x', 3), tostring(math.pi == 3)}"), list(["xxx", "false"]));
}

#[test]
fn what_escapes_is_gone() {
    let vm = Vm::new();
    for name in ["loadstring", "getfenv", "setfenv", "newproxy", "dofile", "load", "io", "package"] {
        assert_eq!(vm.value(&format!("return {name} == nil")), true.into(), "{name}");
    }
    for call in [
        "collectgarbage('collect')",
        "debug.info(1, 'f')",
        "debug.info(print, 'f')",
        "os.exit()",
        "debug.sethook()",
    ] {
        let verdict = vm.run(call);
        assert!(matches!(verdict, Verdict::Failed(_)), "{call}: {verdict:?}");
    }
    assert_eq!(vm.value("return getmetatable(_G)"), false.into());
    assert_eq!(vm.value("return debug.info(1, 'l')"), 1.0.into());
}

#[test]
fn the_globals_that_are_declared_are_there_and_task_has_no_other() {
    let vm = Vm::new();
    for function in khronos::GLOBALS {
        assert_eq!(
            vm.value(&format!("return type({})", function.name)),
            "function".into(),
            "{}",
            function.name
        );
    }
    let mut declared: Vec<_> = khronos::TASK.iter().map(|function| function.name.into()).collect();
    declared.sort_by_key(|name: &KhronosValue| name.to_typed_json());
    let there =
        "local names = {} for name in task do table.insert(names, name) end table.sort(names) return names";
    assert_eq!(vm.value(there), KhronosValue::List(declared));
}

#[test]
fn events_are_frozen_to_the_bottom() {
    let vm = Vm::new();
    let script = r#"
        local event = ...
        local refused = 0
        for _, attack in {
            function() event.x = 1 end, function() event.a.b = 1 end, function() event.list[1] = 1 end,
            function() table.insert(event.empty, 1) end, function() rawset(event, "x", 1) end,
            function() getmetatable(event.list).__index = 1 end, function() setmetatable(event, {}) end,
        } do
            if not pcall(attack) then refused += 1 end
        end
        return refused
    "#;
    let isolate = vm.isolate(&[("init.luau", script)]);
    let event = r#"{"a": {"b": 2}, "list": [{"c": 3}], "empty": [], "nothing": null}"#;
    assert_eq!(vm.dispatch(isolate, event).verdict, Verdict::Returned(7.0.into()));
}

#[test]
fn the_crash_of_table_move_is_an_error() {
    let vm = Vm::new();
    let message = vm.error("local d = {} d[-2147483648] = 1 table.move({1}, 1, 2147483647, 1, d)");
    assert!(message.contains("too many elements to move"), "{message}");
    let script = r#"
        local a = {1, 2, 3, 4, 5}
        table.move(a, 1, 4, 2) table.move(a, 2, 3, 1)
        return table.concat(table.move(a, 1, 5, 3, {9, 9}), ",")
    "#;
    assert_eq!(vm.value(script), "9,9,1,2,2,3,4".into());
}

#[test]
fn modules_load_once_and_keep_their_state() {
    let vm = Vm::new();
    let files = [
        ("init.luau", "local c = require('./lib/counter') return function() return c.next() end"),
        (
            "lib/counter.luau",
            "print('loaded') local n = 0 return {next = function() n += require('./step') return n end}",
        ),
        ("lib/step.luau", "task.wait(0.1) return 5"),
    ];
    let isolate = vm.isolate(&files);
    assert_eq!(vm.dispatch(isolate, "null").verdict, Verdict::Returned(5.0.into()));
    assert_eq!(vm.dispatch(isolate, "null").verdict, Verdict::Returned(10.0.into()));
    assert_eq!(vm.logged(), ["loaded"]);
}

#[test]
fn concurrent_requirers_wait_for_one_load() {
    let vm = Vm::new();
    let files = [
        (
            "init.luau",
            "local got = {} for i = 1, 3 do task.spawn(function() table.insert(got, require('./slow')) end) end \
             table.insert(got, require('./slow')) task.wait(0.1) return got",
        ),
        ("slow.luau", "print('loading') task.wait(1) return 'slow'"),
    ];
    assert_eq!(vm.run_files(&files), Verdict::Returned(list(["slow", "slow", "slow", "slow"]).into()));
    assert_eq!(vm.logged(), ["loading"]);
}

#[test]
fn require_cycles_are_errors_and_not_deadlocks() {
    let vm = Vm::new();
    let direct = [
        ("init.luau", "return require('./a')"),
        ("a.luau", "return require('./b')"),
        ("b.luau", "return require('./a')"),
    ];
    let Verdict::Failed(error) = vm.run_files(&direct) else { panic!("a cycle loaded") };
    assert!(error.message.contains("(a cycle)"), "{}", error.message);
    // Each thread holds what the other waits for.
    let crossed = [
        (
            "init.luau",
            "local message task.spawn(function() local ok, m = pcall(require, './a') message = message or (not ok and m) end) \
             local ok, m = pcall(require, './b') message = message or (not ok and m) task.wait(5) return message",
        ),
        ("a.luau", "task.wait(1) return require('./b')"),
        ("b.luau", "task.wait(1) return require('./a')"),
    ];
    let Verdict::Returned(message) = vm.run_files(&crossed) else { panic!() };
    assert!(message.as_str().contains("(a cycle)"), "{message}");
}

#[test]
fn a_module_that_fails_says_so_to_everyone_and_can_be_tried_again() {
    let vm = Vm::new();
    let files = [
        (
            "init.luau",
            "local _, a = pcall(require, './bad') local _, b = pcall(require, './two') broken = false return {a, b}",
        ),
        ("bad.luau", "error('not today')"),
        ("two.luau", "return 1, 2"),
    ];
    let want =
        list(["bad.luau:1: not today", "module \"two.luau\" must return exactly one value, it returned 2"]);
    assert_eq!(vm.run_files(&files), Verdict::Returned(want.into()));
    let message = vm.error("require('./nothing')");
    assert_eq!(
        message,
        "init.luau:1: cannot require \"./nothing\": there is no `nothing.luau` in this template"
    );
    assert!(vm.error("require(5)").contains("require takes a path in quotes"));
}

#[test]
fn a_killed_loader_does_not_block_the_module_for_ever() {
    let vm = Vm::new();
    let isolate = vm.isolate(&[
        ("init.luau", "local event = ... if event then spin = true end return require('./m')"),
        ("m.luau", "if spin then spin = false task.wait(1e6) end return 'loaded'"),
    ]);
    assert!(matches!(vm.dispatch(isolate, "true").verdict, Verdict::LimitExceeded { .. }));
    assert_eq!(vm.dispatch(isolate, "null").verdict, Verdict::Returned("loaded".into()));
}

#[test]
fn an_entry_may_leave_handlers_behind() {
    let vm = Vm::new();
    let one = vm.isolate(&[(
        "init.luau",
        "print('chunk') local n = 0 return function(event) n += event.by return n end",
    )]);
    assert_eq!(vm.dispatch(one, r#"{"by": 2}"#).verdict, Verdict::Returned(2.0.into()));
    assert_eq!(vm.dispatch(one, r#"{"by": 3}"#).verdict, Verdict::Returned(5.0.into()));
    let table = vm.isolate(&[(
        "init.luau",
        "print('chunk') return {TEST = function() return 'mine' end, OTHER = print}",
    )]);
    assert_eq!(vm.dispatch(table, "null").verdict, Verdict::Returned("mine".into()));
    assert_eq!(vm.dispatch(table, "null").verdict, Verdict::Returned("mine".into()));
    let rest = vm.isolate(&[("init.luau", "return {['*'] = function() return 'rest' end}")]);
    assert_eq!(vm.dispatch(rest, "null").verdict, Verdict::Returned("rest".into()));
    assert_eq!(vm.logged(), ["chunk", "chunk"]);
}

#[test]
fn a_handler_may_go_by_an_old_name_and_one_of_the_name_itself_counts_before_it() {
    let vm = Vm::with_options(|options| options.old_names = &[("OLD", "TEST"), ("TEST", "OTHER")]);
    for (entry, expected) in [
        ("return {OLD = function() return 'old' end, ['*'] = function() return 'rest' end}", "old"),
        ("return {OLD = function() return 'old' end, TEST = function() return 'exact' end}", "exact"),
        ("return {OTHER = function() return 'other' end, ['*'] = function() return 'rest' end}", "rest"),
    ] {
        let isolate = vm.isolate(&[("init.luau", entry)]);
        // The chunk runs the first time, and what it left behind the second.
        for _ in 0..2 {
            assert_eq!(vm.dispatch(isolate, "null").verdict, Verdict::Returned(expected.into()), "{entry}");
        }
    }
}

#[test]
fn a_table_of_handlers_with_something_else_in_it_says_what() {
    let vm = Vm::new();
    for (source, text) in [
        (
            "return {A = print, Z = 5}",
            "the entry Z of the returned table is a number, and A is a function: a table of handlers holds functions alone, \
             and any other holds none",
        ),
        ("return {A = {}, Z = print, ['*'] = print}", "the entry A of the returned table is a table"),
        ("return {[string.rep('x', 1e6)] = 1, Z = print}", "the entry xxx"),
    ] {
        let error = vm.error(source);
        assert!(error.starts_with(text) && error.len() < 300, "{source} gave {error}");
    }
    // A list is no table of handlers.
    assert!(
        vm.error("return {print, 5}").contains("is a function: only nil"),
        "{}",
        vm.error("return {print, 5}")
    );
    assert_eq!(vm.value("return {A = 1, Z = 2}"), KhronosValue::from([("A", 1.0.into()), ("Z", 2.0.into())]));
}
