//! Methods about messages.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Body, Method, Need, Verb, quota, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const CHANNEL: Rule = Rule::Id(Thing::Channel);
const MESSAGE: Rule = Rule::Id(Thing::Message);

pub(super) const METHODS: &[Method] = &[
    Method::new("get_channel_messages", Verb::Get, "channels/{channel_id}/messages", "Gets messages of a channel, newest first.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            target: "DiscordMessageTarget?" = Rule::Object(&shapes::message::TARGET), "Around, before or after which message.";
            limit: "number?" = Rule::Integer(1, 100), "The most of them, 50 unless said otherwise.";
        }))
        .needs(&[Need::Read("channel_id")])
        .gives("{ data: {DiscordMessage} }"),
    Method::new("get_channel_message", Verb::Get, "channels/{channel_id}/messages/{message_id}", "Gets a message.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
        }))
        .needs(&[Need::Read("channel_id")])
        .gives("{ data: DiscordMessage }"),
    Method::new(
        "create_message",
        Verb::Post,
        "channels/{channel_id}/messages",
        "Sends a message to a channel. It notifies users only, unless it says otherwise in `allowed_mentions`.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel.";
        data: "DiscordCreateMessage" = Rule::Object(&shapes::message::MESSAGE), "The message.";
    }))
    .sends_data()
    .needs(&[Need::Send("channel_id")])
    .at_most(&[quota(30, 10)])
    .gives("{ data: DiscordMessage }"),
    Method::new(
        "crosspost_message",
        Verb::Post,
        "channels/{channel_id}/messages/{message_id}/crosspost",
        "Sends an announcement to all channels that follow.",
    )
    .takes(takes!(bare {
        channel_id: "string" = CHANNEL, "The channel.";
        message_id: "string" = MESSAGE, "The message.";
    }))
    .needs(&[Need::Channel("channel_id", P::VIEW_CHANNEL.union(P::SEND_MESSAGES).union(P::MANAGE_MESSAGES))])
    .gives("{ data: DiscordMessage }"),
    Method::new(
        "edit_message",
        Verb::Patch,
        "channels/{channel_id}/messages/{message_id}",
        "Changes a message of the bot. With the permission to manage messages also what can be changed about others' messages.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel.";
        message_id: "string" = MESSAGE, "The message.";
        data: "DiscordEditMessage" = Rule::Object(&shapes::message::MESSAGE_EDIT), "What changes.";
    }))
    .sends_data()
    .needs(&[Need::Read("channel_id"), Need::OwnMessage])
    .gives("{ data: DiscordMessage }"),
    Method::new("delete_message", Verb::Delete, "channels/{channel_id}/messages/{message_id}", "Deletes a message.")
        .takes(takes!(bare {
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::Read("channel_id"), Need::OwnMessage]),
    Method::new("bulk_delete_messages", Verb::Post, "channels/{channel_id}/messages/bulk-delete", "Deletes up to 100 messages that are younger than two weeks.")
        .takes(takes!(bare {
            channel_id: "string" = CHANNEL, "The channel.";
            message_ids: "{string}" = Rule::List(&MESSAGE, 2, 100), "The messages.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .body(Body::Fields(&[("message_ids", "messages")]))
        .needs(&[Need::Channel("channel_id", P::VIEW_CHANNEL.union(P::MANAGE_MESSAGES))]),
];
