//! Whether an event's data fits the limits, before anybody accepts it. One pass over the text, nothing allocated.

use crate::limits::{Limit, Limits};

/// Values in one event. The runtime refuses more as well; here the caller still hears of it.
pub const MOST_VALUES: usize = 100_000;

/// Why data was refused: the limit of the guild that it exceeds, if it is one, and the words for whoever sent it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) limit: Option<Limit>,
    pub(super) text: String,
}

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Self { limit: None, text }
    }
}

/// Says no to JSON text that is too long, too deep, has too many values, or holds a text or a number that Luau cannot
/// have. That it is JSON has been found out before.
pub(super) fn check(json: &str, limits: &Limits) -> Result<(), Refused> {
    if json.len() > limits.max_event_bytes {
        let (bytes, most) = (json.len(), limits.max_event_bytes);
        let text = format!("the event's data has {bytes} bytes, and may have {most} (MAX_EVENT_BYTES)");
        return Err(Refused { limit: Some(Limit::EventBytes), text });
    }
    let (mut depth, mut values) = (0_usize, 1_usize);
    let mut rest = json.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = match byte {
            b'"' => after_text(tail)?,
            b'0'..=b'9' => after_number(rest)?,
            b'[' | b'{' => {
                depth += 1;
                values += 1;
                if depth > limits.max_event_depth {
                    let most = limits.max_event_depth;
                    let text =
                        format!("the event's data is nested deeper than {most} levels (MAX_EVENT_DEPTH)");
                    return Err(Refused { limit: Some(Limit::EventDepth), text });
                }
                tail
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                tail
            }
            b',' => {
                values += 1;
                tail
            }
            _ => tail,
        };
    }
    if values > MOST_VALUES {
        return Err(format!("the event's data has more than {MOST_VALUES} values").into());
    }
    Ok(())
}

/// What comes after a text whose opening quote has been read.
fn after_text(mut rest: &[u8]) -> Result<&[u8], String> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'u', a, b, c, d, tail @ ..] => match code_unit([*a, *b, *c, *d]) {
                Some(0xD800..=0xDBFF) => match tail {
                    [b'\\', b'u', a, b, c, d, tail @ ..]
                        if matches!(code_unit([*a, *b, *c, *d]), Some(0xDC00..=0xDFFF)) =>
                    {
                        tail
                    }
                    _ => return Err(lone_surrogate()),
                },
                Some(0xDC00..=0xDFFF) => return Err(lone_surrogate()),
                _ => tail,
            },
            [b'\\', _, tail @ ..] | [_, tail @ ..] => tail,
            [] => return Ok(rest),
        };
    }
}

fn code_unit(digits: [u8; 4]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
}

fn lone_surrogate() -> String {
    "the event's data has a text that is not Unicode: a `\\u` escape that is half of a pair".to_owned()
}

/// What comes after the number that `rest` begins with. Only one with an exponent, or of some hundred digits, can be
/// too large.
fn after_number(rest: &[u8]) -> Result<&[u8], String> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let end = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    let (number, tail) = rest.split_at(end);
    let may_overflow = number.len() > 300 || number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let value = || std::str::from_utf8(number).ok()?.parse::<f64>().ok();
    if may_overflow && value().is_some_and(f64::is_infinite) {
        return Err("the event's data has a number that is too large".to_owned());
    }
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_passes_and_what_does_not_says_why() {
        let limits = Limits { max_event_depth: 2, max_event_bytes: 1 << 20, ..Limits::default() };
        assert_eq!(check(r#"{"a": ["[[[[", "\"]]", "\\"]}"#, &limits), Ok(()));
        assert_eq!(
            check(r#"["\ud83d\ude00", "\\ud83d", 1e308, -0.5E-999, 12345678901234567890]"#, &limits),
            Ok(())
        );
        for half in [r#"["\ud83d"]"#, r#""\ude00""#, r#""\ud83d\u0041""#, r#""\ud83dx""#] {
            assert!(check(half, &limits).is_err_and(|error| error.text.contains("half of a pair")), "{half}");
        }
        for large in ["1e999", "[-1e400]", &"9".repeat(400)] {
            assert!(check(large, &limits).is_err_and(|error| error.text.contains("too large")), "{large}");
        }
        let refused =
            |json: &str| check(json, &limits).map_err(|Refused { limit, text }| (limit, text)).unwrap_err();
        let (limit, text) = refused("[[[1]]]");
        assert_eq!(limit, Some(Limit::EventDepth));
        assert!(text.contains("deeper than 2 levels"), "{text}");
        let (limit, text) = refused(&" ".repeat((1 << 20) + 1));
        assert_eq!(limit, Some(Limit::EventBytes));
        assert!(text.contains("may have 1048576"), "{text}");
        let (limit, text) = refused(&format!("[{}1]", "1,".repeat(100_000)));
        assert_eq!(limit, None);
        assert!(text.contains("100000 values"), "{text}");
    }
}
