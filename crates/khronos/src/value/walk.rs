//! The way of values out of a VM: one walk, with one budget, whatever they become.
//!
//! Owns the limits on depth and nodes, what counts as a list, and what the messages call a place. Leaves to a [`Sink`]
//! what is built, and how many bytes that is. Only raw access: no metamethod of a script ever runs here.

use mlua::{AnyUserData, MultiValue, Table, Value};

use super::patience::Patience;
use super::time::{Interval, TimeZone, Timestamp};
use super::{ValueError, ValueLimits};
use crate::library::datamgmt::Blob;
use crate::library::lune::datetime::Moment;
use crate::library::typesext::{I64, U64};

/// What messages call the values that an execution returned.
const RESULT: &str = "result";

/// Tables from one look at the clock to the next, which costs as much as a small table does.
const TABLES_A_LOOK: usize = 16;

/// A value without parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaf<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Integer(i64),
    Unsigned(u64),
    Text(&'a str),
    Buffer(&'a [u8]),
    Vector([f32; 3]),
    Time(Timestamp),
    Span(Interval),
    Zone(TimeZone),
}

/// An object of ours, as the value that it is.
fn object(object: &AnyUserData) -> Option<Leaf<'static>> {
    if let Ok(n) = object.borrow::<U64>() {
        Some(Leaf::Unsigned(n.0))
    } else if let Ok(n) = object.borrow::<I64>() {
        Some(Leaf::Integer(n.0))
    } else if let Ok(time) = object.borrow::<Timestamp>() {
        Some(Leaf::Time(*time))
    } else if let Ok(span) = object.borrow::<Interval>() {
        Some(Leaf::Span(*span))
    } else {
        let zone = object.borrow::<TimeZone>().ok().map(|zone| Leaf::Zone(*zone));
        zone.or_else(|| object.borrow::<Moment>().ok().map(|time| Leaf::Time(time.0)))
    }
}

/// What a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    List,
    Map,
}

/// The sink has no room for what it was given; what it holds by then is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Takes values in the order in which JSON writes them.
pub(super) trait Sink {
    fn leaf(&mut self, leaf: Leaf<'_>) -> Result<(), Full>;
    /// A list or a map begins. Before each of its values comes `item` or `key`, after the last one `close`.
    fn open(&mut self, shape: Shape) -> Result<(), Full>;
    fn item(&mut self, is_first: bool) -> Result<(), Full>;
    fn key(&mut self, key: &str, is_first: bool) -> Result<(), Full>;
    /// Whether maps must not have this key.
    fn refuses(&self, _key: &str) -> bool {
        false
    }
    fn close(&mut self, shape: Shape) -> Result<(), Full>;
}

/// The bytes that a sink has room for.
#[derive(Debug)]
pub(super) struct Room(pub(super) usize);

impl Room {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Full> {
        self.0 = self.0.checked_sub(bytes).ok_or(Full)?;
        Ok(())
    }
}

/// A place in a value: the innermost step of a chain.
#[derive(Clone, Copy)]
struct Place<'a> {
    outer: Option<&'a Place<'a>>,
    step: Step<'a>,
    /// Tables around it.
    depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'static str),
    Argument(usize),
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    fn outermost(step: Step<'a>) -> Self {
        Self { outer: None, step, depth: 0 }
    }

    fn inner(&'a self, step: Step<'a>) -> Self {
        Self { outer: Some(self), step, depth: self.depth + 1 }
    }

    /// The way there, from the outside in, cut where it gets unreadable.
    fn path(&self) -> String {
        let mut steps: Vec<Step<'_>> =
            std::iter::successors(Some(self), |place| place.outer).map(|place| place.step).collect();
        let mut text = String::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Name(name) => text.push_str(name),
                Step::Argument(number) => text.push_str(&format!("argument {number}")),
                Step::Key(key) => text.push_str(&format!(".{}", beginning(key))),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
            if text.len() > 200 {
                text.push_str("..");
                break;
            }
        }
        text
    }
}

/// Walks through values; several are one budget.
pub(super) struct Walk<'a, S> {
    sink: &'a mut S,
    array: Option<&'a Table>,
    limits: ValueLimits,
    nodes: usize,
    tables: usize,
    patience: Patience,
}

impl<'a, S: Sink> Walk<'a, S> {
    /// Tables whose metatable is `array` are lists.
    pub(super) fn new(sink: &'a mut S, array: Option<&'a Table>, limits: ValueLimits) -> Self {
        Self { sink, array, limits, nodes: 0, tables: 0, patience: Patience::default() }
    }

