//! The pages about extending quote the code as it is. That the files which they name exist is checked with all links.

use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/extending")
}

/// What `](..)` leads to, the last of a line.
fn target(line: &str) -> Option<&str> {
    line.rsplit_once("](")?.1.split_once(')').map(|(target, _)| target)
}

/// The blocks of Rust in a page: after which file, and their lines without indentation.
fn quotes(page: &str) -> Vec<(Option<&str>, Vec<&str>)> {
    let (mut quotes, mut file, mut block) = (Vec::new(), None, None);
    for line in page.lines().map(str::trim) {
        match (line, &mut block) {
            ("```rust", None) => block = Some(Vec::new()),
            ("```", Some(_)) => quotes.extend(block.take().map(|lines| (file.take(), lines))),
            (line, Some(lines)) => lines.push(line),
            (line, None) if line.ends_with("):") => file = target(line),
            _ => {}
        }
    }
    quotes
}

#[test]
fn what_the_pages_quote_stands_in_the_files_that_they_name_in_that_order() {
    let mut pages = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        pages += 1;
        for (file, lines) in quotes(&page) {
            let file = file.unwrap_or_else(|| panic!("{}: whose code is {lines:#?}?", path.display()));
            let code = fs::read_to_string(folder().join(file)).unwrap();
            let mut rest = code.lines().map(str::trim);
            for line in lines {
                assert!(rest.any(|there| there == line), "{}: not in {file}: {line}", path.display());
            }
        }
    }
    assert_eq!(pages, 6);
}

#[test]
fn every_page_is_in_the_index_and_says_which_tests_it_needs() {
    let index = fs::read_to_string(folder().join("README.md")).unwrap();
    for page in ["strategy", "limit", "sandbox-rule", "event-type", "plugin"] {
        assert!(index.contains(&format!("({page}.md)")), "{page}");
        let text = fs::read_to_string(folder().join(format!("{page}.md"))).unwrap();
        assert!(text.contains("\n## Steps\n") && text.contains("\n## Tests\n"), "{page}");
    }
}
