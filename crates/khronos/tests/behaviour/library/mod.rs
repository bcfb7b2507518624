//! What scripts can `require` besides their own files: that it is what was declared, and that nobody can change it. Each
//! module has a file of its own for what it does.

mod datamgmt;
mod datetime;
mod interop;
mod luau;
mod lune_datetime;
mod lune_regex;
mod lune_serde;
mod typesext;

use std::collections::BTreeSet;

use khronos::declare::{Function, Module, Type};
use khronos::{KhronosValue, Verdict, modules};

use crate::vm::Vm;

/// A VM whose scripts wait as long as it takes: the host is at work meanwhile.
fn patient_vm() -> Vm {
    let mut vm = Vm::new();
    vm.follow_real_time();
    vm
}

/// What a script returns, with the modules at hand by the last part of their paths.
fn result(vm: &Vm, script: &str) -> Result<String, String> {
    let names = "local datamgmt, datetime, interop = require('@antiraid/datamgmt'), require('@antiraid/datetime'), \
        require('@antiraid/interop') local luau, typesext = require('@antiraid/luau'), require('@antiraid/typesext') \
        local lune = {datetime = require('@lune/datetime'), regex = require('@lune/regex'), serde = require('@lune/serde')} ";
    match vm.run(&format!("{names}{script}")) {
        Verdict::Returned(json) => Ok(json.to_string()),
        Verdict::Failed(error) => Err(error.message),
        other => panic!("{script}\n{other:?}"),
    }
}

/// Each script returns that, as JSON.
fn all_return(cases: &[(&str, &str)]) {
    let vm = patient_vm();
    for (script, want) in cases {
        assert_eq!(result(&vm, script).as_deref(), Ok(*want), "{script}");
    }
}

/// Each script throws a text that has that in it, and begins with its own line.
fn all_throw(cases: &[(&str, &str)]) {
    let vm = patient_vm();
    for (script, want) in cases {
        let error = match result(&vm, script) {
            Err(error) => error,
            Ok(value) => panic!("{script}\nreturned {value}"),
        };
        assert!(error.starts_with("init.luau:1: ") && error.contains(want), "{script}\n{error}");
    }
    assert_eq!(result(&vm, "return 1").as_deref(), Ok("1"));
}

/// How a script gets an object of a type.
fn example(module: &Module, ty: &Type) -> Option<&'static str> {
    Some(match (module.path, ty.name) {
        ("@antiraid/datamgmt", "Blob") => "m.newblob('abc')",
        ("@antiraid/datamgmt", "TarArchive") => "m.TarArchive()",
        ("@antiraid/datetime", "Timezone") => "m.UTC",
        ("@antiraid/datetime", "DateTime") => "m.UTC:now()",
        ("@antiraid/datetime", "TimeDelta") => "m.timedelta_days(1)",
        ("@antiraid/luau", "Chunk") => "m.load('return 1')",
        ("@antiraid/typesext", "I64") => "m.I64(1)",
        ("@antiraid/typesext", "U64") => "m.U64(1)",
        ("@antiraid/typesext", "BitU64") => "m.bitu64",
        ("@lune/datetime", "DateTime") => "m.now()",
        ("@lune/datetime", "DateTimeValues") => "m.now():toLocalTime()",
        ("@lune/regex", "Regex") => "m.new('a(b)?')",
        ("@lune/regex", "RegexCaptures") => "m.new('a(b)?'):captures('ab')",
        ("@lune/regex", "RegexMatch") => "m.new('a'):find('a')",
        other => panic!("there is no example of {other:?}"),
    })
}

