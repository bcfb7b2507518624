//! Bodies about access tokens.

use std::fmt;

use serde::de::{self, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::when;
use crate::ids::{GuildId, TokenId};
use crate::storage::{Token, TokenOwner};

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "dashboard",
    "owner": {"guild": "826535422381391913", "rights": ["templates:read", "templates:write"]},
    "expires_at": "2027-01-01T00:00:00Z",
}))]
pub(in crate::api) struct NewToken {
    /// What to call it.
    pub(in crate::api) name: String,
    /// Whose it is, and what it may do.
    pub(in crate::api) owner: OwnerBody,
    /// From when on it is useless; never where this is left out.
    #[serde(default, deserialize_with = "when::maybe")]
    pub(in crate::api) expires_at: Option<OffsetDateTime>,
}

/// Whose a token is: `"admin"`, or a guild and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TokenOwner)]
pub(in crate::api) enum OwnerBody {
    /// The operator's: it may do everything.
    Admin(AdminWord),
    /// A guild's.
    Guild(GuildOwner),
}

/// The word `admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum AdminWord {
    /// It.
    Admin,
}

/// A guild, and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct GuildOwner {
    /// The guild.
    pub(in crate::api) guild: GuildId,
    /// Some of `templates:read`, `templates:write`, `events:dispatch`, `vm:manage`, `kv:read`, `kv:write`, `logs:read`
    /// (which nothing asks for yet), `secrets:write`.
    #[schema(example = json!(["templates:read"]))]
    pub(in crate::api) rights: Vec<String>,
}

impl<'de> Deserialize<'de> for OwnerBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OwnerVisitor)
    }
}

/// Reads an owner with words for what is wrong, which serde's untagged enums have none of.
struct OwnerVisitor;

impl<'de> de::Visitor<'de> for OwnerVisitor {
    type Value = OwnerBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"`"admin"` or `{"guild": "..", "rights": [..]}`"#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OwnerBody, E> {
        match text {
            "admin" => Ok(OwnerBody::Admin(AdminWord::Admin)),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<OwnerBody, A::Error> {
        GuildOwner::deserialize(MapAccessDeserializer::new(map)).map(OwnerBody::Guild)
    }
}

impl From<TokenOwner> for OwnerBody {
    fn from(owner: TokenOwner) -> Self {
        match owner {
            TokenOwner::Admin => Self::Admin(AdminWord::Admin),
            TokenOwner::Guild { guild, rights } => {
                Self::Guild(GuildOwner { guild, rights: rights.iter().map(ToString::to_string).collect() })
            }
        }
    }
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TokenList {
    /// The tokens, also expired and revoked ones, the oldest first.
    pub(in crate::api) tokens: Vec<TokenBody>,
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(in crate::api) struct TokenBody {
    /// Its id, by which it is revoked.
    id: TokenId,
    /// What it is called.
    #[schema(example = "dashboard")]
    name: String,
    /// Whose it is, and what it may do.
    owner: OwnerBody,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// From when on it is useless.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
}

impl From<Token> for TokenBody {
    fn from(Token { id, name, owner, created_at, expires_at, revoked_at }: Token) -> Self {
        Self { id, name, owner: owner.into(), created_at, expires_at, revoked_at }
    }
}

/// A new token, with the secret that is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TokenWithSecret {
    #[serde(flatten)]
    pub(in crate::api) token: TokenBody,
    /// What to send as `Authorization: Bearer <secret>`. It is stored nowhere.
    #[schema(example = "tw_lW1mU3dC0mXz9zv3m0jO5oG0nH1eSgkqFJ6oXk0b7Qk")]
    pub(in crate::api) secret: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(text: &str) -> Result<OwnerBody, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_owner_is_the_word_admin_or_a_guild_with_rights() {
        assert_eq!(owner("\"admin\""), Ok(OwnerBody::Admin(AdminWord::Admin)));
        let guild = owner(r#"{"guild": "1", "rights": ["kv:read"]}"#).unwrap();
        assert_eq!(serde_json::to_string(&guild).unwrap(), r#"{"guild":"1","rights":["kv:read"]}"#);
        assert_eq!(serde_json::to_string(&OwnerBody::from(TokenOwner::Admin)).unwrap(), "\"admin\"");
    }

    #[test]
    fn a_wrong_owner_is_told_what_one_looks_like() {
        for wrong in ["\"root\"", "3", "[]"] {
            assert!(owner(wrong).unwrap_err().contains(r#"expected `"admin"` or"#), "{wrong}");
        }
        assert!(owner(r#"{"guild": "x", "rights": []}"#).unwrap_err().contains("not a guild id"));
        assert!(owner(r#"{"guild": "1", "right": []}"#).unwrap_err().starts_with("unknown field `right`"));
    }

    #[test]
    fn a_token_shows_no_secret_and_times_in_utc() {
        let token = Token {
            id: TokenId::fresh(),
            name: "mine".to_owned(),
            owner: TokenOwner::Admin,
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        };
        let sent = serde_json::to_value(TokenBody::from(token)).unwrap();
        assert_eq!(sent["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(sent["expires_at"], serde_json::Value::Null);
        assert!(!sent.to_string().contains("secret"), "{sent}");
    }
}
