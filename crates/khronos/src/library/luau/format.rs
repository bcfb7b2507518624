//! Values as people read them.
//!
//! Only raw access: no metamethod of a script runs. What is left out is shown as `..`.

use mlua::{AnyUserData, MultiValue, Table, Value};

use crate::library::datamgmt::Blob;
use crate::library::lune::datetime::Moment;
use crate::library::typesext::{I64, U64};
use crate::value::convert::kind;
use crate::value::patience::Patience;
use crate::value::time::{Interval, TimeZone, Timestamp};

/// Bytes of a text, about: it may end in the middle of a value.
pub(super) const LONGEST: usize = 16 << 10;
/// Bytes of one text in it.
const LONGEST_TEXT: usize = 1_000;
const DEEPEST: usize = 8;
/// Values of all tables together.
const MOST: usize = 2_000;

/// `values`, side by side.
pub(super) fn format(values: &MultiValue) -> String {
    let mut writer = Writer { text: String::new(), values: 0, patience: Patience::default() };
    for (index, value) in values.iter().enumerate() {
        if writer.is_full() {
            break;
        }
        if index > 0 {
            writer.text.push(' ');
        }
        writer.value(value, 0);
    }
    writer.text
}

struct Writer {
    text: String,
    values: usize,
    patience: Patience,
}

impl Writer {
    fn is_full(&self) -> bool {
        self.text.len() > LONGEST || self.values > MOST || self.patience.is_over(self.values)
    }

    fn value(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        match value {
            Value::Nil => self.text.push_str("nil"),
            Value::Boolean(b) => self.text.push_str(if *b { "true" } else { "false" }),
            Value::Integer(n) => self.text.push_str(&n.to_string()),
            Value::Number(n) => self.text.push_str(&n.to_string()),
            Value::Vector(v) => self.text.push_str(&format!("vector({}, {}, {})", v.x(), v.y(), v.z())),
            Value::String(text) => self.quoted(&text.as_bytes()),
            Value::Buffer(buffer) => self.text.push_str(&format!("buffer({} bytes)", buffer.len())),
            Value::Table(table) => self.table(table, depth),
            Value::UserData(data) => self.text.push_str(&object(data)),
            Value::LightUserData(data) if data.0.is_null() => self.text.push_str("null"),
            other => self.text.push_str(kind(other)),
        }
    }

    fn quoted(&mut self, bytes: &[u8]) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]);
        self.text.push_str(&format!("{shown:?}"));
        if bytes.len() > LONGEST_TEXT {
            self.text.push_str("..");
        }
    }

    fn table(&mut self, table: &Table, depth: usize) {
        if depth >= DEEPEST {
            self.text.push_str("{..}");
            return;
        }
        self.text.push('{');
        let mut next = 1;
        let walked = table.for_each(|key: Value, value: Value| {
            if self.is_full() {
                // An error of any kind ends the walk.
                return Err(mlua::Error::StackError);
            }
            self.line(depth + 1);
            if !matches!(&key, Value::Integer(index) if *index == next) {
                self.key(&key);
                self.text.push_str(" = ");
            }
            next += 1;
            self.value(&value, depth + 1);
            self.text.push(',');
            Ok(())
        });
        if walked.is_err() {
            self.line(depth + 1);
            self.text.push_str("..");
        }
        if next > 1 || walked.is_err() {
            self.line(depth);
        }
        self.text.push('}');
    }

    fn line(&mut self, depth: usize) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", depth));
    }

    fn key(&mut self, key: &Value) {
        if let Value::String(name) = key
            && let Ok(name) = name.to_str()
            && is_name(&name)
        {
            self.text.push_str(&name);
            return;
        }
        self.text.push('[');
        // A table as a key is not shown from inside.
        self.value(key, DEEPEST);
        self.text.push(']');
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_TEXT
        && text.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn object(data: &AnyUserData) -> String {
    if let Ok(n) = data.borrow::<U64>() {
        format!("U64({})", n.0)
    } else if let Ok(n) = data.borrow::<I64>() {
        format!("I64({})", n.0)
    } else if let Ok(time) = data.borrow::<Timestamp>() {
        format!("DateTime({})", *time)
    } else if let Ok(time) = data.borrow::<Moment>() {
        format!("DateTime({})", time.0)
    } else if let Ok(span) = data.borrow::<Interval>() {
        format!("TimeDelta({})", span.0)
    } else if let Ok(zone) = data.borrow::<TimeZone>() {
        format!("Timezone({})", zone.name())
    } else if let Ok(blob) = data.borrow::<Blob>() {
        format!("Blob({} bytes)", blob.bytes().len())
    } else {
        data.type_name().map_or_else(|_| "userdata".to_owned(), |name| name.to_string_lossy())
    }
}
