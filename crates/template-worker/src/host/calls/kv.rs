//! `ctx.KV`: what a guild's templates remember.

mod batch;

use khronos::{KhronosValue, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::batch::{Batch, BatchOp};
use super::arguments::kind;
use super::{Any, Argument, Bucket, host_calls};
use crate::events::MAX_SCOPES;
use crate::storage::kv::{MOST_BATCH_OPS, MOST_KEY_BYTES};

/// What the existing system allows.
const KV: Bucket = Bucket { name: "kv", burst: 500, every_ms: 100 };

host_calls! {
    /// What a guild's templates remember: values by keys. A key belongs to a *set* of scopes, at least one: `get("k", {"a", "b"})`
    /// finds what was set with the same scopes in any order, and nothing else. Records live on when the VM goes, and belong to
    /// the guild.
    pub enum KvCall in "KV" {
        /// The value of a key, and whether there is one: a value may be nil.
        Get "get" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
        ) -> "(any, boolean)", gated "kv[{scope}]:get:{key}";
        /// The whole record of a key; nil where there is none.
        GetRecord "getrecord" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
        ) -> "KvRecord?", gated "kv[{scope}]:get:{key}";
        /// Whether there is such a key.
        Exists "exists" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
        ) -> "boolean", gated "kv[{scope}]:exists:{key}";
        /// The keys with exactly these scopes, in order. The second result is a cursor where there may be more. One call looks at
        /// 10,000 keys, also at those that have expired and are not listed, so that it may return few or none and still a cursor.
        Keys "keys" (
            /// The scopes.
            scopes: Vec<String>,
            /// The second result of the call before, for what comes after.
            cursor: Option<String>,
        ) -> "({string}, string?)", gated "kv.meta[{scope}]:keys";
        /// The scopes that have keys, in order. The second result is a cursor where there may be more, some of them once more. One
        /// call looks at 1,000 keys: one of each set of scopes, and those that have expired before it, so that it may return few
        /// or none and still a cursor.
        ListScopes "list_scopes" (
            /// The second result of the call before, for what comes after.
            cursor: Option<String>,
        ) -> "({string}, string?)", gated "kv.meta:list_scopes";
        /// The records with exactly these scopes whose keys fit: `%` stands for any text, and upper and lower case are the same. At
        /// most 1,000 records and about 2 MiB at a time; the second result is a cursor where there may be more. One call looks at
        /// 10,000 keys, so that it may find none and still return a cursor.
        Find "find" (
            /// Such as `"user:%"`, or `"%"` for all.
            query: String,
            /// The scopes.
            scopes: Vec<String>,
            /// The second result of the call before, for what comes after.
            cursor: Option<String>,
        ) -> "({KvRecord}, string?)", gated "kv[{scope}]:find:{query}";
        /// Sets a value, and with it everything else about the key: what is left out is cleared. One step, however many do it at a
        /// time. Says whether the key was there before, and the id of its record.
        Set "set" (
            /// The key.
            key: String,
            /// Its value: anything that can leave the VM.
            value: Any,
            /// Its scopes.
            scopes: Vec<String>,
            /// From when on it is gone; `KeyExpiry` tells of it then. Must be in the future.
            expires_at: Option<Moment>,
            /// Whether `KeyResume` is to tell of it when the guild's templates were loaded.
            resume: Option<bool>,
        ) -> "KvSet", gated "kv[{scope}]:set:{key}";
        /// Sets when a key expires; never, where that is left out. An error where there is no such key.
        SetExpiry "setexpiry" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
            /// From when on it is gone. Must be in the future.
            expires_at: Option<Moment>,
        ) -> "()", gated "kv[{scope}]:setexpiry:{key}";
        /// Removes a key; one that is not there is fine.
        Delete "delete" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
        ) -> "()", gated "kv[{scope}]:delete:{key}";
        /// The value of the record with this id, and whether there is one. Until its `KeyExpiry` is handled, a record that has
        /// expired can be read by the id that the event tells, and by nothing else.
        GetById "getbyid" (
            /// The record's id.
            id: String,
        ) -> "(any, boolean)", gated "kv.meta:id_ops";
        /// The whole record with this id; nil where there is none.
        GetRecordById "getrecordbyid" (
            /// The record's id.
            id: String,
        ) -> "KvRecord?", gated "kv.meta:id_ops";
        /// Sets the value of the record with this id, and with it when it expires. An error where there is none.
        SetById "setbyid" (
            /// The record's id.
            id: String,
            /// Its value: anything that can leave the VM.
            value: Any,
            /// From when on it is gone. Must be in the future.
            expires_at: Option<Moment>,
            /// Whether `KeyResume` is to tell of it when the guild's templates were loaded.
            resume: Option<bool>,
        ) -> "()", gated "kv.meta:id_ops";
        /// Sets when the record with this id expires; never, where that is left out. An error where there is none. In a handler of
        /// `KeyExpiry` it puts the key off.
        SetExpiryById "setexpirybyid" (
            /// The record's id.
            id: String,
            /// From when on it is gone. Must be in the future.
            expires_at: Option<Moment>,
        ) -> "()", gated "kv.meta:id_ops";
        /// Removes the record with this id; one that is not there is fine.
        DeleteById "deletebyid" (
            /// The record's id.
            id: String,
        ) -> "()", gated "kv.meta:id_ops";
        /// Adds to a number and returns the sum, in one step: templates that do so at the same time lose nothing. A key that is not
        /// there is 0. When it expires stays as it is.
        Increment "increment" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
            /// How much; 1 where it is left out.
            by: Option<f64>,
        ) -> "number", gated "kv[{scope}]:increment:{key}";
        /// Sets a value if it is the expected one by then, in one step, and says whether it did. When the key expires stays as it is.
        CompareAndSet "compareandset" (
            /// The key.
            key: String,
            /// Its scopes.
            scopes: Vec<String>,
            /// The value that it must have; nil: there must be no such key.
            expected: Any,
            /// The value that it gets.
            value: Any,
        ) -> "boolean", gated "kv[{scope}]:compareandset:{key}";
        /// Does all of these, at most 100, or none. Each has an `op` (`"set"`, `"setexpiry"`, `"delete"`, `"increment"` or
        /// `"compareandset"`) and what that function takes, by its name. Returns what came of each: what `set`, `increment` and
        /// `compareandset` return, and for the others whether the key was there. Each operation counts against the rate as a call.
        Batch "batch" (
            /// The operations: a list, or a table with them as `ops`.
            ops: Batch,
        ) -> "{any}", gated "kv[{scope}]:{op}:{key}";
    }
    wants(call) { call.capabilities() }
    weight(call) { if let Self::Batch { ops } = call { u32::try_from(ops.0.len()).unwrap_or(u32::MAX) } else { 1 } }
    buckets [KV];
    types super::records::TYPES;
}

