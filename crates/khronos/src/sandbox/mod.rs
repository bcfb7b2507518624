//! The order in which a VM becomes a sandbox.
//!
//! 1. `stdlib.luau` replaces and removes library functions. 2. `prelude.luau` takes what it needs of them and adds
//! `task`. 3. Luau's own sandbox makes every library table and the shared globals read-only. From then on no script
//! can change anything that another isolate sees. Leaves to `isolate` what each template has for itself.

use mlua::{Function, Lua, LuaOptions, StdLib, Table};

const STDLIB: &str = include_str!("stdlib.luau");
const PRELUDE: &str = include_str!("prelude.luau");

/// The chunk name of our own Luau code; frames of it are left out of tracebacks.
pub(crate) const INTERNAL: &str = "[runtime]";

/// Functions of `prelude.luau` that the Rust side calls.
#[derive(Debug)]
pub(crate) struct Prelude {
    pub(crate) expose: Function,
    pub(crate) await_: Function,
    pub(crate) isolate: Function,
    pub(crate) start: Function,
    /// The original, for threads that are not running.
    pub(crate) traceback: Function,
    /// The shared, frozen globals.
    pub(crate) shared: Table,
    /// The metatable that marks lists.
    pub(crate) array: Table,
}

/// A VM with Luau's safe libraries, nothing removed yet.
pub(crate) fn new_vm() -> mlua::Result<Lua> {
    Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new())
}

/// Turns `lua` into a sandbox. `host` is what `prelude.luau` calls.
pub(crate) fn install(lua: &Lua, host: Table) -> mlua::Result<Prelude> {
    let shared = lua.globals();
    let traceback = shared.get::<Table>("debug")?.get("traceback")?;
    let chunk_name = format!("={INTERNAL}");
    lua.load(STDLIB).set_name(&chunk_name).exec()?;
    let prelude: Table = lua.load(PRELUDE).set_name(&chunk_name).call(host)?;
    shared.set("task", prelude.get::<Table>("task")?)?;

    let array = lua.create_table()?;
    array.set_readonly(true);
    lua.sandbox(true)?;
    Ok(Prelude {
        expose: prelude.get("expose")?,
        await_: prelude.get("await")?,
        isolate: prelude.get("isolate")?,
        start: prelude.get("start")?,
        traceback,
        shared,
        array,
    })
}

/// Leaves our own frames out of a traceback: authors look for their lines.
pub(crate) fn clean_traceback(raw: &str) -> String {
    let own = |line: &&str| !line.starts_with(INTERNAL) && !line.starts_with("[C]") && !line.trim().is_empty();
    raw.lines().filter(own).take(50).collect::<Vec<_>>().join("\n")
}
