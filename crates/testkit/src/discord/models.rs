//! How the records look on the wire: Discord's models, with every field that its description requires.

use serde_json::{Map, Value, json};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::audit::Entry;
use super::permissions::VIEW_CHANNEL;
use super::records::{Channel, Guild, Invite, Member, Message, Overwrite, OverwriteKind, Role, Webhook};
use super::state::{Id, State};

/// Discord's flag of a channel that the bot doesn't see.
const OBFUSCATED: u64 = 1 << 17;

/// A time, as Discord writes it: always with six digits and `+00:00`.
pub(super) fn stamp(at: OffsetDateTime) -> Value {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]+00:00");
    json!(at.to_offset(UtcOffset::UTC).format(form).expect("a date between 1970 and 9999"))
}

/// `base` with the fields of `more` over it.
pub(super) fn over(base: Value, more: &Map<String, Value>) -> Value {
    let Value::Object(mut fields) = base else { return base };
    fields.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(fields)
}

pub(super) fn role(role: &Role) -> Value {
    let mut model = json!({
        "id": role.id, "name": role.name, "permissions": role.permissions.to_string(), "position": role.position,
        "color": role.color,
        "colors": {"primary_color": role.color, "secondary_color": null, "tertiary_color": null},
        "hoist": role.hoist, "managed": role.managed, "mentionable": role.mentionable,
        "icon": null, "unicode_emoji": role.unicode_emoji, "flags": 0,
    });
    if role.managed {
        model["tags"] = json!({"bot_id": Id(super::BOT)});
    }
    model
}

/// A guild, without counts.
pub(super) fn guild(guild: &Guild) -> Value {
    let roles: Vec<Value> = guild.roles.values().map(role).collect();
    let base = json!({
        "id": guild.id, "name": guild.name, "owner_id": guild.owner, "features": guild.features, "roles": roles,
        "icon": null, "description": null, "home_header": null, "splash": null, "discovery_splash": null,
        "banner": null, "application_id": null, "region": "deprecated", "afk_channel_id": null, "afk_timeout": 300,
        "system_channel_id": null, "system_channel_flags": 0, "widget_enabled": false, "widget_channel_id": null,
        "verification_level": 0, "default_message_notifications": 0, "mfa_level": 0, "explicit_content_filter": 0,
        "max_presences": null, "max_members": 500_000, "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25, "vanity_url_code": null, "premium_tier": 0, "premium_subscription_count": 0,
        "preferred_locale": "en-US", "rules_channel_id": null, "safety_alerts_channel_id": null,
        "public_updates_channel_id": null, "premium_progress_bar_enabled": false, "nsfw": false, "nsfw_level": 0,
        "emojis": [], "stickers": [], "incidents_data": null,
    });
    over(base, &guild.more)
}

/// A channel, or a thread.
pub(super) fn channel(state: &State, channel: &Channel) -> Value {
    let last = state.messages.get(&channel.id).and_then(|all| all.keys().next_back());
    let mut base = json!({
        "id": channel.id, "type": channel.kind, "guild_id": channel.guild, "name": channel.name,
        "parent_id": channel.parent, "flags": 0,
    });
    if ![2, 4, 13, 14].contains(&channel.kind) {
        base["last_message_id"] = json!(last);
        base["rate_limit_per_user"] = json!(0);
    }
    if let Some(thread) = &channel.thread {
        let count = state.messages.get(&channel.id).map_or(0, std::collections::BTreeMap::len);
        let born = stamp(State::born(channel.id));
        base["owner_id"] = json!(thread.owner);
        base["thread_metadata"] = json!({
            "archived": thread.archived, "locked": thread.locked, "archive_timestamp": born,
            "auto_archive_duration": thread.auto_archive_duration, "create_timestamp": born,
        });
        base["message_count"] = json!(count);
        base["member_count"] = json!(thread.members.len());
        base["total_message_sent"] = json!(count);
    } else {
        let overwrites = channel.overwrites.iter().map(|one| {
            json!({"id": one.id, "type": one.kind as u8, "allow": one.allow.to_string(), "deny": one.deny.to_string()})
        });
        base["position"] = json!(channel.position);
        base["permission_overwrites"] = overwrites.collect();
        base["nsfw"] = json!(false);
        base["topic"] = Value::Null;
    }
    over(base, &channel.more)
}

/// A channel as the gateway shows it to the bot: without what it is about, if the bot doesn't see it.
pub(super) fn channel_event(state: &State, shown: &Channel) -> Value {
    if shown.thread.is_some() || state.bot_sees(shown) {
        return channel(state, shown);
    }
    let hidden = Channel {
        name: "___hidden___".to_owned(),
        overwrites: vec![Overwrite {
            id: shown.guild,
            kind: OverwriteKind::Role,
            allow: 0,
            deny: VIEW_CHANNEL,
        }],
        more: Map::from_iter([("flags".to_owned(), json!(OBFUSCATED))]),
        ..shown.clone()
    };
    let mut model = channel(state, &hidden);
    if model.get("last_message_id").is_some() {
        model["last_message_id"] = Value::Null;
    }
    model
}

/// Somebody's membership of a thread.
pub(super) fn thread_member(thread: Id, user: Id, state: &State) -> Value {
    json!({"id": thread, "user_id": user, "join_timestamp": stamp(state.now), "flags": 0})
}

