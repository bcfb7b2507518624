//! A secret that an operator sets.
//!
//! Owns that it is never shown: what is written of it says only whether there is one.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What stands for a secret where the configuration is shown.
const HIDDEN: &str = "(hidden)";

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text; nothing where it is empty.
    pub fn reveal(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }

    /// Whether it is what stands for a secret, taken over from where the configuration was shown.
    pub(super) fn is_hidden(&self) -> bool {
        self.0 == HIDDEN
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { HIDDEN }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere() {
        let secret: Secret = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(secret.reveal(), Some("hunter2"));
        assert_eq!(format!("{secret:?}{}", serde_json::to_string(&secret).unwrap()), r#"(hidden)"(hidden)""#);
        assert_eq!(
            (Secret::default().reveal(), serde_json::to_string(&Secret::default()).unwrap()),
            (None, r#""""#.to_owned())
        );
    }
}
