//! Methods about reactions.

use twilight_model::guild::Permissions as P;

use super::super::table::{Method, Need, Verb, takes};
use super::super::validate::{Rule, Thing};

const CHANNEL: Rule = Rule::Id(Thing::Channel);
const MESSAGE: Rule = Rule::Id(Thing::Message);
const USER: Rule = Rule::Id(Thing::User);

const EMOJI: Rule = Rule::Emoji;

pub(super) const METHODS: &[Method] = &[
    Method::new("create_reaction", Verb::Put, "channels/{channel_id}/messages/{message_id}/reactions/{reaction}/@me", "Reacts to a message.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
            reaction: "string | DiscordPartialEmoji" = EMOJI, "The emoji: the character itself, `name:id`, `<:name:id>`, or a table with the `id`.";
        }))
        .needs(&[Need::Channel("channel_id", REACT)]),
    Method::new("delete_own_reaction", Verb::Delete, "channels/{channel_id}/messages/{message_id}/reactions/{reaction}/@me", "Takes a reaction of the bot back.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
            reaction: "string | DiscordPartialEmoji" = EMOJI, "The emoji.";
        }))
        .needs(&[Need::Channel("channel_id", REACT)]),
    Method::new("delete_user_reaction", Verb::Delete, "channels/{channel_id}/messages/{message_id}/reactions/{reaction}/{user_id}", "Takes a reaction of a user away.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
            user_id: "string" = USER, "The user.";
            reaction: "string | DiscordPartialEmoji" = EMOJI, "The emoji.";
        }))
        .needs(&[Need::Channel("channel_id", MANAGE)]),
    Method::new("get_reactions", Verb::Get, "channels/{channel_id}/messages/{message_id}/reactions/{reaction}", "Gets who reacted with an emoji.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
            reaction: "string | DiscordPartialEmoji" = EMOJI, "The emoji.";
            type: "(number | string)?" = Rule::Named(&[("Normal", 0), ("Burst", 1)]), "0 or `Normal`: plain reactions; 1 or `Burst`: bursts.";
            after: "string?" = USER, "Only users with a larger id.";
            limit: "number?" = Rule::Integer(1, 100), "The most of them, 25 unless said otherwise.";
        }))
        .needs(&[Need::Read("channel_id")])
        .gives("{ data: {DiscordUser} }"),
    Method::new("delete_all_reactions", Verb::Delete, "channels/{channel_id}/messages/{message_id}/reactions", "Takes all reactions from a message.")
        .takes(takes!(bare {
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
        }))
        .needs(&[Need::Channel("channel_id", MANAGE)]),
    Method::new("delete_all_reactions_for_emoji", Verb::Delete, "channels/{channel_id}/messages/{message_id}/reactions/{reaction}", "Takes all reactions with an emoji from a message.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            message_id: "string" = MESSAGE, "The message.";
            reaction: "string | DiscordPartialEmoji" = EMOJI, "The emoji.";
        }))
        .needs(&[Need::Channel("channel_id", MANAGE)]),
];

const REACT: P = P::VIEW_CHANNEL.union(P::READ_MESSAGE_HISTORY).union(P::ADD_REACTIONS);
const MANAGE: P = P::VIEW_CHANNEL.union(P::MANAGE_MESSAGES);
