//! Type files: definitions for a language server, and a module for each that scripts can require.
//!
//! Owns the syntax. `ctx`, events and every type are in the definitions, because objects can only be described there; a module
//! is plain Luau, whose functions have the right types and no bodies.

use khronos::declare::{Field, Function, Type};

use super::Written;
use super::surface::{self, Object, Shown, event_type, label, lines, of_each, parameters};

use crate::events;
use crate::execution::{CONTEXT, EVENT};

/// The name of the file with the definitions.
pub(super) const DEFINITIONS: &str = "template-worker.d.luau";

const HEAD: &str = "\
-- What a template sees, for language servers: `template-worker types` writes this file, so it is no use to change it.

";

const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// The file with the definitions.
pub(super) fn definitions() -> String {
    let mut out = Out(HEAD.to_owned());
    out.line("-- Globals ----------------------------------------------------------------\n");
    for function in khronos::GLOBALS {
        out.doc("", function.doc, function);
        let (name, returns) = (function.name, function.returns);
        out.line(&format!("declare function {name}({}): {returns}\n", head_parameters(function, &same)));
    }
    out.line("declare task: {");
    for function in khronos::TASK {
        out.doc("\t", function.doc, function);
        out.line(&format!("\t{}: {},", function.name, function_type(function, &same)));
    }
    out.line("}\n");

    out.line("-- Events -----------------------------------------------------------------\n");
    out.table(&EVENT, &same);
    for event in events::SERVICE {
        let data = Type {
            name: event.name,
            doc: "",
            is_object: false,
            fields: event.data,
            methods: &[],
            operators: &[],
        };
        out.table(&data, &same);
        out.event("AntiRaid", event.name, event.doc, event.name);
    }
    for name in events::DISCORD {
        out.event("Discord", name, "", events::data_of(name));
    }

    out.line("-- Context ----------------------------------------------------------------\n");
    for ty in surface::of_context().into_iter().filter(|ty| ty.name != EVENT.name) {
        out.ty(ty, &same);
    }
    let objects = surface::objects();
    for object in &objects {
        out.object(object);
    }
    out.head(CONTEXT.doc, CONTEXT.name);
    out.members(CONTEXT.fields, CONTEXT.methods, &same);
    for object in &objects {
        out.comment("\t", &object.doc());
        out.line(&format!("\t{}: {}", object.name(), object.ty()));
    }
    out.line("end\n");

    out.line("-- Modules ----------------------------------------------------------------\n");
    for shown in surface::modules() {
        for ty in shown.module.types {
            out.ty(ty, &|text| shown.ty(text));
        }
    }
    format!("{}\n", out.0.trim_end())
}

/// The file for a module, which `require` leads an editor to.
pub(super) fn module(shown: &Shown) -> Written {
    let module = shown.module;
    let name = module.path.rsplit('/').next().unwrap_or(module.path);
    let mut out = Out(format!("--!strict\n{HEAD}"));
    out.comment("", module.doc);
    out.line(&format!("local {name} = {{}}\n"));
    for field in module.fields {
        out.comment("", field.doc);
        out.line(&format!("{name}.{} = (nil :: any) :: {}\n", field.name, shown.ty(field.ty)));
    }
    for function in module.functions {
        out.doc("", function.doc, function);
        let parameters = head_parameters(function, &|text| shown.ty(text));
        out.line(&format!("function {name}.{}({parameters}): {}", function.name, shown.ty(function.returns)));
        out.line(if function.returns == "()" { "end\n" } else { "\treturn nil :: any\nend\n" });
    }
    out.line(&format!("return {name}"));
    Written::new(format!("{}.luau", module.path.trim_start_matches('@')), out.0)
}

fn same(text: &str) -> String {
    text.to_owned()
}

/// The parameters of a function as its head has them: `key: string, ...: any`.
fn head_parameters(function: &Function, ty: &dyn Fn(&str) -> String) -> String {
    let all = function
        .parameters
        .iter()
        .map(|parameter| format!("{}: {}", label(parameter), ty(of_each(parameter))));
    all.collect::<Vec<_>>().join(", ")
}

fn function_type(function: &Function, ty: &dyn Fn(&str) -> String) -> String {
    format!("({}) -> {}", parameters(function, ty), ty(function.returns))
}

struct Out(String);

impl Out {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn comment(&mut self, indent: &str, doc: &str) {
        for line in lines(doc) {
            self.line(format!("{indent}--- {line}").trim_end());
        }
    }

