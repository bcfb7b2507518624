//! Values as JSON, YAML and TOML, and back.
//!
//! Between a text and the VM there is always a [`KhronosValue`], with its limits on depth, parts and bytes.

use mlua::Value;

use super::super::super::arguments::{Bytes, string};
use super::super::super::members::{Call, Outcome};
use super::yaml;
use crate::value::reader::{self, Types};
use crate::value::{KhronosValue, convert};

const MOST_JSON: usize = 1 << 20;
const MOST_OTHERS: usize = 64 << 10;
const MOST_WRITTEN: usize = 4 << 20;

const FORMATS: &str = "there is no such format: there are json, yaml and toml";

pub(super) fn encode(call: &Call<'_>, format: &str, value: &Value, pretty: bool) -> Outcome<Value> {
    let limits = call.library.scheduler.limits().values;
    call.room(limits.bytes)?;
    let value = convert::from_luau(value, "value", Some(&call.library.array), limits);
    let value = value.map_err(|error| error.to_string())?;
    let text = match format.to_ascii_lowercase().as_str() {
        "json" if pretty => serde_json::to_string_pretty(&value).map_err(|error| error.to_string()),
        "json" => serde_json::to_string(&value).map_err(|error| error.to_string()),
        "yaml" => Ok(yaml::write(&value)),
        "toml" if pretty => toml::to_string_pretty(&value).map_err(|error| error.to_string()),
        "toml" => toml::to_string(&value).map_err(|error| error.to_string()),
        _ => return Err(FORMATS.into()),
    };
    let text = text.map_err(|error| format!("cannot write this as {format}: {error}"))?;
    // Much of a text is not its value's bytes: brackets, indentation, what has to be escaped.
    if text.len() > MOST_WRITTEN {
        return Err(format!("the text would have more than {MOST_WRITTEN} bytes").into());
    }
    call.room(text.len())?;
    string(call.lua, text)
}

pub(super) fn decode(call: &Call<'_>, format: &str, text: Bytes) -> Outcome<Value> {
    let format = format.to_ascii_lowercase();
    let text = text.at_most(if format == "json" { MOST_JSON } else { MOST_OTHERS })?;
    let limits = call.library.scheduler.limits().values;
    call.room(text.len() * 8)?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| "the text is not UTF-8")?;
    let value = match format.as_str() {
        "json" => {
            let mut parser = serde_json::Deserializer::from_str(&text);
            let value = reader::read(&mut parser, limits, Types::Plain).map_err(|error| error.to_string());
            value.and_then(|value| parser.end().map(|()| value).map_err(|error| error.to_string()))
        }
        "yaml" => yaml::read(&text, limits),
        "toml" => super::toml::read(&text, limits),
        _ => return Err(FORMATS.into()),
    };
    let value: KhronosValue =
        value.map_err(|error| format!("this is not {format}, or too much of it: {error}"))?;
    call.room(value.size() * 2)?;
    Ok(convert::to_luau(call.lua, &value, &call.library.array, false)?)
}