/// A point in time: a `DateTime` of `@antiraid/datetime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Argument for Moment {
    const LUAU: &'static str = "DateTime";
    const LUAU_OPTIONAL: &'static str = "DateTime?";

    fn take(value: KhronosValue) -> Result<Self, String> {
        match value {
            KhronosValue::Timestamptz(time) => Ok(Self(time)),
            other => Err(format!("a DateTime of `@antiraid/datetime`, got {}", kind(&other))),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Any(KhronosValue::Timestamptz(self.0)).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::take(Any::deserialize(from)?.0).map_err(serde::de::Error::custom)
    }
}

impl KvCall {
    /// What it takes, for each of its scopes. Of what no service would do, only so much is looked at as it would.
    fn capabilities(&self) -> Vec<String> {
        match self {
            Self::Get { key, scopes } | Self::GetRecord { key, scopes } => named("get", key, scopes),
            Self::Exists { key, scopes } => named("exists", key, scopes),
            Self::Find { query, scopes, .. } => named("find", query, scopes),
            Self::Set { key, scopes, .. } => named("set", key, scopes),
            Self::SetExpiry { key, scopes, .. } => named("setexpiry", key, scopes),
            Self::Delete { key, scopes } => named("delete", key, scopes),
            Self::Increment { key, scopes, .. } => named("increment", key, scopes),
            Self::CompareAndSet { key, scopes, .. } => named("compareandset", key, scopes),
            Self::Keys { scopes, .. } => {
                scopes.iter().take(MAX_SCOPES).map(|scope| format!("kv.meta[{scope}]:keys")).collect()
            }
            Self::ListScopes { .. } => vec!["kv.meta:list_scopes".to_owned()],
            Self::GetById { .. }
            | Self::GetRecordById { .. }
            | Self::SetById { .. }
            | Self::SetExpiryById { .. }
            | Self::DeleteById { .. } => vec!["kv.meta:id_ops".to_owned()],
            Self::Batch { ops } => {
                ops.0.iter().take(MOST_BATCH_OPS).flat_map(BatchOp::capabilities).collect()
            }
        }
    }
}

