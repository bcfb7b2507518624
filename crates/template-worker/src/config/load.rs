//! Reads the configuration: defaults, then the file, then the environment, then the command line; the later wins.
//!
//! Owns the order, the check that every key is known, and the memory of where each value came from. The keys
//! themselves are in `sections`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Num, Value};

use super::{Config, Environment};
use crate::nearest::{did_you_mean, nearest};

/// What an address to listen on looks like.
pub(crate) const ADDRESS_FORM: &str =
    "expected an IP address and a port, such as 127.0.0.1:7700, 0.0.0.0:7700 or [::1]:7700";
/// Characters of a default that are shown.
const MOST_SHOWN: usize = 100;

/// Where to read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file of `--config`. It must exist.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// What the command line sets, as (`vm.threads`, `4`).
    pub flags: Vec<(String, String)>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why there is no configuration. Every text names the key or file, and says what would be accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file isn't TOML.
    #[error("failed to parse the configuration file {}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key that doesn't exist.
    #[error("failed to read the configuration: there is no key `{key}` ({origin}){}", did_you_mean(suggestion.as_deref()))]
    UnknownKey {
        /// The key as a file would have it.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The nearest key, written the way that this origin writes keys.
        suggestion: Option<String>,
    },
    /// A value that its key doesn't accept.
    #[error("failed to read the configuration: `{key}` ({origin}): {reason} (the default is {default})")]
    BadValue {
        /// The key as a file would have it.
        key: String,
        /// Where the value stands.
        origin: Origin,
        /// What is wrong with it, and what would be right.
        reason: String,
        /// What the key is where nobody sets it.
        default: String,
    },
}

/// The configuration, and where each of its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What was set, by key; a key that isn't here has its default.
    pub origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Where the value of `key` (`vm.threads`) came from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }
}

impl Config {
    /// Reads `sources`.
    ///
    /// # Errors
    /// An unreadable file, an unknown key in any source, or a value that its key doesn't accept.
    pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
        let mut reading = Reading::new();
        if let Some(path) = &sources.file {
            reading.file(path)?;
        }
        for (variable, key, value) in sources.environment.keys() {
            reading.text(&key, value, Origin::Environment(variable.to_owned()))?;
        }
        for (key, value) in &sources.flags {
            reading.text(key, value, Origin::CommandLine)?;
        }
        reading.finish()
    }
}

/// The state of one `load`.
struct Reading {
    defaults: BTreeMap<String, Value>,
    figment: Figment,
    origins: BTreeMap<String, Origin>,
}

impl Reading {
    fn new() -> Self {
        let defaults = Serialized::defaults(Config::default());
        let known = match Value::serialize(&defaults.value) {
            Ok(Value::Dict(_, sections)) => flatten("", &sections),
            _ => BTreeMap::new(),
        };
        Self { defaults: known, figment: Figment::from(defaults), origins: BTreeMap::new() }
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let dict: Dict = Toml::from_str(&text)
            .map_err(|source| ConfigError::NotToml { path: path.to_owned(), source: Box::new(source) })?;
        for key in flatten("", &dict).into_keys() {
            self.claim(&key, Origin::File(path.to_owned()))?;
        }
        self.merge(Serialized::globals(dict));
        Ok(())
    }

