//! The names in a type, as Luau writes it.

/// Types that Luau brings along.
#[cfg(test)]
const OWN: [&str; 10] =
    ["any", "string", "number", "boolean", "nil", "thread", "buffer", "vector", "unknown", "never"];

/// The types that `text` mentions, apart from Luau's own.
#[cfg(test)]
pub(super) fn mentioned(text: &str) -> impl Iterator<Item = &str> {
    words(text).filter(|(_, word, is_label)| !is_label && !OWN.contains(word)).map(|(_, word, _)| word)
}

/// `text` with other names for the types that `rename` has one for.
pub(super) fn renamed(text: &str, rename: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut done = 0;
    for (at, word, is_label) in words(text) {
        if let Some(name) = rename(word).filter(|_| !is_label) {
            out.push_str(&text[done..at]);
            out.push_str(&name);
            done = at + word.len();
        }
    }
    out.push_str(&text[done..]);
    out
}

/// The words outside of quotes: where, which, and whether it names a field or parameter.
fn words(text: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let first = rest.chars().next()?;
            if first == '"' || first == '\'' {
                at += 1 + rest[1..].find(first).map_or(rest.len() - 1, |end| end + 1);
            } else if is_word(first) {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (start, word) = (at, &rest[..end]);
                at += end;
                if !first.is_ascii_digit() {
                    let after = text[at..].trim_start();
                    return Some((start, word, after.starts_with(':') && !after.starts_with("::")));
                }
            } else {
                at += first.len_utf8();
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        mentioned(text).collect()
    }

    #[test]
    fn types_are_told_from_labels_texts_and_what_luau_has_itself() {
        assert_eq!(found("{string}?"), [""; 0]);
        assert_eq!(found("{ data: {DiscordMessage}, limit: number? }"), ["DiscordMessage"]);
        assert_eq!(found("(DateTime | \"After\" | 'x y', ...any) -> (A, B?)"), ["DateTime", "A", "B"]);
        assert_eq!(found("\"open"), [""; 0]);
    }

    #[test]
    fn only_types_are_renamed() {
        let renamed = renamed("{ DateTime: DateTime, x: \"DateTime\" } -> DateTimes", |name| {
            (name == "DateTime").then(|| "LuneDateTime".to_owned())
        });
        assert_eq!(renamed, "{ DateTime: LuneDateTime, x: \"DateTime\" } -> DateTimes");
    }
}
