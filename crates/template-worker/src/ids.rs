//! The ids that the rest of the service passes around, one type per kind, so that a user is never taken for a guild.
//!
//! Owns what a legal id looks like and how it is written outside (as text, because JavaScript and Luau lose digits of
//! a number above 2^53). What an id refers to is the business of the module that holds it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Gives a type with `FromStr` and `Display` its form outside: a string in JSON and in the OpenAPI description.
macro_rules! text_outside {
    ($type:ty, $description:literal, $example:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some($description))
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}
pub(crate) use text_outside;

/// A text that is not an id. The message says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id: {expected}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

impl IdError {
    fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        Self { kind, text: text.chars().take(80).collect(), expected }
    }
}

/// The largest snowflake: SQL's integers are signed, and Discord is some hundred years away from the 64th bit.
const MAX_SNOWFLAKE: u64 = i64::MAX as u64;
const SNOWFLAKE: &str = "expected the decimal digits of a Discord id, such as 826535422381391913";

fn parse_snowflake(text: &str) -> Option<NonZeroU64> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if plain { text.parse::<u64>().ok()? } else { return None };
    NonZeroU64::new(value).filter(|value| value.get() <= MAX_SNOWFLAKE)
}

macro_rules! snowflake {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $description:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The id with this value; `None` for 0 and above `i64::MAX`.
            pub fn new(value: u64) -> Option<Self> {
                NonZeroU64::new(value).filter(|value| value.get() <= MAX_SNOWFLAKE).map(Self)
            }

            /// The number behind the id, 1..=`i64::MAX`.
            pub fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_snowflake(text).map(Self).ok_or_else(|| IdError::new($kind, text, SNOWFLAKE))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        text_outside!($name, $description, "826535422381391913");
    };
}

snowflake!(
    /// A Discord guild: the tenant that everything in the service belongs to.
    GuildId,
    "guild",
    "The Discord id of a guild, as text."
);
snowflake!(
    /// A Discord user.
    UserId,
    "user",
    "The Discord id of a user, as text."
);

/// A worker thread, counted from 0; a thread that replaces another has a number of its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct ThreadId(pub u32);

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ThreadId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain).map(Self);
        number.ok_or_else(|| {
            IdError::new("thread", text, "expected a number such as 7, as `GET /api/v1/threads` shows it")
        })
    }
}

/// One event, and the key under which sending it again is known to be a repetition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Arc<str>);

impl EventId {
    /// An id that nobody has had before; ids made later sort after it.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if plain && (1..=64).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(IdError::new("event", text, "expected 1 to 64 letters, digits, `_` or `-`"))
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_outside!(
    EventId,
    "1 to 64 letters, digits, `_` or `-`; made by the service where the sender has none.",
    "0199e4c4-7d5c-7e0e-9b1f-2f6f3c6a7b10"
);

/// An access token, by what may be shown of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(Uuid);

impl TokenId {
    /// An id that nobody has had before; ids made later sort after it.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl FromStr for TokenId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let expected =
            "expected the id that `token list` shows, such as 0199e4c4-7d5c-7e0e-9b1f-2f6f3c6a7b10";
        let hyphenated = text.len() == 36;
        let parsed = if hyphenated { Uuid::try_parse(text).ok() } else { None };
        parsed.map(Self).ok_or_else(|| IdError::new("token", text, expected))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_outside!(TokenId, "The id of an access token (not its secret).", "0199e4c4-7d5c-7e0e-9b1f-2f6f3c6a7b10");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snowflake_is_digits_without_sign_or_leading_zero_up_to_i64_max() {
        for text in ["1", "826535422381391913", "9223372036854775807"] {
            assert_eq!(text.parse::<GuildId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "007",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1e3",
            "0x10",
            "9223372036854775808",
            "99999999999999999999",
            "١",
        ] {
            assert!(text.parse::<GuildId>().is_err(), "{text:?} was taken");
        }
        assert_eq!(GuildId::new(0), None);
        assert_eq!(GuildId::new(u64::MAX), None);
        assert_eq!(UserId::new(7).map(UserId::get), Some(7));
    }

    #[test]
    fn the_error_says_what_an_id_looks_like_and_never_repeats_much_of_the_input() {
        let error = "x".repeat(10_000).parse::<UserId>().unwrap_err().to_string();
        assert!(error.contains("user id") && error.contains("such as"), "{error}");
        assert!(error.len() < 200, "{} bytes", error.len());
    }

    #[test]
    fn ids_are_strings_in_json_and_threads_are_numbers() {
        let guild: GuildId = serde_json::from_str("\"42\"").unwrap();
        assert_eq!(serde_json::to_string(&guild).unwrap(), "\"42\"");
        assert!(serde_json::from_str::<GuildId>("42").is_err());
        assert!(serde_json::from_str::<GuildId>("\"x\"").unwrap_err().to_string().contains("guild id"));
        assert_eq!(serde_json::to_string(&ThreadId(3)).unwrap(), "3");
        assert_eq!(ThreadId(3).to_string(), "3");
        assert_eq!("3".parse(), Ok(ThreadId(3)));
        for wrong in ["", "+3", "-3", "x", "4294967296"] {
            assert!(wrong.parse::<ThreadId>().unwrap_err().to_string().contains("thread id"), "{wrong}");
        }
    }

    #[test]
    fn an_event_id_is_short_and_plain_and_fresh_ones_differ_and_count_up() {
        for text in ["a", "A-b_9", &"x".repeat(64)] {
            assert_eq!(text.parse::<EventId>().unwrap().as_str(), text);
        }
        for text in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(text.parse::<EventId>().is_err(), "{text:?} was taken");
        }
        let (first, second) = (EventId::fresh(), EventId::fresh());
        assert!(first < second);
        assert_eq!(first.as_str().parse::<EventId>().unwrap(), first);
    }

    #[test]
    fn a_token_id_reads_back_as_it_was_written() {
        let id = TokenId::fresh();
        assert_eq!(id.to_string().parse::<TokenId>().unwrap(), id);
        assert!("tw_secret".parse::<TokenId>().is_err());
    }
}
