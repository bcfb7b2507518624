//! `@antiraid/interop`: nulls, empty lists, and memory.

use super::{all_return, all_throw, result};
use crate::vm::Vm;

#[test]
fn null_leaves_as_null_also_from_a_table() {
    all_return(&[
        ("return {a = interop.null, b = 1}", r#"{"a":null,"b":1}"#),
        ("return {1, interop.null, 3}", "[1,null,3]"),
        ("return interop.null", "null"),
        ("return interop.null == interop.null, interop.null == nil, interop.null and 1", "[true,false,1]"),
        ("return lune.serde.encode('json', {a = interop.null})", r#""{\"a\":null}""#),
    ]);
}

#[test]
fn the_metatable_of_lists_makes_an_empty_list() {
    all_return(&[
        ("return setmetatable({}, interop.array_metatable)", "[]"),
        ("return {}", "{}"),
        ("return table.isfrozen(interop.array_metatable)", "true"),
    ]);
    all_throw(&[("interop.array_metatable.__index = print", "readonly")]);
}

#[test]
fn memory_is_told_as_it_is_counted() {
    let vm = Vm::new();
    let limit = vm.runtime.memory_limit().to_string();
    assert_eq!(result(&vm, "return interop.memory_limit()"), Ok(limit));
    let more = "local before = interop.memusage() local b = datamgmt.newblob(buffer.create(100000)) \
        local after = interop.memusage() return after - before >= 100000, #b";
    assert_eq!(result(&vm, more).as_deref(), Ok("[true,100000]"));
}
