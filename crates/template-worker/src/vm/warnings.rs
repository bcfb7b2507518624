//! Telling an author that a template is near a limit, before the limit ends it.
//!
//! Owns when it is said: at four fifths of the limit, and once for each template and limit, so that it floods nobody. New
//! code, and a new VM, may hear it again. Memory is watched by the runtime, which warns by itself.

use std::collections::BTreeSet;

use crate::execution::{Outcome, OutcomeResult};
use crate::limits::{Limit, Limits};
use crate::template::TemplateName;

#[derive(Default)]
pub(super) struct Warnings(BTreeSet<(TemplateName, Limit)>);

impl Warnings {
    /// What to say after an execution of `template` that came to `outcome`.
    pub(super) fn of_execution(
        &mut self,
        template: &TemplateName,
        outcome: &Outcome,
        limits: &Limits,
    ) -> Vec<(Limit, String)> {
        let result_bytes = match &outcome.result {
            OutcomeResult::Ok { value } => value.as_str().len() as u64,
            OutcomeResult::Error { .. } => 0,
            // One that was ended by a limit is told so anyway.
            _ => return Vec::new(),
        };
        let used = [
            (Limit::CpuTime, outcome.cpu_us / 1_000, "ms of CPU for one event", "do less for one event"),
            (Limit::WallClock, outcome.duration_us / 1_000, "ms from start to end", "return earlier"),
            (Limit::ResultBytes, result_bytes, "bytes in what was returned", "return less"),
        ];
        let near = used.into_iter().filter_map(|(limit, used, what, advice)| {
            let most = limit.value(limits);
            self.is_first(template, limit, used, most).then(|| {
                let name = limit.field_name();
                (limit, format!("near a limit: {used} {what}, and {most} are the most ({name}); {advice}"))
            })
        });
        near.collect()
    }

    /// What to say when `waiting` executions of the guild wait, the last of them for `template`.
    pub(super) fn of_waiting(
        &mut self,
        template: &TemplateName,
        waiting: usize,
        limits: &Limits,
    ) -> Option<(Limit, String)> {
        let (limit, most) = (Limit::ExecutionsWaiting, limits.max_executions_waiting);
        self.is_first(template, limit, waiting as u64, most as u64).then(|| {
            let text = format!(
                "near a limit: {waiting} executions of this guild wait for others to end, and {most} are the most \
                 ({}), beyond which events are refused; return earlier, or listen to fewer events",
                limit.field_name()
            );
            (limit, text)
        })
    }

    /// New code of `template` may hear everything again; `None`: all templates.
    pub(super) fn forget(&mut self, template: Option<&TemplateName>) {
        self.0.retain(|(told, _)| template.is_some_and(|forgotten| forgotten != told));
    }

    /// Whether `used` is four fifths of `most`, for the first time.
    fn is_first(&mut self, template: &TemplateName, limit: Limit, used: u64, most: u64) -> bool {
        let is_near = most > 0 && used.saturating_mul(5) >= most.saturating_mul(4);
        is_near && self.0.insert((template.clone(), limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TemplateName {
        text.parse().unwrap()
    }

    fn after(cpu_us: u64, duration_us: u64) -> Outcome {
        let result = OutcomeResult::Error { error: String::new(), traceback: String::new() };
        Outcome { result, duration_us, cpu_us }
    }

    #[test]
    fn four_fifths_of_a_limit_are_told_once_for_each_template_and_limit() {
        let limits =
            Limits { max_cpu_time_ms: 100, max_templates_execution_time_ms: 1_000, ..Limits::default() };
        let mut warnings = Warnings::default();
        let mut told = |template, cpu_us, duration_us| -> Vec<Limit> {
            let said = warnings.of_execution(&name(template), &after(cpu_us, duration_us), &limits);
            said.into_iter().map(|(limit, _)| limit).collect()
        };
        assert_eq!(told("a", 79_999, 799_999), []);
        assert_eq!(told("a", 80_000, 80_000), [Limit::CpuTime]);
        assert_eq!(told("a", 99_000, 900_000), [Limit::WallClock]);
        assert_eq!(told("a", 99_000, 900_000), []);
        assert_eq!(told("b", 99_000, 900_000), [Limit::CpuTime, Limit::WallClock]);
        warnings.forget(Some(&name("a")));
        assert_eq!(warnings.of_execution(&name("b"), &after(99_000, 0), &limits), []);
        let [(_, text)] = &warnings.of_execution(&name("a"), &after(99_000, 0), &limits)[..] else {
            panic!()
        };
        assert_eq!(
            text,
            "near a limit: 99 ms of CPU for one event, and 100 are the most (MAX_CPU_TIME); do less for one event"
        );
    }

    #[test]
    fn a_large_result_is_told_of_by_its_bytes() {
        let limits = Limits { max_result_bytes: 1_024, ..Limits::default() };
        let mut warnings = Warnings::default();
        let mut told = |bytes: usize| {
            // With the quotes around it.
            let result = OutcomeResult::Ok { value: "x".repeat(bytes - 2).as_str().into() };
            warnings.of_execution(&name("a"), &Outcome { result, ..after(0, 0) }, &limits)
        };
        assert_eq!(told(819), []);
        assert!(
            matches!(&told(820)[..], [(Limit::ResultBytes, text)] if text.contains("820 bytes in what was returned"))
        );
    }

    #[test]
    fn an_execution_that_a_limit_ended_is_not_warned_of_it() {
        let outcome = Outcome { result: OutcomeResult::TimedOut, ..after(u64::MAX, u64::MAX) };
        assert!(Warnings::default().of_execution(&name("a"), &outcome, &Limits::default()).is_empty());
    }

    #[test]
    fn executions_that_wait_are_told_of_where_any_may_wait_at_all() {
        let mut warnings = Warnings::default();
        let limits = |waiting| Limits { max_executions_waiting: waiting, ..Limits::default() };
        assert!(warnings.of_waiting(&name("a"), 1, &limits(0)).is_none());
        assert!(warnings.of_waiting(&name("a"), 7, &limits(10)).is_none());
        assert!(
            warnings.of_waiting(&name("a"), 8, &limits(10)).is_some_and(|(_, text)| text.contains("8 exec"))
        );
        assert!(warnings.of_waiting(&name("a"), 9, &limits(10)).is_none());
    }
}
