//! A point in time that a client sends, and the words for what is none.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, or `null`.
pub(super) fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    deserializer.deserialize_option(When)
}

struct When;

impl<'de> Visitor<'de> for When {
    type Value = Option<OffsetDateTime>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as RFC 3339 writes it, such as \"2027-01-01T00:00:00Z\", or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let time = OffsetDateTime::parse(text, &Rfc3339);
        time.map(Some).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_null_and_what_is_neither_is_told_so() {
        let read = |json: &str| {
            let mut deserializer = serde_json::Deserializer::from_str(json);
            maybe(&mut deserializer).map_err(|error| error.to_string())
        };
        assert_eq!(read("null"), Ok(None));
        assert_eq!(read(r#""1970-01-01T01:00:00+01:00""#), Ok(Some(OffsetDateTime::UNIX_EPOCH)));
        for wrong in [r#""tomorrow""#, r#""2027-01-01""#, "5", "{}"] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("RFC 3339 writes it, such as \"2027-01-01T00:00:00Z\""), "{error}");
        }
    }
}
