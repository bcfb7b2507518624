//! The nearest known name for one that isn't known, so that an error about a typo can show the way out.
//!
//! Owns how near is near enough; the lists of names belong to those who know them.

/// Longer texts are compared by their beginning: nobody mistypes 80 letters, and input may be hostile.
const LONGEST: usize = 80;

/// The one of `known` that `wanted` was most likely meant to be; `None` where all of them are far off.
pub(crate) fn nearest<T: AsRef<str>>(wanted: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    let wanted: String = wanted.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let near_enough = (wanted.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.as_ref().to_lowercase()), name))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The end of an error text: `; did you mean ..?`, or nothing.
pub(crate) fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_nothing() {
        let known = ["MESSAGE_CREATE", "MESSAGE_UPDATE", "KeyExpiry"];
        assert_eq!(nearest("MESAGE_CREATE", known), Some("MESSAGE_CREATE"));
        assert_eq!(nearest("message_create", known), Some("MESSAGE_CREATE"));
        assert_eq!(nearest("KeyExpire", known), Some("KeyExpiry"));
        assert_eq!(nearest("bananas", known), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None);
    }
}
