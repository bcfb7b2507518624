//! Whether a JSON value fits a schema of Discord's description.
//!
//! Owns the keywords that the description uses, and no others: a test reads the file and fails on an unknown one. A
//! general validator can't be used. `oneOf` is meant as "any of" there (an edit of a channel fits three of its four
//! branches), and a field that no branch knows must be a problem, because a misspelled field is what a test is to find.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Every keyword that is understood, or means nothing for validity.
#[cfg(test)]
const KEYWORDS: [&str; 28] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contentEncoding",
    "default",
    "deprecated",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-discord-union",
];

/// Fields that hold sets of permissions: Discord's documentation has them as strings, its description as integers,
/// and Discord takes both.
const SETS: [&str; 4] = ["permissions", "allow", "deny", "default_member_permissions"];

/// Fields that Discord's documentation has and its description forgets, or that clients send back as they got them and
/// Discord ignores.
const EXTRA: [&str; 4] = ["application_id", "guild_id", "nsfw", "version"];

/// A place where a value doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, with dots: `embeds.0.title`.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

impl Problem {
    pub(in crate::discord) fn new(at: &str, what: &str) -> Self {
        Self { at: at.to_owned(), what: what.to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => out.write_str(&self.what),
            at => write!(out, "{at}: {}", self.what),
        }
    }
}

/// Which way the value travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// To Discord.
    Request,
    /// From Discord.
    Reply,
}

/// The schemas that others refer to.
pub(super) struct Checker<'a> {
    pub(super) schemas: &'a Map<String, Value>,
    pub(super) side: Side,
}

