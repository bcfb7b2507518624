//! Points in time, spans of it, and time zones, as values.
//!
//! Owns their ranges and their texts. Leaves what scripts do with them to `library::datetime`. The zones are part of the
//! program: no file is read for them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

const NANOS_A_SECOND: i128 = 1_000_000_000;

/// The first and the last year of a [`Timestamp`]: those that RFC 3339 can write, and a year less at each end, so that a
/// zone's own clock stays inside as well.
pub(crate) const YEARS: std::ops::RangeInclusive<i32> = 1..=9_998;

/// A time zone of the IANA database, such as `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeZone(pub(crate) Tz);

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone called `name`; nothing where there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Tz::from_str(name).ok().map(Self)
    }

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

/// A point in time, to the nanosecond, and the zone whose clock shows it. Its years are 1 to 9998.
///
/// Two are equal when they are the same point in time seen from the same zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    utc: DateTime<Utc>,
    zone: TimeZone,
}

impl Timestamp {
    /// Nanoseconds since 1970, seen from `zone`. Nothing outside the years 1 to 9998.
    pub fn from_nanos(nanos: i128, zone: TimeZone) -> Option<Self> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS_A_SECOND)).ok()?;
        let rest = u32::try_from(nanos.rem_euclid(NANOS_A_SECOND)).ok()?;
        Self::new(DateTime::from_timestamp(seconds, rest)?, zone)
    }

    pub(crate) fn new(utc: DateTime<Utc>, zone: TimeZone) -> Option<Self> {
        // A leap second is 60 seconds to some, and the next minute's first to all others.
        let utc = DateTime::from_timestamp(utc.timestamp(), 0)?
            .checked_add_signed(TimeDelta::nanoseconds(utc.timestamp_subsec_nanos().into()))?;
        YEARS.contains(&utc.year()).then_some(Self { utc, zone })
    }

    /// Nanoseconds since 1970.
    pub fn nanos(self) -> i128 {
        i128::from(self.utc.timestamp()) * NANOS_A_SECOND + i128::from(self.utc.timestamp_subsec_nanos())
    }

    /// Whole seconds since 1970, towards the past.
    pub fn seconds(self) -> i64 {
        self.utc.timestamp()
    }

    /// The zone whose clock shows it.
    pub fn zone(self) -> TimeZone {
        self.zone
    }

    /// On the clock of its zone.
    pub(crate) fn local(self) -> DateTime<Tz> {
        self.utc.with_timezone(&self.zone.0)
    }

    /// RFC 9557: RFC 3339 in UTC, and the zone in brackets. Nothing is lost.
    pub(super) fn to_text(self) -> String {
        format!("{}[{}]", self.utc.to_rfc3339_opts(SecondsFormat::AutoSi, true), self.zone.name())
    }

    /// The text of [`to_text`](Self::to_text), or RFC 3339 alone, which is then seen from UTC.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (time, zone) = match text.split_once('[') {
            Some((time, zone)) => (time, TimeZone::from_name(zone.strip_suffix(']')?)?),
            None => (text, TimeZone::UTC),
        };
        Self::new(DateTime::parse_from_rfc3339(time).ok()?.to_utc(), zone)
    }
}

/// RFC 3339 on the clock of its zone.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// A span of time, to the nanosecond; a negative one leads into the past. At most 292 million years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub(crate) TimeDelta);

impl Interval {
    /// Nothing where it is too long.
    pub fn from_nanos(nanos: i128) -> Option<Self> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS_A_SECOND)).ok()?;
        let rest = u32::try_from(nanos.rem_euclid(NANOS_A_SECOND)).ok()?;
        TimeDelta::new(seconds, rest).map(Self)
    }

    /// All of it, in nanoseconds.
    pub fn nanos(self) -> i128 {
        i128::from(self.0.num_seconds()) * NANOS_A_SECOND + i128::from(self.0.subsec_nanos())
    }

    /// All of it, in seconds, as near as a double can be.
    #[expect(clippy::cast_precision_loss, reason = "documented")]
    pub fn as_seconds(self) -> f64 {
        let nanos = self.nanos();
        (nanos / NANOS_A_SECOND) as f64 + (nanos % NANOS_A_SECOND) as f64 / NANOS_A_SECOND as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_points_in_time_lose_nothing() {
        let berlin = TimeZone::from_name("Europe/Berlin").unwrap();
        for nanos in
            [0, 1, -1, 1_700_000_000_123_456_789, -62_135_596_800_000_000_000, 253_370_764_799_999_999_999]
        {
            let time = Timestamp::from_nanos(nanos, berlin).unwrap();
            assert_eq!(time.nanos(), nanos);
            assert_eq!(Timestamp::from_text(&time.to_text()), Some(time), "{time:?}");
        }
        for beyond in [-62_135_596_800_000_000_001, 253_370_764_800_000_000_000, i128::MAX, i128::MIN] {
            assert_eq!(Timestamp::from_nanos(beyond, berlin), None, "{beyond}");
        }
    }

    #[test]
    fn a_text_that_is_no_point_in_time_is_refused() {
        for text in [
            "",
            "[",
            "2024-01-01T00:00:00Z[",
            "2024-01-01T00:00:00Z[x]",
            "2024-13-01T00:00:00Z",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::from_text(text), None, "{text}");
        }
        let leap = Timestamp::from_text("2016-12-31T23:59:60.5Z").unwrap();
        assert_eq!(leap.nanos(), 1_483_228_800_500_000_000);
    }

    #[test]
    fn spans_have_nanoseconds_and_a_sign() {
        for nanos in [0, 1, -1, 999_999_999, -1_500_000_000, 1 << 80] {
            assert_eq!(Interval::from_nanos(nanos).unwrap().nanos(), nanos);
        }
        assert_eq!(Interval::from_nanos(i128::MAX), None);
        assert!((Interval::from_nanos(-1_500_000_000).unwrap().as_seconds() + 1.5).abs() < f64::EPSILON);
    }
}
