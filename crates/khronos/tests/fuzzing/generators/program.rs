//! Whole templates: programs that use the language, coroutines, `task`, `require` and the host in every order.
//!
//! They are the same each time they run: nothing in them depends on addresses, on the clock or on the collector.

use crate::choices::Choices;
use crate::generators::grammar::{Rule, expand};

/// What programs use. `note` writes down what a program saw; `tick` ends what would not end; `burn` takes so long that
/// a short slice is over, or so much memory that there is soon none left, if the event says so.
const PREAMBLE: &str = r#"
local event, ctx = ...
local a, b, c, d = function(...) tick() return note(...) end, {3, 2, 1, x = "y"}, "text", 5
local fuel, notes, burns = 80, 0, 12
function tick() fuel -= 1 if fuel < 0 then error("out of fuel", 0) end end
local function show(x)
    local kind = type(x)
    if kind == "table" then return "table of " .. rawlen(x) end
    if kind == "string" then return "'" .. string.sub(x, 1, 60) .. "'" .. #x end
    if kind == "number" then return string.format("%.6g", x) end
    if kind == "boolean" or kind == "nil" or kind == "vector" then return tostring(x) end
    if kind == "thread" then return coroutine.status(x) .. " thread" end
    return kind
end
function see(...)
    local parts = {}
    for i = 1, math.min(select('#', ...), 6) do parts[i] = show((select(i, ...))) end
    return table.concat(parts, " ")
