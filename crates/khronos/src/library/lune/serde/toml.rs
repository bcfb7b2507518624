//! TOML: a text as a value.
//!
//! Its parser bounds how deep brackets are inside each other, and how many parts a key has, each for itself. Together they
//! could be thousands of levels, which the stack has no room for. So what both come to is counted first, with the parser's
//! own idea of what a text is made of.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use crate::value::reader::{self, Types};
use crate::value::{KhronosValue, ValueLimits};

/// Levels of values inside each other, before they are values. What [`ValueLimits`] have to say comes later.
const DEEPEST: usize = 200;

pub(super) fn read(text: &str, limits: ValueLimits) -> Result<KhronosValue, String> {
    if deepest(text) > DEEPEST {
        return Err("it is nested too deep".to_owned());
    }
    let parser = toml::Deserializer::parse(text).map_err(|error| error.message().to_owned())?;
    reader::read(parser, limits, Types::Plain).map_err(|error| error.to_string())
}

/// How deep it could be: brackets, and the dots of the keys in front of them. A number has a dot, too.
fn deepest(text: &str) -> usize {
    let (mut open, mut outer, mut dots, mut deepest) = (Vec::new(), 0, 0, 0);
    let mut goes_on = false;
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::Whitespace | TokenKind::Comment => continue,
            TokenKind::Dot => dots += 1,
            TokenKind::LeftCurlyBracket | TokenKind::LeftSquareBracket => {
                open.push(dots + 1);
                outer += dots + 1;
                dots = 0;
            }
            TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket => {
                outer -= open.pop().unwrap_or(0);
                dots = 0;
            }
            TokenKind::Comma => dots = 0,
            TokenKind::Newline if !goes_on => dots = 0,
            _ => {}
        }
        // Whatever a parser makes of a line that ends there.
        goes_on = matches!(token.kind(), TokenKind::Dot | TokenKind::Equals | TokenKind::Newline) && dots > 0;
        deepest = deepest.max(outer + dots);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_brackets_are_counted_together() {
        for (text, want) in [
            ("a = 1", 0),
            ("a.b.c = 1\nd.e = 2", 2),
            ("[a.b]\nc.d = [{x.y = 1}, {z = 2.5}]", 4),
            ("a = '{{{{' # {{{{\nb = \"\"\"\n[[[\"\"\"\"\"", 0),
            ("a.b =\n{ c.d = 1 }", 3),
        ] {
            assert_eq!(deepest(text), want, "{text}");
        }
        let inside = (0..70).fold("1".to_owned(), |inner, _| format!("{{{}a = {inner}}}", "a.".repeat(70)));
        assert!(read(&format!("x = {inside}"), ValueLimits::default()).unwrap_err().contains("too deep"));
    }
}
