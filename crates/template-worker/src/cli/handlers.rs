//! Finds handlers in `init.luau` that no event will ever reach, as far as the source shows it.
//!
//! Owns what can be said of a table that is written where the file returns it. What is put together elsewhere only shows when
//! it runs.

use std::collections::HashSet;
use std::str::FromStr;

use khronos::ENTRY;

use crate::events::{ALIASES, BaseName, EventFilter, EventName};

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
    let functions = functions(&tokens);
    let entries = returned_table(&tokens).and_then(|table| entries(table, &functions)).unwrap_or_default();
    let are_handlers = entries.iter().any(|entry| entry.is_function);
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    let found = entries.iter().filter(|entry| entry.name != "*").filter_map(|entry| {
        let name = entry.name;
        let message = match EventName::from_str(name) {
            Ok(known) if !events.is_empty() && !events.iter().any(|filter| filter.may_match(&known)) => {
                format!("there is a handler for `{name}`, which is not among the `events` in template.toml: it is never called")
            }
            Ok(known) if known.as_str() != name && has(known.as_str()) => {
                format!("the handler for `{name}` is never called: there is one for `{known}`, which is the same event")
            }
            Ok(_) if entry.is_plain => {
                format!("the handler for `{name}` is no function: write {name} = function(event, ctx) .. end")
            }
            Ok(_) => return None,
            Err(error) => no_event(name, are_handlers)
                .or_else(|| (are_handlers || looks_like_an_event(name)).then(|| error.to_string()))?,
        };
        Some(problem(entry.line, message))
    });
    found.collect()
}

/// What is wrong with a key that may stand among `events`, and is the name of no event.
fn no_event(key: &str, is_handler: bool) -> Option<String> {
    if let Some((name, _)) = key.split_once('[')
        && (is_handler || EventName::from_str(name).is_ok())
    {
        return Some(format!(
            "no event is called `{key}`: scopes belong into the `events` in template.toml, and the key is `{name}`"
        ));
    }
    let is_base = is_handler && BaseName::ALL.iter().any(|base| base.as_str() == key);
    is_base.then(|| {
        format!("no event is called `{key}`: for all that have no handler of their own, write [\"*\"] = function(event, ctx) .. end")
    })
}

/// Where the file in `source` asks whether an event has a name that none has any more.
pub(super) fn old_names(path: &str, source: &str) -> Vec<Problem> {
    use Token::{Member, Name, Symbol, Text};
    let tokens = tokens(source);
    let found = tokens.windows(6).filter_map(|six| {
        let [(line, a), (_, b), (_, c), (_, d), (_, e), (_, f)] = six else { return None };
        let old = match [a, b, c, d, e, f] {
            [Name("event"), Member, Name("name"), Symbol(b'=' | b'~'), Symbol(b'='), Text(old)]
            | [Text(old), Symbol(b'=' | b'~'), Symbol(b'='), Name("event"), Member, Name("name")] => old,
            _ => return None,
        };
        let (_, new) = ALIASES.iter().find(|(known, _)| known == old)?;
        let message = format!("no event has the name \"{old}\" any more: compare with \"{new}\"");
        Some(Problem::new(path, *line, message))
    });
    found.collect()
}

/// An entry of a table, written `name = ..` or `["name"] = ..`.
struct Entry<'s> {
    line: u32,
    name: &'s str,
    /// Whether a number or a text stands behind it.
    is_plain: bool,
    /// Whether it is a function for certain.
    is_function: bool,
}

/// What the source calls a function.
fn functions<'s>(tokens: &[(u32, Token<'s>)]) -> HashSet<&'s str> {
    let named = tokens.windows(3).filter_map(|three| match three {
        [(_, Token::Name("function")), (_, Token::Name(name)), _]
        | [(_, Token::Name(name)), (_, Token::Symbol(b'=')), (_, Token::Name("function"))] => Some(*name),
        _ => None,
    });
    named.collect()
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

/// The entries of a table, without those of tables inside of it; nothing where it isn't clear which those are.
fn entries<'s>(table: &[(u32, Token<'s>)], functions: &HashSet<&str>) -> Option<Vec<Entry<'s>>> {
    let (mut found, mut inside, mut begins) = (Vec::new(), Inside::default(), true);
    for (at, (line, token)) in table.iter().enumerate() {
        let next = |more: usize| table.get(at + more).map(|(_, token)| token);
        let key = match (token, next(1), next(2), next(3)) {
            (Token::Name(name), ..) => Some((*name, 1)),
            (Token::Symbol(b'['), Some(Token::Text(name)), Some(Token::Symbol(b']')), _) => Some((*name, 3)),
            _ => None,
        };
        if let Some((name, equals)) = key
            && begins
            && inside.is_empty()
            && next(equals) == Some(&Token::Symbol(b'='))
            && next(equals + 1) != Some(&Token::Symbol(b'='))
        {
            let is_alone = matches!(next(equals + 2), None | Some(Token::Symbol(b',' | b';')));
            let value = next(equals + 1);
            let is_function = match value {
                Some(Token::Name("function")) => true,
                Some(Token::Name(name)) => is_alone && functions.contains(name),
                _ => false,
            };
            let is_plain = is_alone && value.is_some_and(is_plain);
            found.push(Entry { line: *line, name, is_plain, is_function });
        }
        inside.pass(*token)?;
        begins = matches!(token, Token::Symbol(b',' | b';'));
    }
    inside.is_empty().then_some(found)
}

