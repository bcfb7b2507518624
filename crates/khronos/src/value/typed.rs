//! JSON that keeps the types of values: how they are stored, and how they travel between processes.
//!
//! What JSON has is itself. All else is an object with two keys, `{"___khronosValType___": "u64", "value": "5"}`:
//!
//! | type | value |
//! | --- | --- |
//! | `i64`, `u64` | the digits, as text (an `Integer` up to 2^53 is a plain number) |
//! | `float` | `nan`, `inf` or `-inf`; all others are plain, with a fraction or an exponent |
//! | `buffer` | base64 |
//! | `vector` | three numbers, or such texts |
//! | `timestamptz` | RFC 9557: `2024-05-01T12:00:00Z[Europe/Berlin]`; without a zone it is UTC |
//! | `interval` | nanoseconds, as text |
//! | `timezone` | a name of the IANA database |
//!
//! A map may have that key itself: it is written with one more `_` at its end, as are keys that look so. Leaves reading, and
//! what that may take, to `reader`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::reader;
use super::time::{Interval, TimeZone, Timestamp};
use super::{Base64, KhronosValue, MAX_EXACT, ValueError, ValueLimits};

/// The key that marks an object as a value that JSON lacks.
pub(crate) const TYPE_KEY: &str = "___khronosValType___";
const VALUE_KEY: &str = "value";

impl KhronosValue {
    /// As JSON that keeps the types of all values. The bits of a NaN are not kept.
    pub fn to_typed_json(&self) -> String {
        // All keys are text, and the writer is memory: nothing can fail.
        serde_json::to_string(&Typed(self)).unwrap_or_default()
    }

    /// What [`to_typed_json`](Self::to_typed_json) wrote, or somebody else in the same form. It need not be from a friend;
    /// while it is read it takes no more memory than `limits` and a few times `text` allow.
    ///
    /// # Errors
    /// [`ValueError::TypedJson`] for text that is something else, and those that say which limit is exceeded.
    pub fn from_typed_json(text: &str, limits: ValueLimits) -> Result<Self, ValueError> {
        let mut parser = serde_json::Deserializer::from_str(text);
        let value = reader::read(&mut parser, limits, reader::Types::Kept)?;
        parser.end().map_err(|error| reader::complaint(&error))?;
        Ok(value)
    }
}

struct Typed<'a>(&'a KhronosValue);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            KhronosValue::Integer(n) if n.unsigned_abs() > MAX_EXACT => {
                tagged(serializer, "i64", &n.to_string())
            }
            KhronosValue::UnsignedInteger(n) => tagged(serializer, "u64", &n.to_string()),
            KhronosValue::Float(n) if !n.is_finite() => tagged(serializer, "float", &Number(*n)),
            KhronosValue::Buffer(bytes) => tagged(serializer, "buffer", &Base64(bytes)),
            KhronosValue::Vector(v) => tagged(serializer, "vector", &v.map(|n| Number(n.into()))),
            KhronosValue::Timestamptz(time) => tagged(serializer, "timestamptz", &time.to_text()),
            KhronosValue::Interval(span) => tagged(serializer, "interval", &span.nanos().to_string()),
            KhronosValue::TimeZone(zone) => tagged(serializer, "timezone", zone.name()),
            KhronosValue::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(&Typed(item))?;
                }
                seq.end()
            }
            KhronosValue::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    if is_marked(key) {
                        map.serialize_entry(&format!("{key}_"), &Typed(value))?;
                    } else {
                        map.serialize_entry(key, &Typed(value))?;
                    }
                }
                map.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}

/// Whether `key` is the key of types, with any number of `_` behind it.
pub(super) fn is_marked(key: &str) -> bool {
    key.strip_prefix(TYPE_KEY).is_some_and(|rest| rest.bytes().all(|byte| byte == b'_'))
}

fn tagged<S: Serializer>(
    serializer: S,
    kind: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry(TYPE_KEY, kind)?;
    map.serialize_entry(VALUE_KEY, value)?;
    map.end()
}

struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            n if n.is_nan() => serializer.serialize_str("nan"),
            n if n.is_infinite() => serializer.serialize_str(if n > 0.0 { "inf" } else { "-inf" }),
            n => serializer.serialize_f64(n),
        }
    }
}

