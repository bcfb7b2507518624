//! `Response`: what came back. Its body can be taken as often as a script likes.

use mlua::{
    AnyUserData, Buffer, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields, UserDataMethods, Value,
};

use super::{CONTENT, Faces, cannot_set, create, function_of, headers, method, name_of, said};
use crate::host::calls::requests::RESPONSE;
use crate::plugins::Plugins;

/// An answer; a table of its fields and its body lies beside it.
pub(super) struct Response;

/// The answer of what the call returned: URL, status, headers and body.
pub(super) fn new(lua: &Lua, faces: &Faces, mut came: MultiValue) -> mlua::Result<MultiValue> {
    let mut next = || came.pop_front().unwrap_or(Value::Nil);
    let (url, status, list, body) = (next(), next(), next(), next());
    let content = lua.create_table()?;
    let table = lua.create_table()?;
    if let Value::Table(list) = list {
        for pair in list.sequence_values::<Table>() {
            let pair = pair?;
            let (name, value): (Value, Buffer) = (pair.raw_get(1)?, pair.raw_get(2)?);
            let value = match table.raw_get::<Value>(&name)? {
                Value::String(before) => [&before.as_bytes(), b", ".as_slice(), &value.to_vec()].concat(),
                _ => value.to_vec(),
            };
            table.raw_set(name, lua.create_string(value)?)?;
        }
    }
    content.raw_set("url", url)?;
    content.raw_set("status", status)?;
    content.raw_set("headers", headers::of(lua, faces, table)?)?;
    let length = if let Value::Buffer(body) = &body { body.len() } else { 0 };
    content.raw_set("content_length", length)?;
    content.raw_set("body", body)?;
    Ok(MultiValue::from_iter([create(lua, Response, &faces.response, Value::Table(content))?]))
}

/// The functions of all answers of a context.
pub(super) fn methods(plugins: &Plugins, lua: &Lua) -> mlua::Result<Table> {
    let methods = lua.create_table()?;
    for declared in RESPONSE.methods {
        let functions = plugins.functions.clone();
        let run = move |lua: &Lua, this: &AnyUserData, _: MultiValue| {
            let body = body(this).map_err(|error| said(&error))?;
            let bytes = body.to_vec();
            let taken = match declared.name {
                "text" => lua.create_string(bytes).map(Value::String),
                "blob" => return khronos::blob(lua, bytes),
                _ => {
                    let text =
                        str::from_utf8(&bytes).map_err(|_| "the answer is no JSON: it is not UTF-8")?;
                    return functions.json(lua, text);
                }
            };
            taken.map_err(|error| said(&error))
        };
        methods.raw_set(declared.name, method::<Response>(plugins, lua, &RESPONSE, declared.name, run)?)?;
    }
    Ok(methods)
}

fn body(response: &AnyUserData) -> mlua::Result<Buffer> {
    response.nth_user_value::<Table>(CONTENT)?.raw_get("body")
}

impl UserData for Response {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, RESPONSE.name);
        let set = |_: &Lua, (_, key, _): (AnyUserData, Value, Value)| -> Result<(), String> {
            Err(cannot_set(&RESPONSE, &name_of(&key)))
        };
        khronos::add_metamethod(fields, MetaMethod::NewIndex, set);
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::ToString, |_, _: AnyUserData| Ok(RESPONSE.name));
        methods.add_meta_function(MetaMethod::Index, |_, (this, key): (AnyUserData, Value)| {
            let name = name_of(&key);
            if RESPONSE.fields.iter().any(|field| field.name == name) {
                return this.nth_user_value::<Table>(CONTENT)?.raw_get(name);
            }
            function_of(&this, &name)
        });
    }
}
