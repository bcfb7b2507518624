//! How much work a regular expression makes of each byte of a text, at the most.
//!
//! A search follows all places of the expression at a time where it could be, so it takes no more than the number of places
//! times that of the bytes. The size of the program would say less: a class of Unicode is a large program, and one place.

use regex_syntax::hir::{Hir, HirKind};

/// A class beyond ASCII has more to look through.
const LARGE_CLASS: usize = 3;

/// The number of places, with what is remembered for the groups at each of them.
pub(super) fn of(expression: &Hir) -> usize {
    let groups = expression.properties().explicit_captures_len();
    places(expression).saturating_mul(4 + groups) / 4
}

/// The parser bounds how deep an expression is.
fn places(expression: &Hir) -> usize {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(class) if class.maximum_len().is_none_or(|bytes| bytes <= 1) => 1,
        HirKind::Class(_) => LARGE_CLASS,
        HirKind::Capture(capture) => places(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(repetition.min).max(1);
            (places(&repetition.sub) + 1).saturating_mul(usize::try_from(times).unwrap_or(usize::MAX))
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum: usize, part| sum.saturating_add(places(part)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_multiplies() {
        for (pattern, want) in [
            ("abc", 3),
            ("a|b", 1),
            ("[a-z]+", 2),
            ("a{10}", 20),
            ("(?:a{10}){10}", 210),
            (r"\w*", 4),
            ("(a)", 3),
            ("(a)b", 6),
        ] {
            assert_eq!(of(&regex_syntax::parse(pattern).unwrap()), want, "{pattern}");
        }
    }
}
