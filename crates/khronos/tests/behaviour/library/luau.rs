//! `@antiraid/luau`: code that runs as its template's does, and values that can be read.

use khronos::{ExecutionLimits, LimitExceeded, Verdict};
use std::time::Duration;

use super::{all_return, all_throw, result};
use crate::vm::Vm;

#[test]
fn loaded_code_is_code_of_its_template() {
    all_return(&[
        ("return luau.load('return 1, 2, ...'):call(3, nil)", "[1,2,3,null]"),
        ("x = 5 return luau.load('x += 1 return x'):call(), x", "[6,6]"),
        ("return luau.load('return select(\"#\", ...)'):call_async(nil, nil)", "2"),
        ("local c = luau.load('return y') c.environment = {y = 7} return c:call(), c.environment.y", "[7,7]"),
        (
            "local c = luau.load('return y') c.environment = {y = 7} c.environment = nil return c:call() == nil",
            "true",
        ),
        ("local c = luau.load('return print, string') c.environment = {} return c:call() == nil", "true"),
        (
            "local c = luau.load('return 1') c.code = 'return 2' c.optimization_level = 2 c.chunk_name = 'other' return c:call(), c.code, c.optimization_level, c.chunk_name",
            r#"[2,"return 2",2,"other"]"#,
        ),
        ("local c = luau.load('n = (n or 0) + 1 return n') n = nil return c:call(), c:call()", "[1,2]"),
        ("return luau.load('task.wait(0.01) return \"later\"'):call()", "\"later\""),
        ("return luau.load('return require(\"@antiraid/typesext\").U64(1)'):call()", "1"),
        ("return coroutine.wrap(function() return luau.load('return coroutine.yield(1)'):call() end)()", "1"),
        ("return typeof(luau.load('')), select('#', luau.load(''):call())", r#"["Chunk",0]"#),
    ]);
    all_throw(&[
        ("local c = luau.load('') c.level = 1", "Chunk has no field \"level\" that can be assigned"),
        ("local c = luau.load('') c.optimization_level = 3", "0, 1 or 2"),
        ("local c = luau.load('') c.optimization_level = 'x'", "'optimization_level' takes a whole number"),
        ("local c = luau.load('') c.environment = 5", "takes a table"),
        ("local c = luau.load('') c.chunk_name = '[runtime]'", "a name has"),
        ("local c = luau.load('') c.chunk_name = '=x'", "a name has"),
        ("local c = luau.load('') c.chunk_name = ''", "a name has"),
        ("luau.load('').call()", "with a colon"),
        ("luau.load(5)", "string expected"),
        ("luau.load('return ('):call()", "loaded:1: "),
        ("luau.load('\\27Lua'):call()", "loaded:"),
        ("luau.load(string.rep(' ', 32769))", "more than 32768 bytes"),
        ("local c = luau.load('') c.code = string.rep(' ', 32769)", "more than 32768 bytes"),
    ]);
}

#[test]
fn errors_of_loaded_code_have_its_name_and_line() {
    let vm = Vm::new();
    let error = result(&vm, "local c = luau.load('\\n\\nerror(\"oh\")') c.chunk_name = 'my/code' c:call()")
        .unwrap_err();
    assert_eq!(error, "my/code:3: oh");
    let error = result(&vm, "luau.load('local x = 1 + nil'):call()").unwrap_err();
    assert!(error.starts_with("loaded:1: attempt to perform arithmetic"), "{error}");
}

#[test]
fn bytecode_is_not_loaded_as_code() {
    let vm = Vm::new();
    // Of a text that begins with a zero, the compiler sees nothing at all.
    for first in (1..=255).filter(|first| !(9..14).contains(first) && *first != 32) {
        let script = format!("return pcall(function() return luau.load('\\{first}\\3\\0\\0\\0'):call() end)");
        let seen = result(&vm, &script).unwrap();
        assert!(seen.starts_with("[false,\"init.luau:1: loaded:1: "), "{first}: {seen}");
    }
}

#[test]
fn loaded_code_is_paused_and_ends_as_any_other() {
    let vm = Vm::new();
    for code in [
        "while true do end",
        "while true do pcall(error) end",
        "return luau.load('while true do end'):call()",
    ] {
        let script = format!("luau = require('@antiraid/luau') luau.load([==[{code}]==]):call()");
        let isolate = vm.isolate(&[("init.luau", &script)]);
        let limits = ExecutionLimits { cpu: Duration::from_millis(30), ..ExecutionLimits::default() };
        let verdict = vm.dispatch_with(isolate, "null", limits).verdict;
        let Verdict::LimitExceeded { limit, traceback } = verdict else { panic!("{code}: {verdict:?}") };
        assert_eq!(limit, LimitExceeded::CpuTime(Duration::from_millis(30)), "{code}");
        assert!(traceback.contains("loaded:1"), "{code}: {traceback}");
    }
    assert!(vm.slices.get() > 10, "{} slices", vm.slices.get());
}

/// Each statement of a template's file that is too long is divided by safepoints; so it is here.
#[test]
fn code_without_safepoints_gets_some() {
    let vm = Vm::new();
    let script = "local text = string.rep('1', 2^22) .. 'x' \
        luau.load('local t = ... local n ' .. string.rep('n = t == 5 ', 2500)):call(text) return 'fine'";
    assert_eq!(result(&vm, script).as_deref(), Ok("\"fine\""));
    let refused = "return pcall(function() luau.load('local a = ... return {' .. string.rep('a + 1, ', 400) .. '}'):call() end)";
    let seen = result(&vm, refused).unwrap();
    assert!(seen.contains("so many operations"), "{seen}");
}

#[test]
fn code_that_is_nested_deep_is_an_error() {
    all_throw(&[
        ("luau.load(string.rep('(', 16000)):call()", "loaded:1: "),
        ("luau.load('return ' .. string.rep('{', 16000)):call()", "loaded:1: "),
        ("luau.load(string.rep('do ', 10000)):call()", "loaded:1: "),
        ("luau.load('return ' .. string.rep('-', 2) .. '[[' .. string.rep('not ', 8000)):call()", "loaded:"),
        ("luau.load('return ' .. string.rep('not ', 8000) .. '1'):call()", "loaded:1: "),
        ("luau.load('return ' .. string.rep('a.', 16000) .. 'a'):call()", "loaded:1: "),
        ("luau.load(string.rep('function() ', 2900)):call()", "loaded:1: "),
        ("luau.load('local x: ' .. string.rep('{', 16000)):call()", "loaded:1: "),
    ]);
}

#[test]
fn chunks_are_counted_to_the_memory_of_the_guild() {
    let vm = Vm::new();
    let script = "local held, code = {}, string.rep(' ', 30000) for i = 1, 10000 do local ok, why = pcall(luau.load, code) \
        if not ok then return i, why end held[i] = why end";
    let seen = result(&vm, script).unwrap();
    assert!(seen.contains("not enough memory"), "{seen}");
}

#[test]
fn values_are_shown_as_people_read_them() {
    all_return(&[
        ("return luau.format(1, 'a\\n', nil, true, 1.5)", r#""1 \"a\\n\" nil true 1.5""#),
        ("return luau.format()", "\"\""),
        ("return luau.format({})", "\"{}\""),
        ("return luau.format({1, {x = 2}})", r#""{\n  1,\n  {\n    x = 2,\n  },\n}""#),
        ("return luau.format({['a b'] = 1})", r#""{\n  [\"a b\"] = 1,\n}""#),
        ("return luau.format(print, coroutine.running(), interop.null)", "\"function thread null\""),
        (
            "return luau.format(typesext.U64(5), datetime.UTC, datetime.timedelta_seconds(1), datamgmt.newblob('ab'))",
            "\"U64(5) Timezone(UTC) TimeDelta(PT1S) Blob(2 bytes)\"",
        ),
        (
            "return luau.format(buffer.create(3), vector.create(1, 2, 3), luau.load(''))",
            "\"buffer(3 bytes) vector(1, 2, 3) Chunk\"",
        ),
        (
            "local t = setmetatable({}, {__tostring = function() error('ran') end, __iter = function() error('ran') end}) return luau.format(t)",
            "\"{}\"",
        ),
    ]);
}

#[test]
fn what_is_shown_is_short_whatever_it_is() {
    let vm = Vm::new();
    for value in [
        "local t = {} t.t = t t[t] = t",
        "local t = {} for i = 1, 100 do t = {t, t} end",
        "local t = table.create(1e6, 'x')",
        "local t = string.rep('\\255', 2^22)",
        "local t = {} for i = 1, 1000 do t[string.rep('k', i)] = string.rep('v', 1000) end",
        "local h = table.create(1e6) local t = {} for i = 1, 1900 do t[i] = h end",
    ] {
        let length: usize =
            result(&vm, &format!("{value} return #luau.format(t, t)")).unwrap().parse().unwrap();
        assert!((1..24_000).contains(&length), "{value}: {length}");
    }
}