/// One capability for each scope: all of them have to be allowed.
fn named(op: &str, key: &str, scopes: &[String]) -> Vec<String> {
    let key = key.get(..key.floor_char_boundary(MOST_KEY_BYTES)).unwrap_or(key);
    scopes.iter().take(MAX_SCOPES).map(|scope| format!("kv[{scope}]:{op}:{key}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::calls::Family as _;

    fn call(name: &str, arguments: Vec<KhronosValue>) -> Result<KvCall, String> {
        let number = KvCall::NAMES.iter().position(|known| *known == name).unwrap();
        KvCall::from_arguments(number, arguments)
    }

    fn scopes(texts: &[&str]) -> KhronosValue {
        KhronosValue::List(texts.iter().map(|text| KhronosValue::from(*text)).collect())
    }

    #[test]
    fn every_scope_has_to_be_allowed() {
        let get = call("get", vec!["k:1".into(), scopes(&["a", "b"])]).unwrap();
        assert_eq!(get.wants(), ["kv[a]:get:k:1", "kv[b]:get:k:1"]);
        let record = call("getrecord", vec!["k".into(), scopes(&["a"])]).unwrap();
        assert_eq!(record.wants(), ["kv[a]:get:k"]);
        let find = call("find", vec!["x%".into(), scopes(&["a"])]).unwrap();
        assert_eq!(find.wants(), ["kv[a]:find:x%"]);
        assert_eq!(call("keys", vec![scopes(&["a", "b"])]).unwrap().wants().len(), 2);
        assert_eq!(call("getbyid", vec!["x".into()]).unwrap().wants(), ["kv.meta:id_ops"]);
        let most = call("get", vec!["k".repeat(100_000).into(), scopes(&["s"; 1000])]).unwrap().wants();
        assert!(most.len() == 16 && most.iter().all(|wanted| wanted.len() < 5_000));
    }

    #[test]
    fn a_batch_wants_what_its_operations_want() {
        let op = |name: &str, key: &str, more: &[(&str, KhronosValue)]| {
            let fields = [("op", name.into()), ("key", key.into()), ("scopes", scopes(&["s"]))];
            let all = fields.into_iter().chain(more.iter().cloned());
            KhronosValue::Map(all.map(|(name, value)| (name.to_owned(), value)).collect())
        };
        let ops = vec![op("set", "a", &[("value", 1.into())]), op("delete", "b", &[])];
        let batch = call("batch", vec![KhronosValue::List(ops.clone())]).unwrap();
        assert_eq!(batch.wants(), ["kv[s]:set:a", "kv[s]:delete:b"]);
        let wrapped = KhronosValue::Map([("ops".to_owned(), KhronosValue::List(ops))].into());
        assert_eq!(call("batch", vec![wrapped]), Ok(batch));
        for (wrong, says) in [
            (KhronosValue::Null, "a list of operations"),
            (KhronosValue::List(vec![]), "1 to 100 operations, got 0"),
            (KhronosValue::List(vec![1.into()]), "operation 1 to be a table"),
            (KhronosValue::List(vec![op("get", "a", &[])]), "as `op` \"set\""),
            (KhronosValue::List(vec![op("increment", "a", &[("by", "x".into())])]), "as `by` a number"),
            (KhronosValue::List(vec![op("delete", "a", &[("valu", 1.into())])]), "no field `valu`"),
        ] {
            let error = call("batch", vec![wrong]).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_call_travels_between_processes_as_it_is() {
        let time = Timestamp::from_nanos(1, khronos::TimeZone::UTC).unwrap();
        let arguments =
            vec!["k".into(), f64::INFINITY.into(), scopes(&["a"]), KhronosValue::Timestamptz(time)];
        let set = call("set", arguments).unwrap();
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<KvCall>(&text).unwrap(), set);
        let error = call("set", vec!["k".into(), 1.into(), scopes(&["a"]), "tomorrow".into()]).unwrap_err();
        assert!(error.contains("'expires_at' to 'set': expected a DateTime"), "{error}");
    }
}
