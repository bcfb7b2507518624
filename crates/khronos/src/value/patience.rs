//! How long values may take to cross the border, by the CPU time that their number explains.
//!
//! A value can be made to take longer than it looks: a table that had a million entries and lost them is one node and
//! costs as much to look through as a full one, and of texts with the same hash each is compared with all others. What
//! is moved cannot be paused meanwhile.

use std::cell::Cell;
use std::time::Duration;

/// CPU time besides what the nodes explain.
const GRACE: Duration = Duration::from_millis(20);

/// CPU time that a node explains: ten times what it takes.
const A_NODE: Duration = Duration::from_micros(2);

/// Counts from the first look on, which is not at once: a clock costs as much as a small value.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    since: Cell<Option<Duration>>,
}

impl Patience {
    /// Looks at the clock. Whether `nodes`, all since the start, took longer than they may.
    pub(crate) fn is_over(&self, nodes: usize) -> bool {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
        let now = now.map(Duration::from).unwrap_or_default();
        let since = self.since.get().unwrap_or(now);
        self.since.set(Some(since));
        now.saturating_sub(since) > GRACE + A_NODE * u32::try_from(nodes).unwrap_or(u32::MAX)
    }
}
