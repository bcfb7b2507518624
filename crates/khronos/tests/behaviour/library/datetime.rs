//! `@antiraid/datetime`: clocks of the world, and the ends of time.

use khronos::{KhronosValue, TimeZone, Timestamp};

use super::{all_return, all_throw, result};
use crate::vm::Vm;

#[test]
fn a_point_in_time_is_seen_from_its_zone() {
    all_return(&[
        (
            "local t = datetime.new('Europe/Berlin'):fromTime(1714557600) return t.year, t.month, t.day, t.hour, t.minute, t.second",
            "[2024,5,1,12,0,0]",
        ),
        ("return datetime.new('Europe/Berlin'):fromTime(1714557600)", r#""2024-05-01T12:00:00+02:00""#),
        ("return tostring(datetime.new('IST'):fromTime(0))", r#""1970-01-01T05:30:00+05:30""#),
        (
            "local t = datetime.UTC:fromTimeMillis(-1) return t.timestamp_seconds, t.timestamp_millis, t.second",
            "[-1,-1,59]",
        ),
        (
            "local t = datetime.UTC:fromTimeNanos(1500000) return t.timestamp_millis, t.timestamp_micros, t.timestamp_nanos",
            "[1,1500,1500000]",
        ),
        (
            "return datetime.UTC:fromTime(0.25).timestamp_millis, datetime.UTC:fromTimeMicros(7).timestamp_nanos",
            "[250,7000]",
        ),
        (
            "local t = datetime.new('America/New_York'):fromTime(1720000000) return t.base_offset:offset_string(), t.dst_offset:offset_string(), t.tz.name",
            r#"["-05:00","+01:00","America/New_York"]"#,
        ),
        ("return datetime.UTC:fromString('2024-05-01T12:00:00+02:00')", r#""2024-05-01T10:00:00Z""#),
        (
            "return datetime.UTC:fromTime(0):with_timezone(datetime.new('PST'))",
            r#""1969-12-31T16:00:00-08:00""#,
        ),
        ("return datetime.UTC:fromTime(0):format('%Y-%m-%d %H:%M %%')", r#""1970-01-01 00:00 %""#),
        ("return datetime.UTC == datetime.new('UTC'), datetime.UTC ~= datetime.new('IST')", "[true,true]"),
        (
            "local n = datetime.UTC:now() return n.year > 2000 and n < datetime.UTC:now() + datetime.timedelta_hours(1)",
            "true",
        ),
        ("local t = datetime.UTC:timeUtcToTz(23, 59, 58) return t.hour, t.minute, t.second", "[23,59,58]"),
        (
            "local z = datetime.new('Asia/Tokyo') local t = z:timeTzToUtc(9, 0, 0) return t.hour, t.tz.name",
            r#"[0,"UTC"]"#,
        ),
    ]);
}

#[test]
fn clocks_that_are_put_back_show_a_time_twice_and_put_forward_never() {
    all_return(&[
        ("return datetime.new('Europe/Berlin'):tzToUtc(2024, 5, 1, 12, 0, 0)", r#""2024-05-01T10:00:00Z""#),
        (
            "return datetime.new('Europe/Berlin'):utcToTz(2024, 5, 1, 12, 0, 0)",
            r#""2024-05-01T14:00:00+02:00""#,
        ),
        ("return datetime.new('Europe/Berlin'):tzToUtc(2024, 10, 27, 2, 30, 0)", r#""2024-10-27T00:30:00Z""#),
        (
            "return datetime.new('Europe/Berlin'):tzToUtc(2024, 10, 27, 2, 30, 0, true)",
            r#"["2024-10-27T00:30:00Z","2024-10-27T01:30:00Z"]"#,
        ),
        ("return datetime.new('Europe/Berlin'):tzToUtc(2024, 3, 31, 2, 30, 0, true)", "[]"),
        ("return #datetime.UTC:utcToTz(2024, 3, 31, 2, 30, 0, true)", "1"),
    ]);
    all_throw(&[("datetime.new('Europe/Berlin'):tzToUtc(2024, 3, 31, 2, 30, 0)", "never show this time")]);
}

#[test]
fn spans_add_up() {
    all_return(&[
        (
            "local d = datetime.timedelta_days(1.5) return d.hours, d.days, d.seconds, d.weeks, d:as_secs()",
            "[36,1,129600,0,129600]",
        ),
        (
            "local d = datetime.timedelta_millis(-1500) return d.seconds, d.millis, d:as_secs(), d:offset_string()",
            r#"[-1,-1500,-1.5,"-00:00"]"#,
        ),
        ("return datetime.timedelta_minutes(330):offset_string()", r#""+05:30""#),
        (
            "local d = datetime return d.timedelta_hours(1) + d.timedelta_minutes(30) - d.timedelta_seconds(1)",
            "5399",
        ),
        (
            "local d = datetime return d.timedelta_hours(1) == d.timedelta_minutes(60), d.timedelta_nanos(1) < d.timedelta_micros(1)",
            "[true,true]",
        ),
        (
            "local t = datetime.UTC:fromTime(0) return t + datetime.timedelta_weeks(1), t + datetime.timedelta_days(-1)",
            r#"["1970-01-08T00:00:00Z","1969-12-31T00:00:00Z"]"#,
        ),
        (
            "local t = datetime.UTC:fromTime(100) return t - datetime.timedelta_seconds(40) == datetime.UTC:fromTime(60), t - datetime.UTC:fromTime(40)",
            "[true,60]",
        ),
        (
            "local z = datetime.new('IST') return datetime.UTC:fromTime(5) == z:fromTime(5), z:fromTime(4) < datetime.UTC:fromTime(5), z:fromTime(5):duration_since(datetime.UTC:fromTime(2)).seconds",
            "[true,true,3]",
        ),
        (
            "return tostring(datetime.timedelta_seconds(90)), typeof(datetime.timedelta_seconds(90))",
            r#"["PT90S","TimeDelta"]"#,
        ),
    ]);
}

#[test]
fn the_ends_of_time_are_errors() {
    all_throw(&[
        ("datetime.UTC:fromTime(0/0)", "out of range"),
        ("datetime.UTC:fromTime(1/0)", "out of range"),
        ("datetime.UTC:fromTime(2^63)", "out of range"),
        ("datetime.UTC:fromTimeNanos(-1e300)", "out of range"),
        ("datetime.UTC:utcToTz(9999, 1, 1, 0, 0, 0)", "out of range"),
        ("datetime.UTC:utcToTz(0, 1, 1, 0, 0, 0)", "out of range"),
        ("datetime.new('Asia/Tokyo'):tzToUtc(1, 1, 1, 0, 0, 0)", "out of range"),
        ("datetime.UTC:utcToTz(2^60, 1, 1, 0, 0, 0)", "no such day"),
        ("datetime.UTC:utcToTz(2023, 2, 29, 0, 0, 0)", "no such day"),
        ("datetime.UTC:utcToTz(2023, 13, 1, 0, 0, 0)", "no such day"),
        ("datetime.UTC:utcToTz(2023, 1, 1, 24, 0, 0)", "no such time"),
        ("datetime.UTC:utcToTz(2023, 1, 1, -1, 0, 0)", "no such time"),
        ("datetime.timedelta_weeks(1e300)", "no span"),
        ("datetime.timedelta_weeks(0/0)", "no span"),
        ("local d = datetime.timedelta_days(1e11) d = d + d return d", "too long"),
        ("return datetime.UTC:fromTime(0) + datetime.timedelta_days(1e8)", "out of range"),
        ("return datetime.UTC:fromTime(0) + datetime.UTC:fromTime(0)", "TimeDelta expected"),
        ("return datetime.timedelta_days(1) - datetime.UTC:fromTime(0)", "expected"),
        ("datetime.UTC:fromString('yesterday')", "not RFC 3339"),
        ("datetime.new('Europe/Berln')", "did you mean \"Europe/Berlin\"?"),
        ("datetime.new('Foo')", "there is no time zone \"Foo\"; use a name such as"),
        ("datetime.new(string.rep('x', 100000))", "there is no time zone"),
        ("datetime.UTC:now():format('%!')", "means nothing"),
        ("datetime.UTC:now():format('%')", "means nothing"),
        ("datetime.UTC:now():format(string.rep('%Y', 200))", "more than 256 bytes"),
    ]);
}

#[test]
fn no_layout_makes_much_of_little() {
    let vm = Vm::new();
    let script = "local long = 0 for sign = 32, 126 do local layout = string.rep('%' .. string.char(sign), 128) \
        local ok, text = pcall(function() return datetime.UTC:now():format(layout) end) \
        if ok then long = math.max(long, #text) end end return long";
    let longest: usize = result(&vm, script).unwrap().parse().unwrap();
    assert!(longest < 8_000, "{longest}");
}

#[test]
fn times_leave_as_values_and_come_back() {
    let vm = Vm::new();
    let zone = TimeZone::from_name("Asia/Kathmandu").unwrap();
    let time = KhronosValue::Timestamptz(Timestamp::from_nanos(-5_000_000_001, zone).unwrap());
    let event = vm.runtime.create_value(&time).unwrap();
    let isolate = vm.isolate(&[("init.luau", "local t = ... return t.timestamp_nanos, t.tz.name, t.minute")]);
    let limits = khronos::ExecutionLimits::default();
    let id = vm.runtime.start(isolate, "TEST", &event, &mlua::Value::Nil, limits).unwrap();
    let khronos::Verdict::Returned(json) = vm.finish(id).verdict else { panic!() };
    assert_eq!(json.as_str(), r#"[-5000000001,"Asia/Kathmandu",29]"#);
}
