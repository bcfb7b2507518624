//! Calls of library functions with what nobody would give them.

use crate::choices::Choices;
use crate::generators::grammar::{Rule, expand};

/// What the calls use: values that misbehave when they are touched, and where the results go.
pub const PREAMBLE: &str = r#"
local event, ctx = ...
local R, calls = {}, 0
local function use(...)
    calls += 1
    for i = 1, math.min(select('#', ...), 8) do
        local value = (select(i, ...))
        R[#R % 16 + 1] = value
        local ok, text = pcall(tostring, value)
        print(if ok and type(text) == "string" then string.sub(text, 1, 200) else type(text))
    end
    return ...
end
local function spin() while true do end end
local function burn() local t = os.clock() while os.clock() - t < 0.001 do end end
local function again(...) if calls < 100 then use(...) end return ... end
local function all(f)
    return setmetatable({1, 2, 3, x = "y"}, {
        __index = f, __newindex = f, __call = f, __len = f, __eq = f, __lt = f, __le = f, __unm = f, __add = f,
        __sub = f, __mul = f, __div = f, __mod = f, __pow = f, __idiv = f, __concat = f, __tostring = f, __iter = f,
    })
end
local function list(n) local t = {} for i = 1, n do t[i] = (i * 7919) % n end return t end
local function deep(n) local t = {} for _ = 1, n do t = {t, x = t} end return t end
local function self() local t = {1} t[2], t.self = t, t return setmetatable(t, t) end
local function sleeper() local co = coroutine.create(function(...) while true do use(coroutine.yield(...)) end end)
    coroutine.resume(co) return co end
"#;

const RULES: [Rule<'static>; 10] = [
    // A statement: where the call stands, and what goes with it.
    Rule {
        hole: 's',
        templates: &[
            "use(pcall($S, $t, $a))",
            "use(pcall($S, $t, $t))",
            "use(pcall($S, $t, $t, $a))",
            "use(pcall($S, $t, $t, $a, $a))",
            "use(pcall($T, $l))",
            "use(pcall($T, $l, $a))",
            "use(pcall($T, $l, $a, $a))",
            "use(pcall($T, $l, $d, $d, $d, $l))",
            "use(pcall($B, $b, $d, $d))",
            "use(pcall($B, $b, $d, $b, $d, $d))",
            "use(pcall($B, $b, $d, $a, $a))",
            "use(pcall($M, $d, $d))",
            "use(pcall($M, $d, $d, $d, $d))",
            "use(pcall($C, $h, $a, $a))",
            "use(pcall($C, $c, $a, $a))",
            "use(pcall($f, $a))",
            "use(pcall($f, $a, $a))",
            "use(pcall($f, $a, $a, $a))",
            "use(pcall($f))",
            "use(pcall($f, $a, $a, $a, $a, $a, $a))",
            "use(xpcall($f, $f, $a, $a))",
            "use(pcall(function() return $f($a, $a, $a) end))",
            "use(pcall($f($a, $a), $a))",
            "use(pcall(coroutine.wrap(function() use($f($a, $a)) coroutine.yield($a) end)))",
            "task.spawn(function() use($f($a, $a, $a)) end)",
            "task.defer($f, $a, $a)",
            "use(pcall(table.sort, $l, function(x, y) again($f($a, x)) return x < y end))",
            "use(pcall(table.sort, $l, $f))",
            "use(pcall(string.gsub, $t, $t, function(c) return again($f(c, $a)) end))",
            "use(pcall(string.gsub, $t, $t, $l))",
            "pcall(function() for a, b in string.gmatch($t, $t) do again(a, b) end end)",
            "pcall(function() for k, v in $f($a, $a) do again(k, v) end end)",
            "pcall(function() for k, v in $l do again(k, v) end end)",
            "pcall(function() use($a .. $a, $a < $a, $a == $a, #($a), -($a), $a + $a, $a // $a, $a % $a) end)",
            "pcall(function() local t = $l t[$a] = $a use(t[$a]) end)",
            "task.wait($d)",
        ],
    },
    // An argument.
    Rule {
        hole: 'a',
        templates: &[
            "nil", "true", "$d", "$d", "$t", "$t", "$l", "$l", "$b", "$h", "$c", "$f", "R[$n]", "R[$n]",
            "event", "ctx",
        ],
    },
    // A number.
    Rule {
        hole: 'd',
        templates: &[
            "0",
            "1",
            "-1",
            "2",
            "0.5",
            "7",
            "2^31",
            "2^31 - 1",
            "-2^31",
            "2^32",
            "2^53",
            "2^53 + 1",
            "-2^53",
            "2^63",
            "1e308",
            "math.huge",
            "-math.huge",
            "0/0",
            "'1'",
            "$n",
            "$z",
            "vector.create(1, 0/0, -1)",
        ],
    },
    // A text, also for patterns and formats.
    Rule {
        hole: 't',
        templates: &[
            "''",
            "'a'",
            "'1'",
            "'0x10'",
            "'%'",
            "'[^'",
            "'%b'",
            "'%bab'",
            "'%f[%w]'",
            "'(()())'",
            "'.-.-.-x'",
            "'[%w_]*'",
            "'(a*)%1'",
            "'%d%5.3f%q%s%*'",
            "'%99.99f%s'",
            "'%c%i%u%x%X%o%e%g%G'",
            "'<!i16 s4 z d'",
            "'>I3 j B =h xXi4'",
            "'*t%c%x%Z'",
            "'\\0'",
            "'\\255\\254'",
            "'k'",
            "'ä€😀'",
            "string.rep('a', $z)",
            "string.rep('ab', $z) .. 'c'",
            "string.rep('%a?', $n)",
            "string.rep('(', $n)",
            "'[' .. string.rep('ab', $n) .. ']'",
            "string.rep('%s', $n)",
            "string.rep('i16', $n)",
            "string.rep('a,', $n)",
            "1.5",
        ],
    },
    // A table.
    Rule {
        hole: 'l',
        templates: &[
            "{}",
            "event",
            "ctx",
            "self()",
            "{1, nil, 3, nil, 5}",
            "{[2^31] = 1, [-2^31] = 1}",
            "{'b', 'a', 1}",
            "list($n)",
            "table.freeze(list($n))",
            "table.create($z, 0)",
            "table.create($n, string.rep('x', $n))",
            "deep($n)",
            "setmetatable({}, {__mode = 'kv'})",
            "setmetatable({}, {__metatable = $a})",
            "setmetatable({}, {__index = $l})",
            "all($f)",
            "all($c)",
            "all($c)",
            "{$a, $a, x = $a}",
            "table.unpack(list($n))",
        ],
    },
    // A buffer.
    Rule {
        hole: 'b',
        templates: &["buffer.fromstring('abcdefgh')", "buffer.create($n)", "buffer.create($z)", "$t", "$d"],
    },
    // A thread.
    Rule {
        hole: 'h',
        templates: &[
            "coroutine.running()",
            "sleeper()",
            "coroutine.create($c)",
            "task.spawn(sleeper())",
            "task.spawn($c)",
            "task.delay(1, $c)",
            "task.defer($c)",
        ],
    },
    // A function of the script.
    Rule {
        hole: 'c',
        templates: &[
            "error",
            "spin",
            "burn",
            "coroutine.yield",
            "task.wait",
            "again",
            "pcall",
            "function(...) return $a end",
            "function(...) return $f(...) end",
            "function(...) error($a) end",
            "coroutine.wrap($c)",
        ],
    },
    // A small number.
    Rule { hole: 'n', templates: &["1", "2", "3", "8", "40", "200", "1000", "7999"] },
    // A size that may not fit.
    Rule {
        hole: 'z',
        templates: &["2^10", "2^16", "2^20", "2^22", "2^24", "2^26", "2^30", "2^31", "2^53", "-1"],
    },
];

/// A script that calls some of `functions`.
pub fn calls(functions: &[String], choices: &mut Choices) -> String {
    let of = |libraries: &[&str]| -> Vec<&str> {
        let is_in = |name: &&str| libraries.iter().any(|library| name.starts_with(library));
        functions.iter().map(String::as_str).filter(is_in).collect()
    };
    let libraries = [
        ('f', of(&[""])),
        ('S', of(&["string.", "utf8."])),
        ('T', of(&["table.", "set", "raw", "next", "pairs", "ipairs", "unpack"])),
        ('B', of(&["buffer."])),
        ('M', of(&["math.", "bit32.", "vector."])),
        ('C', of(&["coroutine.", "task."])),
    ];
    let mut rules = RULES.to_vec();
    rules.extend(libraries.iter().map(|(hole, names)| Rule { hole: *hole, templates: names }));
    let mut script = PREAMBLE.to_owned();
    for _ in 0..=choices.below(6) {
        let statement = expand(&rules, "$s", choices);
        script.push_str(&statement);
        script.push('\n');
    }
    script
}
