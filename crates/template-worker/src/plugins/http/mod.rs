//! `ctx.HTTPClient`: requests, headers, URLs and answers as objects of a VM. Nothing leaves it before `request:send()`.
//!
//! Owns how the objects look to a script. Their contents are Luau's own (tables, strings, buffers), kept beside them, so that
//! they count as the guild's memory and vanish with it. What may be sent, and where to, is the host's business.

mod headers;
mod request;
mod response;
mod url;

use std::rc::Rc;

use khronos::declare::Type;
use mlua::{AnyUserData, Function, Lua, MultiValue, Table, UserData, Value};

use super::Plugins;
use crate::host::calls::HttpCall;

/// What `typeof` says of `ctx.HTTPClient`.
struct HttpClient;

impl khronos::ObjectType for HttpClient {
    const NAME: &'static str = "HTTPClient";
}

/// Where the parts of an object lie beside it.
const METHODS: usize = 1;
const CONTENT: usize = 2;

/// The functions of each kind of object but requests, made once for a context.
struct Faces {
    url: Table,
    headers: Table,
    response: Table,
}

/// `ctx.HTTPClient`.
pub(super) fn client(plugins: &Plugins, lua: &Lua) -> mlua::Result<Value> {
    let faces = Rc::new(Faces {
        url: lua.create_table()?,
        headers: headers::methods(plugins, lua)?,
        response: response::methods(plugins, lua)?,
    });
    let requests = lua.create_table()?;
    requests.raw_set("send", request::send(plugins, lua, &faces)?)?;
    for methods in [&faces.url, &faces.headers, &faces.response, &requests] {
        methods.set_readonly(true);
    }
    let of = Rc::clone(&faces);
    let new_request =
        move |lua: &Lua, arguments: MultiValue| request::new(lua, &of, &requests, without_self(arguments));
    let of = Rc::clone(&faces);
    let new_headers = move |lua: &Lua, arguments: MultiValue| headers::new(lua, &of, without_self(arguments));
    let new_url = move |lua: &Lua, arguments: MultiValue| url::new(lua, &faces, without_self(arguments));
    let functions = &plugins.functions;
    let fields = vec![
        ("new_request", Value::Function(functions.function(lua, new_request)?)),
        ("new_headers", Value::Function(functions.function(lua, new_headers)?)),
        ("new_url", Value::Function(functions.function(lua, new_url)?)),
    ];
    functions.object::<HttpClient>(lua, fields, &[], |_, _, _| ())
}

/// The arguments of `HTTPClient:f(..)` are those of `HTTPClient.f(..)`. No function of it takes an object of the host first.
fn without_self(mut arguments: MultiValue) -> MultiValue {
    let ours = |value: &AnyUserData| value.is::<url::Url>() || value.is::<headers::Headers>();
    if matches!(arguments.front(), Some(Value::UserData(first)) if !ours(first)) {
        arguments.pop_front();
    }
    arguments
}

/// A function that answers at once, of an object of this kind: called with a colon, its first argument is the object.
fn method<T: UserData + 'static>(
    plugins: &Plugins,
    lua: &Lua,
    kind: &'static Type,
    name: &'static str,
    f: impl Fn(&Lua, &AnyUserData, MultiValue) -> Result<Value, String> + 'static,
) -> mlua::Result<Function> {
    plugins.functions.function(lua, move |lua: &Lua, mut arguments: MultiValue| match arguments.pop_front() {
        Some(Value::UserData(object)) if object.is::<T>() => f(lua, &object, arguments),
        _ => Err(format!("call it with a colon: `{}:{name}(..)`", kind.name.to_lowercase())),
    })
}

/// A new object.
fn create<T: UserData + 'static>(
    lua: &Lua,
    object: T,
    methods: &Table,
    content: Value,
) -> mlua::Result<Value> {
    let object = lua.create_userdata(object)?;
    object.set_nth_user_value(METHODS, methods)?;
    object.set_nth_user_value(CONTENT, content)?;
    Ok(Value::UserData(object))
}

/// What an object has under a name that is none of its fields: a function, or nothing.
fn function_of(object: &AnyUserData, name: &str) -> mlua::Result<Value> {
    let methods: Table = object.nth_user_value(METHODS)?;
    methods.raw_get(name)
}

/// A name that a script wrote, for looking it up. Other keys name nothing.
fn name_of(key: &Value) -> String {
    match key {
        Value::String(name) => name.to_string_lossy(),
        _ => String::new(),
    }
}

/// What a script hears where it sets what cannot be set.
fn cannot_set(kind: &Type, name: &str) -> String {
    let name: String = name.chars().take(40).collect();
    let fields: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
    format!("`{name}` of a {} cannot be set; its fields are {}", kind.name, fields.join(", "))
}

/// An error of the VM in words.
fn said(error: &mlua::Error) -> String {
    match error {
        mlua::Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Plugins {
    /// Sends the call that a request is.
    fn send(&self, arguments: Vec<khronos::KhronosValue>, reply: khronos::Reply) {
        self.call::<HttpCall>(0, arguments, reply);
    }
}
