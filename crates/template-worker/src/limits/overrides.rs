//! What an admin set otherwise for one guild: some of the limits, by their keys.
//!
//! Owns which limits a guild can have for itself. Which limits there are at all, and their bounds, is said once, in
//! [`Limits::SETTINGS`].

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Limits;
use crate::nearest::{did_you_mean, nearest};
use crate::settings::{self, BadSetting, Setting};

/// Limits of the machine and not of a guild: one value for all.
const OF_THE_SERVICE: [&str; 1] = ["max_vm_thread_stack_size"];

/// The limits of a guild that differ from the service's. Empty: all are the service's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LimitOverrides(BTreeMap<&'static str, u64>);

impl LimitOverrides {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Limits {
    /// The limits that a guild can have for itself.
    pub fn of_a_guild() -> impl Iterator<Item = &'static Setting> {
        Self::SETTINGS.iter().filter(|setting| !OF_THE_SERVICE.contains(&setting.key))
    }

    /// These limits with the `overrides` of a guild.
    ///
    /// # Errors
    /// The first that makes no sense, for itself or beside the others, with what would.
    pub fn with(&self, overrides: &LimitOverrides) -> Result<Self, BadSetting> {
        for (key, value) in &overrides.0 {
            check_one(key, *value)?;
        }
        // Through their form outside, so that no limit has to be named a second time.
        let merged = serde_json::to_value(self).and_then(|mut all| {
            for (key, value) in &overrides.0 {
                all[*key] = (*value).into();
            }
            serde_json::from_value::<Self>(all)
        });
        let merged = merged.map_err(|error| {
            // Their bounds are larger than the numbers of a 32-bit machine.
            BadSetting {
                key: "limits",
                value: "too large for this machine".to_owned(),
                expected: error.to_string(),
            }
        })?;
        merged.validate()?;
        Ok(merged)
    }
}

/// Whether a guild can have this limit for itself, and the value is within its bounds.
fn check_one(key: &'static str, value: u64) -> Result<(), BadSetting> {
    let Some(setting) = Limits::of_a_guild().find(|setting| setting.key == key) else {
        let expected =
            "leave it out; it is one for all guilds, and set under `[limits]` in the configuration";
        return Err(BadSetting { key, value: value.to_string(), expected: expected.to_owned() });
    };
    setting.within.map_or(Ok(()), |(least, most)| settings::check_bounds(key, value, &(least..=most)))
}

impl<'de> Deserialize<'de> for LimitOverrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = LimitOverrides;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with limits and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitOverrides, A::Error> {
        let mut overrides = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let known = Limits::SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| {
                let near = nearest(&key, Limits::of_a_guild().map(|setting| setting.key));
                A::Error::custom(format_args!(
                    "unknown field `{key}`: no limit has this name{}",
                    did_you_mean(near)
                ))
            })?;
            if overrides.insert(known.key, map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field(known.key));
            }
        }
        Ok(LimitOverrides(overrides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LimitOverrides, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_overridden_differs_and_the_rest_is_the_services() {
        let service = Limits { max_cpu_time_ms: 5_000, ..Limits::default() };
        let overrides = read(r#"{"max_template_memory_usage": 2097152, "slice_ms": 1}"#).unwrap();
        let limits = service.with(&overrides).unwrap();
        let expected = Limits { max_template_memory_usage: 2 << 20, slice_ms: 1, ..service.clone() };
        assert_eq!(limits, expected);
        assert_eq!(service.with(&LimitOverrides::default()).unwrap(), service);
        let text = serde_json::to_string(&overrides).unwrap();
        assert_eq!(text, r#"{"max_template_memory_usage":2097152,"slice_ms":1}"#);
        assert_eq!(read(&text), Ok(overrides));
    }

    #[test]
    fn every_limit_but_the_stack_can_be_a_guilds_own() {
        let names: Vec<&str> = Limits::of_a_guild().map(|setting| setting.key).collect();
        assert_eq!(names.len() + OF_THE_SERVICE.len(), Limits::SETTINGS.len());
        let defaults = serde_json::to_value(Limits::default()).unwrap();
        for name in names {
            let overrides = read(&format!(r#"{{"{name}": {}}}"#, defaults[name])).unwrap();
            assert_eq!(Limits::default().with(&overrides), Ok(Limits::default()), "{name}");
        }
        let stack = read(r#"{"max_vm_thread_stack_size": 2097152}"#).unwrap();
        let error = Limits::default().with(&stack).unwrap_err().to_string();
        assert!(error.starts_with("`max_vm_thread_stack_size` is 2097152: leave it out"), "{error}");
    }

    #[test]
    fn what_makes_no_sense_says_what_would() {
        let refused = |text| Limits::default().with(&read(text).unwrap()).unwrap_err().to_string();
        assert_eq!(refused(r#"{"slice_ms": 0}"#), "`slice_ms` is 0: use a value from 1 to 1000");
        assert_eq!(
            refused(r#"{"max_cpu_time_ms": 100}"#),
            "`max_non_yieldable_time_ms` is 250: use at most the value of `max_cpu_time_ms`, which is 100"
        );
        assert!(refused(r#"{"max_executions_waiting": 1}"#).contains("use at least 36"));
        assert!(refused(&format!(r#"{{"max_result_nodes": {}}}"#, u64::MAX)).contains("use a value from 1"));
    }

    #[test]
    fn a_typo_finds_its_limit_and_a_value_is_a_whole_number() {
        let error = read(r#"{"max_cpu_tim_ms": 1}"#).unwrap_err();
        assert!(error.starts_with("unknown field `max_cpu_tim_ms`"), "{error}");
        assert!(error.contains("did you mean `max_cpu_time_ms`?"), "{error}");
        for wrong in
            [r#"{"slice_ms": -1}"#, r#"{"slice_ms": 1.5}"#, r#"{"slice_ms": "2"}"#, r#"{"slice_ms": null}"#]
        {
            assert!(read(wrong).unwrap_err().contains("expected u64"), "{wrong}");
        }
        assert!(read(r#"{"slice_ms": 1, "slice_ms": 2}"#).unwrap_err().contains("duplicate field"));
        assert!(read("[1]").is_err());
    }
}