    /// The comment of a function, with what its parameters mean.
    fn doc(&mut self, indent: &str, doc: &str, function: &Function) {
        self.comment(indent, doc);
        for parameter in function.parameters {
            let doc = lines(parameter.doc).join(" ");
            if !doc.is_empty() {
                self.line(&format!("{indent}--- @param {} -- {doc}", label(parameter)));
            }
        }
    }

    fn event(&mut self, base: &str, name: &str, doc: &str, data: &str) {
        self.comment("", doc);
        let ty = event_type(name);
        self.line(&format!("export type {ty} = {{"));
        self.line(&format!(
            "\tbase_name: \"{base}\",\n\tname: \"{name}\",\n\tid: string,\n\tdata: {data},\n}}\n"
        ));
    }

    fn ty(&mut self, ty: &Type, name: &dyn Fn(&str) -> String) {
        if !ty.is_object {
            return self.table(ty, name);
        }
        self.head(ty.doc, &name(ty.name));
        self.members(ty.fields, ty.methods, name);
        for operator in ty.operators {
            self.operator(&name(ty.name), operator, name);
        }
        self.line("end\n");
    }

    fn table(&mut self, ty: &Type, name: &dyn Fn(&str) -> String) {
        self.comment("", ty.doc);
        self.line(&format!("export type {} = {{", name(ty.name)));
        for field in ty.fields {
            self.comment("\t", field.doc);
            self.line(&format!("\t{}: {},", key(field.name), name(field.ty)));
        }
        for method in ty.methods {
            self.doc("\t", method.doc, method);
            self.line(&format!("\t{}: {},", key(method.name), function_type(method, name)));
        }
        self.line("}\n");
    }

    fn object(&mut self, object: &Object) {
        for inside in &object.inside {
            self.object(inside);
        }
        self.head(&object.doc(), &object.ty());
        for inside in &object.inside {
            self.line(&format!("\t{}: {}", inside.name(), inside.ty()));
        }
        if let Some(beside) = object.beside() {
            self.members(beside.fields, beside.methods, &same);
        }
        for declared in object.calls() {
            self.method(&declared.function, &same);
        }
        self.line("end\n");
        if let Some(extended) = object.extended() {
            self.head(extended.doc, &format!("{} extends {}", extended.name, object.ty()));
            self.members(extended.fields, extended.methods, &same);
            self.line("end\n");
        }
    }

    fn head(&mut self, doc: &str, name: &str) {
        self.comment("", doc);
        self.line(&format!("declare extern type {name} with"));
    }

    fn members(&mut self, fields: &[Field], methods: &[Function], name: &dyn Fn(&str) -> String) {
        for field in fields {
            self.comment("\t", field.doc);
            self.line(&format!("\t{}: {}", key(field.name), name(field.ty)));
        }
        for method in methods {
            self.method(method, name);
        }
    }

    fn method(&mut self, method: &Function, name: &dyn Fn(&str) -> String) {
        self.doc("\t", method.doc, method);
        let rest = head_parameters(method, name);
        let comma = if rest.is_empty() { "" } else { ", " };
        let (method, returns) = (method.name, name(method.returns));
        self.line(&format!("\tfunction {method}(self{comma}{rest}): {returns}"));
    }

    /// An operator, whose left side is the object itself. Where its right side and what it gives are as many alternatives,
    /// each belongs to the one in its place: a `DateTime` less a `TimeDelta | DateTime` is a `DateTime | TimeDelta`.
    fn operator(&mut self, object: &str, operator: &Function, name: &dyn Fn(&str) -> String) {
        // Both sides of a comparison are of the same type, and `tostring` takes anything: Luau needs to be told neither.
        if matches!(operator.name, "__eq" | "__tostring") {
            return;
        }
        let (right, returns) = (operator.parameters.get(1), name(operator.returns));
        let right = right.map(|right| name(right.ty));
        let sides: Vec<&str> = right.iter().flat_map(|right| right.split(" | ")).collect();
        let gives: Vec<&str> = returns.split(" | ").collect();
        let operator = operator.name;
        if gives.len() > 1 && gives.len() == sides.len() {
            let one = |(right, gives)| format!("((self: {object}, right: {right}) -> {gives})");
            let all: Vec<String> = sides.into_iter().zip(gives).map(one).collect();
            return self.line(&format!("\t{operator}: {}", all.join(" & ")));
        }
        let right = right.map(|right| format!(", right: {right}")).unwrap_or_default();
        self.line(&format!("\tfunction {operator}(self{right}): {returns}"));
    }
}

/// The key of a field as a table type has it.
fn key(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_word && !KEYWORDS.contains(&name) { name.to_owned() } else { format!("[\"{name}\"]") }
}
