//! What a closed VM leaves behind: nothing. A test of its own process, since it reads what the process uses.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]
#![cfg(target_os = "linux")]

use khronos::{
    BaseLibrary, Bundle, BytecodeCache, ExecutionLimits, KhronosRuntime, Program, RuntimeOptions, Ticker,
    give_back_free_memory,
};

/// What leaves most behind, if anything does: sleeping threads, coroutines, host functions, cycles through all of them.
const SOURCE: &str = "
    local event, ctx = ...
    local world = {ctx = ctx, text = string.rep('x', 10000)}
    world.self = setmetatable({world}, {__index = world})
    task.delay(60, function() return world end)
    world.wrapped = coroutine.wrap(function() coroutine.yield(world) end)
    world.wrapped()
    task.spawn(function() task.wait(60) return world end)
    return event.list
";

fn resident_kib() -> u64 {
    give_back_free_memory();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn life_of_a_vm(options: RuntimeOptions, program: &Program) {
    let runtime = KhronosRuntime::new(options).unwrap();
    let isolate = runtime.create_isolate("test", program.clone()).unwrap();
    let event = runtime.decode_json(r#"{"list": [1, 2, 3], "text": "hello"}"#).unwrap();
    let ctx = mlua::Value::Table(runtime.create_logger(isolate).unwrap());
    runtime.start(isolate, "TEST", &event, &ctx, ExecutionLimits::default()).unwrap();
    let done = loop {
        runtime.run_slice();
        if let Some(done) = runtime.take_completions().pop() {
            break done;
        }
    };
    assert!(matches!(done.verdict, khronos::Verdict::Returned(_)), "{:?}", done.verdict);
    assert!(runtime.executions() > 0, "threads sleep when the VM is closed");
    runtime.close();
}

#[test]
fn ten_thousand_vms_one_after_another_leave_nothing_behind() {
    let (ticker, base) = (Ticker::start().unwrap(), BaseLibrary::compile().unwrap());
    let bundle = Bundle::new([("init.luau".to_owned(), SOURCE.to_owned())]).unwrap();
    let program = BytecodeCache::default().compile(&bundle).unwrap();
    let cycles = |count: usize| {
        for _ in 0..count {
            life_of_a_vm(RuntimeOptions::new(base.clone(), ticker.handle()), &program);
        }
        resident_kib()
    };
    let before = cycles(500);
    let after = cycles(9_500);
    eprintln!("resident memory: {before} KiB after 500 VMs, {after} KiB after 10,000");
    // A hundred bytes left behind by each would be a megabyte.
    assert!(after < before + 1_024, "{before} KiB after 500 VMs, {after} KiB after 10,000");
}
