//! Whatever a library function is given, it comes to an end, and the library is the same for everybody afterwards.

use std::time::Duration;

use khronos::{ExecutionLimits, KhronosValue, RuntimeLimits, Verdict};

use crate::choices::Choices;
use crate::generators::call;
use crate::vm::{Vm, program};

/// Leaves a handler behind that finds out whether anything which all isolates share is not what it was.
const WITNESS: &str = r#"
    local libraries = {string = string, table = table, math = math, bit32 = bit32, buffer = buffer, utf8 = utf8,
        coroutine = coroutine, os = os, vector = vector, task = task, debug = debug}
    local function look()
        local seen = {getmetatable("").__index, pcall, error, next, tostring, setmetatable, select, type}
        for name, library in libraries do
            assert(table.isfrozen(library), name)
            for key, value in library do seen[name .. "." .. key] = if value == value then value else "nan" end
        end
        for index, library in {getmetatable("").__index, vector, getmetatable("")} do
            if type(library) == "table" then assert(table.isfrozen(library), index) end
        end
        return seen
    end
    local before = look()
    return function(event, ctx)
        local after = look()
        for key, value in before do if after[key] ~= value then return key .. " changed" end end
        for key, value in after do if before[key] ~= value then return key .. " is new" end end
        return "as before"
    end
"#;

pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let limits = RuntimeLimits {
        memory: *choices.pick(&[20 << 20, 4 << 20]),
        non_yieldable: Duration::from_millis(30),
        slice: *choices.pick(&[Duration::from_millis(2), Duration::from_micros(1)]),
        ..RuntimeLimits::default()
    };
    let vm = Vm::new(limits).unwrap();
    let witness = vm.runtime.create_isolate("witness", program(&[("init.luau", WITNESS)])).unwrap();
    let event = vm.runtime.create_value(&KhronosValue::from([("k", "v".into())])).unwrap();
    let ctx = vm.ctx().unwrap();
    vm.start(witness, &event, &ctx, ExecutionLimits::default()).unwrap();
    vm.run();
    let is_well = |vm: &Vm| match vm.completions.borrow().last().map(|completion| completion.verdict.clone())
    {
        Some(Verdict::Returned(seen)) => serde_json::to_string(&seen).unwrap(),
        other => panic!("the witness says {other:?}"),
    };
    let first = is_well(&vm);
    assert!(first.contains("as before"), "{first}");

    let script = call::calls(&functions(&vm), &mut choices);
    let isolate = vm.runtime.create_isolate("caller", program(&[("init.luau", &script)])).unwrap();
    let few = ExecutionLimits { cpu: Duration::from_millis(30), wall_clock: Duration::from_secs(60) };
    vm.start(isolate, &event, &ctx, few).unwrap();
    vm.run();

    if !vm.is_broken() {
        let started = vm.start(witness, &event, &ctx, ExecutionLimits::default());
        match started {
            Ok(_) => vm.run(),
            Err(error) => vm.must_be_broken(&error),
        }
        if !vm.is_broken() {
            assert_eq!(is_well(&vm), first, "after\n{script}");
        }
    }
    no_address(&vm, &script);
    vm.close();
}

/// No text that a script saw tells where something is in memory.
fn no_address(vm: &Vm, script: &str) {
    for line in vm.logged("caller") {
        for (at, shown) in line.match_indices(": 0x") {
            let digits: String =
                line[at + shown.len()..].chars().take_while(char::is_ascii_hexdigit).collect();
            // Objects are counted; a place in memory is a large number.
            let number = u64::from_str_radix(&digits, 16).unwrap_or_default();
            assert!(number < 1 << 32, "{line:?} shows an address, after\n{script}");
        }
    }
}

/// Every function that a script finds in the VM's libraries, by the name that it calls it.
fn functions(vm: &Vm) -> Vec<String> {
    let mut names: Vec<String> = ["print", "warn", "require", "ctx.fetch"].map(str::to_owned).to_vec();
    let found = vm.runtime.with_lua(|lua| {
        // Scripts see the frozen globals through an empty table.
        let shared: mlua::Table = lua.globals().metatable().unwrap().raw_get("__index").unwrap();
        for pair in shared.pairs::<String, mlua::Value>() {
            match pair.unwrap() {
                (name, mlua::Value::Function(_)) => names.push(name),
                (library, mlua::Value::Table(table)) if library != "_G" => {
                    names.extend(table.pairs::<String, mlua::Value>().filter_map(
                        |pair| match pair.unwrap() {
                            (name, mlua::Value::Function(_)) => Some(format!("{library}.{name}")),
                            _ => None,
                        },
                    ));
                }
                _ => {}
            }
        }
    });
    found.unwrap();
    assert!(names.len() > 100, "only {names:?}");
    names.sort();
    names
}
