//! Replaced functions do what Luau's own do, over generated arguments: results, changed tables and error texts.

use crate::same;

const CASES: &str = include_str!("cases.luau");

/// Replaced functions, the pools that their arguments come from, and how many calls are made.
const FUNCTIONS: [(&str, &str, usize); 28] = [
    (
        "string.find",
        "{text, pattern}, {text, pattern, number}, {text, pattern, number, any}, {long, pattern, far}",
        1500,
    ),
    ("string.match", "{text, pattern}, {text, pattern, number}, {long, pattern, far}", 1500),
    (
        "string.gsub",
        "{text, pattern, replacement}, {text, pattern, replacement, number}, {long, pattern, replacement, far}",
        2000,
    ),
    ("string.gmatch", "{text, pattern}", 100),
    (
        "function(...) local all = {} for a, b in string.gmatch(...) do table.insert(all, `{a} {b}`) end \
         return table.concat(all, ';') end",
        "{text, pattern}, {long, pattern}",
        800,
    ),
    ("string.split", "{text, separator}, {text}, {long, separator}", 600),
    ("string.rep", "{text, few}", 400),
    ("string.lower", "{text}", 150),
    ("string.upper", "{text}", 150),
    ("string.reverse", "{text}", 150),
    (
        "string.format",
        "{layout, any}, {layout, number, number}, {layout, far}, {layout, text, any}, {layout, any, text, number}",
        2000,
    ),
    ("string.pack", "{binary, number, number}, {binary, far}, {binary, text, text}", 1000),
    ("string.packsize", "{binary}", 200),
    ("string.unpack", "{binary, text}, {binary, long, number}, {binary, long, far}", 800),
    ("table.move", "{list, number, number, number}, {list, number, number, number, list}", 1500),
    ("table.concat", "{list}, {list, text}, {list, text, number, number}, {list, text, far, number}", 1000),
    ("table.create", "{few}, {few, any}", 300),
    ("table.clone", "{list}", 200),
    ("table.foreach", "{list, visit}", 300),
    ("table.foreachi", "{list, visit}", 300),
    ("table.sort", "{list}, {list, any}", 400),
    ("tostring", "{any}, {number}, {far}, {list}, {any, any}", 600),
    ("coroutine.close", "{any}", 60),
    ("buffer.create", "{few}", 100),
    ("buffer.fromstring", "{text}", 100),
    ("buffer.tostring", "{bytes}", 100),
    ("buffer.readstring", "{bytes, number, number}, {bytes, far, far}", 400),
    (
        "function(layout, time) \
         return os.date(if layout == nil then '!%c' else layout, if time == nil then 5 else time) end",
        "{date, time}",
        600,
    ),
];

#[test]
fn replaced_functions_agree_with_luaus_own() {
    let mut calls = 0;
    for (function, specs, count) in FUNCTIONS {
        let source = format!("local FUNCTION, SPECS, COUNT = {function}, \"{specs}\", {count} {CASES}");
        calls += same(function, &source);
    }
    assert!(calls > 12_000, "only {calls} calls were compared");
}
