//! What inputs have found, cut down to scripts that can be read.

use khronos::{ExecutionLimits, IsolateId, RuntimeLimits, Verdict};

use crate::vm::{Vm, program};

fn isolate(vm: &Vm, script: &str) -> IsolateId {
    vm.runtime.create_isolate("test", program(&[("init.luau", script)])).unwrap()
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
