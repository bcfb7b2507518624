//! Bans.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route};
use crate::discord::audit::action;
use crate::discord::errors;
use crate::discord::models;
use crate::discord::permissions::{self, BAN_MEMBERS, MANAGE_GUILD};
use crate::discord::records::Guild;
use crate::discord::state::{Id, State};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/guilds/{guild_id}/bans", serve: list },
    Route { method: "GET", path: "/guilds/{guild_id}/bans/{user_id}", serve: get },
    Route { method: "PUT", path: "/guilds/{guild_id}/bans/{user_id}", serve: create },
    Route { method: "DELETE", path: "/guilds/{guild_id}/bans/{user_id}", serve: delete },
    Route { method: "POST", path: "/guilds/{guild_id}/bulk-ban", serve: create_many },
];

fn list(state: &mut State, call: &Call) -> Answer {
    let bans = state.guild_with(call.id("guild_id"), BAN_MEMBERS)?.bans.clone();
    let (before, after) = (call.asked_id("before"), call.asked_id("after"));
    let limit = call.limit(1_000);
    let mut found: Vec<_> = bans
        .into_iter()
        .filter(|(user, _)| before.is_none_or(|before| *user < before))
        .filter(|(user, _)| before.is_some() || after.is_none_or(|after| *user > after))
        .collect();
    // Before an id, the ones next to it are wanted.
    if before.is_some() {
        found.drain(..found.len().saturating_sub(limit));
    }
    found.truncate(limit);
    Reply::ok(found.iter().map(|(user, reason)| ban(state, *user, reason.as_deref())).collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    let user = call.id("user_id");
    let bans = &state.guild_with(call.id("guild_id"), BAN_MEMBERS)?.bans;
    let reason = bans.get(&user).cloned().ok_or_else(errors::unknown_ban)?;
    Reply::ok(ban(state, user, reason.as_deref()))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let (guild, user) = (call.id("guild_id"), call.id("user_id"));
    let bot = state.bot;
    may_ban(state.guild_with(guild, BAN_MEMBERS)?, bot, user)?;
    if !state.users.contains_key(&user) {
        return Err(errors::unknown_user());
    }
    let days = call.field("delete_message_days").and_then(Value::as_u64).unwrap_or(0);
    let seconds = call.field("delete_message_seconds").and_then(Value::as_u64);
    put(state, call, guild, user, seconds.unwrap_or(days * 86_400));
    Reply::empty()
}

fn create_many(state: &mut State, call: &Call) -> Answer {
    let guild = call.id("guild_id");
    let bot = state.bot;
    state.guild_with(guild, BAN_MEMBERS | MANAGE_GUILD)?;
    let wanted: Vec<Id> = call.body["user_ids"].as_array().into_iter().flatten().filter_map(Id::of).collect();
    let seconds = call.field("delete_message_seconds").and_then(Value::as_u64).unwrap_or(0);
    let (mut banned, mut failed) = (Vec::new(), Vec::new());
    for user in wanted {
        let allowed = may_ban(state.guild(guild)?, bot, user).is_ok();
        if allowed && state.users.contains_key(&user) {
            put(state, call, guild, user, seconds);
            banned.push(user);
        } else {
            failed.push(user);
        }
    }
    if banned.is_empty() {
        return Err(errors::nobody_banned());
    }
    Reply::ok(json!({"banned_users": banned, "failed_users": failed}))
}

/// Who is no member can be banned by everybody who may ban.
fn may_ban(guild: &Guild, bot: Id, user: Id) -> Result<(), errors::Failure> {
    if guild.members.contains_key(&user) && !permissions::outranks(guild, bot, user) {
        return Err(errors::missing_permissions());
    }
    Ok(())
}

fn put(state: &mut State, call: &Call, guild: Id, user: Id, seconds: u64) {
    let Ok(place) = state.guild_mut(guild) else { return };
    place.members.remove(&user);
    if place.bans.contains_key(&user) {
        return;
    }
    place.bans.insert(user, call.reason.clone());
    let here: Vec<Id> =
        state.channels.values().filter(|channel| channel.guild == guild).map(|channel| channel.id).collect();
    let now = state.now;
    for messages in state.messages.iter_mut().filter(|(id, _)| here.contains(id)).map(|(_, all)| all) {
        messages.retain(|id, message| {
            message.author != user || (now - State::born(*id)).as_seconds_f64() > seconds as f64
        });
    }
    state.audit(guild, action::MEMBER_BAN_ADD, Some(user), call, Vec::new());
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let (guild, user) = (call.id("guild_id"), call.id("user_id"));
    state.guild_with(guild, BAN_MEMBERS)?.bans.remove(&user).ok_or_else(errors::unknown_ban)?;
    state.audit(guild, action::MEMBER_BAN_REMOVE, Some(user), call, Vec::new());
    Reply::empty()
}

fn ban(state: &State, user: Id, reason: Option<&str>) -> Value {
    json!({"user": models::user(state, user), "reason": reason})
}
