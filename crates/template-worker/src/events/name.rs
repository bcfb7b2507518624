//! The name of an event, known to be one of the list or to be made up as the rules allow.
//!
//! Owns reading names and suggesting the nearest known one; the list is in `registry`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::registry::{ALIASES, ANTIRAID, CUSTOM_PREFIXES, DISCORD};
use crate::ids::text_outside;
use crate::nearest::{did_you_mean, nearest};

/// Most bytes in a made-up name.
pub const MAX_NAME_BYTES: usize = 64;

/// Where an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BaseName {
    /// Discord's gateway.
    Discord,
    /// The service itself.
    AntiRaid,
    /// Whoever calls the API.
    Custom,
}

impl BaseName {
    pub(crate) const ALL: [Self; 3] = [Self::Discord, Self::AntiRaid, Self::Custom];

    /// The text that templates see as `base_name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discord => "Discord",
            Self::AntiRaid => "AntiRaid",
            Self::Custom => "Custom",
        }
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of an event. An old name reads as the one that is used now: `MESSAGE` is `MESSAGE_CREATE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName {
    base: BaseName,
    text: Cow<'static, str>,
}

/// A text that names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an event: expected a gateway event such as `MESSAGE_CREATE`, an event of the service such as \
     `KeyExpiry`, or a name of your own, of letters, digits and `_`, that starts with `Web` or `Custom`{}",
    did_you_mean(*suggestion)
)]
pub struct UnknownEvent {
    text: String,
    suggestion: Option<&'static str>,
}

impl UnknownEvent {
    /// The nearest known name.
    pub fn suggestion(&self) -> Option<&'static str> {
        self.suggestion
    }
}

impl EventName {
    /// Where events of this name come from.
    pub fn base(&self) -> BaseName {
        self.base
    }

    /// The name as templates see it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for EventName {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let current = ALIASES.iter().find(|(old, _)| *old == text).map_or(text, |(_, new)| new);
        let listed = |base, names: &[&'static str]| {
            names.iter().find(|name| **name == current).map(|name| Self { base, text: Cow::Borrowed(name) })
        };
        listed(BaseName::Discord, DISCORD)
            .or_else(|| listed(BaseName::AntiRaid, ANTIRAID))
            .or_else(|| {
                is_made_up(text).then(|| Self { base: BaseName::Custom, text: Cow::Owned(text.to_owned()) })
            })
            .ok_or_else(|| UnknownEvent {
                text: text.chars().take(80).collect(),
                suggestion: nearest(text, DISCORD.iter().chain(ANTIRAID).copied()),
            })
    }
}

fn is_made_up(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && CUSTOM_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_outside!(
    EventName,
    "A gateway event, an event of the service, or a name that starts with `Web` or `Custom`.",
    "MESSAGE_CREATE"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> Option<BaseName> {
        name.parse::<EventName>().ok().map(|name| name.base())
    }

    #[test]
    fn every_listed_name_and_every_made_up_one_has_its_base() {
        assert!(DISCORD.iter().all(|name| base(name) == Some(BaseName::Discord)));
        assert!(ANTIRAID.iter().all(|name| base(name) == Some(BaseName::AntiRaid)));
        for name in ["Web", "WebSettings", "Custom", "CustomThing_2"] {
            assert_eq!(base(name), Some(BaseName::Custom), "{name}");
        }
    }

    #[test]
    fn the_old_name_of_a_message_is_the_new_one() {
        assert_eq!("MESSAGE".parse::<EventName>().unwrap().as_str(), "MESSAGE_CREATE");
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        let error = "MESSAGE_CRAETE".parse::<EventName>().unwrap_err();
        assert_eq!(error.suggestion(), Some("MESSAGE_CREATE"));
        assert!(error.to_string().ends_with("; did you mean `MESSAGE_CREATE`?"), "{error}");
        assert_eq!("keyexpiry".parse::<EventName>().unwrap_err().suggestion(), Some("KeyExpiry"));
        for name in
            ["", "GUILD_CREATE", "web", "Web Settings", "Custom[x]", "Discord", "Webä", &"W".repeat(99)]
        {
            assert!(name.parse::<EventName>().is_err(), "{name:?} was taken");
        }
        assert!(format!("Web{}", "x".repeat(62)).parse::<EventName>().is_err());
    }

    #[test]
    fn a_name_is_a_string_in_json() {
        let name: EventName = serde_json::from_str("\"KeyExpiry\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"KeyExpiry\"");
        assert!(serde_json::from_str::<EventName>("\"Nope\"").is_err());
    }
}