    /// A value that comes as text: what it means depends on what the key holds.
    fn text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        self.claim(key, origin)?;
        let value = match self.defaults.get(key) {
            Some(Value::Bool(..)) => text.trim().parse::<bool>().map(Value::from).ok(),
            Some(Value::Num(_, Num::F64(_))) => text.trim().parse::<f64>().map(Value::from).ok(),
            Some(Value::Num(..)) => text.trim().parse::<u64>().map(Value::from).ok(),
            _ => None,
        };
        // What doesn't parse stays text, and is refused with the others below.
        self.merge(Serialized::global(key, value.unwrap_or_else(|| Value::from(text))));
        Ok(())
    }

    fn merge<T: serde::Serialize>(&mut self, provider: Serialized<T>) {
        self.figment = std::mem::take(&mut self.figment).merge(provider);
    }

    /// Notes that `origin` sets `key`, if there is such a key.
    fn claim(&mut self, key: &str, origin: Origin) -> Result<(), ConfigError> {
        let is_section = Config::SECTIONS.iter().any(|section| section.name == key);
        if !is_section && !self.defaults.contains_key(key) {
            let suggestion = self.nearest_key(key).map(|key| match origin {
                Origin::Environment(_) => Environment::variable(key),
                _ => key.to_owned(),
            });
            return Err(ConfigError::UnknownKey { key: key.to_owned(), origin, suggestion });
        }
        self.origins.insert(key.to_owned(), origin);
        Ok(())
    }

    /// By the whole key first, then by its last part, for a key that stands in the wrong section.
    fn nearest_key(&self, key: &str) -> Option<&str> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let whole = nearest(key, self.defaults.keys().map(String::as_str));
        whole.or_else(|| {
            let part = nearest(&last(key), self.defaults.keys().map(|key| last(key)))?;
            self.defaults.keys().map(String::as_str).find(|key| last(key) == part)
        })
    }

    fn finish(self) -> Result<Loaded, ConfigError> {
        let config: Config =
            self.figment.extract().map_err(|error| self.bad_part(&error.path, reason(&error.kind)))?;
        config.validate().map_err(|(section, bad)| {
            self.bad_value(format!("{section}.{}", bad.key), format!("is {}: {}", bad.value, bad.expected))
        })?;
        Ok(Loaded { config, origins: self.origins })
    }

    /// The path may lead to an item of a list, whose key is the list's.
    fn bad_part(&self, path: &[String], reason: String) -> ConfigError {
        let whole = path.join(".");
        match path.split_last() {
            Some((item, list)) if !self.defaults.contains_key(&whole) => {
                let (key, item) = (list.join("."), item.parse::<usize>());
                match item {
                    Ok(item) if self.defaults.contains_key(&key) => {
                        self.bad_value(key, format!("item {} of the list: {reason}", item.saturating_add(1)))
                    }
                    _ => self.bad_value(whole, reason),
                }
            }
            _ => self.bad_value(whole, reason),
        }
    }

    fn bad_value(&self, key: String, reason: String) -> ConfigError {
        let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
        let default = self.defaults.get(&key).map_or_else(|| "a table".to_owned(), shown);
        ConfigError::BadValue { key, origin, reason, default }
    }
}

/// What serde found wrong, without the escapes and types of its own text where ours is shorter.
fn reason(kind: &Kind) -> String {
    match kind {
        Kind::UnknownVariant(given, known) => {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            let suggestion = did_you_mean(nearest(given, known.iter().map(|name| name.trim_matches('`'))));
            format!("`{given}` is not known, use one of {}{suggestion}", known.join(", "))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("expected {}, found {}", expected_in_words(expected), found_in_words(found))
        }
        Kind::Message(text) if text == "invalid socket address syntax" => ADDRESS_FORM.to_owned(),
        other => other.to_string(),
    }
}

/// What serde calls by the names of types.
fn expected_in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "string" | "path string" => "a text in quotes",
        "a sequence" => "a list in brackets, which only the file can hold",
        other if other.starts_with("struct ") => "a section with keys",
        other => other,
    }
}

fn found_in_words(found: &Actual) -> String {
    match found {
        Actual::Str(text) => format!("the text \"{}\"", text.chars().take(MOST_SHOWN).collect::<String>()),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Bool(yes) => yes.to_string(),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// A value as a file would have it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("\"{text}\""),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Num(_, Num::F64(number)) => number.to_string(),
        Value::Num(_, number) => number.to_u128().unwrap_or_default().to_string(),
        Value::Array(_, items) => {
            let list = format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "));
            if list.len() > MOST_SHOWN { format!("a list of {}", items.len()) } else { list }
        }
        _ => "a table".to_owned(),
    }
}

/// The leaves of a tree of tables, by dotted key. A table without anything in it is a leaf, so that a misspelt empty
/// section is seen too.
fn flatten(prefix: &str, dict: &Dict) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    for (name, value) in dict {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => leaves.append(&mut flatten(&key, inner)),
            leaf => drop(leaves.insert(key, leaf.clone())),
        }
    }
    leaves
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
