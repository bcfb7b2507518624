//! `ctx.Discord`, and the executors of bulk operations: objects with the same functions, each of which waits for its turn.
//!
//! Owns how they look to a script. When a turn is, and that a call waits for it, is the host's business.

use khronos::{ObjectType, Reply};
use mlua::{Lua, MultiValue, Value};

use super::{Plugins, answer_to};
use crate::host::calls::{DiscordCall, Family as _};
use crate::host::discord::shapes::results::BULK_OP as BULK_OP_TYPE;

struct Discord;

impl ObjectType for Discord {
    const NAME: &'static str = "Discord";
}

/// An executor.
struct BulkOp;

impl ObjectType for BulkOp {
    const NAME: &'static str = BULK_OP_TYPE.name;
}

/// The function that gives an executor.
const BULK_OP: &str = "antiraid_bulk_op";

impl Plugins {
    /// `ctx.Discord`.
    pub(super) fn discord(&self, lua: &Lua) -> mlua::Result<Value> {
        self.object::<Discord, DiscordCall>(lua, vec![(BULK_OP, self.bulk_op(lua)?)])
    }

    /// The function that makes an executor of what the host says of an action.
    fn bulk_op(&self, lua: &Lua) -> mlua::Result<Value> {
        let number = DiscordCall::NAMES.iter().position(|name| *name == BULK_OP).unwrap_or_default();
        let (asks, makes) = (self.clone(), self.clone());
        let made = self.functions.mapped_async_function(
            lua,
            BULK_OP,
            |_, arguments| Ok(without_self(arguments)),
            move |lua, turn| makes.executor(lua, turn).map_err(|error| error.to_string()),
            move |arguments, reply| asks.call::<DiscordCall>(number, arguments, reply),
        )?;
        Ok(Value::Function(made))
    }

    /// The executor of the action that `turn` is about: a table with its name and pace.
    fn executor(&self, lua: &Lua, mut turn: MultiValue) -> mlua::Result<MultiValue> {
        let Some(Value::Table(turn)) = turn.pop_front() else { return Ok(MultiValue::new()) };
        let action: String = turn.raw_get("action")?;
        let fields = vec![
            ("action", turn.raw_get("action")?),
            ("gap_ms", turn.raw_get("gap_ms")?),
            (BULK_OP, self.bulk_op(lua)?),
        ];
        let plugins = self.clone();
        let serve =
            move |number, arguments, reply: Reply| match DiscordCall::from_arguments(number, arguments) {
                Ok(call) => {
                    let call = call.of_bulk(&action).into();
                    plugins.line.call(plugins.caller.clone(), call, answer_to(reply));
                }
                Err(wrong) => reply.error(wrong),
            };
        let executor = self.functions.object::<BulkOp>(lua, fields, DiscordCall::NAMES, serve)?;
        Ok(MultiValue::from_iter([executor]))
    }
}

/// The arguments of `ctx.Discord:antiraid_bulk_op(..)` are those of `ctx.Discord.antiraid_bulk_op(..)`. It takes no object.
fn without_self(mut arguments: MultiValue) -> MultiValue {
    if matches!(arguments.front(), Some(Value::UserData(_))) {
        arguments.pop_front();
    }
    arguments
}
