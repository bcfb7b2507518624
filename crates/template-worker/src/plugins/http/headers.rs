//! `Headers`: names in lower case, and their values.

use mlua::{
    AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields, UserDataMethods, Value,
};

use super::{CONTENT, Faces, cannot_set, create, function_of, method, name_of, said};
use crate::host::calls::requests::HEADERS;
use crate::plugins::Plugins;

/// Most headers that a script can set.
const MOST: usize = 64;
/// Most bytes of a name.
const MOST_NAME: usize = 256;
/// Most bytes of a value.
const MOST_VALUE: usize = 16 * 1024;

/// Headers; a table of them lies beside.
pub(super) struct Headers;

/// `HTTPClient.new_headers()`.
pub(super) fn new(lua: &Lua, faces: &Faces, _: MultiValue) -> Result<Value, String> {
    lua.create_table().and_then(|table| of(lua, faces, table)).map_err(|error| said(&error))
}

/// Headers of a table of names and strings.
pub(super) fn of(lua: &Lua, faces: &Faces, table: Table) -> mlua::Result<Value> {
    create(lua, Headers, &faces.headers, Value::Table(table))
}

/// What leaves the VM of headers: their table, with buffers for values that are no text.
pub(super) fn plain(lua: &Lua, headers: &AnyUserData) -> mlua::Result<Table> {
    let plain = lua.create_table()?;
    for pair in content(headers)?.pairs::<Value, mlua::LuaString>() {
        let (name, value) = pair?;
        let value = match value.to_str() {
            Ok(_) => Value::String(value),
            Err(_) => Value::Buffer(lua.create_buffer(value.as_bytes())?),
        };
        plain.raw_set(name, value)?;
    }
    Ok(plain)
}

fn content(headers: &AnyUserData) -> mlua::Result<Table> {
    headers.nth_user_value(CONTENT)
}

/// The functions of all headers of a context.
pub(super) fn methods(plugins: &Plugins, lua: &Lua) -> mlua::Result<Table> {
    let methods = lua.create_table()?;
    for declared in HEADERS.methods {
        let run = match declared.name {
            "get" => get,
            "set" => set,
            "remove" => remove,
            "headers_str" => headers_str,
            _ => headers_bytes,
        };
        let told = move |lua: &Lua, this: &AnyUserData, arguments| run(lua, this, arguments);
        methods.raw_set(declared.name, method::<Headers>(plugins, lua, &HEADERS, declared.name, told)?)?;
    }
    Ok(methods)
}

fn get(_: &Lua, this: &AnyUserData, mut arguments: MultiValue) -> Result<Value, String> {
    let name = header_name(arguments.pop_front())?;
    content(this).and_then(|table| table.raw_get(name)).map_err(|error| said(&error))
}

fn set(lua: &Lua, this: &AnyUserData, mut arguments: MultiValue) -> Result<Value, String> {
    let name = header_name(arguments.pop_front())?;
    let value = match arguments.pop_front() {
        Some(Value::String(text)) if text.as_bytes().len() <= MOST_VALUE => Value::String(text),
        Some(Value::Buffer(bytes)) if bytes.len() <= MOST_VALUE => {
            Value::String(lua.create_string(bytes.to_vec()).map_err(|error| said(&error))?)
        }
        _ => {
            return Err(format!(
                "the value of a header is a string or a buffer of at most {MOST_VALUE} bytes"
            ));
        }
    };
    let put = || {
        let table = content(this)?;
        let is_new = table.raw_get::<Value>(name.as_str())?.is_nil();
        if is_new && table.pairs::<Value, Value>().count() >= MOST {
            return Ok(false);
        }
        table.raw_set(name.as_str(), value)?;
        Ok(true)
    };
    match put().map_err(|error: mlua::Error| said(&error))? {
        true => Ok(Value::Nil),
        false => Err(format!("a request has at most {MOST} headers")),
    }
}

fn remove(_: &Lua, this: &AnyUserData, mut arguments: MultiValue) -> Result<Value, String> {
    let name = header_name(arguments.pop_front())?;
    let put = content(this).and_then(|table| table.raw_set(name, Value::Nil));
    put.map(|()| Value::Nil).map_err(|error| said(&error))
}

fn headers_str(lua: &Lua, this: &AnyUserData, _: MultiValue) -> Result<Value, String> {
    copied(lua, this, |_, text| Ok(Value::String(text)))
}

fn headers_bytes(lua: &Lua, this: &AnyUserData, _: MultiValue) -> Result<Value, String> {
    copied(lua, this, |lua, text| lua.create_buffer(text.as_bytes()).map(Value::Buffer))
}

fn copied(
    lua: &Lua,
    this: &AnyUserData,
    value: impl Fn(&Lua, mlua::LuaString) -> mlua::Result<Value>,
) -> Result<Value, String> {
    let copy = || {
        let copy = lua.create_table()?;
        for pair in content(this)?.pairs::<Value, mlua::LuaString>() {
            let (name, text) = pair?;
            copy.raw_set(name, value(lua, text)?)?;
        }
        Ok(Value::Table(copy))
    };
    copy().map_err(|error: mlua::Error| said(&error))
}

/// The name of a header, in lower case.
fn header_name(value: Option<Value>) -> Result<String, String> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match value {
        Some(Value::String(name))
            if (1..=MOST_NAME).contains(&name.as_bytes().len())
                && name.as_bytes().iter().all(|byte| fit(*byte)) =>
        {
            Ok(name.to_string_lossy().to_ascii_lowercase())
        }
        _ => Err(format!("the name of a header is 1 to {MOST_NAME} letters, digits and hyphens")),
    }
}

impl UserData for Headers {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, HEADERS.name);
        let set = |_: &Lua, (_, key, _): (AnyUserData, Value, Value)| -> Result<(), String> {
            let name = name_of(&key);
            Err(match name.is_empty() {
                true => cannot_set(&HEADERS, "it"),
                false => "use `headers:set(name, value)`".to_owned(),
            })
        };
        khronos::add_metamethod(fields, MetaMethod::NewIndex, set);
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::ToString, |_, _: AnyUserData| Ok(HEADERS.name));
        methods.add_meta_function(MetaMethod::Index, |_, (this, key): (AnyUserData, Value)| {
            function_of(&this, &name_of(&key))
        });
    }
}
