//! Values that are compared and counted: the little that storage has to understand of them.

/// The number that this value is.
pub(in crate::storage) fn read(value: &str) -> Option<f64> {
    serde_json::from_str::<serde_json::Number>(value).ok()?.as_f64()
}

/// The value that is this number; `None` where it is none that can be stored.
pub(in crate::storage) fn write(number: f64) -> Option<String> {
    /// Up to here every whole number is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        // Adding makes a zero of a negative one.
        return Some(format!("{:.0}", number + 0.0));
    }
    serde_json::Number::from_f64(number).map(|number| number.to_string())
}

/// Whether two values are the same, whatever the order of the keys in their maps.
pub(in crate::storage) fn same(one: &str, other: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || read(one).is_some_and(|value| read(other).is_some_and(|other| value == other))
}
