//! A guild's limits in the terms of the runtime: those of its VM, and those that an execution starts with.

use khronos::{ExecutionLimits, JsonLimits, RuntimeLimits, ValueLimits};

use crate::host::calls::largest_call;
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
        // Never more than the VM has memory for.
        arguments: ValueLimits {
            bytes: largest_call(limits).min(limits.max_template_memory_usage),
            ..ValueLimits::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_may_take_leaves_its_vm_whatever_a_result_may_be() {
        let mib = 1 << 20;
        let of = |limits: Limits| runtime_limits(&limits).arguments.bytes;
        let base =
            Limits { max_template_memory_usage: 256 * mib, max_result_bytes: 1024, ..Limits::default() };
        assert_eq!(of(base.clone()), 16 * mib);
        assert_eq!(of(Limits { max_object_bytes: 16 * mib, ..base.clone() }), 18 * mib);
        assert_eq!(of(Limits { max_kv_value_bytes: 15 * mib, ..base.clone() }), 17 * mib);
        assert_eq!(of(Limits { max_http_request_bytes: 64 * mib, ..base.clone() }), 66 * mib);
        assert_eq!(of(Limits { max_template_memory_usage: 4 * mib, ..base }), 4 * mib);
    }
}