    pub(super) fn arguments(&mut self, values: &MultiValue) -> Result<(), ValueError> {
        self.list(values, Step::Argument)
    }

    /// Nothing is null, one value is that value, several are a list.
    pub(super) fn results(&mut self, values: &MultiValue) -> Result<(), ValueError> {
        match values.len() {
            0 => self.leaf(Leaf::Null),
            1 => self.one(&values[0], RESULT),
            _ => self.list(values, |_| Step::Name(RESULT)),
        }
    }

    /// `name` is what messages call it.
    pub(super) fn one(&mut self, value: &Value, name: &'static str) -> Result<(), ValueError> {
        self.value(value, &Place::outermost(Step::Name(name)))
    }

    fn list(&mut self, values: &MultiValue, step: impl Fn(usize) -> Step<'static>) -> Result<(), ValueError> {
        self.full(|sink| sink.open(Shape::List))?;
        for (index, value) in values.iter().enumerate() {
            self.full(|sink| sink.item(index == 0))?;
            self.value(value, &Place::outermost(step(index + 1)))?;
        }
        self.full(|sink| sink.close(Shape::List))
    }

    fn value(&mut self, value: &Value, place: &Place<'_>) -> Result<(), ValueError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(ValueError::TooManyNodes { limit: self.limits.nodes });
        }
        match value {
            Value::Nil => self.leaf(Leaf::Null),
            Value::Boolean(b) => self.leaf(Leaf::Boolean(*b)),
            #[expect(
                clippy::cast_precision_loss,
                reason = "templates have doubles only; mlua shows whole ones as integers"
            )]
            Value::Integer(n) => self.leaf(Leaf::Number(*n as f64)),
            Value::Number(n) => self.leaf(Leaf::Number(*n)),
            Value::Vector(v) => self.leaf(Leaf::Vector([v.x(), v.y(), v.z()])),
            Value::String(text) => match std::str::from_utf8(&text.as_bytes()) {
                Ok(text) => self.leaf(Leaf::Text(text)),
                Err(_) => Err(ValueError::NotUtf8 { path: place.path() }),
            },
            // Looked at before it is copied.
            Value::Buffer(buffer) if buffer.len() > self.limits.bytes => Err(self.too_many_bytes()),
            Value::Buffer(buffer) => self.leaf(Leaf::Buffer(&buffer.to_vec())),
            Value::Table(table) => self.table(table, place),
            // `null` of `@antiraid/interop`; scripts have no other.
            Value::LightUserData(data) if data.0.is_null() => self.leaf(Leaf::Null),
            Value::UserData(data) if data.is::<Blob>() => match data.borrow::<Blob>() {
                Ok(blob) if blob.bytes().len() > self.limits.bytes => Err(self.too_many_bytes()),
                Ok(blob) => self.leaf(Leaf::Buffer(blob.bytes())),
                Err(_) => Err(unsupported(value, place)),
            },
            Value::UserData(data) => match object(data) {
                Some(leaf) => self.leaf(leaf),
                None => Err(unsupported(value, place)),
            },
            other => Err(unsupported(other, place)),
        }
    }

    /// The first key says what the table is, and all others have to go with it.
    fn table(&mut self, table: &Table, place: &Place<'_>) -> Result<(), ValueError> {
        if place.depth >= self.limits.depth {
            return Err(ValueError::TooDeep { limit: self.limits.depth });
        }
        self.look_at_the_clock()?;
        let marked = self.array.is_some_and(|array| table.metatable().as_ref() == Some(array));
        let mut shape = if marked { Some(self.open(Shape::List)?) } else { None };
        let mut count = 0;
        let mut stray = None;
        // The array part comes first and in order.
        let walked = table.for_each(|key: Value, value: Value| {
            let read = match (&key, shape) {
                (Value::String(key), None | Some(Shape::Map)) => self
                    .open_once(&mut shape, Shape::Map)
                    .and_then(|()| self.entry(key, &value, count, place)),
                (Value::Integer(_) | Value::Number(_), None | Some(Shape::List)) if is_next(&key, count) => {
                    self.open_once(&mut shape, Shape::List).and_then(|()| self.item(&value, count, place))
                }
                _ => {
                    stray = Some(key);
                    return Err(mlua::Error::StackError);
                }
            };
            count += 1;
            read.map_err(mlua::Error::external)
        });
        match (stray, walked) {
            (Some(key), _) if shape != Some(Shape::Map) => {
                self.open_once(&mut shape, Shape::List)?;
                self.unordered(table, count, &key, place)?;
            }
            (Some(key), _) => return Err(mixed(&key, place)),
            (None, Err(error)) => {
                let unreadable = || Self::unreadable(place);
                return Err(error.downcast_ref::<ValueError>().cloned().unwrap_or_else(unreadable));
            }
            (None, Ok(())) => self.open_once(&mut shape, Shape::Map)?,
        }
        self.full(|sink| sink.close(shape.unwrap_or(Shape::Map)))
    }

    fn look_at_the_clock(&mut self) -> Result<(), ValueError> {
        self.tables += 1;
        if !self.tables.is_multiple_of(TABLES_A_LOOK) {
            return Ok(());
        }
        if self.patience.is_over(self.nodes) {
            return Err(ValueError::TooSlow);
        }
        Ok(())
    }

    /// The rest of a list that Luau does not keep in order, such as `{[2] = "b", [1] = "a"}`. `stray` is the key that
    /// came instead of the next one.
    fn unordered(
        &mut self,
        table: &Table,
        have: usize,
        stray: &Value,
        place: &Place<'_>,
    ) -> Result<(), ValueError> {
        let length = table.raw_len();
        let mut entries = 0;
        let counted = table.for_each(|_: Value, _: Value| {
            entries += 1;
            Ok(())
        });
        if counted.is_err() || entries != length {
            return Err(mixed(stray, place));
        }
        for index in have..length {
            match table.raw_get(index + 1) {
                Ok(Value::Nil) | Err(_) => return Err(mixed(stray, place)),
                Ok(value) => self.item(&value, index, place)?,
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        key: &mlua::LuaString,
        value: &Value,
        before: usize,
        place: &Place<'_>,
    ) -> Result<(), ValueError> {
        let key = key.as_bytes();
        let Ok(key) = std::str::from_utf8(&key) else {
            return Err(ValueError::NotUtf8 { path: place.path() });
        };
        if self.sink.refuses(key) {
            return Err(ValueError::ReservedKey { path: place.path() });
        }
        self.full(|sink| sink.key(key, before == 0))?;
        self.value(value, &place.inner(Step::Key(key)))
    }

    fn item(&mut self, value: &Value, before: usize, place: &Place<'_>) -> Result<(), ValueError> {
        self.full(|sink| sink.item(before == 0))?;
        self.value(value, &place.inner(Step::Index(before + 1)))
    }

    fn open(&mut self, shape: Shape) -> Result<Shape, ValueError> {
        self.full(|sink| sink.open(shape)).map(|()| shape)
    }

    fn open_once(&mut self, open: &mut Option<Shape>, shape: Shape) -> Result<(), ValueError> {
        if open.is_none() {
            *open = Some(self.open(shape)?);
        }
        Ok(())
    }

    fn leaf(&mut self, leaf: Leaf<'_>) -> Result<(), ValueError> {
        self.full(|sink| sink.leaf(leaf))
    }

    fn full(&mut self, put: impl FnOnce(&mut S) -> Result<(), Full>) -> Result<(), ValueError> {
        put(self.sink).map_err(|Full| self.too_many_bytes())
    }

    fn too_many_bytes(&self) -> ValueError {
        ValueError::TooManyBytes { limit: self.limits.bytes }
    }

    fn unreadable(place: &Place<'_>) -> ValueError {
        ValueError::Unsupported { path: place.path(), kind: "table that cannot be read".to_owned() }
    }
}

fn unsupported(value: &Value, place: &Place<'_>) -> ValueError {
    let name = match value {
        Value::UserData(object) => object.type_name().map(|name| name.to_string_lossy()).ok(),
        _ => None,
    };
    ValueError::Unsupported { path: place.path(), kind: name.unwrap_or_else(|| kind(value).to_owned()) }
}

fn mixed(key: &Value, place: &Place<'_>) -> ValueError {
    ValueError::MixedKeys { path: place.path(), key: render_key(key) }
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
        Value::String(s) => format!("{:?}", beginning(&s.to_string_lossy())),
        Value::Integer(n) => n.to_string(),
        Value::Number(n) => n.to_string(),
        Value::Boolean(b) => b.to_string(),
        other => format!("of type {}", kind(other)),
    }
}

fn beginning(key: &str) -> String {
    key.chars().take(40).collect()
}

/// What Luau's `type` says.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        Value::Integer(_) => "number",
        Value::UserData(_) | Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}
