//! `@lune/regex`: regular expressions, as the crate `regex` has them.
//!
//! A search takes no more than the size of the expression times that of the text, whatever they are: nothing backtracks
//! without a bound. Owns the bound on that product, and the one on searching again and again. What is found is copied, so
//! that it does not hold the text that it was found in.

use std::time::{Duration, Instant};

use mlua::{Table, Value};
use regex_automata::Input;
use regex_automata::meta::Regex as Engine;
use regex_automata::util::captures::Captures;
use regex_syntax::ParserBuilder;

use super::super::Globals;
use super::super::arguments::{Argument, Text};
use super::super::classes::{Class, Object, object};
use super::super::members::{Call, Maker, Outcome};
use super::regex_work;
use crate::declare::{Module, Parameter, Type};
use crate::declare::{field, function, object as declare_object, parameter};
use crate::scheduler::collector::Charge;
use crate::value::patience::Patience;

const TEXT: Parameter = parameter("text", "string", "The text.");
const WITH: Parameter =
    parameter("replacer", "string", "What takes its place. `$1` and `$name` are groups, `$$` is a `$`.");
const ONE: Parameter = parameter("value", "Regex", "");

pub(in super::super) const MODULE: Module = Module {
    path: "@lune/regex",
    doc: "Regular expressions without look-around and back references. Expressions have at most 1,000 bytes; the larger one \
          is, the shorter the texts have to be that it is used on: simple ones take up to 64 KiB.",
    fields: &[],
    functions: &[function(
        "new",
        &[parameter("pattern", "string", "The expression.")],
        "Regex",
        "A regular expression. Fails where it is none, or too large when it is compiled.",
    )],
    types: &[REGEX, CAPTURES, MATCH],
};

const REGEX: Type = declare_object(
    "Regex",
    "A regular expression.",
    &[],
    &[
        function("isMatch", &[TEXT], "boolean", "Whether it matches anywhere in the text."),
        function("find", &[TEXT], "RegexMatch?", "The first match."),
        function("captures", &[TEXT], "RegexCaptures?", "The first match, with its groups."),
        function("split", &[TEXT], "{string}", "What is between the matches."),
        function("replace", &[TEXT, WITH], "string", "The text with the first match replaced."),
        function("replaceAll", &[TEXT, WITH], "string", "The text with all matches replaced."),
    ],
    &[function("__tostring", &[ONE], "string", "The expression.")],
);

const CAPTURES: Type = declare_object(
    "RegexCaptures",
    "A match with its groups.",
    &[],
    &[
        function(
            "get",
            &[parameter("index", "number", "0 is the whole match.")],
            "RegexMatch?",
            "What a group matched.",
        ),
        function(
            "group",
            &[parameter("name", "string", "Its name.")],
            "RegexMatch?",
            "What a named group matched.",
        ),
        function("format", &[WITH], "string", "The text with the groups put in."),
    ],
    &[
        function(
            "__len",
            &[parameter("value", "RegexCaptures", "")],
            "number",
            "How many groups there are, without the whole.",
        ),
        function(
            "__tostring",
            &[parameter("value", "RegexCaptures", "")],
            "string",
            "How many groups there are.",
        ),
    ],
);

const MATCH: Type = declare_object(
    "RegexMatch",
    "What was found in a text.",
    &[
        field("start", "number", "Where it begins: 1 is the first byte."),
        field("finish", "number", "Where its last byte is."),
        field("len", "number", "How many bytes it has."),
        field("text", "string", "It."),
    ],
    &[],
    &[
        function("__len", &[parameter("value", "RegexMatch", "")], "number", "How many bytes it has."),
        function("__tostring", &[parameter("value", "RegexMatch", "")], "string", "It."),
    ],
);

const LONGEST_PATTERN: usize = 1_000;
/// Bytes that the program of an expression may have.
const LARGEST_PROGRAM: usize = 512 << 10;
/// Bytes of what is remembered of a search.
const SEARCH_CACHE: usize = 128 << 10;
const NESTING: u32 = 50;
/// The longest text, and the bound on places of the expression times bytes of the text: some 40 ms of the slowest.
const LONGEST_TEXT: usize = 64 << 10;
const MOST_WORK: usize = 800_000;
/// How often the CPU time is looked at, which takes longer than a small search.
const LOOK: Duration = Duration::from_millis(5);
/// What an expansion and a replacement may come to.
const LONGEST_RESULT: usize = 1 << 20;

