//! Channels: themselves, their overwrites, and the invitations and followers that start at them.

use serde_json::{Map, Value, json};

use super::{Answer, Call, Reply, Route, set_of};
use crate::discord::audit::{action, changes};
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::permissions::{
    self, ADMINISTRATOR, MANAGE_CHANNELS, MANAGE_ROLES, MANAGE_THREADS, MANAGE_WEBHOOKS, Permissions,
};
use crate::discord::records::{Channel, Overwrite, OverwriteKind, Webhook};
use crate::discord::state::{Id, State};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/channels/{channel_id}", serve: get },
    Route { method: "PATCH", path: "/channels/{channel_id}", serve: edit },
    Route { method: "DELETE", path: "/channels/{channel_id}", serve: delete },
    Route { method: "PUT", path: "/channels/{channel_id}/permissions/{overwrite_id}", serve: overwrite },
    Route {
        method: "DELETE",
        path: "/channels/{channel_id}/permissions/{overwrite_id}",
        serve: delete_overwrite,
    },
    Route { method: "POST", path: "/channels/{channel_id}/followers", serve: follow },
    Route {
        method: "POST",
        path: "/channels/{channel_id}/messages/{message_id}/threads",
        serve: open_thread,
    },
    Route { method: "POST", path: "/channels/{channel_id}/threads", serve: open_thread },
];

fn get(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), 0)?.clone();
    Reply::ok(models::channel(state, &channel))
}

/// What is needed to change a channel: another permission for a thread.
fn managing(state: &State, id: Id) -> Permissions {
    let thread = state.channels.get(&id).is_some_and(|channel| channel.thread.is_some());
    if thread { MANAGE_THREADS } else { MANAGE_CHANNELS }
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let id = call.id("channel_id");
    let mut channel = state.channel_with(id, managing(state, id))?.clone();
    let before = models::channel(state, &channel);
    change(state, &mut channel, call, false)?;
    let after = models::channel(state, &channel);
    let (guild, thread) = (channel.guild, channel.thread.is_some());
    state.channels.insert(id, channel);
    let done = if thread { action::THREAD_UPDATE } else { action::CHANNEL_UPDATE };
    state.audit(guild, done, Some(id), call, changes(&before, &after));
    Reply::ok(after)
}

/// Puts the fields of the body into the channel, which may be a new one.
pub(super) fn change(state: &State, channel: &mut Channel, call: &Call, is_new: bool) -> Result<(), Failure> {
    if let Some(name) = call.field("name").and_then(Value::as_str) {
        name.clone_into(&mut channel.name);
    }
    if let Some(thread) = &mut channel.thread {
        let flag = |key: &str, old: bool| call.field(key).and_then(Value::as_bool).unwrap_or(old);
        thread.archived = flag("archived", thread.archived);
        thread.locked = flag("locked", thread.locked);
        let minutes = call.field("auto_archive_duration").and_then(Value::as_u64);
        thread.auto_archive_duration = minutes.unwrap_or(thread.auto_archive_duration);
        channel.more.extend(call.fields(&["rate_limit_per_user", "applied_tags", "flags"]));
        channel.more.retain(|_, value| !value.is_null());
        return Ok(());
    }
    if let Some(kind) = call.field("type").and_then(Value::as_u64).filter(|kind| *kind != channel.kind) {
        if ![0, 5].contains(&kind) || ![0, 5].contains(&channel.kind) {
            return Err(errors::invalid_field("type", "CHANNEL_TYPE_INVALID", "Channel cannot be converted"));
        }
        channel.kind = kind;
    }
    if let Some(position) = call.field("position").and_then(Value::as_i64) {
        channel.position = position;
    }
    if let Some(parent) = call.field("parent_id") {
        let parent = Id::of(parent);
        let kind =
            |id: Id| state.channels.get(&id).filter(|one| one.guild == channel.guild).map(|one| one.kind);
        if parent.is_some_and(|id| kind(id) != Some(4)) {
            let message = "Category does not exist";
            return Err(errors::invalid_field("parent_id", "CHANNEL_PARENT_INVALID", message));
        }
        channel.parent = parent;
    }
    if let Some(wanted) = call.field("permission_overwrites").and_then(Value::as_array) {
        let wanted =
            wanted.iter().map(|one| read_overwrite(&one["id"], one)).collect::<Result<Vec<_>, _>>()?;
        may_overwrite(state, channel, &wanted, is_new)?;
        channel.overwrites = wanted;
    }
    let kept = [
        "topic",
        "bitrate",
        "user_limit",
        "nsfw",
        "rate_limit_per_user",
        "rtc_region",
        "video_quality_mode",
        "default_auto_archive_duration",
        "default_thread_rate_limit_per_user",
        "default_sort_order",
        "default_forum_layout",
        "default_tag_setting",
        "default_reaction_emoji",
        "flags",
    ];
    channel.more.extend(call.fields(&kept));
    let nullable = ["topic", "rtc_region", "default_sort_order", "default_reaction_emoji"];
    channel.more.retain(|key, value| !value.is_null() || nullable.contains(&key.as_str()));
    if let Some(tags) = call.field("available_tags").and_then(Value::as_array) {
        let tags = tags.iter().enumerate().map(|(index, tag)| {
            let id = Id(channel.id.0 + index as u64 + 1);
            json!({
                "id": tag.get("id").filter(|id| id.is_string()).cloned().unwrap_or(json!(id)), "name": tag["name"],
                "moderated": tag["moderated"] == true, "emoji_id": tag.get("emoji_id"),
                "emoji_name": tag.get("emoji_name"),
            })
        });
        channel.more.insert("available_tags".to_owned(), tags.collect());
    }
    Ok(())
}

