//! `@lune/datetime`: points in time in UTC.
//!
//! Local time is UTC, too: which zone the machine is in, nobody learns.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};
use mlua::{Lua, Table, Value};

use super::super::Globals;
use super::super::arguments::{Argument, Text};
use super::super::classes::{Class, Object, object};
use super::super::datetime::{TOO_FAR, formatted, nanos, now};
use super::super::members::{Maker, Outcome};
use crate::declare::{Function, Module, Parameter, Type};
use crate::declare::{field, function, object as declare_object, parameter, table};
use crate::value::time::{TimeZone, Timestamp};

const TEXT: &[Parameter] = &[parameter("date", "string", "The text.")];
const VALUES: &[Parameter] = &[parameter("values", "DateTimeValues", "The parts of a date and a time.")];
const FORMAT: &[Parameter] = &[
    parameter("format", "string?", "As of `strftime`, at most 256 bytes; `%Y-%m-%d %H:%M:%S` if left out."),
    parameter("locale", "string?", "`en`: there is no other."),
];
const TWO: &[Parameter] = &[parameter("left", "DateTime", ""), parameter("right", "DateTime", "")];

pub(in super::super) const MODULE: Module = Module {
    path: "@lune/datetime",
    doc: "Points in time, as Lune has them. Local time is UTC.",
    fields: &[],
    functions: &[
        function("now", &[], "DateTime", "Now."),
        function(
            "fromUnixTimestamp",
            &[parameter("timestamp", "number", "Seconds after 1970, with a fraction.")],
            "DateTime",
            "The point in time of a Unix timestamp.",
        ),
        function("fromUniversalTime", VALUES, "DateTime", "The point in time when clocks in UTC show this."),
        function("fromLocalTime", VALUES, "DateTime", "The same as `fromUniversalTime`."),
        function("fromIsoDate", TEXT, "DateTime", "The same as `fromRfc3339`."),
        function(
            "fromRfc3339",
            TEXT,
            "DateTime",
            "The point in time of a text such as `2024-05-01T12:00:00Z`.",
        ),
        function(
            "fromRfc2822",
            TEXT,
            "DateTime",
            "The point in time of a text such as `Wed, 1 May 2024 12:00:00 +0000`.",
        ),
    ],
    types: &[MOMENT, PARTS],
};

const PARTS: Type = table(
    "DateTimeValues",
    "The parts of a date and a time.",
    &[
        field("year", "number", "1400 to 9998."),
        field("month", "number", "1 to 12."),
        field("day", "number", "1 to 31."),
        field("hour", "number", "0 to 23."),
        field("minute", "number", "0 to 59."),
        field("second", "number", "0 to 59."),
        field("millisecond", "number?", "0 to 999; 0 if left out."),
    ],
);

const fn shown(name: &'static str) -> Function {
    function(name, FORMAT, "string", "It as text, in UTC.")
}

const MOMENT: Type = declare_object(
    "DateTime",
    "A point in time. As a value it leaves as that of `@antiraid/datetime` does, seen from UTC.",
    &[
        field("unixTimestamp", "number", "Whole seconds since 1970."),
        field("unixTimestampMillis", "number", "Whole milliseconds since 1970."),
    ],
    &[
        function("toIsoDate", &[], "string", "The same as `toRfc3339`."),
        function("toRfc3339", &[], "string", "It as RFC 3339 writes it."),
        function("toRfc2822", &[], "string", "It as RFC 2822 writes it."),
        shown("formatUniversalTime"),
        shown("formatLocalTime"),
        function("toUniversalTime", &[], "DateTimeValues", "What clocks in UTC show."),
        function("toLocalTime", &[], "DateTimeValues", "The same as `toUniversalTime`."),
    ],
    &[
        function("__eq", TWO, "boolean", "Whether both are the same point in time."),
        function("__lt", TWO, "boolean", "Whether the left one is earlier."),
        function("__le", TWO, "boolean", "Whether the left one is not later."),
    ],
);

/// A point in time of `@lune/datetime`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

object!(Moment);

fn moment(time: DateTime<Utc>) -> Outcome<Moment> {
    Timestamp::new(time, TimeZone::UTC).map(Moment).ok_or_else(|| TOO_FAR.into())
}

