//! Luau's own type checker on the type files, the modules, what `init` writes, every example, and the code of the reference.
//!
//! Here, and not beside what makes them, because the checker brings a Luau of its own, which cannot be in one program with
//! that of the service. It looks at one file at a time: modules are put in the place of the `require` that names them, and a
//! template's other files are taken for anything.

use std::fs;
use std::path::{Path, PathBuf};

use luau_analyze::Checker;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below `folder` whose names end in `end`, in order.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn checker() -> Checker {
    let mut checker = Checker::new().unwrap();
    let definitions = read(&root().join("types/template-worker.d.luau"));
    checker.add_definitions(&definitions).unwrap_or_else(|error| panic!("{error}"));
    checker
}

/// What is wrong with a file, with its lines.
fn errors(checker: &mut Checker, source: &str) -> Vec<String> {
    let result = checker.check(&alone(source)).unwrap();
    assert!(!result.timed_out, "it takes too long to check");
    result.errors().iter().map(|error| format!("{}: {}", error.line + 1, error.message)).collect()
}

/// A source that needs no other: each `require` is replaced, on its line.
fn alone(source: &str) -> String {
    let mut out = source.to_owned();
    for (start, _) in source.match_indices("require(\"") {
        let rest = &source[start + "require(\"".len()..];
        let request = rest.split('"').next().unwrap();
        let whole = format!("require(\"{request}\")");
        if let Some(module) = request.strip_prefix('@') {
            let module = read(&root().join("types").join(format!("{module}.luau")));
            let code =
                module.lines().map(|line| line.split("--").next().unwrap()).collect::<Vec<_>>().join(" ");
            out = out.replace(&whole, &format!("(function() {code} end)()"));
        } else {
            out = out.replace(&whole, "(nil :: any)");
            let name = request.rsplit('/').next().unwrap();
            for ty in types_of(source, name) {
                out = out.replace(&ty, "any");
            }
        }
    }
    out
}

/// The types of the module `name` that a source mentions: `name.Type`.
fn types_of(source: &str, name: &str) -> Vec<String> {
    let prefix = format!(" {name}.");
    let after = source.split(&prefix).skip(1);
    let types = after.filter(|rest| rest.starts_with(|c: char| c.is_uppercase()));
    types
        .map(|rest| format!("{name}.{}", rest.split(|c: char| !c.is_alphanumeric()).next().unwrap()))
        .collect()
}

#[test]
fn the_definitions_and_every_module_are_well_typed() {
    let mut checker = checker();
    let modules = files("types", ".luau");
    assert!(modules.len() >= 2, "{modules:?}");
    for path in modules.iter().filter(|path| !path.to_str().unwrap().ends_with(".d.luau")) {
        let found = errors(&mut checker, &read(path));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn every_example_and_what_init_writes_is_well_typed() {
    let mut checker = checker();
    let mut paths = files("examples", ".luau");
    assert!(paths.len() >= 11, "{paths:?}");
    paths.push(root().join("crates/template-worker/src/cli/init/init.luau"));
    for path in paths {
        let found = errors(&mut checker, &read(&path));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn the_code_of_the_reference_is_well_typed() {
    let mut checker = checker();
    let mut blocks = 0;
    for path in files("docs/reference", ".md") {
        for block in read(&path).split("```luau\n").skip(1) {
            let code = block.split("\n```").next().unwrap();
            // The others are signatures.
            if code.starts_with("local ") || code.starts_with("return ") {
                let found = errors(&mut checker, code);
                assert!(found.is_empty(), "{}: {found:#?}\n{code}", path.display());
                blocks += 1;
            }
        }
    }
    assert!(blocks >= 2, "{blocks}");
}

#[test]
fn what_is_not_there_is_found() {
    let mut checker = checker();
    for (line, says) in [
        ("return ctx.guildid", "guildid"),
        ("ctx.store = {}", "store"),
        ("return ctx.DataStores.StatsStore:stat()", "stat"),
        ("return ctx.DataStores.StatsStore:stats().total_guild", "total_guild"),
        ("return ctx:has_cap(1)", "string"),
        ("return event.data.keys", "keys"),
        ("task.wait(\"long\")", "number"),
    ] {
        let source = format!("return function(event: KeyExpiryEvent, ctx: TemplateContext): any {line} end");
        let found = errors(&mut checker, &source);
        assert!(found.iter().any(|error| error.contains(says)), "{line}: {found:?}");
    }
}
