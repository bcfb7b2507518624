//! Luau values to JSON text, in one pass: no [`KhronosValue`] in between.
//!
//! Owns [`Json`], which is what a result is outside its VM. Leaves the way out of the VM, and its budget, to `walk`.

use std::fmt;
use std::io;

use mlua::{MultiValue, Table};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde::ser::{Error as _, Serializer};
use serde_json::value::RawValue;

use super::walk::{Full, Leaf, Room, Shape, Sink, Walk};
use super::{Base64, KhronosValue, ValueError, ValueLimits};

/// JSON text, as it goes out: nothing parses it again on its way.
///
/// Two are equal when they mean the same, whatever the order of their keys.
#[derive(Clone)]
pub struct Json(Box<str>);

impl Json {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `text`, if it is one JSON value: for text that comes from somewhere else than a VM of this process.
    pub fn from_text(text: String) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(&text).ok()?;
        Some(Self(text.into()))
    }

    /// What it means; nothing where it is nested deeper than `serde_json` reads, which is 127 levels.
    pub fn to_value(&self) -> KhronosValue {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// What an execution returned: null for nothing, a list for several values. At most `limits.bytes` of text.
pub(crate) fn results(
    values: &MultiValue,
    array: Option<&Table>,
    limits: ValueLimits,
) -> Result<Json, ValueError> {
    let mut writer = Writer { room: Room(limits.bytes), text: Vec::with_capacity(64) };
    Walk::new(&mut writer, array, limits).results(values)?;
    // What `serde_json` writes is UTF-8.
    Ok(Json(String::from_utf8(writer.text).unwrap_or_default().into()))
}

/// Writes JSON as `serde_json` does, and as [`KhronosValue`] looks in it. Its bytes are those of the text.
struct Writer {
    room: Room,
    text: Vec<u8>,
}

impl Writer {
    fn put(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Full> {
        serde_json::to_writer(self, value).map_err(|_| Full)
    }

    fn sign(&mut self, sign: &[u8]) -> Result<(), Full> {
        self.room.take(sign.len())?;
        self.text.extend_from_slice(sign);
        Ok(())
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sign(bytes).map_err(|Full| io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Writer {
    fn leaf(&mut self, leaf: Leaf<'_>) -> Result<(), Full> {
        match leaf {
            Leaf::Null => self.sign(b"null"),
            Leaf::Boolean(b) => self.put(&b),
            Leaf::Number(n) => self.put(&KhronosValue::from(n)),
            Leaf::Integer(n) => self.put(&n),
            Leaf::Unsigned(n) => self.put(&n),
            Leaf::Text(text) => self.put(text),
            Leaf::Buffer(bytes) => self.put(&Base64(bytes)),
            Leaf::Vector(v) => self.put(&v),
            Leaf::Time(time) => self.put(&KhronosValue::Timestamptz(time)),
            Leaf::Span(span) => self.put(&KhronosValue::Interval(span)),
            Leaf::Zone(zone) => self.put(&KhronosValue::TimeZone(zone)),
        }
    }

    fn open(&mut self, shape: Shape) -> Result<(), Full> {
        self.sign(if shape == Shape::List { b"[" } else { b"{" })
    }

    fn item(&mut self, is_first: bool) -> Result<(), Full> {
        if is_first { Ok(()) } else { self.sign(b",") }
    }

    fn key(&mut self, key: &str, is_first: bool) -> Result<(), Full> {
        self.item(is_first)?;
        self.put(key)?;
        self.sign(b":")
    }

    fn close(&mut self, shape: Shape) -> Result<(), Full> {
        self.sign(if shape == Shape::List { b"]" } else { b"}" })
    }
}

impl<T: Into<KhronosValue>> From<T> for Json {
    fn from(value: T) -> Self {
        // A `KhronosValue` has text for keys, and the writer is memory: nothing can fail.
        Self(serde_json::to_string(&value.into()).unwrap_or_default().into())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.to_value() == other.to_value()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it is, for a serializer of `serde_json`.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_is_taken_only_if_it_is_one_json_value() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        for text in ["null", " [1, 2.5e3] ", r#"{"a":{"b":"\u00e4"}}"#, deep.as_str()] {
            let json = Json::from_text(text.to_owned()).unwrap();
            assert_eq!(json.as_str(), text);
            assert_eq!(serde_json::to_string(&json).unwrap(), text.trim());
        }
        for text in ["", " ", "1 2", "1,", r#"1},"status":"ok""#, "[1", "{a:1}", "NaN", "'x'", "\"a\nb\""] {
            assert!(Json::from_text(text.to_owned()).is_none(), "{text:?} was taken");
        }
    }
}
