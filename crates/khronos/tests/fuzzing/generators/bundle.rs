//! Files of a template with names that look alike, aliases that point anywhere, and requests for any of it.

use crate::choices::Choices;

const NAMES: [&str; 7] = ["a", "b", "lib", "init", "A", "a.luau", "ä"];
const PARTS: [&str; 10] = ["a", "b", "lib", "init", ".", "..", "", "A", "a.luau", "ä"];
const ENDS: [&str; 7] = [".luau", ".lua", "", "/init.luau", "/init.lua", "/.luaurc", ".luau.lua"];
const ALIASES: [&str; 7] = ["a", "LIB", "lib", "self", "", "x/y", "@a"];

/// Paths of files, without the entry, which every bundle needs.
pub fn paths(choices: &mut Choices) -> Vec<String> {
    (0..choices.below(12)).map(|_| format!("{}{}", file(choices), choices.pick(&ENDS))).collect()
}

/// A `.luaurc`, which may be no JSON.
pub fn config(choices: &mut Choices) -> String {
    if choices.below(16) == 15 {
        return String::from_utf8_lossy(choices.bytes(16)).into_owned();
    }
    let aliases: std::collections::BTreeMap<_, _> =
        (0..choices.below(4)).map(|_| (*choices.pick(&ALIASES), request(choices))).collect();
    serde_json::json!({ "aliases": aliases }).to_string()
}

/// What a script might ask for.
pub fn request(choices: &mut Choices) -> String {
    match choices.below(9) {
        0 => format!("./{}", path(choices)),
        1 => format!("../{}", path(choices)),
        2 => format!("@self/{}", path(choices)),
        3 | 4 => format!("@{}/{}", choices.pick(&ALIASES), path(choices)),
        5 => format!("@{}", choices.pick(&ALIASES)),
        6 => path(choices),
        7 => format!("./{}", "a/".repeat(1 << choices.below(12))),
        _ => String::from_utf8_lossy(choices.bytes(24)).into_owned(),
    }
}

/// A path that is in order, nearly always.
fn file(choices: &mut Choices) -> String {
    if choices.below(64) == 63 {
        return path(choices);
    }
    let parts: Vec<&str> = (0..=choices.below(3)).map(|_| *choices.pick(&NAMES)).collect();
    parts.join("/")
}

fn path(choices: &mut Choices) -> String {
    let parts: Vec<&str> = (0..=choices.below(4)).map(|_| *choices.pick(&PARTS)).collect();
    parts.join("/")
}
