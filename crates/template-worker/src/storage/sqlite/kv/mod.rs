//! Key-value records in SQLite.
//!
//! Owns the group commit: all changes of all guilds go through one queue to one task, which puts those that wait into one
//! transaction, and answers when it is committed. A flush to the disk takes milliseconds, and so many changes share it
//! that thousands a second are stored as surely as one. Everything else that is written uses the same connection, between two
//! such transactions.

/// A struct that is read from a row, each field from the column of its name.
macro_rules! row {
    ($(#[$doc:meta])* struct $name:ident { $($column:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        struct $name { $($column: $type,)+ }

        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?,)+ })
            }
        }
    };
}

mod due;
mod queue;
mod read;
mod write;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::SqlitePool;
use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::queue::{Answer, Job, Queue, Work};
use self::write::Transaction;
use super::lanes::Lanes;
use super::{SqliteStorage, to_micros};
use crate::ids::GuildId;
use crate::storage::StorageError;
use crate::storage::expiry::{DueKey, ExpiryStorage, KeyExpiry, ResumeKey, Settlement};
use crate::storage::kv::{
    KvAt, KvError, KvId, KvKeys, KvOp, KvPage, KvQuery, KvQuota, KvRecord, KvScopes, KvStorage, KvUsage,
    KvWritten, Scopes, ScopesPlace, check_all,
};

/// The way of changes to the one task that writes them.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    /// Counts the times at which something may be due earlier than before.
    due: watch::Sender<u64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// A task that writes to the one connection of `pool`, when it is its turn.
    pub(super) fn start(pool: SqlitePool, lanes: Arc<Lanes>) -> Self {
        let (queue, due) = (Arc::new(Queue::default()), watch::Sender::new(0));
        let task = tokio::spawn(run(Writing(Arc::clone(&queue)), pool, lanes, due.clone()));
        Self { queue, due, task: Mutex::new(Some(task)) }
    }

    /// Takes no more changes, and returns when those that wait are written.
    pub(super) async fn close(&self) {
        self.queue.close();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Where it panicked, whoever waited was answered by the end of their channels.
            let _ = task.await;
        }
    }

    async fn work(&self, guild: GuildId, work: Work, now: OffsetDateTime) -> Result<Answer, KvError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Job { guild, work, now, answer })?;
        answered.await.unwrap_or_else(|_| Err(broken("the writer of records has ended")))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The queue in the hands of the one task that empties it. Should that end before the queue does, whoever waits is told.
struct Writing(Arc<Queue>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

async fn run(writing: Writing, pool: SqlitePool, lanes: Arc<Lanes>, due: watch::Sender<u64>) {
    while let Some(jobs) = writing.0.next().await {
        let turn = lanes.records().await;
        let committed = commit(&pool, &jobs).await;
        drop(turn);
        match committed {
            Ok((answers, due_changed)) => {
                // Whoever does not wait any longer has still changed it.
                for (job, answer) in jobs.into_iter().zip(answers) {
                    let _ = job.answer.send(answer);
                }
                if due_changed {
                    due.send_modify(|changes| *changes += 1);
                }
            }
            Err(error) => {
                let cause = error.to_string();
                tracing::error!(error = &error as &dyn std::error::Error, "failed to store records");
                for job in jobs {
                    let _ = job.answer.send(Err(broken(&cause)));
                }
            }
        }
    }
}

/// Does `jobs` in one transaction, or none of them.
async fn commit(pool: &SqlitePool, jobs: &[Job]) -> Result<(Vec<Result<Answer, KvError>>, bool), KvError> {
    let mut connection = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut transaction = Transaction::new(&mut connection);
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        match transaction.apply(job).await {
            // One row that somebody has changed by hand is no reason for the others to fail.
            answer @ Err(KvError::Storage(StorageError::Unreadable { .. })) => answers.push(answer),
            Err(error) if error.is_internal() => return Err(error),
            answer => answers.push(answer),
        }
    }
    let due_changed = transaction.due_changed;
    transaction.finish().await?;
    connection.commit().await?;
    Ok((answers, due_changed))
}

fn broken(cause: &str) -> KvError {
    StorageError::Failed(cause.into()).into()
}

/// An answer to something else: cannot be, and is no reason to panic.
fn misunderstood() -> KvError {
    broken("the writer of records gave an answer that was not asked for")
}

#[async_trait]
impl KvStorage for SqliteStorage {
    async fn kv_record(
        &self,
        guild: GuildId,
        at: &KvAt,
        now: OffsetDateTime,
    ) -> Result<Option<KvRecord>, KvError> {
        read::record(&mut *self.read_of(guild).await?.connection, guild, at, to_micros(now)).await
    }

