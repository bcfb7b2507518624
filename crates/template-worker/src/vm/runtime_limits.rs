//! A guild's limits in the terms of the runtime: those of its VM, and those that an execution starts with.

use khronos::{ExecutionLimits, JsonLimits, RuntimeLimits, ValueLimits};

use crate::limits::{Limits, MOST_EVENT_DEPTH};

/// What the VM of a guild with these limits may use.
pub(super) fn runtime_limits(limits: &Limits) -> RuntimeLimits {
    RuntimeLimits {
        memory: limits.max_template_memory_usage,
        threads: limits.max_luau_threads,
        slice: limits.slice(),
        non_yieldable: limits.max_non_yieldable_time(),
        values: ValueLimits {
            depth: limits.max_result_depth,
            nodes: limits.max_result_nodes,
            bytes: limits.max_result_bytes,
        },
        // As deep as any guild's events may be, and one level for the event object around the data: the dispatcher keeps
        // to the guild's own limit, which may change while an event waits.
        json: JsonLimits { depth: MOST_EVENT_DEPTH + 1, ..JsonLimits::default() },
    }
}

/// What an execution may use that starts now.
pub(super) fn execution_limits(limits: &Limits) -> ExecutionLimits {
    ExecutionLimits { cpu: limits.max_cpu_time(), wall_clock: limits.max_templates_execution_time() }
}
