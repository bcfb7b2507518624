//! Templates that break their VM again and again, and therefore may not run for now.
//!
//! Owns who was to blame how often, and who is locked out: three breaks within ten minutes, until the template's files are
//! put anew or somebody lifts it. It is kept in memory: a restart forgives. Leaves finding out who was to blame to those
//! who see a break: a VM's own thread, a panic hook, the parent of a process.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use khronos::LogLevel;
use time::OffsetDateTime;

use crate::execution::{LogEntry, TemplateLog};
use crate::ids::GuildId;
use crate::template::TemplateName;

/// So many breaks within [`WINDOW`] are too many.
const TOO_MANY: usize = 3;
/// How long a break counts.
const WINDOW: Duration = Duration::from_secs(600);
/// Templates that are remembered. Where more break their VMs, those go first that were not locked out.
const MOST_REMEMBERED: usize = 10_000;

/// A template broke its VM, or the worker that it ran on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Whose template.
    pub guild: GuildId,
    /// Which, where that is known. Where it is not, nobody is blamed.
    pub template: Option<TemplateName>,
    /// How.
    pub reason: String,
}

/// Hears of breaks.
pub trait BreakReports: Send + Sync + std::fmt::Debug {
    /// One more.
    fn report(&self, broke: Break);
}

/// Why a template may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Since when.
    pub since: OffsetDateTime,
    /// What it did, and what to do about it.
    pub reason: String,
}

/// The templates of all guilds that may not run, and those that are on their way there.
#[derive(Debug)]
pub struct Quarantine {
    templates: RwLock<HashMap<GuildId, HashMap<TemplateName, Record>>>,
    /// How many there are in `templates`, so that nobody waits for a lock while there are none.
    remembered: AtomicUsize,
    log: TemplateLog,
}

#[derive(Debug, Default)]
struct Record {
    /// When it broke something, the latest last.
    breaks: VecDeque<Instant>,
    locked_out: Option<Quarantined>,
}

impl Quarantine {
    /// Nobody has broken anything yet. Authors are told in `log`.
    pub fn new(log: TemplateLog) -> Self {
        Self { templates: RwLock::default(), remembered: AtomicUsize::new(0), log }
    }

    /// Why this template may not run, if that is so.
    pub fn of(&self, guild: GuildId, template: &TemplateName) -> Option<Quarantined> {
        if self.remembered.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let templates = self.templates.read().unwrap_or_else(PoisonError::into_inner);
        templates.get(&guild)?.get(template)?.locked_out.clone()
    }

    /// Forgives a template everything. Returns whether it was locked out.
    pub fn lift(&self, guild: GuildId, template: &TemplateName) -> bool {
        let mut templates = self.templates.write().unwrap_or_else(PoisonError::into_inner);
        let Some(of_guild) = templates.get_mut(&guild) else { return false };
        let gone = of_guild.remove(template);
        if of_guild.is_empty() {
            templates.remove(&guild);
        }
        self.count(&templates);
        gone.is_some_and(|record| record.locked_out.is_some())
    }

    /// Counts a break at `now`. Returns why the template is locked out, if it is from this break on.
    fn count_break(
        &self,
        guild: GuildId,
        template: &TemplateName,
        reason: &str,
        now: Instant,
    ) -> Option<String> {
        let mut templates = self.templates.write().unwrap_or_else(PoisonError::into_inner);
        if self.remembered.load(Ordering::Relaxed) >= MOST_REMEMBERED {
            forget_some(&mut templates, now);
        }
        let record = templates.entry(guild).or_default().entry(template.clone()).or_default();
        record.breaks.push_back(now);
        record.breaks.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        let is_news = record.breaks.len() >= TOO_MANY && record.locked_out.is_none();
        let told = is_news.then(|| {
            format!(
                "`{template}` is quarantined: it broke the VM of this guild {TOO_MANY} times within {} minutes, the last \
                 time because {reason}. It gets no events until its files are put anew, or until the quarantine is \
                 lifted (DELETE /api/v1/guilds/{guild}/templates/{template}/quarantine); the guild's other templates go on",
                WINDOW.as_secs() / 60
            )
        });
        if let Some(reason) = &told {
            record.locked_out =
                Some(Quarantined { since: OffsetDateTime::now_utc(), reason: reason.clone() });
            record.breaks.clear();
        }
        self.count(&templates);
        told
    }

    fn count(&self, templates: &HashMap<GuildId, HashMap<TemplateName, Record>>) {
        self.remembered.store(templates.values().map(HashMap::len).sum(), Ordering::Relaxed);
    }
}

