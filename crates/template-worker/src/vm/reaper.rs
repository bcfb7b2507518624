//! Gives the memory of closed VMs back to the operating system, when it is worth it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// As many bytes of VMs have to be closed before the allocator is asked to let go: it costs some milliseconds, so a
/// guild that breaks its VM again and again must not get it done each time.
const WORTH_IT: usize = 64 << 20;

/// Adds up what was closed.
#[derive(Debug, Default)]
pub struct Reaper {
    closed: AtomicUsize,
}

impl Reaper {
    /// A VM that used `bytes` was closed.
    pub(super) fn closed(&self, bytes: usize) {
        let before = self.closed.fetch_add(bytes, Ordering::Relaxed);
        if before < WORTH_IT && before + bytes >= WORTH_IT {
            self.closed.store(0, Ordering::Relaxed);
            let reap = thread::Builder::new().name("reaper".to_owned()).spawn(khronos::give_back_free_memory);
            if let Err(error) = reap {
                tracing::warn!(%error, "failed to start a thread that gives memory back; it stays with the process");
            }
        }
    }
}
