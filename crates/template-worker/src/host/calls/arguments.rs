//! What a script gave to a function, taken one by one into what the function is declared to take.
//!
//! Owns which Rust type stands for which Luau type, the texts that say which argument is wrong, and how large the arguments of any
//! call may be when they leave their VM. How long and how many
//! things may be is the business of the call: its arguments may also come from a VM process, which checks nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::IntoIter;

use khronos::declare::Function;
use khronos::{KhronosValue, ValueLimits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::Limits;
use crate::storage::kv::MOST_BATCH_BYTES;

/// A type that a call can take.
pub trait Argument: Sized {
    /// What Luau calls it.
    const LUAU: &'static str;
    /// The same where it may be left out.
    const LUAU_OPTIONAL: &'static str;

    /// It, of what a script gave.
    ///
    /// # Errors
    /// What was expected, in words that go after `expected`.
    fn take(value: KhronosValue) -> Result<Self, String>;
}

/// Gives a type its name in Luau.
macro_rules! in_luau {
    ($name:literal) => {
        const LUAU: &'static str = $name;
        const LUAU_OPTIONAL: &'static str = concat!($name, "?");
    };
}

impl Argument for String {
    in_luau!("string");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Text(text) => Ok(text),
            other => Err(format!("a string, got {}", kind(&other))),
        }
    }
}

impl Argument for bool {
    in_luau!("boolean");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Boolean(b) => Ok(b),
            other => Err(format!("true or false, got {}", kind(&other))),
        }
    }
}

impl Argument for f64 {
    in_luau!("number");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Float(number) => Ok(number),
            #[expect(clippy::cast_precision_loss, reason = "Luau's numbers are doubles")]
            KhronosValue::Integer(number) => Ok(number as Self),
            other => Err(format!("a number, got {}", kind(&other))),
        }
    }
}

impl Argument for u32 {
    in_luau!("number");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Integer(number) => Self::try_from(number)
                .map_err(|_| format!("a whole number from 0 to {}, got {number}", Self::MAX)),
            other => Err(format!("a whole number, got {}", kind(&other))),
        }
    }
}

impl Argument for Vec<String> {
    in_luau!("{string}");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::List(items) => items
                .into_iter()
                .map(|item| {
                    String::take(item).map_err(|expected| format!("a list of strings, with {expected} in it"))
                })
                .collect(),
            KhronosValue::Map(entries) if entries.is_empty() => Ok(Self::new()),
            other => Err(format!("a list of strings, got {}", kind(&other))),
        }
    }
}

impl Argument for BTreeMap<String, Any> {
    in_luau!("{[string]: any}");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Map(entries) => {
                Ok(entries.into_iter().map(|(key, value)| (key, Any(value))).collect())
            }
            other => Err(format!("a table with names as keys, got {}", kind(&other))),
        }
    }
}

impl<T: Argument> Argument for Option<T> {
    const LUAU: &'static str = T::LUAU_OPTIONAL;
    const LUAU_OPTIONAL: &'static str = T::LUAU_OPTIONAL;

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Null => Ok(None),
            value => T::take(value).map(Some),
        }
    }
}

/// The files of one call of `ctx.Discord` at their most: a picture of 10 MiB, as text.
const FILES_FOR_DISCORD: usize = 14 << 20;
/// What goes with the largest argument of a call: keys, scopes, headers. And what is a little too large is refused by the call,
/// which knows the limit's name.
const BESIDE: usize = 2 << 20;

/// The bytes that the arguments of one call may have, whichever it is, in a guild with these limits.
pub(crate) fn largest_call(limits: &Limits) -> usize {
    let largest = [
        limits.max_object_bytes,
        limits.max_kv_value_bytes,
        limits.max_http_request_bytes,
        limits.max_template_source,
        MOST_BATCH_BYTES,
    ];
    largest.into_iter().fold(FILES_FOR_DISCORD, usize::max) + BESIDE
}

/// What a value may be that comes from a VM process: as deep and as many as one that left a VM, and as an answer of the host. The
/// message that it came in bounds its bytes.
const MOST: ValueLimits = ValueLimits { depth: 64, nodes: 1_000_000, bytes: usize::MAX };

/// Any value. It travels as JSON with its types kept, which the reader on the other side can bound.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Any(pub KhronosValue);

impl Argument for Any {
    in_luau!("any");

    fn take(value: KhronosValue) -> Result<Self, String> {
        Ok(Self(value))
    }
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_typed_json())
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        KhronosValue::from_typed_json(&text, MOST).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Bytes: a buffer, or a string.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bytes(pub Vec<u8>);

impl Argument for Bytes {
    in_luau!("(Blob | buffer | string)");

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Buffer(bytes) => Ok(Self(bytes)),
            KhronosValue::Text(text) => Ok(Self(text.into_bytes())),
            other => Err(format!("a buffer or a string, got {}", kind(&other))),
        }
    }
}

/// What Luau calls a value, with its article.
pub(crate) fn kind(value: &KhronosValue) -> &'static str {
    match value {
        KhronosValue::Null => "nil",
        KhronosValue::Boolean(_) => "a boolean",
        KhronosValue::Integer(_) => "a number",
        KhronosValue::Float(_) => "a number with a fraction",
        KhronosValue::UnsignedInteger(_) => "a U64",
        KhronosValue::Timestamptz { .. } => "a DateTime",
        KhronosValue::Interval { .. } => "a TimeDelta",
        KhronosValue::TimeZone { .. } => "a Timezone",
        KhronosValue::Text(_) => "a string",
        KhronosValue::Buffer(_) => "a buffer",
        KhronosValue::Vector(_) => "a vector",
        KhronosValue::List(_) => "a list",
        KhronosValue::Map(_) => "a table",
    }
}

/// The arguments of one call.
pub struct Arguments {
    function: &'static Function,
    rest: RefCell<IntoIter<KhronosValue>>,
    taken: Cell<usize>,
}

impl Arguments {
    /// Those that a script gave to `function`.
    pub fn new(function: &'static Function, arguments: Vec<KhronosValue>) -> Self {
        Self { function, rest: RefCell::new(arguments.into_iter()), taken: Cell::new(0) }
    }

    /// The next one.
    ///
    /// # Errors
    /// Says which one is wrong, and what was expected.
    pub fn take<T: Argument>(&self) -> Result<T, String> {
        let value = self.rest.borrow_mut().next().unwrap_or_default();
        let at = self.taken.replace(self.taken.get() + 1);
        T::take(value).map_err(|expected| {
            let name = self.function.parameters.get(at).map_or("?", |parameter| parameter.name);
            format!("invalid argument #{} '{name}' to '{}': expected {expected}", at + 1, self.function.name)
        })
    }

    /// There are no more.
    ///
    /// # Errors
    /// Where there are.
    pub fn end(self) -> Result<(), String> {
        if self.rest.into_inner().all(|extra| extra == KhronosValue::Null) {
            return Ok(());
        }
        Err(format!(
            "too many arguments to '{}': it takes {}",
            self.function.name,
            self.function.parameters.len()
        ))
    }
}
