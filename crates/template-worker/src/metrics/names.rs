//! The metrics that there are: name, help, label, and the closed list of the label's values.
//!
//! Owns every name, once. What is counted under them is in `counts` and `histogram`, and how they are written in `text`.

use crate::limits::Limit;

/// A metric as it is declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
}

const fn declared(name: &'static str, help: &'static str) -> Declared {
    Declared { name, help }
}

/// Declares the values of a label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $( $(#[$about:meta])* $value:ident $text:literal, )+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$about])* $value, )+ }

        impl $name {
            /// The label's values, in order.
            pub const NAMES: &'static [&'static str] = &[$($text),+];
        }
    };
}

label! {
    /// What became of an event that was sent.
    Dispatch {
        /// Its templates run.
        Accepted "accepted",
        /// No template listens to it.
        NobodyListens "nobody_listens",
        /// Its guild has as much to do as it may.
        Busy "busy",
        /// Its worker's queue is full.
        Overloaded "overloaded",
        /// The service is stopping.
        ShuttingDown "shutting_down",
        /// Its data cannot be given to a template.
        Invalid "invalid",
        /// The guild's templates could not be had.
        Failed "failed",
    }
}

label! {
    /// How an execution ended.
    Status {
        /// It returned.
        Ok "ok",
        /// It threw.
        Error "error",
        /// It used too much of something.
        LimitExceeded "limit_exceeded",
        /// Its VM went away under it.
        VmBroken "vm_broken",
        /// It was not run: it has broken its VM too often.
        Quarantined "quarantined",
    }
}

label! {
    /// What became of telling templates of a key that expired.
    Expired {
        /// All that listen have been told, or nobody listens.
        Told "told",
        /// Some handler failed; it is tried again.
        Failed "failed",
        /// Handlers failed too often.
        Dead "dead",
    }
}

label! {
    /// What became of a call of the host.
    Served {
        /// It did what it was to.
        Answered "answered",
        /// A capability was missing.
        Denied "denied",
        /// Too many, or too much.
        Limited "limited",
        /// It asked for what cannot be, or is not there.
        Invalid "invalid",
        /// It could not be done.
        Failed "failed",
    }
}

label! {
    /// Why a VM in which nothing ran was closed.
    Eviction {
        /// It was idle for long enough.
        Idle "idle",
        /// Memory was short.
        Memory "memory",
        /// An operator wanted so, or its guild moved.
        Operator "operator",
    }
}

label! {
    /// Why a VM broke.
    Broke {
        /// Its templates used too much memory.
        Memory "memory",
        /// A script ran for too long where it cannot be paused.
        NonYieldable "non_yieldable",
        /// A host function panicked.
        Panic "panic",
        /// It was given up for another reason.
        Condemned "condemned",
        /// Its thread or process went away.
        Worker "worker",
    }
}

label! {
    /// What kind of worker was replaced.
    Worker {
        /// A thread of the service.
        Thread "thread",
        /// A process of its own.
        Process "process",
    }
}

label! {
    /// A part of the way of an event.
    Stage {
        /// From being sent to the start of the execution.
        Queue "queue",
        /// From JSON text to Luau values; once for all templates that get the event one after the other.
        Decode "decode",
        /// From the start of the execution to its end, waiting included.
        Run "run",
        /// What an execution waited for answers of the host, where it called any.
        HostCall "host_call",
        /// From being accepted to being answered.
        Total "total",
    }
}

/// What a number of a counter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Times,
    /// Counted in microseconds, shown in seconds.
    Micros,
}

/// A counter, or several with a label.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) metric: Declared,
    pub(super) label: &'static str,
    /// One empty value for a counter without a label.
    pub(super) values: &'static [&'static str],
    pub(super) unit: Unit,
    /// Whether it is counted where VMs live, which may be another process.
    pub(super) travels: bool,
}

