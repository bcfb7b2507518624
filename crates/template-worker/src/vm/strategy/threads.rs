//! Workers that are threads of this process.
//!
//! A thread that panics takes its VMs with it and nothing else. A panic that somebody swallowed (a script's `pcall`, an
//! async runtime) retires the thread as well: what it left half done is not to be trusted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use khronos::Ticker;

use super::Shared;
use super::pool::{Ended, Start, WorkerKind};
use crate::metrics::Count;
use crate::vm::panic_hook::PanicWatch;
use crate::vm::running::NowRunning;
use crate::vm::thread_loop::{ThreadLoop, WorkerParts};

/// How long a thread that could not start waits before it says so.
const AFTER_FAILED_START: Duration = Duration::from_millis(100);

/// Starts threads that run [`ThreadLoop`]s.
#[derive(Debug)]
pub(super) struct Threads {
    shared: Arc<Shared>,
    ticker: Arc<Ticker>,
}

impl Threads {
    /// Threads whose VMs have what `shared` says.
    ///
    /// # Errors
    /// When the operating system gives no thread for the clock.
    pub(super) fn new(shared: Arc<Shared>) -> std::io::Result<Self> {
        Ok(Self { shared, ticker: Arc::new(Ticker::start()?) })
    }
}

impl WorkerKind for Threads {
    fn start(&self, start: Start) -> std::io::Result<()> {
        let (shared, ticker) = (Arc::clone(&self.shared), Arc::clone(&self.ticker));
        std::thread::Builder::new()
            .name(format!("vm-{}", start.seat.id()))
            .stack_size(self.shared.limits.max_vm_thread_stack_size)
            .spawn(move || run(start, &shared, &ticker))?;
        Ok(())
    }

    /// A thread notices at the end of its slice; one that is inside a library call needs a little longer.
    fn patience(&self) -> Duration {
        self.shared.limits.max_non_yieldable_time() + Duration::from_secs(1)
    }
}

fn run(start: Start, shared: &Arc<Shared>, ticker: &Ticker) {
    let Start { mut seat, messages, pulse, stop_by, .. } = start;
    seat.begin();
    let watch = PanicWatch::begin();
    let running = NowRunning::new(seat.id(), shared);
    let worker = WorkerParts { id: seat.id(), messages, pulse, stop_by, vacate: Box::new(seat.vacating()) };
    let mut work = ThreadLoop::new(worker, shared, ticker.handle(), running.clone());
    let end = catch_unwind(AssertUnwindSafe(|| work.run()));
    let failed = |reason: String| {
        let culprits = running.culprit(&reason).into_iter().collect();
        Ended::Failed { reason, culprits }
    };
    let ended = match (watch.panic(), end) {
        (Some(panic), _) => failed(panic),
        (None, Ok(Ok(()))) => Ended::Stopped,
        (None, Ok(Err(error))) => {
            // The next one will hardly fare better, and would be tried at once.
            std::thread::park_timeout(AFTER_FAILED_START);
            failed(format!("it could not start: {error}"))
        }
        (None, Err(_)) => failed("it panicked".to_owned()),
    };
    if let Ended::Failed { .. } = ended {
        if watch.panic().is_some() {
            shared.metrics.count(Count::Panic);
        }
        // Its guilds are not to wait for its VMs to be closed.
        if catch_unwind(AssertUnwindSafe(|| work.abandon())).is_err() {
            tracing::error!(worker = %seat.id(), "a worker that had failed failed again as it answered");
        }
    }
    // Whatever happens to this process later, it is not the fault of who ran here.
    running.rests_altogether();
    seat.ends(ended);
    // A VM that was in use when the panic came may panic once more as it is closed.
    if catch_unwind(AssertUnwindSafe(|| drop(work))).is_err() {
        tracing::error!(worker = %seat.id(), "a worker that had failed failed again as its VMs were closed");
    }
}
