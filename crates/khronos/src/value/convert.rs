//! Luau values to [`KhronosValue`] and back.
//!
//! Owns the budget that is spent while converting. Only raw access: no metamethod of a script ever runs here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mlua::{Lua, Table, Value};

use super::{KhronosValue, ValueError, ValueLimits};

/// Takes `value` out of the VM. `name` is what messages call it; tables whose metatable is `array` are lists.
pub(crate) fn from_luau(
    value: &Value,
    name: &str,
    array: Option<&Table>,
    limits: ValueLimits,
) -> Result<KhronosValue, ValueError> {
    let mut reader = Reader { path: vec![Step::Name(name.to_owned())], array, limits, nodes: 0, bytes: 0 };
    reader.read(value, 0)
}

enum Step {
    Name(String),
    Index(usize),
}

struct Reader<'a> {
    path: Vec<Step>,
    array: Option<&'a Table>,
    limits: ValueLimits,
    nodes: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn read(&mut self, value: &Value, depth: usize) -> Result<KhronosValue, ValueError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(ValueError::TooManyNodes { limit: self.limits.nodes });
        }
        Ok(match value {
            Value::Nil => KhronosValue::Null,
            Value::Boolean(b) => KhronosValue::Boolean(*b),
            #[expect(
                clippy::cast_precision_loss,
                reason = "templates have doubles only; mlua shows whole ones as integers"
            )]
            Value::Integer(n) => KhronosValue::from(*n as f64),
            Value::Number(n) => KhronosValue::from(*n),
            Value::Vector(v) => KhronosValue::Vector([v.x(), v.y(), v.z()]),
            Value::String(s) => KhronosValue::Text(self.text(s)?),
            Value::Buffer(b) => {
                self.spend(b.len())?;
                KhronosValue::Buffer(b.to_vec())
            }
            Value::Table(table) => self.table(table, depth)?,
            other => return Err(ValueError::Unsupported { path: self.path(), kind: kind(other) }),
        })
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<KhronosValue, ValueError> {
        if depth >= self.limits.depth {
            return Err(ValueError::TooDeep { limit: self.limits.depth });
        }
        let marked = self.array.is_some_and(|array| table.metatable().as_ref() == Some(array));
        let mut items = Vec::new();
        let mut entries = BTreeMap::new();
        // `pairs` is `lua_next`: the array part comes first and in order.
        for pair in table.pairs::<Value, Value>() {
            let Ok((key, value)) = pair else {
                return Err(ValueError::Unsupported { path: self.path(), kind: "table that cannot be read" });
            };
            match key {
                Value::String(key) if items.is_empty() && !marked => {
                    let key = self.text(&key)?;
                    self.path.push(Step::Name(key.clone()));
                    let value = self.read(&value, depth + 1)?;
                    self.path.pop();
                    entries.insert(key, value);
                }
                Value::Integer(_) | Value::Number(_) if entries.is_empty() && is_next(&key, items.len()) => {
                    self.path.push(Step::Index(items.len() + 1));
                    let value = self.read(&value, depth + 1)?;
                    self.path.pop();
                    items.push(value);
                }
                key => return Err(ValueError::MixedKeys { path: self.path(), key: render_key(&key) }),
            }
        }
        Ok(if marked || !items.is_empty() { KhronosValue::List(items) } else { KhronosValue::Map(entries) })
    }

    fn text(&mut self, text: &mlua::LuaString) -> Result<String, ValueError> {
        let bytes = text.as_bytes();
        self.spend(bytes.len())?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(ValueError::NotUtf8 { path: self.path() }),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), ValueError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes {
            return Err(ValueError::TooManyBytes { limit: self.limits.bytes });
        }
        Ok(())
    }

    /// The path, from the outside in, cut where it gets unreadable.
    fn path(&self) -> String {
        let mut text = String::new();
        for (depth, step) in self.path.iter().enumerate() {
            // Writing to a `String` cannot fail.
            let _ = match step {
                Step::Name(name) if depth == 0 => write!(text, "{name}"),
                Step::Name(name) => write!(text, ".{}", name.chars().take(40).collect::<String>()),
                Step::Index(index) => write!(text, "[{index}]"),
            };
            if text.len() > 200 {
                text.push_str("..");
                break;
            }
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "a list longer than 2^53 does not fit a budget")]
fn is_next(key: &Value, have: usize) -> bool {
    match key {
        Value::Integer(n) => usize::try_from(*n) == Ok(have + 1),
        Value::Number(n) => *n == (have + 1) as f64,
        _ => false,
    }
}

fn render_key(key: &Value) -> String {
    match key {
        Value::String(s) => format!("{:?}", s.to_string_lossy().chars().take(40).collect::<String>()),
        Value::Integer(n) => n.to_string(),
        Value::Number(n) => n.to_string(),
        Value::Boolean(b) => b.to_string(),
        other => format!("of type {}", kind(other)),
    }
}

/// What Luau's `type` says.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        Value::UserData(_) | Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}

/// Puts `value` into the VM as fresh tables; lists get the metatable `array`. With `frozen` no script can change
/// them.
pub(crate) fn to_luau(lua: &Lua, value: &KhronosValue, array: &Table, frozen: bool) -> mlua::Result<Value> {
    Ok(match value {
        KhronosValue::Null => Value::Nil,
        KhronosValue::Boolean(b) => Value::Boolean(*b),
        #[expect(clippy::cast_precision_loss, reason = "an `Integer` is at most 2^53 by its definition")]
        KhronosValue::Integer(n) => Value::Number(*n as f64),
        KhronosValue::Float(n) => Value::Number(*n),
        KhronosValue::Text(text) => Value::String(lua.create_string(text)?),
        KhronosValue::Buffer(bytes) => Value::Buffer(lua.create_buffer(bytes)?),
        KhronosValue::Vector([x, y, z]) => Value::Vector(mlua::Vector::new(*x, *y, *z)),
        KhronosValue::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.iter().enumerate() {
                table.raw_set(index + 1, to_luau(lua, item, array, frozen)?)?;
            }
            table.set_metatable(Some(array.clone()))?;
            table.set_readonly(frozen);
            Value::Table(table)
        }
        KhronosValue::Map(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len())?;
            for (key, item) in entries {
                table.raw_set(key.as_str(), to_luau(lua, item, array, frozen)?)?;
            }
            table.set_readonly(frozen);
            Value::Table(table)
        }
    })
}