    async fn kv_find(&self, guild: GuildId, query: &KvQuery, now: OffsetDateTime) -> Result<KvPage, KvError> {
        let mut read = self.read_of(guild).await?;
        read::find(&mut *read.begin().await?, guild, query, to_micros(now)).await
    }

    async fn kv_keys(
        &self,
        guild: GuildId,
        scopes: &Scopes,
        after: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<KvKeys, KvError> {
        let mut read = self.read_of(guild).await?;
        read::keys(&mut *read.begin().await?, guild, scopes, after, to_micros(now)).await
    }

    async fn kv_scopes(
        &self,
        guild: GuildId,
        after: Option<&ScopesPlace>,
        now: OffsetDateTime,
    ) -> Result<KvScopes, KvError> {
        read::scopes(&mut *self.read_of(guild).await?.connection, guild, after, to_micros(now)).await
    }

    async fn kv_write(
        &self,
        guild: GuildId,
        ops: Vec<KvOp>,
        quota: KvQuota,
        now: OffsetDateTime,
    ) -> Result<KvWritten, KvError> {
        check_all(&ops, &quota, now)?;
        match self.kv.work(guild, Work::Ops { ops, quota }, now).await? {
            Answer::Ops(written) => Ok(written),
            _ => Err(misunderstood()),
        }
    }

    async fn kv_usage(&self, guild: GuildId) -> Result<KvUsage, KvError> {
        read::usage(&mut *self.read_of(guild).await?.connection, guild).await
    }
}

#[async_trait]
impl ExpiryStorage for SqliteStorage {
    fn due_changes(&self) -> watch::Receiver<u64> {
        self.kv.due.subscribe()
    }

    async fn release_claims(&self, now: OffsetDateTime) -> Result<(), KvError> {
        let mut transaction = self.write(None).await?;
        due::release_claims(&mut transaction, to_micros(now)).await?;
        Ok(transaction.commit().await?)
    }

    async fn due_guilds(&self, now: OffsetDateTime, limit: usize) -> Result<Vec<GuildId>, KvError> {
        due::guilds(&mut *self.read().await?, to_micros(now), limit).await
    }

    async fn next_due(&self, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, KvError> {
        due::next(&mut *self.read().await?, to_micros(now)).await
    }

    async fn claim_due(&self, guild: GuildId, now: OffsetDateTime) -> Result<Option<DueKey>, KvError> {
        match self.kv.work(guild, Work::Claim, now).await? {
            Answer::Claimed(due) => Ok(due),
            _ => Err(misunderstood()),
        }
    }

    async fn settle(&self, due: &DueKey, settlement: Settlement) -> Result<bool, KvError> {
        let work = Work::Settle { due: due.clone(), settlement };
        match self.kv.work(due.guild, work, OffsetDateTime::UNIX_EPOCH).await? {
            Answer::Changed(changed) => Ok(changed),
            _ => Err(misunderstood()),
        }
    }

    async fn expiries(
        &self,
        guild: GuildId,
        after: Option<(i64, i64)>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<KeyExpiry>, KvError> {
        let mut read = self.read_of(guild).await?;
        due::list(&mut read.connection, guild, after, limit, to_micros(now)).await
    }

    async fn retry_expiry(&self, guild: GuildId, id: &KvId, now: OffsetDateTime) -> Result<bool, KvError> {
        match self.kv.work(guild, Work::Retry { id: id.clone() }, now).await? {
            Answer::Changed(changed) => Ok(changed),
            _ => Err(misunderstood()),
        }
    }

    async fn guilds_to_resume(&self, after: Option<GuildId>, limit: u32) -> Result<Vec<GuildId>, KvError> {
        due::guilds_to_resume(&mut *self.read().await?, after, limit).await
    }

    async fn keys_to_resume(
        &self,
        guild: GuildId,
        after: Option<i64>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<ResumeKey>, KvError> {
        due::keys_to_resume(&mut *self.read().await?, guild, after, limit, to_micros(now)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_writer_that_has_ended_answers_whoever_waits_and_takes_no_more() {
        let writer = Writer::start(SqlitePool::connect_lazy("sqlite::memory:").unwrap(), Arc::default());
        let task = writer.task.lock().unwrap().take().unwrap();
        let claim = || {
            let work = writer.work(GuildId::new(1).unwrap(), Work::Claim, OffsetDateTime::UNIX_EPOCH);
            tokio::time::timeout(Duration::from_secs(20), work)
        };
        let (waited, ()) = tokio::join!(claim(), async { task.abort() });
        assert!(matches!(waited, Ok(Err(KvError::Storage(_)))), "{waited:?}");
        let late = claim().await;
        assert!(matches!(late, Ok(Err(KvError::Storage(_)))), "{late:?}");
    }
}
