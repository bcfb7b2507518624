//! `ctx`: what a template gets beside the event, and the only way to anything outside its VM.
//!
//! Owns the plain fields, the capability questions, and limiting a context further. What there is stands in `declared`; what
//! reaches outside comes from `plugins`.

use std::sync::Arc;

use khronos::{IsolateId, KhronosRuntime, KhronosValue, RuntimeError};
use mlua::{Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::LoadedTemplate;
use super::declared::{CONTEXT, Members};
use crate::capabilities::{Capabilities, Capability, CapabilityError};
use crate::host::discord::CurrentUser;
use crate::host::{Caller, HostLine};
use crate::plugins::Plugins;
use crate::template::{Author, MAX_CAPABILITIES, TemplateInfo};

/// The object behind `ctx`: read-only, and `typeof` knows its name.
struct ContextObject(Table);

impl UserData for ContextObject {
    fn add_fields<F: mlua::UserDataFields<Self>>(fields: &mut F) {
        // mlua locks the metatables of its userdata by itself: `getmetatable(ctx)` is false.
        fields.add_meta_field(MetaMethod::Type, CONTEXT.name);
        khronos::add_metamethod(fields, MetaMethod::NewIndex, |_, _: MultiValue| -> Result<(), String> {
            Err("ctx is read-only; keep state in ctx.store or in your own variables".to_owned())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, this, key: Value| this.0.raw_get::<Value>(key));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok(CONTEXT.name));
    }
}

/// What a context is made of, beside what it may do.
#[derive(Clone)]
struct Context {
    plugins: Plugins,
    /// What stays the same in a context that is limited further.
    fields: Table,
}

/// Builds the `ctx` of a template that runs in `isolate`. `store` is the table that the guild's templates share; calls go out by
/// `line`.
pub(crate) fn create_context(
    runtime: &KhronosRuntime,
    isolate: IsolateId,
    loaded: &LoadedTemplate,
    store: &Table,
    line: &Arc<dyn HostLine>,
) -> Result<Value, RuntimeError> {
    let template = &loaded.info;
    let guild = template.guild.to_string();
    let fields = runtime.create_value(&KhronosValue::from([
        ("guild_id", guild.clone().into()),
        ("owner_guild_id", guild.into()),
        ("template_name", template.name.as_str().into()),
        ("memory_limit", KhronosValue::from(float(runtime.memory_limit()))),
        ("current_user", loaded.current_user.as_deref().map_or(KhronosValue::Null, user)),
        ("data", data(template)),
    ]))?;
    let log = runtime.create_logger(isolate)?;
    let plugins = Plugins {
        functions: runtime.host_functions(),
        line: Arc::clone(line),
        caller: Caller { guild: template.guild, template: Arc::clone(template), limited: None },
    };
    let build = |lua: &Lua| {
        let all = lua.create_table()?;
        if let Value::Table(fields) = &fields {
            for pair in fields.pairs::<Value, Value>() {
                let (key, value) = pair?;
                all.raw_set(key, value)?;
            }
        }
        all.raw_set("log", log)?;
        all.raw_set("store", store)?;
        Context { plugins, fields: all }.build(lua)
    };
    runtime.with_lua(build)?.map_err(RuntimeError::CreateValue)
}

impl Context {
    /// The context as an object.
    fn build(self, lua: &Lua) -> mlua::Result<Value> {
        let all = Members::new(lua)?;
        for pair in self.fields.pairs::<String, Value>() {
            let (key, value) = pair?;
            all.set(&key, value)?;
        }
        for (name, object) in self.plugins.fields(lua)? {
            all.set(name, object)?;
        }
        let capabilities = self.capabilities().within(&self.plugins.line.most());
        let allowed = lua.create_sequence_from(capabilities.iter().map(Capability::as_str))?;
        allowed.set_readonly(true);
        all.set("allowed_caps", allowed)?;
        let functions = self.plugins.functions.clone();
        let plugins = self.plugins.clone();
        let has_cap = move |_: &Lua, arguments: MultiValue| {
            let wanted = without_self(arguments).pop_front().unwrap_or(Value::Nil);
            Ok(is_allowed(&plugins, &text(&wanted)?))
        };
        all.set("has_cap", functions.function(lua, has_cap)?)?;
        let plugins = self.plugins.clone();
        let has_any_cap = move |_: &Lua, arguments: MultiValue| {
            let wanted = capabilities_of(without_self(arguments).pop_front(), "has_any_cap")?;
            Ok(wanted.iter().any(|wanted| is_allowed(&plugins, wanted)))
        };
        all.set("has_any_cap", functions.function(lua, has_any_cap)?)?;
        let withlimits = move |lua: &Lua, arguments: MultiValue| {
            let limited = self.limited_to(without_self(arguments).pop_front())?;
            limited.build(lua).map_err(|error| error.to_string())
        };
        all.set("withlimits", functions.function(lua, withlimits)?)?;
        Ok(Value::UserData(lua.create_userdata(ContextObject(all.done()?))?))
    }

    /// What the guild and the context itself leave of what a script may do with it.
    fn capabilities(&self) -> &Capabilities {
        let Caller { template, limited, .. } = &self.plugins.caller;
        limited.as_deref().unwrap_or(&template.capabilities)
    }

    /// The same context with the capabilities that `limits` names, each of which has to be covered by one of its own.
    fn limited_to(&self, limits: Option<Value>) -> Result<Self, String> {
        let wrong = "withlimits takes a table with the field `capabilities`, a list of capabilities";
        let Some(Value::Table(limits)) = limits else { return Err(wrong.to_owned()) };
        let wanted = limits.raw_get::<Value>("capabilities").map_err(|error| error.to_string())?;
        let mut left = Vec::new();
        for wanted in capabilities_of(Some(wanted), "withlimits")? {
            let capability = capability(&wanted)?;
            if !self.plugins.allows(capability.as_str()) {
                return Err(format!(
                    "a context can only be limited further: it lacks the capability `{capability}` itself"
                ));
            }
            left.push(capability);
        }
        let mut limited = self.clone();
        limited.plugins.caller.limited = Some(Arc::new(left.into_iter().collect()));
        Ok(limited)
    }
}

/// The arguments of `ctx:f(..)` are those of `ctx.f(..)`.
fn without_self(mut arguments: MultiValue) -> MultiValue {
    if matches!(arguments.front(), Some(Value::UserData(first)) if first.is::<ContextObject>()) {
        arguments.pop_front();
    }
    arguments
}

/// What is no capability, nobody has: a template may ask for one that another service knows.
fn is_allowed(plugins: &Plugins, wanted: &str) -> bool {
    capability(wanted).is_ok_and(|wanted| plugins.allows(wanted.as_str()))
}

fn capability(text: &str) -> Result<Capability, String> {
    text.parse().map_err(|error: CapabilityError| error.to_string())
}

/// A list of capabilities as texts. Raw access only, so that no metamethod of a script runs.
fn capabilities_of(list: Option<Value>, function: &str) -> Result<Vec<String>, String> {
    let Some(Value::Table(list)) = list else {
        return Err(format!("{function} takes a list of capabilities"));
    };
    if list.raw_len() > MAX_CAPABILITIES {
        return Err(format!(
            "{} capabilities are more than {function} takes ({MAX_CAPABILITIES})",
            list.raw_len()
        ));
    }
    (1..=list.raw_len())
        .map(|at| text(&list.raw_get::<Value>(at).map_err(|error| error.to_string())?))
        .collect()
}

fn data(template: &TemplateInfo) -> KhronosValue {
    KhronosValue::from([
        ("guild_id", template.guild.to_string().into()),
        ("name", template.name.as_str().into()),
        ("description", template.description.as_str().into()),
        ("events", texts(template.events.iter().map(ToString::to_string))),
        ("error_channel", optional(template.error_channel.as_deref())),
        ("lang", "luau".into()),
        (
            "allowed_caps",
            texts(template.capabilities.iter().map(|capability| capability.as_str().to_owned())),
        ),
        ("version", KhronosValue::Integer(template.version.into())),
        ("created_at", rfc3339(template.created_at)),
        ("created_by", optional(template.created_by.as_ref().map(Author::as_str))),
        ("updated_at", rfc3339(template.updated_at)),
        ("updated_by", optional(template.updated_by.as_ref().map(Author::as_str))),
    ])
}

fn user(user: &CurrentUser) -> KhronosValue {
    KhronosValue::from([
        ("id", user.id.to_string().into()),
        ("username", user.username.as_str().into()),
        ("discriminator", optional(user.discriminator.as_deref())),
        ("global_name", optional(user.global_name.as_deref())),
        ("avatar", optional(user.avatar.as_deref())),
        ("bot", user.bot.into()),
    ])
}

fn optional(text: Option<&str>) -> KhronosValue {
    text.map_or(KhronosValue::Null, Into::into)
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
