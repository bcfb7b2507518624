//! Telling the templates of one key, and what comes of it.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;

use super::{AFTER_FAILURE, Expiry, complain};
use crate::dispatch::{DispatchError, Dispatcher};
use crate::events::Event;
use crate::metrics::{Count, Expired};
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
/// How often it is tried to store what came of it.
const TRIES_TO_SETTLE: usize = 60;
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
            Told::Failed { .. } if self.stopping.is_stopping() => return,
            Told::Failed { failed_in, error } => {
                let again_at = again_at(self.clock.now(), due.attempts);
                if again_at.is_none() {
                    tracing::warn!(guild = %due.guild, key = ?due.key, error, "a key is dead: its handlers failed too often");
                }
                Settlement::Failed { failed_in, error, again_at }
            }
        };
        self.metrics.count(Count::Expired(match &settlement {
            Settlement::Told => Expired::Told,
            Settlement::Failed { again_at: Some(_), .. } => Expired::Failed,
            Settlement::Failed { again_at: None, .. } => Expired::Dead,
        }));
        self.settle(&due, settlement).await;
        drop(place);
    }

    async fn settle(&self, due: &DueKey, settlement: Settlement) {
        for _ in 0..TRIES_TO_SETTLE {
            match self.storage.settle(due, settlement.clone()).await {
                Ok(_) => return,
                Err(error) => complain(&error, "failed to store what became of a key that expired"),
            }
            if self.stopping.is_stopping() {
                return;
            }
            tokio::time::sleep(AFTER_FAILURE).await;
        }
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
            Err(error) => failed(error.to_string()),
        }
    }
}

/// The event of a key that has expired. It has the same id each time, so that a handler can tell a repetition.
fn event(due: &DueKey) -> Result<Event, Box<dyn std::error::Error + Send + Sync>> {
    let scopes = due.scopes.to_vec();
    let data = serde_json::json!({"id": due.id.as_str(), "key": due.key, "scopes": scopes}).to_string();
    let id = due.event_id().parse()?;
    Ok(Event::new(id, due.guild, "KeyExpiry".parse()?, None, scopes, data.into())?)
}