pub(super) fn webhook(state: &State, hook: &Webhook) -> Value {
    let mut model = json!({
        "id": hook.id, "type": if hook.follows.is_some() { 2 } else { 1 }, "application_id": null,
        "name": hook.name, "avatar": hook.avatar, "channel_id": hook.channel, "guild_id": hook.guild,
        "user": user(state, hook.creator),
    });
    if let Some(token) = &hook.token {
        model["application_id"] = json!(state.bot);
        model["token"] = json!(token);
        model["url"] = json!(format!("https://discord.com/api/webhooks/{}/{token}", hook.id));
    }
    if let Some(followed) = hook.follows.and_then(|id| state.channels.get(&id)) {
        let from = state.guilds.get(&followed.guild);
        model["source_channel"] = json!({"id": followed.id, "name": followed.name});
        model["source_guild"] =
            json!({"id": followed.guild, "name": from.map(|guild| guild.name.as_str()), "icon": null});
    }
    model
}

pub(super) fn invite(state: &State, invite: &Invite) -> Value {
    let guild = &state.guilds[&invite.guild];
    let channel = state.channels.get(&invite.channel);
    let expires = (invite.max_age > 0)
        .then(|| stamp(invite.created_at + std::time::Duration::from_secs(invite.max_age)));
    json!({
        "type": 0, "code": invite.code, "inviter": user(state, invite.inviter), "expires_at": expires,
        "max_age": invite.max_age, "max_uses": invite.max_uses, "uses": 0, "temporary": invite.temporary,
        "created_at": stamp(invite.created_at), "flags": 0, "guild_id": guild.id,
        "channel": {
            "id": invite.channel, "type": channel.map_or(0, |channel| channel.kind),
            "name": channel.map(|channel| channel.name.as_str()),
        },
        "guild": {
            "id": guild.id, "name": guild.name, "splash": null, "banner": null, "description": null, "icon": null,
            "features": guild.features, "verification_level": 0, "vanity_url_code": null, "nsfw_level": 0,
            "nsfw": false, "premium_subscription_count": 0,
        },
    })
}

/// An account; one that is only known by its id has no more than that.
pub(super) fn user(state: &State, id: Id) -> Value {
    let known = state.users.get(&id);
    let mut model = json!({
        "id": id, "username": known.map_or_else(|| format!("user-{id}"), |user| user.username.clone()),
        "global_name": known.and_then(|user| user.global_name.clone()), "discriminator": "0", "avatar": null,
        "public_flags": 0, "flags": 0, "banner": null, "accent_color": null, "primary_guild": null,
    });
    if known.is_some_and(|user| user.bot) {
        model["bot"] = json!(true);
    }
    model
}

pub(super) fn member(state: &State, member: &Member) -> Value {
    json!({
        "user": user(state, member.user), "nick": member.nick, "roles": member.roles, "avatar": null, "banner": null,
        "joined_at": stamp(member.joined_at), "premium_since": null, "pending": false, "flags": member.flags,
        "communication_disabled_until": member.timed_out_until.map(stamp), "mute": member.mute, "deaf": member.deaf,
    })
}

/// The author of a message: an account, or a webhook under the name that the message gave it.
fn author(state: &State, message: &Message) -> Value {
    match state.webhooks.get(&message.author) {
        None => user(state, message.author),
        Some(hook) => {
            let mut model = user(state, hook.id);
            let name = message.more.get("username").and_then(Value::as_str).unwrap_or(&hook.name);
            model["username"] = json!(name);
            model["discriminator"] = json!("0000");
            model["bot"] = json!(true);
            model
        }
    }
}

pub(super) fn message(state: &State, message: &Message) -> Value {
    let mentioned = super::routes::messages::mentioned(message, '@');
    let mut model = json!({
        "id": message.id, "type": 0, "channel_id": message.channel, "author": author(state, message),
        "content": message.content, "timestamp": stamp(State::born(message.id)),
        "edited_timestamp": message.edited_at.map(stamp), "pinned": message.pinned, "tts": false,
        "mentions": mentioned.iter().map(|id| user(state, *id)).collect::<Vec<_>>(),
        "mention_roles": super::routes::messages::mentioned(message, '&'),
        "mention_everyone": super::routes::messages::mentions_everyone(state, message),
        "attachments": [], "embeds": [], "components": [], "flags": 0,
    });
    if let Some(webhook) = message.webhook {
        model["webhook_id"] = json!(webhook);
    }
    if !message.reactions.is_empty() {
        model["reactions"] = message
            .reactions
            .iter()
            .map(|one| {
                let (burst, me) = (0, one.users.contains(&state.bot));
                json!({
                    "emoji": emoji(&one.emoji), "count": one.users.len(), "me": me, "me_burst": false,
                    "count_details": {"burst": burst, "normal": one.users.len()}, "burst_colors": [],
                })
            })
            .collect();
    }
    let mut shown = message.more.clone();
    shown.retain(|key, _| !["username", "allowed_mentions"].contains(&key.as_str()));
    over(model, &shown)
}

/// An emoji of Unicode, or `name:id` for a guild's own.
pub(super) fn emoji(text: &str) -> Value {
    match text.split_once(':') {
        Some((name, id)) => json!({"id": id, "name": name}),
        None => json!({"id": null, "name": text}),
    }
}

pub(super) fn entry(entry: &Entry) -> Value {
    let mut model = json!({
        "id": entry.id, "action_type": entry.action, "user_id": entry.user, "target_id": entry.target,
    });
    if !entry.changes.is_empty() {
        model["changes"] = json!(entry.changes);
    }
    if !entry.options.is_empty() {
        model["options"] = json!(entry.options);
    }
    if let Some(reason) = &entry.reason {
        model["reason"] = json!(reason);
    }
    model
}
