//! The standard library that templates get, held against Luau's own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod caps;
mod differential;
mod reachable;
mod sort;
#[path = "../behaviour/vm.rs"]
#[expect(dead_code, reason = "not every test needs all of it")]
mod vm;

use std::time::Duration;

use khronos::{KhronosValue, RuntimeLimits};
use mlua::{Lua, LuaOptions, LuaString, StdLib};

/// What `source` returns in a VM of ours, as text. It is paused as often as can be.
fn ours(source: &str) -> String {
    let limits = RuntimeLimits { slice: Duration::from_micros(50), ..RuntimeLimits::default() };
    match vm::Vm::with_limits(limits).value(source) {
        KhronosValue::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// What `source` returns in plain Luau, as text.
fn plain(source: &str) -> String {
    let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new()).unwrap();
    lua.sandbox(true).unwrap();
    let text: LuaString = lua.load(source).set_name("=init.luau").eval().unwrap();
    text.to_str().unwrap().to_owned()
}

/// Runs `source` in both and compares what it returns line by line. Returns the number of lines.
fn same(name: &str, source: &str) -> usize {
    let (ours, plain) = (ours(source), plain(source));
    let mut differences: Vec<_> = ours
        .lines()
        .zip(plain.lines())
        .filter(|(a, b)| a != b)
        .map(|(a, b)| format!("ours:  {a}\nluau:  {b}\n"))
        .collect();
    let (count, want) = (ours.lines().count(), plain.lines().count());
    let all = differences.len();
    differences.truncate(12);
    assert!(all == 0 && count == want, "{name}: {all} of {want} differ\n{}", differences.join("\n"));
    count
}
