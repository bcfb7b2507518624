//! YAML: what its parser reports, as a value, and values as text.
//!
//! The parser reports one thing after another and nothing inside anything, so how deep a text is costs no stack. Aliases
//! are refused: a few of them can stand for any number of values.

use std::collections::BTreeMap;
use std::io::{self, Write};

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::value::{KhronosValue, ValueLimits, reader};

/// Reads the one document in `text`.
pub(super) fn read(text: &str, limits: ValueLimits) -> Result<KhronosValue, String> {
    let mut builder = Builder { open: Vec::new(), done: None, nodes: 0 };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err("there is more than one document".to_owned());
                }
            }
            Event::Alias(_) => return Err("aliases are not possible: write the value again".to_owned()),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err("tags are not possible".to_owned());
            }
            Event::Scalar(text, style, _, None) => builder.put(text.as_ref(), style == ScalarStyle::Plain)?,
            Event::SequenceStart(..) => builder.open.push(Open::List(Vec::new())),
            Event::MappingStart(..) => builder.open.push(Open::Map(BTreeMap::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
        }
        builder.nodes += 1;
        if builder.open.len() > limits.depth || builder.nodes > limits.nodes.saturating_mul(2) {
            return Err("it is nested too deep, or has too many parts".to_owned());
        }
    }
    let value = builder.done.unwrap_or_default();
    reader::within(&value, limits).map_err(|error| error.to_string())?;
    Ok(value)
}

struct Builder {
    open: Vec<Open>,
    done: Option<KhronosValue>,
    nodes: usize,
}

enum Open {
    List(Vec<KhronosValue>),
    /// With the key whose value comes next.
    Map(BTreeMap<String, KhronosValue>, Option<String>),
}

impl Builder {
    fn put(&mut self, text: &str, is_plain: bool) -> Result<(), String> {
        if let Some(Open::Map(_, key @ None)) = self.open.last_mut() {
            *key = Some(text.to_owned());
            return Ok(());
        }
        let value = if is_plain { resolve(text) } else { None };
        self.add(value.unwrap_or_else(|| text.into()))
    }

    fn add(&mut self, value: KhronosValue) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.done = Some(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(entries, key)) => {
                let key = key.take().ok_or("only texts can be keys")?;
                entries.insert(key, value);
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some(Open::List(items)) => self.add(KhronosValue::List(items)),
            Some(Open::Map(entries, _)) => self.add(KhronosValue::Map(entries)),
            None => Ok(()),
        }
    }
}

/// What a scalar without quotes is, if it is no text: the core schema of YAML 1.2.
fn resolve(text: &str) -> Option<KhronosValue> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(KhronosValue::Null),
        "true" | "True" | "TRUE" => return Some(true.into()),
        "false" | "False" | "FALSE" => return Some(false.into()),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN.into()),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }.into());
    }
    let radix =
        |prefix, radix| text.strip_prefix(prefix).map(|digits| u64::from_str_radix(digits, radix).ok());
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return number.map(KhronosValue::whole);
    }
    let is_number = digits.starts_with(|sign: char| sign.is_ascii_digit() || sign == '.')
        && digits.contains(|sign: char| sign.is_ascii_digit());
    if !is_number {
        return None;
    }
    let signed = text.parse::<i64>().ok().map(KhronosValue::from);
    let unsigned = || text.parse().ok().map(KhronosValue::whole);
    signed.or_else(unsigned).or_else(|| text.parse::<f64>().ok().map(KhronosValue::from))
}

/// `value` in blocks, as people write it.
pub(super) fn write(value: &KhronosValue, text: &mut impl Write) -> io::Result<()> {
    block(value, 0, text)?;
    text.write_all(b"\n")
}

fn block(value: &KhronosValue, depth: usize, text: &mut impl Write) -> io::Result<()> {
    match value {
        KhronosValue::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                // The first entry goes on where its list or map was begun.
                if index > 0 {
                    line(depth, text)?;
                }
                text.write_all(b"- ")?;
                block(item, depth + 1, text)?;
            }
            Ok(())
        }
        KhronosValue::Map(entries) if !entries.is_empty() => {
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    line(depth, text)?;
                }
                words(key, text)?;
                text.write_all(b":")?;
                if is_block(item) {
                    line(depth + 1, text)?;
                } else {
                    text.write_all(b" ")?;
                }
                block(item, depth + 1, text)?;
            }
            Ok(())
        }
        KhronosValue::Text(plain) => words(plain, text),
        KhronosValue::Float(n) if n.is_nan() => text.write_all(b".nan"),
        KhronosValue::Float(n) if n.is_infinite() => {
            text.write_all(if *n > 0.0 { b".inf" } else { b"-.inf" })
        }
        // JSON's numbers, its empty lists and its empty objects are YAML's as well.
        other => Ok(serde_json::to_writer(text, other)?),
    }
}

fn is_block(value: &KhronosValue) -> bool {
    match value {
        KhronosValue::List(items) => !items.is_empty(),
        KhronosValue::Map(entries) => !entries.is_empty(),
        _ => false,
    }
}

fn line(depth: usize, text: &mut impl Write) -> io::Result<()> {
    write!(text, "\n{:1$}", "", depth * 2)
}

/// In quotes, where they are needed, as JSON has them: those are YAML's as well.
fn words(plain: &str, text: &mut impl Write) -> io::Result<()> {
    if is_plain(plain) { text.write_all(plain.as_bytes()) } else { Ok(serde_json::to_writer(text, plain)?) }
}

/// Whether a text needs no quotes: it is a word that means nothing else, in any version of YAML.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    text.len() <= 100
        && text.starts_with(|sign: char| sign.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}
