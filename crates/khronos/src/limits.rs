//! What a VM and an execution may use, and how a limit speaks when it is hit.
//!
//! Per VM and per execution are apart, because a guild's templates share a VM and its memory, but each has its own
//! time. The numbers' defaults are here; who overrides them is the embedder's business.

use std::time::Duration;

use crate::value::{ValueLimits, json::JsonLimits};

/// Limits of one VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeLimits {
    /// Bytes that may be in use, the host's for this VM included. For a moment there may be more: garbage, and what a single
    /// call makes.
    pub memory: usize,
    /// Luau threads that may be ready, waiting or sleeping by means of `task` at one time.
    pub threads: usize,
    /// How long one script runs before others get their turn.
    pub slice: Duration,
    /// How long a script may run where it cannot be paused: below a metamethod or a C function.
    pub non_yieldable: Duration,
    /// What a returned value may measure.
    pub values: ValueLimits,
    /// What all arguments of one call of the host may measure together. What each call makes of its own, it says itself.
    pub arguments: ValueLimits,
    /// What a decoded event may measure.
    pub json: JsonLimits,
}

impl Default for RuntimeLimits {
    /// 20 MiB, 1,000 threads, slices of 2 ms, 250 ms without a possible pause.
    fn default() -> Self {
        Self {
            memory: 20 << 20,
            threads: 1_000,
            slice: Duration::from_millis(2),
            non_yieldable: Duration::from_millis(250),
            values: ValueLimits::default(),
            arguments: ValueLimits::default(),
            json: JsonLimits::default(),
        }
    }
}

/// Limits of one execution: one event, one template, with all the Luau threads that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionLimits {
    /// CPU time while Luau runs. Waiting costs nothing.
    pub cpu: Duration,
    /// From the start to the end, waiting included.
    pub wall_clock: Duration,
}

impl Default for ExecutionLimits {
    /// 10 s of CPU, 10 min in all.
    fn default() -> Self {
        Self { cpu: Duration::from_secs(10), wall_clock: Duration::from_secs(600) }
    }
}

/// A limit that ended an execution. The texts tell the template's author what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// [`ExecutionLimits::cpu`].
    #[error(
        "limit exceeded: more than {0:?} of CPU time for one event; do less at once, or spread it over events"
    )]
    CpuTime(Duration),
    /// [`ExecutionLimits::wall_clock`].
    #[error(
        "limit exceeded: still running {0:?} after the event; return earlier, and let a later event go on"
    )]
    WallClock(Duration),
    /// [`RuntimeLimits::non_yieldable`].
    #[error(
        "limit exceeded: ran {0:?} inside a metamethod or a library call, where a script cannot be paused; move long \
         work out of it"
    )]
    NonYieldable(Duration),
    /// [`RuntimeLimits::memory`].
    #[error(
        "limit exceeded: not enough memory: all templates of the guild together have {0} bytes; keep less in tables"
    )]
    Memory(usize),
}

impl LimitExceeded {
    /// The limit's name, stable and in snake_case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CpuTime(_) => "cpu_time",
            Self::WallClock(_) => "wall_clock",
            Self::NonYieldable(_) => "non_yieldable_time",
            Self::Memory(_) => "memory",
        }
    }

    /// The limit's value with its unit, such as `10s` or `20971520B`.
    pub fn value(&self) -> String {
        match self {
            Self::CpuTime(time) | Self::WallClock(time) | Self::NonYieldable(time) => format!("{time:?}"),
            Self::Memory(bytes) => format!("{bytes}B"),
        }
    }
}
