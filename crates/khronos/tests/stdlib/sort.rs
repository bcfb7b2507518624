//! `table.sort` is written in Luau: it compares and swaps as Luau's own does, and can be paused.

use std::time::Duration;

use khronos::{ExecutionLimits, LimitExceeded, RuntimeLimits, Verdict, VmState};

use crate::same;
use crate::vm::{Vm, list};

/// Sorts many lists with many comparators, and returns their order, what was compared, and the errors.
const SORTS: &str = r##"
    local seed = 99
    local function random(most)
        seed = seed * 16807 % 2147483647
        return seed % most + 1
    end
    local Ordered = {}
    Ordered.__lt = function(a, b) return a.key < b.key end
    local makers = {
        function(n) return random(n * 2) end,
        function(n) return random(3) end,
        function(n) return random(10) / 3 end,
        function(n) return string.rep("ab", random(5)) .. random(n) end,
        function(n, at) return setmetatable({key = random(n), id = at}, Ordered) end,
        function(n, at) return at end,
        function(n, at) return -at end,
        function(n, at) return if at % 2 == 0 then at else n - at end,
        function(n, at) return if random(n * 2) == 1 then "odd" else at end,
        function(n, at) return if random(n * 2) == 1 then 0 / 0 else random(n) end,
        function(n, at) return if random(n * 2) == 1 then {} else random(n) end,
        function(n, at) return if at % 3 == 0 then true else false end,
    }
    local function key(a) return if type(a) == "table" then a.key or 0 elseif type(a) == "number" then a else #tostring(a) end
    local comparators = {
        function(a, b) return key(a) < key(b) end,
        function(a, b) return key(a) > key(b) end,
        function(a, b) return key(a) % 5 < key(b) % 5 end,
        function(a, b) return key(a) <= key(b) end,
        function() return true end,
        function() return nil end,
        function() return random(2) == 1 end,
        function(a, b) if random(100) == 1 then error("thrown " .. key(a)) end return key(a) < key(b) end,
        function(a, b) if random(100) == 1 then error({}) end return key(a) < key(b) end,
        function(a, b) if random(50) == 1 then error("at two", 2) end return key(a) < key(b) end,
    }
    local lines = {}
    for case = 1, 1500 do
        local count, maker, less = random(60) - 1, makers[random(#makers)], nil
        if case % 50 == 0 then count *= 40 end
        local made, calls = {}, 0
        for at = 1, count do made[at] = maker(count, at) end
        if random(3) > 1 then
            local chosen = comparators[random(#comparators)]
            less = function(a, b) calls = (calls * 31 + key(a) * 7 + key(b)) % 1000003 return chosen(a, b) end
        end
        local ok, message = pcall(function() return select("#", table.sort(made, less)) end)
        local order = 0
        for at, item in made do
            order = (order * 31 + if type(item) == "table" then item.id or 0 elseif type(item) == "number" then item * 3 else #tostring(item)) % 1000003
        end
        lines[case] = `{count} {ok} {if type(message) == "table" then "object" else message} {order} {calls}`
    end
    return table.concat(lines, "\n")
"##;

#[test]
fn it_compares_and_swaps_as_luaus_own() {
    assert_eq!(same("sort", SORTS), 1500);
}

#[test]
fn a_comparator_may_wait_yield_and_be_paused() {
    let vm = Vm::with_limits(RuntimeLimits { slice: Duration::from_micros(50), ..RuntimeLimits::default() });
    let script = r#"
        local t = {5, 3, 8, 1, 9, 2}
        table.sort(t, function(a, b) task.wait(1) return a < b end)
        local u = {5, 3, 8, 1, 9, 2}
        local co = coroutine.wrap(function() table.sort(u, function(a, b) return coroutine.yield(a, b) end) return nil end)
        local a, b = co()
        while a do a, b = co(a < b) end
        return {table.concat(t, " "), table.concat(u, " ")}
    "#;
    assert_eq!(vm.value(script), list(["1 2 3 5 8 9", "1 2 3 5 8 9"]));
    let before = vm.slices.get();
    let script = "table.sort({2, 1, 3}, function(a, b) for i = 1, 2000000 do end return a < b end) return 1";
    assert_eq!(vm.value(script), 1.0.into());
    assert!(vm.slices.get() > before + 1, "it was not paused");
}

#[test]
fn an_endless_comparator_ends_by_the_cpu_limit_and_the_vm_goes_on() {
    let vm = Vm::new();
    for source in [
        "table.sort({3, 2, 1}, function() while true do end end)",
        "pcall(table.sort, {3, 2, 1}, function() while true do pcall(error) end end)",
        "string.gsub('abc', '.', function() while true do end end)",
        "table.foreach({1}, function() while true do end end)",
        "table.foreachi({1}, function() while true do end end)",
    ] {
        let isolate = vm.isolate(&[("init.luau", source)]);
        let cpu = Duration::from_millis(20);
        let limits = ExecutionLimits { cpu, ..ExecutionLimits::default() };
        let verdict = vm.dispatch_with(isolate, "null", limits).verdict;
        assert!(
            matches!(&verdict, Verdict::LimitExceeded { limit: LimitExceeded::CpuTime(_), .. }),
            "{source}: {verdict:?}"
        );
        assert_eq!(vm.runtime.state(), VmState::Ready);
    }
}

#[test]
fn an_error_in_a_comparator_shows_where_it_was_thrown() {
    let vm = Vm::new();
    let source = "local function less(a, b)\n  error('no order')\nend\ntable.sort({3, 2, 1}, less)";
    let Verdict::Failed(error) = vm.run(source) else { panic!("it did not throw") };
    assert_eq!(error.message, "init.luau:2: no order");
    assert_eq!(error.traceback, "init.luau:2 function less\ninit.luau:4");
}

#[test]
fn lists_that_luau_does_not_sort_at_once_come_out_sorted() {
    let vm = Vm::new();
    let source = r#"
        local long, texts, numbers = string.rep("x", 100000), {}, {}
        for i = 1, 500 do texts[i] = long .. (i * 7919) % 503 end
        table.sort(texts)
        for i = 2, 500 do assert(texts[i - 1] < texts[i]) end
        local many = {}
        for i = 1, 70000 do many[i] = tostring((i * 7919) % 70001) end
        table.sort(many)
        for i = 2, 70000 do assert(many[i - 1] < many[i]) end
        for i = 1, 100000 do numbers[i] = (i * 7919) % 100003 end
        table.sort(numbers)
        for i = 2, 100000 do assert(numbers[i - 1] < numbers[i]) end
        return true
    "#;
    let vm_limits = RuntimeLimits { memory: 200 << 20, ..RuntimeLimits::default() };
    assert_eq!(Vm::with_limits(vm_limits).value(source), true.into());
    assert_eq!(vm.value("local t = {3, 1, 2} table.sort(t) return table.concat(t)"), "123".into());
}
