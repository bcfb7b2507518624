//! `@lune/datetime`: what Lune has, in UTC.

use super::{all_return, all_throw};

#[test]
fn a_point_in_time_has_the_forms_that_lune_has() {
    all_return(&[
        (
            "local t = lune.datetime.fromUnixTimestamp(1714557600.5) return t.unixTimestamp, t.unixTimestampMillis",
            "[1714557600,1714557600500]",
        ),
        (
            "return lune.datetime.fromUnixTimestamp(0):toRfc3339(), lune.datetime.fromUnixTimestamp(0):toIsoDate()",
            r#"["1970-01-01T00:00:00+00:00","1970-01-01T00:00:00+00:00"]"#,
        ),
        (
            "return lune.datetime.fromRfc3339('2024-05-01T12:00:00+02:00'):toRfc2822()",
            r#""Wed, 1 May 2024 10:00:00 +0000""#,
        ),
        ("return lune.datetime.fromRfc2822('Wed, 1 May 2024 12:00:00 +0200').unixTimestamp", "1714557600"),
        (
            "return lune.datetime.fromUnixTimestamp(0):formatUniversalTime(), lune.datetime.fromUnixTimestamp(0):formatLocalTime('%H', 'en')",
            r#"["1970-01-01 00:00:00","00"]"#,
        ),
        (
            "local p = lune.datetime.fromUnixTimestamp(0.25):toUniversalTime() return p.year, p.month, p.day, p.hour, p.minute, p.second, p.millisecond, table.isfrozen(p)",
            "[1970,1,1,0,0,0,250,true]",
        ),
        (
            "local v = {year = 2024, month = 2, day = 29, hour = 1, minute = 2, second = 3} local d = lune.datetime return d.fromUniversalTime(v) == d.fromLocalTime(v), d.fromLocalTime(v):toIsoDate()",
            r#"[true,"2024-02-29T01:02:03+00:00"]"#,
        ),
        (
            "local d = lune.datetime return d.fromUnixTimestamp(1) < d.now(), d.fromUnixTimestamp(1) <= d.fromUnixTimestamp(1), typeof(d.now())",
            r#"[true,true,"DateTime"]"#,
        ),
        ("return lune.datetime.fromUnixTimestamp(1)", r#""1970-01-01T00:00:01Z""#),
    ]);
}

#[test]
fn what_is_out_of_range_is_an_error() {
    all_throw(&[
        ("lune.datetime.fromUnixTimestamp(0/0)", "out of range"),
        ("lune.datetime.fromUnixTimestamp(1e300)", "out of range"),
        ("lune.datetime.fromRfc3339('x')", "not RFC 3339"),
        ("lune.datetime.fromRfc2822('x')", "not RFC 2822"),
        ("lune.datetime.now():formatLocalTime('%Q')", "means nothing"),
        ("lune.datetime.now():formatLocalTime('%Y', 'fr')", "only locale"),
        (
            "lune.datetime.fromLocalTime({year = 2024, month = 2, day = 30, hour = 1, minute = 2, second = 3})",
            "no such day",
        ),
        (
            "lune.datetime.fromLocalTime({year = 10000, month = 2, day = 3, hour = 1, minute = 2, second = 3})",
            "from 1400 to 9998",
        ),
        ("lune.datetime.fromLocalTime({})", "year must be"),
        (
            "lune.datetime.fromLocalTime(setmetatable({}, {__index = function() error('ran') end}))",
            "year must be",
        ),
        ("lune.datetime.fromLocalTime(5)", "table expected"),
    ]);
}