impl Checker<'_> {
    /// All problems of `value`, which stands at `at`.
    pub(super) fn check(&self, schema: &Value, value: &Value, at: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.walk(schema, value, at, false, &mut problems);
        problems
    }

    /// The problems of a parameter that came as text.
    pub(super) fn parameter(&self, schema: &Value, text: &str, at: &str, problems: &mut Vec<Problem>) {
        let kinds = self.kinds(schema);
        let value = match text {
            _ if kinds.contains("array") => {
                text.split(',').map(|part| Value::String(part.to_owned())).collect()
            }
            "true" | "false" if kinds.contains("boolean") => Value::Bool(text == "true"),
            _ if kinds.contains("integer") => {
                text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from)
            }
            _ => Value::String(text.to_owned()),
        };
        problems.extend(self.check(schema, &value, at));
    }

    /// `open` is set where another part of an `allOf` may know the fields that this one doesn't.
    fn walk(&self, schema: &Value, value: &Value, at: &str, open: bool, problems: &mut Vec<Problem>) {
        if let Some(target) = self.target(schema) {
            self.walk(target, value, at, open, problems);
        }
        if let Some(what) = self.wrong_kind(schema, value, at) {
            return problems.push(Problem::new(at, &what));
        }
        // The type of a forward is in Discord's documentation, but not in its description.
        let forwards = value == 1 && at.ends_with("message_reference.type");
        let fixed = schema.get("const").is_some_and(|fixed| fixed != value) && !forwards;
        let listed = schema["enum"].as_array().is_some_and(|list| !list.contains(value));
        if fixed || listed {
            let wanted = schema.get("const").unwrap_or(&schema["enum"]);
            return problems.push(Problem::new(at, &format!("{value} is not {wanted}")));
        }
        match value {
            Value::String(text) => check_text(schema, text, at, problems),
            Value::Number(number) => check_number(schema, number.as_f64().unwrap_or(f64::NAN), at, problems),
            Value::Array(items) => self.check_items(schema, items, at, problems),
            Value::Object(fields) => self.check_fields(schema, fields, at, open, problems),
            Value::Null | Value::Bool(_) => {}
        }
        for part in list(schema, "allOf") {
            self.walk(part, value, at, true, problems);
        }
        for key in ["oneOf", "anyOf"] {
            self.check_branches(list(schema, key), value, at, open, problems);
        }
    }

    /// One branch must fit. If none does, the problems are those of the branch that was meant.
    fn check_branches(
        &self,
        branches: &[Value],
        value: &Value,
        at: &str,
        open: bool,
        problems: &mut Vec<Problem>,
    ) {
        let mut best: Option<(u32, Vec<Problem>)> = None;
        for branch in branches {
            let mut found = Vec::new();
            self.walk(branch, value, at, open, &mut found);
            if found.is_empty() {
                return;
            }
            // A value of another kind was least meant for this branch, one with another `type` not much more.
            let here = format!("{}type", prefix(at));
            let cost = |one: &Problem| match &one.at {
                place if place == at => 10_000,
                place if *place == here => 100,
                _ => 1,
            };
            let score: u32 = found.iter().map(cost).sum();
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                best = Some((score, found));
            }
        }
        problems.extend(best.into_iter().flat_map(|(_, found)| found));
    }

    fn check_items(&self, schema: &Value, items: &[Value], at: &str, problems: &mut Vec<Problem>) {
        check_size(schema, ["minItems", "maxItems"], items.len(), "items", at, problems);
        let seen: BTreeSet<String> = items.iter().map(Value::to_string).collect();
        if schema["uniqueItems"] == true && seen.len() < items.len() {
            problems.push(Problem::new(at, "has an item twice"));
        }
        if let Some(each) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.walk(each, item, &format!("{}{index}", prefix(at)), false, problems);
            }
        }
    }

    fn check_fields(
        &self,
        schema: &Value,
        fields: &Map<String, Value>,
        at: &str,
        open: bool,
        problems: &mut Vec<Problem>,
    ) {
        check_size(schema, ["minProperties", "maxProperties"], fields.len(), "fields", at, problems);
        for key in list(schema, "required").iter().filter_map(Value::as_str) {
            if !fields.contains_key(key) {
                problems.push(Problem::new(&format!("{}{key}", prefix(at)), "is missing"));
            }
        }
        let known = if open { None } else { self.known(schema) };
        for (key, value) in fields {
            let at = format!("{}{key}", prefix(at));
            if let Some(property) = schema["properties"].get(key) {
                self.walk(property, value, &at, false, problems);
            } else if let Some(Value::Object(_)) = schema.get("additionalProperties") {
                self.walk(&schema["additionalProperties"], value, &at, false, problems);
            } else if known.as_ref().is_some_and(|known| !known.contains(key.as_str())) && !self.is_extra(key)
            {
                problems.push(Problem::new(&at, "there is no such field"));
            }
        }
    }

    fn is_extra(&self, key: &str) -> bool {
        self.side == Side::Request && EXTRA.contains(&key)
    }

    /// The fields that an object may have, if they are fixed here and not in a branch or behind a reference.
    fn known<'s>(&'s self, schema: &'s Value) -> Option<BTreeSet<&'s str>> {
        let branches = ["$ref", "oneOf", "anyOf"].iter().any(|key| schema.get(key).is_some());
        let more = schema.get("additionalProperties").is_some_and(|more| more != false);
        if branches || more {
            return None;
        }
        let own = schema["properties"].as_object();
        let mut known: BTreeSet<&str> = own.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        for part in list(schema, "allOf") {
            known.extend(self.known(self.target(part).unwrap_or(part))?);
        }
        let fixed = own.is_some() || schema.get("additionalProperties").is_some() || !known.is_empty();
        fixed.then_some(known)
    }

    /// Why `value` is not of a kind that the schema allows.
    fn wrong_kind(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let allowed: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        let kind = kind_of(value);
        let fits = allowed.contains(&kind) || kind == "integer" && allowed.contains(&"number");
        let digits = |text: &str| text.parse::<u64>().is_ok();
        let set = self.side == Side::Request
            && SETS.contains(&at.rsplit('.').next().unwrap_or_default())
            && value.as_str().is_some_and(digits);
        // Discord's codes of wrong fields are words; its description has them as integers, as all other codes.
        let code = self.side == Side::Reply && at.contains("_errors.") && at.ends_with(".code");
        // Discord takes ids as numbers, too; attachments have no other.
        let id = self.side == Side::Request && value.is_u64() && schema["format"] == "snowflake";
        let excused = (set || code && kind == "string") && allowed.contains(&"integer") || id;
        let article = |kind: &str| match kind {
            "null" => kind.to_owned(),
            "array" | "integer" | "object" => format!("an {kind}"),
            kind => format!("a {kind}"),
        };
        let wanted: Vec<String> = allowed.iter().map(|kind| article(kind)).collect();
        (!fits && !excused).then(|| format!("is {}, not {}", article(kind), wanted.join(" or ")))
    }

    /// Every kind that some branch of the schema allows.
    fn kinds<'s>(&'s self, schema: &'s Value) -> BTreeSet<&'s str> {
        let mut kinds: BTreeSet<&str> = schema["type"].as_str().into_iter().collect();
        kinds.extend(list(schema, "type").iter().filter_map(Value::as_str));
        for part in ["oneOf", "anyOf", "allOf"].iter().flat_map(|key| list(schema, key)) {
            kinds.extend(self.kinds(part));
        }
        kinds.extend(self.target(schema).into_iter().flat_map(|target| self.kinds(target)));
        kinds
    }

    fn target(&self, schema: &Value) -> Option<&Value> {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        Some(self.schemas.get(name).unwrap_or_else(|| panic!("the description lacks the schema {name}")))
    }
}

