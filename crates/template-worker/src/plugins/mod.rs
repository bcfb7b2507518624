//! The Luau faces of what the host does: read-only objects under `ctx`, whose functions are [`HostCall`]s.
//!
//! Owns how a declared family of calls becomes an object, and which objects there are. What a call does, and whether it may,
//! is the host's business: nothing here decides it. A family whose face is more than functions has a file of its own.

mod discord;
mod http;

use std::sync::Arc;

use khronos::{HostFunctions, KhronosValue, ObjectType, Reply};
use mlua::{Lua, MultiValue, Value};

use crate::host::calls::{
    CaptchaCall, CopyCall, Family, KvCall, LinksCall, ObjectCall, SecretCall, StatsCall, TemplatesCall,
};
use crate::host::{Answer, Caller, HostCall, HostLine, HostReply};

/// Declares what `typeof` says of objects.
macro_rules! object_types {
    ($( $kind:ident $name:literal, )+) => {
        $(
            struct $kind;

            impl ObjectType for $kind {
                const NAME: &'static str = $name;
            }
        )+
    };
}

object_types! {
    DataStores "DataStores",
    StatsStore "StatsStore",
    LinksStore "LinksStore",
    CopyDataStore "CopyDataStore",
    TemplateStore "TemplateStore",
    Kv "KV",
    ObjectStorage "ObjectStorage",
    ImageCaptcha "ImageCaptcha",
    Secrets "Secrets",
}

/// What it takes to make the objects of one context.
#[derive(Clone)]
pub(crate) struct Plugins {
    pub(crate) functions: HostFunctions,
    pub(crate) line: Arc<dyn HostLine>,
    pub(crate) caller: Caller,
}

impl Plugins {
    /// Whether a script may do `wanted`, as far as it can be known here: the host decides.
    pub(crate) fn allows(&self, wanted: &str) -> bool {
        self.line.most().allows(wanted) && self.caller.allows(wanted)
    }

    /// The fields that they are under `ctx`.
    ///
    /// # Errors
    /// For want of memory.
    pub(crate) fn fields(&self, lua: &Lua) -> mlua::Result<Vec<(&'static str, Value)>> {
        Ok(vec![
            ("DataStores", self.stores(lua)?),
            ("HTTPClient", http::client(self, lua)?),
            ("ObjectStorage", self.objects(lua)?),
            ("ImageCaptcha", self.object::<ImageCaptcha, CaptchaCall>(lua, Vec::new())?),
            ("secrets", self.object::<Secrets, SecretCall>(lua, Vec::new())?),
            ("Discord", self.discord(lua)?),
            ("KV", self.object::<Kv, KvCall>(lua, Vec::new())?),
        ])
    }

    fn stores(&self, lua: &Lua) -> mlua::Result<Value> {
        let stores = vec![
            ("StatsStore", self.store::<StatsStore, StatsCall>(lua)?),
            ("LinksStore", self.store::<LinksStore, LinksCall>(lua)?),
            ("TemplateStore", self.store::<TemplateStore, TemplatesCall>(lua)?),
            ("CopyDataStore", self.store::<CopyDataStore, CopyCall>(lua)?),
        ];
        self.functions.object::<DataStores>(lua, stores, &[], |_, _, _| ())
    }

    /// A store, which says about itself what it is called and what it can do.
    fn store<T: ObjectType, F: Family + Into<HostCall>>(&self, lua: &Lua) -> mlua::Result<Value> {
        let methods = |lua: &Lua, _: MultiValue| {
            lua.create_sequence_from(F::NAMES.iter().copied()).map_err(|error| error.to_string())
        };
        let need_caps = |_: &Lua, mut arguments: MultiValue| {
            let named = arguments.pop_back();
            let named = named.as_ref().and_then(Value::as_string).map(mlua::LuaString::to_string_lossy);
            let called = F::CALLS.iter().find(|call| named.as_deref() == Some(call.function.name));
            let called =
                called.ok_or_else(|| format!("need_caps takes a name of {}", F::NAMES.join(", ")))?;
            Ok(!called.capability.is_empty())
        };
        let fields = vec![
            ("name", Value::String(lua.create_string(T::NAME)?)),
            ("methods", Value::Function(self.functions.function(lua, methods)?)),
            ("need_caps", Value::Function(self.functions.function(lua, need_caps)?)),
        ];
        self.object::<T, F>(lua, fields)
    }

    fn objects(&self, lua: &Lua) -> mlua::Result<Value> {
        let bucket = lua.create_string(format!("antiraid.guild.{}", self.caller.guild))?;
        self.object::<ObjectStorage, ObjectCall>(lua, vec![("bucket_name", Value::String(bucket))])
    }

    /// The functions of a family, as an object with some fields more.
    fn object<T: ObjectType, F: Family + Into<HostCall>>(
        &self,
        lua: &Lua,
        fields: Vec<(&'static str, Value)>,
    ) -> mlua::Result<Value> {
        let plugins = self.clone();
        self.functions.object::<T>(lua, fields, F::NAMES, move |number, arguments, reply| {
            plugins.call::<F>(number, arguments, reply);
        })
    }

    fn call<F: Family + Into<HostCall>>(&self, number: usize, arguments: Vec<KhronosValue>, reply: Reply) {
        match F::from_arguments(number, arguments) {
            Ok(call) => self.line.call(self.caller.clone(), call.into(), answer_to(reply)),
            Err(wrong) => reply.error(wrong),
        }
    }
}

/// Hands what came of a call to the script that waits for it.
pub(crate) fn answer_to(reply: Reply) -> Answer {
    Answer::new(|came| match came {
        HostReply::Values(values) => reply.values(values.into_iter().map(|value| value.0).collect()),
        HostReply::Json(text) => reply.json(text),
        HostReply::Blob(bytes) => reply.blob(bytes),
        HostReply::Failed(text) => reply.error(text),
    })
}
