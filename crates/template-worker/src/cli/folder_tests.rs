//! What belongs to a template's folder, and what reading one says about the rest.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn problems(dir: &TempDir) -> Vec<String> {
    read(dir.path(), &Limits::default()).unwrap().problems.iter().map(ToString::to_string).collect()
}

const MANIFEST: (&str, &str) = ("template.toml", "events = [\"MESSAGE_CREATE\"]");
const INIT: (&str, &str) = ("init.luau", "return 1");

#[test]
fn the_files_are_modules_and_aliases_in_every_folder_that_is_not_hidden() {
    let dir = folder(&[
        MANIFEST,
        INIT,
        (".luaurc", "{}"),
        ("lib/a.lua", "return 2"),
        ("lib/notes.md", "no"),
        (".git/hook.luau", "no"),
        ("events/x.json", "{}"),
    ]);
    let folder = read(dir.path(), &Limits::default()).unwrap();
    assert!(folder.problems.is_empty(), "{:?}", folder.problems);
    let draft = folder.draft.unwrap();
    let paths: Vec<_> = draft.bundle.files().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(paths, [".luaurc", "init.luau", "lib/a.lua"]);
    assert_eq!(draft.events.len(), 1);
}

#[test]
fn a_folder_that_is_missing_or_not_a_templates_is_an_error_that_says_so() {
    let dir = folder(&[("x.txt", "")]);
    let error = |path: &Path| format!("{:#}", read(path, &Limits::default()).unwrap_err());
    assert!(error(&dir.path().join("nope")).contains("nope: "), "{}", error(&dir.path().join("nope")));
    assert!(error(&dir.path().join("x.txt")).contains("not a folder"));
    assert!(error(dir.path()).contains("neither `template.toml` nor `init.luau`"));
}

#[test]
fn a_missing_manifest_or_entry_is_a_problem_that_says_what_to_write() {
    let found = problems(&folder(&[INIT]));
    assert!(found[0].starts_with("template.toml:1: ") && found[0].contains("events = ["), "{found:?}");
    let found = problems(&folder(&[MANIFEST, ("other.luau", "")]));
    assert!(found[0].starts_with("init.luau:1: there is no `init.luau`"), "{found:?}");
}

#[test]
fn a_link_is_followed_inside_the_folder_and_nowhere_else() {
    let outside = folder(&[("secret.luau", "return 'secret'")]);
    let dir = folder(&[MANIFEST, INIT]);
    symlink(outside.path().join("secret.luau"), dir.path().join("out.luau")).unwrap();
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    symlink(dir.path(), dir.path().join("loop")).unwrap();
    symlink("init.luau", dir.path().join("in.luau")).unwrap();
    symlink("nothing", dir.path().join("gone.luau")).unwrap();
    let folder = read(dir.path(), &Limits::default()).unwrap();
    let found: Vec<_> = folder.problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("gone.luau:1: the link leads out"), "{found:?}");
    assert!(found[1].starts_with("out.luau:1: the link leads out"), "{found:?}");
    let draft = folder.draft.unwrap();
    let paths: Vec<_> = draft.bundle.files().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(paths, ["in.luau", "init.luau"]);
}

#[test]
fn too_much_source_is_a_problem_of_the_file_that_is_too_much() {
    let dir = folder(&[MANIFEST, INIT, ("lib.luau", &"-".repeat(2000))]);
    let limits = Limits { max_template_source: 1024, ..Limits::default() };
    let found = read(dir.path(), &limits).unwrap().problems;
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("lib.luau:1: "), "{found:?}");
    assert!(found[0].to_string().contains("1024 bytes of source"), "{found:?}");
}

#[test]
fn what_is_not_utf8_has_the_line_of_its_first_bad_byte() {
    let dir = folder(&[MANIFEST, INIT]);
    fs::write(dir.path().join("bad.luau"), b"return 1\n-- \xff").unwrap();
    assert_eq!(problems(&dir), ["bad.luau:2: not UTF-8 text"]);
}

#[test]
fn a_folder_with_the_name_of_a_module_is_just_a_folder() {
    let dir = folder(&[MANIFEST, INIT, ("odd.luau/init.luau", "return 1")]);
    assert!(problems(&dir).is_empty());
}

#[test]
fn the_examples_have_no_problems() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["ping", "message-counter", "invite-filter", "join-raid", "mention-spam"] {
        let folder = read(&examples.join(name), &Limits::default()).unwrap();
        assert!(folder.problems.is_empty(), "{name}: {:?}", folder.problems);
    }
}
