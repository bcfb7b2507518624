//! Where the next page of a list begins, as a text that is given out and comes back.
//!
//! Owns how a cursor looks, and that a text of somebody's own is none. What a place is, is the list's business.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a cursor, at most: a place is no more than a key of a record and its scopes, of which JSON may make six times as
/// much.
const MOST_BYTES: usize = 64 << 10;

/// The cursor of a place. It looks like nothing in particular, so that nobody builds their own.
pub fn of(place: &(impl Serialize + ?Sized)) -> String {
    // Places are texts and numbers, which are always JSON.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// The place that a cursor stands for, if it stands for one.
pub fn place<P: DeserializeOwned>(cursor: &str) -> Option<P> {
    if cursor.len() > MOST_BYTES {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stands_for_its_place_and_nothing_else_for_one() {
        for wanted in [(0, 0), (-1, i64::MAX)] {
            assert_eq!(place::<(i64, i64)>(&of(&wanted)), Some(wanted));
        }
        let long = of("x".repeat(MOST_BYTES).as_str());
        assert_eq!(place::<String>(&long), None);
        for wrong in ["", "x", "####", &of("a text"), &long] {
            assert_eq!(place::<(i64, i64)>(wrong), None, "{wrong}");
        }
    }
}
