//! What a template may be allowed to do: a closed list of patterns, and whether a set of them covers what is wanted.
//!
//! Owns the comparison, and with it the promise that nothing ever widens. Which patterns there are is in `closed_list`;
//! which host call wants which capability is said where the call is served.
//!
//! A capability is parts between colons: `kv:get:greeting`. A `*` as its last part covers everything under it, and so
//! does leaving parts off (`datastore:TemplateStore` covers `datastore:TemplateStore:list`). `kv[scope]:..` is for keys
//! of that scope; without a scope, it covers every scope.

mod closed_list;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

#[cfg(test)]
pub(crate) use closed_list::DISCORD as DISCORD_METHODS;
pub use closed_list::{CLOSED_LIST, Entry};

use crate::ids::text_outside;
use crate::nearest::did_you_mean;

/// Most bytes in a capability: a KV key of 512 bytes, its scope, and room for the rest.
pub const MAX_CAPABILITY_BYTES: usize = 768;

/// A pattern of the closed list, checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(String);

/// A text that is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a capability: {problem}{}{known}", did_you_mean(suggestion.as_deref()))]
pub struct CapabilityError {
    text: String,
    problem: &'static str,
    suggestion: Option<String>,
    /// What there is, where nothing of it is near.
    known: String,
}

impl CapabilityError {
    /// The nearest known capability.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl Capability {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether whoever holds this capability may do `wanted`.
    ///
    /// `wanted` may be anything, since a part of it comes from a template (a key, a scope). A text that can be read in
    /// two ways, such as `kv[a]:get:k]:set:x`, is covered only where both ways are.
    pub fn covers(&self, wanted: &str) -> bool {
        if self.0 == "*" {
            return true;
        }
        let Some(held) = Parts::of(&self.0) else { return false };
        match Parts::of(wanted) {
            Some(wanted) => held.cover(&wanted),
            // Whatever the scope and the rest are, it is something of this family.
            None => {
                held.scope.is_none() && held.rest == ["*"] && wanted.starts_with(&format!("{}[", held.family))
            }
        }
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        closed_list::check(text).map(|()| Self(text.to_owned())).map_err(|problem| CapabilityError {
            text: text.chars().take(80).collect(),
            problem,
            suggestion: closed_list::nearest_to(text),
            known: closed_list::forms_like(text),
        })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_outside!(Capability, "What a template may do, as a pattern.", "discord:create_message");

/// A capability taken apart: `kv[scope]:get:some:key` is `kv`, `scope`, and `get`, `some:key`.
struct Parts<'a> {
    family: &'a str,
    scope: Option<&'a str>,
    /// One or two; the last may hold colons, because keys may.
    rest: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    /// `None` where the text has no such form, or has it in two ways.
    fn of(text: &'a str) -> Option<Self> {
        let (family, scope, rest) = match text.find(['[', ':'])? {
            at if text.as_bytes().get(at) == Some(&b'[') => {
                let (scope, rest) = text.get(at + 1..)?.split_once("]:")?;
                let twofold = scope.contains(['[', ']', ':']) || rest.contains("]:");
                (text.get(..at)?, Some(scope).filter(|_| !twofold)?.into(), rest)
            }
            at => (text.get(..at)?, None, text.get(at + 1..)?),
        };
        let fine = !family.is_empty() && scope != Some("") && !rest.is_empty();
        fine.then(|| Self { family, scope, rest: rest.splitn(2, ':').collect() })
    }

    fn cover(&self, wanted: &Parts<'_>) -> bool {
        let scope = self.scope.is_none_or(|scope| wanted.scope == Some(scope));
        if self.family != wanted.family || !scope {
            return false;
        }
        match self.rest.split_last() {
            // Everything under what stands before the star, and at least something.
            Some((&"*", before)) => wanted.rest.len() > before.len() && wanted.rest.starts_with(before),
            _ => wanted.rest.starts_with(&self.rest),
        }
    }
}

/// The capabilities that a template has.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// All that there is.
    pub fn everything() -> Self {
        std::iter::once(Capability("*".to_owned())).collect()
    }

    /// Whether one of them covers `wanted`.
    pub fn allows(&self, wanted: &str) -> bool {
        self.0.iter().any(|held| held.covers(wanted))
    }

    /// What is left of them within `most`, as patterns: those of each that the other covers. Of two that overlap and do not
    /// cover each other it has neither; whether one thing is allowed has to be asked of both.
    #[must_use]
    pub fn within(&self, most: &Self) -> Self {
        let of = |from: &Self, by: &Self| -> Vec<Capability> {
            from.iter().filter(|one| by.allows(one.as_str())).cloned().collect()
        };
        of(self, most).into_iter().chain(of(most, self)).collect()
    }

    /// They, ordered.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing at all is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