pub(in super::super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.function("new", |call, (pattern,): (Text,)| Regex::new(call, pattern.0))
}

#[derive(Debug)]
struct Regex {
    engine: Engine,
    pattern: String,
    longest_text: usize,
    _charge: Charge,
}

/// Groups of a match, in a text of their own.
#[derive(Debug)]
struct Groups {
    captures: Captures,
    text: String,
    _charge: Charge,
}

#[derive(Debug)]
struct Match {
    start: usize,
    text: Box<str>,
    _charge: Charge,
}

object!(Regex, Groups, Match);

impl Regex {
    fn new(call: &Call<'_>, pattern: String) -> Outcome<Self> {
        if pattern.len() > LONGEST_PATTERN {
            return Err(format!("the expression has more than {LONGEST_PATTERN} bytes").into());
        }
        call.room(LARGEST_PROGRAM * 4)?;
        let mut parser = ParserBuilder::new().nest_limit(NESTING).build();
        let expression =
            parser.parse(&pattern).map_err(|error| format!("this is no regular expression: {error}"))?;
        let config = Engine::config()
            .nfa_size_limit(Some(LARGEST_PROGRAM))
            .hybrid_cache_capacity(SEARCH_CACHE)
            .pool_capacity(1);
        let engine = Engine::builder()
            .configure(config)
            .build_from_hir(&expression)
            .map_err(|error| explain(&error))?;
        let program = engine.memory_usage();
        let charge = call.charge(program + SEARCH_CACHE + pattern.len())?;
        let longest_text = (MOST_WORK / regex_work::of(&expression).max(1)).min(LONGEST_TEXT);
        Ok(Self { engine, pattern, longest_text, _charge: charge })
    }

    fn look<'h>(&self, text: &'h str) -> Outcome<Input<'h>> {
        if text.len() > self.longest_text {
            let most = self.longest_text;
            return Err(format!(
                "the text has more than {most} bytes, which is the most for this expression"
            )
            .into());
        }
        Ok(Input::new(text))
    }

    fn captures(&self, text: &str) -> Outcome<Option<Captures>> {
        let mut captures = self.engine.create_captures();
        self.engine.search_captures(&self.look(text)?, &mut captures);
        Ok(captures.is_match().then_some(captures))
    }

    fn replaced(&self, text: &str, replacer: &str, most: usize) -> Outcome<String> {
        let (mut result, mut from) = (String::new(), 0);
        let mut watch = Watch::new();
        for captures in self.engine.captures_iter(self.look(text)?).take(most) {
            let Some(found) = captures.get_match() else { break };
            result.push_str(&text[from..found.start()]);
            captures.interpolate_string_into(text, replacer, &mut result);
            from = found.end();
            is_short(&result)?;
            watch.one_more()?;
        }
        result.push_str(&text[from..]);
        Ok(result)
    }
}

fn explain(error: &regex_automata::meta::BuildError) -> String {
    if error.size_limit().is_some() {
        return "the expression is too large: use less repetition, or `(?-u)` for classes of ASCII"
            .to_owned();
    }
    "this is no regular expression".to_owned()
}

fn is_short(text: &str) -> Outcome<()> {
    if text.len() > LONGEST_RESULT {
        return Err(format!("the result would have more than {LONGEST_RESULT} bytes").into());
    }
    Ok(())
}

/// Searching again and again may take as long as what is found explains; one search more may be in it.
struct Watch {
    next: Instant,
    found: usize,
    patience: Patience,
}

impl Watch {
    fn new() -> Self {
        Self { next: Instant::now() + LOOK, found: 0, patience: Patience::default() }
    }

    fn one_more(&mut self) -> Outcome<()> {
        self.found += 1;
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + LOOK;
        if self.patience.is_over(self.found) {
            return Err("this takes too long: use a simpler expression, or a shorter text".into());
        }
        Ok(())
    }
}

fn found(call: &Call<'_>, text: &str, span: regex_automata::Span) -> Outcome<Match> {
    let charge = call.charge(span.len() + size_of::<Match>())?;
    Ok(Match { start: span.start, text: text[span.start..span.end].into(), _charge: charge })
}

