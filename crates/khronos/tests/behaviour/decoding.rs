//! What JSON text becomes in a VM, in the corners of JSON and at the limits.

use khronos::{ExecutionLimits, JsonLimits, KhronosValue, RuntimeError, RuntimeLimits, Verdict};

use crate::vm::Vm;

const EVENT: &str = include_str!("../../benches/message_create.json");

/// What a script says about an event.
fn say(vm: &Vm, event: &str, script: &str) -> String {
    let isolate = vm.isolate(&[("init.luau", &format!("local e = ... {script}"))]);
    match vm.dispatch(isolate, event).verdict {
        Verdict::Returned(json) => json.to_string(),
        other => panic!("{event}: {other:?}"),
    }
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    let vm = Vm::new();
    for (event, want) in [
        (r#"{"a": 1, "a": 2}"#, r#"{"a":2}"#),
        (r#"{"a": 1, "a": null}"#, "{}"),
        (r#"{"a": null, "a": 1}"#, r#"{"a":1}"#),
        (r#"{"id": 1, "\u0069d": 2}"#, r#"{"id":2}"#),
        (r#"{"id": [1], "id": null, "id": null}"#, "{}"),
    ] {
        assert_eq!(say(&vm, event, "return e"), want, "{event}");
    }
}

#[test]
fn the_corners_of_json_are_defined() {
    let vm = Vm::new();
    for (event, script, want) in [
        ("-0", "return 1 / e == -math.huge", "true"),
        ("-0.0e5", "return 1 / e == -math.huge", "true"),
        ("18446744073709551616", "return e == 2^64", "true"),
        ("9007199254740992", "return e == 2^53", "true"),
        ("9007199254740993", "return {typeof(e), tostring(e)}", r#"["I64","9007199254740993"]"#),
        ("[-9007199254740993]", "return {typeof(e[1]), e[1]}", r#"["I64",-9007199254740993]"#),
        ("9223372036854775807", "return {typeof(e), e}", r#"["I64",9223372036854775807]"#),
        ("-9223372036854775808", "return {typeof(e), e}", r#"["I64",-9223372036854775808]"#),
        ("9223372036854775808", "return {typeof(e), e}", r#"["U64",9223372036854775808]"#),
        (
            r#"{"a": 18446744073709551615}"#,
            "return {typeof(e.a), e}",
            r#"["U64",{"a":18446744073709551615}]"#,
        ),
        ("[9007199254740993.0,1e16]", "return {type(e[1]), type(e[2])}", r#"["number","number"]"#),
        ("-9223372036854775809", "return e == -(2^63)", "true"),
        ("1e-999", "return e", "0"),
        ("123456789012345.67", "return e", "123456789012345.67"),
        (r#""\ud83d\ude00\u0000""#, "return #e", "5"),
        ("\"\u{7f}\u{2028}\"", "return #e", "4"),
        (" \n\t [ ] \r", "return #e", "0"),
        ("[1,null,3]", "return {#e, e[1], e[3], e[2] == nil}", "[3,1,3,true]"),
        ("[null,null]", "return {#e, next(e) == nil}", "[0,true]"),
        (r#"{"":1}"#, "return e[''] ", "1"),
    ] {
        assert_eq!(say(&vm, event, script), want, "{event}");
    }
    for (event, want) in [
        (r#""\ud800""#, "line 1 column"),
        (r#""\udc00\ud800""#, "line 1 column"),
        ("\"\u{1}\"", "control character"),
        ("1e309", "number out of range"),
        ("01", "invalid number"),
        ("+1", "expected value"),
        ("NaN", "expected value"),
        ("[1,]", "trailing comma"),
        ("{\"a\":1,}", "trailing comma"),
        ("{1:2}", "key must be a string"),
        ("[] []", "trailing characters"),
        ("[[],", "EOF"),
        ("{\"id\":", "EOF"),
    ] {
        let error = vm.runtime.decode_json(event).unwrap_err().to_string();
        assert!(error.contains(want), "{event}: {error}");
    }
}

#[test]
fn lists_of_every_length_are_in_order_and_marked() {
    let vm = Vm::new();
    let script =
        "for i = 1, #e do assert(e[i] == i) end return {n = #e, array = getmetatable(e) ~= nil, e = e}";
    for length in (0..40).chain([255, 256, 257, 5_000]) {
        let list: Vec<f64> = (1..=length).map(f64::from).collect();
        let got = say(&vm, &serde_json::to_string(&list).unwrap(), script);
        let got: KhronosValue = serde_json::from_str(&got).unwrap();
        let want = [("n", f64::from(length).into()), ("array", true.into()), ("e", list.into())];
        assert_eq!(got, KhronosValue::from(want), "{length}");
    }
}

#[test]
fn every_table_of_an_event_is_frozen() {
    let vm = Vm::new();
    let script = r#"
        local function check(t)
            assert(table.isfrozen(t))
            for _, v in t do if type(v) == "table" then check(v) end end
        end
        check(e)
        return pcall(function() e.author.id = "1" end)
    "#;
    assert!(say(&vm, EVENT, script).starts_with("[false,"));
    assert_eq!(
        say(&vm, "{\"a\": [[], {}]}", "return table.isfrozen(e.a[1]) and table.isfrozen(e.a[2])"),
        "true"
    );
}

#[test]
fn integers_that_are_no_doubles_stand_wherever_a_value_may() {
    let vm = Vm::new();
    let big = "18446744073709551615";
    let deep = format!("{}{big}{}", "[".repeat(64), "]".repeat(64));
    let long = format!("[{}1]", format!("{big},").repeat(2_000));
    let mixed = format!(r#"{{"id":{big},"a":[1,{big},null,-{}],"b":{{"id":9007199254740993}}}}"#, i64::MAX);
    for event in [deep.as_str(), &long] {
        assert_eq!(say(&vm, event, "return e"), event);
    }
    let script = "return {tostring(e.id), #e.a, tostring(e.a[2]), tostring(e.a[4]), tostring(e.b.id), table.isfrozen(e.a)}";
    let want = format!(r#"["{big}",4,"{big}","-9223372036854775807","9007199254740993",true]"#);
    assert_eq!(say(&vm, &mixed, script), want);
}

#[test]
fn an_answer_in_json_is_the_scripts_own() {
    let vm = Vm::new();
    let answer = vm.runtime.create_async_function("get", |_, reply| reply.json(EVENT.to_owned())).unwrap();
    let isolate = vm.isolate(&[(
        "init.luau",
        r#"
        local _, get = ...
        local one, other = get(), get()
        local function check(t)
            assert(not table.isfrozen(t))
            for _, v in t do if type(v) == "table" then check(v) end end
            t.added = true
        end
        check(one)
        one.author.id = "mine"
        return one.author.id, one.author.added, other.author.id ~= "mine", other.added == nil, table.isfrozen((...))
        "#,
    )]);
    let event = vm.runtime.decode_json(r#"{"a": []}"#).unwrap();
    let answer = mlua::Value::Function(answer);
    let limits = ExecutionLimits::default();
    let id = vm.runtime.start(isolate, "TEST", &event, &answer, limits).unwrap();
    let verdict = vm.finish(id).verdict;
    let Verdict::Returned(got) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(got.as_str(), r#"["mine",true,true,true,true]"#);
}

#[test]
fn the_limits_on_text_are_exact() {
    let vm = Vm::new();
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(vm.runtime.decode_json(&deep(64)).is_ok());
    assert!(vm.runtime.decode_json(&deep(65)).is_err());
    let deep = |levels| format!("{}1{}", "{\"user\":".repeat(levels), "}".repeat(levels));
    assert!(vm.runtime.decode_json(&deep(64)).is_ok());
    assert!(vm.runtime.decode_json(&deep(65)).is_err());
    let json = JsonLimits { nodes: 100, ..JsonLimits::default() };
    let vm = Vm::with_limits(RuntimeLimits { json, ..RuntimeLimits::default() });
    let wide = |values| format!("[{}]", vec!["0"; values].join(","));
    assert!(vm.runtime.decode_json(&wide(99)).is_ok());
    assert!(vm.runtime.decode_json(&wide(100)).is_err());
}

#[test]
fn what_a_vm_keeps_to_decode_faster_is_small() {
    let vm = Vm::new();
    vm.runtime.decode_json("0").unwrap();
    vm.runtime.collect_garbage().unwrap();
    let before = vm.runtime.used_memory();
    vm.runtime.decode_json(EVENT).unwrap();
    vm.runtime.collect_garbage().unwrap();
    let kept = vm.runtime.used_memory() - before;
    assert!(kept < 2_500, "{kept} bytes");
}

#[test]
fn the_size_of_an_object_says_nothing_about_those_inside_the_next_one() {
    let vm = Vm::new();
    let entries: Vec<String> = (0..255).map(|n| format!("\"{n}\":0")).collect();
    let large = format!("{{\"user\":{{{}}}}}", entries.join(","));
    let nested = format!("{}{}", "{\"user\":".repeat(60) + "0", "}".repeat(60));
    vm.runtime.decode_json(&nested).unwrap();
    vm.runtime.decode_json(&large).unwrap();
    vm.runtime.collect_garbage().unwrap();
    let before = vm.runtime.used_memory();
    let value = vm.runtime.decode_json(&nested).unwrap();
    vm.runtime.collect_garbage().unwrap();
    let grown = vm.runtime.used_memory().saturating_sub(before);
    // 60 tables with room for 255 entries would be 490 kB.
    assert!(value.is_table() && grown < 60_000, "{grown} bytes");
}

#[test]
fn running_out_of_memory_anywhere_in_a_text_breaks_the_vm_and_nothing_else() {
    let list = format!("[{}]", vec![EVENT; 800].join(","));
    let (mut fits, mut broken) = (0, 0);
    for room in (0..1_500_000).step_by(15_007) {
        let vm = Vm::new();
        vm.runtime.collect_garbage().unwrap();
        vm.runtime.set_memory_limit(vm.runtime.used_memory() + room).unwrap();
        match vm.runtime.decode_json(&list) {
            Ok(_) => fits += 1,
            Err(RuntimeError::Broken(khronos::BrokenReason::OutOfMemory { .. })) => broken += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(fits > 0 && broken > 40, "{fits} fit, {broken} broke");
}

/// Twenty beginnings, middles and ends of three characters that lead Luau's hash of short texts through the same states.
const ALIKE: [&str; 4] = [
    "\"#P\":)\"BO\"](\"|'A PA=)AAOAZ(A{'P&*P?OPG)Ph(`!P`<)`@O`[(`z'o'*",
    " 0K QL rM$.c$Od$pe,,b,Kc,jd?/K?RL?qMC-cCPdCoe^2K^OL^pMb0cbMd",
    " &d Ec L1 db k04'~4K}4j|:!d:Bc:M1:cb:n0U&~UL}Um|[ d[Cc[N1[bb",
    " -K NJ Q0 oI r/02K0P00QJ0o/0pI?,K?OJ?R0?nI?q/^/K^LJ^S0^mI^t/",
];

#[test]
fn keys_that_all_hash_alike_are_refused_before_they_take_long() {
    let piece = |at: usize, choice: usize| &ALIKE[at][choice * 3..choice * 3 + 3];
    let key = |n: usize| (0..4).map(|at| piece(at, n / 20_usize.pow(at as u32) % 20)).collect::<String>();
    let event = |keys: std::ops::Range<usize>| {
        let entries: std::collections::BTreeMap<String, usize> = keys.map(|n| (key(n), n)).collect();
        serde_json::to_string(&entries).unwrap()
    };
    let vm = Vm::new();
    assert!(vm.runtime.decode_json(&event(0..500)).is_ok());
    let Err(RuntimeError::Json(message)) = vm.runtime.decode_json(&event(0..60_000)) else {
        panic!("it was decoded")
    };
    assert!(message.contains("too slow: very many of its texts have the same hash"), "{message}");
    let honest: std::collections::BTreeMap<String, usize> =
        (0..60_000).map(|n| (format!("key {n}"), n)).collect();
    assert!(vm.runtime.decode_json(&serde_json::to_string(&honest).unwrap()).is_ok());
}
