//! The audit log: who did what to whom, and the reason that came in `X-Audit-Log-Reason`.

use serde_json::{Map, Value, json};

use super::records::Guild;
use super::state::Id;

/// One thing that was done. `action` is Discord's number.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id of the entry.
    pub id: Id,
    /// What: 22 is a ban, 20 a kick, 24 a changed member, 30 a new role, ..
    pub action: u64,
    /// Who did it.
    pub user: Id,
    /// To whom or what.
    pub target: Option<Id>,
    /// Why.
    pub reason: Option<String>,
    /// What was changed, as Discord writes it.
    pub changes: Vec<Value>,
    /// What else there is to say, as Discord writes it.
    pub options: Map<String, Value>,
}

/// Discord's numbers of the actions.
pub(super) mod action {
    pub(in super::super) const GUILD_UPDATE: u64 = 1;
    pub(in super::super) const CHANNEL_CREATE: u64 = 10;
    pub(in super::super) const CHANNEL_UPDATE: u64 = 11;
    pub(in super::super) const CHANNEL_DELETE: u64 = 12;
    pub(in super::super) const OVERWRITE_CREATE: u64 = 13;
    pub(in super::super) const OVERWRITE_UPDATE: u64 = 14;
    pub(in super::super) const OVERWRITE_DELETE: u64 = 15;
    pub(in super::super) const MEMBER_KICK: u64 = 20;
    pub(in super::super) const MEMBER_BAN_ADD: u64 = 22;
    pub(in super::super) const MEMBER_BAN_REMOVE: u64 = 23;
    pub(in super::super) const MEMBER_UPDATE: u64 = 24;
    pub(in super::super) const MEMBER_ROLE_UPDATE: u64 = 25;
    pub(in super::super) const ROLE_CREATE: u64 = 30;
    pub(in super::super) const ROLE_UPDATE: u64 = 31;
    pub(in super::super) const ROLE_DELETE: u64 = 32;
    pub(in super::super) const INVITE_CREATE: u64 = 40;
    pub(in super::super) const INVITE_DELETE: u64 = 42;
    pub(in super::super) const WEBHOOK_CREATE: u64 = 50;
    pub(in super::super) const WEBHOOK_UPDATE: u64 = 51;
    pub(in super::super) const WEBHOOK_DELETE: u64 = 52;
    pub(in super::super) const MESSAGE_DELETE: u64 = 72;
    pub(in super::super) const MESSAGE_BULK_DELETE: u64 = 73;
    pub(in super::super) const THREAD_CREATE: u64 = 110;
    pub(in super::super) const THREAD_UPDATE: u64 = 111;
    pub(in super::super) const THREAD_DELETE: u64 = 112;
    pub(in super::super) const RULE_CREATE: u64 = 140;
    pub(in super::super) const RULE_UPDATE: u64 = 141;
    pub(in super::super) const RULE_DELETE: u64 = 142;
}

/// What is different between two pictures of one thing.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<Value> {
    let nothing = Map::new();
    let before = before.as_object().unwrap_or(&nothing);
    let after = after.as_object().unwrap_or(&nothing);
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        if old == new {
            continue;
        }
        let mut change = Map::from_iter([("key".to_owned(), json!(key))]);
        for (name, value) in [("old_value", old), ("new_value", new)] {
            if let Some(value) = value.filter(|value| !value.is_null()) {
                change.insert(name.to_owned(), value.clone());
            }
        }
        changes.push(Value::Object(change));
    }
    changes
}

impl Guild {
    /// The entry of `action`, newest first.
    pub fn audited(&self, action: u64) -> impl Iterator<Item = &Entry> {
        self.audit_log.iter().rev().filter(move |entry| entry.action == action)
    }
}