fn read_overwrite(id: &Value, body: &Value) -> Result<Overwrite, Failure> {
    let id = Id::of(id).ok_or_else(errors::unknown_overwrite)?;
    let kind = if body["type"] == 1 { OverwriteKind::Member } else { OverwriteKind::Role };
    let bits = |key: &str| set_of(&body[key]).unwrap_or(0);
    Ok(Overwrite { id, kind, allow: bits("allow"), deny: bits("deny") })
}

/// Nobody gives or takes in an overwrite what they have neither in the guild nor in the category, unless an overwrite
/// of the channel lets them manage roles there. At the making of a channel, only administrators touch that right.
fn may_overwrite(
    state: &State,
    channel: &Channel,
    wanted: &[Overwrite],
    is_new: bool,
) -> Result<(), Failure> {
    let guild = state.guild(channel.guild)?;
    let in_guild = permissions::in_guild(guild, state.bot, state.now);
    let in_parent = channel.parent.map_or(0, |id| state.permissions_in(id, state.bot));
    let own = in_guild | in_parent;
    let old = |id: Id| channel.overwrites.iter().find(|one| one.id == id);
    let touched = wanted.iter().fold(0, |sum, one| {
        let (allow, deny) = old(one.id).map_or((0, 0), |old| (old.allow, old.deny));
        sum | (one.allow ^ allow) | (one.deny ^ deny)
    });
    if is_new {
        let manages_roles = permissions::has(touched, MANAGE_ROLES);
        let allowed =
            permissions::has(own, touched) && (!manages_roles || permissions::has(in_guild, ADMINISTRATOR));
        return if allowed { Ok(()) } else { Err(errors::missing_permissions()) };
    }
    let here = permissions::in_channel(guild, channel, state.bot, state.now);
    let roles = guild.members.get(&state.bot).map(|member| member.roles.as_slice()).unwrap_or_default();
    let of_bot = |one: &&Overwrite| one.id == guild.id || one.id == state.bot || roles.contains(&one.id);
    let lets = channel.overwrites.iter().filter(of_bot).any(|one| permissions::has(one.allow, MANAGE_ROLES));
    if !permissions::has(here, MANAGE_ROLES) || !(lets || permissions::has(own, touched)) {
        return Err(errors::missing_permissions());
    }
    Ok(())
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.id("channel_id");
    let channel = state.channel_with(id, managing(state, id))?.clone();
    let model = models::channel(state, &channel);
    state.channels.remove(&id);
    state.channels.retain(|_, one| one.thread.is_none() || one.parent != Some(id));
    // What was in a category stays without it.
    for inside in state.channels.values_mut().filter(|one| one.parent == Some(id)) {
        inside.parent = None;
    }
    state.messages.remove(&id);
    state.webhooks.retain(|_, hook| hook.channel != id);
    state.invites.retain(|_, invite| invite.channel != id);
    let done = if channel.thread.is_some() { action::THREAD_DELETE } else { action::CHANNEL_DELETE };
    state.audit(channel.guild, done, Some(id), call, changes(&model, &json!({})));
    Reply::ok(model)
}

