//! `Url`: taken apart and put together as the host will.

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, UserData, UserDataFields, UserDataMethods, Value};
use reqwest::Url as Parsed;

use super::{CONTENT, Faces, cannot_set, create, function_of, name_of, said};
use crate::host::calls::requests::URL;

/// Most bytes of one.
const MOST: usize = 8 * 1024;

/// A URL; its text lies beside it.
pub(super) struct Url;

/// `HTTPClient.new_url(text)`.
pub(super) fn new(lua: &Lua, faces: &Faces, mut arguments: MultiValue) -> Result<Value, String> {
    let text = whole(&arguments.pop_front().unwrap_or(Value::Nil))?;
    let text = lua.create_string(text).map_err(|error| said(&error))?;
    create(lua, Url, &faces.url, Value::String(text)).map_err(|error| said(&error))
}

/// The text of a URL that a script gave, as a text or as an object.
fn text_of(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) if text.as_bytes().len() > MOST => None,
        Value::String(text) => text.to_str().ok().map(|text| text.to_owned()),
        Value::UserData(url) if url.is::<Url>() => url.nth_user_value::<String>(CONTENT).ok(),
        _ => None,
    };
    text.ok_or_else(|| format!("expected a URL as a string of at most {MOST} bytes, or as a Url"))
}

/// The text of a URL that a script gave, as a whole one.
pub(super) fn whole(value: &Value) -> Result<String, String> {
    parse(&text_of(value)?).map(Into::into)
}

fn parse(text: &str) -> Result<Parsed, String> {
    let url = Parsed::parse(text)
        .map_err(|error| format!("not a URL: {error}; expected one such as `https://api.example.com/`"))?;
    // A few characters become three each.
    if url.as_str().len() > MOST { Err(format!("a URL has at most {MOST} bytes")) } else { Ok(url) }
}

fn parsed(this: &AnyUserData) -> Result<Parsed, String> {
    parse(&this.nth_user_value::<String>(CONTENT).map_err(|error| said(&error))?)
}

impl UserData for Url {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, URL.name);
        let set = |lua: &Lua, (this, key, value): (AnyUserData, Value, Value)| {
            let mut url = parsed(&this)?;
            set(&mut url, &name_of(&key), &value)?;
            let text = lua.create_string(parse(url.as_str())?.as_str());
            text.and_then(|text| this.set_nth_user_value(CONTENT, text)).map_err(|error| said(&error))
        };
        khronos::add_metamethod(fields, MetaMethod::NewIndex, set);
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::ToString, |_, this: AnyUserData| {
            this.nth_user_value::<Value>(CONTENT)
        });
        methods.add_meta_function(MetaMethod::Index, |lua, (this, key): (AnyUserData, Value)| {
            let (url, name) = (parsed(&this).map_err(mlua::Error::runtime)?, name_of(&key));
            let text = match name.as_str() {
                "scheme" => Some(url.scheme()),
                "host" => url.host_str(),
                "path" => Some(url.path()),
                "query" => url.query(),
                "fragment" => url.fragment(),
                "port" => return Ok(url.port().map_or(Value::Nil, |port| Value::Number(port.into()))),
                other => return function_of(&this, other),
            };
            text.map_or(Ok(Value::Nil), |text| lua.create_string(text).map(Value::String))
        });
    }
}

fn set(url: &mut Parsed, name: &str, value: &Value) -> Result<(), String> {
    if !URL.fields.iter().any(|field| field.name == name) {
        return Err(cannot_set(&URL, name));
    }
    let unfit = || format!("this cannot be the {name} of a URL");
    let text = match value {
        Value::Nil => None,
        Value::String(text) if text.as_bytes().len() <= MOST => {
            Some(text.to_str().map_err(|_| unfit())?.to_owned())
        }
        Value::Number(_) | Value::Integer(_) if name == "port" => None,
        _ => return Err(unfit()),
    };
    let text = text.as_deref();
    match name {
        "scheme" => url.set_scheme(text.ok_or_else(unfit)?).map_err(|()| unfit())?,
        "host" => url.set_host(text).map_err(|_| unfit())?,
        "path" => url.set_path(text.ok_or_else(unfit)?),
        "query" => url.set_query(text),
        "fragment" => url.set_fragment(text),
        "port" => url.set_port(port(value).ok_or_else(unfit)?).map_err(|()| unfit())?,
        _ => return Err(cannot_set(&URL, name)),
    }
    Ok(())
}

/// A port that a script gave; the inner nothing stands for that of the scheme.
fn port(value: &Value) -> Option<Option<u16>> {
    match value {
        Value::Nil => Some(None),
        Value::Integer(port) => u16::try_from(*port).ok().map(Some),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a whole number of 16 bits"
        )]
        Value::Number(port) if port.fract() == 0.0 && (0.0..=65_535.0).contains(port) => {
            Some(Some(*port as u16))
        }
        _ => None,
    }
}
