//! The one walk over a value that came out of a VM: checks it against a rule and makes the JSON that Discord gets.
//!
//! Owns what is found on the way: ids of things that have to belong to the guild, files, and wishes to mention everyone.
//! Depth is bounded by the rules themselves, which are finite; size, by the limits of values that leave a VM.

use std::collections::BTreeMap;

use khronos::KhronosValue;
use serde_json::{Map, Value};

use super::text;
use super::{Field, Invalid, Rule, Shape, Thing};
use crate::host::calls::kind;
use crate::host::discord::shapes::message::ALLOWED_MENTIONS;
use crate::nearest::{did_you_mean, nearest};

/// An id in an argument of which something has to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it was: `data.parent_id`.
    pub path: String,
    /// What it is the id of.
    pub thing: Thing,
    /// The id.
    pub id: u64,
}

/// A file to be sent along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, with nothing in it that could leave a header.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Arguments of a method that were checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// By name.
    pub arguments: Map<String, Value>,
    /// The ids in them, with those of the path first.
    pub references: Vec<Reference>,
    /// The files in them.
    pub files: Vec<File>,
    /// Whether a message asks to mention everyone.
    pub mentions_everyone: bool,
    /// Whether one asks to mention roles.
    pub mentions_roles: bool,
}

impl Decoded {
    /// Checks `arguments` against what a method takes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn of(fields: &'static [Field], arguments: &BTreeMap<String, KhronosValue>) -> Result<Self, Invalid> {
        let mut walk = Walk::new("");
        let arguments = walk.fields(fields, &[], arguments)?;
        Ok(Self { arguments, ..walk.found })
    }

    /// The id in an argument; nothing where it was left out.
    pub fn id(&self, argument: &str) -> Option<u64> {
        self.arguments.get(argument)?.as_str()?.parse().ok()
    }

    /// The text in an argument.
    pub fn text(&self, argument: &str) -> Option<&str> {
        self.arguments.get(argument)?.as_str()
    }

    /// The fields of `data`.
    pub fn data(&self) -> Option<&Map<String, Value>> {
        self.arguments.get("data")?.as_object()
    }
}

/// One walk.
pub(super) struct Walk {
    pub(super) path: String,
    pub(super) found: Decoded,
    pub(super) file_bytes: usize,
}

