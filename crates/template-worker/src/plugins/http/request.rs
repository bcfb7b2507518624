//! `Request`: what will be sent, until it is.

use std::rc::Rc;

use mlua::{
    AnyUserData, Function, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields, UserDataMethods,
    Value,
};

use super::headers::Headers;
use super::{CONTENT, Faces, cannot_set, create, function_of, headers, name_of, response, said, url};
use crate::host::calls::requests::REQUEST;
use crate::plugins::Plugins;

/// A request; a table of its fields lies beside it.
pub(super) struct Request;

/// Versions that templates may set, for what it is worth.
const VERSIONS: [&str; 5] = ["HTTP/0.9", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"];

/// `HTTPClient.new_request(method, url)`.
pub(super) fn new(
    lua: &Lua,
    faces: &Faces,
    methods: &Table,
    mut arguments: MultiValue,
) -> Result<Value, String> {
    let mut next = || arguments.pop_front().unwrap_or(Value::Nil);
    let (method, url) = (next(), next());
    let (method, url) = (checked(lua, "method", method)?, checked(lua, "url", url)?);
    let make = || {
        let content = lua.create_table()?;
        content.raw_set("method", method)?;
        content.raw_set("url", url)?;
        content.raw_set("version", "HTTP/1.1")?;
        content.raw_set("headers", headers::of(lua, faces, lua.create_table()?)?)?;
        create(lua, Request, methods, Value::Table(content))
    };
    make().map_err(|error: mlua::Error| said(&error))
}

/// What a script sets a field to, in the form in which it is kept.
fn checked(lua: &Lua, name: &str, value: Value) -> Result<Value, String> {
    let refused = |text: &str| Err(text.to_owned());
    match (name, value) {
        ("method", Value::String(method)) if method.as_bytes().len() <= 16 => Ok(Value::String(method)),
        ("method", _) => refused("the method of a request is a string such as \"GET\""),
        ("url", value) => {
            let text = lua.create_string(url::whole(&value)?);
            text.map(Value::String).map_err(|error| said(&error))
        }
        ("headers", Value::UserData(headers)) if headers.is::<Headers>() => Ok(Value::UserData(headers)),
        ("headers", _) => {
            refused("the headers of a request are a Headers, as `HTTPClient.new_headers()` makes")
        }
        // Whether it is a Blob turns out when it is sent.
        (
            "body_bytes",
            value @ (Value::Nil | Value::String(_) | Value::Buffer(_) | Value::Table(_) | Value::UserData(_)),
        ) => Ok(value),
        ("body_bytes", _) => {
            refused("the body of a request is a string, a buffer, a Blob, or a table that is sent as JSON")
        }
        // Whether it is a TimeDelta turns out when it is sent.
        ("timeout", value @ (Value::Nil | Value::Number(_) | Value::Integer(_) | Value::UserData(_))) => {
            Ok(value)
        }
        ("timeout", _) => refused("the timeout of a request is a TimeDelta, or a number of seconds"),
        ("version", Value::String(version)) if VERSIONS.iter().any(|known| version == *known) => {
            Ok(Value::String(version))
        }
        ("version", _) => refused("the version of a request is a string such as \"HTTP/1.1\""),
        (name, _) => Err(cannot_set(&REQUEST, name)),
    }
}

/// `request:send()`.
pub(super) fn send(plugins: &Plugins, lua: &Lua, faces: &Rc<Faces>) -> mlua::Result<Function> {
    let (plugins, faces) = (plugins.clone(), Rc::clone(faces));
    let functions = plugins.functions.clone();
    let results = move |lua: &Lua, results: MultiValue| {
        response::new(lua, &faces, results).map_err(|error| said(&error))
    };
    functions.mapped_async_function(lua, "send", arguments, results, move |arguments, reply| {
        plugins.send(arguments, reply);
    })
}

/// What leaves the VM of a request: the arguments of the call.
fn arguments(lua: &Lua, mut given: MultiValue) -> Result<MultiValue, String> {
    let Some(Value::UserData(request)) = given.pop_front() else {
        return Err("call it with a colon: `request:send()`".to_owned());
    };
    if !request.is::<Request>() {
        return Err("call it with a colon: `request:send()`".to_owned());
    }
    let arguments = || {
        let content: Table = request.nth_user_value(CONTENT)?;
        let headers: AnyUserData = content.raw_get("headers")?;
        let headers = headers::plain(lua, &headers)?;
        let body = match content.raw_get("body_bytes")? {
            Value::String(text) if text.to_str().is_err() => {
                Value::Buffer(lua.create_buffer(text.as_bytes())?)
            }
            body => body,
        };
        let arguments = [
            content.raw_get("method")?,
            content.raw_get("url")?,
            Value::Table(headers),
            body,
            content.raw_get("timeout")?,
        ];
        Ok(MultiValue::from_iter(arguments))
    };
    arguments().map_err(|error: mlua::Error| said(&error))
}

impl UserData for Request {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, REQUEST.name);
        let set = |lua: &Lua, (this, key, value): (AnyUserData, Value, Value)| {
            let name = name_of(&key);
            let value = checked(lua, &name, value)?;
            let content = this.nth_user_value::<Table>(CONTENT);
            content.and_then(|content| content.raw_set(name, value)).map_err(|error| said(&error))
        };
        khronos::add_metamethod(fields, MetaMethod::NewIndex, set);
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::ToString, |_, _: AnyUserData| Ok(REQUEST.name));
        methods.add_meta_function(MetaMethod::Index, |_, (this, key): (AnyUserData, Value)| {
            let name = name_of(&key);
            if REQUEST.fields.iter().any(|field| field.name == name) {
                return this.nth_user_value::<Table>(CONTENT)?.raw_get(name);
            }
            function_of(&this, &name)
        });
    }
}
