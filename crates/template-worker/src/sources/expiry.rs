//! `KeyExpiry`: telling templates of keys whose time has come.
//!
//! Owns when they are told, how many at a time, and how often again where their handlers fail. What is due, and that it is
//! remembered over a crash, is the storage's business; a key is claimed there while its handlers run, so that it is never
//! told twice at a time.
//!
//! One task sleeps until the next key of any guild is due, or the storage says that one is due earlier. It gives each guild
//! that has something due a task of its own, which claims key by key. So a guild with very many due keys waits for its own
//! handlers, and for a turn among all guilds at a time, and nobody waits for it.

mod telling;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::ids::GuildId;
use crate::metrics::Metrics;
use crate::shutdown::Stopping;
use crate::storage::kv::KvError;
use crate::storage::{Clock, ExpiryStorage};

use telling::{Tell, Turn};

/// Keys of one guild whose handlers run at the same time.
const MOST_OF_A_GUILD: usize = 8;
/// Keys of all guilds that are told at the same time; one whose handlers take longer than a few seconds no longer counts.
const MOST_AT_ONCE: usize = 1_024;
/// Guilds that have something due and a task each. A task that waits for a handler costs a kilobyte.
const MOST_GUILDS: usize = 16_384;
/// Guilds that are looked up at a time.
const ROUND: usize = 256;
/// What happens within so long is looked at together; longer, the more guilds have a task, since a look passes them all.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(5);
const FOR_EACH_TASK: Duration = Duration::from_micros(20);
/// How long to wait after the storage failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Tells templates of keys that expire.
pub(super) struct Expiry {
    storage: Arc<dyn ExpiryStorage>,
    teller: Arc<dyn Tell>,
    clock: Clock,
    stopping: Stopping,
    metrics: Arc<Metrics>,
    turns: Arc<Semaphore>,
    /// Held as long as anything is left to settle.
    _held: Arc<watch::Sender<()>>,
}

/// Who is served at the moment.
#[derive(Default)]
struct Served {
    tasks: JoinSet<GuildId>,
    with_task: HashSet<GuildId>,
    /// Free places of guilds, also of those whose task has ended and whose handlers go on.
    places: HashMap<GuildId, Arc<Semaphore>>,
}

impl Expiry {
    pub(super) fn new(
        storage: Arc<dyn ExpiryStorage>,
        teller: Arc<dyn Tell>,
        clock: Clock,
        stopping: Stopping,
        metrics: Arc<Metrics>,
        held: Arc<watch::Sender<()>>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(MOST_AT_ONCE));
        Self { storage, teller, clock, stopping, metrics, turns, _held: held }
    }

    /// Goes on until the service stops. Handlers that run then are waited for by what they hold.
    pub(super) async fn run(self) {
        let expiry = Arc::new(self);
        let stopping = expiry.stopping.clone();
        tokio::select! {
            () = stopping.wait() => {}
            () = expiry.serve() => {}
        }
    }

    async fn serve(self: &Arc<Self>) {
        let mut changes = self.storage.due_changes();
        while let Err(error) = self.storage.release_claims(self.clock.now()).await {
            complain(&error, "failed to release the keys that were claimed before a crash");
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        let mut served = Served::default();
        loop {
            changes.borrow_and_update();
            let now = self.clock.now();
            let next = match self.round(&mut served, now).await {
                Ok(next) => next,
                Err(error) => {
                    complain(&error, "failed to look for keys that are due");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    Some(now)
                }
            };
            tokio::select! {
                Some(ended) = served.tasks.join_next() => served.ended(ended.ok()),
                changed = changes.changed() => if changed.is_err() { return },
                () = self.clock.sleep_until(next) => {}
            }
            let tasks = u32::try_from(served.with_task.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(BETWEEN_ROUNDS + FOR_EACH_TASK * tasks).await;
        }
    }

    /// Gives guilds a task that have something due and none yet. Returns when to look for others, if nothing happens before.
    async fn round(
        self: &Arc<Self>,
        served: &mut Served,
        now: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, KvError> {
        while let Some(ended) = served.tasks.try_join_next() {
            served.ended(ended.ok());
        }
        // Those that have a task may be first on the list, since they wait longest.
        let limit = (served.with_task.len() + ROUND).min(MOST_GUILDS);
        let due = self.storage.due_guilds(now, limit).await?;
        let are_all = due.len() < limit;
        for guild in due {
            if served.with_task.len() < MOST_GUILDS && served.with_task.insert(guild) {
                let places = served.places.entry(guild);
                let places = Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_A_GUILD))));
                served.tasks.spawn(Arc::clone(self).serve_guild(guild, places));
            }
        }
        if !are_all && served.with_task.len() < MOST_GUILDS {
            return Ok(Some(now));
        }
        self.storage.next_due(now).await
    }

    /// Claims and tells what is due in the guild, until nothing is.
    async fn serve_guild(self: Arc<Self>, guild: GuildId, places: Arc<Semaphore>) -> GuildId {
        loop {
            // They are never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return guild };
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return guild };
            if self.stopping.is_stopping() {
                return guild;
            }
            match self.storage.claim_due(guild, self.clock.now()).await {
                Ok(Some(due)) => {
                    let expiry = Arc::clone(&self);
                    tokio::spawn(async move { expiry.tell(due, Turn { place, turn }).await });
                }
                Ok(None) => return guild,
                Err(error) => {
                    complain(&error, "failed to claim a key that is due");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    return guild;
                }
            }
        }
    }
}

impl Served {
    /// A task has ended; one that panicked does not say of which guild it was.
    fn ended(&mut self, guild: Option<GuildId>) {
        match guild {
            Some(guild) => drop(self.with_task.remove(&guild)),
            None => self.with_task.clear(),
        }
        let with_task = &self.with_task;
        if self.places.len() > 2 * (with_task.len() + ROUND) {
            self.places.retain(|guild, places| {
                with_task.contains(guild) || places.available_permits() < MOST_OF_A_GUILD
            });
        }
    }
}

fn complain(error: &KvError, what: &'static str) {
    tracing::error!(error = error as &dyn std::error::Error, "{what}");
}
