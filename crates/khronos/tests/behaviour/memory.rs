//! What a VM may keep in memory: garbage never fails a script, and what is in use has a limit that nobody gets around.

use std::time::{Duration, Instant};

use khronos::{BrokenReason, ExecutionLimits, LimitExceeded, LogLevel, RuntimeLimits, Verdict, VmState};

use crate::vm::Vm;

const MIB: usize = 1 << 20;

/// Keeps about `mib` MiB in small tables.
fn keep(mib: usize) -> String {
    format!("kept = table.create({mib} * 7200, 0) for i = 1, {mib} * 7200 do kept[i] = {{i, i, i, i}} end ")
}

#[test]
fn a_template_with_a_large_heap_does_not_fail_for_its_garbage() {
    for (what, churn) in [
        ("small tables", "for i = 1, 2000000 do local _ = {i} end"),
        ("closures", "for i = 1, 1000000 do local _ = function() return i end end"),
        ("texts", "for i = 1, 500000 do local _ = 'text number ' .. i end"),
        ("large texts", "for i = 1, 300 do local _ = string.rep('x', 500000 + i) end"),
        ("joined texts", "local s = string.rep('x', 400000) for i = 1, 300 do local _ = s .. i end"),
        ("buffers", "for i = 1, 500 do local _ = buffer.create(300000) end"),
        ("growing tables", "for i = 1, 100 do local t = {} for j = 1, 10000 do t[j] = j end end"),
        ("coroutines", "for i = 1, 100000 do coroutine.wrap(function() coroutine.yield() end)() end"),
        (
            "in a metamethod",
            "local _ = setmetatable({}, {__index = function() for i = 1, 500000 do local _ = {i} end return 1 end}).x",
        ),
        ("errors", "for i = 1, 200000 do pcall(error, 'error number ' .. i) end"),
    ] {
        // However long a slow machine needs in the metamethod: this is about memory.
        let vm = Vm::with_limits(RuntimeLimits {
            non_yieldable: Duration::from_secs(60),
            ..RuntimeLimits::default()
        });
        let kept = keep(15);
        let verdict = vm.run(&format!("{kept} {churn} return #kept"));
        assert!(matches!(verdict, Verdict::Returned(_)), "{what}: {verdict:?}");
        assert!(vm.runtime.used_memory() > 14 * MIB, "{what}: only {} bytes", vm.runtime.used_memory());
        assert_eq!(vm.runtime.state(), VmState::Ready, "{what}");
    }
}

#[test]
fn a_script_that_keeps_too_much_ends_and_cannot_catch_it() {
    for hog in [
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end",
        "local s = 'x' while true do s = s .. s end",
        "local s, t = string.rep('x', 500000), {} while true do pcall(function() t[#t + 1] = s .. #t end) end",
        "local t = {} while true do pcall(function() t[#t + 1] = buffer.create(100000) end) end",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "local t = {} setmetatable({}, {__newindex = function() while true do pcall(function() t[#t + 1] = {} end) end end}).x = 1",
        "local t = {} string.gsub('x', 'x', function() while true do pcall(function() t[#t + 1] = {} end) end end)",
        "local t = {} local f f = function() t[#t + 1] = {} return f() end while true do xpcall(f, f) end",
        "local t = {} coroutine.wrap(function() while true do t[#t + 1] = {} end end)()",
        "local t = {} task.spawn(function() while true do t[#t + 1] = {} end end)",
    ] {
        let vm = Vm::with_limits(RuntimeLimits { memory: 4 * MIB, ..RuntimeLimits::default() });
        let isolate = vm.isolate(&[("init.luau", hog)]);
        let done = vm.dispatch_with(isolate, "null", ExecutionLimits::default());
        let limit = LimitExceeded::Memory(4 * MIB);
        assert!(
            matches!(&done.verdict, Verdict::LimitExceeded { limit: hit, .. } if *hit == limit),
            "{hog}: {done:?}"
        );
        assert_eq!(
            vm.runtime.state(),
            VmState::Broken(BrokenReason::OutOfMemory { limit: 4 * MIB }),
            "{hog}"
        );
    }
}

#[test]
fn a_collection_is_spread_over_slices() {
    let vm = Vm::with_limits(RuntimeLimits { slice: Duration::from_micros(200), ..RuntimeLimits::default() });
    vm.value(&format!("{} return 1", keep(15)));
    let before = vm.slices.get();
    vm.value("for i = 1, 400000 do local _ = {i} end return 1");
    assert!(vm.slices.get() - before > 10, "only {} slices", vm.slices.get() - before);
}