/// What is open where one reads.
#[derive(Default)]
struct Inside<'s> {
    open: Vec<Open>,
    before: Option<Token<'s>>,
    /// Whether the last `else` was that of an expression.
    else_of_a_choice: bool,
}

#[derive(PartialEq, Eq)]
enum Open {
    /// Up to this bracket.
    Bracket(u8),
    /// Up to `end`.
    Block,
    /// Up to `until`.
    Repeat,
    /// An `if` that is an expression: up to its `else`, since it has no `end`.
    Choice,
}

impl<'s> Inside<'s> {
    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Nothing where it is not clear what the token means, or where it has no business.
    fn pass(&mut self, token: Token<'s>) -> Option<()> {
        match token {
            Token::Symbol(b'{') => self.open.push(Open::Bracket(b'}')),
            Token::Symbol(b'(') => self.open.push(Open::Bracket(b')')),
            Token::Symbol(b'[') => self.open.push(Open::Bracket(b']')),
            Token::Symbol(close @ (b'}' | b')' | b']')) => self.close(&Open::Bracket(close))?,
            Token::Name("function" | "do") => self.open.push(Open::Block),
            Token::Name("end") => self.close(&Open::Block)?,
            Token::Name("repeat") => self.open.push(Open::Repeat),
            Token::Name("until") => self.close(&Open::Repeat)?,
            Token::Name("if") => {
                let open = if self.is_a_statement()? { Open::Block } else { Open::Choice };
                self.open.push(open);
            }
            Token::Name("else") => {
                self.else_of_a_choice = self.open.last() == Some(&Open::Choice);
                if self.else_of_a_choice {
                    self.close(&Open::Choice)?;
                }
            }
            _ => {}
        }
        self.before = Some(token);
        Some(())
    }

    fn close(&mut self, open: &Open) -> Option<()> {
        (self.open.pop()? == *open).then_some(())
    }

    /// Whether an `if` that comes now begins a statement, by what stands before it.
    fn is_a_statement(&self) -> Option<bool> {
        match self.before? {
            Token::Name("then") => Some(self.open.last() == Some(&Open::Block)),
            Token::Name("else") => Some(!self.else_of_a_choice),
            Token::Name("return" | "and" | "or" | "not" | "in" | "if" | "elseif" | "while" | "until") => {
                Some(false)
            }
            // It opens a text of which it does not show whether something is put in.
            Token::Symbol(b'`') => None,
            Token::Symbol(byte) => Some(matches!(byte, b')' | b']' | b'}' | b';' | b'?' | b'>' | b'"')),
            Token::Name(_) | Token::Text(_) | Token::Member => Some(true),
        }
    }
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
            ("return {Nope = function() end}", "init.luau:1: `Nope` is not an event"),
            (
                "local function f() end\nreturn {\n  WebHook = f, Nope = f }",
                "init.luau:3: `Nope` is not an event",
            ),
            ("local f = function() end return {Nope = f}", "`Nope` is not an event"),
            ("return {WebHook = function() end; x = 5}", "`x` is not an event"),
            (
                "return {[\"KeyExpiry[a]\"] = f}",
                "scopes belong into the `events` in template.toml, and the key is `KeyExpiry`",
            ),
            ("return {[\"Web Hook\"] = function() end}", "`Web Hook` is not an event"),
            ("return {Discord = function() end}", "write [\"*\"] = function(event, ctx) .. end"),
            ("return {MESSAGE = f, MESSAGE_CREATE = f}", "the handler for `MESSAGE` is never called"),
            (
                "return {WebHook = function(a) if a then if b then b, c = 1, 2 else if d then e, g = 1, 2 end end end \
                 local x = if a then 1 else if b then 2 else 3; y = 1 repeat x, y = 1, 2 until if x then y else z \
                 for _, v in next, {} do v, w = 1, 2 end return if x then y elseif b then c else d end, Nope = f}",
                "`Nope` is not an event",
            ),
        ] {
            let found = found(source);
            assert!(found.len() == 1 && found[0].contains(wanted), "{source:?} gave {found:?}");
        }
    }

    #[test]
    fn a_comparison_with_an_old_name_is_found_with_its_line() {
        let source = "if event.name == 'MESSAGE' then end\nif \"MESSAGE\" ~= event.name then end\n\
                      if event.name == 'MESSAGE_CREATE' or channel.name == 'MESSAGE' or event.name == MESSAGE then end";
        let found: Vec<String> = old_names("lib/a.luau", source).iter().map(ToString::to_string).collect();
        let text = "no event has the name \"MESSAGE\" any more: compare with \"MESSAGE_CREATE\"";
        assert_eq!(found, [format!("lib/a.luau:1: {text}"), format!("lib/a.luau:2: {text}")]);
    }

    #[test]
    fn what_only_shows_when_it_runs_is_left_alone() {
        for source in [
            "local event, ctx = ... return {id = 1, MESSAGE = event}",
            "return {MESSAGE_CREATE = function(event) return {MESAGE_CREATE = 1} end, KeyExpiry = f, WebHook = f}",
            "return {MESSAGE = function(event) local a, b = 1, 2 end, KeyExpiry = f}",
            "return {WebHook = function() local a = `x` if a then b, c = 1, 2 end end, Nope = f}",
            "return {id = 1, [\"x\"] = 2}",
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
