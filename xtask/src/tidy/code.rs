//! Rules about single words in Rust code: what may not be written, and the few places where it may.
//!
//! Rules that `clippy.toml` can say alone are said there; what is here either has exceptions by file, or must
//! hold in code that clippy doesn't compile.

use super::layers::{Layers, blank, block_length, line_at, lines_with, positions};
use super::tree::{File, Tree};
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "Unfinished work", anchor: "unfinished-work", check: unfinished },
    Rule { name: "Expect with a reason", anchor: "expect-with-a-reason", check: allow },
    Rule { name: "Unsafe code", anchor: "unsafe-code", check: unsafe_code },
    Rule { name: "Bounded queues", anchor: "bounded-queues", check: unbounded },
    Rule { name: "Environment reads", anchor: "environment-reads", check: environment },
    Rule { name: "Global state", anchor: "global-state", check: statics },
];

/// The files that may write `unsafe`, and why they must.
const UNSAFE_FILES: &[(&str, &str)] = &[
    (
        "crates/khronos/src/scheduler/preempt.rs",
        "arms Luau's interrupt from another thread and resumes raw Lua states",
    ),
    (
        "crates/khronos/src/scheduler/preempt/slice.rs",
        "is what Luau calls while a script runs, with raw Lua states",
    ),
    (
        "crates/khronos/src/value/json.rs",
        "builds tables on the Lua stack in one pass, without a handle for each value",
    ),
    (
        "crates/khronos/benches/values.rs",
        "holds the decoder against the plainest code that builds tables on the Lua stack",
    ),
    (
        "crates/khronos/src/memory.rs",
        "asks glibc to give free memory back, which it offers as a C function only",
    ),
];

/// The files with a `thread_local!`. Luau's interrupt is a bare function pointer, so what it needs to know about the
/// running slice can't be passed to it; and the panic hook is called on the thread that panics.
const THREAD_LOCAL_FILES: [&str; 2] = ["crates/khronos/src/scheduler/preempt/slice.rs", STATIC_FILE];

/// The one file with a `static`: the standard library has one panic hook a process.
const STATIC_FILE: &str = "crates/template-worker/src/vm/panic_hook.rs";

/// The one folder that reads the environment.
const CONFIG_FOLDER: &str = "crates/template-worker/src/config/";

/// Comments in Rust, and whole lines in the other files that run or configure something.
fn unfinished(tree: &Tree) -> Vec<Finding> {
    // Put together here, so that this file doesn't hold what it forbids.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let runs = |path: &str| {
        [".luau", ".toml", ".sql", ".yml", ".yaml", ".sh"].iter().any(|end| path.ends_with(end))
            || path.starts_with("scripts/")
            || path.starts_with(".ci/")
    };
    let mut findings = Vec::new();
    for file in tree.files() {
        let layer = match &file.rust {
            Some(layers) => &layers.comments,
            None if runs(&file.path) => &file.text,
            None => continue,
        };
        for mark in &marks {
            findings.extend(lines_with(layer, mark).map(|line| {
                let what = format!(
                    "`{mark}` marks work that is not done; do it now, or open an issue and delete this"
                );
                Finding::new(&file.path, line, what)
            }));
        }
    }
    findings
}

fn allow(tree: &Tree) -> Vec<Finding> {
    let what = "`allow` stays when its cause is gone; write `#[expect(.., reason = \"..\")]`";
    words(tree, |layers| &layers.code, &["#[allow(", "#![allow("], |_| true, |_| what.to_owned())
}

fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let places: Vec<String> =
        UNSAFE_FILES.iter().map(|(path, reason)| format!("{path} ({reason})")).collect();
    let what = format!("`unsafe` is for these files only: {}", places.join(", "));
    let applies = |file: &File| UNSAFE_FILES.iter().all(|(path, _)| *path != file.path);
    words(tree, |layers| &layers.code, &["unsafe"], applies, |_| what.clone())
}

fn unbounded(tree: &Tree) -> Vec<Finding> {
    let forbidden = ["unbounded_channel", "UnboundedSender", "UnboundedReceiver"];
    let what = |word: &str| {
        format!("`{word}` grows without a limit; use a bounded queue, and say what happens when it is full")
    };
    words(tree, |layers| &layers.code, &forbidden, |_| true, what)
}

fn environment(tree: &Tree) -> Vec<Finding> {
    let forbidden = ["env::var", "env::var_os", "env::vars", "env::vars_os"];
    let applies = |file: &File| {
        !file.path.starts_with(CONFIG_FOLDER) && !file.path.starts_with("xtask/") && !file.is_test()
    };
    let what = |word: &str| {
        format!(
            "`{word}` outside {CONFIG_FOLDER}; make it a documented key of the configuration, and pass it in"
        )
    };
    words(tree, |layers| &layers.shipped, &forbidden, applies, what)
}

