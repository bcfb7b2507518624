//! No script can tell where its slices ended, and wherever one is ended, or an allocation fails, nobody else is harmed.

use std::time::Duration;

use khronos::{BrokenReason, ExecutionLimits, IsolateId, KhronosValue, RuntimeError, RuntimeLimits, Verdict};

use crate::choices::Choices;
use crate::generators::program;
use crate::vm::{self, Vm};

pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let scarcity = match choices.below(3) {
        0 => None,
        1 => Some(Scarcity::of_memory(&mut choices)),
        _ => Some(Scarcity::of_time(&mut choices)),
    };
    let files = program::files(&mut choices);
    match scarcity {
        None => slices_are_invisible(&files),
        Some(scarcity) => everyone_is_answered(&files, scarcity),
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
        // What the isolates have together is used up in an order that depends on the slices.
        memory: 512 << 20,
        threads: 1_000_000,
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

/// What there is too little of.
struct Scarcity {
    limits: RuntimeLimits,
    execution: ExecutionLimits,
    /// What a script uses up each time that it burns: seconds, and entries of a table.
    burn: f64,
    hunger: usize,
    /// Steps after which only that many more bytes may be allocated.
    memory_ends: Option<(usize, usize)>,
    /// Steps after each of which all garbage is collected: what is paused must be reachable.
    collections: usize,
    end: End,
}

/// How a VM's owner ends it.
#[derive(Clone, Copy)]
enum End {
    /// When everything is done.
    AtLeisure,
    /// So many steps after the last execution was started: giving it up, or dropping it as it is.
    Condemned(usize),
    Dropped(usize),
}

impl End {
    fn of(choices: &mut Choices) -> Self {
        match choices.below(4) {
            0 | 1 => Self::AtLeisure,
            2 => Self::Condemned(choices.below(30)),
            _ => Self::Dropped(choices.below(30)),
        }
    }
}

impl Scarcity {
    /// An allocation fails somewhere, perhaps in what the host does.
    fn of_memory(choices: &mut Choices) -> Self {
        let memory = (choices.below(64) + 8) * (32 << 10);
        let hunger = *choices.pick(&[0, 10, 300, 5000]);
        let room = choices.below(64) * choices.below(64) * 16;
        let memory_ends = choices.coin().then_some((choices.below(24), room));
        let limits = RuntimeLimits {
            memory: if memory_ends.is_some() { 20 << 20 } else { memory },
            slice: Duration::from_micros(500),
            non_yieldable: Duration::from_millis(50),
            ..RuntimeLimits::default()
        };
        let execution =
            ExecutionLimits { cpu: Duration::from_millis(40), wall_clock: Duration::from_secs(20) };
        Self { limits, execution, burn: 0.0, hunger, memory_ends, collections: 0, end: End::of(choices) }
    }

    /// A script is ended wherever it is.
    fn of_time(choices: &mut Choices) -> Self {
        let limits = RuntimeLimits {
            slice: Duration::from_micros(1),
            non_yieldable: Duration::from_millis(*choices.pick(&[1, 2, 50])),
            threads: *choices.pick(&[1_000, 5]),
            ..RuntimeLimits::default()
        };
        let execution = ExecutionLimits {
            cpu: Duration::from_micros(*choices.pick(&[500, 2_000, 5_000])),
            wall_clock: Duration::from_millis(*choices.pick(&[10, 250, 1_000])),
        };
        Self {
            limits,
            execution,
            burn: 0.001,
            hunger: 0,
            memory_ends: None,
            collections: *choices.pick(&[0, 100]),
            end: End::of(choices),
        }
    }
}

/// Whatever ends, and wherever: everyone is answered, and the VM knows if it broke. Three executions of two isolates get
/// into each other's way.
fn everyone_is_answered(files: &Files, scarcity: Scarcity) {
    let Ok(vm) = Vm::new(scarcity.limits) else { return };
    if let Err(error) = run_in_scarcity(&vm, files, &scarcity) {
        vm.must_be_broken(&error);
    }
    match scarcity.end {
        End::Dropped(_) => return vm.close(),
        End::Condemned(_) => vm.runtime.condemn(BrokenReason::Condemned("its owner had enough".to_owned())),
        End::AtLeisure => {}
    }
    vm.run();
    vm.close();
}

fn run_in_scarcity(vm: &Vm, files: &Files, scarcity: &Scarcity) -> Result<(), RuntimeError> {
    let (mut steps, room) = scarcity.memory_ends.unwrap_or((usize::MAX, 0));
    let mut collections = scarcity.collections;
    let mut go_on = |most: usize| -> Result<(), RuntimeError> {
        for _ in 0..most {
            if steps == 0 {
                vm.runtime.set_memory_limit(vm.runtime.used_memory() + room)?;
            }
            steps = steps.wrapping_sub(1);
            if collections > 0 {
                collections -= 1;
                vm.runtime.collect_garbage()?;
            }
            if !vm.step() {
                return Ok(());
            }
        }
        Ok(())
    };
    let ctx = vm.ctx()?;
    let (burn, hunger) = (scarcity.burn, scarcity.hunger);
    let event = serde_json::json!({"burn": burn, "hunger": hunger, "is_shared": true, "seen": [1, "two", {"three": [3]}]});
    let event = vm.runtime.decode_json(&event.to_string())?;
    go_on(1)?;
    let first = isolate(vm, "first", files)?;
    vm.start(first, &event, &ctx, scarcity.execution)?;
    go_on(3)?;
    let second = isolate(vm, "second", files)?;
    vm.start(second, &event, &ctx, scarcity.execution)?;
    vm.runtime.create_logger(second)?;
    go_on(20)?;
    vm.runtime.create_value(&KhronosValue::from(vec!["text".repeat(100); 20]))?;
    vm.runtime.remove_isolate(first);
    go_on(20)?;
    vm.runtime.collect_garbage()?;
    vm.start(second, &event, &ctx, scarcity.execution)?;
    match scarcity.end {
        End::AtLeisure => Ok(()),
        End::Condemned(steps) | End::Dropped(steps) => go_on(steps),
    }
}
