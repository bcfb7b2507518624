//! The memory that the VMs of all threads use together.
//!
//! Owns the sum and the word that goes out when it gets too large. Leaves which VMs are given up then to
//! `guild_table`: each thread can close only its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Adds up what VMs use. Each has a charge of its own in it, so that the sum is right whatever becomes of a VM.
#[derive(Debug)]
pub struct MemoryBook {
    used: AtomicUsize,
    most: usize,
    /// Told each time that the sum comes to be more than it may be.
    short: watch::Sender<()>,
}

/// What one VM uses, in the book as long as this is alive.
#[derive(Debug)]
pub(super) struct Charge {
    book: Arc<MemoryBook>,
    bytes: usize,
}

impl MemoryBook {
    /// An empty book; the VMs may use `most` bytes together.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most, short: watch::Sender::new(()) })
    }

    /// Bytes that Luau has allocated in all VMs, the warm ones included.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that it may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether VMs have to be given up.
    pub fn is_short(&self) -> bool {
        self.used() > self.most
    }

    /// Whether not even a guild without a VM may get one. Some way above the most: where VMs have to be given up, another
    /// thread may just be about to do it.
    pub fn is_full(&self) -> bool {
        self.used() > self.most + self.most / 8
    }

    /// Whether there is memory for what is only convenient. Some way below the most, so that what is made then is not
    /// given up at once.
    pub(super) fn has_plenty(&self) -> bool {
        self.used() < self.most - self.most / 10
    }

    /// Hears of it when memory gets short from now on.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.short.subscribe()
    }

    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let mut charge = Charge { book: Arc::clone(self), bytes: 0 };
        charge.set(bytes);
        charge
    }

    fn add(&self, bytes: usize) {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before <= self.most && before + bytes > self.most {
            self.short.send_replace(());
        }
    }
}

impl Charge {
    /// The VM uses `bytes` now.
    pub(super) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            self.book.add(bytes - before);
        } else {
            self.book.used.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_living_and_getting_short_is_told_each_time() {
        let book = MemoryBook::new(100);
        let mut short = book.watch();
        let heard = |short: &mut watch::Receiver<()>| {
            let heard = short.has_changed().unwrap();
            short.mark_unchanged();
            heard
        };
        let mut first = book.charge(60);
        let second = book.charge(40);
        assert_eq!((book.used(), book.is_short(), heard(&mut short)), (100, false, false));
        first.set(61);
        assert_eq!((book.used(), book.is_short(), heard(&mut short)), (101, true, true));
        first.set(90);
        assert!(!heard(&mut short), "it was short before");
        drop(second);
        assert_eq!((book.used(), book.is_short(), book.has_plenty()), (90, false, false));
        first.set(89);
        assert!(book.has_plenty());
        first.set(200);
        assert!(heard(&mut short));
        drop(first);
        assert_eq!(book.used(), 0);
    }
}
