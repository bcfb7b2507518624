//! The text that Prometheus reads.
//!
//! Owns the format, and nothing of what is in it.

use std::fmt::Write;

use super::histogram::Histogram;
use super::names::Declared;

/// The answer to a scrape while it is written. Writing to a `String` does not fail.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a metric.
    pub(super) fn metric(&mut self, Declared { name, help }: Declared, kind: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One line of a metric. Values of labels are ours, and need no escape.
    pub(super) fn line(&mut self, name: &str, label: &str, is: &str, value: f64) {
        let _ = if label.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{label}=\"{is}\"}} {value}")
        };
    }

    /// The lines of a histogram, whose values are shown divided by `unit`.
    pub(super) fn histogram(&mut self, name: &str, label: &str, is: &str, of: &Histogram, unit: f64) {
        let (buckets, sum) = of.read();
        let (also, only) = match label {
            "" => (String::new(), String::new()),
            label => (format!("{label}=\"{is}\","), format!("{{{label}=\"{is}\"}}")),
        };
        let mut count = 0;
        for (at, fell) in buckets.into_iter().enumerate() {
            count += fell;
            let _ = match of.bounds.get(at) {
                Some(bound) => {
                    let bound = super::number(*bound) / unit;
                    writeln!(self.0, "{name}_bucket{{{also}le=\"{bound}\"}} {count}")
                }
                None => writeln!(self.0, "{name}_bucket{{{also}le=\"+Inf\"}} {count}"),
            };
        }
        let sum = super::number(sum) / unit;
        let _ = write!(self.0, "{name}_sum{only} {sum}\n{name}_count{only} {count}\n");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
