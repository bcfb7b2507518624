//! A Rust file taken apart into code and comments, so that a rule about one is not misled by the other.
//!
//! Owns just enough of Rust's lexical grammar for that: comments, strings and characters. It is no parser; the
//! rules search for words in a layer, and a word in a string or a doc comment is not a word in the code.

use std::iter;

/// The layers of one file. Each has the lines of the whole file; what belongs to another layer is blank there.
pub(super) struct Layers {
    /// Code without comments, and without what is between quotes.
    pub(super) code: String,
    /// Comments of every kind, docs among them.
    pub(super) comments: String,
    /// The code that ships: without the items under `#[cfg(test)]`.
    pub(super) shipped: String,
}

impl Layers {
    /// Takes `text` apart.
    pub(super) fn of(text: &str) -> Self {
        let mut scanner = Scanner { rest: text, code: String::new(), comments: String::new() };
        while !scanner.rest.is_empty() {
            scanner.step();
        }
        let shipped = without_tests(&scanner.code);
        Self { code: scanner.code, comments: scanner.comments, shipped }
    }
}

/// The numbers of the lines of `layer` where `needle` stands as a whole word or path.
pub(super) fn lines_with<'a>(layer: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    layer
        .lines()
        .enumerate()
        .filter(move |(_, line)| positions(line, needle).next().is_some())
        .map(|(index, _)| index + 1)
}

/// Where `needle` starts in `layer`, each time it stands as a whole word or path.
pub(super) fn positions<'a>(layer: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    layer.match_indices(needle).map(|(start, _)| start).filter(move |&start| {
        let before = layer[..start].chars().next_back();
        let after = layer[start + needle.len()..].chars().next();
        let open = |outer: Option<char>, inner: Option<char>| {
            outer.is_some_and(in_word) && inner.is_some_and(in_word)
        };
        !open(before, needle.chars().next()) && !open(after, needle.chars().next_back())
    })
}

/// The number of the line in which the byte `at` of `layer` lies.
pub(super) fn line_at(layer: &str, at: usize) -> usize {
    layer[..at].matches('\n').count() + 1
}

/// Where the block ends that starts at the beginning of `code`: after its closing brace, or after the `;` of an
/// item without a block.
pub(super) fn block_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// `text` with everything but its line ends blanked.
pub(super) fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shipped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let length = MARK.len() + block_length(&rest[at + MARK.len()..]);
        shipped.push_str(&rest[..at]);
        shipped.push_str(&blank(&rest[at..at + length]));
        rest = &rest[at + length..];
    }
    shipped.push_str(rest);
    shipped
}

struct Scanner<'a> {
    rest: &'a str,
    code: String,
    comments: String,
}

impl Scanner<'_> {
    /// Takes the next piece: a comment, a string, a character, a word, or one sign.
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.comment(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.comment(block_comment_length(rest));
        } else if let Some(length) = raw_string_length(rest) {
            self.literal(length);
        } else if rest.starts_with('"') {
            self.literal(quoted_length(rest, '"'));
        } else if let Some(length) = character_length(rest) {
            self.literal(length);
        } else {
            // A whole word at once, so that the `r` at the end of a name doesn't open a raw string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let sign = rest.chars().next().map_or(0, char::len_utf8);
            self.take(word.max(sign), |code, _, piece| code.push_str(piece));
        }
    }

    fn comment(&mut self, length: usize) {
        self.take(length, |code, comments, piece| {
            code.push_str(&blank(piece));
            comments.push_str(piece);
        });
    }

    fn literal(&mut self, length: usize) {
        self.take(length, |code, _, piece| code.push_str(&blank(piece)));
    }

    /// Moves on by `length` bytes, and keeps the layers in step line by line.
    fn take(&mut self, length: usize, put: impl FnOnce(&mut String, &mut String, &str)) {
        let (piece, rest) = self.rest.split_at(length);
        let before = self.comments.len();
        put(&mut self.code, &mut self.comments, piece);
        if self.comments.len() == before {
            self.comments.push_str(&blank(piece));
        }
        self.rest = rest;
    }
}

/// The length of a block comment, with the ones nested in it.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = text[at..].find(['/', '*']).map(|offset| at + offset) {
        let (step, change) = match &text.as_bytes()[found..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        depth = depth.saturating_add_signed(change);
        at = found + step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of `r"..."`, `r#"..."#` and their `b` and `c` forms, if `text` starts with one.
fn raw_string_length(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = text[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
    let body = prefix.len() + hashes + 1;
    let close: String = iter::once('"').chain(iter::repeat_n('#', hashes)).collect();
    Some(text[body..].find(&close).map_or(text.len(), |end| body + end + close.len()))
}

/// The length of a literal that opens and closes with `quote` and escapes with a backslash.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal, if `text` starts with one and not with a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    let is_literal = first == '\\' || body[first.len_utf8()..].starts_with('\'');
    is_literal.then(|| quoted_length(text, '\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        let layers = Layers::of(
            "let a = \"one // two\"; // three\nlet b = r#\"four \" five\"#; /* six /* seven */ */ b",
        );
        for absent in ["one", "two", "three", "four", "five", "six", "seven"] {
            assert!(!layers.code.contains(absent), "{absent} in {:?}", layers.code);
        }
        assert!(layers.code.ends_with(" b"), "{:?}", layers.code);
        assert!(layers.comments.contains("three") && layers.comments.contains("seven"));
        assert!(!layers.comments.contains("two"), "{:?}", layers.comments);
    }

    #[test]
    fn characters_are_no_quotes_and_lifetimes_no_characters() {
        let layers = Layers::of("fn f<'a>(x: &'a str) { g('\"', '\\'', '{'); h::<'static>() }");
        assert!(layers.code.contains("h::<'static>() }"), "{:?}", layers.code);
        assert!(!layers.code.contains("'{'"), "{:?}", layers.code);
    }

    #[test]
    fn a_name_that_ends_in_r_opens_no_raw_string() {
        let layers = Layers::of("var\"text\" after");
        assert!(layers.code.starts_with("var ") && layers.code.ends_with(" after"), "{:?}", layers.code);
    }

    #[test]
    fn every_layer_has_the_lines_of_the_file() {
        let text = "//! ä\nfn f() {\n    \"two\n lines\";\n}\n/* a\n b */\n#[cfg(test)]\nmod tests {\n}\n";
        let layers = Layers::of(text);
        for layer in [&layers.code, &layers.comments, &layers.shipped] {
            assert_eq!(layer.matches('\n').count(), text.matches('\n').count(), "{layer:?}");
        }
    }

    #[test]
    fn test_items_do_not_ship_and_what_follows_them_does() {
        let text = "a;\n#[cfg(test)]\nuse x::{y, z};\nb;\n#[cfg(test)]\n#[path = \"q.rs\"]\nmod tests { fn t() { '}'; } }\nc;";
        let shipped = Layers::of(text).shipped;
        for (word, ships) in [("a;", true), ("b;", true), ("c;", true), ("y", false), ("tests", false)] {
            assert_eq!(shipped.contains(word), ships, "{word} in {shipped:?}");
        }
    }

    #[test]
    fn words_are_found_whole() {
        assert_eq!(lines_with("unsafe_code\nunsafe {", "unsafe").collect::<Vec<_>>(), [2]);
        assert_eq!(lines_with("std::env::vars()\nenv::var(x)", "env::var").collect::<Vec<_>>(), [2]);
    }
}
