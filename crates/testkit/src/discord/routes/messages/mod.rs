//! Messages: reading, writing, changing, deleting.
//!
//! What a message may hold, and how it looks once it is there, is in `content`.

mod content;

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route};
use crate::discord::audit::action;
use crate::discord::errors;
use crate::discord::models;
use crate::discord::permissions::{
    self, ATTACH_FILES, EMBED_LINKS, MANAGE_MESSAGES, READ_MESSAGE_HISTORY, SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS, SEND_TTS_MESSAGES,
};
use crate::discord::records::Message;
use crate::discord::state::{Id, State};

pub(in crate::discord) use content::{mentioned, mentions_everyone};
pub(super) use content::{put, write};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/channels/{channel_id}/messages", serve: list },
    Route { method: "POST", path: "/channels/{channel_id}/messages", serve: create },
    Route { method: "POST", path: "/channels/{channel_id}/messages/bulk-delete", serve: delete_many },
    Route { method: "GET", path: "/channels/{channel_id}/messages/{message_id}", serve: get },
    Route { method: "PATCH", path: "/channels/{channel_id}/messages/{message_id}", serve: edit },
    Route { method: "DELETE", path: "/channels/{channel_id}/messages/{message_id}", serve: delete },
    Route {
        method: "POST",
        path: "/channels/{channel_id}/messages/{message_id}/crosspost",
        serve: crosspost,
    },
];

/// After two weeks a message can only be deleted by itself.
const OLDEST_FOR_BULK: std::time::Duration = std::time::Duration::from_secs(14 * 86_400);

/// Newest first. Who may not read the history gets none.
fn list(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), 0)?.id;
    if !permissions::has(state.permissions_in(channel, state.bot), READ_MESSAGE_HISTORY) {
        return Reply::ok(json!([]));
    }
    let all = state.messages.get(&channel).into_iter().flat_map(|all| all.values());
    let all: Vec<&Message> = all.filter(|message| !is_ephemeral(message)).collect();
    let limit = call.limit(50);
    let until = |id: Id| all.partition_point(|message| message.id < id);
    let chosen = if let Some(id) = call.asked_id("around") {
        let from = until(id).saturating_sub(limit / 2);
        from..from + limit
    } else if let Some(id) = call.asked_id("after") {
        let from = all.partition_point(|message| message.id <= id);
        from..from + limit
    } else {
        let end = call.asked_id("before").map_or(all.len(), until);
        end.saturating_sub(limit)..end
    };
    let chosen = chosen.start.min(all.len())..chosen.end.min(all.len());
    Reply::ok(all[chosen].iter().rev().map(|message| models::message(state, message)).collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), READ_MESSAGE_HISTORY)?.id;
    let message = state.message(channel, call.id("message_id"))?.clone();
    if is_ephemeral(&message) {
        return Err(errors::unknown_message());
    }
    Reply::ok(models::message(state, &message))
}

/// Whether only one user sees it: for all others it isn't in the channel.
fn is_ephemeral(message: &Message) -> bool {
    message.more.get("flags").and_then(Value::as_u64).is_some_and(|flags| flags & 64 != 0)
}

fn create(state: &mut State, call: &Call) -> Answer {
    let id = call.id("channel_id");
    let thread = state.channels.get(&id).is_some_and(|channel| channel.thread.is_some());
    let channel =
        state.channel_with(id, if thread { SEND_MESSAGES_IN_THREADS } else { SEND_MESSAGES })?.clone();
    if [4, 14, 15].contains(&channel.kind) {
        return Err(errors::not_a_text_channel());
    }
    if channel.thread.as_ref().is_some_and(|thread| thread.locked && thread.archived) {
        return Err(errors::thread_archived());
    }
    let has = |key: &str| call.body[key].as_array().is_some_and(|list| !list.is_empty());
    let wanted = [
        (has("embeds"), EMBED_LINKS),
        (!call.files.is_empty(), ATTACH_FILES),
        (call.body["tts"] == true, SEND_TTS_MESSAGES),
        (call.body["message_reference"].is_object(), READ_MESSAGE_HISTORY),
    ];
    for (_, permission) in wanted.iter().filter(|(is_wanted, _)| *is_wanted) {
        state.channel_with(id, *permission)?;
    }
    let bot = state.bot;
    let mut message = crate::discord::builder::new_message(Id(0), id, bot);
    put(state, &mut message, &call.body, &call.files)?;
    // Who speaks in a closed thread opens it, and is in it.
    if let Some(thread) = state.channel_with(id, 0)?.thread.as_mut() {
        thread.archived = false;
        if !thread.members.contains(&bot) {
            thread.members.push(bot);
        }
    }
    Reply::ok(write(state, message))
}

/// Others' messages can only have their embeds hidden, and by moderators.
fn edit(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), 0)?.id;
    let mut message = state.message(channel, call.id("message_id"))?.clone();
    if message.author != state.bot {
        let only_flags = call.body.as_object().is_some_and(|fields| fields.keys().all(|key| key == "flags"));
        if !only_flags {
            return Err(errors::not_yours_to_edit());
        }
        state.channel_with(channel, MANAGE_MESSAGES)?;
    }
    put(state, &mut message, &call.body, &call.files)?;
    message.edited_at = Some(state.now);
    let model = models::message(state, &message);
    state.messages.entry(channel).or_default().insert(message.id, message);
    Reply::ok(model)
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let (channel, id) = (call.id("channel_id"), call.id("message_id"));
    let guild = state.channel_with(channel, 0)?.guild;
    let author = state.message(channel, id)?.author;
    let others = author != state.bot;
    if others {
        state.channel_with(channel, MANAGE_MESSAGES)?;
    }
    state.messages.entry(channel).or_default().remove(&id);
    if others {
        let options = json!({"channel_id": channel, "count": "1"});
        state.audit_with(guild, action::MESSAGE_DELETE, Some(author), call, Vec::new(), options);
    }
    Reply::empty()
}

/// All or none: one that is too old keeps the others, one that isn't there doesn't.
fn delete_many(state: &mut State, call: &Call) -> Answer {
    let channel = call.id("channel_id");
    let guild = state.channel_with(channel, MANAGE_MESSAGES)?.guild;
    let ids: Vec<Id> = call.body["messages"].as_array().into_iter().flatten().filter_map(Id::of).collect();
    if ids.iter().any(|id| state.age(*id) > OLDEST_FOR_BULK) {
        return Err(errors::too_old_for_bulk());
    }
    let here = state.messages.entry(channel).or_default();
    let count = ids.iter().filter(|id| here.remove(id).is_some()).count();
    let options = json!({"count": count.to_string()});
    state.audit_with(guild, action::MESSAGE_BULK_DELETE, Some(channel), call, Vec::new(), options);
    Reply::empty()
}

fn crosspost(state: &mut State, call: &Call) -> Answer {
    let id = call.id("channel_id");
    let channel = state.channel_with(id, SEND_MESSAGES)?;
    if channel.kind != 5 {
        return Err(errors::not_in_this_channel());
    }
    let bot = state.bot;
    let message_id = call.id("message_id");
    if state.message(id, message_id)?.author != bot {
        state.channel_with(id, MANAGE_MESSAGES)?;
    }
    let message = state.message(id, message_id)?;
    let flags = message.more.get("flags").and_then(Value::as_u64).unwrap_or(0);
    if flags & 1 == 1 {
        return Err(errors::already_crossposted());
    }
    message.more.insert("flags".to_owned(), json!(flags | 1));
    let message = message.clone();
    Reply::ok(models::message(state, &message))
}
