//! The pages and type files are those of the code, leave nothing out, and mention nothing that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use khronos::declare::{Field, Function, Type};

use super::surface::{self, event_type};
use super::{Written, names, pages, types};
use crate::capabilities::CLOSED_LIST;
use crate::events::{DISCORD, SERVICE};
use crate::execution::{CONTEXT, TABLES};
use crate::host::calls::HostCall;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> String {
    let page = pages().into_iter().find(|page| page.path == name);
    page.unwrap_or_else(|| panic!("there is no page {name}")).text
}

/// Holds the files of a folder against what they have to be.
fn hold(folder: &str, made: &[Written], command: &str) {
    let told = format!("rewrite them with: cargo run -- {command} {folder}");
    for file in made {
        let path = root().join(folder).join(&file.path);
        let there =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; {told}", path.display()));
        assert!(there == file.text, "{} is not what the declarations say; {told}", path.display());
    }
    let made: BTreeSet<PathBuf> = made.iter().map(|file| root().join(folder).join(&file.path)).collect();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(made.contains(&path), "{} is made of nothing: remove it", path.display());
            }
        }
    }
}

#[test]
fn the_pages_of_the_reference_are_those_of_the_declarations() {
    hold("docs/reference", &pages(), "reference");
}

#[test]
fn the_type_files_are_those_of_the_declarations() {
    hold("types", &types(), "types");
}

#[test]
fn no_event_call_capability_or_module_is_missing_from_the_pages() {
    let events = page("events.md");
    for event in DISCORD.iter().chain(SERVICE.iter().map(|event| &event.name)) {
        assert!(events.contains(&format!("`{event}`")), "{event}");
    }
    for event in SERVICE {
        for field in event.data {
            assert!(events.contains(&format!("| `{}` | ", field.name)), "{}.{}", event.name, field.name);
        }
    }
    let capabilities = page("capabilities.md");
    for entry in CLOSED_LIST {
        assert!(capabilities.contains(&format!("| `{}` | ", entry.form)), "{}", entry.form);
    }
    let all: String = pages().into_iter().map(|page| page.text).collect();
    for family in HostCall::families() {
        for declared in family.calls {
            let (object, name) = (family.object, declared.function.name);
            let place =
                family.place_of(declared).map_or_else(|| format!("ctx.{object}"), |ty| ty.name.to_owned());
            assert!(all.contains(&format!("\n{place}:{name}(")), "{object}.{name}");
        }
        for method in family.beside.map_or(&[][..], |beside| beside.methods) {
            assert!(all.contains(&format!("\nctx.{}:{}(", family.object, method.name)), "{}", method.name);
        }
    }
    for field in CONTEXT.fields {
        assert!(all.contains(&format!("| `{}` | ", field.name)), "{}", field.name);
    }
    for module in khronos::modules() {
        let name = module.path.rsplit('/').next().unwrap();
        assert!(all.contains(&format!("\n## `{}`\n", module.path)), "{}", module.path);
        for function in module.functions {
            assert!(
                all.contains(&format!("\n{name}.{}(", function.name)),
                "{}.{}",
                module.path,
                function.name
            );
        }
    }
    assert!(page("README.md").contains("(../limits.md)"), "a test of that page holds it against the limits");
}

#[test]
fn every_call_is_gated_by_a_form_of_the_closed_list_and_has_a_rate() {
    for family in HostCall::families() {
        for declared in family.calls {
            let (object, name, form) = (family.object, declared.function.name, declared.capability);
            let is_listed = CLOSED_LIST.iter().any(|entry| entry.stands_for(form));
            assert!(form.is_empty() || is_listed, "{object}.{name}: {form}");
            assert!(!declared.buckets.is_empty(), "{object}.{name}");
        }
    }
}

/// The names of all types that the definitions have.
fn type_names() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = surface::of_context().iter().map(|ty| ty.name.to_owned()).collect();
    all.insert(CONTEXT.name.to_owned());
    for object in surface::objects() {
        all.insert(object.ty());
        all.extend(object.inside.iter().map(surface::Object::ty));
        all.extend(object.extended().map(|ty| ty.name.to_owned()));
    }
    for shown in surface::modules() {
        all.extend(shown.module.types.iter().map(|ty| shown.ty(ty.name)));
    }
    all.extend(SERVICE.iter().flat_map(|event| [event.name.to_owned(), event_type(event.name)]));
    all.extend(DISCORD.iter().map(|name| event_type(name)));
    all
}

