//! What the service counts about itself, and how Prometheus reads it.
//!
//! Owns the names of the metrics with their help, once, and a typed handle for each. Every service has its own recorder:
//! there is no global one. When something is counted is said where it happens.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::limits::{Limit, Limits};

/// What the answer to a scrape is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const MIB: f64 = 1_048_576.0;
/// Upper bounds of the histogram of templates' memory.
const MEMORY_BUCKETS: [f64; 8] =
    [MIB / 16.0, MIB / 4.0, MIB, 2.0 * MIB, 4.0 * MIB, 8.0 * MIB, 16.0 * MIB, 32.0 * MIB];

/// A metric as it is declared: name, and what it tells.
type Declared = (&'static str, &'static str);

const LIMIT_VALUE: Declared = (
    "template_worker_limit_value",
    "The service's value of each limit, in the unit of its key in the configuration.",
);
const LIMIT_EXCEEDED: Declared = (
    "template_worker_limit_exceeded_total",
    "How often each limit ended, refused, dropped or put off something.",
);
const LIMIT_WARNINGS: Declared =
    ("template_worker_limit_warnings_total", "How often an author was told that a template is near a limit.");
const EXECUTIONS: Declared = ("template_worker_executions_total", "Executions by how they ended.");
const VMS: Declared = ("template_worker_vms", "Guilds' VMs that are alive.");
const VMS_REFUSED: Declared = (
    "template_worker_vms_refused_total",
    "How often a guild without a VM got none, because all VMs together use too much memory.",
);
const VM_MEMORY: Declared = (
    "template_worker_vm_memory_bytes",
    "Bytes that the VMs have allocated, all together, those made ahead of need included.",
);
const TEMPLATE_MEMORY: Declared = (
    "template_worker_template_memory_bytes",
    "Bytes that a template has allocated, garbage included, seen each time an execution of it ends.",
);

/// The names of all metrics.
pub const NAMES: [&str; 8] = [
    LIMIT_VALUE.0,
    LIMIT_EXCEEDED.0,
    LIMIT_WARNINGS.0,
    EXECUTIONS.0,
    VMS.0,
    VMS_REFUSED.0,
    VM_MEMORY.0,
    TEMPLATE_MEMORY.0,
];

/// How an execution can end.
const STATUSES: [&str; 4] = ["ok", "error", "limit_exceeded", "vm_broken"];

/// One service's metrics.
#[derive(Debug)]
pub struct Metrics {
    exceeded: Vec<Counter>,
    warnings: Vec<Counter>,
    executions: Vec<Counter>,
    vms: Gauge,
    vms_refused: Counter,
    vm_memory: Gauge,
    template_memory: Histogram,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Nothing has happened yet. `limits` are the service's.
    ///
    /// # Errors
    /// When a histogram has no bounds, which would be a defect.
    pub fn new(limits: &Limits) -> Result<Self, BuildError> {
        let matcher = Matcher::Full(TEMPLATE_MEMORY.0.to_owned());
        let recorder =
            PrometheusBuilder::new().set_buckets_for_metric(matcher, &MEMORY_BUCKETS)?.build_recorder();
        let by_limit =
            |declared| counters(&recorder, declared, "limit", Limit::ALL.iter().map(|limit| limit.name()));
        let metrics = Self {
            exceeded: by_limit(LIMIT_EXCEEDED),
            warnings: by_limit(LIMIT_WARNINGS),
            executions: counters(&recorder, EXECUTIONS, "status", STATUSES.into_iter()),
            vms: gauge(&recorder, VMS, Vec::new()),
            vms_refused: counter(&recorder, VMS_REFUSED),
            vm_memory: gauge(&recorder, VM_MEMORY, Vec::new()),
            template_memory: histogram(&recorder, TEMPLATE_MEMORY),
            handle: recorder.handle(),
        };
        for limit in Limit::ALL {
            let label = Label::from_static_parts("limit", limit.name());
            gauge(&recorder, LIMIT_VALUE, vec![label]).set(number(limit.value(limits)));
        }
        Ok(metrics)
    }

    /// `limit` ended, refused, dropped or put off something.
    pub fn exceeded(&self, limit: Limit) {
        self.exceeded_times(limit, 1);
    }

    /// `limit` did so `times` at once.
    pub fn exceeded_times(&self, limit: Limit, times: usize) {
        count(&self.exceeded, place(Limit::ALL, &limit), times as u64);
    }

    /// An author was told that a template is near `limit`.
    pub fn warned(&self, limit: Limit) {
        count(&self.warnings, place(Limit::ALL, &limit), 1);
    }

    /// An execution ended with this status.
    pub fn executed(&self, status: &str) {
        count(&self.executions, place(&STATUSES, &status), 1);
    }

    /// A guild without a VM got none, for want of memory.
    pub fn vm_refused(&self) {
        self.vms_refused.increment(1);
    }

