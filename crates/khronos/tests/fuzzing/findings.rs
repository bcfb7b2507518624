//! What inputs have found, cut down to scripts that can be read.

use std::time::Duration;

use khronos::{ExecutionLimits, IsolateId, RuntimeLimits, Verdict, VmState};

use crate::vm::{Vm, program};

fn isolate(vm: &Vm, script: &str) -> IsolateId {
    vm.runtime.create_isolate("test", program(&[("init.luau", script)])).unwrap()
}

#[test]
fn coroutines_inside_each_other_are_counted_on_after_a_pause() {
    let script = "local function burn() local t = os.clock() while os.clock() - t < 0.002 do end end \
        local function nest(n) if n % 50 == 0 then burn() end \
            return if n > 0 then coroutine.wrap(nest)(n - 1) + 1 else 0 end \
        print((pcall(nest, 400)))";
    let seen = [Duration::from_secs(60), Duration::from_micros(1)].map(|slice| {
        let vm = Vm::new(RuntimeLimits { slice, ..RuntimeLimits::default() }).unwrap();
        let ctx = vm.ctx().unwrap();
        vm.start(isolate(&vm, script), &mlua::Value::Nil, &ctx, ExecutionLimits::default()).unwrap();
        vm.run();
        vm.logged("test")
    });
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn an_answer_of_the_host_for_which_there_is_no_memory_breaks_the_vm() {
    let vm = Vm::new(RuntimeLimits::default()).unwrap();
    let ctx = vm.ctx().unwrap();
    let isolate = isolate(&vm, "local event, ctx = ... print(pcall(ctx.fetch, 'big'))");
    vm.start(isolate, &mlua::Value::Nil, &ctx, ExecutionLimits::default()).unwrap();
    vm.runtime.set_memory_limit(vm.runtime.used_memory() + 12_000).unwrap();
    vm.run();
    assert!(matches!(vm.runtime.state(), VmState::Broken(_)), "{:?}", vm.logged("test"));
}

#[test]
fn a_traceback_is_short_whatever_functions_are_called() {
    let name = "f".repeat(100_000);
    let script = format!(
        "local function {name}(n) if n > 0 then {name}(n - 1) return 1 end error('deep') end {name}(20)"
    );
    let vm = Vm::new(RuntimeLimits::default()).unwrap();
    let ctx = vm.ctx().unwrap();
    vm.start(isolate(&vm, &script[..]), &mlua::Value::Nil, &ctx, ExecutionLimits::default()).unwrap();
    vm.run();
    let verdict = &vm.completions.borrow()[0].verdict;
    let Verdict::Failed(error) = verdict else { panic!("{verdict:?}") };
    assert!(
        error.traceback.len() <= 50 * 301,
        "{} bytes, for {} bytes of script",
        error.traceback.len(),
        script.len()
    );
}
