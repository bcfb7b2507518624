//! The command line as a user has it: arguments in, texts and an exit code out. What needs a running service is tested
//! from outside, with the binary.

use std::path::Path;

use clap::CommandFactory;

use super::*;

struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

/// Runs a command with `stdin` for input.
fn run_with(args: &[&str], stdin: &str) -> Ran {
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), stdin.as_bytes());
    let mut console = Console { input: &mut input, out: &mut out, err: &mut err };
    let args = ["template-worker"].iter().chain(args).map(OsString::from);
    let exit = main(args, Environment::default(), &mut console);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { exit, out: text(out), err: text(err) }
}

fn run(args: &[&str]) -> Ran {
    run_with(args, "")
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn example(name: &str) -> String {
    format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_and_says_its_exit_codes() {
    let commands: [&[&str]; 14] = [
        &[],
        &["serve"],
        &["run"],
        &["check"],
        &["test"],
        &["init"],
        &["types"],
        &["reference"],
        &["config"],
        &["token"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke"],
        &["vm-process"],
    ];
    for command in commands {
        let ran = run(&[command, &["--help"]].concat());
        assert_eq!(ran.exit, Exit::Success, "{command:?}");
        assert!(ran.out.contains("Exit codes:\n  0"), "{command:?}: {}", ran.out);
        assert!(ran.out.contains("Example"), "{command:?}: {}", ran.out);
        assert!(ran.err.is_empty(), "{command:?}: {}", ran.err);
    }
}

#[test]
fn the_version_goes_to_stdout() {
    let ran = run(&["--version"]);
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Exit::Success, concat!("template-worker ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[test]
fn a_typo_in_a_command_or_flag_is_a_usage_error_with_the_nearest_one() {
    for (args, want) in [
        (&["srve"][..], "'serve'"),
        (&["serve", "--lisen", "127.0.0.1:1"], "'--listen'"),
        (&["token", "creat"], "'create'"),
        (
            &["token", "create", "--guild", "1", "--rights", "template:read", "--name", "x"],
            "`templates:read`",
        ),
        (&["serve", "--listen", "localhost:7700"], "such as 127.0.0.1:7700"),
        (&["token", "revoke", "tw_x"], "token list"),
        (&["run", "examples/ping"], "--event"),
        (&["token", "create", "--name", "x"], "--admin"),
        (&["token", "create", "--name", "x", "--guild", "1"], "--rights"),
        (&["token", "create", "--name", "x", "--guild", "1", "--admin"], "cannot be used with"),
        (&["token", "create", "--name", "x", "--admin", "--expires-in", "soon"], "such as 12h or 30d"),
    ] {
        let ran = run(args);
        assert_eq!(ran.exit, Exit::Usage, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(want) && ran.out.is_empty(), "{args:?}: {}", ran.err);
    }
}

#[test]
fn the_configuration_is_printed_and_a_missing_file_is_named() {
    let ran = run(&["config"]);
    assert_eq!(ran.exit, Exit::Success, "{}", ran.err);
    assert!(ran.out.contains("[server]") && ran.out.contains("# Set by: default"), "{}", ran.out);
    let ran = run(&["config", "--config", "no/such.toml"]);
    assert_eq!(ran.exit, Exit::Failure);
    assert!(
        ran.err.starts_with("error: failed to read the configuration file no/such.toml: "),
        "{}",
        ran.err
    );
}

#[test]
fn check_finds_nothing_in_an_example_and_every_mistake_in_a_bad_folder() {
    let ran = run(&["check", &example("join-raid")]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""), "{}", ran.out);
    assert!(ran.out.ends_with(": no problems in 3 files\n"), "{}", ran.out);

    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("template.toml", "events = [\"MESAGE_CREATE\"]\n");
    write("init.luau", "local a = require(\"./nope\")\nreturn a\n");
    let ran = run(&["check", path(dir.path())]);
    assert_eq!(ran.exit, Exit::Failure);
    let lines: Vec<_> = ran.out.lines().collect();
    let shown = path(dir.path());
    assert!(lines[0].starts_with(&format!("{shown}/init.luau:1: cannot require")), "{}", ran.out);
    assert!(lines[1].starts_with(&format!("{shown}/template.toml:1: ")), "{}", ran.out);
    assert_eq!(lines[2], format!("{shown}: 2 problems"));
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    for args in [&["check", "no/such"][..], &["run", "no/such", "--event", "-"]] {
        let ran = run(args);
        assert_eq!(ran.exit, Exit::Failure, "{args:?}");
        assert!(ran.err.starts_with("error: failed to read the template's folder no/such: "), "{}", ran.err);
    }
}

#[test]
fn run_prints_the_outcome_to_stdout_and_the_log_to_stderr() {
    let ran = run(&["run", &example("ping"), "--event", &example("ping/events/ping.json")]);
    assert_eq!(ran.exit, Exit::Success, "{}", ran.err);
    let outcome: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&outcome["status"], &outcome["value"]), (&"ok".into(), &"pong".into()), "{outcome}");
    assert_eq!(ran.err, "");
}

#[test]
fn run_keeps_the_vm_between_events_and_tells_a_failure_by_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("template.toml", "events = [\"WebCount\"]\n");
    write(
        "init.luau",
        "local n = 0 return function(event) n += 1 print('n', n) if event.data then error('no more') end return n end",
    );
    let events = r#"[{"name": "WebCount", "data": null}, {"name": "WebOther", "data": null}, {"name": "WebCount", "data": 1}]"#;
    let ran = run_with(&["run", path(dir.path()), "--event", "-", "--json"], events);
    assert_eq!(ran.exit, Exit::TemplateFailed, "{}", ran.err);
    assert!(ran.err.starts_with("warning: `events` in template.toml has no `WebOther`"), "{}", ran.err);
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert_eq!(lines[0]["outcome"]["value"], 1, "{}", ran.out);
    assert_eq!(lines[1]["outcome"]["value"], 2, "{}", ran.out);
    assert_eq!(lines[2]["outcome"]["status"], "error", "{}", ran.out);
    assert_eq!(lines[1]["event"]["name"], "WebOther", "{}", ran.out);
    assert_eq!(lines[1]["log"][0]["level"], "info", "{}", ran.out);
}

#[test]
fn run_refuses_a_template_that_does_not_compile_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("template.toml"), "").unwrap();
    std::fs::write(dir.path().join("init.luau"), "return 1\nlocal").unwrap();
    let ran = run_with(&["run", path(dir.path()), "--event", "-"], r#"{"name": "WebX", "data": null}"#);
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.err.starts_with(&format!("{}/init.luau:2: ", path(dir.path()))), "{}", ran.err);
    assert!(ran.err.contains("error: failed to load the template"), "{}", ran.err);
}

