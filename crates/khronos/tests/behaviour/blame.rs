//! Who broke a VM.

use khronos::{BrokenReason, ExecutionLimits, IsolateId, RuntimeLimits, Verdict, VmState};

use super::vm::{Vm, program};

/// Loops in a metamethod, where nothing can be paused.
const STUCK: &str = "return setmetatable({}, {__index = function() while true do end end}).x";

fn isolate(vm: &Vm, name: &str, source: &str) -> IsolateId {
    vm.runtime.create_isolate(name, program(&[("init.luau", source)])).unwrap()
}

fn broken_by(vm: &Vm) -> Option<String> {
    vm.runtime.broken_by().map(|name| name.to_string())
}

#[test]
fn whoever_cannot_be_paused_or_uses_up_the_memory_broke_the_vm_and_not_who_ran_before() {
    let greedy = "local all = {} while true do table.insert(all, buffer.create(100000)) end";
    for source in [STUCK, greedy] {
        let vm = Vm::new();
        let (good, bad) = (isolate(&vm, "good", "return 1"), isolate(&vm, "bad", source));
        vm.dispatch(good, "null");
        assert_eq!(broken_by(&vm), None, "it is whole");
        assert!(matches!(vm.dispatch(bad, "null").verdict, Verdict::LimitExceeded { .. }));
        assert_eq!(broken_by(&vm).as_deref(), Some("bad"), "{source}");
    }
}

#[test]
fn what_its_owner_does_to_a_vm_is_nobodys_fault() {
    let vm_with_a_past = || {
        let vm = Vm::new();
        let t = isolate(&vm, "t", "kept = buffer.create(3000000) return 1");
        assert!(matches!(vm.dispatch(t, "null").verdict, Verdict::Returned(_)));
        vm
    };
    let vm = vm_with_a_past();
    vm.runtime.condemn(BrokenReason::Condemned("an operator wanted so".to_owned()));
    assert_eq!(broken_by(&vm), None);

    let vm = vm_with_a_past();
    vm.runtime.set_limits(RuntimeLimits { memory: 1 << 20, ..RuntimeLimits::default() }).unwrap();
    while vm.runtime.run_slice() {}
    assert_eq!(vm.runtime.state(), VmState::Broken(BrokenReason::OutOfMemory { limit: 1 << 20 }));
    assert_eq!(broken_by(&vm), None, "more was in use than its owner allowed afterwards");

    let vm = vm_with_a_past();
    vm.runtime.set_limits(RuntimeLimits { memory: 4 << 20, ..RuntimeLimits::default() }).unwrap();
    let texts: Vec<String> = (0..40).map(|n| format!("\"{n}{}\"", "x".repeat(100_000))).collect();
    let text = format!("[{}]", texts.join(","));
    assert!(vm.runtime.decode_json(&text).is_err());
    assert!(matches!(vm.runtime.state(), VmState::Broken(BrokenReason::OutOfMemory { .. })));
    assert_eq!(broken_by(&vm), None, "it was an event that was too large");
}

#[test]
fn a_panic_of_a_host_function_under_pcall_ends_the_vm_and_blames_its_caller() {
    let vm = Vm::new();
    let panics = vm.runtime.create_function(|_, ()| -> Result<(), String> { panic!("of the host") }).unwrap();
    let source = "return function(event, panics)
        local ok, message = pcall(panics)
        after = true
        return tostring(ok) .. ' ' .. tostring(message)
    end";
    let (good, bad) = (isolate(&vm, "good", "return 1"), isolate(&vm, "bad", source));
    vm.dispatch(good, "null");
    let (null, ctx) = (vm.runtime.decode_json("null").unwrap(), mlua::Value::Function(panics));
    let id = vm.runtime.start(bad, "TEST", &null, &ctx, ExecutionLimits::default()).unwrap();
    assert_eq!(vm.finish(id).verdict, Verdict::Broken(BrokenReason::Panicked), "whatever it made of it");
    assert_eq!(broken_by(&vm).as_deref(), Some("bad"));
    assert!(!vm.runtime.run_slice(), "nothing runs any more");
}

#[test]
fn a_panic_of_a_host_function_that_no_script_called_is_nobodys_fault() {
    let vm = Vm::new();
    let t = isolate(&vm, "t", "return 1");
    vm.dispatch(t, "null");
    let panics = vm.runtime.create_function(|_, ()| -> Result<(), String> { panic!("a drill") }).unwrap();
    let called = vm.runtime.with_lua(|lua| {
        let pcall: mlua::Function = lua.globals().get("pcall").unwrap();
        pcall.call::<mlua::MultiValue>(panics)
    });
    assert!(called.is_ok());
    assert_eq!(vm.runtime.state(), VmState::Broken(BrokenReason::Panicked));
    assert_eq!(broken_by(&vm), None);
}
