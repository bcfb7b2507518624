//! The guild itself, its list of channels, and its threads.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route, channels};
use crate::discord::audit::{action, changes};
use crate::discord::errors;
use crate::discord::models;
use crate::discord::permissions::{self, ADMINISTRATOR, MANAGE_CHANNELS, MANAGE_GUILD, VIEW_CHANNEL};
use crate::discord::state::{Id, State};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/guilds/{guild_id}", serve: get },
    Route { method: "PATCH", path: "/guilds/{guild_id}", serve: edit },
    Route { method: "GET", path: "/guilds/{guild_id}/preview", serve: preview },
    Route { method: "GET", path: "/guilds/{guild_id}/channels", serve: list_channels },
    Route { method: "POST", path: "/guilds/{guild_id}/channels", serve: create_channel },
    Route { method: "PATCH", path: "/guilds/{guild_id}/channels", serve: move_channels },
    Route { method: "GET", path: "/guilds/{guild_id}/threads/active", serve: list_threads },
];

/// Features that only administrators turn on and off.
const GUARDED: [&str; 2] = ["COMMUNITY", "DISCOVERABLE"];

fn get(state: &mut State, call: &Call) -> Answer {
    // A guild that the bot isn't in is as good as none here.
    let guild = state.guild(call.id("guild_id")).map_err(|_| errors::unknown_guild())?;
    let mut model = models::guild(guild);
    if call.is_asked("with_counts") {
        model["approximate_member_count"] = json!(guild.members.len());
        model["approximate_presence_count"] = json!(guild.members.len());
    }
    Reply::ok(model)
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let id = call.id("guild_id");
    let (bot, now) = (state.bot, state.now);
    state.guild_with(id, MANAGE_GUILD)?;
    for (_, named) in
        call.body.as_object().into_iter().flatten().filter(|(key, _)| key.ends_with("_channel_id"))
    {
        state.channel_of(id, named)?;
    }
    let guild = state.guild_mut(id)?;
    let before = models::guild(guild);
    if let Some(features) = call.field("features").and_then(Value::as_array) {
        let features: Vec<String> = features.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let differs = |one: &&str| {
            guild.features.iter().any(|has| has == one) != features.iter().any(|wanted| wanted == one)
        };
        let guarded = GUARDED.iter().any(differs);
        if guarded && !permissions::has(permissions::in_guild(guild, bot, now), ADMINISTRATOR) {
            return Err(errors::missing_permissions());
        }
        guild.features = features;
    }
    if let Some(name) = call.field("name").and_then(Value::as_str) {
        name.clone_into(&mut guild.name);
    }
    let kept = [
        "description",
        "verification_level",
        "default_message_notifications",
        "explicit_content_filter",
        "preferred_locale",
        "afk_timeout",
        "afk_channel_id",
        "system_channel_id",
        "system_channel_flags",
        "rules_channel_id",
        "safety_alerts_channel_id",
        "public_updates_channel_id",
        "premium_progress_bar_enabled",
    ];
    guild.more.extend(call.fields(&kept));
    // Null means the default again, which is null only where the model says so.
    guild.more.retain(|key, value| !value.is_null() || key.ends_with("_id") || key == "description");
    for picture in ["icon", "banner", "splash", "discovery_splash"] {
        match call.field(picture) {
            Some(Value::String(data)) => {
                let hash = format!("{:032x}", data.len());
                guild.more.insert(picture.to_owned(), json!(hash));
            }
            Some(_) => drop(guild.more.remove(picture)),
            None => {}
        }
    }
    let after = models::guild(guild);
    let changed = changes(&before, &after);
    state.audit(id, action::GUILD_UPDATE, Some(id), call, changed);
    Reply::ok(after)
}

fn preview(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild(call.id("guild_id")).map_err(|_| errors::unknown_guild())?;
    let model = models::guild(guild);
    let shown = [
        "id",
        "name",
        "icon",
        "description",
        "home_header",
        "splash",
        "discovery_splash",
        "features",
        "emojis",
        "stickers",
    ];
    let mut preview: serde_json::Map<String, Value> =
        shown.iter().map(|key| ((*key).to_owned(), model[*key].clone())).collect();
    for count in ["approximate_member_count", "approximate_presence_count"] {
        preview.insert(count.to_owned(), json!(guild.members.len()));
    }
    Reply::ok(Value::Object(preview))
}

/// Those that the bot sees. Threads aren't among them.
fn list_channels(state: &mut State, call: &Call) -> Answer {
    let id = state.guild(call.id("guild_id"))?.id;
    let channels = state.channels.values().filter(|one| one.guild == id && one.thread.is_none());
    let seen = channels.filter(|one| state.bot_sees(one));
    Reply::ok(seen.map(|one| models::channel(state, one)).collect())
}

fn create_channel(state: &mut State, call: &Call) -> Answer {
    let guild = call.id("guild_id");
    state.guild_with(guild, MANAGE_CHANNELS)?;
    let count = state.channels.values().filter(|one| one.guild == guild && one.thread.is_none()).count();
    if count >= 500 {
        return Err(errors::too_many_channels());
    }
    let id = state.fresh_id();
    let position = i64::try_from(count).unwrap_or(0);
    let mut channel = crate::discord::builder::new_channel(id, guild, position);
    channel.kind = call.field("type").and_then(Value::as_u64).unwrap_or(0);
    channels::change(state, &mut channel, call, true)?;
    let model = models::channel(state, &channel);
    state.channels.insert(id, channel);
    state.audit(guild, action::CHANNEL_CREATE, Some(id), call, changes(&json!({}), &model));
    Reply::created(model)
}

fn move_channels(state: &mut State, call: &Call) -> Answer {
    let guild = call.id("guild_id");
    state.guild_with(guild, MANAGE_CHANNELS)?;
    let moves: Vec<&Value> = call.body.as_array().into_iter().flatten().collect();
    let known = |id: Option<Id>| {
        id.and_then(|id| state.channels.get(&id)).is_some_and(|channel| channel.guild == guild)
    };
    if !moves.iter().all(|one| known(Id::of(&one["id"]))) {
        return Err(errors::unknown_channel());
    }
    for one in moves {
        let channel = Id::of(&one["id"]).and_then(|id| state.channels.get_mut(&id));
        let Some(channel) = channel else { continue };
        if let Some(position) = one["position"].as_i64() {
            channel.position = position;
        }
        if let Some(parent) = one.get("parent_id") {
            channel.parent = Id::of(parent);
        }
    }
    Reply::empty()
}

fn list_threads(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild(call.id("guild_id"))?.id;
    let bot = state.bot;
    let open = state.channels.values().filter(|one| one.guild == guild);
    let open = open.filter(|one| one.thread.as_ref().is_some_and(|thread| !thread.archived));
    let seen: Vec<_> =
        open.filter(|one| permissions::has(state.permissions_in(one.id, bot), VIEW_CHANNEL)).collect();
    let threads: Vec<Value> = seen.iter().map(|one| models::channel(state, one)).collect();
    let joined = seen.iter().filter(|one| one.thread.as_ref().is_some_and(|it| it.members.contains(&bot)));
    let members: Vec<Value> = joined.map(|one| models::thread_member(one.id, bot, state)).collect();
    Reply::ok(json!({"threads": threads, "members": members, "has_more": false}))
}
