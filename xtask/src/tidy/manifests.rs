//! Rules about `Cargo.toml`: every crate takes the workspace's settings, and the crates depend one way.

use super::layers::lines_with;
use super::tree::{File, Tree};
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "Workspace settings", anchor: "workspace-settings", check: settings },
    Rule { name: "Crate dependencies", anchor: "crate-dependencies", check: dependencies },
];

/// What every crate takes from the workspace: section, key.
const INHERITED: &[(&str, &str)] = &[
    ("package", "version.workspace"),
    ("package", "edition.workspace"),
    ("package", "rust-version.workspace"),
    ("package", "license.workspace"),
    ("package", "publish.workspace"),
    ("lints", "workspace"),
];

/// The crates of the workspace, and what each may depend on.
const CRATES: &[Crate] = &[
    Crate { name: "khronos", folder: "crates/khronos", depends: &[], tests_depend: &[] },
    Crate {
        name: "template-worker",
        folder: "crates/template-worker",
        depends: &["khronos"],
        tests_depend: &["testkit"],
    },
    Crate { name: "testkit", folder: "crates/testkit", depends: &["template-worker"], tests_depend: &[] },
    Crate { name: "xtask", folder: "xtask", depends: &[], tests_depend: &[] },
];

struct Crate {
    name: &'static str,
    folder: &'static str,
    /// Crates of the workspace that it may build on.
    depends: &'static [&'static str],
    /// Crates of the workspace that only its tests and benches may use.
    tests_depend: &'static [&'static str],
}

/// One `key = value` of a manifest.
struct Entry<'a> {
    line: usize,
    section: &'a str,
    key: &'a str,
    value: &'a str,
}

fn settings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, _) in manifests(tree) {
        for (section, key) in INHERITED {
            let inherits = entries(&manifest.text)
                .any(|entry| entry.section == *section && entry.key == *key && entry.value == "true");
            if !inherits {
                let what = format!(
                    "`{key} = true` is missing in `[{section}]`; every crate takes the workspace's settings"
                );
                findings.push(Finding::new(&manifest.path, 1, what));
            }
        }
    }
    findings
}

fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, folder) in manifests(tree) {
        let Some(owner) = CRATES.iter().find(|known| known.folder == folder) else {
            let what = "a new crate needs a second user or a compile-time reason; with one, give it a row in `CRATES` of \
                        xtask/src/tidy/manifests.rs";
            findings.push(Finding::new(&manifest.path, 1, what));
            continue;
        };
        for (line, name, for_tests) in dependency_names(&manifest.text) {
            let known = CRATES.iter().any(|known| known.name == name);
            let allowed = owner.depends.contains(&name) || for_tests && owner.tests_depend.contains(&name);
            if known && !allowed {
                let whose = if for_tests { "the tests of " } else { "" };
                let what =
                    format!("{whose}`{}` may not depend on `{name}`; crates depend one way", owner.name);
                findings.push(Finding::new(&manifest.path, line, what));
            }
        }
    }
    // Cargo would refuse it in code; a path in a macro or behind a `cfg` it wouldn't see.
    for (file, layers) in tree.rust().filter(|(file, _)| file.path.starts_with("crates/khronos/")) {
        findings.extend(lines_with(&layers.code, "template_worker").map(|line| {
            Finding::new(
                &file.path,
                line,
                "khronos is one VM and knows nothing of the service; turn the dependency round",
            )
        }));
    }
    findings
}

/// The manifests of the workspace's crates, each with the folder of its crate.
fn manifests(tree: &Tree) -> impl Iterator<Item = (&File, &str)> {
    tree.files().iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        let is_crate =
            folder == "xtask" || folder.strip_prefix("crates/").is_some_and(|name| !name.contains('/'));
        is_crate.then_some((file, folder))
    })
}

/// Line, name, and whether it is for tests only, of each dependency.
fn dependency_names(manifest: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let of_section = sections(manifest).filter_map(|(line, section)| {
        let (section, name) = section.rsplit_once("dependencies.")?;
        Some((line, name, section.ends_with("dev-")))
    });
    let of_entry = entries(manifest).filter_map(|entry| {
        let section = entry.section.strip_suffix("dependencies")?;
        Some((entry.line, entry.key.split('.').next()?, section.ends_with("dev-")))
    });
    of_section.chain(of_entry)
}

/// The entries of a manifest, by the subset of TOML that manifests are written in: one entry a line.
fn entries(manifest: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut section = "";
    manifest.lines().enumerate().filter_map(move |(index, line)| {
        if let Some(name) = section_name(line) {
            section = name;
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some(Entry { line: index + 1, section, key: key.trim(), value: value.split('#').next()?.trim() })
    })
}

fn sections(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    manifest.lines().enumerate().filter_map(|(index, line)| Some((index + 1, section_name(line)?)))
}

fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split(']').next()
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::{findings, lines};

    const INHERITING: &str = "[package]\nname = \"khronos\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\n[lints]\nworkspace = true\n";

    #[test]
    fn a_crate_with_settings_of_its_own_is_found() {
        let own = INHERITING.replace("edition.workspace = true", "edition = \"2021\"");
        let found = findings("Workspace settings", &[("crates/khronos/Cargo.toml", &own)]);
        assert!(matches!(&*found, [one] if one.what.contains("edition.workspace")), "{found:?}");
        let without_lints = INHERITING.replace("[lints]\nworkspace = true", "");
        assert_eq!(lines("Workspace settings", "xtask/Cargo.toml", &without_lints), [1]);
        assert!(lines("Workspace settings", "crates/khronos/Cargo.toml", INHERITING).is_empty());
    }

    #[test]
    fn a_dependency_against_the_direction_is_found() {
        let rule = "Crate dependencies";
        assert_eq!(
            lines(rule, "crates/khronos/Cargo.toml", "[dependencies]\ntemplate-worker.workspace = true\n"),
            [2]
        );
        assert_eq!(
            lines(rule, "crates/khronos/Cargo.toml", "[dev-dependencies.testkit]\nworkspace = true\n"),
            [1]
        );
        assert_eq!(
            lines(rule, "crates/template-worker/Cargo.toml", "[dependencies]\ntestkit = { path = \"..\" }\n"),
            [2]
        );
        let right = "[dependencies]\nkhronos.workspace = true\nserde.workspace = true\n\n[dev-dependencies]\ntestkit.workspace = true\n";
        assert!(lines(rule, "crates/template-worker/Cargo.toml", right).is_empty());
    }

    #[test]
    fn a_fifth_crate_is_found() {
        assert_eq!(lines("Crate dependencies", "crates/fifth/Cargo.toml", INHERITING), [1]);
    }

    #[test]
    fn khronos_does_not_name_the_service() {
        let import = "//! template_worker\nuse template_worker::vm;\n";
        assert_eq!(lines("Crate dependencies", "crates/khronos/tests/vm.rs", import), [2]);
        assert!(lines("Crate dependencies", "crates/testkit/src/lib.rs", import).is_empty());
    }
}
