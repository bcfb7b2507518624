//! What goes into a VM comes out the same, or is refused for a reason that can be named beforehand.

use std::collections::BTreeMap;

use khronos::{ExecutionLimits, JsonLimits, KhronosValue, RuntimeError, RuntimeLimits, ValueLimits, Verdict};
use serde_json::Value as Json;

use crate::choices::Choices;
use crate::generators::{json, value};
use crate::vm::{Vm, program};

/// Looks at every table, hands the event to the host, takes it back, hands it over again, and returns it.
const ROUND_TRIP: &str = r#"
    local event, ctx = ...
    local function check(value)
        if type(value) == "table" then
            assert(table.isfrozen(value), "a table of the event is not frozen")
            for _, inner in value do check(inner) end
        end
    end
    check(event)
    local back = ctx.fetch({v = event}).v
    ctx.fetch({v = back})
    return event
"#;

pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let values = *choices.pick(&[ValueLimits::default(), ValueLimits { depth: 5, nodes: 20, bytes: 60 }]);
    let limits = RuntimeLimits {
        values,
        arguments: values,
        json: *choices.pick(&[JsonLimits::default(), JsonLimits { depth: 4, nodes: 15 }]),
        ..RuntimeLimits::default()
    };
    match choices.below(4) {
        0 => from_text(&json::json(&mut choices), limits),
        1 => from_value(&value::value(&mut choices, 6), limits),
        2 => typed(&mut choices),
        _ => from_script(&mut choices),
    }
}

/// JSON text is decoded where `serde_json` can, and within the limits.
fn from_text(text: &str, limits: RuntimeLimits) {
    let vm = Vm::new(limits).unwrap();
    let parsed = serde_json::from_str::<Json>(text);
    match (vm.runtime.decode_json(text), parsed) {
        (Ok(event), Ok(parsed)) => {
            let (depth, nodes) = size(&parsed);
            assert!(
                depth <= limits.json.depth && nodes <= limits.json.nodes,
                "{text:?} is beyond {limits:?}"
            );
            round_trip(&vm, event, taken(&of_json(&parsed), limits.values), limits.values.bytes);
        }
        (Err(RuntimeError::Json(_)), Err(_)) => {}
        // How many values a text with a key twice has, `parsed` does not know.
        (Err(RuntimeError::Json(message)), Ok(parsed)) => assert!(
            size(&parsed).0 > limits.json.depth || limits.json.nodes < 100 && message.contains("more than"),
            "{text:?}: {message}"
        ),
        (decoded, parsed) => panic!("{text:?} was decoded as {decoded:?} and parsed as {parsed:?}"),
    }
    vm.close();
}

fn from_value(value: &KhronosValue, limits: RuntimeLimits) {
    let vm = Vm::new(limits).unwrap();
    let event = vm.runtime.create_value(value).unwrap();
    round_trip(&vm, event, taken(value, limits.values), limits.values.bytes);
    vm.close();
}

/// Typed JSON loses nothing, and text of any kind is read or refused.
fn typed(choices: &mut Choices) {
    let value = value::value(choices, 6);
    let text = value.to_typed_json();
    let limits = ValueLimits { depth: 110, ..ValueLimits::default() };
    let back = KhronosValue::from_typed_json(&text, limits).unwrap();
    assert_eq!(format!("{back:?}"), format!("{value:?}"), "{text}");
    let mut bytes = text.into_bytes();
    for _ in 0..choices.below(4) {
        let at = choices.below(bytes.len());
        bytes[at] = choices.bytes(1).first().copied().unwrap_or_default();
    }
    let _ = KhronosValue::from_typed_json(&String::from_utf8_lossy(&bytes), limits);
    let _ = KhronosValue::from_typed_json(&json::json(choices), limits);
}

/// A table with the keys 1 to n is a list, however it came to be.
fn from_script(choices: &mut Choices) {
    let count = choices.below(12) + 1;
    let mut script = "local event, ctx = ... local list = {}\n".to_owned();
    let forgotten = choices.below(12);
    script.extend((0..forgotten).map(|at| format!("list.k{at} = true\n")));
    script.extend((0..forgotten).map(|at| format!("list.k{at} = nil\n")));
    let mut left: Vec<usize> = (1..=count).collect();
    while !left.is_empty() {
        let at = left.swap_remove(choices.below(left.len()));
        script += &format!("list[{at}] = {at}\n");
    }
    script += "ctx.fetch({v = list}) return list";
    let vm = Vm::new(RuntimeLimits::default()).unwrap();
    let want = KhronosValue::List((1..=count).map(|at| KhronosValue::from(at as f64)).collect());
    run(&vm, &script, mlua::Value::Nil, Some(&want), ValueLimits::default().bytes);
    vm.close();
}

fn round_trip(vm: &Vm, event: mlua::Value, want: Option<KhronosValue>, bytes: usize) {
    run(vm, ROUND_TRIP, event, want.as_ref(), bytes);
}