fn overwrite(state: &mut State, call: &Call) -> Answer {
    let (id, target) = (call.id("channel_id"), call.id("overwrite_id"));
    let channel = state.channel_with(id, MANAGE_ROLES)?.clone();
    if channel.thread.is_some() {
        return Err(errors::not_in_this_channel());
    }
    let new = read_overwrite(&json!(target), &call.body)?;
    let guild = state.guild(channel.guild)?;
    let known = match new.kind {
        OverwriteKind::Role => guild.roles.contains_key(&target),
        OverwriteKind::Member => state.users.contains_key(&target),
    };
    if !known {
        return Err(errors::unknown_overwrite());
    }
    let mut wanted = channel.overwrites.clone();
    let old = wanted.iter().position(|one| one.id == target);
    match old {
        Some(place) => wanted[place] = new,
        None => wanted.push(new),
    }
    may_overwrite(state, &channel, &wanted, false)?;
    state.channel_with(id, 0)?.overwrites = wanted;
    let done = if old.is_some() { action::OVERWRITE_UPDATE } else { action::OVERWRITE_CREATE };
    audit_overwrite(state, call, &channel, new, done);
    Reply::empty()
}

fn delete_overwrite(state: &mut State, call: &Call) -> Answer {
    let (id, target) = (call.id("channel_id"), call.id("overwrite_id"));
    let channel = state.channel_with(id, MANAGE_ROLES)?.clone();
    let old = channel.overwrites.iter().find(|one| one.id == target).copied();
    let old = old.ok_or_else(errors::unknown_overwrite)?;
    state.channel_with(id, 0)?.overwrites.retain(|one| one.id != target);
    audit_overwrite(state, call, &channel, old, action::OVERWRITE_DELETE);
    Reply::empty()
}

fn audit_overwrite(state: &mut State, call: &Call, channel: &Channel, one: Overwrite, done: u64) {
    let options = json!({"id": one.id, "type": (one.kind as u8).to_string()});
    state.audit_with(channel.guild, done, Some(channel.id), call, Vec::new(), options);
}

fn follow(state: &mut State, call: &Call) -> Answer {
    let source = state.channel_with(call.id("channel_id"), 0)?.clone();
    if source.kind != 5 {
        return Err(errors::not_in_this_channel());
    }
    let target = Id::of(&call.body["webhook_channel_id"]).ok_or_else(errors::unknown_channel)?;
    let target = state.channel_with(target, MANAGE_WEBHOOKS)?.clone();
    let (id, creator) = (state.fresh_id(), state.bot);
    let hook = Webhook {
        id,
        guild: target.guild,
        channel: target.id,
        name: source.name.clone(),
        avatar: None,
        creator,
        token: None,
        follows: Some(source.id),
    };
    state.webhooks.insert(id, hook);
    state.audit(target.guild, action::WEBHOOK_CREATE, Some(id), call, Vec::new());
    Reply::ok(json!({"channel_id": source.id, "webhook_id": id}))
}

/// A thread at a message, or on its own.
fn open_thread(state: &mut State, call: &Call) -> Answer {
    let parent = call.id("channel_id");
    let at_message = call.path.iter().any(|(key, _)| key == "message_id");
    let kind = call.field("type").and_then(Value::as_u64).unwrap_or(if at_message { 11 } else { 12 });
    let private = kind == 12;
    let wanted =
        if private { permissions::CREATE_PRIVATE_THREADS } else { permissions::CREATE_PUBLIC_THREADS };
    let parent = state.channel_with(parent, wanted)?.clone();
    if ![0, 5, 15].contains(&parent.kind) {
        return Err(errors::not_in_this_channel());
    }
    let id = if at_message {
        let id = call.id("message_id");
        state.message(parent.id, id)?;
        id
    } else {
        state.fresh_id()
    };
    let bot = state.bot;
    let mut thread = crate::discord::builder::new_channel(id, parent.guild, 0);
    thread.kind = kind;
    thread.parent = Some(parent.id);
    let minutes = call.field("auto_archive_duration").and_then(Value::as_u64).unwrap_or(1_440);
    thread.thread = Some(crate::discord::records::Thread {
        owner: bot,
        archived: false,
        locked: false,
        auto_archive_duration: minutes,
        members: vec![bot],
    });
    call.body["name"].as_str().unwrap_or_default().clone_into(&mut thread.name);
    thread.more = Map::new();
    let mut model = models::channel(state, &thread);
    state.channels.insert(id, thread);
    state.audit(parent.guild, action::THREAD_CREATE, Some(id), call, changes(&json!({}), &model));
    model["member"] = models::thread_member(id, bot, state);
    Reply::created(model)
}