/// Makes room: what broke something too long ago to count, and where that is not enough, all that is not locked out yet.
/// Should there be as many that are, those of the guild that has most are let in again.
fn forget_some(templates: &mut HashMap<GuildId, HashMap<TemplateName, Record>>, now: Instant) {
    let counts = |record: &Record| {
        record.breaks.back().is_some_and(|last| now.saturating_duration_since(*last) < WINDOW)
    };
    let steps: [&dyn Fn(&Record) -> bool; 2] =
        [&|record| record.locked_out.is_some() || counts(record), &|record| record.locked_out.is_some()];
    for keep in steps {
        templates.retain(|_, of_guild| {
            of_guild.retain(|_, record| keep(record));
            !of_guild.is_empty()
        });
        if templates.values().map(HashMap::len).sum::<usize>() < MOST_REMEMBERED {
            return;
        }
    }
    let most = templates.iter().max_by_key(|(_, of_guild)| of_guild.len()).map(|(guild, _)| *guild);
    if let Some(guild) = most {
        templates.remove(&guild);
    }
}

impl BreakReports for Quarantine {
    fn report(&self, broke: Break) {
        let Break { guild, template, reason } = broke;
        let Some(template) = template else { return };
        let Some(text) = self.count_break(guild, &template, &reason, Instant::now()) else { return };
        tracing::warn!(%guild, %template, reason, "a template is quarantined");
        let (at, template) = (OffsetDateTime::now_utc(), template.as_str().into());
        self.log.write(LogEntry { at, guild, template, event: None, level: LogLevel::Error, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(index: u64) -> GuildId {
        GuildId::new(818_880_986_845_679_757 + index).unwrap()
    }

    fn name(text: &str) -> TemplateName {
        text.parse().unwrap()
    }

    #[test]
    fn three_breaks_within_ten_minutes_are_too_many_and_are_told_once() {
        let (quarantine, start) = (Quarantine::new(TemplateLog::default()), Instant::now());
        let minutes = |count| start + Duration::from_secs(60) * count;
        let breaks = |template: &str, at| {
            quarantine.count_break(guild(0), &name(template), "it ran out of memory", at).is_some()
        };
        assert!(!breaks("slow", minutes(0)) && !breaks("slow", minutes(9)) && !breaks("slow", minutes(10)));
        assert!(quarantine.of(guild(0), &name("slow")).is_none(), "the first one counts no more");
        assert!(breaks("slow", minutes(11)));
        assert!(!breaks("slow", minutes(12)), "it was told");
        let told = quarantine.of(guild(0), &name("slow")).unwrap().reason;
        assert!(told.contains("`slow`") && told.contains("it ran out of memory"), "{told}");
        assert!(quarantine.of(guild(0), &name("other")).is_none());
        assert!(quarantine.of(guild(1), &name("slow")).is_none());
        assert!(quarantine.lift(guild(0), &name("slow")));
        assert!(!quarantine.lift(guild(0), &name("slow")));
        assert!(!breaks("slow", minutes(12)) && !breaks("slow", minutes(12)), "it starts from nothing");
    }

    #[test]
    fn what_nobody_is_to_blame_for_is_not_counted() {
        let quarantine = Quarantine::new(TemplateLog::default());
        for _ in 0..5 {
            quarantine.report(Break { guild: guild(0), template: None, reason: String::new() });
        }
        assert_eq!(quarantine.remembered.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_author_hears_of_it_in_the_log() {
        let log = TemplateLog::default();
        let (mut lines, quarantine) = (log.subscribe(), Quarantine::new(log));
        for _ in 0..4 {
            let reason = "it ran too long".to_owned();
            quarantine.report(Break { guild: guild(0), template: Some(name("t")), reason });
        }
        let line = lines.try_recv().unwrap();
        assert_eq!((line.guild, &*line.template, line.level), (guild(0), "t", LogLevel::Error));
        assert!(line.text.contains("quarantined"), "{}", line.text);
        assert!(lines.try_recv().is_err(), "once");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_is_locked_out_stays_so() {
        let (quarantine, now) = (Quarantine::new(TemplateLog::default()), Instant::now());
        for _ in 0..3 {
            quarantine.count_break(guild(0), &name("bad"), "", now);
        }
        for index in 0..25_000 {
            quarantine.count_break(guild(index), &name("t"), "", now);
            assert!(quarantine.remembered.load(Ordering::Relaxed) <= MOST_REMEMBERED);
        }
        assert!(quarantine.of(guild(0), &name("bad")).is_some());
    }
}
