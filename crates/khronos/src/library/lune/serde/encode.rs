//! Values as JSON, YAML and TOML, and back.
//!
//! Between a text and the VM there is always a [`KhronosValue`], with its limits on depth, parts and bytes.

use std::io::{self, Write};

use mlua::Value;

use super::super::super::arguments::{Bytes, string};
use super::super::super::members::{Call, Outcome};
use super::yaml;
use crate::value::reader::{self, Types};
use crate::value::{KhronosValue, ValueLimits, convert};

const MOST_JSON: usize = 256 << 10;
const MOST_OTHERS: usize = 32 << 10;
const MOST_PARTS: usize = 30_000;
const MOST_WRITTEN: usize = 2 << 20;

const FORMATS: &str = "there is no such format: there are json, yaml and toml";

pub(super) fn encode(call: &Call<'_>, format: &str, value: &Value, pretty: bool) -> Outcome<Value> {
    let limits = call.library.scheduler.limits().values;
    call.room(limits.bytes)?;
    let value = convert::from_luau(value, "value", Some(&call.library.array), limits);
    let value = value.map_err(|error| error.to_string())?;
    let mut text = Text(Vec::new());
    let written = match format.to_ascii_lowercase().as_str() {
        "json" if pretty => {
            serde_json::to_writer_pretty(&mut text, &value).map_err(|error| error.to_string())
        }
        "json" => serde_json::to_writer(&mut text, &value).map_err(|error| error.to_string()),
        "yaml" => yaml::write(&value, &mut text).map_err(|error| error.to_string()),
        "toml" => {
            let written = if pretty { toml::to_string_pretty(&value) } else { toml::to_string(&value) };
            let written = written.map_err(|error| error.to_string());
            written.and_then(|written| text.write_all(written.as_bytes()).map_err(|error| error.to_string()))
        }
        _ => return Err(FORMATS.into()),
    };
    written.map_err(|error| format!("cannot write this as {format}: {error}"))?;
    let text = text.0;
    call.room(text.len())?;
    string(call.lua, text)
}

/// A text that does not get too long: much of it is not its value's bytes, but brackets, indentation, and what has to be
/// escaped.
struct Text(Vec<u8>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_WRITTEN {
            return Err(io::Error::other(format!("the text would have more than {MOST_WRITTEN} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn decode(call: &Call<'_>, format: &str, text: Bytes) -> Outcome<Value> {
    let format = format.to_ascii_lowercase();
    let text = text.at_most(if format == "json" { MOST_JSON } else { MOST_OTHERS })?;
    let limits = call.library.scheduler.limits().values;
    let limits = ValueLimits { nodes: limits.nodes.min(MOST_PARTS), ..limits };
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
