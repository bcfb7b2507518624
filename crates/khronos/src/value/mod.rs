//! Values that cross the border between a script and the host.
//!
//! Owns [`KhronosValue`] and its plain JSON form; `typed` is the one that loses nothing. `convert` moves them in and out
//! of a VM; `json` and `encode` turn JSON text into Luau tables and results into JSON text, without this type in between.
//! `walk` is the one way out of a VM, and `error` says why a value cannot take it.

pub(crate) mod convert;
pub(crate) mod encode;
mod error;
pub(crate) mod json;
mod known_keys;
pub(crate) mod patience;
pub(crate) mod reader;
pub(crate) mod time;
mod typed;
mod walk;

use std::collections::BTreeMap;
use std::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

pub use error::ValueError;
use time::{Interval, TimeZone, Timestamp};

/// Integers up to here are numbers in a VM, which has doubles only: 2^53.
const MAX_EXACT: u64 = 1 << 53;

/// A value outside any VM: what a script returned, or what the host hands to a script.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum KhronosValue {
    /// Luau's `nil`.
    #[default]
    Null,
    /// A boolean.
    Boolean(bool),
    /// A whole number. In a VM it is a number up to 2^53, and an `I64` beyond.
    Integer(i64),
    /// A whole number that is a `U64` in a VM, whatever its size.
    UnsignedInteger(u64),
    /// Any other number, NaN and the infinities included.
    Float(f64),
    /// A string that is UTF-8.
    Text(String),
    /// The bytes of a Luau `buffer`.
    Buffer(Vec<u8>),
    /// A Luau `vector`.
    Vector([f32; 3]),
    /// A `DateTime` of `@antiraid/datetime`.
    Timestamptz(Timestamp),
    /// A `TimeDelta` of `@antiraid/datetime`.
    Interval(Interval),
    /// A `Timezone` of `@antiraid/datetime`.
    TimeZone(TimeZone),
    /// A table with the keys 1 to n, or one that carries the array metatable.
    List(Vec<KhronosValue>),
    /// A table with string keys; an empty table without the array metatable.
    Map(BTreeMap<String, KhronosValue>),
}

impl KhronosValue {
    /// An `Integer` where it is one.
    pub(crate) fn whole(number: u64) -> Self {
        i64::try_from(number).map_or(Self::UnsignedInteger(number), Self::Integer)
    }

    /// Bytes that it takes on the host's side, about: for quotas.
    pub fn size(&self) -> usize {
        const NODE: usize = size_of::<KhronosValue>();
        NODE + match self {
            Self::Text(text) => text.len(),
            Self::Buffer(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Map(entries) => entries.iter().map(|(key, value)| NODE + key.len() + value.size()).sum(),
            _ => 0,
        }
    }
}

/// How much one conversion may take out of a VM. Counted while it runs, not afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLimits {
    /// Tables inside tables.
    pub depth: usize,
    /// Values, keys not counted. A table that is reachable twice counts twice.
    pub nodes: usize,
    /// Bytes: of strings, keys and buffers for a [`KhronosValue`], of all text for [`Json`](crate::Json).
    pub bytes: usize,
}

impl Default for ValueLimits {
    /// 64 levels, 100,000 values, 1 MiB.
    fn default() -> Self {
        Self { depth: 64, nodes: 100_000, bytes: 1 << 20 }
    }
}

/// Plain JSON. NaN and the infinities, which JSON lacks, become null, as in JavaScript; a buffer is base64 text; a
/// vector is a list of three numbers. A point in time is RFC 3339 on the clock of its zone, a span the number of its
/// seconds, and a zone its name. Integers have all their digits, also where readers with doubles lose some.
impl Serialize for KhronosValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(b) => serializer.serialize_bool(*b),
            Self::Integer(n) => serializer.serialize_i64(*n),
            Self::UnsignedInteger(n) => serializer.serialize_u64(*n),
            Self::Float(n) => serializer.serialize_f64(*n),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Buffer(bytes) => Base64(bytes).serialize(serializer),
            Self::Vector(v) => v.serialize(serializer),
            Self::Timestamptz(time) => serializer.collect_str(time),
            Self::Interval(span) => Self::from(span.as_seconds()).serialize(serializer),
            Self::TimeZone(zone) => serializer.serialize_str(zone.name()),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Bytes as JSON shows them.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// From plain JSON: what JSON lacks does not come back as such.
impl<'de> Deserialize<'de> for KhronosValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FromJson)
    }
}

struct FromJson;

impl<'de> Visitor<'de> for FromJson {
    type Value = KhronosValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<KhronosValue, E> {
        Ok(KhronosValue::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<KhronosValue, E> {
        Ok(b.into())
    }

    fn visit_i64<E>(self, n: i64) -> Result<KhronosValue, E> {
        Ok(n.into())
    }

    fn visit_u64<E>(self, n: u64) -> Result<KhronosValue, E> {
        Ok(KhronosValue::whole(n))
    }

    fn visit_f64<E>(self, n: f64) -> Result<KhronosValue, E> {
        Ok(n.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<KhronosValue, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<KhronosValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(KhronosValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<KhronosValue, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            map.insert(key, value);
        }
        Ok(KhronosValue::Map(map))
    }
}

impl From<&str> for KhronosValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for KhronosValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for KhronosValue {
    /// An `Integer` where nothing is lost, else a `Float`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "guarded by the range and the fraction"
    )]
    fn from(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() <= MAX_EXACT as f64 {
            Self::Integer(number as i64)
        } else {
            Self::Float(number)
        }
    }
}

impl From<i64> for KhronosValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for KhronosValue {
    fn from(b: bool) -> Self {
        Self::Boolean(b)
    }
}

impl<T: Into<KhronosValue>> From<Vec<T>> for KhronosValue {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, const N: usize> From<[(K, KhronosValue); N]> for KhronosValue {
    fn from(entries: [(K, KhronosValue); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_no_more_than_a_text_and_a_word() {
        assert_eq!(size_of::<KhronosValue>(), 32);
    }
}
