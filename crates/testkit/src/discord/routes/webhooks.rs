//! Webhooks, and the messages that come through them.

use serde_json::{Value, json};

use super::messages::{put, write};
use super::{Answer, Call, Reply, Route, interactions};
use crate::discord::audit::{action, changes};
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::permissions::MANAGE_WEBHOOKS;
use crate::discord::records::Webhook;
use crate::discord::state::{Id, State};

const BY_TOKEN: &str = "/webhooks/{webhook_id}/{webhook_token}";
const MESSAGE: &str = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}";

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/channels/{channel_id}/webhooks", serve: list_of_channel },
    Route { method: "POST", path: "/channels/{channel_id}/webhooks", serve: create },
    Route { method: "GET", path: "/guilds/{guild_id}/webhooks", serve: list_of_guild },
    Route { method: "GET", path: "/webhooks/{webhook_id}", serve: get },
    Route { method: "PATCH", path: "/webhooks/{webhook_id}", serve: edit },
    Route { method: "DELETE", path: "/webhooks/{webhook_id}", serve: delete },
    Route { method: "GET", path: BY_TOKEN, serve: get_by_token },
    Route { method: "POST", path: BY_TOKEN, serve: execute },
    Route { method: "DELETE", path: BY_TOKEN, serve: delete_by_token },
    Route { method: "GET", path: MESSAGE, serve: get_message },
    Route { method: "PATCH", path: MESSAGE, serve: edit_message },
    Route { method: "DELETE", path: MESSAGE, serve: delete_message },
];

fn shown<'a>(state: &State, hooks: impl Iterator<Item = &'a Webhook>) -> Answer {
    Reply::ok(hooks.map(|hook| models::webhook(state, hook)).collect())
}

fn list_of_channel(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), MANAGE_WEBHOOKS)?.id;
    shown(state, state.webhooks.values().filter(|hook| hook.channel == channel))
}

fn list_of_guild(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild_with(call.id("guild_id"), MANAGE_WEBHOOKS)?.id;
    shown(state, state.webhooks.values().filter(|hook| hook.guild == guild))
}

/// Discord keeps its own name, and a few words, for itself.
fn check_name(name: &str) -> Result<(), Failure> {
    let lower = name.to_lowercase();
    match ["discord", "clyde"].iter().find(|word| lower.contains(**word)) {
        None => Ok(()),
        Some(word) => {
            let text = format!("Username cannot contain \"{word}\"");
            Err(errors::invalid_field("name", "USERNAME_INVALID_CONTAINS", &text))
        }
    }
}

