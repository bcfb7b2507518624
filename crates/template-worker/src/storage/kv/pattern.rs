//! `KeyPattern`: which keys are looked for.
//!
//! Owns the matching, in time that grows with the length of key and pattern alone: a template chooses both.

use super::KvError;

/// Most `%` of a pattern.
pub const MOST_WILDCARDS: usize = 16;

/// A key with `%` for any text, the empty one included. Upper and lower case are the same; nothing else is special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    /// The texts between the wildcards, in lower case: one more than there are wildcards.
    parts: Vec<String>,
}

impl KeyPattern {
    /// Every key.
    pub fn any() -> Self {
        Self { parts: vec![String::new(); 2] }
    }

    /// The pattern in `text`, which has at most `most_bytes`.
    ///
    /// # Errors
    /// Where it is longer, or has too many wildcards.
    pub fn new(text: &str, most_bytes: usize) -> Result<Self, KvError> {
        let wildcards = text.bytes().filter(|byte| *byte == b'%').count();
        if text.len() > most_bytes {
            return Err(KvError::PatternTooLong { bytes: text.len(), limit: most_bytes });
        }
        if wildcards > MOST_WILDCARDS {
            return Err(KvError::TooManyWildcards { count: wildcards });
        }
        Ok(Self { parts: text.to_lowercase().split('%').map(str::to_owned).collect() })
    }

    /// Whether `key` fits.
    pub fn fits(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|only| *only == key);
        };
        let Some(mut rest) = key.strip_prefix(first.as_str()) else { return false };
        // The first place where a part is found leaves the most for those after it.
        for part in middle {
            match rest.split_once(part.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, key: &str) -> bool {
        KeyPattern::new(pattern, 512).unwrap().fits(key)
    }

    #[test]
    fn a_percent_sign_stands_for_any_text_and_nothing_else_is_special() {
        for (pattern, key) in [
            ("%", ""),
            ("%%", "anything"),
            ("user:%", "user:1"),
            ("user:%", "USER:"),
            ("%:last", "a:b:LAST"),
            ("a%b%c", "a-b-b-c"),
            ("ab%ba", "abba"),
            ("Ärger%", "ÄRGER"),
            ("plain", "Plain"),
            ("", ""),
            ("100.%", "100.5"),
            ("a_b", "A_B"),
        ] {
            assert!(fits(pattern, key), "{pattern} must fit {key}");
        }
        for (pattern, key) in [
            ("user:%", "xuser:1"),
            ("ab%ba", "aba"),
            ("%a", "ab"),
            ("plain", "plain "),
            ("", "x"),
            ("a_b", "axb"),
            ("a.b", "axb"),
            ("a%b%b", "ab"),
            ("x%", ""),
        ] {
            assert!(!fits(pattern, key), "{pattern} must not fit {key}");
        }
        assert!(KeyPattern::any().fits("") && KeyPattern::any().fits("x%\0"));
    }

    /// The same, as one would say it: try every length that a wildcard can stand for.
    fn fits_slowly(pattern: &[char], key: &[char]) -> bool {
        match pattern {
            [] => key.is_empty(),
            ['%', rest @ ..] => (0..=key.len()).any(|skipped| fits_slowly(rest, &key[skipped..])),
            [first, rest @ ..] => key.first() == Some(first) && fits_slowly(rest, &key[1..]),
        }
    }

    proptest::proptest! {
        #[test]
        fn it_fits_what_trying_everything_fits(pattern in "[ab%]{0,8}", key in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(fits(&pattern, &key), fits_slowly(&chars(&pattern), &chars(&key)));
        }
    }

    #[test]
    fn a_pattern_is_short_and_has_few_wildcards() {
        assert!(matches!(KeyPattern::new("abc", 2), Err(KvError::PatternTooLong { bytes: 3, limit: 2 })));
        let most = "%".repeat(MOST_WILDCARDS);
        assert!(KeyPattern::new(&most, 512).is_ok());
        assert!(matches!(
            KeyPattern::new(&format!("{most}%"), 512),
            Err(KvError::TooManyWildcards { count: 17 })
        ));
    }
}
