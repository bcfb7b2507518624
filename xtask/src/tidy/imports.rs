//! The import table: which top module of `template-worker` may use which.
//!
//! Owns the table and the reading of `crate::` and `super::` paths. What the crates may import from each other
//! is for `manifests`.

use std::collections::BTreeSet;

use super::layers::{line_at, positions};
use super::tree::{File, Tree};
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[Rule { name: "Imports", anchor: "imports", check: imports }];

/// Modules that put the others together, and so may use them all. Nobody uses them, but for `api`, whose handlers get
/// the `App`.
const BUILDERS: &[&str] = &["main", "lib", "cli", "app"];

/// Modules that everyone may use. They use only each other.
const LEAVES: &[&str] = &[
    "cursor",
    "ids",
    "limits",
    "error",
    "metrics",
    "telemetry",
    "settings",
    "nearest",
    "places",
    "remembered",
    "shutdown",
    "tls",
];

/// Every other module, and what it may use beside the leaves.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "api",
        &[
            "app",
            "dispatch",
            "events",
            "template",
            "storage",
            "vm",
            "config",
            "capabilities",
            "execution",
            "host",
        ],
    ),
    ("sources", &["dispatch", "events", "template", "storage", "vm"]),
    ("dispatch", &["events", "template", "vm", "execution", "storage", "capabilities"]),
    ("vm", &["execution", "template", "events", "config", "capabilities", "host"]),
    ("execution", &["plugins", "host", "capabilities", "template", "events"]),
    ("plugins", &["host", "capabilities"]),
    ("host", &["storage", "capabilities", "template", "events", "config"]),
    ("reference", &["execution", "host", "capabilities", "events"]),
    ("storage", &["template", "capabilities", "events"]),
    ("config", &["events", "template", "capabilities"]),
    ("events", &["config", "template", "capabilities"]),
    ("template", &["config", "events", "capabilities"]),
    ("capabilities", &["config", "events", "template"]),
];

/// Where a path in a file leads: the byte at which it starts, and the name after `crate::`.
type Import<'a> = (usize, &'a str);

fn imports(tree: &Tree) -> Vec<Finding> {
    let modules: BTreeSet<&str> = service_files(tree).map(|(_, module, _)| module).collect();
    let mut findings = Vec::new();
    let mut without_row = modules.clone();
    for (file, module, code) in service_files(tree) {
        if BUILDERS.contains(&module) {
            continue;
        }
        let Some(may_use) = row(module) else {
            if without_row.remove(module) {
                let what = format!(
                    "the module `{module}` has no row in the import table of xtask/src/tidy/imports.rs"
                );
                findings.push(Finding::new(&file.path, 1, what));
            }
            continue;
        };
        for (at, name) in paths_from_root(code, &file.path) {
            if name == module || LEAVES.contains(&name) || may_use.contains(&name) {
                continue;
            }
            let what = if modules.contains(name) || row(name).is_some() {
                format!("`{module}` may not use `{name}`; it may use {}", list(may_use))
            } else {
                format!(
                    "`{name}` is no module; import it from the module that owns it, where the import table sees it"
                )
            };
            findings.push(Finding::new(&file.path, line_at(code, at), what));
        }
    }
    findings
}

/// What `module` may use beside itself and the leaves.
fn row(module: &str) -> Option<&'static [&'static str]> {
    if LEAVES.contains(&module) {
        return Some(&[]);
    }
    MAY_USE.iter().find(|(name, _)| *name == module).map(|(_, may_use)| *may_use)
}

fn list(may_use: &[&str]) -> String {
    let names: Vec<String> = may_use.iter().chain(LEAVES).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The service's own files: the file, its top module, and the code in it that ships.
fn service_files(tree: &Tree) -> impl Iterator<Item = (&File, &str, &str)> {
    tree.rust().filter(|(file, _)| !file.is_test()).filter_map(|(file, layers)| {
        let ("template-worker", rest) = file.in_crate_source()? else { return None };
        let module = rest.split('/').next()?;
        Some((file, module.strip_suffix(".rs").unwrap_or(module), layers.shipped.as_str()))
    })
}

/// The paths in `code` that start at the root of the crate: those after `crate::`, and those after as many
/// `super::` as it takes to climb there from `path`.
fn paths_from_root<'a>(code: &'a str, path: &str) -> Vec<Import<'a>> {
    let climb = "super::".repeat(depth(path));
    // A longer climb holds a shorter one, which is no path of its own.
    let climbs = positions(code, &climb).filter(|&at| !code[..at].ends_with("::"));
    let climbs: Vec<usize> = climbs.map(|at| at + climb.len()).collect();
    let roots = positions(code, "crate::").map(|at| at + "crate::".len());
    let mut found: Vec<Import<'_>> = roots.chain(climbs).flat_map(|at| names_at(code, at)).collect();
    // A climb that ends one folder early goes on with `super`, and so stays inside its module.
    found.retain(|(_, name)| !["super", "self"].contains(name));
    found.sort_unstable();
    found
}