fn create(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), MANAGE_WEBHOOKS)?.clone();
    if channel.thread.is_some() || channel.kind == 4 {
        return Err(errors::not_in_this_channel());
    }
    let name = call.body["name"].as_str().unwrap_or_default();
    check_name(name)?;
    if state.webhooks.values().filter(|hook| hook.channel == channel.id).count() >= 15 {
        return Err(errors::too_many_webhooks());
    }
    let (id, creator) = (state.fresh_id(), state.bot);
    let hook = Webhook {
        id,
        guild: channel.guild,
        channel: channel.id,
        name: name.to_owned(),
        avatar: None,
        creator,
        token: Some(format!("simulated-{:x}", id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        follows: None,
    };
    let model = models::webhook(state, &hook);
    state.webhooks.insert(id, hook);
    let changed = changes(&json!({}), &json!({"name": name, "channel_id": channel.id}));
    state.audit(channel.guild, action::WEBHOOK_CREATE, Some(id), call, changed);
    Reply::ok(model)
}

/// The webhook of the path, if the bot manages webhooks where it is.
fn managed(state: &mut State, call: &Call) -> Result<Webhook, Failure> {
    let hook = state.webhooks.get(&call.id("webhook_id")).cloned().ok_or_else(errors::unknown_webhook)?;
    state.channel_with(hook.channel, MANAGE_WEBHOOKS)?;
    Ok(hook)
}

/// An application may look at its own without managing any.
fn get(state: &mut State, call: &Call) -> Answer {
    let own = state.webhooks.get(&call.id("webhook_id")).filter(|hook| hook.creator == state.bot).cloned();
    let hook = own.map_or_else(|| managed(state, call), Ok)?;
    Reply::ok(models::webhook(state, &hook))
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let mut hook = managed(state, call)?;
    let before = json!({"name": hook.name, "channel_id": hook.channel});
    if let Some(name) = call.field("name").and_then(Value::as_str) {
        check_name(name)?;
        name.clone_into(&mut hook.name);
    }
    if let Some(channel) = call.field("channel_id").and_then(Id::of) {
        let target = state.channel_with(channel, MANAGE_WEBHOOKS)?;
        if target.guild != hook.guild {
            return Err(errors::unknown_channel());
        }
        hook.channel = channel;
    }
    if let Some(avatar) = call.field("avatar") {
        hook.avatar = avatar.as_str().map(|data| format!("{:032x}", data.len()));
    }
    let after = json!({"name": hook.name, "channel_id": hook.channel});
    let model = models::webhook(state, &hook);
    let (guild, id) = (hook.guild, hook.id);
    state.webhooks.insert(id, hook);
    state.audit(guild, action::WEBHOOK_UPDATE, Some(id), call, changes(&before, &after));
    Reply::ok(model)
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let hook = managed(state, call)?;
    state.webhooks.remove(&hook.id);
    state.audit(hook.guild, action::WEBHOOK_DELETE, Some(hook.id), call, Vec::new());
    Reply::empty()
}

/// The webhook of the path, if the token is its own.
fn by_token(state: &State, call: &Call) -> Result<Webhook, Failure> {
    let hook = state.webhooks.get(&call.id("webhook_id")).cloned().ok_or_else(errors::unknown_webhook)?;
    if hook.token.as_deref() != Some(call.text("webhook_token")) {
        return Err(errors::invalid_webhook_token());
    }
    Ok(hook)
}

fn get_by_token(state: &mut State, call: &Call) -> Answer {
    let hook = by_token(state, call)?;
    let mut model = models::webhook(state, &hook);
    if let Some(fields) = model.as_object_mut() {
        fields.remove("user");
    }
    Reply::ok(model)
}

fn delete_by_token(state: &mut State, call: &Call) -> Answer {
    let hook = by_token(state, call)?;
    state.webhooks.remove(&hook.id);
    Reply::empty()
}

/// An application's id with an interaction's token is a webhook, too.
fn is_interaction(state: &State, call: &Call) -> bool {
    call.id("webhook_id") == state.bot
}

fn execute(state: &mut State, call: &Call) -> Answer {
    if is_interaction(state, call) {
        return interactions::follow_up(state, call);
    }
    let hook = by_token(state, call)?;
    let channel = call.asked_id("thread_id").unwrap_or(hook.channel);
    let place = state.channels.get(&channel).ok_or_else(errors::unknown_channel)?;
    if channel != hook.channel && place.parent != Some(hook.channel) {
        return Err(errors::unknown_channel());
    }
    let mut message = crate::discord::builder::new_message(Id(0), channel, hook.id);
    message.webhook = Some(hook.id);
    put(state, &mut message, &call.body, &call.files)?;
    let model = write(state, message);
    if call.is_asked("wait") { Reply::ok(model) } else { Reply::empty() }
}

/// The channel and the id of a message that this webhook or interaction wrote.
fn own_message(state: &State, call: &Call) -> Result<(Id, Id), Failure> {
    let id = call.id("message_id");
    if is_interaction(state, call) {
        return interactions::own_message(state, call, id);
    }
    let hook = by_token(state, call)?;
    let channel = call.asked_id("thread_id").unwrap_or(hook.channel);
    let found = state.messages.get(&channel).and_then(|all| all.get(&id));
    match found {
        Some(message) if message.author == hook.id => Ok((channel, id)),
        _ => Err(errors::unknown_message()),
    }
}

fn get_message(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = own_message(state, call)?;
    let message = state.message(channel, id)?.clone();
    Reply::ok(models::message(state, &message))
}

fn edit_message(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = own_message(state, call)?;
    interactions::rewrite(state, call, channel, id)
}

fn delete_message(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = own_message(state, call)?;
    state.messages.entry(channel).or_default().remove(&id);
    Reply::empty()
}
