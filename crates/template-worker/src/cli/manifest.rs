//! `template.toml`: what a template is for, what it listens to, what it may do.
//!
//! Owns the file's keys, and finding every mistake in it with its line. What a legal event or capability is, is said
//! where they are defined.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::capabilities::{Capabilities, Capability};
use crate::events::EventFilter;
use crate::nearest::{did_you_mean, nearest};

use super::folder::Problem;

/// The file's name.
pub(super) const FILE: &str = "template.toml";

const KEYS: [&str; 3] = ["description", "events", "capabilities"];

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) description: String,
    pub(super) events: Vec<EventFilter>,
    pub(super) capabilities: Capabilities,
}

/// Reads the file's text; what cannot be understood is left out, and is a problem.
pub(super) fn parse(text: &str) -> (Manifest, Vec<Problem>) {
    let mut reading = Reading { text, problems: Vec::new() };
    let mut manifest = Manifest::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reading.problem(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()));
    }
    // Behind a mistake in the form, the keys are a guess.
    if errors.is_empty() {
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "description" => manifest.description = reading.text(key.get_ref(), value),
                "events" => manifest.events = reading.list::<EventFilter>(key.get_ref(), value),
                "capabilities" => {
                    let capabilities = reading.list::<Capability>(key.get_ref(), value);
                    manifest.capabilities = capabilities.into_iter().collect::<Capabilities>();
                }
                unknown => {
                    let nearest = did_you_mean(nearest(unknown, KEYS));
                    let known = KEYS.map(|key| format!("`{key}`")).join(", ");
                    reading.problem(
                        key.span(),
                        format!("there is no key `{unknown}`: expected {known}{nearest}"),
                    );
                }
            }
        }
    }
    (manifest, reading.problems)
}

struct Reading<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn problem(&mut self, at: Range<usize>, message: String) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        self.problems.push(Problem::new(FILE, line_after(before), message));
    }

    fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> String {
        if let Some(text) = value.get_ref().as_str() {
            return text.to_owned();
        }
        self.wrong_type(key, value, "a text, such as \"Greets new members\"");
        String::new()
    }

    fn list<T: FromStr<Err: Display>>(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<T> {
        let Some(entries) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of texts, such as [\"..\", \"..\"]");
            return Vec::new();
        };
        let mut list = Vec::new();
        for entry in entries.iter() {
            match entry.get_ref().as_str().map(T::from_str) {
                Some(Ok(parsed)) => list.push(parsed),
                Some(Err(error)) => self.problem(entry.span(), error.to_string()),
                None => self.wrong_type(&format!("an entry of `{key}`"), entry, "a text in quotes"),
            }
        }
        list
    }

    fn wrong_type(&mut self, what: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let what = if what.contains('`') { what.to_owned() } else { format!("`{what}`") };
        self.problem(
            value.span(),
            format!("{what} is of the type {}: expected {expected}", value.get_ref().type_str()),
        );
    }
}

/// The number of the line that comes behind `before`, counted from 1.
pub(super) fn line_after(before: &str) -> u32 {
    u32::try_from(before.matches('\n').count()).map_or(u32::MAX, |ends| ends.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_fine_file_is_read_without_problems() {
        let text = "description = \"x\"\nevents = [\n  \"MESSAGE_CREATE\",\n  \"KeyExpiry[a]\", # b\n]\ncapabilities = [\"kv:*\"]\n";
        let (manifest, problems) = parse(text);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(manifest.description, "x");
        assert_eq!(manifest.events.len(), 2);
        assert!(manifest.capabilities.allows("kv:get:x"));
        assert!(self::problems("").is_empty());
    }

    #[test]
    fn every_mistake_is_found_with_its_line_and_the_nearest_name() {
        let found = problems(
            "evnts = []\nevents = [\n  \"MESAGE_CREATE\",\n  7,\n]\ncapabilities = [\"discord:create_mesage\"]\ndescription = 1\n",
        );
        assert_eq!(found.len(), 5, "{found:#?}");
        for (at, end) in [
            ("template.toml:1: there is no key `evnts`", "did you mean `events`?"),
            ("template.toml:3: ", "did you mean `MESSAGE_CREATE`?"),
            ("template.toml:4: an entry of `events` is of the type integer", "a text in quotes"),
            ("template.toml:6: ", "did you mean `discord:create_message`?"),
            ("template.toml:7: `description` is of the type integer", "\""),
        ] {
            let fits = |problem: &String| problem.starts_with(at) && problem.ends_with(end);
            assert!(found.iter().any(fits), "{at} .. {end} is not in {found:#?}");
        }
    }

    #[test]
    fn what_is_not_toml_is_found_with_its_line() {
        let found = problems("description = \"x\"\nevents = [\"MESSAGE_CREATE\"\n\ncapabilities = =\n");
        assert!(!found.is_empty());
        assert!(found.iter().all(|problem| problem.contains(": not TOML: ")), "{found:#?}");
        assert!(problems("events = []\nevents = []\n")[0].starts_with("template.toml:2: "), "{found:#?}");
    }
}
