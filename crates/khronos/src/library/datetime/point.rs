//! `DateTime`: what scripts see of a point in time.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{Datelike, TimeDelta, Timelike};
use chrono_tz::OffsetComponents;
use mlua::{IntoLua, Value};

use super::super::arguments::{Argument, Text};
use super::super::classes::{Class, Object};
use super::super::members::Outcome;
use super::{MICRO, MILLI, NANO, TOO_FAR, count, declared};
use crate::declare;
use crate::value::time::{Interval, TimeZone, Timestamp};

/// Bytes of a layout: each two of them can make a few words.
const LONGEST_LAYOUT: usize = 256;

impl Object for Timestamp {
    const TYPE: &'static declare::Type = &declared::DATETIME;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.field("year", |_, time| Ok(time.local().year()))?;
        class.field("month", |_, time| Ok(time.local().month()))?;
        class.field("day", |_, time| Ok(time.local().day()))?;
        class.field("hour", |_, time| Ok(time.local().hour()))?;
        class.field("minute", |_, time| Ok(time.local().minute()))?;
        class.field("second", |_, time| Ok(time.local().second()))?;
        class.field("timestamp_seconds", |_, time| Ok(time.seconds()))?;
        class.field("timestamp_millis", |_, time| Ok(count(time.nanos().div_euclid(MILLI), NANO)))?;
        class.field("timestamp_micros", |_, time| Ok(count(time.nanos().div_euclid(MICRO), NANO)))?;
        class.field("timestamp_nanos", |_, time| Ok(count(time.nanos(), NANO)))?;
        class.field("tz", |_, time| Ok(time.zone()))?;
        class.field("base_offset", |_, time| Ok(Interval(time.local().offset().base_utc_offset())))?;
        class.field("dst_offset", |_, time| Ok(Interval(time.local().offset().dst_offset())))?;
        class
            .method("with_timezone", |_, time, (zone,): (TimeZone,)| moved(*time, TimeDelta::zero(), zone))?;
        class.method("format", |_, time, (layout,): (Text,)| formatted(*time, &layout.0))?;
        class.method("duration_since", |_, time, (earlier,): (Self,)| between(*time, earlier))?;
        class.operator("__add", |_, (time, span): (Self, Interval)| moved(time, span.0, time.zone()))?;
        class.operator("__sub", |call, (time, other): (Self, Either)| {
            Ok(match other {
                Either::Time(earlier) => between(time, earlier)?.into_lua(call.lua)?,
                Either::Span(span) => moved(time, -span.0, time.zone())?.into_lua(call.lua)?,
            })
        })?;
        class.operator("__eq", |_, (left, right): (Self, Self)| Ok(left.nanos() == right.nanos()))?;
        class.operator("__lt", |_, (left, right): (Self, Self)| Ok(left.nanos() < right.nanos()))?;
        class.operator("__le", |_, (left, right): (Self, Self)| Ok(left.nanos() <= right.nanos()))?;
        class.operator("__tostring", |_, (time,): (Self,)| Ok(time.to_string()))
    }
}

/// What can be subtracted from a point in time.
enum Either {
    Time(Timestamp),
    Span(Interval),
}

impl Argument for Either {
    const EXPECTED: &'static str = "DateTime or TimeDelta";

    fn read(value: Value) -> Option<Self> {
        let Value::UserData(data) = value else { return None };
        if let Ok(time) = data.borrow::<Timestamp>() {
            Some(Self::Time(*time))
        } else {
            data.borrow::<Interval>().ok().map(|span| Self::Span(*span))
        }
    }
}

fn moved(time: Timestamp, by: TimeDelta, zone: TimeZone) -> Outcome<Timestamp> {
    let nanos = time.nanos().checked_add(Interval(by).nanos());
    nanos.and_then(|nanos| Timestamp::from_nanos(nanos, zone)).ok_or_else(|| TOO_FAR.into())
}

fn between(later: Timestamp, earlier: Timestamp) -> Outcome<Interval> {
    Interval::from_nanos(later.nanos() - earlier.nanos()).ok_or_else(|| TOO_FAR.into())
}

pub(in super::super) fn formatted(time: Timestamp, layout: &str) -> Outcome<String> {
    if layout.len() > LONGEST_LAYOUT {
        return Err(format!("the layout has more than {LONGEST_LAYOUT} bytes").into());
    }
    let mut text = String::new();
    let known = !StrftimeItems::new(layout).any(|item| matches!(item, Item::Error));
    if known && write!(text, "{}", time.local().format(layout)).is_ok() {
        return Ok(text);
    }
    Err("this layout has a letter after a `%` that means nothing; write `%%` for the sign".into())
}
