//! The pages about what scripts call: `ctx`, the objects under it, and modules.

use khronos::declare::{Field, Function};

use super::markdown::{Page, Place, cell};
use super::surface::{self, Object, Shown};
use super::{Written, examples, needs};
use crate::execution::{CONTEXT, EVENT, TABLES};
use crate::host::HostError;
use crate::host::calls::{Bucket, Declared, DeclaredFamily};

/// The files of the objects whose names would make less pleasant ones, and what stands above each.
const FILES: [(&str, &str, &str); 7] = [
    ("KV", "kv", "the guild's key-value store"),
    ("DataStores", "data-stores", "small stores of the service"),
    ("ObjectStorage", "objects", "the guild's files"),
    ("HTTPClient", "http", "requests to the outside"),
    ("ImageCaptcha", "captcha", "images that people can read and programs can't"),
    ("Discord", "discord", "what the bot can do"),
    ("secrets", "secrets", "names of the guild's secrets"),
];

/// Objects under `ctx`, each with its file and its subject.
pub(super) fn index() -> Vec<(Object, String, &'static str)> {
    let all = surface::objects().into_iter();
    all.map(|object| {
        let named = FILES.iter().find(|(name, ..)| *name == object.path);
        let (file, subject) = named.map_or_else(
            || (object.path.to_lowercase(), ""),
            |(_, file, subject)| ((*file).to_owned(), *subject),
        );
        (object, format!("{file}.md"), subject)
    })
    .collect()
}

/// A family with more functions than this has a list of them first.
const LONG: usize = 6;

fn no_facts(_method: &str) -> Vec<String> {
    Vec::new()
}

fn same(text: &str) -> String {
    text.to_owned()
}

/// `ctx`, the event, and the globals.
pub(super) fn context() -> Written {
    let mut page = Page::new("`ctx`, the event, and globals");
    page.paragraph("A template gets two values for each event: what happened, and its *template context*.");
    page.luau(examples::CONTEXT.trim());
    page.heading(2, "`ctx`");
    page.paragraph(&format!("{} `typeof(ctx)` is `\"{}\"`.", CONTEXT.doc, CONTEXT.name));
    page.fields(CONTEXT.fields, &same);
    let objects = index();
    let rows = objects
        .iter()
        .map(|(object, file, subject)| [format!("[`ctx.{}`]({file})", object.path), (*subject).to_owned()]);
    page.table(["object", "what"], rows);
    for method in CONTEXT.methods {
        page.function(3, Place { before: "ctx:", ty: &same }, method, &[]);
    }
    for ty in TABLES.iter().filter(|ty| ty.name != EVENT.name) {
        page.ty(3, ty, &same, &no_facts);
    }

    page.heading(2, "The event");
    page.paragraph(EVENT.doc);
    page.fields(EVENT.fields, &same);
    page.paragraph("Which events there are, and what their data holds: [events](events.md).");

    page.heading(2, "Calls");
    page.paragraph(
        "The functions of the objects under `ctx` can be called with a colon (`ctx.KV:get(..)`) and with a dot \
         (`ctx.KV.get(..)`); editors know them with a colon. Each of them may take its time. The thread that calls waits, at any \
         depth of coroutines, and other threads and templates run meanwhile.",
    );
    page.paragraph(
        "A call that fails throws a text, which `pcall` catches. It says what happened and what to do. Any call may throw one of these:",
    );
    page.table(["when", "text"], failures());

    page.heading(2, "Globals");
    page.paragraph(
        "Beside Luau's own library ([what differs](../security-model.md#what-differs-within-the-caps), \
         [function by function](../security-model.md)) there are these. `require` takes a file of the template (`\"./other\"`) or a \
         [module](modules.md).",
    );
    for function in khronos::GLOBALS {
        page.function(3, Place { before: "", ty: &same }, function, &[]);
    }
    for function in khronos::TASK {
        page.function(3, Place { before: "task.", ty: &same }, function, &[]);
    }
    Written::new("context.md", page.done())
}

/// What every call may throw, in the words that it throws.
fn failures() -> impl Iterator<Item = [String; 2]> {
    let capability = "kv:get:greeting".to_owned();
    [
        ("the guild's admin did not allow it", HostError::NotAllowed { capability: capability.clone() }),
        ("the context was limited", HostError::Limited { capability: capability.clone() }),
        ("the operator allows it to nobody", HostError::Forbidden { capability }),
        (
            "it was called too often",
            HostError::RateLimited {
                bucket: "kv",
                wait: std::time::Duration::from_millis(80),
                burst: 500,
                every: std::time::Duration::from_millis(100),
            },
        ),
        ("the service has too much to do", HostError::Busy),
    ]
    .into_iter()
    .map(|(when, error)| [when.to_owned(), format!("`{}`", error.to_string().replace('`', "'"))])
}

