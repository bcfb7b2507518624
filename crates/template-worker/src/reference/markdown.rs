//! A page of Markdown, made of declarations.
//!
//! Owns how a function, a table and an object look. Which of them are on which page is for `pages`.

use khronos::declare::{Field, Function, Parameter, Type};

use super::surface::{label, lines, of_each};

/// The head of every page, for whoever wants to change it.
const HEAD: &str = "<!-- Made of the declarations in the code by `cargo run -- reference docs/reference`: change them, not this page. -->";
/// A signature that is longer has a line for each argument.
const LONG: usize = 90;

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Page(String);

/// Where a function is called: what stands before its name, and what its types are called.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) before: &'a str,
    pub(super) ty: &'a dyn Fn(&str) -> String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        Self(format!("{HEAD}\n\n# {title}\n\n"))
    }

    pub(super) fn done(self) -> String {
        format!("{}\n", self.0.trim_end())
    }

    pub(super) fn heading(&mut self, level: usize, text: &str) {
        self.paragraph(&format!("{} {text}", "#".repeat(level)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        let text = lines(text).join("\n");
        if !text.is_empty() {
            self.0.push_str(&text);
            self.0.push_str("\n\n");
        }
    }

    pub(super) fn luau(&mut self, code: &str) {
        self.paragraph(&format!("```luau\n{}\n```", code.trim_end()));
    }

    pub(super) fn table<const N: usize>(&mut self, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
        let mut rows = rows.map(|row| format!("| {} |\n", row.join(" | "))).peekable();
        if rows.peek().is_none() {
            return;
        }
        self.0.push_str(&format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(N)));
        self.0.extend(rows);
        self.0.push('\n');
    }

    /// A function; `facts` are said of it at the end, one a line.
    pub(super) fn function(&mut self, level: usize, place: Place<'_>, function: &Function, facts: &[String]) {
        self.heading(level, &format!("`{}`", function.name));
        self.luau(&signature(place, function));
        self.paragraph(function.doc);
        let rows = function.parameters.iter().flat_map(|parameter| rows(parameter, place.ty));
        self.table(["parameter", "type", "what"], rows);
        let returns = match function.returns {
            "()" => "Returns nothing.".to_owned(),
            returns => format!("Returns `{}`.", (place.ty)(returns)),
        };
        let facts: Vec<String> =
            std::iter::once(&returns).chain(facts).map(|fact| format!("- {fact}")).collect();
        self.paragraph(&facts.join("\n"));
    }

    pub(super) fn fields(&mut self, fields: &[Field], ty: &dyn Fn(&str) -> String) {
        let rows =
            fields.iter().map(|field| [format!("`{}`", field.name), code(&ty(field.ty)), cell(field.doc)]);
        self.table(["field", "type", "what"], rows);
    }

    /// A type; `facts` are said at the end of each of its methods, by its name.
    pub(super) fn ty(
        &mut self,
        level: usize,
        described: &Type,
        ty: &dyn Fn(&str) -> String,
        facts: &dyn Fn(&str) -> Vec<String>,
    ) {
        let name = ty(described.name);
        self.heading(level, &format!("`{name}`"));
        self.paragraph(described.doc);
        if described.is_object && name != described.name {
            self.paragraph(&format!("`typeof` says `\"{}\"` of it.", described.name));
        }
        self.fields(described.fields, ty);
        let separator = if described.is_object { ':' } else { '.' };
        let before = format!("{name}{separator}");
        for method in described.methods {
            self.function(level + 1, Place { before: &before, ty }, method, &facts(method.name));
        }
        let operators = described.operators.iter().map(|operator| {
            let sides: Vec<String> = operator.parameters.iter().map(|parameter| ty(parameter.ty)).collect();
            [code(&written(operator.name, &sides)), code(&ty(operator.returns)), cell(operator.doc)]
        });
        self.table(["operator", "gives", "what"], operators);
    }
}

/// How an operator is written: `DateTime + TimeDelta`.
fn written(operator: &str, sides: &[String]) -> String {
    let sign = match operator {
        "__add" => "+",
        "__sub" => "-",
        "__mul" => "*",
        "__div" => "/",
        "__idiv" => "//",
        "__mod" => "%",
        "__pow" => "^",
        "__eq" => "==",
        "__lt" => "<",
        "__le" => "<=",
        "__concat" => "..",
        "__unm" => return format!("-{}", sides.concat()),
        "__len" => return format!("#{}", sides.concat()),
        "__tostring" => return format!("tostring({})", sides.concat()),
        other => return format!("{other}({})", sides.join(", ")),
    };
    match sides {
        [left, right] => format!("{} {sign} {}", side(left), side(right)),
        _ => sides.join(sign),
    }
}