impl Object for Regex {
    const TYPE: &'static Type = &REGEX;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.method("isMatch", |_, regex, (text,): (Text,)| {
            Ok(regex.engine.is_match(regex.look(&text.0)?))
        })?;
        class.method("find", |call, regex, (text,): (Text,)| {
            let hit = regex.engine.find(regex.look(&text.0)?);
            hit.map(|hit| found(call, &text.0, hit.span())).transpose()
        })?;
        class.method("captures", |call, regex, (text,): (Text,)| {
            let Some(captures) = regex.captures(&text.0)? else { return Ok(None) };
            let charge = call.charge(text.0.len() + captures.group_len() * 16 + size_of::<Groups>())?;
            Ok(Some(Groups { captures, text: text.0, _charge: charge }))
        })?;
        class.method("split", |call, regex, (text,): (Text,)| regex.split(call, &text.0))?;
        class.method("replace", |call, regex, (text, replacer): (Text, Text)| {
            call.room(text.0.len() + LONGEST_RESULT)?;
            regex.replaced(&text.0, &replacer.0, 1)
        })?;
        class.method("replaceAll", |call, regex, (text, replacer): (Text, Text)| {
            call.room(text.0.len() + LONGEST_RESULT)?;
            regex.replaced(&text.0, &replacer.0, usize::MAX)
        })?;
        class.operator("__tostring", |call, (regex,): (Value,)| match regex {
            Value::UserData(regex) => Ok(call.lua.create_string(&regex.borrow::<Self>()?.pattern)?),
            _ => Err("a Regex is expected".into()),
        })
    }
}

impl Regex {
    fn split(&self, call: &Call<'_>, text: &str) -> Outcome<Table> {
        call.room(text.len() * 64)?;
        let parts = call.lua.create_table()?;
        let mut watch = Watch::new();
        for part in self.engine.split(self.look(text)?) {
            parts.raw_push(&text[part])?;
            watch.one_more()?;
        }
        Ok(parts)
    }
}

impl Object for Groups {
    const TYPE: &'static Type = &CAPTURES;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.method("get", |call, groups, (index,): (i64,)| {
            let span = usize::try_from(index).ok().and_then(|index| groups.captures.get_group(index));
            span.map(|span| found(call, &groups.text, span)).transpose()
        })?;
        class.method("group", |call, groups, (name,): (Text,)| {
            let span = groups.captures.get_group_by_name(&name.0);
            span.map(|span| found(call, &groups.text, span)).transpose()
        })?;
        class.method("format", |call, groups, (layout,): (Text,)| {
            // Each reference takes two bytes, and stands for all of the text at the most.
            let most = layout.0.len().saturating_mul(groups.text.len().max(1));
            if most > LONGEST_RESULT {
                return Err(format!("the result could have more than {LONGEST_RESULT} bytes").into());
            }
            call.room(most)?;
            Ok(groups.captures.interpolate_string(&groups.text, &layout.0))
        })?;
        class.operator("__len", |_, (groups,): (Value,)| of(&groups))?;
        class.operator("__tostring", |_, (groups,): (Value,)| Ok(of(&groups)?.to_string()))
    }
}

/// The number of groups besides the whole match.
fn of(groups: &Value) -> Outcome<usize> {
    let Value::UserData(groups) = groups else { return Err("a RegexCaptures is expected".into()) };
    Ok(groups.borrow::<Groups>()?.captures.group_len().saturating_sub(1))
}

impl Object for Match {
    const TYPE: &'static Type = &MATCH;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.field("start", |_, this| Ok(this.start + 1))?;
        class.field("finish", |_, this| Ok(this.start + this.text.len()))?;
        class.field("len", |_, this| Ok(this.text.len()))?;
        class.field("text", |call, this| Ok(call.lua.create_string(&*this.text)?))?;
        class.operator("__len", |_, (this,): (Shown,)| Ok(this.0.len()))?;
        class.operator("__tostring", |_, (this,): (Shown,)| Ok(this.0))
    }
}

/// The text of a match.
struct Shown(String);

impl Argument for Shown {
    const EXPECTED: &'static str = MATCH.name;

    fn read(value: Value) -> Option<Self> {
        let Value::UserData(data) = value else { return None };
        data.borrow::<Match>().ok().map(|this| Self(this.text.to_string()))
    }
}
