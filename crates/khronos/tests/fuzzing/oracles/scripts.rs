//! No script can tell where its slices ended, and none can do harm by an allocation that fails.

use std::time::Duration;

use khronos::{ExecutionLimits, IsolateId, KhronosValue, RuntimeError, RuntimeLimits, Verdict};

use crate::choices::Choices;
use crate::generators::program;
use crate::vm::{self, Vm};

pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let with_failing_allocations = choices.coin();
    let memory = Memory::of(&mut choices);
    let files = program::files(&mut choices);
    if with_failing_allocations {
        let _ = in_little_memory(&files, memory);
    } else {
        slices_are_invisible(&files);
    }
}

type Files = [(&'static str, String)];

/// What a template's author can see of a run.
type Seen = (Vec<Verdict>, Vec<String>, Vec<String>);

fn slices_are_invisible(files: &Files) {
    let whole = run(files, Duration::from_secs(600), 0.0);
    for _ in 0..2 {
        let cut = run(files, Duration::from_micros(1), 0.0007);
        let text = files.iter().map(|(path, text)| format!("-- {path}\n{text}")).collect::<String>();
        assert_eq!(whole, cut, "with one slice and with many, of\n{text}");
    }
}

/// Runs the template in two isolates side by side, each of them twice.
fn run(files: &Files, slice: Duration, burn: f64) -> Option<Seen> {
    let limits = RuntimeLimits {
        slice,
        non_yieldable: Duration::from_secs(60),
        // When the collector runs, and so what fails in little memory, is not the same each time.
        memory: 512 << 20,
        ..RuntimeLimits::default()
    };
    let vm = Vm::new(limits).unwrap();
    let isolates = ["first", "second"].map(|name| isolate(&vm, name, files).unwrap());
    let event = vm
        .runtime
        .create_value(&KhronosValue::from([
            ("burn", burn.into()),
            ("hunger", 0.0.into()),
            ("seen", vec![1.0, 2.0].into()),
        ]))
        .unwrap();
    for _ in 0..2 {
        let ctx = vm.ctx().ok()?;
        for isolate in isolates {
            vm.start(isolate, &event, &ctx, ExecutionLimits::default()).ok()?;
        }
        vm.run();
        if vm.is_broken() {
            return None;
        }
    }
    let mut completions = vm.completions.take();
    completions.sort_by_key(|completion| completion.id);
    let verdicts = completions.into_iter().map(|completion| completion.verdict).collect();
    let seen = (verdicts, vm.logged("first"), vm.logged("second"));
    vm.close();
    Some(seen)
}

fn isolate(vm: &Vm, name: &str, files: &Files) -> Result<IsolateId, RuntimeError> {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    vm.runtime.create_isolate(name, vm::program(&files))
}

/// How much memory there is, and from when on.
struct Memory {
    limit: usize,
    /// How much a script takes each time.
    hunger: usize,
    /// Steps after which only that many more bytes may be allocated.
    later: Option<(usize, usize)>,
}

impl Memory {
    fn of(choices: &mut Choices) -> Self {
        let limit = (choices.below(64) + 8) * (32 << 10);
        let hunger = *choices.pick(&[0, 10, 300, 5000]);
        let room = choices.below(64) * choices.below(64) * 16;
        let later = choices.coin().then_some((choices.below(24), room));
        Self { limit: if later.is_some() { 20 << 20 } else { limit }, hunger, later }
    }
}

/// An allocation may fail anywhere, also in what the host does; everyone is answered, and the VM knows that it broke.
fn in_little_memory(files: &Files, memory: Memory) -> Result<(), RuntimeError> {
    let limits = RuntimeLimits {
        memory: memory.limit,
        slice: Duration::from_micros(500),
        non_yieldable: Duration::from_millis(50),
        ..RuntimeLimits::default()
    };
    let Ok(vm) = Vm::new(limits) else { return Ok(()) };
    let done = use_up(&vm, files, memory);
    if let Err(error) = &done {
        vm.must_be_broken(error);
    }
    vm.run();
    vm.close();
    done
}

fn use_up(vm: &Vm, files: &Files, memory: Memory) -> Result<(), RuntimeError> {
    let (mut steps, room) = memory.later.unwrap_or((usize::MAX, 0));
    let mut go_on = |most: usize| -> Result<(), RuntimeError> {
        for _ in 0..most {
            if steps == 0 {
                vm.runtime.set_memory_limit(vm.runtime.used_memory() + room)?;
            }
            steps = steps.wrapping_sub(1);
            if !vm.step() {
                return Ok(());
            }
        }
        Ok(())
    };
    let few = ExecutionLimits { cpu: Duration::from_millis(40), wall_clock: Duration::from_secs(20) };
    let ctx = vm.ctx()?;
    let event =
        format!(r#"{{"burn": 0, "hunger": {}, "seen": [1, "two", {{"three": [3]}}]}}"#, memory.hunger);
    let event = vm.runtime.decode_json(&event)?;
    go_on(0)?;
    let first = isolate(vm, "first", files)?;
    vm.start(first, &event, &ctx, few)?;
    go_on(3)?;
    let second = isolate(vm, "second", files)?;
    vm.start(second, &event, &ctx, few)?;
    vm.runtime.create_logger(second)?;
    go_on(20)?;
    vm.runtime.create_value(&KhronosValue::from(vec!["text".repeat(100); 20]))?;
    vm.runtime.remove_isolate(first);
    go_on(20)?;
    vm.runtime.collect_garbage()?;
    vm.start(second, &event, &ctx, few)?;
    go_on(usize::MAX)
}
