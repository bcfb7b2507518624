//! The one queue in which all changes of records wait to be written.
//!
//! Owns who is next and how much may wait: guilds take turns, and none can take the places of the others. What a change
//! does is in `write`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::{Notify, oneshot};

use crate::ids::GuildId;
use crate::storage::expiry::{DueKey, Settlement};
use crate::storage::kv::{KvError, KvId, KvOp, KvQuota, KvWritten, MOST_WAITING};

/// Most that waits: of one guild, and of all together.
const MOST_OF_A_GUILD: Amount = Amount { jobs: MOST_WAITING, bytes: 8 << 20 };
const MOST_OF_ALL: Amount = Amount { jobs: 16_384, bytes: 64 << 20 };
/// The same with those of guilds that have nothing else waiting: a few guilds cannot shut the door for all.
const MOST_WITH_FIRSTS: Amount = Amount { jobs: 2 * MOST_OF_ALL.jobs, bytes: 2 * MOST_OF_ALL.bytes };
/// Bytes of such a first one that always fit, however large those of the others are.
const SMALL: usize = 8 << 10;
/// Most that is written in one transaction: so long others wait for the writer.
const MOST_AT_ONCE: Amount = Amount { jobs: 256, bytes: 4 << 20 };

/// Something to do in one transaction.
#[derive(Debug)]
pub(super) enum Work {
    /// Changes that a guild asked for: all of them or none.
    Ops { ops: Vec<KvOp>, quota: KvQuota },
    /// Claim what is due longest.
    Claim,
    /// Settle a claim.
    Settle { due: DueKey, settlement: Settlement },
    /// Make an expiry due that failed.
    Retry { id: KvId },
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    Ops(KvWritten),
    Claimed(Option<DueKey>),
    Changed(bool),
}

/// Work that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) guild: GuildId,
    pub(super) work: Work,
    pub(super) now: OffsetDateTime,
    pub(super) answer: oneshot::Sender<Result<Answer, KvError>>,
}

impl Job {
    fn amount(&self) -> Amount {
        let bytes = match &self.work {
            Work::Ops { ops, .. } => ops.iter().map(KvOp::bytes).sum(),
            _ => 0,
        };
        Amount { jobs: 1, bytes }
    }

    /// Whether it was asked for by a guild; the rest has its own bounds.
    fn is_asked_for(&self) -> bool {
        matches!(self.work, Work::Ops { .. })
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Amount {
    jobs: usize,
    bytes: usize,
}

impl Amount {
    fn add(&mut self, more: Self) {
        self.jobs += more.jobs;
        self.bytes += more.bytes;
    }

    fn remove(&mut self, less: Self) {
        self.jobs = self.jobs.saturating_sub(less.jobs);
        self.bytes = self.bytes.saturating_sub(less.bytes);
    }

    fn has_room_for(self, more: Self, most: Self) -> bool {
        self.jobs + more.jobs <= most.jobs && self.bytes + more.bytes <= most.bytes
    }
}

/// Work that waits, in turns of guilds.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    guilds: HashMap<GuildId, Line>,
    /// Guilds with something in line, the one whose turn it is first.
    turns: VecDeque<GuildId>,
    all: Amount,
    closed: bool,
}

#[derive(Debug, Default)]
struct Line {
    jobs: VecDeque<Job>,
    amount: Amount,
}

impl Queue {
    /// Puts `job` at the end of its guild's line.
    pub(super) fn push(&self, job: Job) -> Result<(), KvError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let (guild, amount) = (job.guild, job.amount());
        let of_guild = waiting.guilds.get(&guild).map(|line| line.amount).unwrap_or_default();
        if job.is_asked_for() {
            // A single one may be larger than all that may wait: an operator can allow such values.
            let fits = |there: Amount, most| there.jobs == 0 || there.has_room_for(amount, most);
            if !fits(of_guild, MOST_OF_A_GUILD) {
                return Err(KvError::Busy { whose: "this guild" });
            }
            let is_first = of_guild.jobs == 0;
            let small = is_first && amount.bytes <= SMALL && waiting.all.jobs < MOST_WITH_FIRSTS.jobs;
            if !small && !fits(waiting.all, if is_first { MOST_WITH_FIRSTS } else { MOST_OF_ALL }) {
                return Err(KvError::Busy { whose: "all guilds" });
            }
        }
        let line = waiting.guilds.entry(guild).or_default();
        line.amount.add(amount);
        line.jobs.push_back(job);
        if line.jobs.len() == 1 {
            waiting.turns.push_back(guild);
        }
        waiting.all.add(amount);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// What is written together next: at least one. `None` when the queue is closed and empty.
    pub(super) async fn next(&self) -> Option<Vec<Job>> {
        loop {
            let jobs = self.lock().take();
            match jobs {
                Some(jobs) if jobs.is_empty() => self.changed.notified().await,
                jobs => return jobs,
            }
        }
    }

