//! House rules as checks: every rule of `docs/house-rules.md` that a machine can read.
//!
//! Owns what a [`Rule`] is, the list of them all, and the report. The rules themselves live one group a file
//! (`files`, `code`, `text`, `manifests`, `imports`); which files they see is decided in `tree`, and what
//! counts as code, comment or test in `layers`.

mod code;
mod files;
mod imports;
mod layers;
mod manifests;
mod text;
mod tree;

use std::io::{self, Write};

pub(crate) use tree::Tree;

/// The page that explains every rule, under a heading that is the rule's name.
const PAGE: &str = "docs/house-rules.md";

/// One house rule.
pub(crate) struct Rule {
    /// The heading of the rule in `docs/house-rules.md`.
    name: &'static str,
    /// Where the page explains it: the name as a link target.
    anchor: &'static str,
    /// Everything in the tree that breaks the rule.
    check: fn(&Tree) -> Vec<Finding>,
}

/// One place where a rule is broken, as its check saw it.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// Path from the root of the repository.
    path: String,
    /// Counted from 1.
    line: usize,
    /// What is wrong, and what to do instead.
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

/// Every rule, in the order of the page.
fn rules() -> impl Iterator<Item = &'static Rule> {
    [files::RULES, code::RULES, text::RULES, manifests::RULES, imports::RULES].into_iter().flatten()
}

/// Checks every rule and stops at none, so that one run shows all there is to mend.
pub(crate) fn check(tree: &Tree) -> Vec<(&'static Rule, Finding)> {
    rules().flat_map(|rule| (rule.check)(tree).into_iter().map(move |finding| (rule, finding))).collect()
}

/// Writes one line for each finding, with the link to its rule, and a closing line with the counts.
///
/// # Errors
/// Only what `out` itself reports.
pub(crate) fn report(
    tree: &Tree,
    findings: &[(&'static Rule, Finding)],
    out: &mut impl Write,
) -> io::Result<()> {
    for (rule, Finding { path, line, what }) in findings {
        writeln!(out, "{path}:{line}: {what} ({}: {PAGE}#{})", rule.name, rule.anchor)?;
    }
    let (files, rules) = (tree.files().len(), rules().count());
    match findings.len() {
        0 => writeln!(out, "tidy: {files} files keep all {rules} rules"),
        broken => writeln!(out, "tidy: {broken} findings in {files} files, checked against {rules} rules"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What the rule called `name` says about a tree of these files.
    pub(super) fn findings(name: &str, files: &[(&str, &str)]) -> Vec<Finding> {
        let rule = rules().find(|rule| rule.name == name).expect("a rule of that name");
        (rule.check)(&Tree::of(files))
    }

    /// As [`findings`], for one file, and only the lines.
    pub(super) fn lines(name: &str, path: &str, text: &str) -> Vec<usize> {
        findings(name, &[(path, text)]).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn every_rule_is_explained_under_its_anchor() {
        let page = include_str!("../../docs/house-rules.md");
        let headings: HashSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        for rule in rules() {
            assert!(headings.contains(rule.name), "{PAGE} has no heading `### {}`", rule.name);
            assert_eq!(
                rule.anchor,
                rule.name.to_lowercase().replace(' ', "-"),
                "the link would lead nowhere"
            );
        }
    }

    #[test]
    fn no_two_rules_share_an_anchor() {
        let anchors: HashSet<&str> = rules().map(|rule| rule.anchor).collect();
        assert_eq!(anchors.len(), rules().count());
    }

    #[test]
    fn a_finding_is_reported_with_its_place_and_a_link_to_the_rule() {
        let tree = Tree::of(&[("crates/khronos/src/vm.rs", "fn f() {}\n")]);
        let mut out = Vec::new();
        report(&tree, &check(&tree), &mut out).expect("a vector takes every write");
        let out = String::from_utf8(out).expect("the report is text");
        assert!(out.contains("crates/khronos/src/vm.rs:1: "), "{out}");
        assert!(out.contains("(File header: docs/house-rules.md#file-header)"), "{out}");
    }

    #[test]
    fn all_findings_are_reported_at_once() {
        let tree = Tree::of(&[("crates/a/src/utils.rs", "unsafe fn f() {}\n")]);
        let broken: HashSet<&str> = check(&tree).iter().map(|(rule, _)| rule.anchor).collect();
        assert!(broken.is_superset(&HashSet::from(["file-header", "names", "unsafe-code"])), "{broken:?}");
    }
}