#[test]
fn the_author_is_warned_before_it_is_too_late_and_only_once() {
    let vm = Vm::new();
    vm.value(&format!("{} for i = 1, 300000 do local _ = {{i}} end return 1", keep(15)));
    assert!(vm.log.borrow().is_empty(), "{:?}", vm.logged());
    vm.value("more = {} for i = 1, 3 * 7200 do more[i] = {i, i, i, i} end for i = 1, 2000000 do local _ = {i} end return 1");
    let log = vm.log.borrow();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0].level, LogLevel::Warn);
    assert!(log[0].text.contains("% of the memory limit is in use"), "{log:?}");
}

#[test]
fn events_that_are_larger_than_the_room_left_are_no_reason_to_fail() {
    let vm = Vm::new();
    let isolate = vm.isolate(&[("init.luau", &format!("{} return function(e) return #e end", keep(8)))]);
    let event = format!("[{}]", vec!["{\"a\": [1, 2, 3], \"b\": \"text\"}"; 10_000].join(","));
    for _ in 0..10 {
        let done = vm.dispatch(isolate, &event);
        assert!(matches!(done.verdict, Verdict::Returned(_)), "{done:?}");
    }
}

#[test]
fn memory_is_counted_by_template() {
    let vm = Vm::new();
    let (small, large) = (
        vm.isolate(&[("init.luau", "return function() return 1 end")]),
        vm.isolate(&[(
            "init.luau",
            "local kept = {} return function() for i = 1, 20000 do kept[i] = {i} end return 1 end",
        )]),
    );
    vm.dispatch(small, "null");
    vm.dispatch(large, "null");
    vm.runtime.collect_garbage().unwrap();
    let (few, many) = (vm.runtime.memory_of(small), vm.runtime.memory_of(large));
    assert!(few > 0 && few < 20_000, "{few}");
    assert!(many > 1_000_000 && many < 3_000_000, "{many}");
    assert!(vm.runtime.remove_isolate(large));
    assert_eq!(vm.runtime.memory_of(large), 0);
}

#[test]
fn a_lower_limit_holds_from_the_next_slice_on() {
    let vm = Vm::new();
    vm.value(&format!("{} return 1", keep(8)));
    vm.runtime.set_memory_limit(4 * MIB).unwrap();
    while vm.runtime.is_ready() {
        vm.runtime.run_slice();
    }
    assert_eq!(vm.runtime.state(), VmState::Broken(BrokenReason::OutOfMemory { limit: 4 * MIB }));
}

#[test]
fn a_vm_is_closed_bit_by_bit() {
    let large = Vm::new();
    large.value(&format!("{} return 1", keep(15)));
    let handle = large.runtime.handle();
    let mut closing = large.runtime.close();
    let mut steps = 1;
    while !closing.step(Instant::now()) {
        steps += 1;
    }
    assert!(steps > 100, "{steps} steps");
    assert!(handle.is_closed());

    let dropped = Vm::new();
    dropped.value(&format!("{} return 1", keep(15)));
    let handle = dropped.runtime.handle();
    drop(dropped.runtime.close());
    assert!(handle.is_closed());
}

#[test]
fn a_lower_limit_looks_at_the_garbage_first() {
    let vm = Vm::with_limits(RuntimeLimits { memory: 40 * MIB, ..RuntimeLimits::default() });
    vm.value("for i = 1, 150000 do local _ = {i, i, i, i} end kept = buffer.create(1000) return 1");
    vm.value(&format!("{} kept = nil return 1", keep(12)));
    vm.runtime.set_memory_limit(4 * MIB).unwrap();
    while vm.runtime.is_ready() {
        vm.runtime.run_slice();
    }
    assert_eq!(vm.runtime.state(), VmState::Ready);
    assert!(vm.runtime.used_memory() < 4 * MIB);
}

#[test]
fn asking_again_and_again_does_not_keep_a_collection_from_its_end() {
    let vm = Vm::with_limits(RuntimeLimits { slice: Duration::from_micros(50), ..RuntimeLimits::default() });
    vm.value(&format!("{} return 1", keep(12)));
    let mut slices = 0;
    loop {
        vm.runtime.request_collection();
        assert!(vm.runtime.run_slice());
        slices += 1;
        if !vm.runtime.is_short_of_memory() {
            break;
        }
        assert!(slices < 100_000, "it never came to its end");
    }
    assert!(slices > 5, "{slices} slices: it was done before it could be asked again");
}