/// How many modules lie between the file at `path` and the root of its crate.
fn depth(path: &str) -> usize {
    let below = path.split_once("/src/").map_or(path, |(_, below)| below);
    below.trim_end_matches("/mod.rs").split('/').count()
}

/// The first names of what follows at `at`: one, or each of a group in braces.
fn names_at(code: &str, at: usize) -> Vec<Import<'_>> {
    let rest = &code[at..];
    if !rest.starts_with('{') {
        return word_at(code, at).into_iter().collect();
    }
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for (offset, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (c == '{' || c == ',') {
            let gap = rest[offset + 1..].len() - rest[offset + 1..].trim_start().len();
            names.extend(word_at(code, at + offset + 1 + gap));
        }
    }
    names
}

fn word_at(code: &str, at: usize) -> Option<Import<'_>> {
    let rest = &code[at..];
    if rest.starts_with('*') {
        return Some((at, &rest[..1]));
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then_some((at, &rest[..end]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{BUILDERS, LEAVES, MAY_USE};
    use crate::tidy::tests::{findings, lines};

    const REAPER: &str = "crates/template-worker/src/vm/reaper.rs";

    #[test]
    fn an_import_outside_the_table_is_found_in_every_way_to_write_it() {
        let ways = [
            "use crate::api::Router;\n",
            "use crate::{events::Event, api::Router};\n",
            "use crate::{\n    events::{Event, Name},\n    api,\n};\n",
            "fn f() -> crate::api::Router { g() }\n",
            "use super::super::api;\n",
            "use super::super::{events, api};\n",
        ];
        for way in ways {
            let found = findings("Imports", &[(REAPER, way)]);
            assert!(matches!(&*found, [one] if one.what.contains("may not use `api`")), "{way}: {found:?}");
        }
        assert_eq!(lines("Imports", REAPER, "//! x\n\nuse crate::{\n    ids,\n    api,\n};\n"), [5]);
        assert_eq!(lines("Imports", "crates/template-worker/src/dispatch.rs", "use super::api;\n"), [1]);
    }

    #[test]
    fn imports_of_the_table_the_module_itself_and_the_leaves_pass() {
        let text = "use crate::execution::Engine;\nuse crate::vm::action::LuaVmAction;\nuse crate::{ids::GuildId, limits};\n\
                    use super::reply;\nuse super::strategy::{self, api};\nuse std::time::Duration;\n";
        assert_eq!(findings("Imports", &[(REAPER, text)]), []);
    }

    #[test]
    fn leaves_use_only_leaves() {
        assert_eq!(lines("Imports", "crates/template-worker/src/ids.rs", "use crate::error::Error;\n"), []);
        assert_eq!(
            lines("Imports", "crates/template-worker/src/ids.rs", "use crate::template::Name;\n"),
            [1]
        );
    }

    #[test]
    fn nobody_uses_the_modules_that_build_everything() {
        assert_eq!(lines("Imports", REAPER, "use crate::app::App;\n"), [1]);
        assert_eq!(lines("Imports", "crates/template-worker/src/cli/serve.rs", "use crate::app::App;\n"), []);
    }

    #[test]
    fn tests_and_other_crates_are_not_in_the_table() {
        let import = "use crate::app::App;\n";
        assert_eq!(lines("Imports", REAPER, &format!("#[cfg(test)]\nmod tests {{ {import} }}\n")), []);
        assert_eq!(lines("Imports", "crates/template-worker/src/vm/strategy/contract_tests.rs", import), []);
        assert_eq!(lines("Imports", "crates/khronos/src/runtime.rs", import), []);
    }

    #[test]
    fn a_module_without_a_row_is_found_once() {
        let files =
            [("crates/template-worker/src/shop/a.rs", ""), ("crates/template-worker/src/shop/b.rs", "")];
        assert_eq!(findings("Imports", &files).len(), 1);
    }

    #[test]
    fn an_item_without_its_module_is_found() {
        assert_eq!(lines("Imports", REAPER, "use crate::Dispatcher;\n"), [1]);
        assert_eq!(lines("Imports", REAPER, "use crate::*;\n"), [1]);
    }

    #[test]
    fn every_module_of_the_table_has_one_place_in_it() {
        let rows = MAY_USE.iter().map(|(module, _)| module);
        let all: Vec<_> = BUILDERS.iter().chain(LEAVES).chain(rows).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for (module, may_use) in MAY_USE {
            let unknown: Vec<_> = may_use.iter().filter(|used| !all.contains(used)).collect();
            assert!(unknown.is_empty(), "`{module}` may use {unknown:?}, which the table doesn't know");
        }
    }
}
