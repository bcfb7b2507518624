//! Methods about invites.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Method, Need, Verb, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const CHANNEL: Rule = Rule::Id(Thing::Channel);

pub(super) const METHODS: &[Method] = &[
    Method::new(
        "get_channel_invites",
        Verb::Get,
        "channels/{channel_id}/invites",
        "Gets the invites to a channel.",
    )
    .takes(takes!(bare { channel_id: "string" = CHANNEL, "The channel."; }))
    .needs(&[Need::Channel("channel_id", P::MANAGE_CHANNELS)])
    .gives("{ data: {DiscordInvite} }"),
    Method::new(
        "create_channel_invite",
        Verb::Post,
        "channels/{channel_id}/invites",
        "Makes an invite to a channel.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel.";
        data: "DiscordCreateInvite" = Rule::Object(&shapes::channel::INVITE), "The invite.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .sends_data()
    .needs(&[Need::Channel("channel_id", P::CREATE_INVITE)])
    .gives("{ data: DiscordInvite }"),
    Method::new(
        "get_invite",
        Verb::Get,
        "invites/{code}",
        "Gets an invite to the guild; those of other guilds are refused.",
    )
    .takes(takes!({
        code: "string" = Rule::Invite, "Its code, or its address: `discord.gg/..`.";
        with_counts: "boolean?" = Rule::Boolean, "Whether to count members.";
        with_expiration: "boolean?" = Rule::Boolean, "Whether to say until when it is good.";
        guild_scheduled_event_id: "string?" = Rule::Id(Thing::Other), "The event that it is for.";
    }))
    .needs(&[Need::Invite { deletes: false }])
    .gives("{ data: DiscordInvite }"),
    Method::new("delete_invite", Verb::Delete, "invites/{code}", "Deletes an invite to the guild.")
        .takes(takes!({
            code: "string" = Rule::Invite, "Its code, or its address: `discord.gg/..`.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::Invite { deletes: true }])
        .gives("{ data: DiscordInvite }"),
];
