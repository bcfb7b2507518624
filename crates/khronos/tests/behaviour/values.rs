//! What may leave a VM, and how.

use khronos::{KhronosValue, Verdict};

use crate::vm::{Vm, list};

#[test]
fn results_are_nothing_one_value_or_a_list() {
    let vm = Vm::new();
    assert_eq!(vm.value("return"), KhronosValue::Null);
    assert_eq!(vm.value("return nil"), KhronosValue::Null);
    assert_eq!(vm.value("return 'a', 'b'"), list(["a", "b"]));
    assert_eq!(vm.value("return {}"), KhronosValue::Map(Default::default()));
    assert_eq!(vm.value("return vector.create(1, 2, 3)"), KhronosValue::Vector([1.0, 2.0, 3.0]));
    assert_eq!(vm.value("return buffer.fromstring('hi')"), KhronosValue::Buffer(b"hi".to_vec()));
    assert_eq!(vm.value("return 2^60"), KhronosValue::Float(2f64.powi(60)));
}

#[test]
fn nan_and_infinity_survive_and_are_null_in_json() {
    let vm = Vm::new();
    let KhronosValue::Float(nan) = vm.value("return 0/0") else { panic!() };
    assert!(nan.is_nan());
    let json = serde_json::to_string(&vm.value("return {0/0, 1/0, -1/0, 1.5, 3}")).unwrap();
    assert_eq!(json, "[null,null,null,1.5,3]");
}

#[test]
fn what_cannot_leave_says_where_it_is() {
    let vm = Vm::new();
    for (script, want) in [
        ("return {users = {{name = print}}}", "result.users[1].name is a function"),
        ("return {1, 2, x = 3}", "result has the key \"x\""),
        ("return {[1] = 1, [3] = 3}", "result has the key 3"),
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
    let got: serde_json::Value = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
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