fn side(ty: &str) -> String {
    if ty.contains('|') { format!("({ty})") } else { ty.to_owned() }
}

/// `ctx.KV:get(key: string, scopes: {string}): (any, boolean)`.
fn signature(Place { before, ty }: Place<'_>, function: &Function) -> String {
    let parameters: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| format!("{}: {}", label(parameter), ty(of_each(parameter))))
        .collect();
    let (name, returns) = (function.name, ty(function.returns));
    let short = format!("{before}{name}({}): {returns}", parameters.join(", "));
    if short.chars().count() <= LONG {
        return short;
    }
    if let [only] = function.parameters
        && let Some(fields) = inside(&ty(only.ty))
    {
        let fields = fields.iter().map(|(name, ty)| format!("\t{name}: {ty},\n"));
        return format!("{before}{name}({{\n{}}}): {returns}", fields.collect::<String>());
    }
    let lines = parameters.iter().map(|parameter| format!("\t{parameter},\n"));
    format!("{before}{name}(\n{}): {returns}", lines.collect::<String>())
}

/// The rows of a parameter: one, or one for each field of a table that is written out.
fn rows(parameter: &Parameter, ty: &dyn Fn(&str) -> String) -> Vec<[String; 3]> {
    let (name, written, doc) = (label(parameter), ty(of_each(parameter)), lines(parameter.doc).join(" "));
    let Some(fields) = inside(&written) else {
        return vec![[format!("`{name}`"), code(&written), cell(&doc)]];
    };
    let doc_of = |field: &str| {
        let start = format!("`{field}`: ");
        let Some((_, rest)) = doc.split_once(&start) else { return String::new() };
        let ends = fields.iter().filter_map(|(other, _)| rest.find(&format!("`{other}`: ")));
        rest[..ends.min().unwrap_or(rest.len())].trim().to_owned()
    };
    fields.iter().map(|(field, ty)| [format!("`{field}`"), code(ty), cell(&doc_of(field))]).collect()
}

/// The fields of a table type that is written out: `{ a: string, b: {c: number} }`.
fn inside(ty: &str) -> Option<Vec<(String, String)>> {
    let inner = ty.trim_end_matches('?').strip_prefix('{')?.strip_suffix('}')?;
    let mut depth = 0_usize;
    let mut parts = vec![String::new()];
    for c in inner.chars() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let fields = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    fields
        .map(|field| {
            let (name, ty) = field.split_once(':')?;
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            is_name.then(|| (name.to_owned(), ty.trim().to_owned()))
        })
        .collect()
}

/// A text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    lines(text).join(" ").replace('|', "\\|")
}

/// Code in a cell of a table.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_written_out_has_a_row_for_each_field() {
        let options = Parameter {
            name: "options",
            ty: "{ channel_id: string, data: {a: number, b: string}?, }",
            doc: "`channel_id`: The channel. `data`: What is | sent. ",
        };
        let rows = rows(&options, &|ty| ty.to_owned());
        assert_eq!(
            rows,
            [
                ["`channel_id`", "`string`", "The channel."],
                ["`data`", "`{a: number, b: string}?`", "What is \\| sent."]
            ]
        );
        assert_eq!(inside("{string}"), None);
        assert_eq!(inside("{[string]: any}"), None);
    }

    #[test]
    fn a_long_signature_has_a_line_for_each_argument() {
        const SHORT: &[Parameter] = &[Parameter { name: "key", ty: "string", doc: "" }];
        const LONG: &[Parameter] = &[Parameter {
            name: "options",
            ty: "{ first_of_all: string, and_then_another: number, and_something_of_a_long_type: LongTypeName? }",
            doc: "",
        }];
        let same = |ty: &str| ty.to_owned();
        let signature = |parameters| {
            let place = Place { before: "ctx.A:", ty: &same };
            signature(place, &Function { name: "f", doc: "", parameters, returns: "()" })
        };
        assert_eq!(signature(SHORT), "ctx.A:f(key: string): ()");
        let fields = "\tfirst_of_all: string,\n\tand_then_another: number,\n\tand_something_of_a_long_type: LongTypeName?,\n";
        assert_eq!(signature(LONG), format!("ctx.A:f({{\n{fields}}}): ()"));
    }
}
