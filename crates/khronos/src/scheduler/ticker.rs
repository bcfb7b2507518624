//! The clock of preemption: one thread that looks at all worker threads and ends slices that are over.
//!
//! Owns the rhythm. Leaves to `preempt` how a running VM is reached and stopped. It sleeps for good while no VM runs,
//! so an idle service uses no CPU.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::preempt::Slot;

/// How often running VMs are looked at, at the least. A slice that began after a look is over at most this much late.
const PERIOD: Duration = Duration::from_micros(500);
/// And at the most, however short slices are.
const SHORTEST_PERIOD: Duration = Duration::from_micros(20);
/// So many looks in vain, and the ticker goes to sleep until a VM runs.
const IDLE_LOOKS: u32 = 20;

/// Ends slices on all threads that got a [`TickerHandle`] from it. Stops when it is dropped.
#[derive(Debug)]
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    slots: Mutex<Vec<Weak<Slot>>>,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// One worker thread's line to the ticker. Make one a thread; all VMs of that thread share it.
#[derive(Debug, Clone)]
pub struct TickerHandle {
    pub(crate) slot: Arc<Slot>,
    shared: Arc<Shared>,
    thread: Thread,
}

impl Ticker {
    /// Starts the ticker's thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ticker".to_owned()).spawn(move || run(&seen))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A handle for the VMs of one thread. The ticker forgets it when the last clone is dropped.
    pub fn handle(&self) -> TickerHandle {
        let slot = Arc::new(Slot::default());
        self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&slot));
        let thread = self.thread.as_ref().map_or_else(std::thread::current, |t| t.thread().clone());
        TickerHandle { slot, shared: Arc::clone(&self.shared), thread }
    }
}

impl TickerHandle {
    /// Makes sure that the ticker looks from now on. Cheap when it does already.
    pub(crate) fn wake(&self) {
        // Ordered after the slot was filled by the caller's lock, and against `run`'s own store and look.
        if self.shared.asleep.load(Ordering::SeqCst) && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It holds no lock while it could panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    let mut in_vain = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        let next = look(shared);
        in_vain = if next.is_some() { 0 } else { in_vain + 1 };
        if in_vain < IDLE_LOOKS {
            std::thread::park_timeout(next.unwrap_or(PERIOD).clamp(SHORTEST_PERIOD, PERIOD));
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        // A VM that started between the last look and the store has not seen that we are asleep.
        if look(shared).is_none() && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        in_vain = 0;
    }
}

/// Ticks every slot; returns when the next look is worth it, if any VM runs.
fn look(shared: &Shared) -> Option<Duration> {
    let now = Instant::now();
    let mut next: Option<Duration> = None;
    shared.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|slot| match slot.upgrade() {
        Some(slot) => {
            next = [next, slot.tick(now)].into_iter().flatten().min();
            true
        }
        None => false,
    });
    next
}
