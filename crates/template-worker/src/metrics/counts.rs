//! Counters, and how what was counted gets from one process into another.
//!
//! Owns the number of each counter. A count is one relaxed addition; nothing is looked up or allocated for it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::histogram::HistogramCounts;
use super::names::{Broke, Dispatch, Eviction, Expired, FAMILIES, Served, Status, Worker};
use crate::limits::Limit;

/// The most that one report may add to a counter: more is not to be believed.
pub(super) const MOST_AT_ONCE: u64 = 1 << 40;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A limit ended, refused, dropped or put off something.
    Exceeded(Limit),
    /// An author was told that a template is near a limit.
    Warned(Limit),
    /// An event was sent.
    Dispatched(Dispatch),
    /// An execution ended.
    Executed(Status),
    /// A VM had a turn.
    Slice,
    /// It had more to do at its end.
    Preemption,
    /// Microseconds of CPU.
    CpuMicros,
    /// A guild without a VM got none, for want of memory.
    VmRefused,
    /// A VM in which nothing ran was closed.
    Evicted(Eviction),
    /// A VM broke.
    Broke(Broke),
    /// A worker thread or a host function panicked.
    Panic,
    /// A worker was replaced.
    Restarted(Worker),
    /// A number from a process was left out.
    Rejected,
    /// A template asked something of the host.
    HostCall(Served),
    /// A key expired, and templates were to be told.
    Expired(Expired),
}

impl Count {
    /// Which family it belongs to, and which of its values it is.
    const fn place(self) -> (usize, usize) {
        match self {
            Self::Exceeded(limit) => (0, limit as usize),
            Self::Warned(limit) => (1, limit as usize),
            Self::Dispatched(outcome) => (2, outcome as usize),
            Self::Executed(status) => (3, status as usize),
            Self::Slice => (4, 0),
            Self::Preemption => (5, 0),
            Self::CpuMicros => (6, 0),
            Self::VmRefused => (7, 0),
            Self::Evicted(cause) => (8, cause as usize),
            Self::Broke(reason) => (9, reason as usize),
            Self::Panic => (10, 0),
            Self::Restarted(kind) => (11, kind as usize),
            Self::Rejected => (12, 0),
            Self::HostCall(served) => (13, served as usize),
            Self::Expired(came) => (14, came as usize),
        }
    }
}

/// Where each family begins among all counters, and how many there are.
const OFFSETS: [usize; FAMILIES.len() + 1] = {
    let mut offsets = [0; FAMILIES.len() + 1];
    let mut at = 0;
    while at < FAMILIES.len() {
        offsets[at + 1] = offsets[at] + FAMILIES[at].values.len();
        at += 1;
    }
    offsets
};

const ALL: usize = OFFSETS[FAMILIES.len()];

/// What was counted since the last look, as plain data: a VM process sends it to the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Number of a counter, and what came to it.
    pub counters: Vec<(u16, u64)>,
    /// What the histograms took in.
    pub histograms: Vec<HistogramCounts>,
}

impl Counts {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.histograms.is_empty()
    }
}

/// The number of a counter in messages.
#[cfg(test)]
pub(super) fn number(what: Count) -> u16 {
    let (family, value) = what.place();
    u16::try_from(OFFSETS[family] + value).unwrap()
}

/// Whether the counter in this place is counted where VMs live. That a process was replaced is its parent's to count.
fn travels(at: usize) -> bool {
    let (family, value) = Count::Restarted(Worker::Process).place();
    if at == OFFSETS[family] + value {
        return false;
    }
    let family = OFFSETS.iter().rposition(|offset| *offset <= at);
    family.and_then(|family| FAMILIES.get(family)).is_some_and(|family| family.travels)
}

/// All counters.
#[derive(Debug)]
pub(super) struct Counters([AtomicU64; ALL]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    pub(super) fn count(&self, what: Count, times: u64) {
        let (family, value) = what.place();
        if let Some(counter) = self.0.get(OFFSETS[family] + value) {
            counter.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// The values of the family with this number, as they are declared.
    pub(super) fn family(&self, family: usize) -> impl Iterator<Item = u64> {
        let all = self.0.get(OFFSETS[family]..OFFSETS[family + 1]).unwrap_or_default();
        all.iter().map(|counter| counter.load(Ordering::Relaxed))
    }

    /// What was counted since the last time, of what travels.
    pub(super) fn take(&self) -> Vec<(u16, u64)> {
        let taken = (0u16..).zip(&self.0).filter(|(at, _)| travels(usize::from(*at)));
        let taken = taken.map(|(at, counter)| (at, counter.swap(0, Ordering::Relaxed)));
        taken.filter(|(_, count)| *count > 0).collect()
    }

    /// Adds what a process says it counted. Returns how much of it makes no sense, which is left out: what does not
    /// exist, what only the service itself counts, and more than can be. Of a list that is longer than there are
    /// counters, the rest.
    pub(super) fn add(&self, counts: &[(u16, u64)]) -> usize {
        let taken = counts.iter().take(ALL).filter(|(at, count)| {
            let at = usize::from(*at);
            let counter = self.0.get(at).filter(|_| travels(at) && *count <= MOST_AT_ONCE);
            counter.inspect(|counter| add(counter, *count)).is_some()
        });
        counts.len() - taken.count()
    }
}

/// Adds without starting again from nothing, whatever a process says.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    // The closure always answers, so this cannot fail.
    let _ = counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| Some(before.saturating_add(count)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_a_counter_of_its_own() {
        let mut all = Vec::new();
        all.extend(Limit::ALL.iter().map(|limit| Count::Exceeded(*limit)));
        all.extend(Limit::ALL.iter().map(|limit| Count::Warned(*limit)));
        all.extend([
            Count::Slice,
            Count::Preemption,
            Count::CpuMicros,
            Count::VmRefused,
            Count::Panic,
            Count::Rejected,
            Count::Dispatched(Dispatch::Failed),
            Count::Executed(Status::Quarantined),
            Count::Evicted(Eviction::Operator),
            Count::Broke(Broke::Worker),
            Count::Restarted(Worker::Process),
            Count::HostCall(Served::Failed),
            Count::Expired(Expired::Dead),
        ]);
        let counters = Counters::default();
        for (times, what) in (1u64..).zip(&all) {
            counters.count(*what, times);
        }
        let counted =
            (0..FAMILIES.len()).flat_map(|family| counters.family(family)).filter(|count| *count > 0);
        let mut counted: Vec<u64> = counted.collect();
        counted.sort_unstable();
        assert_eq!(counted, (1..=all.len() as u64).collect::<Vec<_>>());
        assert!(counters.take().iter().all(|(at, _)| travels(usize::from(*at))));
        // The last value of each label is the last of its family.
        for what in [Dispatch::Failed as usize, Status::Quarantined as usize, Broke::Worker as usize] {
            assert!([2, 3, 9].iter().any(|family| FAMILIES[*family].values.len() == what + 1));
        }
    }
}
