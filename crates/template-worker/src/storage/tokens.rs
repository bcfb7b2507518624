//! Access tokens without their secrets: whose they are, what they may do, how long.
//!
//! Owns the rights by name, and when a token can be used. Checking a request against them is `api`'s business.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::ids::{GuildId, TokenId, text_outside};
use crate::nearest::{did_you_mean, nearest};

/// An access token, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, by which it is revoked.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// Whose it is, and what it may do.
    pub owner: TokenOwner,
    /// When it was made. Storage keeps microseconds of all three.
    pub created_at: OffsetDateTime,
    /// From when on it is useless.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was made useless.
    pub revoked_at: Option<OffsetDateTime>,
}

impl Token {
    /// Whether it can be used at `now`.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOwner {
    /// The operator's: it may do everything.
    Admin,
    /// A guild's: it may do some things there, and sees nothing of other guilds.
    Guild {
        /// The guild.
        guild: GuildId,
        /// What it may do.
        rights: BTreeSet<Right>,
    },
}

/// What a guild's token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Read templates.
    TemplatesRead,
    /// Create, change and delete templates.
    TemplatesWrite,
    /// Send events.
    EventsDispatch,
    /// See, change and destroy the guild's VM.
    VmManage,
    /// Read key-value records.
    KvRead,
    /// Write key-value records.
    KvWrite,
    /// Read what templates logged.
    LogsRead,
    /// Put in and remove secrets, and see their names.
    SecretsWrite,
}

/// A text that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a right: expected one of {}{}", list_of_rights(), did_you_mean(*suggestion))]
pub struct UnknownRight {
    text: String,
    suggestion: Option<&'static str>,
}

fn list_of_rights() -> String {
    Right::ALL.map(|right| format!("`{right}`")).join(", ")
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 8] = [
        Self::TemplatesRead,
        Self::TemplatesWrite,
        Self::EventsDispatch,
        Self::VmManage,
        Self::KvRead,
        Self::KvWrite,
        Self::LogsRead,
        Self::SecretsWrite,
    ];

    /// The right's name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TemplatesRead => "templates:read",
            Self::TemplatesWrite => "templates:write",
            Self::EventsDispatch => "events:dispatch",
            Self::VmManage => "vm:manage",
            Self::KvRead => "kv:read",
            Self::KvWrite => "kv:write",
            Self::LogsRead => "logs:read",
            Self::SecretsWrite => "secrets:write",
        }
    }
}

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        Self::ALL.into_iter().find(|right| right.as_str() == text).ok_or_else(|| UnknownRight {
            text: text.chars().take(80).collect(),
            suggestion: nearest(text, Self::ALL.map(Self::as_str)),
        })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_outside!(Right, "What a guild's token may do.", "templates:read");

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn every_right_reads_back_and_a_typo_finds_the_nearest() {
        for right in Right::ALL {
            assert_eq!(right.to_string().parse::<Right>(), Ok(right));
            assert_eq!(serde_json::to_value(right).unwrap(), right.as_str());
        }
        let error = "template:read".parse::<Right>().unwrap_err().to_string();
        assert!(
            error.ends_with("did you mean `templates:read`?") && error.contains("`logs:read`"),
            "{error}"
        );
    }

    #[test]
    fn a_token_is_live_until_it_expires_or_is_revoked() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(1);
        let token = Token {
            id: TokenId::fresh(),
            name: "mine".to_owned(),
            owner: TokenOwner::Admin,
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        };
        assert!(token.is_live(now));
        assert!(Token { expires_at: Some(now + Duration::MICROSECOND), ..token.clone() }.is_live(now));
        assert!(!Token { expires_at: Some(now), ..token.clone() }.is_live(now));
        assert!(!Token { revoked_at: Some(now), ..token }.is_live(now));
    }
}
