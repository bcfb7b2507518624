//! What the service counts about itself, and how Prometheus reads it.
//!
//! Owns [`Metrics`], one a service: there is no global one. When something is counted is said where it happens. A VM
//! process has metrics of its own, whose [`Counts`] it sends to the service; what it is trusted with there is said in
//! `names`.

mod counts;
mod histogram;
mod names;
mod process;
mod text;
mod top;

use std::time::{Duration, Instant};

use counts::Counters;
pub use counts::{Count, Counts};
pub use histogram::HistogramCounts;
use histogram::Histograms;
pub use names::{Broke, Dispatch, Eviction, Expired, NAMES, Served, Stage, Status, Worker};
use names::{
    FAMILIES, GUILD_CPU, LIMIT_VALUE, OWED, QUEUED, RESIDENT, STAGES, TEMPLATE_MEMORY, Unit, VM_MEMORY, VMS,
};
pub use process::Usage;
use text::Text;
pub use top::TOP;
use top::TopGuilds;

use crate::ids::{GuildId, ThreadId};
use crate::limits::{Limit, Limits};

/// What the answer to a scrape is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How much there is of something at this moment. Whoever is asked for the metrics has to look.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// VMs that are nobody's yet.
    pub warm: usize,
    /// Guilds' VMs in which nothing runs.
    pub idle: usize,
    /// Guilds' VMs in which something runs, waits or sleeps.
    pub busy: usize,
    /// VMs that are being closed.
    pub closing: usize,
    /// Bytes that all VMs have allocated.
    pub vm_memory: u64,
    /// Answers that are owed.
    pub owed: usize,
    /// Actions on the queue of each worker.
    pub queued: Vec<(ThreadId, usize)>,
    /// Resident memory of the service and of VM processes, by name.
    pub resident: Vec<(String, u64)>,
}

/// One service's metrics.
#[derive(Debug)]
pub struct Metrics {
    limits: Limits,
    counters: Counters,
    histograms: Histograms,
    guilds: TopGuilds,
}

impl Metrics {
    /// Nothing has happened yet. `limits` are the service's.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            counters: Counters::default(),
            histograms: Histograms::default(),
            guilds: TopGuilds::default(),
        }
    }

    /// It happened.
    pub fn count(&self, what: Count) {
        self.counters.count(what, 1);
    }

    /// It happened `times` at once.
    pub fn count_times(&self, what: Count, times: usize) {
        self.counters.count(what, times as u64);
    }

    /// `limit` ended, refused, dropped or put off something.
    pub fn exceeded(&self, limit: Limit) {
        self.count(Count::Exceeded(limit));
    }

    /// `limit` did so `times` at once.
    pub fn exceeded_times(&self, limit: Limit, times: usize) {
        self.count_times(Count::Exceeded(limit), times);
    }

    /// An author was told that a template is near `limit`.
    pub fn warned(&self, limit: Limit) {
        self.count(Count::Warned(limit));
    }

    /// A part of an event's way took so long.
    pub fn took(&self, stage: Stage, time: Duration) {
        self.histograms.stage(stage, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// An execution of `guild` ended, with so much CPU time used.
    pub fn executed(&self, guild: GuildId, status: Status, cpu_us: u64, now: Instant) {
        self.count(Count::Executed(status));
        self.counters.count(Count::CpuMicros, cpu_us);
        self.guilds.used(guild, cpu_us, now);
    }

    /// So much memory a template had when an execution of it ended.
    pub fn template_memory(&self, bytes: usize) {
        self.histograms.template_memory(bytes as u64);
    }

    /// What was counted since the last time, which is then not counted here any more.
    pub fn take_counts(&self) -> Counts {
        Counts { counters: self.counters.take(), histograms: self.histograms.take() }
    }

    /// Adds what a VM process says that it counted. It may say anything: what makes no sense is left out, and that is
    /// counted.
    pub fn add(&self, counts: &Counts) {
        let wrong = self.counters.add(&counts.counters) + self.histograms.add(&counts.histograms);
        self.count_times(Count::Rejected, wrong);
    }

    /// Everything but what names guilds, as Prometheus reads it.
    pub fn render(&self, levels: &Levels) -> String {
        let mut text = Text::default();
        for (at, family) in FAMILIES.iter().enumerate() {
            text.metric(family.metric, "counter");
            let unit = if family.unit == Unit::Micros { 1e6 } else { 1.0 };
            for (is, value) in family.values.iter().zip(self.counters.family(at)) {
                text.line(family.metric.name, family.label, is, number(value) / unit);
            }
        }
        text.metric(STAGES, "histogram");
        for (stage, histogram) in self.histograms.stages() {
            text.histogram(STAGES.name, "stage", stage, histogram, 1e9);
        }
        text.metric(TEMPLATE_MEMORY, "histogram");
        text.histogram(TEMPLATE_MEMORY.name, "", "", self.histograms.memory(), 1.0);
        text.metric(LIMIT_VALUE, "gauge");
        for limit in Limit::ALL {
            text.line(LIMIT_VALUE.name, "limit", limit.name(), number(limit.value(&self.limits)));
        }
        levels.write(&mut text);
        text.finish()
    }

    /// What names guilds, for those who may know: the ones that use most CPU time. Who drops out is not in it.
    pub fn render_guilds(&self, now: Instant) -> String {
        let mut text = Text::default();
        text.metric(GUILD_CPU, "gauge");
        for (guild, seconds) in self.guilds.list(now) {
            text.line(GUILD_CPU.name, "guild", &guild.to_string(), seconds);
        }
        text.finish()
    }
}

/// What a VM process tells of itself, which need not be true, and what is seen of it from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inside {
    /// VMs that are nobody's yet.
    pub warm: u32,
    /// Guilds' VMs in which nothing runs.
    pub idle: u32,
    /// Guilds' VMs in which something runs, waits or sleeps.
    pub busy: u32,
    /// VMs that are being closed.
    pub closing: u32,
    /// Bytes that its VMs have allocated.
    pub memory: u64,
    /// Bytes of memory that the machine has given it; 0 where that is not known.
    pub resident: u64,
}

impl Levels {
    /// Adds what is inside of a VM process.
    pub fn add(&mut self, process: ThreadId, inside: &Inside) {
        let vms = [
            (&mut self.warm, inside.warm),
            (&mut self.idle, inside.idle),
            (&mut self.busy, inside.busy),
            (&mut self.closing, inside.closing),
        ];
        for (sum, vms) in vms {
            *sum = sum.saturating_add(vms as usize);
        }
        self.vm_memory = self.vm_memory.saturating_add(inside.memory);
        self.resident.push((format!("vm-{process}"), inside.resident));
    }

    fn write(&self, text: &mut Text) {
        let states =
            [("warm", self.warm), ("idle", self.idle), ("busy", self.busy), ("closing", self.closing)];
        text.metric(VMS, "gauge");
        for (state, vms) in states {
            text.line(VMS.name, "state", state, number(vms as u64));
        }
        text.metric(VM_MEMORY, "gauge");
        text.line(VM_MEMORY.name, "", "", number(self.vm_memory));
        text.metric(OWED, "gauge");
        text.line(OWED.name, "", "", number(self.owed as u64));
        text.metric(QUEUED, "gauge");
        for (worker, queued) in &self.queued {
            text.line(QUEUED.name, "worker", &worker.to_string(), number(*queued as u64));
        }
        text.metric(RESIDENT, "gauge");
        for (process, bytes) in &self.resident {
            text.line(RESIDENT.name, "process", process, number(*bytes));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
