//! Reactions to messages.

use super::{Answer, Call, Reply, Route};
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::permissions::{self, ADD_REACTIONS, MANAGE_MESSAGES, READ_MESSAGE_HISTORY};
use crate::discord::records::{Message, Reaction};
use crate::discord::state::{Id, State};

const ALL: &str = "/channels/{channel_id}/messages/{message_id}/reactions";
const OF_EMOJI: &str = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}";
const OWN: &str = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me";
const OF_USER: &str = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/{user_id}";

pub(super) const ROUTES: &[Route] = &[
    Route { method: "PUT", path: OWN, serve: add },
    Route { method: "DELETE", path: OWN, serve: remove_own },
    Route { method: "DELETE", path: OF_USER, serve: remove_of_user },
    Route { method: "GET", path: OF_EMOJI, serve: list },
    Route { method: "DELETE", path: OF_EMOJI, serve: remove_emoji },
    Route { method: "DELETE", path: ALL, serve: remove_all },
];

/// The emoji of the path. A guild's own has a name and an id; of Unicode's it is enough that it is no plain text.
fn emoji(call: &Call) -> Result<String, Failure> {
    let text = call.text("emoji_name");
    let own = text
        .split_once(':')
        .is_some_and(|(name, id)| (2..=32).contains(&name.len()) && id.parse::<u64>().is_ok());
    let unicode = !text.is_empty()
        && text.chars().count() <= 12
        && !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == ':');
    if own || unicode { Ok(text.to_owned()) } else { Err(errors::unknown_emoji()) }
}

fn message<'s>(state: &'s mut State, call: &Call, wanted: u64) -> Result<&'s mut Message, Failure> {
    let channel = state.channel_with(call.id("channel_id"), wanted)?.id;
    state.message(channel, call.id("message_id"))
}

/// To join in a reaction needs less than to begin one.
fn add(state: &mut State, call: &Call) -> Answer {
    let bot = state.bot;
    let channel = call.id("channel_id");
    let may = state.permissions_in(channel, bot);
    let emoji = emoji(call)?;
    let message = message(state, call, READ_MESSAGE_HISTORY)?;
    if let Some(reaction) = message.reactions.iter_mut().find(|one| one.emoji == emoji) {
        if !reaction.users.contains(&bot) {
            reaction.users.push(bot);
        }
        return Reply::empty();
    }
    if !permissions::has(may, ADD_REACTIONS) {
        return Err(errors::missing_permissions());
    }
    if message.reactions.len() >= 20 {
        return Err(errors::too_many_reactions());
    }
    message.reactions.push(Reaction { emoji, users: vec![bot] });
    Reply::empty()
}

fn remove(message: &mut Message, emoji: &str, user: Id) -> Answer {
    let reaction = message.reactions.iter_mut().find(|one| one.emoji == emoji);
    let reaction = reaction.ok_or_else(errors::unknown_emoji)?;
    reaction.users.retain(|one| *one != user);
    message.reactions.retain(|one| !one.users.is_empty());
    Reply::empty()
}

fn remove_own(state: &mut State, call: &Call) -> Answer {
    let (bot, emoji) = (state.bot, emoji(call)?);
    remove(message(state, call, READ_MESSAGE_HISTORY)?, &emoji, bot)
}

fn remove_of_user(state: &mut State, call: &Call) -> Answer {
    let emoji = emoji(call)?;
    remove(message(state, call, MANAGE_MESSAGES)?, &emoji, call.id("user_id"))
}

fn list(state: &mut State, call: &Call) -> Answer {
    let emoji = emoji(call)?;
    let after = call.asked_id("after").unwrap_or(Id(0));
    let message = message(state, call, READ_MESSAGE_HISTORY)?.clone();
    let found = message.reactions.iter().find(|one| one.emoji == emoji);
    let mut users: Vec<Id> = found.map(|one| one.users.clone()).unwrap_or_default();
    users.sort_unstable();
    let users = users.into_iter().filter(|user| *user > after).take(call.limit(25));
    Reply::ok(users.map(|user| models::user(state, user)).collect())
}

fn remove_emoji(state: &mut State, call: &Call) -> Answer {
    let emoji = emoji(call)?;
    let message = message(state, call, MANAGE_MESSAGES)?;
    message.reactions.retain(|one| one.emoji != emoji);
    Reply::empty()
}

fn remove_all(state: &mut State, call: &Call) -> Answer {
    message(state, call, MANAGE_MESSAGES)?.reactions.clear();
    Reply::empty()
}
