//! One guild's way to the log: what its templates print, how they fail, and what they are warned of.
//!
//! Owns how many lines get through. A template that floods the log loses lines of its guild; it costs no other guild the
//! place or the time, and the log says how many were dropped.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use khronos::LogLevel;
use time::OffsetDateTime;

use super::strategy::Shared;
use crate::execution::LogEntry;
use crate::ids::{EventId, GuildId};
use crate::limits::Limit;

/// Seconds for which lines that were not used are saved up. A new VM starts with those of one.
const SAVED_UP: f64 = 10.0;
/// Between two lines that say how many were dropped.
const BETWEEN_NOTICES: Duration = Duration::from_secs(1);

pub(super) struct GuildLog {
    guild: GuildId,
    shared: Arc<Shared>,
    per_second: Cell<usize>,
    gate: RefCell<Gate>,
}

impl GuildLog {
    pub(super) fn new(guild: GuildId, shared: Arc<Shared>, per_second: usize) -> Self {
        let gate = RefCell::new(Gate::new(per_second, Instant::now()));
        Self { guild, shared, per_second: Cell::new(per_second), gate }
    }

    /// Goes on where the log of the guild's last VM was, so that nothing is won by breaking VMs.
    pub(super) fn continue_from(&self, last: &Self) {
        std::mem::swap(&mut *self.gate.borrow_mut(), &mut *last.gate.borrow_mut());
    }

    /// So many lines may be written from now on.
    pub(super) fn set_limit(&self, per_second: usize) {
        self.per_second.set(per_second);
    }

    /// Writes a line of `template`, or counts it among those that were dropped.
    pub(super) fn write(
        &self,
        template: impl Into<Arc<str>>,
        event: Option<EventId>,
        level: LogLevel,
        text: String,
    ) {
        if !self.gate.borrow_mut().lets_through(self.per_second.get(), Instant::now()) {
            return self.shared.metrics.exceeded(Limit::LogLines);
        }
        let template = template.into();
        self.tell_of_dropped(&template);
        self.put(template, event, level, text);
    }

    /// Says how many lines were dropped since it was said last, if any were, and not too often.
    pub(super) fn tell_of_dropped(&self, template: &str) {
        let dropped = self.gate.borrow_mut().take_dropped(Instant::now);
        if dropped > 0 {
            let text = format!(
                "{dropped} log lines were dropped: the templates of a guild may write {} a second \
                 (MAX_LOG_LINES_PER_SECOND); log less, or only what is new",
                self.per_second.get()
            );
            self.put(template.into(), None, LogLevel::Warn, text);
        }
    }

    fn put(&self, template: Arc<str>, event: Option<EventId>, level: LogLevel, text: String) {
        let at = OffsetDateTime::now_utc();
        self.shared.log.write(LogEntry { at, guild: self.guild, template, event, level, text });
    }
}

/// A bucket of lines that fills with time.
pub(super) struct Gate {
    left: f64,
    filled: Instant,
    dropped: u64,
    noticed: Option<Instant>,
}

impl Gate {
    pub(super) fn new(per_second: usize, now: Instant) -> Self {
        Self { left: lines(per_second), filled: now, dropped: 0, noticed: None }
    }

    pub(super) fn lets_through(&mut self, per_second: usize, now: Instant) -> bool {
        let rate = lines(per_second);
        let since = now.saturating_duration_since(std::mem::replace(&mut self.filled, now));
        self.left = (self.left + since.as_secs_f64() * rate).min(rate * SAVED_UP);
        if self.left < 1.0 {
            self.dropped += 1;
            return false;
        }
        self.left -= 1.0;
        true
    }

    fn take_dropped(&mut self, now: impl FnOnce() -> Instant) -> u64 {
        if self.dropped == 0 {
            return 0;
        }
        let now = now();
        if self.noticed.is_some_and(|noticed| now.saturating_duration_since(noticed) < BETWEEN_NOTICES) {
            return 0;
        }
        self.noticed = Some(now);
        std::mem::take(&mut self.dropped)
    }
}

#[expect(clippy::cast_precision_loss, reason = "its bound is far below 2^53")]
fn lines(per_second: usize) -> f64 {
    per_second as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `wanted` lines get through at `now`.
    fn through(gate: &mut Gate, wanted: usize, now: Instant) -> usize {
        (0..wanted).filter(|_| gate.lets_through(100, now)).count()
    }

    #[test]
    fn a_flood_gets_as_many_lines_as_a_second_has_and_saves_up_ten() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut gate = Gate::new(100, start);
        assert_eq!(through(&mut gate, 50_000, start), 100);
        assert_eq!(through(&mut gate, 50_000, at(1)), 100);
        assert_eq!(through(&mut gate, 50_000, at(4)), 300);
        assert_eq!(through(&mut gate, 50_000, at(10_000)), 1_000);
        assert_eq!(gate.dropped, 4 * 50_000 - 1_500);
    }

    #[test]
    fn what_was_dropped_is_told_once_a_second_and_nothing_is_told_twice() {
        let start = Instant::now();
        let mut gate = Gate::new(100, start);
        through(&mut gate, 103, start);
        assert_eq!(gate.take_dropped(|| start), 3);
        assert_eq!(gate.take_dropped(|| start + Duration::from_secs(9)), 0, "there is nothing to tell");
        through(&mut gate, 5, start);
        assert_eq!(gate.take_dropped(|| start + Duration::from_millis(999)), 0, "it is too early");
        assert_eq!(gate.take_dropped(|| start + Duration::from_secs(1)), 5);
    }
}