/// A page for each object under `ctx`.
pub(super) fn objects() -> impl Iterator<Item = Written> {
    index().into_iter().map(|(object, file, subject)| {
        let mut page = Page::new(&format!("`ctx.{}`: {subject}", object.path));
        page.paragraph(&object.doc());
        if let Some(example) = examples::of(object.path) {
            page.luau(example);
        }
        functions(&mut page, 2, &object);
        for inside in &object.inside {
            page.heading(2, &format!("`ctx.{}`", inside.path));
            page.paragraph(&inside.doc());
            functions(&mut page, 3, inside);
        }
        types(&mut page, &object);
        Written::new(file, page.done())
    })
}

fn functions(page: &mut Page, level: usize, object: &Object) {
    let before = format!("ctx.{}:", object.path);
    if let Some(beside) = object.beside() {
        page.fields(beside.fields, &same);
        for method in beside.methods {
            page.function(level, Place { before: &before, ty: &same }, method, &[]);
        }
    }
    if object.calls().count() > LONG {
        let rows = object.calls().map(|declared| {
            let Function { name, doc, .. } = declared.function;
            [format!("[`{name}`](#{name})"), cell(first_sentence(doc))]
        });
        page.table(["function", "what"], rows);
    }
    for declared in object.calls() {
        let facts = facts(object, declared);
        page.function(level, Place { before: &before, ty: &same }, &declared.function, &facts);
    }
}

/// What a call takes: capabilities, what the bot needs, rates.
fn facts(object: &Object, declared: &Declared) -> Vec<String> {
    let name = declared.function.name;
    let mut facts = vec![match declared.capability {
        "" => "Takes no capability.".to_owned(),
        form => {
            let filled = form.replace("{method}", name);
            format!("Takes the capability `{}`.", filled.replace("{Store}", object.name()))
        }
    }];
    if object.path == "Discord" {
        facts.extend(needs::of(name));
    }
    facts.extend(declared.buckets.iter().map(rate));
    facts
}

/// The first sentence of a description, which stands alone.
fn first_sentence(doc: &str) -> &str {
    let end = doc.find(". ").or_else(|| doc.find(".\n")).map_or(doc.len(), |end| end + 1);
    &doc[..end]
}

fn rate(bucket: &Bucket) -> String {
    let Bucket { name, burst, every_ms } = bucket;
    let every = match every_ms {
        1_000 => "second".to_owned(),
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    };
    format!("Counts against the guild's rate `{name}`: {burst} at once, and one more every {every}.")
}

/// The tables and objects that the calls of an object take and give.
fn types(page: &mut Page, object: &Object) {
    let families = object.family.into_iter().chain(object.inside.iter().filter_map(|inside| inside.family));
    let mut types: Vec<_> =
        families.flat_map(|family: &DeclaredFamily| family.types.iter().chain(family.extended)).collect();
    let mut seen = Vec::new();
    types.retain(|ty| {
        !seen.contains(&ty.name) && {
            seen.push(ty.name);
            true
        }
    });
    if types.is_empty() {
        return;
    }
    page.heading(2, "Types");
    for ty in types {
        let of_call = |method: &str| {
            let calls = object.family.into_iter().flat_map(|family| family.calls);
            let here = calls.filter(|call| call.function.name == method);
            here.flat_map(|call| facts(object, call)).collect()
        };
        page.ty(3, ty, &same, &of_call);
    }
}

/// The modules.
pub(super) fn modules() -> Written {
    let mut page = Page::new("Modules");
    page.paragraph(
        "What a template can `require` beside its own files. The modules are read-only, need no capability, and reach nothing \
         outside of the VM. An alias `antiraid` or `lune` in a `.luaurc` leads editors to the types; the modules are always these.",
    );
    let all = surface::modules();
    let rows = all.iter().map(|shown| {
        let path = shown.module.path;
        let anchor: String = path.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        [format!("[`{path}`](#{anchor})"), surface::lines(shown.module.doc).join(" ")]
    });
    page.table(["module", "what"], rows);
    for shown in &all {
        module(&mut page, shown);
    }
    Written::new("modules.md", page.done())
}

fn module(page: &mut Page, shown: &Shown) {
    let module = shown.module;
    let ty = |text: &str| shown.ty(text);
    let name = module.path.rsplit('/').next().unwrap_or(module.path);
    page.heading(2, &format!("`{}`", module.path));
    page.paragraph(module.doc);
    page.luau(examples::of(module.path).unwrap_or(&format!("local {name} = require(\"{}\")", module.path)));
    let fields: Vec<Field> = module.fields.to_vec();
    page.fields(&fields, &ty);
    for function in module.functions {
        page.function(3, Place { before: &format!("{name}."), ty: &ty }, function, &[]);
    }
    for described in module.types {
        page.ty(3, described, &ty, &no_facts);
    }
}