const fn family(
    metric: Declared,
    (label, values): (&'static str, &'static [&'static str]),
    travels: bool,
) -> Family {
    Family { metric, label, values, unit: Unit::Times, travels }
}

const PLAIN: (&str, &[&str]) = ("", &[""]);

/// Every counter, in the order in which `Count` numbers them.
pub(super) const FAMILIES: [Family; 15] = [
    family(
        declared(
            "template_worker_limit_exceeded_total",
            "How often each limit ended, refused, dropped or put off something.",
        ),
        ("limit", Limit::NAMES),
        true,
    ),
    family(
        declared(
            "template_worker_limit_warnings_total",
            "How often an author was told that a template is near a limit.",
        ),
        ("limit", Limit::NAMES),
        true,
    ),
    family(
        declared("template_worker_dispatches_total", "Events that were sent, by what became of them."),
        ("outcome", Dispatch::NAMES),
        false,
    ),
    family(
        declared("template_worker_executions_total", "Executions by how they ended."),
        ("status", Status::NAMES),
        false,
    ),
    family(declared("template_worker_slices_total", "Turns that VMs had on their threads."), PLAIN, true),
    family(
        declared("template_worker_preemptions_total", "Slices at whose end the VM had more to do."),
        PLAIN,
        true,
    ),
    Family {
        metric: declared("template_worker_cpu_seconds_total", "CPU time of executions that have ended."),
        label: "",
        values: &[""],
        unit: Unit::Micros,
        travels: false,
    },
    family(
        declared(
            "template_worker_vms_refused_total",
            "How often a guild without a VM got none, because all VMs together use too much memory.",
        ),
        PLAIN,
        true,
    ),
    family(
        declared(
            "template_worker_evictions_total",
            "VMs that were closed while nothing ran in them, by cause.",
        ),
        ("cause", Eviction::NAMES),
        true,
    ),
    family(
        declared("template_worker_breaks_total", "VMs that broke, by reason."),
        ("reason", Broke::NAMES),
        true,
    ),
    family(
        declared("template_worker_panics_total", "Panics of worker threads and of host functions."),
        PLAIN,
        true,
    ),
    family(
        declared("template_worker_worker_restarts_total", "Workers that failed and were replaced, by kind."),
        ("kind", Worker::NAMES),
        true,
    ),
    family(
        declared(
            "template_worker_counts_rejected_total",
            "Numbers from VM processes that made no sense and were left out.",
        ),
        PLAIN,
        false,
    ),
    family(
        declared(
            "template_worker_host_calls_total",
            "What templates asked of the host, by what became of it.",
        ),
        ("outcome", Served::NAMES),
        false,
    ),
    family(
        declared(
            "template_worker_key_expiries_total",
            "Keys that expired, by what became of telling templates of them.",
        ),
        ("outcome", Expired::NAMES),
        false,
    ),
];

pub(super) const STAGES: Declared =
    declared("template_worker_stage_seconds", "How long the parts of an event's way take.");
pub(super) const TEMPLATE_MEMORY: Declared = declared(
    "template_worker_template_memory_bytes",
    "Bytes that a template has allocated, garbage included, seen each time an execution of it ends.",
);
pub(super) const LIMIT_VALUE: Declared = declared(
    "template_worker_limit_value",
    "The service's value of each limit, in the unit of its key in the configuration.",
);
pub(super) const VMS: Declared =
    declared("template_worker_vms", "VMs that are alive: warm ones are nobody's yet, the others guilds'.");
pub(super) const VM_MEMORY: Declared = declared(
    "template_worker_vm_memory_bytes",
    "Bytes that the VMs have allocated, all together, those made ahead of need included.",
);
pub(super) const OWED: Declared =
    declared("template_worker_owed_answers", "Answers that somebody may wait for.");
pub(super) const QUEUED: Declared =
    declared("template_worker_worker_queue", "Actions that wait for a worker to take them.");
pub(super) const RESIDENT: Declared = declared(
    "template_worker_resident_memory_bytes",
    "Memory of each process that the machine has given it.",
);
pub(super) const GUILD_CPU: Declared = declared(
    "template_worker_guild_cpu_seconds",
    "About the CPU time that a guild used in the last ten minutes, for those that used most. For admins only.",
);

/// The names of all metrics.
pub const NAMES: [&str; 24] = {
    let gauges = [STAGES, TEMPLATE_MEMORY, LIMIT_VALUE, VMS, VM_MEMORY, OWED, QUEUED, RESIDENT, GUILD_CPU];
    let mut names = [""; 24];
    let mut at = 0;
    while at < names.len() {
        names[at] =
            if at < FAMILIES.len() { FAMILIES[at].metric.name } else { gauges[at - FAMILIES.len()].name };
        at += 1;
    }
    names
};
