//! Luau's own type checker on the type files, the modules, what `init` writes, every example, and the code of the reference.
//!
//! Here, and not beside what makes them, because the checker brings a Luau of its own, which cannot be in one program with
//! that of the service. It looks at one file at a time: modules and a template's other files are put in the place of the
//! `require` that names them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use luau_analyze::Checker;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below `folder` whose names end in `end`, in order.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn checker() -> Checker {
    let mut checker = Checker::new().unwrap();
    let definitions = read(&root().join("types/template-worker.d.luau"));
    checker.add_definitions(&definitions).unwrap_or_else(|error| panic!("{error}"));
    checker
}

/// What is wrong with a source in `folder`, with its lines.
fn errors(checker: &mut Checker, source: &str, folder: &Path) -> Vec<String> {
    let result = checker.check(&alone(source, folder)).unwrap();
    assert!(!result.timed_out, "it takes too long to check");
    result.errors().iter().map(|error| format!("{}: {}", error.line + 1, error.message)).collect()
}

/// A source that needs no other: each module takes the place of the `require` that names it, on its line. A type of a
/// module cannot be had that way, and is taken for anything. `folder` is where the source is.
fn alone(source: &str, folder: &Path) -> String {
    let mut out = source.to_owned();
    for rest in source.split("require(\"").skip(1) {
        let request = rest.split('"').next().unwrap();
        let path = match request.strip_prefix('@') {
            Some(module) => root().join("types").join(module),
            None => folder.join(request),
        };
        let module = read(&path.with_extension("luau")).replace("export type", "type");
        let code: Vec<&str> = module.lines().map(|line| line.split("--").next().unwrap()).collect();
        let whole = format!("require(\"{request}\")");
        out = out.replace(&whole, &format!("(function() {} end)()", code.join(" ")));
        for ty in types_of(source, request.rsplit('/').next().unwrap()) {
            out = out.replace(&ty, "any");
        }
    }
    out
}

/// The types of the module `name` that a source mentions: `name.Type`.
fn types_of(source: &str, name: &str) -> Vec<String> {
    let prefix = format!(" {name}.");
    let after = source.split(&prefix).skip(1);
    let names = after.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap());
    // A constant, such as `UTC`, has no small letters.
    let types = names.filter(|name| {
        name.starts_with(|c: char| c.is_uppercase()) && name.contains(|c: char| c.is_lowercase())
    });
    types.map(|ty| format!("{name}.{ty}")).collect()
}

#[test]
fn the_definitions_and_every_module_are_well_typed() {
    let mut checker = checker();
    let modules = files("types", ".luau");
    assert!(modules.len() >= 9, "{modules:?}");
    for path in modules.iter().filter(|path| !path.to_str().unwrap().ends_with(".d.luau")) {
        let found = errors(&mut checker, &read(path), path.parent().unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn every_example_and_what_init_writes_is_well_typed() {
    let mut checker = checker();
    let mut paths = files("examples", ".luau");
    assert!(paths.len() >= 18, "{paths:?}");
    paths.push(root().join("crates/template-worker/src/cli/init/init.luau"));
    for path in paths {
        let found = errors(&mut checker, &read(&path), path.parent().unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn the_code_of_the_reference_is_well_typed() {
    let mut checker = checker();
    let mut blocks = 0;
    for path in files("docs/reference", ".md") {
        for block in read(&path).split("```luau\n").skip(1) {
            let code = block.split("\n```").next().unwrap();
            // The others are signatures.
            if code.starts_with("local ") || code.starts_with("return ") {
                let found = errors(&mut checker, code, &root());
                assert!(found.is_empty(), "{}: {found:#?}\n{code}", path.display());
                blocks += 1;
            }
        }
    }
    assert!(blocks >= 11, "{blocks}");
}

#[test]
fn what_discord_takes_in_several_forms_is_well_typed_in_each() {
    let mut checker = checker();
    for line in [
        // `{}` takes a thing away.
        r#"ctx.Discord:modify_guild_member({user_id = "1", reason = "r", data = {nick = {}, channel_id = {}}})"#,
        r#"ctx.Discord:modify_guild_member({user_id = "1", reason = "r", data = {communication_disabled_until = {}}})"#,
        r#"ctx.Discord:modify_guild_member({user_id = "1", reason = "r", data = {nick = "n"}})"#,
        r#"ctx.Discord:edit_channel({channel_id = "1", reason = "r", data = {topic = {}, nsfw = {}, bitrate = 8000}})"#,
        r#"ctx.Discord:edit_channel_permissions({channel_id = "1", target_id = "2", allow = {}, deny = 8, type = 0, reason = "r"})"#,
        r#"ctx.Discord:edit_message({channel_id = "1", message_id = "2", data = {content = {}, embeds = {}, components = {}}})"#,
        r#"ctx.Discord:modify_guild_channel_positions({data = {{id = "1", position = 2}, {id = "2", parent_id = {}}}, reason = "r"})"#,
        r#"ctx.Discord:get_reactions({channel_id = "1", message_id = "2", reaction = {id = "3"}, type = "Burst"})"#,
        r#"ctx.Discord:create_message({channel_id = "1", data = {content = "x", nonce = 7}})"#,
        // An executor is `ctx.Discord` with more.
        r#"local op = ctx.Discord:antiraid_bulk_op("create_message")
           op:create_message({channel_id = "1", data = {content = op.action}})
           op:antiraid_bulk_op_wait()
           task.wait(op.gap_ms / 1000)"#,
        // Somebody may not be there.
        r#"local ban = ctx.Discord:get_guild_ban("1").data
           if ban then print(ban.reason) end"#,
        r#"print(ctx.Discord:antiraid_get_fused_member({"1"}).data.members[1].resolved_perms)"#,
        r#"print(ctx.Discord:antiraid_check_channel_permissions({user_id = "1", channel_id = "2", needed_permissions = 8}).data.channel.name)"#,
    ] {
        let source = format!("--!strict\nreturn function(event: Event, ctx: TemplateContext)\n{line}\nend");
        let found = errors(&mut checker, &source, &root());
        assert!(found.is_empty(), "{line}: {found:#?}");
    }
}

#[test]
fn what_is_not_there_is_found() {
    let mut checker = checker();
    for (line, says) in [
        ("return ctx.guildid", "guildid"),
        ("return ctx.DataStores.StatsStore:stat()", "stat"),
        ("return ctx.DataStores.StatsStore:stats().total_guild", "total_guild"),
        ("return ctx:has_cap(1)", "string"),
        ("return ctx.Discord:get_guild_ban(\"1\").data.reason", "nil"),
        ("return ctx.Discord:antiraid_bulk_op().gap", "gap"),
        ("return ctx.Discord:antiraid_bulk_op():create_mesage({})", "create_mesage"),
        ("return event.data.keys", "keys"),
        ("task.wait(\"long\")", "number"),
    ] {
        let source = format!("return function(event: KeyExpiryEvent, ctx: TemplateContext): any {line} end");
        let found = errors(&mut checker, &source, &root());
        assert!(found.iter().any(|error| error.contains(says)), "{line}: {found:?}");
    }
}