end
function note(...) notes += 1 if notes < 150 then print(see(...)) end return ... end
function burn(...)
    if event.hunger > 0 then
        kept[#kept + 1] = {table.create(event.hunger, #kept), string.rep(`{#kept} `, event.hunger), function() return kept end}
    end
    if event.burn > 0 and burns > 0 then
        burns -= 1
        local t = os.clock()
        while os.clock() - t < event.burn do end
    end
    return ...
end
fetch, kept, main = ctx.fetch, {}, coroutine.running()
-- What others see too is not the same each time.
store = if event.is_shared then ctx else {}
function keep(make, ...) for i = 1, 10 do kept[#kept + 1] = make(...) end return #kept end
function call(f, ...) if type(f) == "function" then return f(...) end return f end
function num(x) return if type(x) == "number" then x else 1 end
function at(t, k) return if type(t) == "table" then t[k] else k end
function put(t, k, v) if type(t) == "table" and not table.isfrozen(t) then t[k] = v end end
function try(f, ...) note(pcall(f, ...)) end
-- Deeper than Luau's own limit, which counts anew in each slice.
function nest(n) if not event.is_shared then return n end if n % 50 == 0 then burn() end return if n > 0 then coroutine.wrap(nest)(n - 1) + 1 else 0 end
function dig(n) if n > 0 then local a, b, c = n, n, n return dig(n - 1) + (a - b) * c + 1 end burn() return 0 end
"#;

const RULES: [Rule<'static>; 8] = [
    // A block.
    Rule { hole: 'b', templates: &["$s\n", "$s\n$s\n", "$s\n$s\n$s\n", "$s\n$s\n$s\n$s\n$s\n"] },
    // A statement.
    Rule {
        hole: 's',
        templates: &[
            "burn()",
            "note($e)",
            "$v = $e",
            "$v = $f",
            "local l = $e $v = function(...) tick() note(l, ...) l = $e $b end",
            "if $e then $b else $b end",
            "for i = 1, $n do tick() $b if $e then break end end",
            "for i = 1, $n do tick() if $e then continue end $b end",
            "for k, v in {$e, $e, x = $e} do tick() note(v) $b end",
            "note(pcall(function(...) for k, v in $e do tick() note(v) $b end end))",
            "for x, y in coroutine.wrap($f) do tick() note(x, y) $b end",
            "repeat tick() $b until $e",
            "do local l = $e note(l) $b end",
            "note(pcall($f, $e))",
            "note(pcall(function(...) $b end))",
            "note(xpcall($f, $f, $e))",
            "note(xpcall(function(...) $b end, function(e, ...) note(e) burn() return $e end))",
            "if $e then error($e) end",
            "if $e then error($e, $n) end",
            "if $e then return $e end",
            "put($v, 'x', $e)",
            "put($v, $n, $e)",
            "put(store, $n, $v)",
            "put(store, $n, $f)",
            "$v = at(store, $n)",
            "$v = at(store, $n)",
            "$v[$n] = $e",
            "$v = setmetatable({$e, x = $e}, {__index = $f, __newindex = $f, __call = $f, __eq = $f, __lt = $f, __le = $f})",
            "$v = setmetatable({$e}, {__len = $f, __unm = $f, __add = $f, __concat = $f, __tostring = $f, __iter = $f})",
            "$v = coroutine.create($f)",
            "$v = coroutine.wrap($f)",
            "$v = coroutine.running()",
            "note(pcall(coroutine.resume, $v, $e))",
            "note(pcall(coroutine.resume, $v))",
            "if coroutine.running() ~= main then note(coroutine.yield($e)) end",
            "note(pcall(coroutine.yield, $e))",
            "note(pcall(coroutine.close, $v))",
            "$v = task.spawn($f, $e)",
            "$v = task.defer($f, $e)",
            "$v = task.delay($n / 10, $f, $e)",
            "note(pcall(task.spawn, $v, $e))",
            "note(pcall(task.defer, $v))",
            "note(pcall(task.delay, 0.1, $v))",
            "note(pcall(task.cancel, $v))",
            "task.wait($n / 10)",
            "note(pcall(task.wait))",
            "note(pcall(fetch, $t))",
            "$v = note(pcall(require, $m))",
            "$v = require($m)",
            "table.sort(note({3, 1, 2, 5, 4}), function(x, y, ...) burn() $b return x < y end)",
            "note(pcall(table.sort, {3, 1, 2, 5, 4}, $f))",
            "note(string.gsub('hello', '%w', function(x, ...) tick() burn() $b return $e end))",
            "note(pcall(string.gsub, 'hello', '(l)(.)', $f))",
            "note(keep(string.rep, 'x', 2 ^ $n))",
            "note(keep(table.create, 2 ^ $n, 0))",
            "note(keep(buffer.create, 2 ^ $n))",
            "note(keep(coroutine.create, $f))",
            "note(pcall(keep, coroutine.wrap, $f))",
            "note(pcall(dig, 12 * $n))",
            "note(pcall(nest, 5 * $n * $n))",
            "kept = {}",
            "kept[#kept + 1] = string.rep('long text ', 2 ^ $n) .. #kept",
            "local big = {} for i = 1, 2 ^ $n do big[i] = i end note(#big)",
            "local big = {} for i = 1, 2 ^ $n do big['k' .. i] = i end kept[1] = big",
            "local big = {} for i = 1, 2 ^ $n do big[i] = function() return i end end kept[2] = big",
            "note(select(2, pcall(string.format, '%s', $v)) == nil)",
            "note(debug.traceback('here'))",
        ],
    },
    // An expression.
    Rule {
        hole: 'e',
        templates: &[
            "nil",
            "$v",
            "$v",
            "$v",
            "true",
            "false",
            "$n",
            "$t",
            "{}",
            "...",
            "{$e, $e, x = $e}",
            "call($v, $e)",
            "call($v, $e, $e)",
            "call($v)",
            "$v($e)",
            "at($v, 'x')",
            "at($v, $n)",
            "$v.x",
            "num($e) + num($e)",
            "$e + $e",
            "see($e) .. see($e)",
            "$e .. $e",
            "$e == $e",
            "num($e) < num($e)",
            "$e < $e",
            "$e and $e",
            "$e or $e",
            "not $e",
            "#see($e)",
            "#$v",
            "-$v",
            "(if $e then $e else $e)",
            "`{see($e)} and {see($e)}`",
            "burn($e)",
            "note($e)",
            "(pcall($f))",
            "select(2, pcall($f, $e))",
            "select('#', $e)",
            "coroutine.isyieldable()",
            "select(2, pcall(coroutine.status, $v))",
            "coroutine.wrap($f)($e)",
            "table.pack($e, $e)",
            "select(2, pcall(table.unpack, $v))",
            "select(2, pcall(table.concat, $v, ','))",
            "select(2, pcall(table.clone, $v))",
            "select(2, pcall(table.freeze, $v))",
            "(pcall(table.insert, $v, $e))",
            "select(2, pcall(table.remove, $v))",
            "table.move({1, 2, 3}, 1, 3, $n, {})",
            "string.split($t, ',')",
            "string.format('%5.2f %d', $n, $n)",
            "string.upper($t)",
            "tonumber($t)",
            "see($e)",
            "(pcall(next, $v))",
            "$f",
            "select(2, pcall(function(...) return $e + $e end, ...))",
            "(pcall(function(...) return #$v < -$v end, ...))",
        ],
    },
    // A function.
    Rule {
        hole: 'f',
        templates: &[
            "function() tick() burn() end",
            "note",
            "burn",
            "function(p, ...) tick() return $e end",
            "function(p, ...) tick() $b return p, ... end",
            "function(p, ...) tick() $b return $e end",
            "function(p, ...) for i = 1, 3 do tick() note(coroutine.yield(i, $e)) end return $e end",
            "function(p, ...) tick() task.wait($n / 10) return $e end",
            "function(p, ...) tick() return note(fetch($t)) end",
            "pcall",
            "coroutine.yield",
            "task.wait",
            "error",
            "coroutine.wrap($f)",
        ],
    },
    Rule { hole: 'v', templates: &["a", "b", "c", "d", "p", "g"] },
    Rule { hole: 'n', templates: &["1", "2", "3", "4", "6", "9", "11", "13", "15"] },
    // A text, also for `fetch`.
    Rule {
        hole: 't',
        templates: &[
            "'now'",
            "'later'",
            "'fail'",
            "'drop'",
            "'never'",
            "'big'",
            "'a,b,c'",
            "''",
            "'12'",
            "'also later'",
        ],
    },
    // A module.
    Rule { hole: 'm', templates: &["'./one'", "'./two'", "'./none'", "'./init'", "'@self/one'", "1"] },
];

/// The files of a template.
pub fn files(choices: &mut Choices) -> Vec<(&'static str, String)> {
    const STEP: &str = "try(function(...)\n$bend, ...)\n";
    let steps = STEP.repeat(5) + "$b$b";
    let main = expand(&RULES, &format!("{steps}return $e"), choices);
    let at_once = format!("{PREAMBLE}local function run(...)\n{main}\nend\nreturn see(run(event.seen))\n");
    let handler = format!("{PREAMBLE}return function(event, ctx, ...) local p\n{main}\nend\n");
    let module = format!("local a, b, c, d = note, {{}}, 'c', 1\nburn()\n{STEP}{STEP}$breturn $e\n");
    vec![
        ("init.luau", if choices.below(4) == 3 { handler } else { at_once }),
        ("one.luau", expand(&RULES, &module, choices)),
        ("two.luau", expand(&RULES, &module, choices)),
    ]
}
