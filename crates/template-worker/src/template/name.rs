//! The name of a template.
//!
//! Owns which names an author may choose. Names that start with `$` belong to the shop and to the operator.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::ids::text_outside;

/// Most bytes in a name.
pub const MAX_NAME_BYTES: usize = 64;

/// A name that an author chose. Ordered by its bytes, as storage orders it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(Arc<str>);

/// A text that cannot name a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It starts with `$`.
    #[error(
        "`{name}` is reserved: names that start with `$` are given by the shop (`$shop/..`) and by the operator \
             (`$builtins`); choose one without `$`"
    )]
    Reserved {
        /// The name, cut to a readable length.
        name: String,
    },
    /// Anything else that is wrong.
    #[error(
        "`{name}` cannot be the name of a template: expected 1 to {MAX_NAME_BYTES} of the letters a-z and A-Z, digits, \
         spaces, `_`, `-` and `.`, with a letter, a digit or `_` at both ends"
    )]
    NotPlain {
        /// The name, cut to a readable length.
        name: String,
    },
}

impl TemplateName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let shown = || text.chars().take(80).collect();
        if text.starts_with('$') {
            return Err(NameError::Reserved { name: shown() });
        }
        // Names stand in paths of URLs, where `..` and blanks at the ends get lost.
        let firm = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = text.as_bytes();
        let plain = bytes.len() <= MAX_NAME_BYTES
            && bytes.iter().all(|byte| firm(byte) || matches!(byte, b' ' | b'-' | b'.'))
            && bytes.first().is_some_and(firm)
            && bytes.last().is_some_and(firm);
        if plain { Ok(Self(text.into())) } else { Err(NameError::NotPlain { name: shown() }) }
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_outside!(TemplateName, "The name of a template, unique in its guild.", "invite-filter");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_taken_and_others_are_not() {
        for name in ["a", "greet", "Join raid v1.2", "_x-9_", &"x".repeat(64)] {
            assert_eq!(name.parse::<TemplateName>().unwrap().as_str(), name);
        }
        for name in
            ["", " a", "a ", ".", "..", ".hidden", "-v", "a/b", "a\\b", "a\nb", "a%b", "ä", &"x".repeat(65)]
        {
            assert!(
                matches!(name.parse::<TemplateName>(), Err(NameError::NotPlain { .. })),
                "{name:?} was taken"
            );
        }
    }

    #[test]
    fn reserved_names_have_an_error_of_their_own() {
        for name in ["$builtins", "$shop/x#1", "$"] {
            let error = name.parse::<TemplateName>().unwrap_err();
            assert!(
                matches!(error, NameError::Reserved { .. }) && error.to_string().contains("reserved"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_name_is_a_string_in_json() {
        let name: TemplateName = serde_json::from_str("\"greet\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"greet\"");
        assert!(serde_json::from_str::<TemplateName>("\"a/b\"").is_err());
    }
}
