//! Rules about text of every kind: what may not be in any file, and where links lead.

use super::tree::{File, Tree};
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "Machine paths", anchor: "machine-paths", check: machine_paths },
    Rule { name: "Links", anchor: "links", check: links },
];

/// Top folders that exist on one person's machine only.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "home"];

fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let folders: Vec<String> = MACHINE_FOLDERS.iter().map(|folder| format!("/{folder}/")).collect();
    let mut findings = Vec::new();
    for file in tree.files() {
        for (index, line) in file.text.lines().enumerate() {
            let found = folders.iter().filter(|folder| {
                // After a word or a dot it is the middle of a relative path or of an address.
                line.match_indices(folder.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-~})]>".contains(c))
                })
            });
            findings.extend(found.map(|folder| {
                let what = format!(
                    "a path below `{folder}` exists on one machine only; write it from the repository's root"
                );
                Finding::new(&file.path, index + 1, what)
            }));
        }
    }
    findings
}

fn links(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files().iter().filter(|file| file.path.ends_with(".md"));
    pages.flat_map(|page| dead_links(tree, page)).collect()
}

fn dead_links(tree: &Tree, page: &File) -> Vec<Finding> {
    let mut fenced = false;
    let mut findings = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let dead =
                link_targets(line).into_iter().filter(|target| !leads_somewhere(tree, &page.path, target));
            findings.extend(dead.map(|target| {
                Finding::new(
                    &page.path,
                    index + 1,
                    format!("the link leads to `{target}`, which is no file of the repository"),
                )
            }));
        }
    }
    findings
}

/// What the links in one line of Markdown point to: `[text](target)` and `[label]: target`.
fn link_targets(line: &str) -> Vec<String> {
    // Every other piece between backticks is code.
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let labelled = prose.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    let labelled = labelled.and_then(|(_, target)| target.split_whitespace().next());
    inline.chain(labelled).map(|target| target.trim_matches(['<', '>']).to_owned()).collect()
}

/// Whether `target`, written in `page`, is a file or folder of the tree, or nothing that tidy can check.
fn leads_somewhere(tree: &Tree, page: &str, target: &str) -> bool {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    path.is_empty()
        || elsewhere
        || resolve(page, path).is_some_and(|path| path.is_empty() || tree.holds(&path))
}

/// `target` from the root of the repository; `None` where it climbs out of it.
fn resolve(page: &str, target: &str) -> Option<String> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (start, target) = target.strip_prefix('/').map_or((folder, target), |rest| ("", rest));
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::{findings, lines};

    #[test]
    fn a_path_of_one_machine_is_found_in_any_file() {
        let path = ["/ho", "me/ann/templates"].concat();
        assert_eq!(lines("Machine paths", "docs/start.md", &format!("text\nopen `{path}`\n")), [2]);
        assert_eq!(lines("Machine paths", "crates/a/src/lib.rs", &format!("//! see {path}\n")), [1]);
        assert!(
            lines("Machine paths", "docs/start.md", &format!("open .{path}, or https://x.org{path}"))
                .is_empty()
        );
    }

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        let page = "[a](limits.md#memory)\n[b](../gone.md)\n\n[c]: ../../out.md\n";
        let found = findings("Links", &[("docs/start.md", page), ("docs/limits.md", "")]);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2, 4], "{found:?}");
    }

    #[test]
    fn links_to_files_folders_headings_and_elsewhere_pass() {
        let page = "[a](../examples/ping/) [b](#here) [c](https://x.org/gone) [d](/docs/start.md \"title\")\n\
                    `[e](gone)`\n```\n[f](gone)\n```\n[g](..)\n";
        let tree = [("docs/start.md", page), ("examples/ping/init.luau", "")];
        assert_eq!(findings("Links", &tree), []);
    }
}
