//! Reading the audit log.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route};
use crate::discord::audit::Entry;
use crate::discord::models;
use crate::discord::permissions::VIEW_AUDIT_LOG;
use crate::discord::state::{Id, State};

pub(super) const ROUTES: &[Route] =
    &[Route { method: "GET", path: "/guilds/{guild_id}/audit-logs", serve: list }];

/// Newest first, unless what comes after an entry is wanted.
fn list(state: &mut State, call: &Call) -> Answer {
    let guild = call.id("guild_id");
    let log: Vec<Entry> = state.guild_with(guild, VIEW_AUDIT_LOG)?.audit_log.clone();
    let (user, target) = (call.asked_id("user_id"), call.asked_id("target_id"));
    let action = call.asked("action_type").and_then(|action| action.parse::<u64>().ok());
    let (before, after) = (call.asked_id("before"), call.asked_id("after"));
    let mut found: Vec<&Entry> = log
        .iter()
        .filter(|entry| user.is_none_or(|user| entry.user == user))
        .filter(|entry| target.is_none_or(|target| entry.target == Some(target)))
        .filter(|entry| action.is_none_or(|action| entry.action == action))
        .filter(|entry| before.is_none_or(|before| entry.id < before))
        .filter(|entry| after.is_none_or(|after| entry.id > after))
        .collect();
    if after.is_none() {
        found.reverse();
    }
    found.truncate(call.limit(50));
    let people = found.iter().flat_map(|entry| [Some(entry.user), entry.target].into_iter().flatten());
    let people: BTreeSet<Id> = people.filter(|id| state.users.contains_key(id)).collect();
    let targets: BTreeSet<Id> = found.iter().filter_map(|entry| entry.target).collect();
    let guild = state.guild(guild)?;
    let hooks = state.webhooks.values().filter(|hook| targets.contains(&hook.id));
    let threads = state.channels.values().filter(|one| one.thread.is_some() && targets.contains(&one.id));
    let rules = guild.rules.iter().filter(|(id, _)| targets.contains(id)).map(|(_, rule)| rule);
    Reply::ok(json!({
        "audit_log_entries": found.iter().map(|entry| models::entry(entry)).collect::<Vec<_>>(),
        "users": people.iter().map(|id| models::user(state, *id)).collect::<Vec<_>>(),
        "webhooks": hooks.map(|hook| models::webhook(state, hook)).collect::<Vec<_>>(),
        "threads": threads.map(|one| models::channel(state, one)).collect::<Vec<_>>(),
        "auto_moderation_rules": rules.cloned().collect::<Vec<Value>>(),
        "integrations": [], "guild_scheduled_events": [], "application_commands": [],
    }))
}
