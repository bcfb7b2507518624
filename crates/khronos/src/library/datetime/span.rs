//! `TimeDelta`: what scripts see of a span of time.

use super::super::classes::{Class, Object};
use super::super::members::Refusal;
use super::{DAY, HOUR, MICRO, MILLI, MINUTE, NANO, SECOND, WEEK, count, declared};
use crate::declare;
use crate::value::time::Interval;

impl Object for Interval {
    const TYPE: &'static declare::Type = &declared::TIMEDELTA;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        for (name, unit) in [
            ("nanos", NANO),
            ("micros", MICRO),
            ("millis", MILLI),
            ("seconds", SECOND),
            ("minutes", MINUTE),
            ("hours", HOUR),
            ("days", DAY),
            ("weeks", WEEK),
        ] {
            class.field(name, move |_, span| Ok(count(span.nanos(), unit)))?;
        }
        class.method("as_secs", |_, span, ()| Ok(span.as_seconds()))?;
        class.method("offset_string", |_, span, ()| Ok(offset(*span)))?;
        let too_long = || Refusal::from("this span of time is too long");
        class.operator("__add", move |_, (left, right): (Self, Self)| {
            left.0.checked_add(&right.0).map(Interval).ok_or_else(too_long)
        })?;
        class.operator("__sub", move |_, (left, right): (Self, Self)| {
            left.0.checked_sub(&right.0).map(Interval).ok_or_else(too_long)
        })?;
        class.operator("__eq", |_, (left, right): (Self, Self)| Ok(left == right))?;
        class.operator("__lt", |_, (left, right): (Self, Self)| Ok(left < right))?;
        class.operator("__le", |_, (left, right): (Self, Self)| Ok(left <= right))?;
        class.operator("__tostring", |_, (span,): (Self,)| Ok(span.0.to_string()))
    }
}

fn offset(span: Interval) -> String {
    let nanos = span.nanos();
    let minutes = nanos.abs() / MINUTE;
    let sign = if nanos < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