/// Every type that is written down somewhere, with where.
fn written_types() -> Vec<(String, String)> {
    let same = |text: &str| text.to_owned();
    let mut all = Vec::new();
    let mut note = |place: &str, functions: &[Function], fields: &[Field], ty: &dyn Fn(&str) -> String| {
        for function in functions {
            let place = format!("{place}.{}", function.name);
            all.push((place.clone(), ty(function.returns)));
            all.extend(function.parameters.iter().map(|parameter| (place.clone(), ty(parameter.ty))));
        }
        all.extend(fields.iter().map(|field| (format!("{place}.{}", field.name), ty(field.ty))));
    };
    note("globals", khronos::GLOBALS, &[], &same);
    note("task", khronos::TASK, &[], &same);
    let mut of_type = |ty: &Type, name: &dyn Fn(&str) -> String| {
        note(ty.name, ty.methods, ty.fields, name);
        note(ty.name, ty.operators, &[], name);
    };
    of_type(&CONTEXT, &same);
    for ty in TABLES.iter().chain(surface::of_context()) {
        of_type(ty, &same);
    }
    for shown in surface::modules() {
        for ty in shown.module.types {
            of_type(ty, &|text| shown.ty(text));
        }
    }
    for shown in surface::modules() {
        note(shown.module.path, shown.module.functions, shown.module.fields, &|text| shown.ty(text));
    }
    for event in SERVICE {
        note(event.name, &[], event.data, &same);
    }
    for family in HostCall::families() {
        let functions: Vec<Function> = family.calls.iter().map(|declared| declared.function).collect();
        note(family.object, &functions, &[], &same);
        for beside in family.beside.into_iter().chain(family.extended) {
            note(family.object, beside.methods, beside.fields, &same);
        }
    }
    all
}

#[test]
fn every_type_that_is_mentioned_is_described_and_no_two_have_one_name() {
    let known = type_names();
    for (place, text) in written_types() {
        for name in names::mentioned(&text) {
            assert!(known.contains(name), "{place} has the type `{text}`, and nobody describes `{name}`");
        }
    }
    let definitions = types().remove(0).text;
    let heads = definitions.lines().filter_map(|line| {
        let rest = line.strip_prefix("export type ").or_else(|| line.strip_prefix("declare extern type "))?;
        rest.split(' ').next()
    });
    let mut seen = BTreeSet::new();
    for name in heads {
        assert!(seen.insert(name.to_owned()), "`{name}` is there twice");
    }
    assert_eq!(seen, known);
}

#[test]
fn everything_has_a_description_that_ends_a_sentence() {
    let check = |place: &str, doc: &str| {
        let doc = surface::lines(doc).join(" ");
        assert!(doc.ends_with(['.', ':', '`', ')']), "{place}: {doc:?}");
    };
    for family in HostCall::families() {
        check(family.object, family.doc);
        for declared in family.calls {
            let place = format!("{}.{}", family.object, declared.function.name);
            check(&place, declared.function.doc);
            for parameter in declared.function.parameters {
                check(&format!("{place}: {}", parameter.name), parameter.doc);
            }
        }
        for ty in family.types.iter().chain(family.extended) {
            check(ty.name, ty.doc);
        }
    }
    for event in SERVICE {
        check(event.name, event.doc);
    }
    for module in khronos::modules() {
        check(module.path, module.doc);
    }
}

#[test]
fn a_module_and_an_example_are_luau() {
    let compile = |name: &str, source: &str| {
        let bundle = khronos::Bundle::new([("init.luau".to_owned(), source.to_owned())]).unwrap();
        let compiled = khronos::BytecodeCache::default().compile(&bundle);
        assert!(compiled.is_ok(), "{name}: {:?}", compiled.err());
    };
    for module in types().iter().skip(1) {
        compile(&module.path, &module.text);
    }
    // A signature is no program: it has types in place of arguments.
    for page in pages() {
        for block in page.text.split("```luau\n").skip(1) {
            let code = block.split("\n```").next().unwrap();
            if code.starts_with("local ") || code.starts_with("return ") {
                compile(&page.path, code);
            }
        }
    }
}

#[test]
fn the_type_of_an_event_is_called_as_luau_names_types() {
    assert_eq!(event_type("MESSAGE_CREATE"), "MessageCreateEvent");
    assert_eq!(event_type("KeyExpiry"), "KeyExpiryEvent");
}
