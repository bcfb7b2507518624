//! `vm-process`: a process that holds VMs for the service, which starts it. Hidden, since nobody else should.
//!
//! Owns `--try-locks`, which shows on this machine what such a process can still do. What it does for the service is
//! `vm::process`' business.

use std::io::Write;
use std::panic;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use khronos::{
    BaseLibrary, Bundle, BytecodeCache, ExecutionLimits, KhronosRuntime, RuntimeOptions, Ticker, Verdict,
};

use crate::config::{Config, LogConfig, Sources, TelemetryConfig};
use crate::vm::process;
use crate::vm::process::confinement::{Confinement, LockState, Locks, lock_in, lock_in_but_for_system_calls};
use crate::vm::process::escape::{Attempt, Escape};

use super::console::{Console, Exit, Failure};
use super::service_log;

const HELP: &str = "\
The service starts this command for the strategy \"process-pool\". By hand, only --try-locks is of use: it
locks itself in as a VM process does, runs templates, then tries every way out, and prints what came of it.

Example:
  env -i template-worker vm-process --try-locks

Exit codes:
  0  every attempt was refused
  1  one was not, or the locks could not be closed
  2  the command line is wrong
";

/// Enough for a few VMs, and little enough to be reserved twice.
const MEMORY: usize = 512 << 20;

/// Threads that work after the locks were closed.
const THREADS: usize = 4;

/// Holds some MiB, sleeps, collects garbage, and fails in a way that is caught.
const SCRIPT: &str = "
    local event = ...
    local kept = {}
    for i = 1, 100 do
        kept[i] = string.rep(tostring(i), 20000)
        if i % 25 == 0 then task.wait(0.005) end
    end
    local ok = pcall(error, 'caught')
    local later = false
    task.delay(0.005, function() later = true end)
    repeat task.wait(0.002) until later
    return if ok then 0 else #kept + event.number
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Lock in, work, and try to get out
    #[arg(long)]
    try_locks: bool,

    /// Leave the system calls open, to see what the other locks refuse by themselves: files, ports, signals
    #[arg(long, requires = "try_locks")]
    without_system_calls: bool,
}

/// What it has to say goes to the service's log, a line each.
fn serve() -> anyhow::Result<Exit> {
    let log = LogConfig { level: "warn".to_owned(), ..LogConfig::default() };
    service_log::start(&log, &TelemetryConfig::default())?;
    match process::serve() {
        Ok(()) => Ok(Exit::Success),
        Err(process::NotServed::NoSocket(_) | process::NotServed::NoStart) => {
            let hint = "set `strategy` of `[vm]` to \"process-pool\", or see what it may do by --try-locks";
            Err(Failure::new("a VM process is started by the service only", hint).into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn run(args: &Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    if !args.try_locks {
        return serve();
    }
    let config = Config::load(sources)?.config;
    // As in the service: a file cannot be read later.
    ensure!(can_reserve(MEMORY), "failed to reserve {MEMORY} bytes of memory, which the locks are to refuse");
    let locks = Locks { memory_bytes: MEMORY as u64, require: config.vm.require_confinement };
    let close = if args.without_system_calls { lock_in_but_for_system_calls } else { lock_in };
    let confinement = close(&locks)?;
    show_locks(&confinement, console.out)?;
    work().context("failed to work as usual behind the locks")?;
    writeln!(console.out, "work: {THREADS} threads with a VM each, timers, a caught panic with a backtrace")?;
    let here = Attempt::ALL.map(Attempt::attempt);
    let there = thread::Builder::new().spawn(|| Attempt::ALL.map(Attempt::attempt))?.join();
    let there = there.map_err(|_| anyhow::anyhow!("the thread that tried to get out panicked"))?;
    let mut refused = true;
    for (thread, escapes) in [("main", here), ("other", there)] {
        for (attempt, escape) in Attempt::ALL.into_iter().zip(escapes) {
            let (outcome, why) = match escape {
                Escape::Refused(why) => ("refused", why),
                Escape::Succeeded(how) => ("SUCCEEDED", how),
            };
            refused &= outcome == "refused";
            writeln!(console.out, "attempt {:<18} {thread:<6} {outcome:<10} {why}", attempt.name())?;
        }
    }
    let reserved = can_reserve(MEMORY);
    let outcome = if reserved { "SUCCEEDED" } else { "refused" };
    writeln!(console.out, "attempt {:<18} {:<6} {outcome}", "exceed_memory", "main")?;
    Ok(if refused && !reserved { Exit::Success } else { Exit::Failure })
}

fn show_locks(confinement: &Confinement, out: &mut dyn Write) -> std::io::Result<()> {
    for (lock, state) in confinement.locks() {
        match state {
            LockState::Enforced => writeln!(out, "lock {lock:<18} enforced")?,
            LockState::Missing(why) => writeln!(out, "lock {lock:<18} MISSING: {why}")?,
        }
    }
    Ok(())
}

/// Whether so much memory can be had at once. It is not touched.
fn can_reserve(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// What a VM process does all day, on several threads.
fn work() -> anyhow::Result<()> {
    let ticker = Ticker::start()?;
    let base = BaseLibrary::compile()?;
    let (done, results) = sync_channel(THREADS);
    for number in 0..THREADS {
        let (done, base, ticker) = (done.clone(), base.clone(), ticker.handle());
        let work = move || done.send(work_on_a_thread(RuntimeOptions::new(base, ticker), number));
        thread::Builder::new().name(format!("vm-{number}")).stack_size(4 << 20).spawn(work)?;
    }
    drop(done);
    for _ in 0..THREADS {
        results.recv().context("a thread ended early")??;
    }
    Ok(())
}

fn work_on_a_thread(options: RuntimeOptions, number: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(run_a_script(options, number))?;
    khronos::give_back_free_memory();
    ensure!(panic::catch_unwind(panic_on_purpose).is_err(), "a panic was not caught");
    // For the names in it, files would be read.
    let frames = std::backtrace::Backtrace::force_capture().to_string();
    ensure!(!frames.is_empty(), "there is no backtrace");
    Ok(())
}

#[expect(clippy::panic, reason = "a panic of a worker thread must be survived behind the locks as well")]
fn panic_on_purpose() {
    panic!("on purpose, to see that it is caught behind the locks");
}

async fn run_a_script(options: RuntimeOptions, number: usize) -> anyhow::Result<()> {
    let vm = KhronosRuntime::new(options)?;
    let bundle = Bundle::new([("init.luau".to_owned(), SCRIPT.to_owned())])?;
    let program =
        BytecodeCache::default().compile(&bundle).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let isolate = vm.create_isolate("work", program)?;
    let event = vm.decode_json(&format!(r#"{{"number": {number}}}"#))?;
    let ctx = vm.decode_json("null")?;
    vm.start(isolate, "WORK", &event, &ctx, ExecutionLimits::default())?;
    loop {
        vm.run_slice();
        if let Some(completion) = vm.take_completions().pop() {
            let Verdict::Returned(value) = completion.verdict else {
                bail!("the script ended otherwise: {:?}", completion.verdict);
            };
            let wanted = u32::try_from(100 + number).map(f64::from)?;
            ensure!(value == wanted.into(), "the script returned {value:?}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