pub(in super::super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.function("now", |_, ()| moment(now()))?;
    module.function("fromUnixTimestamp", |_, (seconds,): (f64,)| {
        let time =
            nanos(seconds, 1_000_000_000).and_then(|nanos| Timestamp::from_nanos(nanos, TimeZone::UTC));
        time.map(Moment).ok_or_else(|| TOO_FAR.into())
    })?;
    for name in ["fromUniversalTime", "fromLocalTime"] {
        module.function(name, |_, (parts,): (Table,)| from_parts(&parts))?;
    }
    for name in ["fromIsoDate", "fromRfc3339"] {
        module.function(name, |_, (text,): (Text,)| {
            let time = DateTime::parse_from_rfc3339(&text.0);
            moment(time.map_err(|_| "this is not RFC 3339, such as \"2024-05-01T12:00:00Z\"")?.to_utc())
        })?;
    }
    module.function("fromRfc2822", |_, (text,): (Text,)| {
        let time = DateTime::parse_from_rfc2822(&text.0);
        moment(time.map_err(|_| "this is not RFC 2822, such as \"Wed, 1 May 2024 12:00:00 +0000\"")?.to_utc())
    })
}

impl Object for Moment {
    const TYPE: &'static Type = &MOMENT;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.field("unixTimestamp", |_, this| Ok(this.0.seconds()))?;
        class.field("unixTimestampMillis", |_, this| Ok(this.utc().timestamp_millis()))?;
        for name in ["toIsoDate", "toRfc3339"] {
            class.method(name, |_, this, ()| Ok(this.utc().to_rfc3339_opts(SecondsFormat::AutoSi, false)))?;
        }
        // The years that a point in time can have are those that this can write.
        class.method("toRfc2822", |_, this, ()| Ok(this.utc().to_rfc2822()))?;
        for name in ["formatUniversalTime", "formatLocalTime"] {
            class.method(name, |_, this, (layout, locale): (Option<Text>, Option<Text>)| {
                if locale.is_some_and(|locale| locale.0 != "en") {
                    return Err("the only locale is \"en\"".into());
                }
                formatted(this.0, layout.as_ref().map_or("%Y-%m-%d %H:%M:%S", |layout| layout.0.as_str()))
            })?;
        }
        for name in ["toUniversalTime", "toLocalTime"] {
            class.method(name, |call, this, ()| Ok(to_parts(call.lua, this.utc())?))?;
        }
        class.operator("__eq", |_, (left, right): (Self, Self)| Ok(left.0.nanos() == right.0.nanos()))?;
        class.operator("__lt", |_, (left, right): (Self, Self)| Ok(left.0.nanos() < right.0.nanos()))?;
        class.operator("__le", |_, (left, right): (Self, Self)| Ok(left.0.nanos() <= right.0.nanos()))
    }
}

impl Moment {
    fn utc(self) -> DateTime<Utc> {
        self.0.local().to_utc()
    }
}

fn from_parts(parts: &Table) -> Outcome<Moment> {
    let part = |name: &str, least: i64, most: i64| -> Outcome<u32> {
        let value = i64::read(parts.raw_get::<Value>(name)?);
        let value = value.filter(|value| (least..=most).contains(value));
        let value = value.and_then(|value| u32::try_from(value).ok());
        value.ok_or_else(|| format!("{name} must be a whole number from {least} to {most}").into())
    };
    let year = i32::try_from(part("year", 1_400, 9_998)?).unwrap_or_default();
    let date = NaiveDate::from_ymd_opt(year, part("month", 1, 12)?, part("day", 1, 31)?);
    let millis = match parts.raw_get("millisecond")? {
        Value::Nil => 0,
        _ => part("millisecond", 0, 999)?,
    };
    let (hour, minute, second) = (part("hour", 0, 23)?, part("minute", 0, 59)?, part("second", 0, 59)?);
    let time = date.and_then(|date| date.and_hms_milli_opt(hour, minute, second, millis));
    moment(time.ok_or("there is no such day")?.and_utc())
}

fn to_parts(lua: &Lua, time: DateTime<Utc>) -> mlua::Result<Table> {
    let parts = lua.create_table()?;
    parts.raw_set("year", time.year())?;
    for (name, value) in [
        ("month", time.month()),
        ("day", time.day()),
        ("hour", time.hour()),
        ("minute", time.minute()),
        ("second", time.second()),
        ("millisecond", time.timestamp_subsec_millis()),
    ] {
        parts.raw_set(name, value)?;
    }
    parts.set_readonly(true);
    Ok(parts)
}
