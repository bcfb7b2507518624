//! The VMs of one thread that nobody needs right now, and which of them goes first.
//!
//! Owns their order: by when they became idle, which is when they were last used. Leaves what idle means to
//! `guild_vm`, and closing a VM to `guild_table`. Nothing here looks at all VMs.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::reply::{Census, Present};
use crate::ids::GuildId;

/// Idle VMs, the one that was used least recently first.
#[derive(Debug, Default)]
pub(super) struct IdleVms {
    since: HashMap<GuildId, (Instant, Present)>,
    in_order: BTreeSet<(Instant, GuildId)>,
}

impl IdleVms {
    /// The guild's VM has nothing to do, as of `now` if that is news, and counts as one of `census`.
    pub(super) fn enter(&mut self, guild: GuildId, now: Instant, census: &Census) {
        let since = self.since.entry(guild).or_insert_with(|| (now, census.enter())).0;
        self.in_order.insert((since, guild));
    }

    /// The guild's VM has something to do, or is gone.
    pub(super) fn leave(&mut self, guild: GuildId) {
        if let Some((since, _)) = self.since.remove(&guild) {
            self.in_order.remove(&(since, guild));
        }
    }

    /// Whose VM has been idle longest, and since when.
    pub(super) fn longest(&self) -> Option<(Instant, GuildId)> {
        self.in_order.first().copied()
    }

    /// When the next VM has been idle for `patience`.
    pub(super) fn next_due(&self, patience: Duration) -> Option<Instant> {
        self.longest().and_then(|(since, _)| since.checked_add(patience))
    }

    /// Whose VM has been idle for `patience` at `now`: the longest, if there are several.
    pub(super) fn due(&self, patience: Duration, now: Instant) -> Option<GuildId> {
        self.longest()
            .filter(|(since, _)| now.saturating_duration_since(*since) >= patience)
            .map(|(_, guild)| guild)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(index: u64) -> GuildId {
        GuildId::new(818_880_986_845_679_757 + index).unwrap()
    }

    #[test]
    fn whoever_was_used_least_recently_goes_first_and_being_looked_at_is_no_use() {
        let (start, second, patience) = (Instant::now(), Duration::from_secs(1), Duration::from_secs(10));
        let (mut idle, census) = (IdleVms::default(), Census::default());
        assert_eq!((idle.longest(), idle.next_due(patience)), (None, None));
        for index in 0..3 {
            idle.enter(guild(index), start + second * u32::try_from(index).unwrap(), &census);
        }
        idle.enter(guild(0), start + second * 5, &census); // it was idle already
        assert_eq!(idle.next_due(patience), Some(start + patience));
        assert_eq!(idle.due(patience, start + second * 9), None);
        assert_eq!(idle.due(patience, start + second * 30), Some(guild(0)));
        idle.leave(guild(0)); // it was used
        idle.enter(guild(0), start + second * 6, &census);
        assert_eq!(census.count(), 3);
        let mut order = Vec::new();
        while let Some((_, next)) = idle.longest() {
            order.push(next);
            idle.leave(next);
        }
        assert_eq!(order, [guild(1), guild(2), guild(0)]);
        idle.leave(guild(0));
        assert_eq!((idle.next_due(patience), census.count()), (None, 0));
    }
}
