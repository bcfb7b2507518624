//! `@antiraid/datetime`: points in time, spans of it, and time zones.
//!
//! Owns what can be done with them. Leaves what they are, and how they leave a VM, to `value::time`. Time zones are part of
//! the program; which one the machine is in, nobody learns.

mod declared;
mod point;
mod span;

use std::str::FromStr;
use std::time::SystemTime;

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use mlua::{IntoLua, Value};

use super::arguments::Text;
use super::classes::{Class, Object, object};
use super::members::{Call, Maker, Outcome};
use super::{Globals, did_you_mean};
use crate::declare;
use crate::value::time::{Interval, TimeZone, Timestamp};

pub(super) use declared::MODULE;
pub(super) use point::formatted;

object!(Timestamp, Interval, TimeZone);

/// Nanoseconds of the units that spans and times are made from.
const NANO: i128 = 1;
const MICRO: i128 = 1_000;
const MILLI: i128 = 1_000_000;
const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;
const WEEK: i128 = 7 * DAY;

/// What most people call the zones of these clocks.
const NICKNAMES: [(&str, Tz); 4] = [
    ("IST", Tz::Asia__Kolkata),
    ("PST", Tz::America__Los_Angeles),
    ("PDT", Tz::America__Los_Angeles),
    ("EDT", Tz::America__New_York),
];
/// No name of a zone is longer.
const LONGEST_NAME: usize = 64;

pub(super) const TOO_FAR: &str = "this point in time is out of range: the years are 1 to 9998";

pub(super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.field("UTC", TimeZone::UTC)?;
    module.function("new", |_, (name,): (Text,)| zone(&name.0))?;
    for (name, unit) in [
        ("timedelta_weeks", WEEK),
        ("timedelta_days", DAY),
        ("timedelta_hours", HOUR),
        ("timedelta_minutes", MINUTE),
        ("timedelta_seconds", SECOND),
        ("timedelta_millis", MILLI),
        ("timedelta_micros", MICRO),
        ("timedelta_nanos", NANO),
    ] {
        module.function(name, move |_, (amount,): (f64,)| {
            let span = nanos(amount, unit).and_then(Interval::from_nanos);
            span.ok_or_else(|| "this is no span of time: a number is expected that is not too large".into())
        })?;
    }
    Ok(())
}

fn zone(name: &str) -> Outcome<TimeZone> {
    if let Some((_, zone)) = NICKNAMES.iter().find(|(nickname, _)| *nickname == name) {
        return Ok(TimeZone(*zone));
    }
    if let Ok(zone) = Tz::from_str(name) {
        return Ok(TimeZone(zone));
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    let hint = did_you_mean(&shown, TZ_VARIANTS.iter().map(|zone| (zone.name(), zone.name())));
    let hint =
        if hint.is_empty() { "; use a name such as \"Europe/Berlin\" or \"UTC\"".to_owned() } else { hint };
    Err(format!("there is no time zone \"{shown}\"{hint}").into())
}

/// So many of a unit, in nanoseconds. Whole numbers are exact. Nothing for what is no number, or beyond all ranges.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "guarded by the range; fractions of nanoseconds go"
)]
pub(super) fn nanos(amount: f64, unit: i128) -> Option<i128> {
    const MOST: f64 = 1e28;
    let (whole, fraction) = (amount.trunc(), amount.fract());
    if amount.is_nan() || whole.abs() * unit as f64 > MOST {
        return None;
    }
    Some(whole as i128 * unit + (fraction * unit as f64).round() as i128)
}

/// A count of a unit, for a script.
#[expect(clippy::cast_precision_loss, reason = "documented where it can be large")]
fn count(nanos: i128, unit: i128) -> f64 {
    (nanos / unit) as f64
}

