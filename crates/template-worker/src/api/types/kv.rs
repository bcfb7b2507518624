//! Bodies about key-value records and their expiry.

use khronos::KhronosValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::when;
use crate::storage::expiry::{ExpiryState, KeyExpiry};
use crate::storage::kv::{KvId, KvRecord};

/// A record to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutRecord, example = json!({"value": {"text": "water the plants"}, "expires_at": "2027-01-01T00:00:00Z"}))]
pub(in crate::api) struct PutRecordBody {
    /// Its value: any JSON. What JSON lacks is an object with a type, as in
    /// `{"___khronosValType___": "timestamptz", "value": "2027-01-01T00:00:00Z"}`.
    #[schema(value_type = serde_json::Value)]
    pub(in crate::api) value: Box<RawValue>,
    /// From when on it is gone, and templates hear of it as `KeyExpiry`; never where this is left out.
    #[serde(default, deserialize_with = "when::maybe")]
    pub(in crate::api) expires_at: Option<OffsetDateTime>,
    /// Whether templates hear of it as `KeyResume` when they were loaded.
    #[serde(default)]
    pub(in crate::api) resume: bool,
}

/// A record that was set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WrittenRecord)]
pub(in crate::api) struct WrittenBody {
    /// Whether it was there before.
    pub(in crate::api) existed: bool,
    /// Its id.
    #[schema(example = "9fJ2mXw0pQ7cVbT4sKd1RzLhYgE6aNuo")]
    pub(in crate::api) id: String,
}

impl WrittenBody {
    pub(in crate::api) fn new(existed: bool, id: &KvId) -> Self {
        Self { existed, id: id.to_string() }
    }
}

/// A record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Record)]
pub(in crate::api) struct RecordBody {
    /// Its id.
    #[schema(example = "9fJ2mXw0pQ7cVbT4sKd1RzLhYgE6aNuo")]
    id: String,
    /// Its key.
    #[schema(example = "reminder:1")]
    key: String,
    /// Its scopes, ordered.
    #[schema(example = json!(["reminders"]))]
    scopes: Vec<String>,
    /// Its value, in the form in which it is set.
    #[schema(value_type = serde_json::Value)]
    value: Box<RawValue>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    last_updated_at: OffsetDateTime,
    /// From when on it is gone; null for never.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// Whether templates hear of it as `KeyResume` when they were loaded.
    resume: bool,
}

impl TryFrom<KvRecord> for RecordBody {
    type Error = serde_json::Error;

    fn try_from(record: KvRecord) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: record.id.to_string(),
            key: record.key,
            scopes: record.scopes.to_vec(),
            value: RawValue::from_string(record.value)?,
            created_at: record.created_at,
            last_updated_at: record.updated_at,
            expires_at: record.expires_at,
            resume: record.resume,
        })
    }
}

/// Some records.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RecordPage {
    /// The records, ordered by scopes and key. It may be empty although there are more pages: one request looks at a bounded
    /// number of keys.
    pub(in crate::api) records: Vec<RecordBody>,
    /// The `cursor` of the next page; null on the last one.
    pub(in crate::api) next_cursor: Option<String>,
}

/// How far the expiry of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExpiryState)]
pub(in crate::api) enum ExpiryStateBody {
    /// Its time has not come.
    Waiting,
    /// Its time has come, and templates are told now or next.
    Due,
    /// Handlers failed; they are tried again.
    Failing,
    /// Handlers failed too often: nobody is told, unless it is retried.
    Dead,
}

/// The expiry of a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Expiry)]
pub(in crate::api) struct ExpiryBody {
    /// The record's id.
    #[schema(example = "9fJ2mXw0pQ7cVbT4sKd1RzLhYgE6aNuo")]
    id: String,
    /// Its key.
    #[schema(example = "reminder:1")]
    key: String,
    /// Its scopes, ordered.
    #[schema(example = json!(["reminders"]))]
    scopes: Vec<String>,
    /// When it expires, or did.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// How far it is.
    state: ExpiryStateBody,
    /// How often its handlers failed.
    #[schema(example = 3)]
    attempts: u32,
    /// When they are tried again; null where they have not failed, or too often.
    #[serde(with = "time::serde::rfc3339::option")]
    again_at: Option<OffsetDateTime>,
    /// Why they failed last time.
    #[schema(example = "init.luau:3: attempt to index nil with 'channel'")]
    last_error: Option<String>,
}

impl From<KeyExpiry> for ExpiryBody {
    fn from(expiry: KeyExpiry) -> Self {
        let state = match expiry.state {
            ExpiryState::Waiting => ExpiryStateBody::Waiting,
            ExpiryState::Due => ExpiryStateBody::Due,
            ExpiryState::Failing => ExpiryStateBody::Failing,
            ExpiryState::Dead => ExpiryStateBody::Dead,
        };
        Self {
            id: expiry.id.to_string(),
            key: expiry.key,
            scopes: expiry.scopes.to_vec(),
            expires_at: expiry.expires_at,
            state,
            attempts: expiry.attempts,
            again_at: expiry.again_at,
            last_error: expiry.last_error,
        }
    }
}

/// Some expiries.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ExpiryPage {
    /// The expiries, ordered by their time: those that are overdue come first.
    pub(in crate::api) expiries: Vec<ExpiryBody>,
    /// The `cursor` of the next page; null on the last one.
    pub(in crate::api) next_cursor: Option<String>,
}

/// What templates hear as `ExternalKeyUpdate`.
#[derive(Debug, Serialize)]
pub(in crate::api) struct KeyUpdate<'a> {
    pub(in crate::api) key_modified: &'a str,
    pub(in crate::api) scopes: Vec<String>,
    pub(in crate::api) author: Option<crate::ids::UserId>,
    pub(in crate::api) action: &'static str,
}

/// A value as it is stored: read once, so that whatever is stored can be read by templates.
pub(in crate::api) fn stored_value(text: &str, most_bytes: usize) -> Result<String, khronos::ValueError> {
    let limits = khronos::ValueLimits { bytes: most_bytes, ..khronos::ValueLimits::default() };
    KhronosValue::from_typed_json(text, limits).map(|value| value.to_typed_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_types_and_is_bounded() {
        let stored = |text: &str| stored_value(text, 100).map_err(|error| error.to_string());
        assert_eq!(stored(r#"{ "b": [1, 2.5, null], "a": "x" }"#).unwrap(), r#"{"a":"x","b":[1,2.5,null]}"#);
        let typed = r#"{"___khronosValType___":"u64","value":"18446744073709551615"}"#;
        assert_eq!(stored(typed).unwrap(), typed);
        assert!(stored(r#"{"___khronosValType___":"u64","value":"x"}"#).is_err());
        assert!(stored(&format!("\"{}\"", "x".repeat(101))).unwrap_err().contains("100 bytes"));
        assert!(stored(&"[".repeat(100)).is_err());
    }
}
