//! `@antiraid/luau`: code that a script puts together, and values for people to read.
//!
//! Loaded code is code of its template: it runs in the thread that calls it, under the same limits, and gets the same
//! safepoints as the template's files. Compiling cannot be paused, so that there is a limit on its length. Leaves
//! what values look like to `format`.

mod format;

use std::rc::Rc;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, LuaString, MultiValue, Table};

use super::Globals;
use super::arguments::Text;
use super::classes::{Class, Object, object};
use super::members::{Call, Maker, Outcome};
use crate::bytecode::safepoints;
use crate::declare::{Module, Parameter, Type};
use crate::declare::{field, function, object as declare_object, parameter};
use crate::scheduler::collector::Charge;

const ARGUMENTS: &[Parameter] = &[parameter("..", "...any", "What it gets.")];

pub(super) const MODULE: Module = Module {
    path: "@antiraid/luau",
    doc: "Code that a template puts together, and values as people read them.",
    fields: &[],
    functions: &[
        function(
            "load",
            &[parameter("code", "string", "Luau code, at most 32 KiB of it.")],
            "Chunk",
            "Code that can be called. Whether it is Luau shows when it is called.",
        ),
        function(
            "format",
            ARGUMENTS,
            "string",
            "Values as text for people, with tables inside tables, at most 16 KiB of it. No metamethod runs.",
        ),
    ],
    types: &[CHUNK],
};

const CHUNK: Type = declare_object(
    "Chunk",
    "Code that was loaded, which runs as code of the template does. Its fields can be assigned.",
    &[
        field(
            "environment",
            "{[string]: any}?",
            "Its globals: those of the template, unless another table was assigned.",
        ),
        field(
            "optimization_level",
            "number",
            "How much the compiler optimizes: 0, 1 or 2; 1 at first. 2 is the same as 1, as by inlining a little code can become very much.",
        ),
        field("code", "string", "The code."),
        field(
            "chunk_name",
            "string",
            "What errors and tracebacks call it: letters, digits, and some of `/._- `.",
        ),
    ],
    &[
        function("call", ARGUMENTS, "...any", "Runs it. It may wait, as any code may."),
        function("call_async", ARGUMENTS, "...any", "The same as `call`."),
    ],
    &[],
);

/// The compiler takes the more time, the more there is: see the tests for what takes longest.
const LONGEST_CODE: usize = 32 << 10;
const LONGEST_NAME: usize = 100;
/// What a chunk takes besides its code. It is less; but each may hold an environment, and there must not be a million of those.
const A_CHUNK: usize = 1_024;
/// From the next level on, the compiler inlines.
const MOST_OPTIMIZED: u8 = 1;

pub(super) fn make(module: &mut Maker<'_>, globals: &Globals<'_>) -> mlua::Result<()> {
    let globals = Rc::new(globals.0.clone());
    module.function("load", move |call, (code,): (LuaString,)| {
        Chunk::new(call, code.as_bytes().as_ref(), Rc::clone(&globals))
    })?;
    module.function("format", |call, values: MultiValue| {
        call.room(format::LONGEST * 2)?;
        Ok(format::format(&values))
    })
}

#[derive(Debug)]
struct Chunk {
    code: Vec<u8>,
    name: String,
    level: u8,
    globals: Rc<Table>,
    /// Instead of the globals.
    environment: Option<Table>,
    /// Made when it is called for the first time.
    compiled: Option<(Vec<u8>, Charge)>,
    charge: Charge,
}

object!(Chunk);

impl Chunk {
    fn new(call: &Call<'_>, code: &[u8], globals: Rc<Table>) -> Outcome<Self> {
        let charge = Self::charge(call, code)?;
        let (code, name) = (code.to_vec(), "loaded".to_owned());
        Ok(Self { code, name, level: 1, globals, environment: None, compiled: None, charge })
    }

    fn charge(call: &Call<'_>, code: &[u8]) -> Outcome<Charge> {
        if code.len() > LONGEST_CODE {
            return Err(format!(
                "the code has more than {LONGEST_CODE} bytes: put it into a file of the template"
            )
            .into());
        }
        call.charge(code.len() + A_CHUNK)
    }

    /// A function that runs it.
    fn function(&mut self, call: &Call<'_>) -> Outcome<Function> {
        let bytecode = match &mut self.compiled {
            Some((bytecode, _)) => bytecode,
            none => {
                // What the compiler needs, from what was measured.
                call.room(self.code.len() * 64 + (256 << 10))?;
                let bytecode =
                    compile(&self.code, self.level).map_err(|message| format!("{}:{message}", self.name))?;
                let charge = call.charge(bytecode.len())?;
                &mut none.insert((bytecode, charge)).0
            }
        };
        let environment = self.environment.as_ref().unwrap_or(&self.globals);
        let function = call
            .lua
            .load(&bytecode[..])
            .set_name(format!("={}", self.name))
            .set_mode(ChunkMode::Binary)
            .set_environment(environment.clone())
            .into_function()?;
        Ok(function)
    }
}

fn compile(code: &[u8], level: u8) -> Result<Vec<u8>, String> {
    let compiler = Compiler::new()
        .set_optimization_level(level.min(MOST_OPTIMIZED))
        .set_debug_level(1)
        .set_type_info_level(1);
    let compile = |covered| compiler.clone().set_coverage_level(u8::from(covered)).compile(code);
    match safepoints::compile(compile) {
        Ok(Ok(bytecode)) => Ok(bytecode),
        Ok(Err(_)) => Err(" a statement has so many operations, or so many texts have the same hash, that the script could \
                           not be paused; make several statements of it"
            .to_owned()),
        Err(mlua::Error::SyntaxError { message, .. }) => Err(message.trim_start_matches(':').to_owned()),
        Err(other) => Err(other.to_string()),
    }
}

/// Names of our own code mean something in tracebacks, and so do signs at the beginning of Luau's.
fn is_name(name: &str) -> bool {
    let is_fine = |sign: char| sign.is_alphanumeric() || matches!(sign, '/' | '.' | '_' | '-' | ' ');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_fine)
}

impl Object for Chunk {
    const TYPE: &'static Type = &CHUNK;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.field("environment", |_, chunk| Ok(chunk.environment.clone()))?;
        class.field("optimization_level", |_, chunk| Ok(chunk.level))?;
        class.field("code", |call, chunk| Ok(call.lua.create_string(&chunk.code)?))?;
        class.field("chunk_name", |_, chunk| Ok(chunk.name.clone()))?;
        class.setter("environment", |_, chunk, table: Option<Table>| {
            chunk.environment = table;
            Ok(())
        })?;
        class.setter("optimization_level", |_, chunk, level: i64| {
            let level = u8::try_from(level).ok().filter(|level| *level <= 2);
            chunk.level = level.ok_or("'optimization_level' is 0, 1 or 2")?;
            chunk.compiled = None;
            Ok(())
        })?;
        class.setter("code", |call, chunk, code: LuaString| {
            let code = code.as_bytes();
            chunk.charge = Self::charge(call, &code)?;
            chunk.code = code.to_vec();
            chunk.compiled = None;
            Ok(())
        })?;
        class.setter("chunk_name", |_, chunk, name: Text| {
            if !is_name(&name.0) {
                return Err(
                    "a name has 1 to 100 bytes: letters, digits, `/`, `.`, `_`, `-` and spaces".into()
                );
            }
            chunk.name = name.0;
            Ok(())
        })?;
        class.caller("call", |call, chunk| chunk.function(call))?;
        class.caller("call_async", |call, chunk| chunk.function(call))
    }
}
