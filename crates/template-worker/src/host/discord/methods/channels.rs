//! Methods about channels.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Body, Method, Need, Verb, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const CHANNEL: Rule = Rule::Id(Thing::Channel);

pub(super) const METHODS: &[Method] = &[
    Method::new("get_channel", Verb::Get, "channels/{channel_id}", "Gets a channel or thread of the guild.")
        .takes(takes!(bare { channel_id: "string" = CHANNEL, "The channel."; }))
        .gives("{ data: DiscordChannel }"),
    Method::new("edit_channel", Verb::Patch, "channels/{channel_id}", "Changes a channel or thread.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            reason: "string" = REASON, "Why, for the audit log.";
            data: "DiscordEditChannel" = Rule::Object(&shapes::channel::EDIT), "What changes.";
        }))
        .sends_data()
        .needs(&[Need::Manage("channel_id"), Need::GrantedByOverwrites])
        .gives("{ data: DiscordChannel }"),
    Method::new("delete_channel", Verb::Delete, "channels/{channel_id}", "Deletes a channel or thread.")
        .takes(takes!({
            channel_id: "string" = CHANNEL, "The channel.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::Manage("channel_id")])
        .gives("{ data: DiscordChannel }"),
    Method::new(
        "edit_channel_permissions",
        Verb::Put,
        "channels/{channel_id}/permissions/{target_id}",
        "Sets what a role or a member may in a channel. Only what the bot may itself can be allowed or denied.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel.";
        target_id: "string" = Rule::Id(Thing::OfGuild), "The role or user.";
        allow: "(string | number | DiscordNull)?" = Rule::OrNull(&Rule::Permissions), "The bits of what is allowed; `{}` for nothing.";
        deny: "(string | number | DiscordNull)?" = Rule::OrNull(&Rule::Permissions), "The bits of what is denied; `{}` for nothing.";
        type: "number" = Rule::Choice(&[0, 1]), "0 a role, 1 a user.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .body(Body::Fields(&[("allow", "allow"), ("deny", "deny"), ("type", "type")]))
    .needs(&[Need::Channel("channel_id", P::MANAGE_ROLES), Need::GrantedByOverwrite]),
    Method::new(
        "delete_channel_permission",
        Verb::Delete,
        "channels/{channel_id}/permissions/{overwrite_id}",
        "Takes away what a channel says about a role or a member.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel.";
        overwrite_id: "string" = Rule::Id(Thing::OfGuild), "The role or user.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .needs(&[Need::Channel("channel_id", P::MANAGE_ROLES), Need::GrantedByOverwrite]),
    Method::new(
        "follow_announcement_channel",
        Verb::Post,
        "channels/{channel_id}/followers",
        "Sends the announcements of a channel on to another channel of the guild.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel with announcements.";
        data: "DiscordFollowChannel" = Rule::Object(&shapes::channel::FOLLOW), "Where they go.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .sends_data()
    .needs(&[Need::Read("channel_id"), Need::Follow])
    .gives("{ data: DiscordFollowed }"),
];
