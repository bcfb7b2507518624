//! `@antiraid/datetime`, as it is declared.

use crate::declare::{Function, Module, Parameter, Type};
use crate::declare::{field, function, object, parameter};

const AMOUNT: &[Parameter] =
    &[parameter("amount", "number", "How many; a fraction counts, to the nanosecond.")];

const fn span(name: &'static str, doc: &'static str) -> Function {
    function(name, AMOUNT, "TimeDelta", doc)
}

pub(in super::super) const MODULE: Module = Module {
    path: "@antiraid/datetime",
    doc: "Points in time, spans of time, and time zones. The years are 1 to 9998.",
    fields: &[field("UTC", "Timezone", "Coordinated universal time.")],
    functions: &[
        function(
            "new",
            &[parameter(
                "name",
                "string",
                "A name of the IANA database, such as `Europe/Berlin`, or IST, PST, PDT or EDT.",
            )],
            "Timezone",
            "A time zone. Fails for a name that is not known.",
        ),
        span("timedelta_weeks", "A span of weeks, of seven times 24 hours each."),
        span("timedelta_days", "A span of days, of 24 hours each."),
        span("timedelta_hours", "A span of hours."),
        span("timedelta_minutes", "A span of minutes."),
        span("timedelta_seconds", "A span of seconds."),
        span("timedelta_millis", "A span of milliseconds."),
        span("timedelta_micros", "A span of microseconds."),
        span("timedelta_nanos", "A span of nanoseconds."),
    ],
    types: &[TIMEZONE, DATETIME, TIMEDELTA],
};

const CLOCK: &[Parameter] = &[
    parameter("hour", "number", "0 to 23."),
    parameter("minute", "number", "0 to 59."),
    parameter("second", "number", "0 to 59."),
];

const CALENDAR: &[Parameter] = &[
    parameter("year", "number", "1 to 9998."),
    parameter("month", "number", "1 to 12."),
    parameter("day", "number", "1 to 31."),
    parameter("hour", "number", "0 to 23."),
    parameter("minute", "number", "0 to 59."),
    parameter("second", "number", "0 to 59."),
    parameter(
        "all",
        "boolean?",
        "Whether a list of all points in time is wanted that look so: two where clocks are put back.",
    ),
];

pub(in super::super) const TIMEZONE: Type = object(
    "Timezone",
    "A time zone.",
    &[field("name", "string", "Its name in the IANA database.")],
    &[
        function(
            "fromString",
            &[parameter("text", "string", "RFC 3339, such as `2024-05-01T12:00:00+02:00`.")],
            "DateTime",
            "The point in time that the text means, seen from this zone.",
        ),
        function(
            "utcToTz",
            CALENDAR,
            "DateTime | {DateTime}",
            "The point in time when clocks in UTC show this, seen from this zone. A list of it with `all`.",
        ),
        function(
            "tzToUtc",
            CALENDAR,
            "DateTime | {DateTime}",
            "The point in time when clocks in this zone show this, seen from UTC: the first one where they show it twice. Fails \
             where they never do. With `all`, the list of all of them, which may be empty.",
        ),
        function("timeUtcToTz", CLOCK, "DateTime", "As `utcToTz`, on the day that it is in UTC."),
        function("timeTzToUtc", CLOCK, "DateTime", "As `tzToUtc`, on the day that it is in this zone."),
        function("now", &[], "DateTime", "Now, seen from this zone."),
        function(
            "fromTime",
            AMOUNT,
            "DateTime",
            "The point in time so many seconds after 1970, seen from this zone.",
        ),
        function("fromTimeMillis", AMOUNT, "DateTime", "The point in time so many milliseconds after 1970."),
        function("fromTimeMicros", AMOUNT, "DateTime", "The point in time so many microseconds after 1970."),
        function("fromTimeNanos", AMOUNT, "DateTime", "The point in time so many nanoseconds after 1970."),
    ],
    &[
        function(
            "__eq",
            &[parameter("left", "Timezone", ""), parameter("right", "Timezone", "")],
            "boolean",
            "Whether both are the same zone.",
        ),
        function("__tostring", &[parameter("value", "Timezone", "")], "string", "Its name."),
    ],
);

