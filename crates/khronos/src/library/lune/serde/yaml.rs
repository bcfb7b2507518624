//! YAML: what its parser reports, as a value, and values as text.
//!
//! The parser reports one thing after another and nothing inside anything, so how deep a text is costs no stack. Aliases
//! are refused: a few of them can stand for any number of values.

use std::collections::BTreeMap;
use std::fmt::Write;

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
        #[expect(clippy::cast_precision_loss, reason = "templates have doubles only")]
        return number.map(|number| (number as f64).into());
    }
    let is_number = digits.starts_with(|sign: char| sign.is_ascii_digit() || sign == '.')
        && digits.contains(|sign: char| sign.is_ascii_digit());
    if is_number { text.parse::<f64>().ok().map(KhronosValue::from) } else { None }
}

/// `value` in blocks, as people write it.
pub(super) fn write(value: &KhronosValue) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text.push('\n');
    text
}

fn block(value: &KhronosValue, depth: usize, text: &mut String) {
    match value {
        KhronosValue::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                start(text, depth, index);
                text.push_str("- ");
                inner(item, depth + 1, text, true);
            }
        }
        KhronosValue::Map(entries) if !entries.is_empty() => {
            for (index, (key, item)) in entries.iter().enumerate() {
                start(text, depth, index);
                scalar(&KhronosValue::Text(key.clone()), text);
                text.push(':');
                inner(item, depth + 1, text, false);
            }
        }
        other => scalar(other, text),
    }
}

/// The line of an entry; the first one goes on where its list or map was begun.
fn start(text: &mut String, depth: usize, index: usize) {
    if index > 0 {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    }
}

fn inner(item: &KhronosValue, depth: usize, text: &mut String, is_of_list: bool) {
    let is_block = match item {
        KhronosValue::List(items) => !items.is_empty(),
        KhronosValue::Map(entries) => !entries.is_empty(),
        _ => false,
    };
    if is_block && !is_of_list {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    } else if !is_of_list {
        text.push(' ');
    }
    block(item, depth, text);
}

fn scalar(value: &KhronosValue, text: &mut String) {
    match value {
        KhronosValue::Text(plain) if is_plain(plain) => text.push_str(plain),
        KhronosValue::Float(n) if n.is_nan() => text.push_str(".nan"),
        KhronosValue::Float(n) if n.is_infinite() => text.push_str(if *n > 0.0 { ".inf" } else { "-.inf" }),
        // JSON's texts and numbers, and its empty lists and objects, are YAML's as well.
        other => {
            let _ = write!(text, "{}", serde_json::to_string(other).unwrap_or_default());
        }
    }
}

/// Whether a text needs no quotes: it is a word that means nothing else, in any version of YAML.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    text.len() <= 100
        && text.starts_with(|sign: char| sign.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}