/// Runs `script`, which hands over and returns `want`; where that cannot leave the VM, it fails with a text that says
/// so.
fn run(vm: &Vm, script: &str, event: mlua::Value, want: Option<&KhronosValue>, bytes: usize) {
    let isolate = vm.runtime.create_isolate("test", program(&[("init.luau", script)])).unwrap();
    let ctx = vm.ctx().unwrap();
    vm.start(isolate, &event, &ctx, ExecutionLimits::default()).unwrap();
    vm.run();
    let verdict = vm.completions.borrow_mut().remove(0).verdict;
    let Some(want) = want else {
        let Verdict::Failed(error) = &verdict else {
            panic!("{script}\nshould have been refused: {verdict:?}")
        };
        let reasons = ["nested deeper than", "has more than", "have more than", "beside others"];
        assert!(reasons.iter().any(|reason| error.message.contains(reason)), "{error:?}");
        return;
    };
    // What crosses the border as values may still be too large as the JSON text of a result.
    let too_large = matches!(&verdict, Verdict::Failed(error) if error.message.contains("bytes of text"));
    if too_large && serde_json::to_string(want).unwrap().len() > bytes {
        return;
    }
    assert!(matches!(verdict, Verdict::Returned(_)), "{script}\n{verdict:?} instead of {want:?}");
    let inside = |value: &KhronosValue| match value {
        KhronosValue::Map(entries) => format!("{:?}", entries.get("v").unwrap_or(&KhronosValue::Null)),
        other => panic!("{other:?} was handed over"),
    };
    for fetched in &*vm.fetched.borrow() {
        assert_eq!(inside(fetched), format!("{want:?}"), "handed to the host by\n{script}");
    }
    let reread = |text: &str| format!("{:?}", of_json(&serde_json::from_str(text).unwrap()));
    let want = serde_json::to_string(want).unwrap();
    assert_eq!(reread(&returned(&verdict)), reread(&want), "as JSON, returned by\n{script}");
}

/// The JSON of what was returned.
fn returned(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Returned(value) => serde_json::to_string(value).unwrap(),
        other => panic!("{other:?} is no result"),
    }
}

/// What a script that got `value` can hand back, if it can: nil is no value in a table, and a list has no holes.
fn taken(value: &KhronosValue, limits: ValueLimits) -> Option<KhronosValue> {
    let taken = without_nil(value)?;
    // It is handed over inside a table, by a key of one byte.
    let (mut depth, mut nodes, mut bytes) = (1, 1, 0);
    if taken != KhronosValue::Null {
        bytes += 1;
        measure(&taken, 1, &mut depth, &mut nodes, &mut bytes);
    }
    (depth <= limits.depth && nodes <= limits.nodes && bytes <= limits.bytes).then_some(taken)
}

fn without_nil(value: &KhronosValue) -> Option<KhronosValue> {
    Some(match value {
        KhronosValue::Float(number) => KhronosValue::from(*number),
        KhronosValue::List(items) => {
            let end = items.iter().rposition(|item| *item != KhronosValue::Null).map_or(0, |last| last + 1);
            if items[..end].contains(&KhronosValue::Null) {
                return None;
            }
            KhronosValue::List(items[..end].iter().map(without_nil).collect::<Option<_>>()?)
        }
        KhronosValue::Map(entries) => {
            let entries = entries.iter().filter(|(_, value)| **value != KhronosValue::Null);
            let entries = entries.map(|(key, value)| Some((key.clone(), without_nil(value)?)));
            KhronosValue::Map(entries.collect::<Option<_>>()?)
        }
        other => other.clone(),
    })
}

fn measure(value: &KhronosValue, depth: usize, deepest: &mut usize, nodes: &mut usize, bytes: &mut usize) {
    *nodes += 1;
    match value {
        KhronosValue::Text(text) => *bytes += text.len(),
        KhronosValue::Buffer(buffer) => *bytes += buffer.len(),
        KhronosValue::List(items) => {
            *deepest = (*deepest).max(depth + 1);
            items.iter().for_each(|item| measure(item, depth + 1, deepest, nodes, bytes));
        }
        KhronosValue::Map(entries) => {
            *deepest = (*deepest).max(depth + 1);
            for (key, item) in entries {
                *bytes += key.len();
                measure(item, depth + 1, deepest, nodes, bytes);
            }
        }
        _ => {}
    }
}

/// Depth of the tables, and number of values.
fn size(json: &Json) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match json {
        Json::Array(items) => items.iter().map(size).collect(),
        Json::Object(entries) => entries.values().map(size).collect(),
        _ => return (0, 1),
    };
    let deepest = inner.iter().map(|(depth, _)| *depth).max().unwrap_or(0);
    (deepest + 1, inner.iter().map(|(_, nodes)| *nodes).sum::<usize>() + 1)
}

fn of_json(json: &Json) -> KhronosValue {
    match json {
        Json::Null => KhronosValue::Null,
        Json::Bool(b) => KhronosValue::Boolean(*b),
        Json::Number(number) => {
            let integer = number.as_i64().map(KhronosValue::from);
            let integer = integer.or_else(|| number.as_u64().map(KhronosValue::UnsignedInteger));
            integer.unwrap_or_else(|| KhronosValue::from(number.as_f64().unwrap()))
        }
        Json::String(text) => KhronosValue::Text(text.clone()),
        Json::Array(items) => KhronosValue::List(items.iter().map(of_json).collect()),
        Json::Object(entries) => KhronosValue::Map(
            entries.iter().map(|(key, value)| (key.clone(), of_json(value))).collect::<BTreeMap<_, _>>(),
        ),
    }
}
