//! What `ctx` and the event are to a script: the fields and functions of their own, as they are declared. What else is under
//! `ctx` are the families of [`HostCall`](crate::host::HostCall).
//!
//! Owns the descriptions, and that `ctx` is made of what is described and nothing else: see [`Members`].

use khronos::declare::{Function, Type, field, object, parameter, table};
use mlua::{IntoLua, Lua, Table};

use crate::host::calls::HostCall;

/// What to use instead of a module that AntiRaid had.
pub(crate) fn instead_of(module: &str) -> Option<&'static str> {
    Some(match module {
        "@antiraid/kv" => "use `ctx.KV`",
        "@antiraid/discord" => "use `ctx.Discord`",
        "@antiraid/datastores" => "use `ctx.DataStores`",
        "@antiraid/objectstorage" => "use `ctx.ObjectStorage`",
        "@antiraid/img_captcha" => "use `ctx.ImageCaptcha`",
        "@antiraid/http" | "@antiraid/httpclient" | "@lune/net" => "use `ctx.HTTPClient`",
        "@antiraid/promise" => "call the function alone: what takes its time waits by itself",
        "@lune/task" => "use the global `task`",
        _ => return None,
    })
}

/// `ctx`.
pub const CONTEXT: Type = object(
    "TemplateContext",
    "Where a template runs, and its only way to anything outside. It is read-only.",
    &[
        field("guild_id", "string", "The guild that the template runs for."),
        field("owner_guild_id", "string", "The guild that the template belongs to: the same one."),
        field("template_name", "string", "The template's name."),
        field(
            "allowed_caps",
            "{string}",
            "The capabilities that this context has: what the guild's admin gave the template, within what the operator allows any.",
        ),
        field("memory_limit", "number", "Bytes that all templates of the guild together may have in use."),
        field(
            "current_user",
            "DiscordUser?",
            "The bot's user, as Discord describes it; frozen. Nil where the service has no bot. Also where Discord had not \
             answered yet when the template was loaded: it stays nil until it is loaded again, as after a change of \
             one of the guild's templates.",
        ),
        field("data", "TemplateData", "What is stored about the template."),
        field(
            "store",
            "{[any]: any}",
            "A table that all templates of the guild share. It is empty again in a new VM: what has to last belongs in `ctx.KV`.",
        ),
        field("log", "Log", "Writes to the template's log."),
    ],
    &[
        Function {
            name: "has_cap",
            doc: "Whether this context has a capability: the operator, the guild's admin and the context itself have to allow it. \
                  Nobody has one that is not in the list.",
            parameters: &[parameter(
                "capability",
                "string",
                "Such as `kv:get:*`. One that is wider covers it.",
            )],
            returns: "boolean",
        },
        Function {
            name: "has_any_cap",
            doc: "Whether this context has one of several capabilities.",
            parameters: &[parameter("capabilities", "{string}", "Of an empty list it has none.")],
            returns: "boolean",
        },
        Function {
            name: "withlimits",
            doc: "A context that can do less, to hand to code that needs no more. Fails where it would have more than this one.",
            parameters: &[parameter("limits", "ContextLimits", "What is left.")],
            returns: "TemplateContext",
        },
    ],
    &[],
);

/// The tables that are reached by it.
pub const TABLES: &[Type] = &[DATA, LOG, LIMITS, EVENT];

/// `ctx.data`.
const DATA: Type = table(
    "TemplateData",
    "What is stored about a template. It is frozen.",
    &[
        field("guild_id", "string", "The guild that it is stored for."),
        field("name", "string", "Its name."),
        field("description", "string", "What its author says it does."),
        field("events", "{string}", "What it listens to."),
        field(
            "error_channel",
            "string?",
            "The channel for its errors. It is kept, and nothing is posted there yet.",
        ),
        field("lang", "string", "`luau`."),
        field("allowed_caps", "{string}", "The capabilities that the guild's admin gave it."),
        field("version", "number", "Counts its changes, from 1."),
        field("created_at", "string", "When it was stored first, as RFC 3339."),
        field(
            "created_by",
            "string?",
            "Who stored it: `token:deploy` is the API's token of this name, `template:greet` another template. Nil where that was \
             before it was written down.",
        ),
        field("updated_at", "string", "When it was changed last."),
        field("updated_by", "string?", "Who changed it last."),
    ],
);

/// `ctx.log`.
const LOG: Type = table(
    "Log",
    "Writes lines to the template's log, and is frozen. No request reads that log yet: `template-worker run` and `test` print it, and a \
          service writes it into its own with `template_worker::template_log=debug`.",
    &[
        field("info", "(...any) -> ()", "A line of the level `info`, as `print` writes."),
        field("warn", "(...any) -> ()", "A line of the level `warn`."),
        field("error", "(...any) -> ()", "A line of the level `error`. It ends nothing."),
    ],
);

const LIMITS: Type = table(
    "ContextLimits",
    "What a context is limited to.",
    &[field(
        "capabilities",
        "{string}",
        "All that it may do, each covered by what the context has that limits it.",
    )],
);

/// The first thing that a handler gets.
pub const EVENT: Type = table(
    "Event",
    "Something that happened. It is frozen, all the way down.",
    &[
        field("base_name", "string", "Where it comes from: `Discord`, `AntiRaid` or `Custom`."),
        field("name", "string", "What it is, such as `MESSAGE_CREATE`."),
        field(
            "id",
            "string",
            "Its own. An event that is sent twice runs twice, with the same id where its sender gave it one.",
        ),
        field(
            "data",
            "any",
            "The rest. Ids are texts, null is nil, and arrays are arrays also when they are empty.",
        ),
    ],
);

/// The members of a `ctx` that is being made. What is declared comes in, and nothing else.
pub(super) struct Members(Table);

impl Members {
    pub(super) fn new(lua: &Lua) -> mlua::Result<Self> {
        lua.create_table().map(Self)
    }

    /// Adds one.
    ///
    /// # Errors
    /// Where nothing of that name is declared.
    pub(super) fn set(&self, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        if !names().any(|declared| declared == name) {
            return Err(mlua::Error::runtime(format!("ctx.{name} is not declared")));
        }
        self.0.raw_set(name, value)
    }

    /// The table, read-only.
    ///
    /// # Errors
    /// Where something is declared, is not nil at times, and was not added.
    pub(super) fn done(self) -> mlua::Result<Table> {
        for name in names() {
            if !is_optional(name) && !self.0.contains_key(name)? {
                return Err(mlua::Error::runtime(format!("ctx.{name} is declared and missing")));
            }
        }
        self.0.set_readonly(true);
        Ok(self.0)
    }
}

/// Whether it may be nil.
fn is_optional(name: &str) -> bool {
    CONTEXT.fields.iter().any(|field| field.name == name && field.ty.ends_with('?'))
}

/// What is under `ctx`.
fn names() -> impl Iterator<Item = &'static str> {
    let families = HostCall::families().iter();
    let objects = families.map(|family| family.object.split('.').next().unwrap_or(family.object));
    let own = CONTEXT.fields.iter().map(|field| field.name);
    own.chain(CONTEXT.methods.iter().map(|method| method.name)).chain(objects)
}
