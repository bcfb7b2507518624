//! Who writes next: there is one connection for all that is written.
//!
//! Owns that batches of records and everything else alternate, and that among everything else guilds take turns. How much may
//! wait is bounded by whoever asks for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::GuildId;
use crate::places::{GuildPlaces, Place};

/// The two lanes to the one connection. Each line is served in the order in which it was joined.
#[derive(Debug)]
pub(super) struct Lanes {
    writer: Arc<Semaphore>,
    /// The one place in the line for the writer that all have who write no records.
    others: Arc<Semaphore>,
    /// A guild has one place in the line of those, and waits for it behind itself.
    guilds: GuildPlaces,
}

/// Lets its owner write; dropped, it is the next one's.
#[derive(Debug)]
pub(super) struct Turn {
    // Given back in this order. Permits are there always: nobody closes the lines.
    _writer: Option<OwnedSemaphorePermit>,
    _other: Option<OwnedSemaphorePermit>,
    _guild: Option<Place>,
}

impl Default for Lanes {
    fn default() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self { writer: one(), others: one(), guilds: GuildPlaces::new(1) }
    }
}

impl Lanes {
    /// The turn of a batch of records. At most one other write is before it.
    pub(super) async fn records(&self) -> Turn {
        Turn { _writer: self.writer().await, _other: None, _guild: None }
    }

    /// The turn of a write that is no batch of records: of a guild, or of the service itself.
    pub(super) async fn other(&self, guild: Option<GuildId>) -> Turn {
        let guild = match guild {
            Some(guild) => Some(self.guilds.take(guild).await),
            None => None,
        };
        let other = Arc::clone(&self.others).acquire_owned().await.ok();
        Turn { _writer: self.writer().await, _other: other, _guild: guild }
    }

    async fn writer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.writer).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    /// Who wrote, in this order: 0 stands for records.
    #[derive(Debug, Default, Clone)]
    struct Written(Arc<Mutex<Vec<u64>>>);

    impl Written {
        fn add(&self, who: u64) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(who);
        }

        fn all(&self) -> Vec<u64> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    /// Joins the line now, and writes for a second when it is its turn.
    async fn write(lanes: &Arc<Lanes>, written: &Written, tasks: &mut JoinSet<()>, who: u64) {
        let (lanes, written) = (Arc::clone(lanes), written.clone());
        tasks.spawn(async move {
            let turn = match GuildId::new(who) {
                Some(guild) => lanes.other(Some(guild)).await,
                None => lanes.records().await,
            };
            written.add(who);
            sleep(Duration::from_secs(1)).await;
            drop(turn);
        });
        // It has its place in line when this goes on.
        tokio::task::yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn records_wait_for_one_other_write_at_most() {
        let (lanes, written, mut tasks) = (Arc::new(Lanes::default()), Written::default(), JoinSet::new());
        for guild in 1..=30 {
            for _ in 0..2 {
                write(&lanes, &written, &mut tasks, guild).await;
            }
        }
        let mut batches = Vec::new();
        for _ in 0..20 {
            let before = written.all().len();
            let turn = lanes.records().await;
            batches.push(written.all().len() - before);
            sleep(Duration::from_secs(1)).await;
            drop(turn);
        }
        // The first one that writes had begun before.
        assert!(batches.iter().all(|others| *others <= 1), "{batches:?}");
        tasks.join_all().await;
        assert_eq!(written.all().len(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn others_wait_for_one_batch_of_records_at_most_and_guilds_take_turns() {
        let (lanes, written, mut tasks) = (Arc::new(Lanes::default()), Written::default(), JoinSet::new());
        for who in [1, 1, 1, 1, 2, 3] {
            write(&lanes, &written, &mut tasks, who).await;
        }
        for _ in 0..2 {
            write(&lanes, &written, &mut tasks, 0).await;
        }
        tasks.join_all().await;
        // The second batch came before the next other was in line; never more than one of those is.
        assert_eq!(written.all(), [1, 0, 0, 2, 3, 1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_longer_holds_up_nobody() {
        let (lanes, written) = (Arc::new(Lanes::default()), Written::default());
        let (mut gone, mut tasks) = (JoinSet::new(), JoinSet::new());
        let turn = lanes.records().await;
        for who in [1, 1, 2, 0] {
            write(&lanes, &written, &mut gone, who).await;
        }
        gone.shutdown().await;
        write(&lanes, &written, &mut tasks, 1).await;
        drop(turn);
        tasks.join_all().await;
        assert_eq!(written.all(), [1]);
    }
}
