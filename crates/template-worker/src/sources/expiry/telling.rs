//! Telling the templates of one key, and what comes of it.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;

use super::{AFTER_FAILURE, Expiry, complain};
use crate::dispatch::{DispatchError, Dispatcher};
use crate::events::Event;
use crate::metrics::{Count, Expired};
use crate::sources::key_event;
use crate::storage::expiry::{DueKey, Settlement};
use crate::template::TemplateName;

/// How often handlers may fail before a key is dead.
pub(super) const MOST_ATTEMPTS: u32 = 12;
/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How long handlers count among those that are told at once.
const TURN: Duration = Duration::from_secs(5);
/// Longer than any execution can take, waiting for its start included.
const LONGEST_WAIT: Duration = Duration::from_secs(48 * 3600);
/// How long a key keeps its guild's place that no handler could be told of: so seldom a guild that is busy is tried.
const UNTIL_RELEASE: Duration = Duration::from_secs(1);
/// The longest pause between tries to store what came of it.
const LONGEST_PAUSE_TO_SETTLE: Duration = Duration::from_secs(60);
/// Characters of an error that are kept.
const ERROR_SHOWN: usize = 500;

/// Tells templates.
#[async_trait]
pub(in crate::sources) trait Tell: Send + Sync {
    /// Tells those that listen, or those that failed last time, and returns when all are done.
    async fn tell(&self, due: &DueKey) -> Told;
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) enum Told {
    /// All have been told, or nobody listens.
    All,
    /// Some have not: these, or all that listen.
    Failed { failed_in: Vec<TemplateName>, error: String },
    /// No handler has seen it: the guild has too much to do, or its templates could not be read.
    Unseen { why: String },
    /// The service stops.
    Stopping,
}

/// What a key holds while it is told.
pub(super) struct Turn {
    /// Its guild's, to the end.
    pub(super) place: OwnedSemaphorePermit,
    /// Everybody's, for a while.
    pub(super) turn: OwnedSemaphorePermit,
}

impl Expiry {
    pub(super) async fn tell(&self, due: DueKey, Turn { place, turn }: Turn) {
        let telling = self.teller.tell(&due);
        tokio::pin!(telling);
        let told = match tokio::time::timeout(TURN, &mut telling).await {
            Ok(told) => {
                drop(turn);
                told
            }
            Err(_) => {
                drop(turn);
                telling.await
            }
        };
        let settlement = match told {
            Told::All => Settlement::Told,
            // What was ended by the stop has not failed: the next start tells it again.
            Told::Stopping => return,
            Told::Unseen { why } => {
                tracing::debug!(guild = %due.guild, key = ?due.key, why, "nobody could be told of a key; it is due again");
                if self.stops_within(UNTIL_RELEASE).await {
                    return;
                }
                Settlement::Released { again_at: self.clock.now() }
            }
            Told::Failed { .. } if self.stopping.is_stopping() => return,
            Told::Failed { failed_in, error } => {
                let again_at = again_at(self.clock.now(), due.attempts);
                if again_at.is_none() {
                    tracing::warn!(guild = %due.guild, key = ?due.key, error, "a key is dead: its handlers failed too often");
                }
                Settlement::Failed { failed_in, error, again_at }
            }
        };
        let counted = match &settlement {
            Settlement::Told => Some(Expired::Told),
            Settlement::Released { .. } => None,
            Settlement::Failed { again_at: Some(_), .. } => Some(Expired::Failed),
            Settlement::Failed { again_at: None, .. } => Some(Expired::Dead),
        };
        if let Some(expired) = counted {
            self.metrics.count(Count::Expired(expired));
        }
        self.settle(&due, settlement).await;
        drop(place);
    }

    /// Goes on until it is stored, or the service stops: what is claimed is told by nobody else before the next start.
    async fn settle(&self, due: &DueKey, settlement: Settlement) {
        let mut pause = AFTER_FAILURE;
        while let Err(error) = self.storage.settle(due, settlement.clone()).await {
            complain(&error, "failed to store what became of a key that expired; it is tried again");
            if self.stops_within(pause).await {
                return;
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE_TO_SETTLE);
        }
    }

    /// Waits so long, or until the service stops; returns whether it does.
    async fn stops_within(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.stopping.wait()).await.is_ok()
    }
}

/// When to try again after `attempts` failures and this one; `None`: never.
pub(super) fn again_at(now: OffsetDateTime, attempts: u32) -> Option<OffsetDateTime> {
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST_PAUSE);
    (attempts + 1 < MOST_ATTEMPTS).then(|| now + pause)
}

#[async_trait]
impl Tell for Dispatcher {
    async fn tell(&self, due: &DueKey) -> Told {
        let failed = |error: String| {
            let error = error.chars().take(ERROR_SHOWN).collect();
            Told::Failed { failed_in: due.failed_in.clone(), error }
        };
        let event = match event(due) {
            Ok(event) => event,
            Err(error) => return failed(error.to_string()),
        };
        match self.dispatch_to(event, &due.failed_in).await {
            Ok(dispatched) => {
                let failures = dispatched.failures(LONGEST_WAIT).await;
                let Some((_, error)) = failures.first() else { return Told::All };
                let error = error.chars().take(ERROR_SHOWN).collect();
                Told::Failed { failed_in: failures.into_iter().map(|(name, _)| name).collect(), error }
            }
            Err(DispatchError::ShuttingDown) => Told::Stopping,
            // The same the next time.
            Err(DispatchError::Event(why)) => failed(why),
            Err(
                error @ (DispatchError::Busy { .. }
                | DispatchError::TooManyBytes { .. }
                | DispatchError::TooManyActions { .. }
                | DispatchError::Overloaded { .. }
                | DispatchError::Storage(_)
                | DispatchError::Compile(_)),
            ) => Told::Unseen { why: error.to_string() },
        }
    }
}

/// The event of a key that has expired. It has the same id each time, so that a handler can tell a repetition.
fn event(due: &DueKey) -> Result<Event, Box<dyn std::error::Error + Send + Sync>> {
    key_event("KeyExpiry", due.event_id().parse()?, due.guild, &due.id, &due.key, &due.scopes)
}
