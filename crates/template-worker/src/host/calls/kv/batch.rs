//! `ctx.KV:batch`: several changes, all of them or none.

use std::collections::BTreeMap;

use khronos::KhronosValue;
use serde::{Deserialize, Serialize};

use super::super::arguments::kind;
use super::super::{Any, Argument};
use super::{Moment, named};
use crate::storage::kv::MOST_BATCH_OPS;

/// The operations of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch(pub Vec<BatchOp>);

/// An operation that can be part of a batch. A type of its own, so that no message of a VM process can nest batches, which
/// would be read as deep as the message is long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BatchOp {
    /// [`KvCall::Set`](super::KvCall::Set).
    Set {
        /// The key.
        key: String,
        /// Its scopes.
        scopes: Vec<String>,
        /// Its value.
        value: Any,
        /// From when on it is gone.
        expires_at: Option<Moment>,
        /// Whether `KeyResume` is to tell of it.
        resume: Option<bool>,
    },
    /// [`KvCall::SetExpiry`](super::KvCall::SetExpiry).
    SetExpiry {
        /// The key.
        key: String,
        /// Its scopes.
        scopes: Vec<String>,
        /// From when on it is gone.
        expires_at: Option<Moment>,
    },
    /// [`KvCall::Delete`](super::KvCall::Delete).
    Delete {
        /// The key.
        key: String,
        /// Its scopes.
        scopes: Vec<String>,
    },
    /// [`KvCall::Increment`](super::KvCall::Increment).
    Increment {
        /// The key.
        key: String,
        /// Its scopes.
        scopes: Vec<String>,
        /// By how much.
        by: Option<f64>,
    },
    /// [`KvCall::CompareAndSet`](super::KvCall::CompareAndSet).
    CompareAndSet {
        /// The key.
        key: String,
        /// Its scopes.
        scopes: Vec<String>,
        /// What has to be there.
        expected: Any,
        /// What comes in its place.
        value: Any,
    },
}

impl Argument for Batch {
    const LUAU: &'static str = "({KvOp} | {ops: {KvOp}})";
    const LUAU_OPTIONAL: &'static str = "({KvOp} | {ops: {KvOp}})?";

    fn take(value: KhronosValue) -> Result<Self, String> {
        let ops = match value {
            KhronosValue::Map(mut fields) => fields.remove("ops").unwrap_or_default(),
            value => value,
        };
        let KhronosValue::List(ops) = ops else {
            return Err("a list of operations, or a table with the field `ops`".to_owned());
        };
        if !(1..=MOST_BATCH_OPS).contains(&ops.len()) {
            return Err(format!("1 to {MOST_BATCH_OPS} operations, got {}", ops.len()));
        }
        let numbered = ops.into_iter().zip(1..);
        numbered.map(|(op, number)| one(op).map_err(|wrong| format!("operation {number} {wrong}"))).collect()
    }
}

impl FromIterator<BatchOp> for Batch {
    fn from_iter<I: IntoIterator<Item = BatchOp>>(ops: I) -> Self {
        Self(ops.into_iter().collect())
    }
}

/// One operation of a batch, from its fields.
fn one(op: KhronosValue) -> Result<BatchOp, String> {
    let KhronosValue::Map(mut fields) = op else {
        return Err(format!("to be a table, got {}", kind(&op)));
    };
    fn field<T: Argument>(fields: &mut BTreeMap<String, KhronosValue>, name: &str) -> Result<T, String> {
        let value = fields.remove(name).unwrap_or_default();
        T::take(value).map_err(|expected| format!("to have as `{name}` {expected}"))
    }
    let op: String = field(&mut fields, "op")?;
    let (key, scopes) = (field(&mut fields, "key")?, field(&mut fields, "scopes")?);
    let call = match op.as_str() {
        "set" => BatchOp::Set {
            key,
            scopes,
            value: field(&mut fields, "value")?,
            expires_at: field(&mut fields, "expires_at")?,
            resume: field(&mut fields, "resume")?,
        },
        "setexpiry" => BatchOp::SetExpiry { key, scopes, expires_at: field(&mut fields, "expires_at")? },
        "delete" => BatchOp::Delete { key, scopes },
        "increment" => BatchOp::Increment { key, scopes, by: field(&mut fields, "by")? },
        "compareandset" => BatchOp::CompareAndSet {
            key,
            scopes,
            expected: field(&mut fields, "expected")?,
            value: field(&mut fields, "value")?,
        },
        _ => {
            return Err(
                "to have as `op` \"set\", \"setexpiry\", \"delete\", \"increment\" or \"compareandset\""
                    .to_owned(),
            );
        }
    };
    match fields.keys().next() {
        Some(unknown) => Err(format!("to have no field `{}`", unknown.chars().take(80).collect::<String>())),
        None => Ok(call),
    }
}

impl BatchOp {
    /// What it takes, for each of its scopes.
    pub(super) fn capabilities(&self) -> Vec<String> {
        match self {
            Self::Set { key, scopes, .. } => named("set", key, scopes),
            Self::SetExpiry { key, scopes, .. } => named("setexpiry", key, scopes),
            Self::Delete { key, scopes } => named("delete", key, scopes),
            Self::Increment { key, scopes, .. } => named("increment", key, scopes),
            Self::CompareAndSet { key, scopes, .. } => named("compareandset", key, scopes),
        }
    }
}
