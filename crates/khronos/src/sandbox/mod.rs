//! The order in which a VM becomes a sandbox.
//!
//! 1. The files of `stdlib` replace and remove library functions. `library` is their Rust half.
//! 2. `prelude.luau` takes what it needs of them and adds `task`; so does `objects.luau`, for the modules of `library`.
//! 3. Luau's own sandbox makes every library table and the shared globals read-only.
//!
//! From then on no script can change anything that another isolate sees. Leaves to `isolate` what each template has
//! for itself.

pub(crate) mod library;

use std::sync::Arc;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use crate::error::RuntimeError;
use crate::slow_lane::SlowLane;

/// The first gives the others what they share.
const STDLIB: [&str; 4] = [
    include_str!("stdlib/guard.luau"),
    include_str!("stdlib/string.luau"),
    include_str!("stdlib/table.luau"),
    include_str!("stdlib/globals.luau"),
];
const PRELUDE: &str = include_str!("prelude.luau");
const OBJECTS: &str = include_str!("../library/objects.luau");

/// The chunk name of our own Luau code; frames of it are left out of tracebacks.
pub(crate) const INTERNAL: &str = "[runtime]";

/// What all VMs of a process share: our own Luau code, compiled, and a thread for what is too long for theirs. Make one, and
/// clone it, which is cheap.
#[derive(Debug, Clone)]
pub struct BaseLibrary {
    code: Arc<Compiled>,
    pub(crate) slow_lane: SlowLane,
}

#[derive(Debug)]
struct Compiled {
    stdlib: Vec<Vec<u8>>,
    prelude: Vec<u8>,
    objects: Vec<u8>,
}

impl BaseLibrary {
    /// Compiles it.
    ///
    /// # Errors
    /// [`RuntimeError::Create`], which would be a defect of this crate.
    pub fn compile() -> Result<Self, RuntimeError> {
        let compile = |source, optimization, debug| {
            let compiler = Compiler::new().set_optimization_level(optimization).set_debug_level(debug);
            compiler.compile(source).map_err(RuntimeError::Create)
        };
        // Without lines, a replaced function looks in error messages as Luau's own, which has none either. And without
        // inlining, the levels that it gives to `error` are right.
        let stdlib = STDLIB.into_iter().map(|source| compile(source, 1, 0)).collect::<Result<_, _>>()?;
        let (prelude, objects) = (compile(PRELUDE, 2, 0)?, compile(OBJECTS, 2, 0)?);
        let code = Arc::new(Compiled { stdlib, prelude, objects });
        Ok(Self { code, slow_lane: SlowLane::default() })
    }
}

/// Functions of `prelude.luau` that the Rust side calls.
#[derive(Debug)]
pub(crate) struct Prelude {
    pub(crate) expose: Function,
    pub(crate) await_: Function,
    pub(crate) isolate: Function,
    pub(crate) logger: Function,
    pub(crate) start: Function,
    /// What `library` makes its functions and objects with.
    pub(crate) objects: Table,
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
pub(crate) fn install(lua: &Lua, base: &BaseLibrary, host: Table) -> mlua::Result<Prelude> {
    let shared = lua.globals();
    let traceback = shared.get::<Table>("debug")?.get("traceback")?;
    let load = |code: &[u8]| {
        lua.load(code).set_name(format!("={INTERNAL}")).set_mode(ChunkMode::Binary).into_function()
    };
    let mut guard = Value::Nil;
    for file in &base.code.stdlib {
        let shares: Value = load(file)?.call((&host, &guard))?;
        if guard.is_nil() {
            guard = shares;
        }
    }
    let prelude: Table = load(&base.code.prelude)?.call(&host)?;
    let objects = load(&base.code.objects)?.call(host)?;
    shared.set("task", prelude.get::<Table>("task")?)?;

    let array = lua.create_table()?;
    array.set_readonly(true);
    lua.sandbox(true)?;
    Ok(Prelude {
        expose: prelude.get("expose")?,
        await_: prelude.get("await")?,
        isolate: prelude.get("isolate")?,
        logger: prelude.get("logger")?,
        start: prelude.get("start")?,
        objects,
        traceback,
        shared,
        array,
    })
}

/// Lines of a traceback, and bytes of each: a script may call its functions what it likes.
const MAX_FRAMES: usize = 50;
const MAX_FRAME: usize = 300;

/// Leaves our own frames out of a traceback: authors look for their lines.
pub(crate) fn clean_traceback(raw: &str) -> String {
    let own = |line: &str| {
        let file = line.split([':', ' ']).next().unwrap_or_default();
        matches!(file, INTERNAL | "[C]" | "")
    };
    let frames = raw
        .lines()
        .filter(|line| !own(line))
        .take(MAX_FRAMES)
        .map(|line| &line[..line.floor_char_boundary(MAX_FRAME)]);
    frames.collect::<Vec<_>>().join("\n")
}