fn texts(value: &KhronosValue) -> BTreeSet<String> {
    let KhronosValue::List(items) = value else { return BTreeSet::new() };
    items
        .iter()
        .map(|item| if let KhronosValue::Text(text) = item { text.clone() } else { panic!("{item:?}") })
        .collect()
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn what_a_module_has_is_what_is_declared() {
    let vm = Vm::new();
    for module in modules() {
        let keys = format!(
            "local names = {{}} for name in require('{}') do table.insert(names, name) end return names",
            module.path
        );
        let declared = module.functions.iter().map(|f| f.name).chain(module.fields.iter().map(|f| f.name));
        assert_eq!(texts(&vm.value(&keys)), names(declared), "{}", module.path);
        assert!(!module.doc.is_empty());
    }
}

/// A type that is not Luau would not be seen before somebody's editor reads it.
#[test]
fn what_is_declared_is_documented_and_its_types_are_luau() {
    let vm = Vm::new();
    for module in modules() {
        let mut text = String::new();
        let mut function = |function: &Function| {
            let parameters = function.parameters.iter().map(|parameter| {
                assert!(!parameter.doc.is_empty() || function.name.starts_with("__"), "{parameter:?}");
                if parameter.ty.starts_with("...") {
                    parameter.ty.to_owned()
                } else {
                    format!("{}: {}", parameter.name, parameter.ty)
                }
            });
            let parameters = parameters.collect::<Vec<_>>().join(", ");
            text += &format!("type _{} = ({parameters}) -> {}\n", text.len(), function.returns);
            assert!(function.doc.ends_with('.'), "{}", function.name);
        };
        module.functions.iter().for_each(&mut function);
        for ty in module.types {
            ty.methods.iter().chain(ty.operators).for_each(&mut function);
            assert!(ty.doc.ends_with('.'), "{}", ty.name);
        }
        for field in module.fields.iter().chain(module.types.iter().flat_map(|ty| ty.fields)) {
            text += &format!("type _{} = {}\n", text.len(), field.ty);
            assert!(field.doc.ends_with('.'), "{}", field.name);
        }
        assert!(module.doc.ends_with('.'), "{}", module.path);
        assert_eq!(vm.value(&format!("{text} return 'fine'")), "fine".into(), "{}", module.path);
    }
}

/// Objects show what they have under its name only, so each name that is declared anywhere is tried.
#[test]
fn what_an_object_has_is_what_is_declared() {
    let vm = Vm::new();
    let types = || modules().flat_map(|module| module.types.iter().map(move |ty| (module, ty)));
    let members = |ty: &Type| {
        let members = ty.fields.iter().map(|f| f.name).chain(ty.methods.iter().map(|f| f.name));
        members.collect::<Vec<_>>()
    };
    let known: BTreeSet<&str> = types().flat_map(|(_, ty)| members(ty)).collect();
    let known: String = known.iter().map(|name| format!("'{name}',")).collect();
    for (module, ty) in types() {
        let object = example(module, ty).unwrap();
        let script = format!(
            "local m = require('{}') local object, found = {object}, {{}} for _, name in {{{known}}} do \
             local ok, value = pcall(function() return object[name] end) \
             if ok and (value ~= nil or type(object) == 'userdata') then table.insert(found, name) end end \
             return {{typeof(object), found}}",
            module.path
        );
        let KhronosValue::List(seen) = vm.value(&script) else { panic!() };
        assert_eq!(texts(&seen[1]), names(members(ty)), "{} of {}", ty.name, module.path);
        let want = if ty.is_object { ty.name } else { "table" };
        assert_eq!(seen[0], want.into(), "what `typeof` says");
    }
}

/// Operators are what is left of a metatable, which no script can look at.
#[test]
fn what_operators_an_object_has_is_what_is_declared() {
    const TRIED: [(&str, &str); 13] = [
        ("__add", "return o + o"),
        ("__sub", "return o - o"),
        ("__mul", "return o * o"),
        ("__div", "return o / o"),
        ("__idiv", "return o // o"),
        ("__mod", "return o % o"),
        ("__pow", "return o ^ o"),
        ("__unm", "return -o"),
        ("__concat", "return o .. o"),
        ("__len", "return #o"),
        ("__lt", "return o < o"),
        ("__le", "return o <= o"),
        ("__call", "return o()"),
    ];
    let vm = Vm::new();
    for (module, ty) in modules().flat_map(|module| module.types.iter().map(move |ty| (module, ty))) {
        if !ty.is_object {
            continue;
        }
        let object = example(module, ty).unwrap();
        let mut seen = BTreeSet::new();
        for (name, expression) in TRIED {
            let script = format!(
                "local m = require('{}') local o = {object} return select(2, pcall(function() {expression} end))",
                module.path
            );
            let complaint = match vm.run(&script) {
                Verdict::Returned(json) => json.to_string(),
                other => panic!("{script}: {other:?}"),
            };
            if !complaint.contains("attempt to ") || complaint.contains("attempt to divide by zero") {
                seen.insert(name.to_owned());
            }
        }
        let equal = format!(
            "local m = require('{}') local a, b = {object}, {object} return a == b, tostring(a)",
            module.path
        );
        let KhronosValue::List(shown) = vm.value(&equal) else { panic!() };
        let is_moving = object.contains("now");
        if shown[0] == true.into() || is_moving {
            seen.insert("__eq".to_owned());
        }
        let KhronosValue::Text(shown) = &shown[1] else { panic!() };
        if !shown.contains(": 0x") {
            seen.insert("__tostring".to_owned());
        }
        // The same object is equal to itself, whatever it has.
        let mut want = names(ty.operators.iter().map(|f| f.name));
        if object == "m.UTC" {
            want.insert("__eq".to_owned());
        }
        assert_eq!(seen, want, "{} of {}", ty.name, module.path);
    }
}

#[test]
fn nothing_of_a_module_can_be_changed() {
    let script = r#"
        local seen, written = {}, {}
        local function walk(value, path)
            if seen[value] then return end
            local kind = type(value)
            if kind == "table" then
                seen[value] = true
                if not table.isfrozen(value) then table.insert(written, path .. " is not frozen") end
                if pcall(rawset, value, "x", 1) then table.insert(written, path .. " takes rawset") end
                if pcall(function() value.x = 1 end) then table.insert(written, path .. " takes x") end
                if pcall(setmetatable, value, {}) then table.insert(written, path .. " takes a metatable") end
                if getmetatable(value) ~= nil then table.insert(written, path .. " shows a metatable") end
                for key, inner in value do
                    if pcall(function() value[key] = nil end) then table.insert(written, path .. " loses " .. key) end
                    walk(inner, path .. "." .. key)
                end
            elseif kind == "userdata" then
                if value == require("@antiraid/interop").null then
                    if getmetatable(value) ~= nil then table.insert(written, "null has a metatable") end
                    return
                end
                if getmetatable(value) ~= false then table.insert(written, path .. " shows its metatable") end
                if pcall(setmetatable, value, {}) then table.insert(written, path .. " takes a metatable") end
                if pcall(rawset, value, "x", 1) then table.insert(written, path .. " takes rawset") end
                if pcall(function() value.x = 1 end) then table.insert(written, path .. " takes x") end
                for _, name in NAMES do
                    if pcall(function() value[name] = nil end) and typeof(value) ~= "Chunk" then
                        table.insert(written, path .. " loses " .. name)
                    end
                    local ok, inner = pcall(function() return value[name] end)
                    if ok and path ~= "Chunk" then walk(inner, path .. "." .. name) end
                end
            end
        end
        for path, examples in EXAMPLES do
            local m = require(path)
            walk(m, path)
            for name, example in examples do
                local object = example(m)
                if type(object) == "userdata" then walk(object, name) end
            end
        end
        return written
    "#;
    let mut examples = String::new();
    let mut known = BTreeSet::new();
    for module in modules() {
        examples += &format!("['{}'] = {{", module.path);
        for ty in module.types {
            examples += &format!("{} = function(m) return {} end,", ty.name, example(module, ty).unwrap());
            known.extend(ty.fields.iter().map(|f| f.name).chain(ty.methods.iter().map(|f| f.name)));
        }
        examples += "},";
    }
    let known: String = known.iter().map(|name| format!("'{name}',")).collect();
    let script = format!("local EXAMPLES, NAMES = {{{examples}}}, {{{known}}} {script}");
    assert_eq!(Vm::new().value(&script), KhronosValue::Map([].into()), "what was written");
}

#[test]
fn all_templates_of_a_guild_share_a_module_but_not_its_loader() {
    let vm = Vm::new();
    let ids = |path: &str| {
        let script = format!("return tostring(require('{path}'))");
        [vm.value(&script), vm.value(&script)]
    };
    for module in modules() {
        let [one, two] = ids(module.path);
        assert_eq!(one == two, module.path != "@antiraid/luau", "{}", module.path);
    }
}

#[test]
fn a_module_that_is_not_there_is_told_with_the_nearest_that_is() {
    let vm = Vm::new();
    for (request, near) in [
        ("@antiraid/datetim", "@antiraid/datetime"),
        ("@antiraid/date/time", "@antiraid/datetime"),
        ("@lune/serdes", "@lune/serde"),
        ("@antiraid/serde", "@lune/serde"),
        ("@lune/datetim", "@lune/datetime"),
        ("@AntiRaid/Luau", "@antiraid/luau"),
    ] {
        let error = vm.error(&format!("require('{request}')"));
        assert!(error.contains(&format!("did you mean \"{near}\"")), "{request}: {error}");
    }
    for far in ["@lune/", "@antiraid/kv"] {
        let error = vm.error(&format!("require('{far}')"));
        assert!(error.contains("no such module; there are @antiraid/datamgmt, @antiraid/"), "{far}: {error}");
    }
    let long = vm.error(&format!("require('@lune/{}')", "x".repeat(900)));
    assert!(long.len() < 400, "{long}");
    assert_eq!(vm.value("return require('@LUNE/regex') == require('@lune/regex')"), true.into());
}

#[test]
fn no_file_of_a_template_can_stand_for_a_module() {
    let vm = Vm::new();
    let verdict = vm.run_files(&[
        (".luaurc", r#"{"aliases": {"antiraid": "./fake", "lune": "./fake", "mine": "./fake"}}"#),
        ("fake/datetime.luau", "return 'fake'"),
        ("init.luau", "return type(require('@antiraid/datetime')), type(require('@lune/datetime')), require('@mine/datetime')"),
    ]);
    assert_eq!(verdict, Verdict::Returned(KhronosValue::from(vec!["table", "table", "fake"]).into()));
}

#[test]
fn an_argument_of_another_type_is_named() {
    all_throw(&[
        (
            "datamgmt.newblob(1)",
            "invalid argument 'data' to 'newblob' (string, buffer or Blob expected, got number)",
        ),
        ("datamgmt.newblob()", "(string, buffer or Blob expected, got nil)"),
        (
            "typesext.randstring('5')",
            "invalid argument 'length' to 'randstring' (whole number expected, got string)",
        ),
        ("typesext.randstring(1.5)", "whole number expected"),
        ("datetime.new('\\255')", "UTF-8 string expected"),
        ("datetime.UTC.now()", "with a colon"),
        ("datetime.UTC.now(datamgmt.newblob(''))", "with a colon"),
        ("return datetime.UTC.foo", "Timezone has no field or method \"foo\""),
        ("return datetime.UTC[{}]", "Timezone has no field or method of type table"),
        ("return datetime.UTC + 1", "attempt to perform arithmetic"),
    ]);
}

#[test]
fn modules_take_little_memory() {
    let used_after = |script: &dyn Fn(&Module) -> String| {
        let vm = Vm::new();
        for module in modules() {
            assert!(matches!(vm.run(&script(module)), Verdict::Returned(_)));
        }
        vm.runtime.collect_garbage().unwrap();
        vm.runtime.used_memory()
    };
    let none = used_after(&|module| format!("local m = '{}' return nil", module.path));
    let all = used_after(&|module| format!("local m = require('{}') return nil", module.path));
    assert!(all < none + 64_000, "{} bytes for all modules", all.saturating_sub(none));
}