#[test]
fn a_token_is_made_listed_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let token = |args: &[&str]| run(&[&["token"], args, &["--data", path(&data)]].concat());

    let missing = token(&["list"]);
    assert_eq!(missing.exit, Exit::Failure);
    assert!(missing.err.contains("there is none\nhint: "), "{}", missing.err);
    assert!(!data.exists(), "looking at a folder made it");

    let made = token(&["create", "--admin", "--name", "alice", "--expires-in", "30d"]);
    assert_eq!(made.exit, Exit::Success, "{}", made.err);
    assert!(made.out.starts_with("tw_") && made.out.lines().count() == 1, "{}", made.out);
    let rights = "events:dispatch,templates:read";
    assert_eq!(token(&["create", "--guild", "42", "--rights", rights, "--name", "bot"]).exit, Exit::Success);

    let listed = token(&["list"]);
    let lines: Vec<_> = listed.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", listed.out);
    assert!(lines[2].contains("guild 42 (templates:read,events:dispatch)"), "{}", listed.out);
    assert!(!listed.out.contains(made.out.trim()), "the list shows a secret");

    let id = lines[1].split(' ').next().unwrap();
    assert_eq!(token(&["revoke", id]).exit, Exit::Success);
    assert!(token(&["list"]).out.lines().nth(1).unwrap().ends_with("revoked"));
    let unknown = token(&["revoke", "0199e4c4-7d5c-7e0e-9b1f-2f6f3c6a7b10"]);
    assert_eq!(unknown.exit, Exit::Failure);
    assert!(unknown.err.contains("there is none\nhint: "), "{}", unknown.err);
}

#[test]
fn a_second_service_on_a_data_folder_says_so_and_leaves_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _first = crate::storage::DataLock::take(dir.path()).unwrap();
    let ran = run(&["serve", "--data", path(dir.path()), "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.exit, Exit::Failure, "{}", ran.out);
    assert!(ran.err.contains("another template-worker") && ran.out.is_empty(), "{}", ran.err);
}

#[test]
fn a_new_template_runs_as_it_is_and_its_editor_is_told_everything() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("greet");
    let made = run(&["init", path(&dir)]);
    assert_eq!((made.exit, made.err.as_str()), (Exit::Success, ""), "{}", made.out);
    assert!(made.out.contains(&format!("template-worker check {}", path(&dir))), "{}", made.out);

    // The types are no part of the template: one file of source, and the aliases.
    let checked = run(&["check", path(&dir)]);
    assert_eq!(checked.exit, Exit::Success, "{}", checked.out);
    assert!(checked.out.ends_with(": no problems in 2 files\n"), "{}", checked.out);
    let event = dir.join("events/hello.json");
    let ran = run(&["run", path(&dir), "--event", path(&event)]);
    assert_eq!(ran.exit, Exit::Success, "{}", ran.err);
    assert!(ran.out.contains("\"hello bo_builds, you are number 1\""), "{}", ran.out);
    let tested = run(&["test", path(&dir)]);
    assert_eq!((tested.exit, tested.err.as_str()), (Exit::Success, ""), "{}", tested.out);
    assert!(tested.out.ends_with(": 1 file as expected\n"), "{}", tested.out);

    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    assert!(read("README.md").starts_with("# greet\n"));
    for file in crate::reference::types() {
        assert_eq!(read(&format!(".types/{}", file.path)), file.text);
    }
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&read(name)).unwrap();
    for (_, target) in json(".luaurc")["aliases"].as_object().unwrap() {
        assert!(dir.join(target.as_str().unwrap()).is_dir(), "{target}");
    }
    let definitions =
        json(".vscode/settings.json")["luau-lsp.types.definitionFiles"]["@template-worker"].take();
    assert!(dir.join(definitions.as_str().unwrap()).is_file(), "{definitions}");
}

