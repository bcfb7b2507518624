//! What may leave a VM, and how; what JSON text becomes in one.

use std::cell::RefCell;
use std::rc::Rc;

use khronos::{
    ExecutionLimits, Interval, KhronosValue, RuntimeLimits, TimeZone, Timestamp, ValueLimits, Verdict,
};

use crate::vm::{Vm, list};

/// The result as it goes out.
fn text(vm: &Vm, source: &str) -> String {
    match vm.run(source) {
        Verdict::Returned(json) => json.to_string(),
        other => panic!("{source}\ndid not return: {other:#?}"),
    }
}

/// What a function of the host gets as its arguments, from a script that calls it as `take`. An error of the call is
/// the script's.
fn arguments(vm: &Vm, script: &str) -> Result<Vec<KhronosValue>, String> {
    let taken = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&taken);
    let serve = move |args, reply: khronos::Reply| {
        slot.borrow_mut().replace(args);
        reply.ok(KhronosValue::Null);
    };
    let take = mlua::Value::Function(vm.runtime.create_async_function("take", serve).unwrap());
    let isolate = vm.isolate(&[("init.luau", &format!("local _, take = ... {script}"))]);
    let id = vm.runtime.start(isolate, "TEST", &mlua::Value::Nil, &take, ExecutionLimits::default()).unwrap();
    match vm.finish(id).verdict {
        Verdict::Returned(_) => Ok(taken.take().unwrap()),
        Verdict::Failed(error) => Err(error.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn results_are_nothing_one_value_or_a_list() {
    let vm = Vm::new();
    for (script, want) in [
        ("return", "null"),
        ("return nil", "null"),
        ("return 'a', 'b'", r#"["a","b"]"#),
        ("return 'a', nil", r#"["a",null]"#),
        ("return {}", "{}"),
        ("return {{}, {a = {1}}}", r#"[{},{"a":[1]}]"#),
        ("return vector.create(1, 2.5, 3)", "[1.0,2.5,3.0]"),
        ("return buffer.fromstring('hi')", "\"aGk=\""),
        (r#"return 'q\" b\\ \n \0 \u{1F600}'"#, r#""q\" b\\ \n \u0000 😀""#),
        ("return {[2] = 'b', [1] = 'a'}", r#"["a","b"]"#),
        ("local t = {} for i = 100, 1, -1 do t[i] = i end return #t == 100 and {t[1], t[100]}", "[1,100]"),
    ] {
        assert_eq!(text(&vm, script), want, "{script}");
    }
    let isolate = vm.isolate(&[("init.luau", "return (...)")]);
    for empty in ["[]", "{}", r#"{"a":[]}"#] {
        let Verdict::Returned(json) = vm.dispatch(isolate, empty).verdict else { panic!() };
        assert_eq!(json.as_str(), empty);
    }
}

#[test]
fn whole_numbers_have_no_fraction_and_what_json_lacks_is_null() {
    let vm = Vm::new();
    let script = "return {0/0, 1/0, -1/0, 1.5, 3, 2^53, -(2^53), 2^60, 1e300, -0}";
    let want = "[null,null,null,1.5,3,9007199254740992,-9007199254740992,1.152921504606847e+18,1e+300,0]";
    assert_eq!(text(&vm, script), want);
}

#[test]
fn arguments_keep_what_json_lacks() {
    let vm = Vm::new();
    let script = "take(vector.create(1, 2, 3), buffer.fromstring('hi'), 2^60, 0/0, {1}, nil, {a = 'b'})";
    let mut args = arguments(&vm, script).unwrap();
    let KhronosValue::Float(nan) = args.remove(3) else { panic!("{args:?}") };
    assert!(nan.is_nan());
    let want = [
        KhronosValue::Vector([1.0, 2.0, 3.0]),
        KhronosValue::Buffer(b"hi".to_vec()),
        KhronosValue::Float(2f64.powi(60)),
        KhronosValue::List(vec![1.0.into()]),
        KhronosValue::Null,
        KhronosValue::from([("a", "b".into())]),
    ];
    assert_eq!(args, want);
    assert_eq!(arguments(&vm, "take()"), Ok(Vec::new()));
    assert_eq!(arguments(&vm, "take({'a', 'b'})"), Ok(vec![list(["a", "b"])]));
    let refused = arguments(&vm, "take(1, {a = print})").unwrap_err();
    assert!(refused.contains("argument 2.a is a function"), "{refused}");
}

#[test]
fn what_luau_lacks_is_an_object_with_a_name() {
    let vm = Vm::new();
    let berlin = TimeZone::from_name("Europe/Berlin").unwrap();
    let time = Timestamp::from_nanos(1_714_557_600_500_000_000, berlin).unwrap();
    let isolate = vm.isolate(&[("init.luau", "local v = ... return typeof(v), v")]);
    for (value, json) in [
        (KhronosValue::Integer(1 << 53), r#"["number",9007199254740992]"#),
        (KhronosValue::Integer((1 << 53) + 1), r#"["I64",9007199254740993]"#),
        (KhronosValue::Integer(i64::MIN), r#"["I64",-9223372036854775808]"#),
        (KhronosValue::UnsignedInteger(1), r#"["U64",1]"#),
        (KhronosValue::UnsignedInteger(u64::MAX), r#"["U64",18446744073709551615]"#),
        (KhronosValue::Timestamptz(time), r#"["DateTime","2024-05-01T12:00:00.500+02:00"]"#),
        (KhronosValue::Interval(Interval::from_nanos(-1_500_000_000).unwrap()), r#"["TimeDelta",-1.5]"#),
        (KhronosValue::TimeZone(berlin), r#"["Timezone","Europe/Berlin"]"#),
    ] {
        let event = vm.runtime.create_value(&value).unwrap();
        let limits = ExecutionLimits::default();
        let id = vm.runtime.start(isolate, "TEST", &event, &mlua::Value::Nil, limits).unwrap();
        let Verdict::Returned(result) = vm.finish(id).verdict else { panic!() };
        assert_eq!(result.as_str(), json);
    }
}

#[test]
fn the_key_of_typed_json_does_not_leave_as_a_value() {
    let vm = Vm::new();
    let refused = arguments(&vm, "take({a = {___khronosValType___ = 'u64', value = '1'}})").unwrap_err();
    let want = "argument 1.a has the key \"___khronosValType___\", which is reserved: use another key";
    assert!(refused.contains(want), "{refused}");
    assert_eq!(text(&vm, "return {___khronosValType___ = 1}"), r#"{"___khronosValType___":1}"#);
}

#[test]
fn everything_that_leaves_in_one_call_is_one_budget() {
    let values = ValueLimits { depth: 8, nodes: 100, bytes: 1_000 };
    let vm = Vm::with_limits(RuntimeLimits { values, arguments: values, ..RuntimeLimits::default() });
    for (what, want) in [
        ("string.rep('x', 600), string.rep('x', 600)", "more than 1000 bytes"),
        ("buffer.create(600), buffer.create(600)", "more than 1000 bytes"),
        ("{[string.rep('x', 1001)] = 1}", "more than 1000 bytes"),
        ("table.create(60, true), table.create(60, true)", "more than 100 parts"),
    ] {
        let result = vm.error(&format!("return {what}"));
        let args = arguments(&vm, &format!("take({what})")).unwrap_err();
        assert!(result.contains(want) && args.contains(want), "{what}: {result} / {args}");
    }
    // A result's bytes are those of its text: two quotes, six for a control character, four for three of a buffer.
    for (fits, does_not) in [
        ("return string.rep('x', 998)", "return string.rep('x', 999)"),
        ("return string.rep('\\1', 166)", "return string.rep('\\1', 167)"),
        ("return buffer.create(747)", "return buffer.create(748)"),
        ("return table.create(99, 12345678)", "return table.create(99, 1234567890)"),
    ] {
        assert!(text(&vm, fits).len() <= 1_000);
        assert!(vm.error(does_not).contains("more than 1000 bytes"), "{does_not}");
    }
}

#[test]
fn arguments_have_a_limit_of_their_own_and_are_told_what_was_done_with_them() {
    let values = ValueLimits { depth: 2, nodes: 10, bytes: 100 };
    let arguments_ = ValueLimits { depth: 3, nodes: 20, bytes: 200 };
    let vm = Vm::with_limits(RuntimeLimits { values, arguments: arguments_, ..RuntimeLimits::default() });
    for fits in ["string.rep('x', 200)", "{{{}}}", "table.create(19, 1)", "buffer.create(200)"] {
        assert!(arguments(&vm, &format!("take({fits})")).is_ok(), "{fits}");
        assert!(vm.error(&format!("return {fits}")).contains(", the limit of result "), "{fits}");
    }
    for (call, want) in [
        ("take(string.rep('x', 201))", "the arguments have more than 200 bytes of text: pass less"),
        ("take({{{{}}}})", "the arguments are nested deeper than 3 levels: pass flatter tables"),
        ("take(table.create(20, 1))", "the arguments have more than 20 parts: pass less"),
        ("take(1, print)", "argument 2 is a function: only nil, "),
        ("take(print)", "and tables of them can be passed"),
        (
            "take({x = require('@antiraid/datamgmt').TarArchive()})",
            "argument 1.x is a TarArchive: only nil, ",
        ),
    ] {
        let error = arguments(&vm, call).unwrap_err();
        assert!(error.contains(want), "{call}: {error}");
    }
    assert!(vm.error("return {print}").ends_with("and tables of them can be returned"));
}

#[test]
fn what_cannot_leave_says_where_it_is() {
    let vm = Vm::new();
    for (script, want) in [
        ("return {users = {{name = print}}}", "result.users[1].name is a function"),
        ("return {1, 2, x = 3}", "result has the key \"x\""),
        ("return {[1] = 1, [3] = 3}", "result has the key 3"),
        ("return {[2] = 2, [1] = 1, x = 3}", "result has the key"),
        ("return {[0] = 0, [1] = 1}", "result has the key 0"),
        ("return {1.5, [1.5] = 1}", "result has the key 1.5"),
        ("return {x = 1, [1] = 1}", "result has the key"),
        ("return {[true] = 1}", "result has the key true"),
        ("return {a = '\\255'}", "result.a is not UTF-8"),
        ("return coroutine.running()", "result is a thread"),
        ("local t = {} t.t = t return t", "nested deeper than 64 levels"),
        ("local t = {} for i = 1, 10000 do t = {t} end return t", "nested deeper than 64 levels"),
        ("local t = {} for i = 1, 40 do t = {t, t} end return t", "more than 100000 parts"),
        ("return string.rep('x', 2^20 + 1)", "more than 1048576 bytes"),
    ] {
        let message = vm.error(script);
        assert!(
            message.starts_with("cannot return the result: ") && message.contains(want),
            "{script}: {message}"
        );
    }
}

#[test]
fn no_metamethod_runs_while_a_result_is_read() {
    let vm = Vm::new();
    let script = r#"
        local trap = setmetatable({a = 1}, {
            __index = function() error("index") end, __iter = function() error("iter") end,
            __len = function() error("len") end, __tostring = function() error("tostring") end,
        })
        return trap
    "#;
    assert_eq!(vm.value(script), KhronosValue::from([("a", 1.0.into())]));
    let verdict = vm.run("error(setmetatable({code = 5}, {__tostring = function() while true do end end}))");
    let Verdict::Failed(error) = verdict else { panic!("{verdict:?}") };
    assert_eq!(error.message, r#"{"code":5}"#);
}

#[test]
fn an_event_comes_through_as_it_is() {
    let vm = Vm::new();
    let isolate = vm.isolate(&[("init.luau", "return (...)")]);
    let event = r#"{"text":"ü\n\"\u0041\ud83d\ude00","n":-1.5e3,"big":"1234567890123456789","yes":true,"list":[1,[],{}],"empty":[]}"#;
    let Verdict::Returned(value) = vm.dispatch(isolate, event).verdict else { panic!() };
    let want: serde_json::Value = serde_json::from_str(event).unwrap();
    let got: serde_json::Value = serde_json::from_str(value.as_str()).unwrap();
    // JSON has one kind of number; -1500 and -1500.0 are the same.
    assert_eq!(got["n"].as_f64(), want["n"].as_f64());
    for key in ["text", "big", "yes", "list", "empty"] {
        assert_eq!(got[key], want[key], "{key}");
    }
}

#[test]
fn bad_json_is_refused_with_its_place() {
    let vm = Vm::new();
    for (text, want) in [
        ("{\"a\": }", "line 1 column"),
        ("[1, 2", "EOF"),
        ("{} x", "trailing characters"),
        ("", "EOF"),
        (&"[".repeat(100), "nested deeper than 64 levels"),
        (&format!("[{}1]", "1,".repeat(100_000)), "more than 100000 values"),
        ("{\"a\": 1e999}", "number out of range"),
    ] {
        let error = vm.runtime.decode_json(text).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    assert_eq!(vm.value("return 'still fine'"), "still fine".into());
}

#[test]
fn an_error_has_a_message_and_a_traceback_of_the_authors_lines() {
    let vm = Vm::new();
    let files = [
        ("init.luau", "local m = require('./m')\nreturn function()\n  m.fail()\nend"),
        ("m.luau", "local function inner()\n  error('broken')\nend\nreturn {fail = function() inner() end}"),
    ];
    let Verdict::Failed(error) = vm.run_files(&files) else { panic!() };
    assert_eq!(error.message, "m.luau:2: broken");
    let lines: Vec<&str> = error.traceback.lines().collect();
    assert_eq!(lines, ["m.luau:2 function inner", "m.luau:4 function fail", "init.luau:3"]);
}

#[test]
fn hollow_tables_cannot_hold_the_thread() {
    for hollow in [
        "table.create(1000000)",
        "(function() local t = {x = 1} for i = 1, 50000 do t[i .. ''] = i end for i = 1, 50000 do t[i .. ''] = nil end return t end)()",
    ] {
        let source = format!("local h, r = {hollow}, {{}} for i = 1, 50000 do r[i] = h end");
        // It would take half a minute, and would be killed for that.
        let messages = [
            Vm::new().error(&format!("{source} return r")),
            arguments(&Vm::new(), &format!("{source} take(r)")).unwrap_err(),
        ];
        for message in messages {
            assert!(message.contains("too long to read: some of the tables had"), "{message}");
        }
    }
    let vm = Vm::new();
    let full = text(&vm, "local e, r = {}, {} for i = 1, 90000 do r[i] = e end return r");
    assert_eq!(full.len(), 90_000 * 3 + 1);
}