fn number(value: &KhronosValue) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "JSON has doubles")]
        KhronosValue::Integer(n) => Some(*n as f64),
        KhronosValue::Float(n) => Some(*n),
        KhronosValue::Text(text) => match text.as_str() {
            "nan" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The value that the object with the type `kind` and the rest `map` stands for.
pub(super) fn untagged(
    kind: &KhronosValue,
    mut map: BTreeMap<String, KhronosValue>,
) -> Result<KhronosValue, String> {
    let (KhronosValue::Text(kind), Some(value), true) = (kind, map.remove(VALUE_KEY), map.is_empty()) else {
        return Err(format!(
            "an object with `{TYPE_KEY}` has the name of a type there, `{VALUE_KEY}`, and nothing else"
        ));
    };
    let text = || match &value {
        KhronosValue::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let read = match kind.as_str() {
        "i64" => text().and_then(|text| text.parse().ok()).map(KhronosValue::Integer),
        "u64" => text().and_then(|text| text.parse().ok()).map(KhronosValue::UnsignedInteger),
        "float" => number(&value).map(KhronosValue::Float),
        "buffer" => text().and_then(|text| STANDARD.decode(text).ok()).map(KhronosValue::Buffer),
        "vector" => vector(&value),
        "timestamptz" => text().and_then(Timestamp::from_text).map(KhronosValue::Timestamptz),
        "interval" => {
            text().and_then(|text| Interval::from_nanos(text.parse().ok()?)).map(KhronosValue::Interval)
        }
        "timezone" => text().and_then(TimeZone::from_name).map(KhronosValue::TimeZone),
        _ => return Err(format!("there is no type `{}`", reader::beginning(kind))),
    };
    read.ok_or_else(|| format!("this is not the `{VALUE_KEY}` of a {kind}"))
}

fn vector(value: &KhronosValue) -> Option<KhronosValue> {
    let KhronosValue::List(items) = value else { return None };
    let [x, y, z] = items.as_slice() else { return None };
    #[expect(clippy::cast_possible_truncation, reason = "they were written from such")]
    let narrow = |value| number(value).map(|n| n as f32);
    Some(KhronosValue::Vector([narrow(x)?, narrow(y)?, narrow(z)?]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf() -> impl Strategy<Value = KhronosValue> {
        let zones = prop::sample::select(&["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"][..]);
        let zone = zones.prop_map(|name| TimeZone::from_name(name).unwrap());
        let odd =
            prop::sample::select(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 3.0, 1e300, 5e-324][..]);
        prop_oneof![
            Just(KhronosValue::Null),
            any::<bool>().prop_map(KhronosValue::Boolean),
            any::<i64>().prop_map(KhronosValue::Integer),
            (-9i64..9).prop_map(|n| KhronosValue::Integer(n + (1 << 53))),
            any::<u64>().prop_map(KhronosValue::UnsignedInteger),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
                .prop_map(KhronosValue::Float),
            odd.prop_map(KhronosValue::Float),
            any::<String>().prop_map(KhronosValue::Text),
            any::<Vec<u8>>().prop_map(KhronosValue::Buffer),
            any::<[f32; 3]>()
                .prop_filter("NaN is not equal to itself", |v| v.iter().all(|n| !n.is_nan()))
                .prop_map(KhronosValue::Vector),
            (-62_135_596_800_000_000_000i128..253_370_764_800_000_000_000, zone.clone()).prop_map(
                |(nanos, zone)| KhronosValue::Timestamptz(Timestamp::from_nanos(nanos, zone).unwrap())
            ),
            any::<i64>()
                .prop_map(|n| KhronosValue::Interval(Interval::from_nanos(i128::from(n) * 977).unwrap())),
            zone.prop_map(KhronosValue::TimeZone),
        ]
    }

    fn value() -> impl Strategy<Value = KhronosValue> {
        let key = prop_oneof![
            any::<String>(),
            Just(VALUE_KEY.to_owned()),
            (0usize..3).prop_map(|more| format!("{TYPE_KEY}{}", "_".repeat(more))),
        ];
        leaf().prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(KhronosValue::List),
                prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(KhronosValue::Map),
            ]
        })
    }

    /// Debug tells -0 from 0.
    fn text(value: &KhronosValue) -> String {
        format!("{value:?}")
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_typed_json(value in value()) {
            let json = value.to_typed_json();
            let back = KhronosValue::from_typed_json(&json, ValueLimits::default()).unwrap();
            prop_assert_eq!(text(&back), text(&value), "{}", json);
        }

        #[test]
        fn no_text_makes_the_reader_fail_otherwise_than_with_an_error(text in ".{0,200}") {
            let _ = KhronosValue::from_typed_json(&text, ValueLimits::default());
        }
    }

    #[test]
    fn what_is_not_a_number_comes_back() {
        for value in [KhronosValue::Float(f64::NAN), KhronosValue::Vector([f32::NAN, f32::INFINITY, -0.0])] {
            let back = KhronosValue::from_typed_json(&value.to_typed_json(), ValueLimits::default()).unwrap();
            assert_eq!(text(&back), text(&value));
        }
    }

    #[test]
    fn the_form_is_what_the_documents_say() {
        let berlin = TimeZone::from_name("Europe/Berlin").unwrap();
        let time = Timestamp::from_nanos(1_714_557_600_000_000_000, berlin).unwrap();
        for (value, json) in [
            (KhronosValue::Integer(1 << 53), "9007199254740992".to_owned()),
            (KhronosValue::Integer(-(1 << 53) - 1), tag("i64", "\"-9007199254740993\"")),
            (KhronosValue::UnsignedInteger(5), tag("u64", "\"5\"")),
            (KhronosValue::Float(3.0), "3.0".to_owned()),
            (KhronosValue::Float(f64::NEG_INFINITY), tag("float", "\"-inf\"")),
            (KhronosValue::Buffer(b"hi".to_vec()), tag("buffer", "\"aGk=\"")),
            (KhronosValue::Vector([1.0, 0.5, f32::NAN]), tag("vector", "[1.0,0.5,\"nan\"]")),
            (KhronosValue::Timestamptz(time), tag("timestamptz", "\"2024-05-01T10:00:00Z[Europe/Berlin]\"")),
            (KhronosValue::Interval(Interval::from_nanos(-1).unwrap()), tag("interval", "\"-1\"")),
            (KhronosValue::TimeZone(berlin), tag("timezone", "\"Europe/Berlin\"")),
        ] {
            assert_eq!(value.to_typed_json(), json);
        }
        assert_eq!(
            KhronosValue::from([(TYPE_KEY, true.into())]).to_typed_json(),
            r#"{"___khronosValType____":true}"#
        );
    }

    fn tag(kind: &str, value: &str) -> String {
        format!(r#"{{"{TYPE_KEY}":"{kind}","value":{value}}}"#)
    }

    #[test]
    fn the_order_of_the_two_keys_does_not_matter() {
        let json = format!(r#"{{"value":"7","{TYPE_KEY}":"u64"}}"#);
        let read = KhronosValue::from_typed_json(&json, ValueLimits::default());
        assert_eq!(read, Ok(KhronosValue::UnsignedInteger(7)));
    }

    #[test]
    fn what_is_no_typed_json_is_refused_with_a_reason() {
        let reserved = format!(r#"{{"{TYPE_KEY}":"u64","value":"1","more":1}}"#);
        for (json, want) in [
            ("[1", "EOF"),
            ("1 2", "trailing"),
            (&tag("u65", "1"), "there is no type `u65`"),
            (&tag("u64", "1"), "not the `value` of a u64"),
            (&tag("u64", "\"-1\""), "not the `value` of a u64"),
            (&tag("i64", "\"9223372036854775808\""), "not the `value` of a i64"),
            (&tag("buffer", "\"?\""), "not the `value` of a buffer"),
            (&tag("vector", "[1,2]"), "not the `value` of a vector"),
            (&tag("timezone", "\"Moon\""), "not the `value` of a timezone"),
            (&tag("interval", "\"1e9\""), "not the `value` of a interval"),
            (&tag("timestamptz", "\"soon\""), "not the `value` of a timestamptz"),
            (&reserved, "and nothing else"),
        ] {
            let error = KhronosValue::from_typed_json(json, ValueLimits::default()).unwrap_err().to_string();
            assert!(error.contains(want), "{json}: {error}");
        }
    }

    #[test]
    fn limits_are_those_of_the_way_out_of_a_vm() {
        let limits = ValueLimits { depth: 3, nodes: 10, bytes: 20 };
        let read = |json: &str| KhronosValue::from_typed_json(json, limits);
        let vector = tag("vector", "[1,2,3]");
        for fits in [
            "[[[1]]]",
            &format!("[[[{vector}]]]"),
            &format!("[{}1]", "1,".repeat(8)),
            r#"{"a":"1234567890123456789"}"#,
        ] {
            read(fits).unwrap();
        }
        read(&format!("[{}{vector}]", format!("{vector},").repeat(8))).unwrap();
        read(&tag("buffer", &format!("\"{}\"", "AAAA".repeat(6)))).unwrap();
        assert_eq!(read("[[[[1]]]]"), Err(ValueError::TooDeep { limit: 3 }));
        assert_eq!(read(&"[".repeat(1 << 20)), Err(ValueError::TooDeep { limit: 3 }));
        assert_eq!(read(&format!("[{}1]", "1,".repeat(9))), Err(ValueError::TooManyNodes { limit: 10 }));
        assert_eq!(read(&format!("[{}", "1,".repeat(1 << 20))), Err(ValueError::TooManyNodes { limit: 10 }));
        assert_eq!(read(r#"{"ab":"1234567890123456789"}"#), Err(ValueError::TooManyBytes { limit: 20 }));
        let deep = "[".repeat(1 << 20);
        let most = ValueLimits { depth: usize::MAX, ..ValueLimits::default() };
        assert!(matches!(KhronosValue::from_typed_json(&deep, most), Err(ValueError::TypedJson(_))));
    }
}
