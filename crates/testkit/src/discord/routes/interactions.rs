//! Answers to interactions: the first one, which must come, and the ones after it.

use serde_json::{Value, json};

use super::messages::{put, write};
use super::{Answer, Call, Reply, Route};
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::records::Interaction;
use crate::discord::state::{Id, State};

const ORIGINAL: &str = "/webhooks/{webhook_id}/{webhook_token}/messages/@original";

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/interactions/{interaction_id}/{interaction_token}/callback",
        serve: respond,
    },
    Route { method: "GET", path: ORIGINAL, serve: get_original },
    Route { method: "PATCH", path: ORIGINAL, serve: edit_original },
    Route { method: "DELETE", path: ORIGINAL, serve: delete_original },
];

/// How long the first answer may take, and how long a token is good for.
const FIRST: std::time::Duration = std::time::Duration::from_secs(3);
const GOOD: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// Discord's flag of a message that only one user sees, and of one that is still awaited.
const EPHEMERAL: u64 = 1 << 6;
const LOADING: u64 = 1 << 7;

/// How old an interaction is. Only the time that the test pushed the clock by counts: a service on a slow machine
/// isn't late.
fn age(state: &State, one: &Interaction) -> std::time::Duration {
    state.pushed.saturating_sub(one.pushed)
}

/// The interaction of a token, as long as it is good.
fn find<'s>(state: &'s State, token: &str) -> Result<&'s Interaction, Failure> {
    let found = state.interactions.get(token);
    match found {
        Some(found) if age(state, found) <= GOOD => Ok(found),
        _ => Err(errors::invalid_webhook_token()),
    }
}

/// The types: 1 pong, 4 message, 5 message later, 6 nothing new (later), 7 the message anew, 8 autocomplete, 9 form.
fn respond(state: &mut State, call: &Call) -> Answer {
    let found = state.interactions.get(call.text("interaction_token"));
    let known = found.filter(|one| one.id == call.id("interaction_id") && age(state, one) <= GOOD);
    let mut interaction = known.cloned().ok_or_else(errors::unknown_interaction)?;
    if interaction.response.is_some() {
        return Err(errors::already_acknowledged());
    }
    if age(state, &interaction) > FIRST {
        return Err(errors::unknown_interaction());
    }
    let kind = call.body["type"].as_u64().unwrap_or(0);
    let data = &call.body["data"];
    match kind {
        4 | 5 => {
            let mut message = blank(state, &interaction);
            if kind == 5 {
                let flags = data["flags"].as_u64().unwrap_or(0) & EPHEMERAL;
                message.more.insert("flags".to_owned(), json!(flags | LOADING));
            } else {
                put(state, &mut message, data, &call.files)?;
            }
            let model = write(state, message);
            interaction.original = Id::of(&model["id"]);
        }
        6 | 7 => {
            let Some(id) = interaction.message.filter(|_| [3, 5].contains(&interaction.kind)) else {
                return Err(errors::invalid_field("type", "INTERACTION_TYPE_INVALID", "Must be a component"));
            };
            if kind == 7 {
                let mut message = state.message(interaction.channel, id)?.clone();
                put(state, &mut message, data, &call.files)?;
                message.edited_at = Some(state.now);
                state.messages.entry(interaction.channel).or_default().insert(id, message);
            }
            interaction.original = Some(id);
        }
        _ => {}
    }
    interaction.response = Some(call.body.clone());
    let model =
        if call.is_asked("with_response") { Some(callback(state, &interaction, kind)?) } else { None };
    state.interactions.insert(interaction.token.clone(), interaction);
    model.map_or_else(Reply::empty, Reply::ok)
}

fn callback(state: &mut State, one: &Interaction, kind: u64) -> Result<Value, Failure> {
    let mut model = json!({
        "interaction": {"id": one.id, "type": one.kind, "channel_id": one.channel, "guild_id": one.guild},
    });
    if let Some(id) = one.original.filter(|_| [4, 5, 7].contains(&kind)) {
        let message = state.message(one.channel, id)?.clone();
        let flags = message.more.get("flags").and_then(Value::as_u64).unwrap_or(0);
        model["interaction"]["response_message_id"] = json!(id);
        model["interaction"]["response_message_loading"] = json!(flags & LOADING != 0);
        model["interaction"]["response_message_ephemeral"] = json!(flags & EPHEMERAL != 0);
        // Of a message that is still to come there is nothing to show.
        if kind != 5 {
            model["resource"] = json!({"type": kind, "message": models::message(state, &message)});
        }
    }
    Ok(model)
}

/// An empty message of the application, by the interaction.
fn blank(state: &State, one: &Interaction) -> crate::discord::records::Message {
    let mut message = crate::discord::builder::new_message(Id(0), one.channel, state.bot);
    message.webhook = Some(state.bot);
    message.more.insert("application_id".to_owned(), json!(state.bot));
    message
}

/// The first answer's channel and message.
fn original(state: &State, call: &Call) -> Result<(Id, Id), Failure> {
    if call.id("webhook_id") != state.bot {
        return Err(errors::unknown_webhook());
    }
    let found = find(state, call.text("webhook_token"))?;
    let id = found.original.ok_or_else(errors::unknown_message)?;
    Ok((found.channel, id))
}

fn get_original(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = original(state, call)?;
    let message = state.message(channel, id)?.clone();
    Reply::ok(models::message(state, &message))
}

fn edit_original(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = original(state, call)?;
    rewrite(state, call, channel, id)
}

fn delete_original(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = original(state, call)?;
    state.message(channel, id)?;
    state.messages.entry(channel).or_default().remove(&id);
    Reply::empty()
}

/// Changes a message that came through a token. An awaited one has come then.
pub(super) fn rewrite(state: &mut State, call: &Call, channel: Id, id: Id) -> Answer {
    let mut message = state.message(channel, id)?.clone();
    let flags = message.more.get("flags").and_then(Value::as_u64).unwrap_or(0);
    put(state, &mut message, &call.body, &call.files)?;
    if flags & LOADING == 0 {
        message.edited_at = Some(state.now);
    }
    message.more.insert("flags".to_owned(), json!(flags & !LOADING));
    let model = models::message(state, &message);
    state.messages.entry(channel).or_default().insert(id, message);
    Reply::ok(model)
}

/// A further message; the first one fills the place that an awaited answer holds.
pub(super) fn follow_up(state: &mut State, call: &Call) -> Answer {
    let interaction = find(state, call.text("webhook_token"))?.clone();
    if interaction.response.is_none() {
        return Err(errors::unknown_webhook());
    }
    let mut message = blank(state, &interaction);
    put(state, &mut message, &call.body, &call.files)?;
    let model = write(state, message);
    let id = Id::of(&model["id"]);
    if let Some(one) = state.interactions.get_mut(&interaction.token) {
        one.followups.extend(id);
    }
    // Discord always waits here, whatever the query says.
    Reply::ok(model)
}

/// The channel and the id of a message that this interaction brought.
pub(super) fn own_message(state: &State, call: &Call, id: Id) -> Result<(Id, Id), Failure> {
    let found = find(state, call.text("webhook_token"))?;
    let own = found.original == Some(id) || found.followups.contains(&id);
    if own { Ok((found.channel, id)) } else { Err(errors::unknown_message()) }
}