impl Walk {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), found: Decoded::default(), file_bytes: 0 }
    }

    pub(super) fn wrong<T>(&self, problem: impl Into<String>) -> Result<T, Invalid> {
        let path = if self.path.is_empty() { "options" } else { &self.path };
        Err(Invalid { path: path.to_owned(), problem: problem.into() })
    }

    /// Something else than what was expected.
    pub(super) fn expected<T>(&self, expected: &str, got: &KhronosValue) -> Result<T, Invalid> {
        self.wrong(format!("is {}: expected {expected}", kind(got)))
    }

    /// Goes into a part, and comes back.
    fn inside<T>(
        &mut self,
        part: &str,
        walk: impl FnOnce(&mut Self) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        let outside = self.path.len();
        if !self.path.is_empty() && !part.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(part);
        let result = walk(self);
        self.path.truncate(outside);
        result
    }

    /// A value against its rule.
    pub(super) fn value(&mut self, rule: &Rule, value: &KhronosValue) -> Result<Value, Invalid> {
        match rule {
            Rule::Boolean => match value {
                KhronosValue::Boolean(b) => Ok((*b).into()),
                other => self.expected("true or false", other),
            },
            Rule::Integer(least, most) => self.integer(*least, *most, value).map(Value::from),
            Rule::Choice(choices) => {
                let number = self.integer(i64::MIN, i64::MAX, value)?;
                if choices.contains(&number) {
                    return Ok(number.into());
                }
                self.wrong(format!("is {number}: expected one of {}", list(choices)))
            }
            Rule::Number(least, most) => self.number(*least, *most, value),
            Rule::Text(least, most) => self.text(*least, *most, value).map(Value::from),
            Rule::Word(words) => self.word(words, value),
            Rule::Named(named) => self.named(named, value),
            Rule::Token(most) => self.token(*most, value),
            Rule::Invite => self.invite(value),
            Rule::Link => self.link(value),
            Rule::Moment => self.moment(value),
            Rule::Image(types) => self.image(types, value),
            Rule::Id(thing) => self.id(*thing, value),
            Rule::Permissions => self.permissions(value),
            Rule::Emoji => match text::emoji(value) {
                Ok(emoji) => Ok(emoji.into()),
                Err(problem) => self.wrong(problem),
            },
            Rule::Content => self.content(value),
            Rule::OrNull(rule) => {
                if is_null(value) {
                    Ok(Value::Null)
                } else {
                    self.value(rule, value)
                }
            }
            Rule::List(of, least, most) => self.list(of, *least, *most, value),
            Rule::Languages(rule) => self.languages(rule, value),
            Rule::Object(shape) => self.object(shape, value),
            Rule::Tagged(tag, shapes) => self.tagged(tag, shapes, value),
            Rule::Either(one, other) => match self.value(one, value) {
                Ok(value) => Ok(value),
                // Of two rules the first is about texts.
                Err(wrong) if matches!(value, KhronosValue::Text(_)) => Err(wrong),
                Err(_) => self.value(other, value),
            },
        }
    }

    /// The fields of a table, without those that are left out.
    fn fields(
        &mut self,
        fields: &'static [Field],
        left_out: &[&str],
        table: &BTreeMap<String, KhronosValue>,
    ) -> Result<Map<String, Value>, Invalid> {
        let is_known = |key: &str| left_out.contains(&key) || fields.iter().any(|field| field.name == key);
        if let Some(unknown) = table.keys().find(|key| !is_known(key)) {
            let meant = nearest(unknown, fields.iter().map(|field| field.name));
            let shown: String = unknown.chars().filter(|char| !char.is_control()).take(60).collect();
            let known: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            let all = match known.len() {
                0 => "; there are none".to_owned(),
                _ => format!("; there are {}", known.join(", ")),
            };
            let hint = if meant.is_some() { did_you_mean(meant) } else { all };
            let problem = format!("is not a field that there is{hint}");
            return self.inside(&shown, |walk| walk.wrong(problem));
        }
        let mut found = Map::new();
        for field in fields {
            match table.get(field.name) {
                Some(value) if !(is_missing(value) && field.is_optional()) => {
                    let value = self.inside(field.name, |walk| walk.value(&field.rule, value))?;
                    // A file travels beside the JSON, which says its number.
                    let key = if matches!(field.rule, Rule::Content) { "id" } else { field.name };
                    found.insert(key.to_owned(), value);
                }
                Some(value) if matches!(field.rule, Rule::OrNull(_)) && is_null(value) => {
                    found.insert(field.name.to_owned(), Value::Null);
                }
                None if !field.is_optional() => {
                    return self.inside(field.name, |walk| walk.wrong("is missing"));
                }
                Some(_) | None => {}
            }
        }
        Ok(found)
    }

    fn object(&mut self, shape: &'static Shape, value: &KhronosValue) -> Result<Value, Invalid> {
        let files = self.found.files.len();
        let mut fields = match value {
            KhronosValue::Map(table) => self.fields(shape.fields, shape.left_out, table)?,
            // An empty table with the array metatable.
            KhronosValue::List(items) if items.is_empty() => {
                self.fields(shape.fields, &[], &BTreeMap::new())?
            }
            other => return self.expected("a table with named fields", other),
        };
        if let Some(together) = shape.together
            && let Err(wrong) = together(&mut fields)
        {
            if wrong.at.is_empty() {
                return self.wrong(wrong.what);
            }
            return self.inside(&wrong.at, |walk| walk.wrong(wrong.what));
        }
        if let Some(file) = self.found.files.get_mut(files)
            && let Some(name) = fields.get("filename").and_then(Value::as_str)
            && fields.contains_key("id")
            && file.name.is_empty()
        {
            name.clone_into(&mut file.name);
        }
        if shape.name == ALLOWED_MENTIONS.name {
            let named =
                |field: &str| fields.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            self.found.mentions_everyone |= named("parse").iter().any(|what| what == "everyone");
            let roles = named("parse").iter().any(|what| what == "roles") || !named("roles").is_empty();
            self.found.mentions_roles |= roles;
        }
        Ok(Value::Object(fields))
    }

    fn tagged(
        &mut self,
        tag: &'static str,
        shapes: &'static [(i64, &'static Shape)],
        value: &KhronosValue,
    ) -> Result<Value, Invalid> {
        let KhronosValue::Map(table) = value else {
            return self.expected("a table with named fields", value);
        };
        let tags: Vec<i64> = shapes.iter().map(|(tag, _)| *tag).collect();
        let Some(which) = table.get(tag) else {
            return self
                .inside(tag, |walk| walk.wrong(format!("is missing: expected one of {}", list(&tags))));
        };
        let which = self.inside(tag, |walk| walk.integer(i64::MIN, i64::MAX, which))?;
        match shapes.iter().find(|(tag, _)| *tag == which) {
            Some((_, shape)) => self.object(shape, value),
            None => {
                self.inside(tag, |walk| walk.wrong(format!("is {which}: expected one of {}", list(&tags))))
            }
        }
    }

    fn list(&mut self, of: &Rule, least: usize, most: usize, value: &KhronosValue) -> Result<Value, Invalid> {
        let items = match value {
            KhronosValue::List(items) => items.as_slice(),
            // An empty table does not say which of both it is.
            KhronosValue::Map(table) if table.is_empty() => &[],
            other => return self.expected("a list", other),
        };
        if !(least..=most).contains(&items.len()) {
            return self.wrong(format!("has {} entries: expected {least} to {most}", items.len()));
        }
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            // As Luau counts.
            found.push(self.inside(&format!("[{}]", index + 1), |walk| walk.value(of, item))?);
        }
        Ok(Value::Array(found))
    }

    fn languages(&mut self, rule: &Rule, value: &KhronosValue) -> Result<Value, Invalid> {
        let KhronosValue::Map(table) = value else {
            return self.expected("a table with a text for each language", value);
        };
        let mut found = Map::new();
        for (language, value) in table {
            if !text::LANGUAGES.contains(&language.as_str()) {
                let meant = nearest(language, text::LANGUAGES.iter().copied());
                let problem = format!("names a language that Discord does not have{}", did_you_mean(meant));
                return self.wrong(problem);
            }
            found.insert(language.clone(), self.inside(language, |walk| walk.value(rule, value))?);
        }
        Ok(Value::Object(found))
    }
}

/// What a rule for null takes as null: nothing, or `{}`.
fn is_null(value: &KhronosValue) -> bool {
    match value {
        KhronosValue::Null => true,
        KhronosValue::Map(table) => table.is_empty(),
        _ => false,
    }
}

fn is_missing(value: &KhronosValue) -> bool {
    matches!(value, KhronosValue::Null)
}

fn list(choices: &[i64]) -> String {
    choices.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