pub(in super::super) const DATETIME: Type = object(
    "DateTime",
    "A point in time, to the nanosecond, and the zone that it is seen from.",
    &[
        field("year", "number", "The year on the clock of its zone, as all of these."),
        field("month", "number", "1 to 12."),
        field("day", "number", "1 to 31."),
        field("hour", "number", "0 to 23."),
        field("minute", "number", "0 to 59."),
        field("second", "number", "0 to 59."),
        field("timestamp_seconds", "number", "Whole seconds since 1970."),
        field("timestamp_millis", "number", "Whole milliseconds since 1970."),
        field("timestamp_micros", "number", "Whole microseconds since 1970."),
        field("timestamp_nanos", "number", "Nanoseconds since 1970, as near as a number can be."),
        field("tz", "Timezone", "The zone that it is seen from."),
        field("base_offset", "TimeDelta", "How far the zone is ahead of UTC, apart from daylight saving."),
        field("dst_offset", "TimeDelta", "How far clocks are put forward at that time for daylight saving."),
    ],
    &[
        function(
            "with_timezone",
            &[parameter("tz", "Timezone", "The zone.")],
            "DateTime",
            "The same point in time, seen from another zone.",
        ),
        function(
            "format",
            &[parameter(
                "layout",
                "string",
                "As of `strftime`, such as `%Y-%m-%d %H:%M`; at most 256 bytes.",
            )],
            "string",
            "It as text.",
        ),
        function(
            "duration_since",
            &[parameter("earlier", "DateTime", "The other one.")],
            "TimeDelta",
            "The time that has passed since.",
        ),
    ],
    &[
        function(
            "__add",
            &[parameter("left", "DateTime", ""), parameter("right", "TimeDelta", "")],
            "DateTime",
            "The point in time that much later.",
        ),
        function(
            "__sub",
            &[parameter("left", "DateTime", ""), parameter("right", "TimeDelta | DateTime", "")],
            "DateTime | TimeDelta",
            "The point in time that much earlier, or the span between two of them.",
        ),
        function(
            "__eq",
            &[parameter("left", "DateTime", ""), parameter("right", "DateTime", "")],
            "boolean",
            "Whether both are the same point in time, whatever their zones.",
        ),
        function(
            "__lt",
            &[parameter("left", "DateTime", ""), parameter("right", "DateTime", "")],
            "boolean",
            "Whether the left one is earlier.",
        ),
        function(
            "__le",
            &[parameter("left", "DateTime", ""), parameter("right", "DateTime", "")],
            "boolean",
            "Whether the left one is not later.",
        ),
        function(
            "__tostring",
            &[parameter("value", "DateTime", "")],
            "string",
            "RFC 3339, on the clock of its zone.",
        ),
    ],
);

const TWO: &[Parameter] = &[parameter("left", "TimeDelta", ""), parameter("right", "TimeDelta", "")];

pub(in super::super) const TIMEDELTA: Type = object(
    "TimeDelta",
    "A span of time, to the nanosecond. It may be negative.",
    &[
        field("nanos", "number", "All of it in nanoseconds, as near as a number can be."),
        field("micros", "number", "All of it in whole microseconds."),
        field("millis", "number", "All of it in whole milliseconds."),
        field("seconds", "number", "All of it in whole seconds."),
        field("minutes", "number", "All of it in whole minutes."),
        field("hours", "number", "All of it in whole hours."),
        field("days", "number", "All of it in whole days of 24 hours."),
        field("weeks", "number", "All of it in whole weeks."),
    ],
    &[
        function("as_secs", &[], "number", "All of it in seconds, with a fraction."),
        function("offset_string", &[], "string", "It as the offset of a time zone, such as `+05:30`."),
    ],
    &[
        function("__add", TWO, "TimeDelta", "Both together."),
        function("__sub", TWO, "TimeDelta", "The difference."),
        function("__eq", TWO, "boolean", "Whether both are as long."),
        function("__lt", TWO, "boolean", "Whether the left one is shorter."),
        function("__le", TWO, "boolean", "Whether the left one is not longer."),
        function(
            "__tostring",
            &[parameter("value", "TimeDelta", "")],
            "string",
            "It as ISO 8601 writes it, such as `PT90S`.",
        ),
    ],
);