#[test]
fn the_modules_are_the_hosts_whatever_the_aliases_of_a_new_template_lead_to() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("greet");
    run(&["init", path(&dir)]);
    let source =
        "local interop = require('@antiraid/interop') return function() return interop.memory_limit() end";
    std::fs::write(dir.join("init.luau"), source).unwrap();
    assert_eq!(run(&["check", path(&dir)]).exit, Exit::Success);
    let ran = run(&["run", path(&dir), "--event", path(&dir.join("events/hello.json"))]);
    assert_eq!(ran.exit, Exit::Success, "{}", ran.err);
    assert!(ran.out.contains("\"value\": 20971520"), "{}", ran.out);
}

#[test]
fn a_folder_with_something_in_it_is_left_alone_and_what_is_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b", "a", "f", "c", "e", "d", ".git"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let refused = run(&["init", path(dir.path())]);
    assert_eq!((refused.exit, refused.out.as_str()), (Exit::Failure, ""), "{}", refused.err);
    assert!(refused.err.contains("it has `.git`, `a`, `b`, `c`, `d` and 2 more\nhint: "), "{}", refused.err);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 7);
}

#[test]
fn a_folder_whose_name_no_template_can_have_is_not_made_and_a_file_is_no_folder() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["Größe!", "--foo", &"x".repeat(80), "$shop"] {
        let dir = parent.path().join(name);
        let refused = run(&["init", "--", path(&dir)]);
        assert_eq!((refused.exit, refused.out.as_str()), (Exit::Failure, ""), "{name}");
        assert!(refused.err.contains("hint: the folder's name becomes the template's"), "{}", refused.err);
        assert!(!dir.exists(), "{name} was made");
    }
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    for command in ["init", "types", "reference"] {
        let refused = run(&[command, path(&file)]);
        assert!(refused.err.contains(": it is a file\nhint: name a folder"), "{command}: {}", refused.err);
    }
}

#[test]
fn the_commands_that_init_prints_work_as_they_stand() {
    let parent = tempfile::tempdir().unwrap();
    let made = run(&["init", &format!("{}/two words/", path(parent.path()))]);
    let dir = format!("{}/two words", path(parent.path()));
    assert_eq!(made.exit, Exit::Success, "{}", made.err);
    let wanted = format!("  template-worker run '{dir}' --event '{dir}/events/hello.json'\n");
    assert!(made.out.contains(&wanted), "{}", made.out);
}

#[test]
fn what_a_template_returns_otherwise_than_expected_is_shown_with_both() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("template.toml", "events = [\"Custom\"]");
    write(
        "init.luau",
        "local event = ... if event.data == 3 then error('no three') end return {n = event.data}",
    );
    assert!(run(&["test", path(dir.path())]).err.contains("hint: `events/hello.json` holds events"));

    let events: Vec<String> = (1..=3).map(|n| format!("{{\"name\": \"WebCount\", \"data\": {n}}}")).collect();
    write("events/count.json", &format!("[{}]", events.join(",")));
    write("events/one.json", &events[0]);
    write("expected/count.json", "[{\"n\": 1.0}, {\"n\": 3}, null]");
    write("expected/one.json", "{\"n\": 1}");
    let tested = run(&["test", path(dir.path())]);
    assert_eq!((tested.exit, tested.err.as_str()), (Exit::TemplateFailed, ""), "{}", tested.out);
    let lines: Vec<_> = tested.out.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert_eq!(lines[0], "count.json: event 2: $.n: got 2, expected 3");
    assert_eq!(lines[1], "count.json: event 3: the template failed: init.luau:1: no three");
    assert!(lines[2].starts_with("    init.luau:1"), "{lines:#?}");
    assert_eq!(lines[3], "one.json: as expected");
    assert!(lines[4].ends_with(": 1 of 2 files not as expected"));

    write("expected/one.json", "{\"n\": 1, \"list\": [1, {\"x\": 2}]}");
    let tested = run(&["test", path(dir.path())]);
    assert!(
        tested.out.contains("\none.json: event 1: $.list: got nothing, expected [1,{\"x\":2}]\n"),
        "{}",
        tested.out
    );
    std::fs::remove_file(dir.path().join("expected/one.json")).unwrap();
    write("expected/count.json", "[1]");
    let tested = run(&["test", path(dir.path())]);
    assert_eq!(tested.exit, Exit::Failure);
    assert!(tested.out.ends_with(": 2 of 2 files could not be tried\n"), "{}", tested.out);
    assert!(
        tested.err.contains("there is no ") && tested.err.contains("expected/one.json\nhint: `"),
        "{}",
        tested.err
    );
    assert!(tested.err.contains("it has to be a list of 3 values, one for each event"), "{}", tested.err);
}