fn list<'s>(schema: &'s Value, key: &str) -> &'s [Value] {
    schema[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn prefix(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!("{at}.") }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_size(
    schema: &Value,
    [least, most]: [&str; 2],
    size: usize,
    unit: &str,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    let size = size as u64;
    if let Some(least) = schema[least].as_u64().filter(|least| size < *least) {
        problems.push(Problem::new(at, &format!("has {size} {unit}, and must have {least} at least")));
    }
    if let Some(most) = schema[most].as_u64().filter(|most| size > *most) {
        problems.push(Problem::new(at, &format!("has {size} {unit}, and must have {most} at most")));
    }
}

fn check_text(schema: &Value, text: &str, at: &str, problems: &mut Vec<Problem>) {
    check_size(schema, ["minLength", "maxLength"], text.chars().count(), "characters", at, problems);
    let (fits, what) = match schema["format"].as_str() {
        Some("snowflake") => (text.parse::<u64>().is_ok(), "snowflake"),
        Some("date-time") => (OffsetDateTime::parse(text, &Rfc3339).is_ok(), "time of RFC 3339"),
        Some("uri") => (text.contains("://"), "URI"),
        _ => (true, ""),
    };
    if !fits {
        problems.push(Problem::new(at, &format!("{text:?} is no {what}")));
    }
}

fn check_number(schema: &Value, number: f64, at: &str, problems: &mut Vec<Problem>) {
    let (low, high) = match schema["format"].as_str() {
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        _ => (f64::MIN, f64::MAX),
    };
    let low = schema["minimum"].as_f64().unwrap_or(low);
    let high = schema["maximum"].as_f64().unwrap_or(high);
    if number < low {
        problems.push(Problem::new(at, &format!("{number} is less than {low}")));
    }
    if number > high {
        problems.push(Problem::new(at, &format!("{number} is more than {high}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of every schema below `value`.
    fn keywords(schema: &Value, found: &mut BTreeSet<String>) {
        let Some(fields) = schema.as_object() else { return };
        for (key, below) in fields {
            found.insert(key.clone());
            match key.as_str() {
                "properties" => {
                    below.as_object().into_iter().flatten().for_each(|(_, one)| keywords(one, found))
                }
                "items" | "additionalProperties" => keywords(below, found),
                "oneOf" | "anyOf" | "allOf" => list(schema, key).iter().for_each(|one| keywords(one, found)),
                _ => {}
            }
        }
    }

    #[test]
    fn the_description_uses_no_keyword_that_is_not_checked() {
        let api = super::super::OpenApi::load();
        let mut found = BTreeSet::new();
        api.schemas.values().for_each(|schema| keywords(schema, &mut found));
        let unknown: Vec<_> = found.iter().filter(|key| !KEYWORDS.contains(&key.as_str())).collect();
        assert_eq!(unknown, [""; 0], "teach `Checker` these keywords");
    }
}
