//! The rules for values that are no tables.
//!
//! Owns the texts that say what is wrong with them; forms of text that take more to check are in `text`.

use khronos::KhronosValue;
use serde_json::Value;

use super::text::{self, count};
use super::walk::{File, Reference, Walk};
use super::{Invalid, Thing};
use crate::ids::UserId;

/// Bytes of all files of one call: Discord takes 10 MiB for a request of a guild without boosts.
const MOST_FILE_BYTES: usize = 8 << 20;

impl Walk {
    pub(super) fn integer(&self, least: i64, most: i64, value: &KhronosValue) -> Result<i64, Invalid> {
        let KhronosValue::Integer(number) = value else {
            return self.expected("a whole number", value);
        };
        if (least..=most).contains(number) {
            return Ok(*number);
        }
        self.wrong(format!("is {number}: expected {least} to {most}"))
    }

    #[expect(clippy::cast_precision_loss, reason = "Luau has doubles only")]
    pub(super) fn number(&self, least: f64, most: f64, value: &KhronosValue) -> Result<Value, Invalid> {
        let number = match value {
            KhronosValue::Integer(number) => *number as f64,
            KhronosValue::Float(number) => *number,
            other => return self.expected("a number", other),
        };
        if (least..=most).contains(&number) {
            return Ok(value_of(value, number));
        }
        self.wrong(format!("is {number}: expected {least} to {most}"))
    }

    pub(super) fn text<'a>(
        &self,
        least: usize,
        most: usize,
        value: &'a KhronosValue,
    ) -> Result<&'a str, Invalid> {
        let KhronosValue::Text(text) = value else { return self.expected("text", value) };
        let characters = count(text);
        if characters > most {
            return self.wrong(format!("has {characters} characters: Discord takes at most {most}"));
        }
        if characters < least {
            return self.wrong(match characters {
                0 => "is empty".to_owned(),
                _ => format!("has {characters} characters: Discord takes at least {least}"),
            });
        }
        Ok(text)
    }

    pub(super) fn word(&self, words: &[&'static str], value: &KhronosValue) -> Result<Value, Invalid> {
        let word = self.text(0, 100, value)?;
        if words.contains(&word) {
            return Ok(word.into());
        }
        self.wrong(format!("is none of `{}`", words.join("`, `")))
    }

    pub(super) fn named(
        &self,
        named: &[(&'static str, i64)],
        value: &KhronosValue,
    ) -> Result<Value, Invalid> {
        let found = named.iter().find(|(name, number)| match value {
            KhronosValue::Text(text) => text == name,
            KhronosValue::Integer(given) => given == number,
            _ => false,
        });
        match found {
            Some((_, number)) => Ok((*number).into()),
            None => {
                let all: Vec<_> =
                    named.iter().map(|(name, number)| format!("{number} or `{name}`")).collect();
                self.wrong(format!("is none of these: {}", all.join(", ")))
            }
        }
    }

    pub(super) fn moment(&self, value: &KhronosValue) -> Result<Value, Invalid> {
        if let KhronosValue::Timestamptz(time) = value {
            return match text::of_moment(*time) {
                Some(text) => Ok(text.into()),
                None => self.wrong("is out of the years that can be written"),
            };
        }
        let moment = self.text(10, 40, value)?;
        if text::is_moment(moment) {
            return Ok(moment.into());
        }
        self.wrong(
            "is no moment: expected a DateTime, or ISO 8601 with a time zone, such as 2026-01-31T18:00:00Z",
        )
    }

    pub(super) fn invite(&self, value: &KhronosValue) -> Result<Value, Invalid> {
        let KhronosValue::Text(invite) = value else { return self.expected("text", value) };
        self.token(64, &text::code_of(invite).into())
    }

    pub(super) fn token(&self, most: usize, value: &KhronosValue) -> Result<Value, Invalid> {
        let KhronosValue::Text(token) = value else { return self.expected("text", value) };
        if (1..=most).contains(&token.len()) && text::is_plain(token) {
            return Ok(token.as_str().into());
        }
        self.wrong(format!("has to be 1 to {most} of the letters a-z, A-Z, digits, `-` and `_`"))
    }

    pub(super) fn link(&self, value: &KhronosValue) -> Result<Value, Invalid> {
        let link = self.text(1, 2048, value)?;
        let known = ["https://", "http://", "attachment://"];
        if known.iter().any(|start| link.starts_with(start)) && !link.contains(char::is_whitespace) {
            return Ok(link.into());
        }
        self.wrong("is no address: expected one that begins with https://, http:// or attachment://")
    }

    pub(super) fn image(&self, types: &[&str], value: &KhronosValue) -> Result<Value, Invalid> {
        let KhronosValue::Text(uri) = value else { return self.expected("text", value) };
        match text::image(types, uri) {
            Ok(()) => Ok(uri.as_str().into()),
            Err(problem) => self.wrong(problem),
        }
    }

    pub(super) fn id(&mut self, thing: Thing, value: &KhronosValue) -> Result<Value, Invalid> {
        let parsed = match value {
            KhronosValue::Text(text) => text.parse::<UserId>().ok(),
            KhronosValue::UnsignedInteger(id) => UserId::new(*id),
            KhronosValue::Integer(_) | KhronosValue::Float(_) => {
                return self.wrong("is a number, which loses digits of an id: use text, as in events");
            }
            other => return self.expected("an id as text", other),
        };
        let Some(id) = parsed else {
            return self.wrong("is no id: expected decimal digits, such as 826535422381391913");
        };
        let (path, id) = (self.path.clone(), id.get());
        self.found.references.push(Reference { path, thing, id });
        Ok(id.to_string().into())
    }

    pub(super) fn permissions(&self, value: &KhronosValue) -> Result<Value, Invalid> {
        let bits = match value {
            KhronosValue::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse::<i64>().ok()
            }
            KhronosValue::Integer(bits) => (*bits >= 0).then_some(*bits),
            KhronosValue::UnsignedInteger(bits) => i64::try_from(*bits).ok(),
            _ => None,
        };
        match bits {
            Some(bits) => Ok(bits.into()),
            None => {
                self.wrong("holds no permissions: expected their bits as a number, or its digits as text")
            }
        }
    }

    pub(super) fn content(&mut self, value: &KhronosValue) -> Result<Value, Invalid> {
        let content = match value {
            KhronosValue::Buffer(bytes) => bytes.as_slice(),
            KhronosValue::Text(text) => text.as_bytes(),
            other => return self.expected("a buffer or text", other),
        };
        self.file_bytes = self.file_bytes.saturating_add(content.len());
        if self.file_bytes > MOST_FILE_BYTES {
            return self
                .wrong(format!("is too large: the files of a call have at most {MOST_FILE_BYTES} bytes"));
        }
        let index = self.found.files.len();
        self.found.files.push(File { name: String::new(), content: content.to_vec() });
        Ok(index.to_string().into())
    }
}

/// Whole numbers stay whole.
fn value_of(value: &KhronosValue, number: f64) -> Value {
    if let KhronosValue::Integer(whole) = value { (*whole).into() } else { number.into() }
}
