//! Luau values to [`KhronosValue`] and back.
//!
//! Leaves the way out of the VM, and its budget, to `walk`.

use std::collections::BTreeMap;

use mlua::{Lua, MultiValue, Table, UserData, Value};

use super::patience::Patience;
use super::typed::TYPE_KEY;
pub(crate) use super::walk::kind;
use super::walk::{Full, Leaf, Room, Shape, Sink, Walk};
use super::{KhronosValue, MAX_EXACT, ValueError, ValueLimits};
use crate::library::typesext::{I64, U64};

/// Takes `value` out of the VM. `name` is what messages call it; tables whose metatable is `array` are lists.
pub(crate) fn from_luau(
    value: &Value,
    name: &'static str,
    array: Option<&Table>,
    limits: ValueLimits,
) -> Result<KhronosValue, ValueError> {
    let mut builder = Builder::new(limits);
    Walk::new(&mut builder, array, limits).one(value, name)?;
    Ok(builder.done)
}

/// Takes the arguments of a call out of the VM, all within one budget.
pub(crate) fn arguments(
    values: &MultiValue,
    array: Option<&Table>,
    limits: ValueLimits,
) -> Result<Vec<KhronosValue>, ValueError> {
    let mut builder = Builder::new(limits);
    Walk::new(&mut builder, array, limits).arguments(values)?;
    Ok(match builder.done {
        KhronosValue::List(arguments) => arguments,
        one => vec![one],
    })
}

/// Makes a [`KhronosValue`]. Its bytes are those of strings, keys and buffers.
struct Builder {
    room: Room,
    open: Vec<Open>,
    done: KhronosValue,
}

enum Open {
    List(Vec<KhronosValue>),
    Map { entries: BTreeMap<String, KhronosValue>, key: String },
}

impl Builder {
    fn new(limits: ValueLimits) -> Self {
        Self { room: Room(limits.bytes), open: Vec::new(), done: KhronosValue::Null }
    }

    fn put(&mut self, value: KhronosValue) {
        match self.open.last_mut() {
            None => self.done = value,
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map { entries, key }) => {
                entries.insert(std::mem::take(key), value);
            }
        }
    }
}

impl Sink for Builder {
    fn leaf(&mut self, leaf: Leaf<'_>) -> Result<(), Full> {
        let bytes = match leaf {
            Leaf::Text(text) => text.len(),
            Leaf::Buffer(bytes) => bytes.len(),
            _ => 0,
        };
        self.room.take(bytes)?;
        self.put(match leaf {
            Leaf::Null => KhronosValue::Null,
            Leaf::Boolean(b) => KhronosValue::Boolean(b),
            Leaf::Number(n) => KhronosValue::from(n),
            Leaf::Integer(n) => KhronosValue::Integer(n),
            Leaf::Unsigned(n) => KhronosValue::UnsignedInteger(n),
            Leaf::Text(text) => KhronosValue::Text(text.to_owned()),
            Leaf::Buffer(bytes) => KhronosValue::Buffer(bytes.to_vec()),
            Leaf::Vector(v) => KhronosValue::Vector(v),
            Leaf::Time(time) => KhronosValue::Timestamptz(time),
            Leaf::Span(span) => KhronosValue::Interval(span),
            Leaf::Zone(zone) => KhronosValue::TimeZone(zone),
        });
        Ok(())
    }

    fn open(&mut self, shape: Shape) -> Result<(), Full> {
        self.open.push(match shape {
            Shape::List => Open::List(Vec::new()),
            Shape::Map => Open::Map { entries: BTreeMap::new(), key: String::new() },
        });
        Ok(())
    }

    fn item(&mut self, _is_first: bool) -> Result<(), Full> {
        Ok(())
    }

    fn key(&mut self, name: &str, _is_first: bool) -> Result<(), Full> {
        self.room.take(name.len())?;
        if let Some(Open::Map { key, .. }) = self.open.last_mut() {
            name.clone_into(key);
        }
        Ok(())
    }

    fn refuses(&self, key: &str) -> bool {
        key == TYPE_KEY
    }

    fn close(&mut self, _shape: Shape) -> Result<(), Full> {
        match self.open.pop() {
            Some(Open::List(items)) => self.put(KhronosValue::List(items)),
            Some(Open::Map { entries, .. }) => self.put(KhronosValue::Map(entries)),
            None => {}
        }
        Ok(())
    }
}

/// Puts `value` into the VM as fresh tables; lists get the metatable `array`. With `frozen` no script can change
/// them.
pub(crate) fn to_luau(lua: &Lua, value: &KhronosValue, array: &Table, frozen: bool) -> mlua::Result<Value> {
    Maker { lua, array, frozen, nodes: 0, patience: Patience::default() }.make(value)
}

/// Values from one look at the clock to the next.
const NODES_A_LOOK: usize = 256;

struct Maker<'a> {
    lua: &'a Lua,
    array: &'a Table,
    frozen: bool,
    nodes: usize,
    patience: Patience,
}

impl Maker<'_> {
    fn object(&self, object: impl UserData + 'static) -> mlua::Result<Value> {
        self.lua.create_userdata(object).map(Value::UserData)
    }

    fn make(&mut self, value: &KhronosValue) -> mlua::Result<Value> {
        self.nodes += 1;
        if self.nodes.is_multiple_of(NODES_A_LOOK) && self.patience.is_over(self.nodes) {
            return Err(mlua::Error::runtime("too slow: very many of its texts have the same hash"));
        }
        Ok(match value {
            KhronosValue::Null => Value::Nil,
            KhronosValue::Boolean(b) => Value::Boolean(*b),
            KhronosValue::Integer(n) if n.unsigned_abs() > MAX_EXACT => self.object(I64(*n))?,
            #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
            KhronosValue::Integer(n) => Value::Number(*n as f64),
            KhronosValue::UnsignedInteger(n) => self.object(U64(*n))?,
            KhronosValue::Timestamptz(time) => self.object(*time)?,
            KhronosValue::Interval(span) => self.object(*span)?,
            KhronosValue::TimeZone(zone) => self.object(*zone)?,
            KhronosValue::Float(n) => Value::Number(*n),
            KhronosValue::Text(text) => Value::String(self.lua.create_string(text)?),
            KhronosValue::Buffer(bytes) => Value::Buffer(self.lua.create_buffer(bytes)?),
            KhronosValue::Vector([x, y, z]) => Value::Vector(mlua::Vector::new(*x, *y, *z)),
            KhronosValue::List(items) => {
                let table = self.lua.create_table_with_capacity(items.len(), 0)?;
                for (index, item) in items.iter().enumerate() {
                    table.raw_set(index + 1, self.make(item)?)?;
                }
                table.set_metatable(Some(self.array.clone()))?;
                table.set_readonly(self.frozen);
                Value::Table(table)
            }
            KhronosValue::Map(entries) => {
                let table = self.lua.create_table_with_capacity(0, entries.len())?;
                for (key, item) in entries {
                    table.raw_set(key.as_str(), self.make(item)?)?;
                }
                table.set_readonly(self.frozen);
                Value::Table(table)
            }
        })
    }
}
