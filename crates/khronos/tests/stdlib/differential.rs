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

/// Moves more elements than Luau may move at once, to every side, and long texts through `find`, `split` and `gsub`.
const LARGE: &str = r#"
    local lines, count = {}, 20000
    local function note(...)
        local parts = table.pack(...)
        for at = 1, parts.n do parts[at] = tostring(parts[at]) end
        table.insert(lines, table.concat(parts, " "))
    end
    local function sum(t)
        local all, keys = 0, 0
        for key, value in t do all = (all + key * value) % 1000003 keys += 1 end
        return all, keys, #t
    end
    for _, range in {
        {1, count, 2}, {2, count, 1}, {1, count, count}, {1, count, -5}, {-5, count, 1}, {1, 2 * count, 3}, {count // 2, 2 * count, 1},
        {1, count, 2 ^ 31 - count}, {1, count, 2 ^ 31 - count + 1}, {-2 ^ 31, count, 1}, {0, 2 ^ 31 - 1, 1}, {count, 1, 1},
    } do
        for _, other in {false, true} do
            if range[2] - range[1] < 2 ^ 26 or range[1] == -2 ^ 31 and range[2] - range[1] >= 2 ^ 31 then
                local t = {}
                for at = 1, count do t[at] = at end
                local target = if other then {7, 8, 9} else nil
                local ok, result = pcall(table.move, t, range[1], range[2], range[3], target)
                note(range[1], range[2], range[3], ok, if ok then result == (target or t) else result)
                note(sum(t))
                if target then note(sum(target)) end
            end
        end
    end
    note(pcall(table.move, table.freeze({1}), 1, count, 2))
    local text = string.rep("abc,", 60000) .. "end"
    local needle = string.rep("abc,", 40)
    for _, init in {1, 3, -1, -300, 0, 240000, 240004, 240005, "7"} do
        note(string.find(text, needle, init, true))
        note(string.find(text, needle .. "end", init))
        note(string.find(text, needle .. "nd", init, true))
    end
    for _, separator in {",", "bc", needle, needle .. "end", "none", "end", text} do
        local parts = string.split(text, separator)
        note(#separator, #parts, #parts[1], #parts[#parts])
    end
    local result, replaced = string.gsub(text, "(%w+),", function(word) return if word == "abc" then nil else 1 end)
    note(result == text, replaced)
    return table.concat(lines, "\n")
"#;

#[test]
fn large_arguments_take_other_ways_to_the_same_results() {
    assert!(same("large", LARGE) > 70);
}
