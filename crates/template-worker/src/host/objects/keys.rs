//! What an object may be called.
//!
//! Owns the rule. A key is a name and never becomes a path: contents lie under names of our own, so that nothing that a
//! template writes can lead anywhere. The rule keeps out what people would take for a path, or could not tell apart.

use super::ObjectsError;

/// Most bytes of a key.
pub const MOST_KEY_BYTES: usize = 2048;

/// Whether an object may be called this.
pub(super) fn check(key: &str) -> Result<(), ObjectsError> {
    let refused = |why| {
        let shown = key.chars().filter(|c| !c.is_control()).take(80).collect();
        Err(ObjectsError::Key { key: shown, why })
    };
    if key.is_empty() || key.len() > MOST_KEY_BYTES {
        return refused("a key has 1 to 2,048 bytes");
    }
    if key.chars().any(|c| c.is_control() || is_invisible(c)) {
        return refused("a key has no control characters, and none that nobody sees");
    }
    if key.contains('\\') {
        return refused("use `/` between the parts of a key");
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refused("no part of a key is empty, `.` or `..`, and no `/` stands at its beginning or end");
    }
    Ok(())
}

/// Characters that change how a text looks, or the order in which it is read, and are not seen themselves.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || ('\u{fff0}'..='\u{ffff}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_name() {
        let long = "k".repeat(MOST_KEY_BYTES);
        for fine in [
            "a",
            "a/b/c.png",
            "A",
            "Ünïcode 文字 🎉",
            "..a",
            "a..",
            "a/...",
            "%2e%2e/x",
            "C:x",
            "a b",
            "-",
            "nul",
            &long,
        ] {
            assert!(check(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn what_could_be_taken_for_a_path_is_refused() {
        let long = "k".repeat(MOST_KEY_BYTES + 1);
        for wrong in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a/./b",
            "./a",
            "a\\b",
            "..\\a",
            "a\0b",
            "a\nb",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{200b}b",
            "a\u{202e}b",
            "\u{feff}a",
            "a\u{fffd}",
            &long,
        ] {
            let error = check(wrong).unwrap_err().to_string();
            assert!(error.len() < 400 && !error.contains('\n'), "{error}");
        }
    }
}
