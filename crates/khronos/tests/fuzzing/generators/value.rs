//! Values of the host, of all kinds and in odd shapes.

use khronos::{Interval, KhronosValue, TimeZone, Timestamp};

use crate::choices::Choices;

/// Numbers at the borders of what types can hold.
const NUMBERS: [f64; 14] = [
    0.0,
    -0.0,
    1.5,
    2_147_483_647.0,
    -2_147_483_648.0,
    4_294_967_296.0,
    9_007_199_254_740_992.0,
    9_007_199_254_740_994.0,
    -9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::INFINITY,
    f64::NAN,
];

const TEXTS: [&str; 8] = ["", "a", "1", "\0", "ä€😀", "__index", "\u{feff}\u{2028}", "\\u0000\"'"];

/// A value with tables at most `depth` deep.
pub fn value(choices: &mut Choices, depth: usize) -> KhronosValue {
    match choices.below(if depth == 0 { 9 } else { 13 }) {
        0 => KhronosValue::Null,
        1 => KhronosValue::Boolean(choices.coin()),
        2 => KhronosValue::from(f64::from(i32::from_be_bytes(
            choices.number().to_be_bytes()[..4].try_into().unwrap(),
        ))),
        3 => KhronosValue::from(*choices.pick(&NUMBERS)),
        4 => KhronosValue::from(f64::from_bits(choices.number())),
        5 => KhronosValue::Text(text(choices)),
        6 => KhronosValue::Buffer(choices.bytes(32).to_vec()),
        7 => KhronosValue::Vector([1.0, *choices.pick(&[0.0, f32::NAN, f32::MAX]), -0.5]),
        8 => object(choices),
        9 | 10 => KhronosValue::List((0..choices.below(9)).map(|_| value(choices, depth - 1)).collect()),
        11 => KhronosValue::Map(
            (0..choices.below(9)).map(|_| (text(choices), value(choices, depth - 1))).collect(),
        ),
        _ => (0..choices.below(100)).fold(KhronosValue::Null, |inner, _| KhronosValue::List(vec![inner])),
    }
}

/// What is an object in a VM, and integers that may be.
fn object(choices: &mut Choices) -> KhronosValue {
    let zone = *choices.pick(&["UTC", "Europe/Berlin", "Pacific/Apia"]);
    let zone = TimeZone::from_name(zone).unwrap_or(TimeZone::UTC);
    let number = choices.number();
    let signed = i64::from_be_bytes(number.to_be_bytes());
    match choices.below(5) {
        0 => KhronosValue::Integer(signed >> choices.below(64)),
        1 => KhronosValue::UnsignedInteger(number >> choices.below(64)),
        2 => Timestamp::from_nanos(i128::from(signed) * 7, zone)
            .map_or(KhronosValue::Null, KhronosValue::Timestamptz),
        3 => {
            Interval::from_nanos(i128::from(signed) * 977).map_or(KhronosValue::Null, KhronosValue::Interval)
        }
        _ => KhronosValue::TimeZone(zone),
    }
}

fn text(choices: &mut Choices) -> String {
    if choices.coin() {
        (*choices.pick(&TEXTS)).to_owned()
    } else {
        String::from_utf8_lossy(choices.bytes(24)).into_owned()
    }
}
