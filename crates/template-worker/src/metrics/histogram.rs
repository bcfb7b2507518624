//! Histograms with fixed bounds.
//!
//! Owns the bounds and the number of each histogram. Taking something in is two relaxed additions.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::counts::{MOST_AT_ONCE, add};
use super::names::Stage;

const MIB: u64 = 1 << 20;
const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;

/// Upper bounds of stages, in nanoseconds.
pub(super) const STAGE_BOUNDS: &[u64] = &[
    5 * US,
    10 * US,
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    5 * S,
    10 * S,
    60 * S,
    600 * S,
];
/// Upper bounds of templates' memory, in bytes.
pub(super) const MEMORY_BOUNDS: &[u64] =
    &[MIB / 16, MIB / 4, MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB];

/// The number of the histogram of templates' memory, after those of the stages.
const MEMORY: usize = Stage::NAMES.len();

/// What a histogram took in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistogramCounts {
    /// Its number.
    pub histogram: u16,
    /// Number of a bucket, and what fell into it.
    pub buckets: Vec<(u16, u64)>,
    /// The sum of all that it took in, in nanoseconds or bytes.
    pub sum: u64,
}

/// One histogram.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) bounds: &'static [u64],
    /// One more than bounds.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    fn record(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    /// What fell into each bucket, and the sum.
    pub(super) fn read(&self) -> (Vec<u64>, u64) {
        let buckets = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        (buckets, self.sum.load(Ordering::Relaxed))
    }

    fn take(&self, histogram: u16) -> Option<HistogramCounts> {
        let taken = (0u16..).zip(&self.buckets).map(|(at, bucket)| (at, bucket.swap(0, Ordering::Relaxed)));
        let buckets: Vec<(u16, u64)> = taken.filter(|(_, count)| *count > 0).collect();
        let sum = self.sum.swap(0, Ordering::Relaxed);
        (!buckets.is_empty()).then_some(HistogramCounts { histogram, buckets, sum })
    }

    /// Returns how much of it makes no sense.
    fn add(&self, counts: &HistogramCounts) -> usize {
        let taken = counts.buckets.iter().take(self.buckets.len()).filter(|(at, count)| {
            let bucket = self.buckets.get(usize::from(*at)).filter(|_| *count <= MOST_AT_ONCE);
            bucket.inspect(|bucket| add(bucket, *count)).is_some()
        });
        let taken = taken.count();
        if taken > 0 {
            add(&self.sum, counts.sum.min(MOST_AT_ONCE * 1_024));
        }
        counts.buckets.len() - taken
    }
}

/// All histograms.
#[derive(Debug)]
pub(super) struct Histograms([Histogram; MEMORY + 1]);

impl Default for Histograms {
    fn default() -> Self {
        let bounds = |at| if at == MEMORY { MEMORY_BOUNDS } else { STAGE_BOUNDS };
        Self(std::array::from_fn(|at| Histogram::new(bounds(at))))
    }
}

impl Histograms {
    pub(super) fn stage(&self, stage: Stage, nanos: u64) {
        if let Some(histogram) = self.0.get(stage as usize) {
            histogram.record(nanos);
        }
    }

    pub(super) fn template_memory(&self, bytes: u64) {
        self.0[MEMORY].record(bytes);
    }

    /// The histograms of the stages, in their order.
    pub(super) fn stages(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        Stage::NAMES.iter().copied().zip(&self.0)
    }

    pub(super) fn memory(&self) -> &Histogram {
        &self.0[MEMORY]
    }

    pub(super) fn take(&self) -> Vec<HistogramCounts> {
        (0u16..).zip(&self.0).filter_map(|(at, histogram)| histogram.take(at)).collect()
    }

    /// Returns how much of it makes no sense: the total of a stage is the service's own to know.
    pub(super) fn add(&self, counts: &[HistogramCounts]) -> usize {
        let total = Stage::Total as usize;
        let known = |at: usize| self.0.get(at).filter(|_| at != total);
        let taken = counts.iter().take(self.0.len());
        let wrong = taken.clone().map(|one| known(usize::from(one.histogram)).map_or(1, |to| to.add(one)));
        wrong.sum::<usize>() + (counts.len() - taken.len())
    }
}
