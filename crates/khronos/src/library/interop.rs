//! `@antiraid/interop`: values that tables cannot hold, and what the VM uses.

use mlua::Value;

use super::Globals;
use super::members::Maker;
use crate::declare::Module;
use crate::declare::{field, function};

pub(super) const MODULE: Module = Module {
    path: "@antiraid/interop",
    doc: "Values that tables cannot hold, and what the guild's templates use of their memory.",
    fields: &[
        field(
            "null",
            "any",
            "A value that leaves as null: in a table, nil is no value at all. It equals itself only.",
        ),
        field(
            "array_metatable",
            "{}",
            "The metatable of lists: a table that has it leaves as a list, also when it is empty.",
        ),
    ],
    functions: &[
        function(
            "memusage",
            &[],
            "number",
            "Bytes that all templates of the guild have in use, with garbage.",
        ),
        function("memory_limit", &[], "number", "Bytes that they may have in use, all together."),
    ],
    types: &[],
};

pub(super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.field("null", Value::NULL)?;
    let array = module.library().array.clone();
    module.field("array_metatable", array)?;
    module.function("memusage", |call, ()| Ok(number(call.library.scheduler.used_memory(call.lua))))?;
    module.function("memory_limit", |call, ()| Ok(number(call.library.scheduler.memory_limit())))
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
fn number(bytes: usize) -> f64 {
    bytes as f64
}
