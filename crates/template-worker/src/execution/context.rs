//! `ctx`: what a template gets beside the event, and the only way to anything outside its VM.
//!
//! Owns the plain fields and the capability questions. The plugins that reach outside come beside these fields and
//! bring their own files.

use khronos::{IsolateId, KhronosRuntime, KhronosValue, RuntimeError};
use mlua::{Lua, MetaMethod, Table, UserData, UserDataMethods, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::template::TemplateInfo;

/// The object behind `ctx`: read-only, and `typeof` knows its name.
struct ContextObject(Table);

impl UserData for ContextObject {
    fn add_fields<F: mlua::UserDataFields<Self>>(fields: &mut F) {
        // mlua locks the metatables of its userdata by itself: `getmetatable(ctx)` is false.
        fields.add_meta_field(MetaMethod::Type, "TemplateContext");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, this, key: Value| this.0.raw_get::<Value>(key));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("TemplateContext"));
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, (_, _): (Value, Value)| -> mlua::Result<()> {
            Err(mlua::Error::runtime("ctx is read-only; keep state in ctx.store or in your own variables"))
        });
    }
}

/// Builds the `ctx` of a template that runs in `isolate`. `store` is the table that the guild's templates share.
pub(crate) fn create_context(
    runtime: &KhronosRuntime,
    isolate: IsolateId,
    template: &TemplateInfo,
    store: &Table,
) -> Result<Value, RuntimeError> {
    let guild = template.guild.to_string();
    let fields = runtime.create_value(&KhronosValue::from([
        ("guild_id", guild.clone().into()),
        ("owner_guild_id", guild.into()),
        ("template_name", template.name.as_str().into()),
        ("memory_limit", KhronosValue::from(float(runtime.memory_limit()))),
        (
            "allowed_caps",
            texts(template.capabilities.iter().map(|capability| capability.as_str().to_owned())),
        ),
        ("data", data(template)),
    ]))?;
    let has_cap = {
        let capabilities = template.capabilities.clone();
        runtime.create_function(move |_, wanted: Value| Ok(capabilities.allows(&text(&wanted)?)))?
    };
    let has_any_cap = {
        let capabilities = template.capabilities.clone();
        runtime.create_function(move |_, wanted: Value| {
            let Value::Table(wanted) = &wanted else {
                return Err("has_any_cap takes a list of capabilities".to_owned());
            };
            for capability in wanted.sequence_values::<Value>().take(crate::template::MAX_CAPABILITIES) {
                if capabilities.allows(&text(&capability.map_err(|error| error.to_string())?)?) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?
    };
    let log = runtime.create_logger(isolate)?;
    runtime
        .with_lua(|lua| build(lua, &fields, has_cap, has_any_cap, log, store))?
        .map_err(RuntimeError::CreateValue)
}

fn build(
    lua: &Lua,
    fields: &Value,
    has_cap: mlua::Function,
    has_any_cap: mlua::Function,
    log: Table,
    store: &Table,
) -> mlua::Result<Value> {
    let all = lua.create_table()?;
    if let Value::Table(fields) = fields {
        for pair in fields.pairs::<Value, Value>() {
            let (key, value) = pair?;
            all.raw_set(key, value)?;
        }
    }
    all.raw_set("has_cap", has_cap)?;
    all.raw_set("has_any_cap", has_any_cap)?;
    all.raw_set("log", log)?;
    all.raw_set("store", store)?;
    all.set_readonly(true);
    Ok(Value::UserData(lua.create_userdata(ContextObject(all))?))
}

fn data(template: &TemplateInfo) -> KhronosValue {
    let error_channel = template.error_channel.as_deref().map_or(KhronosValue::Null, Into::into);
    KhronosValue::from([
        ("guild_id", template.guild.to_string().into()),
        ("name", template.name.as_str().into()),
        ("description", template.description.as_str().into()),
        ("events", texts(template.events.iter().map(ToString::to_string))),
        ("error_channel", error_channel),
        ("lang", "luau".into()),
        (
            "allowed_caps",
            texts(template.capabilities.iter().map(|capability| capability.as_str().to_owned())),
        ),
        ("version", KhronosValue::Integer(template.version.into())),
        ("created_at", rfc3339(template.created_at)),
        ("updated_at", rfc3339(template.updated_at)),
    ])
}

fn texts(items: impl Iterator<Item = String>) -> KhronosValue {
    KhronosValue::List(items.map(Into::into).collect())
}

fn rfc3339(time: OffsetDateTime) -> KhronosValue {
    time.format(&Rfc3339).map_or(KhronosValue::Null, Into::into)
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string_lossy()),
        other => Err(format!("a capability is a text such as \"kv:get:*\", got a {}", other.type_name())),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
fn float(bytes: usize) -> f64 {
    bytes as f64
}
