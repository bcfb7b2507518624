//! `ctx.KV`, served.
//!
//! Owns what records look like to scripts, and whose quota they count against. What is stored, and how, is the storage's
//! business.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use khronos::{KhronosValue, TimeZone, Timestamp, ValueLimits};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::calls::{BatchOp, KvCall, Moment};
use super::{Caller, HostError, HostReply, Service};
use crate::cursor;
use crate::ids::GuildId;
use crate::limits::Limit;
use crate::metrics::Metrics;
use crate::storage::kv::{
    KeyPattern, KvAt, KvDone, KvError, KvId, KvKey, KvOp, KvQuery, KvQuota, KvRecord, KvUsage, MOST_FOUND,
    Scopes, ScopesPlace,
};
use crate::storage::{Clock, KvStorage};

/// What a stored value may be. Its bytes were bounded when it was stored; who changes limits must still be able to read.
const STORED: ValueLimits = ValueLimits { depth: 128, nodes: 10_000_000, bytes: 64 << 20 };

/// Serves `ctx.KV`.
pub struct Kv {
    storage: Arc<dyn KvStorage>,
    clock: Clock,
    service: Arc<dyn Service>,
    metrics: Arc<Metrics>,
    /// Guilds that are near a limit and have been told so.
    told: Mutex<BTreeSet<(GuildId, Limit)>>,
}

impl Kv {
    /// Records as `storage` has them; `service` tells what a guild may use.
    pub fn new(
        storage: Arc<dyn KvStorage>,
        clock: Clock,
        service: Arc<dyn Service>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { storage, clock, service, metrics, told: Mutex::default() }
    }

    pub(super) async fn serve(&self, caller: &Caller, call: KvCall) -> Result<HostReply, HostError> {
        self.answer(caller, call).await.map_err(|error| {
            if let Some(limit) = error.limit() {
                self.metrics.exceeded(limit);
            }
            refused(error)
        })
    }

    async fn answer(&self, caller: &Caller, call: KvCall) -> Result<HostReply, KvError> {
        let guild = caller.guild;
        match call {
            KvCall::Get { key, scopes } => self.value(guild, &by_key(key, scopes)?).await,
            KvCall::GetById { id } => self.value(guild, &by_id(&id)?).await,
            KvCall::GetRecord { key, scopes } => self.record(guild, &by_key(key, scopes)?).await,
            KvCall::GetRecordById { id } => self.record(guild, &by_id(&id)?).await,
            KvCall::Exists { key, scopes } => {
                let found = self.storage.kv_record(guild, &by_key(key, scopes)?, self.clock.now()).await?;
                Ok(HostReply::value(found.is_some()))
            }
            KvCall::Keys { scopes, cursor } => self.keys(guild, scopes, cursor).await,
            KvCall::ListScopes { cursor } => self.scopes(guild, cursor).await,
            KvCall::Find { query, scopes, cursor } => self.find(guild, &query, scopes, cursor).await,
            KvCall::SetById { id, value, expires_at, resume } => {
                let op = KvOp::Set {
                    at: by_id(&id)?,
                    value: value.0.to_typed_json(),
                    expires_at: time_of(expires_at)?,
                    resume: resume.unwrap_or_default(),
                };
                self.write(caller, op).await?;
                Ok(HostReply::nothing())
            }
            KvCall::SetExpiryById { id, expires_at } => {
                let op = KvOp::SetExpiry { at: by_id(&id)?, expires_at: time_of(expires_at)? };
                self.write(caller, op).await?;
                Ok(HostReply::nothing())
            }
            KvCall::DeleteById { id } => {
                self.write(caller, KvOp::Delete { at: by_id(&id)? }).await?;
                Ok(HostReply::nothing())
            }
            KvCall::Batch { ops } => {
                let ops = ops.0.into_iter().map(op_of).collect::<Result<Vec<_>, _>>()?;
                let done = self.write_all(caller, ops).await?;
                Ok(HostReply::value(KhronosValue::List(done.into_iter().map(result).collect())))
            }
            KvCall::Set { key, value, scopes, expires_at, resume } => {
                self.change(caller, BatchOp::Set { key, scopes, value, expires_at, resume }).await
            }
            KvCall::SetExpiry { key, scopes, expires_at } => {
                self.change(caller, BatchOp::SetExpiry { key, scopes, expires_at }).await?;
                Ok(HostReply::nothing())
            }
            KvCall::Delete { key, scopes } => {
                self.change(caller, BatchOp::Delete { key, scopes }).await?;
                Ok(HostReply::nothing())
            }
            KvCall::Increment { key, scopes, by } => {
                self.change(caller, BatchOp::Increment { key, scopes, by }).await
            }
            KvCall::CompareAndSet { key, scopes, expected, value } => {
                self.change(caller, BatchOp::CompareAndSet { key, scopes, expected, value }).await
            }
        }
    }

