//! Finds `require("..")` in a source, so that `check` can say which of them lead nowhere before anything runs.
//!
//! Owns as much of Luau's lexis as that needs: comments, strings, interpolated strings, names. What a request means is
//! `khronos`' business. A request that isn't one literal string is left alone: only running it shows what it is.

/// A `require` of a literal string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Require<'s> {
    /// Where the string stands, counted from 1.
    pub(super) line: u32,
    /// What is required.
    pub(super) request: &'s str,
}

/// What a source is made of, each with its line.
pub(super) fn tokens(source: &str) -> Vec<(u32, Token<'_>)> {
    Lexer { source, at: 0, line: 1, braces: Vec::new() }.collect()
}

/// All of them, in the order of the source, which need not compile.
pub(super) fn requires(source: &str) -> Vec<Require<'_>> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (index, (_, token)) in tokens.iter().enumerate() {
        let after_a_dot =
            index > 0 && tokens.get(index - 1).is_some_and(|(_, token)| *token == Token::Member);
        if *token != Token::Name("require") || after_a_dot {
            continue;
        }
        match tokens.get(index + 1..).unwrap_or_default() {
            [(_, Token::Symbol(b'(')), (line, Token::Text(request)), (_, Token::Symbol(b')')), ..]
            | [(line, Token::Text(request)), ..] => found.push(Require { line: *line, request }),
            _ => {}
        }
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    /// A name or keyword.
    Name(&'s str),
    /// A string whose text stands in the source as it is.
    Text(&'s str),
    /// One `.` or `:`, after which a name is that of a member.
    Member,
    /// Any other byte.
    Symbol(u8),
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// The braces that are open; `true` for those inside an interpolated string, which goes on where they close.
    braces: Vec<bool>,
}

impl<'s> Iterator for Lexer<'s> {
    type Item = (u32, Token<'s>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.skip_blanks_and_comments();
            let line = self.line;
            let token = match self.peek(0)? {
                b'"' | b'\'' => self.quoted(),
                b'[' if self.long_bracket(0).is_some() => self.long_string(),
                b'`' => {
                    self.at += 1;
                    self.interpolated();
                    Token::Symbol(b'`')
                }
                b'}' if self.braces.pop() == Some(true) => {
                    self.at += 1;
                    self.interpolated();
                    continue;
                }
                b'.' | b':' => match self.take_while(|byte| matches!(byte, b'.' | b':')).len() {
                    1 => Token::Member,
                    _ => Token::Symbol(b'.'),
                },
                byte if is_name(byte) => Token::Name(self.take_while(is_name)),
                byte => {
                    if byte == b'{' {
                        self.braces.push(false);
                    }
                    self.at += 1;
                    Token::Symbol(byte)
                }
            };
            return Some((line, token));
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl<'s> Lexer<'s> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    /// Goes one byte on, and counts lines.
    fn step(&mut self) {
        if self.peek(0) == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn take_while(&mut self, belongs: fn(u8) -> bool) -> &'s str {
        let start = self.at;
        while self.peek(0).is_some_and(belongs) {
            self.at += 1;
        }
        self.source.get(start..self.at).unwrap_or_default()
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            if self.peek(0).is_some_and(|byte| byte.is_ascii_whitespace()) {
                self.step();
            } else if self.peek(0) == Some(b'-') && self.peek(1) == Some(b'-') {
                self.at += 2;
                if self.long_bracket(0).is_some() {
                    self.long_string();
                } else {
                    while self.peek(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
            } else {
                return;
            }
        }
    }

    /// How many `=` the long bracket at `ahead` has, if there is one: `[[`, `[=[`, ..
    fn long_bracket(&self, ahead: usize) -> Option<usize> {
        if self.peek(ahead) != Some(b'[') {
            return None;
        }
        let level = (0..).take_while(|more| self.peek(ahead + 1 + more) == Some(b'=')).count();
        (self.peek(ahead + 1 + level) == Some(b'[')).then_some(level)
    }

    /// A string between long brackets, or to the end of the source.
    fn long_string(&mut self) -> Token<'s> {
        let level = self.long_bracket(0).unwrap_or_default();
        self.at += level + 2;
        let start = self.at;
        let end = format!("]{}]", "=".repeat(level));
        while self.peek(0).is_some() {
            if self.source.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(end.as_bytes())) {
                let text = self.source.get(start..self.at).unwrap_or_default();
                self.at += end.len();
                return Token::Text(text);
            }
            self.step();
        }
        Token::Symbol(b'[')
    }

    /// A string between quotes. One with escapes isn't literally what it means, so it is no `Text`.
    fn quoted(&mut self) -> Token<'s> {
        let quote = self.peek(0);
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        while let Some(byte) = self.peek(0) {
            if Some(byte) == quote {
                let text = self.source.get(start..self.at).unwrap_or_default();
                self.at += 1;
                return if escaped { Token::Symbol(b'"') } else { Token::Text(text) };
            }
            match byte {
                // Not closed on its line: whatever follows is code again.
                b'\n' => break,
                b'\\' => {
                    escaped = true;
                    self.escape();
                }
                _ => self.at += 1,
            }
        }
        Token::Symbol(b'"')
    }

    /// Goes on in an interpolated string, up to its end or to the brace where an expression starts.
    fn interpolated(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'`' => {
                    self.at += 1;
                    return;
                }
                b'{' => {
                    self.at += 1;
                    self.braces.push(true);
                    return;
                }
                b'\\' => self.escape(),
                _ => self.step(),
            }
        }
    }

    /// A backslash and what it hides; `\z` and a line's end hide lines, `\u{..}` a brace.
    fn escape(&mut self) {
        self.at += 1;
        let kind = self.peek(0);
        self.step();
        match kind {
            Some(b'u') if self.peek(0) == Some(b'{') => self.at += 1,
            Some(b'z') => {
                while self.peek(0).is_some_and(|byte| byte.is_ascii_whitespace()) {
                    self.step();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(u32, &str)> {
        requires(source).into_iter().map(|Require { line, request }| (line, request)).collect()
    }

    #[test]
    fn every_way_to_write_a_literal_request_is_found_with_its_line() {
        let source = "local a = require(\"./a\")\nlocal b = require './b'\n\nreturn a, b, require(\n\t[[./c]] -- c\n), \
                      1 ..require [==[./d]==], typeof(require('./e'))";
        assert_eq!(found(source), [(1, "./a"), (2, "./b"), (5, "./c"), (6, "./d"), (6, "./e")]);
    }

    #[test]
    fn comments_and_strings_hold_no_requires() {
        let source = r#"
            -- require("./a")
            --[[ require("./b")
            require("./c") ]] local x = require("./yes")
            --[==[ ]] require("./d") ]==]
            local s = "require('./e')" .. 'require("./f")' .. [[require("./g")]] .. "\" require('./h')"
            local t = `require("./i") \{ require("./j") \u{1F600}`
        "#;
        assert_eq!(found(source), [(4, "./yes")]);
    }

    #[test]
    fn an_expression_inside_an_interpolated_string_is_code() {
        let source = "local t = `a {require(\"./a\").f({ x = {} })} require(\"./no\") {`{require('./b')}`} x`\nrequire('./c')";
        assert_eq!(found(source), [(1, "./a"), (1, "./b"), (2, "./c")]);
    }

    #[test]
    fn what_is_not_one_literal_string_is_left_alone() {
        let source = r#"
            require("./a" .. name) require(name) require("./b", 1) local require = 1
            x.require("./c") x:require("./d") requires("./e") prerequire("./f") require("\46/g")
        "#;
        assert_eq!(found(source), []);
    }

    #[test]
    fn a_source_that_ends_in_the_middle_of_something_is_no_trouble() {
        for end in [
            "\"",
            "'x\\",
            "[[",
            "[==[ ]]",
            "--[[",
            "`",
            "`{",
            "`\\u{",
            "require(",
            "require(\"",
            "}",
            "ä",
            "\\",
        ] {
            assert_eq!(found(&format!("require('./a') {end}")), [(1, "./a")], "{end}");
        }
        assert_eq!(found("local s = \"open\nrequire('./a')"), [(2, "./a")]);
    }
}
