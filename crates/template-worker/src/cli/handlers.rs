//! Finds handlers in `init.luau` that no event will ever reach, as far as the source shows it.
//!
//! Owns what can be said of a table that is written where the file returns it. What is put together elsewhere only shows when
//! it runs.

use std::str::FromStr;

use khronos::ENTRY;

use crate::events::{BaseName, EventFilter, EventName};

use super::folder::Problem;
use super::requires::{Token, tokens};

const FORMS: &str = "return a function, or a table such as {MESSAGE_CREATE = function(event, ctx) .. end}, or act on `...` itself";

/// What is wrong with what the file in `source` returns, for a template that listens to `events`.
pub(super) fn problems(source: &str, events: &[EventFilter]) -> Vec<Problem> {
    let tokens = tokens(source);
    let problem = |line, message: String| Problem::new(ENTRY, line, message);
    match tokens.as_slice() {
        [] => return vec![problem(1, format!("it holds no code: {FORMS}"))],
        [(_, Token::Name("return"))] => {
            return vec![problem(1, format!("it returns nothing and does nothing: {FORMS}"))];
        }
        [(line, Token::Name("return")), (_, value)] if is_plain(value) => {
            return vec![problem(
                *line,
                format!("it returns the same for every event and does nothing: {FORMS}"),
            )];
        }
        _ => {}
    }
    let entries = returned_table(&tokens).map(entries).unwrap_or_default();
    let found = entries.iter().filter_map(|entry| {
        let name = entry.name;
        let message = match EventName::from_str(name) {
            Ok(known) if !events.is_empty() && !events.iter().any(|filter| filter.may_match(&known)) => {
                format!("there is a handler for `{name}`, which is not among the `events` in template.toml: it is never called")
            }
            Ok(_) if entry.is_plain => {
                format!("the handler for `{name}` is no function: write {name} = function(event, ctx) .. end")
            }
            Err(error) if BaseName::ALL.iter().all(|base| base.as_str() != name) && looks_like_an_event(name) => {
                error.to_string()
            }
            _ => return None,
        };
        Some(problem(entry.line, message))
    });
    found.collect()
}

/// An entry of a table, written `name = ..`.
struct Entry<'s> {
    line: u32,
    name: &'s str,
    /// Whether a number or a text stands behind it.
    is_plain: bool,
}

/// What stands between the braces of a `return {..}` that ends the file.
fn returned_table<'a, 's>(tokens: &'a [(u32, Token<'s>)]) -> Option<&'a [(u32, Token<'s>)]> {
    let at = tokens.iter().rposition(|(_, token)| *token == Token::Name("return"));
    // Functions in the table return, too: the right one is the one whose brace closes at the end of the file.
    let mut candidates: Vec<usize> = at.into_iter().collect();
    candidates.extend(tokens.windows(2).enumerate().filter_map(|(at, pair)| {
        let begins = pair[0].1 == Token::Name("return") && pair[1].1 == Token::Symbol(b'{');
        begins.then_some(at)
    }));
    candidates.into_iter().find_map(|at| {
        let inside = tokens.get(at + 2..)?;
        if tokens.get(at + 1)?.1 != Token::Symbol(b'{') {
            return None;
        }
        let mut depth = 1_usize;
        let end = inside.iter().position(|(_, token)| {
            match token {
                Token::Symbol(b'{') => depth += 1,
                Token::Symbol(b'}') => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        let is_last = matches!(inside.get(end + 1..)?, [] | [(_, Token::Symbol(b';'))]);
        is_last.then(|| inside.get(..end)).flatten()
    })
}

/// The entries of a table, without those of tables inside of it.
fn entries<'s>(table: &[(u32, Token<'s>)]) -> Vec<Entry<'s>> {
    let (mut found, mut depth, mut begins) = (Vec::new(), 0_usize, true);
    for (at, (line, token)) in table.iter().enumerate() {
        match token {
            Token::Symbol(b'{' | b'(' | b'[') => depth += 1,
            Token::Symbol(b'}' | b')' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let next = |more: usize| table.get(at + more).map(|(_, token)| token);
        if let Token::Name(name) = token
            && begins
            && depth == 0
            && next(1) == Some(&Token::Symbol(b'='))
            && next(2) != Some(&Token::Symbol(b'='))
        {
            let is_alone = matches!(next(3), None | Some(Token::Symbol(b',' | b';')));
            let is_plain = is_alone && next(2).is_some_and(is_plain);
            found.push(Entry { line: *line, name, is_plain });
        }
        begins = *token == Token::Symbol(b',');
    }
    found
}

/// Whether it is a number or a text as it stands, or one of `true`, `false` and `nil`.
fn is_plain(token: &Token<'_>) -> bool {
    match token {
        Token::Text(_) => true,
        Token::Name(name) => {
            matches!(*name, "true" | "false" | "nil")
                || name.starts_with(|first: char| first.is_ascii_digit())
        }
        Token::Member | Token::Symbol(_) => false,
    }
}

/// Other names may be fields of a value that the file returns, or variables.
fn looks_like_an_event(name: &str) -> bool {
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let has_form = name.len() > 3 && name.contains('_') && name.bytes().all(upper);
    has_form || EventName::from_str(name).is_err_and(|error| error.suggestion().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let events: Vec<EventFilter> =
            ["MESSAGE_CREATE", "KeyExpiry[a]", "Custom"].map(|text| text.parse().unwrap()).into();
        problems(source, &events).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_handler_that_no_event_reaches_is_found_with_its_line() {
        for (source, wanted) in [
            ("return {MESSAGE_CRATE = f}", "init.luau:1: `MESSAGE_CRATE` is not an event"),
            ("return {MESSAGE_CRATE = f}", "did you mean `MESSAGE_CREATE`?"),
            (
                "local x = 1\nreturn {\n  MESSAGE_DELETE = f,\n}",
                "init.luau:3: there is a handler for `MESSAGE_DELETE`",
            ),
            ("return {MESSAGE_CREATE = 5}", "is no function"),
            ("return {A = {1, 2}, MESSAGE_CREATE = \"x\"};", "is no function"),
            ("", "it holds no code"),
            ("-- nothing", "it holds no code"),
            ("return", "returns nothing"),
            ("return 1", "returns the same for every event"),
        ] {
            let found = found(source);
            assert!(found.len() == 1 && found[0].contains(wanted), "{source:?} gave {found:?}");
        }
    }

    #[test]
    fn what_only_shows_when_it_runs_is_left_alone() {
        for source in [
            "local event, ctx = ... return {id = 1, MESSAGE = event}",
            "return {MESSAGE_CREATE = function(event) return {MESAGE_CREATE = 1} end, KeyExpiry = f, WebHook = f, [\"x\"] = 1}",
            "return {[\"*\"] = f, MESSAGE_CREATE = require(\"./a\")}",
            "return {MESSAGE_CREATE = 5 + g()}",
            "return f({MESSAGE_DELETE = 1})",
            "local function f() return {MESSAGE_DELETE = 1} end return f",
            "local f = 1 return f",
            "print(1)",
            "return {",
        ] {
            assert_eq!(found(source), [""; 0], "{source}");
        }
    }
}
