//! `docs/security-model.md` lists every function and constant that a template can reach, and no other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use khronos::ExecutionLimits;
use mlua::{Lua, LuaOptions, StdLib, Table, Value};

use crate::vm::Vm;

const DOCUMENT: &str = include_str!("../../../../docs/security-model.md");

/// What an isolate has for itself.
const OWN: [&str; 4] = ["print", "warn", "require", "_G"];

/// Names -> what the document says of them. A row is "| `a`, `b` | kept | .. |".
fn documented() -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let (_, functions) = DOCUMENT.split_once("\n## Every function and constant\n").unwrap_or_default();
    for line in functions.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        for name in cells[1].split('`').skip(1).step_by(2) {
            let before = names.insert(name.to_owned(), cells[2].to_owned());
            assert!(before.is_none(), "{name} stands in the document twice");
        }
    }
    names
}

/// Every function and constant below `table`, by its path; and the tables that could be changed.
fn walk(
    table: &Table,
    path: &str,
    seen: &mut BTreeSet<usize>,
    found: &mut BTreeSet<String>,
    open: &mut Vec<String>,
) {
    if !seen.insert(table.to_pointer() as usize) {
        return;
    }
    if !table.is_readonly() {
        open.push(path.to_owned());
    }
    for entry in table.pairs::<String, Value>() {
        let (key, value) = entry.unwrap();
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => walk(&inner, &path, seen, found, open),
            _ => {
                found.insert(path);
            }
        }
    }
}

/// Paths of everything that is reachable in a sandboxed VM, and the tables in it that could be changed.
fn reachable(lua: &Lua) -> (BTreeSet<String>, Vec<String>) {
    let shared: Table = lua.globals().metatable().unwrap().get("__index").unwrap();
    let (mut seen, mut found, mut open) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    walk(&shared, "", &mut seen, &mut found, &mut open);
    for (name, source) in
        [("string metatable", "getmetatable('')"), ("vector metatable", "getmetatable(vector.zero)")]
    {
        let metatable: Table = lua.load(format!("return {source}")).eval().unwrap();
        walk(&metatable, name, &mut seen, &mut found, &mut open);
    }
    (found, open)
}

fn plain() -> BTreeSet<String> {
    let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new()).unwrap();
    lua.globals().raw_remove("_G").unwrap();
    lua.sandbox(true).unwrap();
    let mut found = reachable(&lua).0;
    found.insert("_G".to_owned());
    found
}

fn ours() -> (BTreeSet<String>, Vec<String>) {
    let vm = Vm::new();
    let found = Rc::new(RefCell::new((BTreeSet::new(), Vec::new())));
    let into = Rc::clone(&found);
    let look = vm.runtime.create_function(move |lua, (): ()| -> Result<(), String> {
        *into.borrow_mut() = reachable(lua);
        Ok(())
    });
    let isolate = vm.isolate(&[("init.luau", "local _, look = ... look() return true")]);
    let look = Value::Function(look.unwrap());
    let id = vm.runtime.start(isolate, "A", &Value::Nil, &look, ExecutionLimits::default()).unwrap();
    let done = vm.finish(id);
    assert!(matches!(done.verdict, khronos::Verdict::Returned(_)), "{done:?}");
    for name in OWN {
        assert_eq!(vm.value(&format!("return {name} ~= nil")), true.into(), "{name}");
        found.borrow_mut().0.insert(name.to_owned());
    }
    found.take()
}

#[test]
fn the_document_lists_what_a_template_can_reach_and_nothing_else() {
    let (documented, (ours, open), plain) = (documented(), ours(), plain());
    let mut wrong = Vec::new();
    for name in plain.iter().chain(&ours).filter(|name| !documented.contains_key(*name)) {
        wrong.push(format!("{name} is not in docs/security-model.md"));
    }
    for (name, verdict) in &documented {
        let want = match verdict.as_str() {
            "kept" | "replaced" => (true, true),
            "removed" => (true, false),
            "added" => (false, true),
            other => panic!("{name}: \"{other}\" is none of kept, replaced, removed and added"),
        };
        let is = (plain.contains(name), ours.contains(name));
        if is != want {
            wrong.push(format!("{name} is {verdict}, but (in Luau, in a template) = {is:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(open.is_empty(), "could be changed by one template for all: {open:?}");
}