fn statics(tree: &Tree) -> Vec<Finding> {
    const ADVICE: &str = "build it in `app.rs` and pass it down, so that two can live in one process";
    let mut findings = Vec::new();
    for (file, layers) in tree.rust() {
        if file.in_crate_source().is_none() || file.is_test() {
            continue;
        }
        let (outside, thread_locals) = without_thread_locals(&layers.shipped);
        if !THREAD_LOCAL_FILES.contains(&file.path.as_str()) {
            findings.extend(thread_locals.into_iter().map(|line| {
                let what = format!("`thread_local!` outside {}; {ADVICE}", THREAD_LOCAL_FILES.join(" and "));
                Finding::new(&file.path, line, what)
            }));
        }
        findings.extend(
            lines_with(&outside, "lazy_static").map(|line| {
                Finding::new(&file.path, line, format!("`lazy_static` is global state; {ADVICE}"))
            }),
        );
        if file.path == STATIC_FILE {
            continue;
        }
        let items = positions(&outside, "static").filter(|&at| !outside[..at].ends_with('\''));
        findings.extend(items.map(|at| {
            let what = format!("a `static` is global state; {ADVICE}");
            Finding::new(&file.path, line_at(&outside, at), what)
        }));
    }
    findings
}

/// `code` with its `thread_local!` blocks blanked, and the lines on which they start.
fn without_thread_locals(code: &str) -> (String, Vec<usize>) {
    let mut outside = code.to_owned();
    let mut lines = Vec::new();
    for at in positions(code, "thread_local!") {
        let end = at + block_length(&code[at..]);
        outside.replace_range(at..end, &blank(&code[at..end]));
        lines.push(line_at(code, at));
    }
    (outside, lines)
}

/// A finding for each line of a layer that holds one of `forbidden`, in the files to which the rule applies.
fn words(
    tree: &Tree,
    layer: fn(&Layers) -> &String,
    forbidden: &[&str],
    applies: impl Fn(&File) -> bool,
    what: impl Fn(&str) -> String,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, layers) in tree.rust().filter(|(file, _)| applies(file)) {
        for word in forbidden {
            findings.extend(
                lines_with(layer(layers), word).map(|line| Finding::new(&file.path, line, what(word))),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::lines;

    const SHIPPED: &str = "crates/template-worker/src/vm/reaper.rs";

    #[test]
    fn a_mark_of_unfinished_work_is_found() {
        let mark = ["TO", "DO"].concat();
        assert_eq!(lines("Unfinished work", SHIPPED, &format!("//! x\n// {mark}: later\n")), [2]);
        assert_eq!(lines("Unfinished work", "scripts/test", &format!("# {mark}\n")), [1]);
        assert!(lines("Unfinished work", SHIPPED, &format!("let s = \"{mark}\"; // {mark}S\n")).is_empty());
    }

    #[test]
    fn an_allow_is_found_and_an_expect_is_not() {
        let name = "Expect with a reason";
        assert_eq!(lines(name, SHIPPED, "#![allow(dead_code)]\n\n#[allow(unused)]\nfn f() {}\n"), [3, 1]);
        assert!(lines(name, SHIPPED, "#[expect(unused, reason = \"..\")]\nfn allow(x: u8) {}\n").is_empty());
    }

    #[test]
    fn unsafe_is_found_outside_the_files_that_need_it() {
        let block = "//! unsafe in words\nfn f() { unsafe { g() } }\n";
        assert_eq!(lines("Unsafe code", SHIPPED, block), [2]);
        assert!(lines("Unsafe code", "crates/khronos/src/value/json.rs", block).is_empty());
        assert!(lines("Unsafe code", SHIPPED, "#![forbid(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn an_unbounded_queue_is_found_in_tests_too() {
        let make = "let (a, b) = mpsc::unbounded_channel();\n";
        assert_eq!(lines("Bounded queues", SHIPPED, make), [1]);
        assert_eq!(lines("Bounded queues", "crates/template-worker/tests/api.rs", make), [1]);
        assert!(lines("Bounded queues", SHIPPED, "let (a, b) = mpsc::channel(8);\n").is_empty());
    }

    #[test]
    fn an_environment_read_is_found_outside_the_configuration() {
        let read = "let home = std::env::var(\"HOME\");\nlet all = env::vars();\n";
        assert_eq!(lines("Environment reads", SHIPPED, read), [1, 2]);
        for exempt in
            ["crates/template-worker/src/config/read.rs", "xtask/src/main.rs", "crates/khronos/tests/vm.rs"]
        {
            assert!(lines("Environment reads", exempt, read).is_empty(), "{exempt}");
        }
        assert!(
            lines("Environment reads", SHIPPED, &format!("#[cfg(test)]\nmod tests {{\n{read}}}\n"))
                .is_empty()
        );
    }

    #[test]
    fn a_static_is_found_and_a_static_lifetime_is_not() {
        assert_eq!(lines("Global state", SHIPPED, "const A: u8 = 1;\npub(crate) static B: u8 = 1;\n"), [2]);
        assert_eq!(lines("Global state", SHIPPED, "lazy_static! { }\n"), [1]);
        let harmless = "const A: &'static str = \"static B\";\nfn f<T: 'static>(cell: OnceLock<T>) {}\n";
        assert!(lines("Global state", SHIPPED, harmless).is_empty());
    }

    #[test]
    fn a_thread_local_is_found_outside_the_preempting_file() {
        let slot = "thread_local! {\n    static SLICE: Cell<u8> = Cell::new(0);\n}\n";
        assert_eq!(lines("Global state", SHIPPED, slot), [1]);
        assert!(lines("Global state", super::THREAD_LOCAL_FILES[0], slot).is_empty());
    }
}
