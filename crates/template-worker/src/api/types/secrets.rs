//! Bodies about secrets of guilds. None that is sent holds a value.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::host::secrets::SecretInfo;

/// A secret to keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewSecret {
    /// Its value: 8 to 4,096 bytes. It is never shown again.
    #[schema(example = "sk_live_0123456789")]
    pub(in crate::api) value: String,
    /// The hosts that it may be sent to by https, exactly as they stand in URLs.
    #[schema(example = json!(["api.example.com"]))]
    pub(in crate::api) hosts: Vec<String>,
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewSecret(.., {:?})", self.hosts)
    }
}

/// A secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub(in crate::api) struct SecretBody {
    /// What templates call it.
    #[schema(example = "API_KEY")]
    name: String,
    /// The hosts that it may be sent to.
    hosts: Vec<String>,
    /// When it was put.
    #[serde(with = "time::serde::rfc3339")]
    stored_at: OffsetDateTime,
}

impl From<SecretInfo> for SecretBody {
    fn from(SecretInfo { name, hosts, stored_at }: SecretInfo) -> Self {
        Self { name, hosts, stored_at }
    }
}

/// The secrets of a guild.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct SecretList {
    /// All of them, ordered by name.
    pub(in crate::api) secrets: Vec<SecretBody>,
}