impl Object for TimeZone {
    const TYPE: &'static declare::Type = &declared::TIMEZONE;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.field("name", |_, zone| Ok(zone.name()))?;
        class.method("fromString", |_, zone, (text,): (Text,)| {
            let time = DateTime::parse_from_rfc3339(&text.0)
                .map_err(|_| "this is not RFC 3339, such as \"2024-05-01T12:00:00+02:00\"")?;
            seen_from(*zone, time.to_utc())
        })?;
        class.method("utcToTz", |call, zone, clock: Calendar| {
            let time = seen_from(*zone, date_and_time(&clock)?.and_utc())?;
            if clock.6 == Some(true) { list(call, vec![time]) } else { Ok(time.into_lua(call.lua)?) }
        })?;
        class.method("tzToUtc", |call, zone, clock: Calendar| {
            let times = in_utc(*zone, date_and_time(&clock)?)?;
            if clock.6 == Some(true) {
                return list(call, times);
            }
            Ok(first(times)?.into_lua(call.lua)?)
        })?;
        class.method("timeUtcToTz", |_, zone, (hour, minute, second): (i64, i64, i64)| {
            let today = now().date_naive();
            seen_from(*zone, on(today, hour, minute, second)?.and_utc())
        })?;
        class.method("timeTzToUtc", |_, zone, (hour, minute, second): (i64, i64, i64)| {
            let today = now().with_timezone(&zone.0).date_naive();
            first(in_utc(*zone, on(today, hour, minute, second)?)?)
        })?;
        class.method("now", |_, zone, ()| seen_from(*zone, now()))?;
        for (name, unit) in [
            ("fromTime", SECOND),
            ("fromTimeMillis", MILLI),
            ("fromTimeMicros", MICRO),
            ("fromTimeNanos", NANO),
        ] {
            class.method(name, move |_, zone, (amount,): (f64,)| {
                let time = nanos(amount, unit).and_then(|nanos| Timestamp::from_nanos(nanos, *zone));
                time.ok_or_else(|| TOO_FAR.into())
            })?;
        }
        class.operator("__eq", |_, (left, right): (Self, Self)| Ok(left == right))?;
        class.operator("__tostring", |_, (zone,): (Self,)| Ok(zone.name()))
    }
}

/// Year, month, day, hour, minute, second, and whether all are wanted.
type Calendar = (i64, i64, i64, i64, i64, i64, Option<bool>);

fn date_and_time((year, month, day, hour, minute, second, _): &Calendar) -> Outcome<NaiveDateTime> {
    let part = |value: i64| u32::try_from(value).ok();
    let date = i32::try_from(*year)
        .ok()
        .zip(part(*month).zip(part(*day)))
        .and_then(|(year, (month, day))| NaiveDate::from_ymd_opt(year, month, day))
        .ok_or("there is no such day")?;
    on(date, *hour, *minute, *second)
}

fn on(date: NaiveDate, hour: i64, minute: i64, second: i64) -> Outcome<NaiveDateTime> {
    let part = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    let time = date.and_hms_opt(part(hour), part(minute), part(second));
    time.ok_or_else(|| {
        "there is no such time of a day: hours are 0 to 23, minutes and seconds 0 to 59".into()
    })
}

fn seen_from(zone: TimeZone, time: DateTime<Utc>) -> Outcome<Timestamp> {
    Timestamp::new(time, zone).ok_or_else(|| TOO_FAR.into())
}

/// When clocks in `zone` show this: never, once or twice.
fn in_utc(zone: TimeZone, clock: NaiveDateTime) -> Outcome<Vec<Timestamp>> {
    // Far from the ends of what `chrono` can do, where a zone's offset would lead beyond them.
    seen_from(TimeZone::UTC, clock.and_utc())?;
    let times = match zone.0.from_local_datetime(&clock) {
        LocalResult::None => vec![],
        LocalResult::Single(one) => vec![one],
        LocalResult::Ambiguous(first, second) => vec![first, second],
    };
    times.into_iter().map(|time| seen_from(TimeZone::UTC, time.to_utc())).collect()
}

fn first(times: Vec<Timestamp>) -> Outcome<Timestamp> {
    let time = times.into_iter().next();
    time.ok_or_else(|| "clocks in this zone never show this time: they are put forward there".into())
}

fn list(call: &Call<'_>, times: Vec<Timestamp>) -> Outcome<Value> {
    let table = call.lua.create_sequence_from(times)?;
    table.set_metatable(Some(call.library.array.clone()))?;
    Ok(Value::Table(table))
}

/// To the microsecond, which is as fine as the machine's other clocks that scripts see.
pub(super) fn now() -> DateTime<Utc> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or_default();
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