    /// Takes nothing more. What waits is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Takes nothing more, and lets go of what waits: its channels end without an answer.
    pub(super) fn abandon(&self) {
        let left = std::mem::replace(&mut *self.lock(), Waiting { closed: true, ..Waiting::default() });
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Vec<Job>> {
        let (mut taken, mut amount) = (Vec::new(), Amount::default());
        while let Some(guild) = self.turns.pop_front() {
            let Some(line) = self.guilds.get_mut(&guild) else { continue };
            let Some(job) = line.jobs.pop_front() else { continue };
            amount.add(job.amount());
            line.amount.remove(job.amount());
            self.all.remove(job.amount());
            taken.push(job);
            if line.jobs.is_empty() {
                self.guilds.remove(&guild);
            } else {
                self.turns.push_back(guild);
            }
            if amount.jobs >= MOST_AT_ONCE.jobs || amount.bytes >= MOST_AT_ONCE.bytes {
                break;
            }
        }
        (!taken.is_empty() || !self.closed).then_some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::storage::kv::KvAt;

    fn job(guild: u64, bytes: usize) -> Job {
        let id = KvId::sent("x").unwrap();
        let value = "x".repeat(bytes);
        let op = KvOp::Set { at: KvAt::Id(id), value, expires_at: None, resume: false };
        Job {
            guild: GuildId::new(guild).unwrap(),
            work: Work::Ops { ops: vec![op], quota: KvQuota::of(&Limits::default()) },
            now: OffsetDateTime::UNIX_EPOCH,
            answer: oneshot::channel().0,
        }
    }

    fn guilds(jobs: &[Job]) -> Vec<u64> {
        jobs.iter().map(|job| job.guild.get()).collect()
    }

    #[tokio::test]
    async fn guilds_take_turns_however_much_one_of_them_sends() {
        let queue = Queue::default();
        for _ in 0..5 {
            queue.push(job(1, 0)).unwrap();
        }
        queue.push(job(2, 0)).unwrap();
        queue.push(job(3, 0)).unwrap();
        queue.push(job(2, 0)).unwrap();
        assert_eq!(guilds(&queue.next().await.unwrap()), [1, 2, 3, 1, 2, 1, 1, 1]);
    }

    #[tokio::test]
    async fn a_full_line_refuses_its_own_guild_and_nobody_else() {
        let queue = Queue::default();
        for _ in 0..MOST_OF_A_GUILD.jobs {
            queue.push(job(1, 0)).unwrap();
        }
        assert!(matches!(queue.push(job(1, 0)), Err(KvError::Busy { whose: "this guild" })));
        queue.push(job(2, 0)).unwrap();
        queue.push(job(3, MOST_OF_A_GUILD.bytes + 1)).unwrap();
        assert!(matches!(queue.push(job(3, 1)), Err(KvError::Busy { .. })), "too many bytes");
        let first = queue.next().await.unwrap();
        assert_eq!(guilds(&first)[..3], [1, 2, 3]);
        assert_eq!(first.len(), 3, "a large one ends the transaction");
        assert_eq!(queue.next().await.unwrap().len(), MOST_AT_ONCE.jobs);
        queue.push(job(1, 0)).unwrap();
    }

    #[tokio::test]
    async fn a_flood_of_many_guilds_is_refused_in_the_end() {
        let queue = Queue::default();
        let most = MOST_WITH_FIRSTS.jobs as u64;
        (1..=most).for_each(|guild| queue.push(job(guild, 0)).unwrap());
        assert!(matches!(queue.push(job(most + 1, 0)), Err(KvError::Busy { whose: "all guilds" })));
    }

    #[tokio::test]
    async fn a_guild_with_nothing_waiting_gets_one_change_in_however_much_others_have() {
        let queue = Queue::default();
        let full = |pushed| matches!(pushed, Err(KvError::Busy { whose: "all guilds" }));
        let guilds = (MOST_OF_ALL.jobs / MOST_OF_A_GUILD.jobs) as u64;
        for guild in 1..=guilds {
            (0..MOST_OF_A_GUILD.jobs).for_each(|_| queue.push(job(guild, 0)).unwrap());
        }
        for guild in [1_000, 1_001] {
            queue.push(job(guild, MOST_AT_ONCE.bytes)).unwrap();
            assert!(full(queue.push(job(guild, 0))), "the second one is refused");
        }
        while queue.next().await.unwrap().iter().all(|job| job.guild.get() != 1_001) {}
        queue.push(job(1_000, 0)).unwrap();
    }

    #[tokio::test]
    async fn large_changes_of_others_leave_room_for_small_ones() {
        let queue = Queue::default();
        let large = (MOST_WITH_FIRSTS.bytes / MOST_AT_ONCE.bytes) as u64;
        (1..=large).for_each(|guild| queue.push(job(guild, MOST_AT_ONCE.bytes)).unwrap());
        queue.push(job(large + 1, SMALL - 1)).unwrap();
        assert!(matches!(queue.push(job(large + 2, SMALL + 1)), Err(KvError::Busy { .. })));
    }

    #[tokio::test]
    async fn what_waits_when_it_is_closed_is_still_written() {
        let queue = Queue::default();
        queue.push(job(1, 0)).unwrap();
        queue.close();
        assert!(matches!(queue.push(job(1, 0)), Err(KvError::Storage(_))));
        assert_eq!(queue.next().await.map(|jobs| jobs.len()), Some(1));
        assert!(queue.next().await.is_none());
    }
}
