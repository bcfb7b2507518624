//! Whose turn it is: the VMs of one thread that have something to run.
//!
//! Owns the order. VMs take turns, and a turn is a slice. But a script cannot be paused inside some functions, and its turn
//! lasts as long as a hundred slices then: a few guilds that see to it could make each turn of the others a matter of
//! seconds. So a VM that overran a slice has a line apart for a while. That line has at most one turn in a round, and no
//! more time than all others have together, except where nobody else has anything to run. What a VM does with its turn is
//! for `guild_vm`, and when rounds are for `guild_table`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ids::GuildId;
use crate::remembered::Remembered;

/// So many slices are no accident.
const OVERRUN: u32 = 4;
/// How long a VM stands in the line apart after it has overrun: each guild gets one long turn among the others in so long a
/// time, so that those who do it on purpose have a hundredth of the time or less.
const APART: Duration = Duration::from_secs(600);
/// The most time that the line apart can owe to the others.
const MOST_OWED: Duration = Duration::from_secs(1);

pub(super) struct Turns {
    slice: Duration,
    line: VecDeque<GuildId>,
    apart: VecDeque<GuildId>,
    /// When VMs overran last.
    overran: Remembered<GuildId, Instant>,
    /// CPU time that the others are to have before the line apart has its next turn.
    owed: Duration,
    round: Round,
}

/// What is left of a round.
#[derive(Default)]
struct Round {
    line: usize,
    apart: bool,
    /// Whether the turn is one of the line apart.
    is_apart: bool,
}

impl Turns {
    /// A turn is to be as long as `slice`.
    pub(super) fn new(slice: Duration) -> Self {
        Self {
            slice,
            line: VecDeque::new(),
            apart: VecDeque::new(),
            overran: Remembered::default(),
            owed: Duration::ZERO,
            round: Round::default(),
        }
    }

    /// The guild's VM has something to run.
    pub(super) fn push(&mut self, guild: GuildId, now: Instant) {
        let is_apart = self.overran.get(&guild).is_some_and(|at| now.duration_since(*at) < APART);
        if is_apart { self.apart.push_back(guild) } else { self.line.push_back(guild) }
    }

    /// Each VM that is in line now has a turn in this round, and one of those apart may have.
    pub(super) fn begin_round(&mut self) {
        self.round = Round { line: self.line.len(), apart: true, is_apart: false };
    }

    /// Who is next in this round.
    pub(super) fn next(&mut self) -> Option<GuildId> {
        if self.round.line > 0 {
            self.round.line -= 1;
            return self.line.pop_front();
        }
        let may = std::mem::take(&mut self.round.apart) && (self.owed.is_zero() || self.line.is_empty());
        self.round.is_apart = true;
        if may { self.apart.pop_front() } else { None }
    }

    /// The turn of `guild` took `spent` of CPU time. One that overran ends the round, so that what came meanwhile is looked
    /// at before anybody else overruns.
    pub(super) fn took(&mut self, guild: GuildId, spent: Duration, now: Instant) {
        if self.round.is_apart {
            self.owed = (self.owed + spent).min(MOST_OWED);
        } else {
            self.owed = self.owed.saturating_sub(spent);
        }
        if spent >= self.slice * OVERRUN {
            *self.overran.entry(guild, |at| now.duration_since(*at) >= APART, || now) = now;
            self.round = Round::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = Duration::from_millis(2);
    const LONG: Duration = Duration::from_millis(230);

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    /// Rounds in which `first` and those after it take so long for a turn, and always want another one. Returns who had
    /// turns, one after the other.
    fn run(turns: &mut Turns, rounds: usize, at: Instant, long: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut had = Vec::new();
        for _ in 0..rounds {
            turns.begin_round();
            while let Some(next) = turns.next() {
                let id = next.get();
                turns.took(next, if long(id) { LONG } else { SLICE }, at);
                turns.push(next, at);
                had.push(id);
            }
        }
        had
    }

    #[test]
    fn vms_that_keep_to_their_slices_take_turns() {
        let (mut turns, now) = (Turns::new(SLICE), Instant::now());
        (1..=3).for_each(|id| turns.push(guild(id), now));
        assert_eq!(run(&mut turns, 2, now, |_| false), [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn between_two_turns_of_a_vm_that_keeps_to_its_slices_there_is_one_long_one_at_most() {
        let (mut turns, now) = (Turns::new(SLICE), Instant::now());
        (1..=31).for_each(|id| turns.push(guild(id), now));
        // Each is long once among the others, which nobody can know before.
        run(&mut turns, 31, now, |id| id > 1);
        let had = run(&mut turns, 1_000, now, |id| id > 1);
        assert!(had.windows(2).all(|two| two[0] == 1 || two[1] == 1), "{had:?}");
        let long = had.iter().filter(|id| **id > 1).count();
        let short = had.len() - long;
        assert!(
            LONG * u32::try_from(long).unwrap() <= SLICE * u32::try_from(short).unwrap() + LONG,
            "{long}, {short}"
        );
        assert!(long > 5, "those apart have their share: {long} of {short}");
    }

    #[test]
    fn a_round_ends_with_a_turn_that_overran_and_those_behind_it_are_first_in_the_next() {
        let (mut turns, now) = (Turns::new(SLICE), Instant::now());
        (1..=4).for_each(|id| turns.push(guild(id), now));
        assert_eq!(run(&mut turns, 1, now, |id| id == 2), [1, 2]);
        assert_eq!(run(&mut turns, 1, now, |id| id == 2), [3, 4, 1, 2]);
    }

    #[test]
    fn where_nobody_else_wants_a_turn_those_apart_have_them_all() {
        let (mut turns, now) = (Turns::new(SLICE), Instant::now());
        (1..=2).for_each(|id| turns.push(guild(id), now));
        assert_eq!(run(&mut turns, 6, now, |_| true), [1, 2, 1, 2, 1, 2]);
        assert!(turns.owed <= MOST_OWED);
    }

    #[test]
    fn who_has_not_overrun_for_long_stands_in_line_again() {
        let (mut turns, now) = (Turns::new(SLICE), Instant::now());
        turns.push(guild(1), now);
        run(&mut turns, 1, now, |_| true);
        assert_eq!((turns.line.len(), turns.apart.len()), (0, 1));
        run(&mut turns, 1, now, |_| false);
        assert_eq!((turns.line.len(), turns.apart.len()), (0, 1), "not at once");
        run(&mut turns, 1, now + APART, |_| false);
        assert_eq!((turns.line.len(), turns.apart.len()), (1, 0));
    }
}
