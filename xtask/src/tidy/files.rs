//! Rules about a file as a whole: how it opens, how long it is, what it is called.
//!
//! What is written inside it is for `code` and `text`.

use super::layers::lines_with;
use super::tree::Tree;
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "File header", anchor: "file-header", check: header },
    Rule { name: "File length", anchor: "file-length", check: length },
    Rule { name: "Names", anchor: "names", check: names },
];

/// Past this many lines a Rust file is two files.
const MOST_LINES: usize = 600;
/// What a Rust file should stay below.
const GOOD_LINES: usize = 400;

/// Names that say nothing about what is inside.
const VAGUE: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

fn header(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(file, _)| !file.text.starts_with("//!"))
        .map(|(file, _)| {
            Finding::new(
                &file.path,
                1,
                "the first line is no `//!` that says what the file owns and leaves to others",
            )
        })
        .collect()
}

fn length(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .map(|(file, _)| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(file, lines)| {
            let what = format!(
                "{lines} lines, and at most {MOST_LINES} are allowed; split it where it changes the subject \
                 (about {GOOD_LINES} lines a file is the aim)"
            );
            Finding::new(&file.path, MOST_LINES + 1, what)
        })
        .collect()
}

fn names(tree: &Tree) -> Vec<Finding> {
    let what =
        |name: &str| format!("`{name}` says nothing about what is inside; name it for the thing it owns");
    let mut findings = Vec::new();
    for file in tree.files() {
        let vague = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        findings.extend(
            vague.filter(|name| VAGUE.contains(name)).map(|name| Finding::new(&file.path, 1, what(name))),
        );
    }
    for (file, layers) in tree.rust() {
        for name in VAGUE {
            // With its opening brace: a module in a file of its own was found by the name of that file.
            let inline = format!("mod {name} {{");
            findings.extend(
                lines_with(&layers.code, &inline).map(|line| Finding::new(&file.path, line, what(name))),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::{findings, lines};

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(lines("File header", "crates/a/src/lib.rs", "// Runs things.\n"), [1]);
        assert_eq!(lines("File header", "crates/a/tests/run.rs", "use a::b;\n"), [1]);
        assert!(lines("File header", "crates/a/src/lib.rs", "//! Runs things.\n").is_empty());
        assert!(lines("File header", "examples/ping/init.luau", "return 'pong'\n").is_empty());
    }

    #[test]
    fn a_file_past_600_lines_is_found() {
        assert_eq!(lines("File length", "xtask/src/main.rs", &"x\n".repeat(601)), [601]);
        assert!(lines("File length", "xtask/src/main.rs", &"x\n".repeat(600)).is_empty());
        assert!(lines("File length", "docs/events.md", &"x\n".repeat(601)).is_empty());
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for path in ["crates/a/src/utils.rs", "crates/a/tests/common/mod.rs", "scripts/helpers"] {
            assert_eq!(findings("Names", &[(path, "")]).len(), 1, "{path}");
        }
        assert_eq!(lines("Names", "crates/a/src/vm.rs", "\nmod misc {}\n"), [2]);
        assert!(lines("Names", "crates/a/src/common_events.rs", "mod reply;\n").is_empty());
    }
}
