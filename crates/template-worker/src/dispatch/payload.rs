//! Whether an event's data fits the limits, before anybody accepts it. One pass over the text, nothing allocated.

use crate::limits::Limits;

/// Values in one event. The runtime refuses more as well; here the caller still hears of it.
const MOST_VALUES: usize = 100_000;

/// Says no to JSON text that is too long, too deep or has too many values. It has been found to be JSON before.
pub(super) fn check(json: &str, limits: &Limits) -> Result<(), String> {
    if json.len() > limits.max_event_bytes {
        return Err(format!(
            "the event's data has {} bytes, and may have {}",
            json.len(),
            limits.max_event_bytes
        ));
    }
    let (mut depth, mut values) = (0_usize, 1_usize);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            b'[' | b'{' => {
                depth += 1;
                values += 1;
                if depth > limits.max_event_depth {
                    return Err(format!(
                        "the event's data is nested deeper than {} levels",
                        limits.max_event_depth
                    ));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
    }
    if values > MOST_VALUES {
        return Err(format!("the event's data has more than {MOST_VALUES} values"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let limits = Limits { max_event_depth: 2, max_event_bytes: 1 << 20, ..Limits::default() };
        assert_eq!(check(r#"{"a": ["[[[[", "\"]]", "\\"]}"#, &limits), Ok(()));
        assert!(check("[[[1]]]", &limits).unwrap_err().contains("deeper than 2 levels"));
        assert!(check(&" ".repeat((1 << 20) + 1), &limits).unwrap_err().contains("may have 1048576"));
        assert!(
            check(&format!("[{}1]", "1,".repeat(100_000)), &limits).unwrap_err().contains("100000 values")
        );
    }
}