    async fn value(&self, guild: GuildId, at: &KvAt) -> Result<HostReply, KvError> {
        match self.storage.kv_record(guild, at, self.clock.now()).await? {
            Some(record) => Ok(HostReply::two(read(&record)?, true)),
            None => Ok(HostReply::two(KhronosValue::Null, false)),
        }
    }

    async fn record(&self, guild: GuildId, at: &KvAt) -> Result<HostReply, KvError> {
        match self.storage.kv_record(guild, at, self.clock.now()).await? {
            Some(record) => Ok(HostReply::value(shown(&record)?)),
            None => Ok(HostReply::value(KhronosValue::Null)),
        }
    }

    async fn keys(
        &self,
        guild: GuildId,
        scopes: Vec<String>,
        cursor: Option<String>,
    ) -> Result<HostReply, KvError> {
        let (scopes, after) = (Scopes::new(scopes)?, after::<String>(cursor)?);
        let page = self.storage.kv_keys(guild, &scopes, after.as_deref(), self.clock.now()).await?;
        Ok(HostReply::two(page.keys, optional(page.next.as_ref().map(cursor::of))))
    }

    async fn scopes(&self, guild: GuildId, cursor: Option<String>) -> Result<HostReply, KvError> {
        let after = after::<(Vec<String>, Option<String>)>(cursor)?;
        let after = after.map(|(scopes, key)| Ok(ScopesPlace { scopes: Scopes::new(scopes)?, key }));
        let after = after.transpose().map_err(|_: KvError| KvError::BadCursor)?;
        let page = self.storage.kv_scopes(guild, after.as_ref(), self.clock.now()).await?;
        let cursor = page.next.map(|next| cursor::of(&(next.scopes.to_vec(), next.key)));
        let mut scopes: Vec<String> = page.sets.iter().flat_map(Scopes::to_vec).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Ok(HostReply::two(scopes, optional(cursor)))
    }

    async fn find(
        &self,
        guild: GuildId,
        query: &str,
        scopes: Vec<String>,
        cursor: Option<String>,
    ) -> Result<HostReply, KvError> {
        let most_bytes = self.service.limits(guild).max_kv_key_bytes;
        let scopes = Scopes::new(scopes)?;
        let after = after::<String>(cursor)?;
        let query = KvQuery {
            pattern: KeyPattern::new(query, most_bytes)?,
            after: after.map(|key| KvKey { key, scopes: scopes.clone() }),
            scopes: Some(scopes),
            limit: MOST_FOUND,
        };
        let page = self.storage.kv_find(guild, &query, self.clock.now()).await?;
        let records = page.records.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        let cursor = page.next.map(|next| cursor::of(&next.key));
        Ok(HostReply::two(KhronosValue::List(records), optional(cursor)))
    }

    /// A change by key, alone.
    async fn change(&self, caller: &Caller, op: BatchOp) -> Result<HostReply, KvError> {
        Ok(HostReply::value(result(self.write(caller, op_of(op)?).await?)))
    }

    async fn write(&self, caller: &Caller, op: KvOp) -> Result<KvDone, KvError> {
        let nothing = || KvError::BadBatch { count: 0 };
        self.write_all(caller, vec![op]).await?.pop().ok_or_else(nothing)
    }

    async fn write_all(&self, caller: &Caller, ops: Vec<KvOp>) -> Result<Vec<KvDone>, KvError> {
        let quota = KvQuota::of(&self.service.limits(caller.guild));
        let written = self.storage.kv_write(caller.guild, ops, quota, self.clock.now()).await?;
        self.warn(caller, &quota, written.usage);
        Ok(written.done)
    }