    /// So much memory a template had when an execution of it ended.
    pub fn template_memory(&self, bytes: usize) {
        self.template_memory.record(number(bytes as u64));
    }

    /// Everything, as Prometheus reads it. `vms` are alive, and all VMs use `memory` bytes.
    pub fn render(&self, vms: usize, memory: usize) -> String {
        self.vms.set(number(vms as u64));
        self.vm_memory.set(number(memory as u64));
        self.handle.render()
    }

    /// Folds what the histograms have taken in into their bounds. To be called now and then, since nobody may ever
    /// render.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

fn counters<'a>(
    recorder: &PrometheusRecorder,
    (name, help): Declared,
    label: &'static str,
    values: impl Iterator<Item = &'a str>,
) -> Vec<Counter> {
    recorder.describe_counter(KeyName::from_const_str(name), None, help.into());
    let key = |value: &str| Key::from_parts(name, vec![Label::new(label, value.to_owned())]);
    values.map(|value| recorder.register_counter(&key(value), &METADATA)).collect()
}

fn counter(recorder: &PrometheusRecorder, (name, help): Declared) -> Counter {
    recorder.describe_counter(KeyName::from_const_str(name), None, help.into());
    recorder.register_counter(&Key::from_name(name), &METADATA)
}

fn gauge(recorder: &PrometheusRecorder, (name, help): Declared, labels: Vec<Label>) -> Gauge {
    recorder.describe_gauge(KeyName::from_const_str(name), None, help.into());
    recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
}

fn histogram(recorder: &PrometheusRecorder, (name, help): Declared) -> Histogram {
    recorder.describe_histogram(KeyName::from_const_str(name), None, help.into());
    recorder.register_histogram(&Key::from_name(name), &METADATA)
}

/// Where `wanted` stands among `all`.
fn place<T: PartialEq>(all: &[T], wanted: &T) -> Option<usize> {
    all.iter().position(|one| one == wanted)
}

fn count(counters: &[Counter], place: Option<usize>, times: u64) {
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        counter.increment(times);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(&Limits::default()).unwrap()
    }

    #[test]
    fn what_is_rendered_are_the_names_of_the_list_each_with_help_and_every_limit() {
        let metrics = metrics();
        metrics.template_memory(1);
        let text = metrics.render(0, 7);
        let after = |start: &str| -> BTreeSet<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(start));
            lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
        };
        let names: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!((after("# TYPE "), after("# HELP ")), (names.clone(), names), "{text}");
        for limit in Limit::ALL {
            for metric in [LIMIT_VALUE, LIMIT_EXCEEDED, LIMIT_WARNINGS] {
                let line = format!("{}{{limit=\"{}\"}} ", metric.0, limit.name());
                assert!(text.contains(&line), "{line} is missing: {text}");
            }
        }
        assert!(text.contains("template_worker_limit_value{limit=\"cpu_time\"} 10000\n"), "{text}");
    }

    #[test]
    fn what_happens_is_counted_under_its_label_and_nowhere_else() {
        let (metrics, other) = (metrics(), metrics());
        metrics.exceeded(Limit::CpuTime);
        metrics.exceeded_times(Limit::LogLines, 7);
        metrics.warned(Limit::CpuTime);
        metrics.executed("vm_broken");
        metrics.executed("unheard of");
        let text = metrics.render(3, 7);
        for line in [
            "template_worker_limit_exceeded_total{limit=\"cpu_time\"} 1\n",
            "template_worker_limit_exceeded_total{limit=\"log_lines\"} 7\n",
            "template_worker_limit_exceeded_total{limit=\"memory\"} 0\n",
            "template_worker_limit_warnings_total{limit=\"cpu_time\"} 1\n",
            "template_worker_executions_total{status=\"vm_broken\"} 1\n",
            "template_worker_executions_total{status=\"ok\"} 0\n",
            "template_worker_vms 3\n",
            "template_worker_vm_memory_bytes 7\n",
        ] {
            assert!(text.contains(line), "{line} is missing: {text}");
        }
        assert!(!text.contains("unheard"), "{text}");
        assert!(
            other.render(0, 7).contains("exceeded_total{limit=\"cpu_time\"} 0\n"),
            "one service, one recorder"
        );
    }

    #[test]
    fn a_histogram_keeps_what_it_took_in_through_a_fold() {
        let metrics = metrics();
        for _ in 0..1_000 {
            metrics.template_memory(3 << 20);
        }
        metrics.fold();
        let text = metrics.render(0, 7);
        assert!(text.contains("template_worker_template_memory_bytes_bucket{le=\"2097152\"} 0\n"), "{text}");
        assert!(
            text.contains("template_worker_template_memory_bytes_bucket{le=\"4194304\"} 1000\n"),
            "{text}"
        );
    }
}