    /// Tells the author once when the guild has used four fifths of what it may store; again, when it was less meanwhile.
    fn warn(&self, caller: &Caller, quota: &KvQuota, usage: KvUsage) {
        let used = [
            (Limit::KvRecords, usage.records, quota.records, "keys", "delete some, or let them expire"),
            (
                Limit::KvBytes,
                usage.bytes,
                quota.bytes,
                "bytes in its keys",
                "delete some, or store less in each",
            ),
        ];
        for (limit, used, most, what, advice) in used {
            let is_near = most > 0 && used.saturating_mul(5) >= (most as u64).saturating_mul(4);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = if is_near {
                told.insert((caller.guild, limit))
            } else {
                told.remove(&(caller.guild, limit));
                false
            };
            drop(told);
            if is_first {
                self.metrics.warned(limit);
                let name = limit.field_name();
                let text = format!(
                    "near a limit: this guild has {used} {what}, and {most} are the most ({name}); {advice}"
                );
                self.service.warn(caller.guild, &caller.template.name, text);
            }
        }
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The change that an operation stands for.
fn op_of(op: BatchOp) -> Result<KvOp, KvError> {
    Ok(match op {
        BatchOp::Set { key, value, scopes, expires_at, resume } => KvOp::Set {
            at: by_key(key, scopes)?,
            value: value.0.to_typed_json(),
            expires_at: time_of(expires_at)?,
            resume: resume.unwrap_or_default(),
        },
        BatchOp::SetExpiry { key, scopes, expires_at } => {
            KvOp::SetExpiry { at: by_key(key, scopes)?, expires_at: time_of(expires_at)? }
        }
        BatchOp::Delete { key, scopes } => KvOp::Delete { at: by_key(key, scopes)? },
        BatchOp::Increment { key, scopes, by } => {
            KvOp::Increment { key: KvKey { key, scopes: Scopes::new(scopes)? }, by: by.unwrap_or(1.0) }
        }
        BatchOp::CompareAndSet { key, scopes, expected, value } => KvOp::CompareAndSet {
            key: KvKey { key, scopes: Scopes::new(scopes)? },
            expected: (expected.0 != KhronosValue::Null).then(|| expected.0.to_typed_json()),
            value: value.0.to_typed_json(),
        },
    })
}

/// What a script hears of a change.
fn result(done: KvDone) -> KhronosValue {
    match done {
        KvDone::Set { existed, id } => {
            KhronosValue::from([("exists", existed.into()), ("id", id.as_str().into())])
        }
        KvDone::ExpirySet => true.into(),
        KvDone::Deleted { existed } => existed.into(),
        KvDone::Sum(sum) => sum.into(),
        KvDone::Swapped(swapped) => swapped.into(),
    }
}

/// A record as scripts see it.
fn shown(record: &KvRecord) -> Result<KhronosValue, KvError> {
    Ok(KhronosValue::from([
        ("id", record.id.as_str().into()),
        ("key", record.key.as_str().into()),
        ("value", read(record)?),
        ("scopes", record.scopes.to_vec().into()),
        ("exists", true.into()),
        ("created_at", moment(record.created_at)),
        ("last_updated_at", moment(record.updated_at)),
        ("expires_at", record.expires_at.map_or(KhronosValue::Null, moment)),
        ("resume", record.resume.into()),
    ]))
}

fn read(record: &KvRecord) -> Result<KhronosValue, KvError> {
    KhronosValue::from_typed_json(&record.value, STORED).map_err(|source| KvError::unreadable(source.into()))
}

fn by_key(key: String, scopes: Vec<String>) -> Result<KvAt, KvError> {
    Ok(KvAt::Key(KvKey { key, scopes: Scopes::new(scopes)? }))
}

fn by_id(id: &str) -> Result<KvAt, KvError> {
    KvId::sent(id).map(KvAt::Id).ok_or(KvError::NoSuchId)
}

/// A script's point in time; its years are those that a date can have.
fn time_of(moment: Option<Moment>) -> Result<Option<OffsetDateTime>, KvError> {
    let time = moment.map(|moment| OffsetDateTime::from_unix_timestamp_nanos(moment.0.nanos()));
    time.transpose().map_err(|error| KvError::unreadable(error.into()))
}

fn moment(at: OffsetDateTime) -> KhronosValue {
    Timestamp::from_nanos(at.unix_timestamp_nanos(), TimeZone::UTC)
        .map_or(KhronosValue::Null, KhronosValue::Timestamptz)
}

fn optional(text: Option<String>) -> KhronosValue {
    text.map_or(KhronosValue::Null, KhronosValue::from)
}

fn after<P: DeserializeOwned>(cursor: Option<String>) -> Result<Option<P>, KvError> {
    cursor.map(|cursor| cursor::place(&cursor).ok_or(KvError::BadCursor)).transpose()
}

fn refused(error: KvError) -> HostError {
    match error {
        error if error.is_internal() => {
            HostError::Internal { what: "use the guild's keys", source: error.into() }
        }
        KvError::NoSuchKey { .. } | KvError::NoSuchId => HostError::NotFound(error.to_string()),
        KvError::Busy { .. } => HostError::Quota(error.to_string()),
        error if error.limit().is_some() => HostError::Quota(error.to_string()),
        error => HostError::Invalid(error.to_string()),
    }
}
