//! Methods about members.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Method, Need, Verb, quota, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const USER: Rule = Rule::Id(Thing::User);
const ROLE: Rule = Rule::Id(Thing::Role);

pub(super) const METHODS: &[Method] = &[
    Method::new(
        "get_guild_member",
        Verb::Get,
        "guilds/{guild}/members/{user_id}",
        "Gets a member; `data` is nil where the user is none.",
    )
    .takes(takes!(bare { user_id: "string" = USER, "The user."; }))
    .or_nobody()
    .gives("{ data: DiscordMember? }"),
    Method::new(
        "list_guild_members",
        Verb::Get,
        "guilds/{guild}/members",
        "Gets members, in the order of their ids.",
    )
    .takes(takes!(optional {
        limit: "number?" = Rule::Integer(1, 1000), "The most of them, 1 unless said otherwise.";
        after: "string?" = USER, "Only those with a larger id.";
    }))
    .gives("{ data: {DiscordMember} }"),
    Method::new(
        "search_guild_members",
        Verb::Get,
        "guilds/{guild}/members/search",
        "Gets members whose name begins with a text.",
    )
    .takes(takes!({
        query: "string" = Rule::Text(1, 100), "The text.";
        limit: "number?" = Rule::Integer(1, 1000), "The most of them, 1 unless said otherwise.";
    }))
    .gives("{ data: {DiscordMember} }"),
    Method::new(
        "modify_guild_member",
        Verb::Patch,
        "guilds/{guild}/members/{user_id}",
        "Changes a member: also the bot itself, which only cannot be timed out.",
    )
    .takes(takes!({
        user_id: "string" = USER, "The user.";
        reason: "string" = REASON, "Why, for the audit log.";
        data: "DiscordEditMember" = Rule::Object(&shapes::guild::MEMBER), "What changes.";
    }))
    .sends_data()
    .needs(&[Need::EditMember, Need::Outranks("user_id")])
    .gives("{ data: DiscordMember }"),
    Method::new(
        "add_guild_member_role",
        Verb::Put,
        "guilds/{guild}/members/{user_id}/roles/{role_id}",
        "Gives a member a role.",
    )
    .takes(takes!({
        user_id: "string" = USER, "The user.";
        role_id: "string" = ROLE, "The role.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .needs(&[Need::Guild(P::MANAGE_ROLES), Need::Below("role_id")]),
    Method::new(
        "remove_guild_member_role",
        Verb::Delete,
        "guilds/{guild}/members/{user_id}/roles/{role_id}",
        "Takes a role from a member.",
    )
    .takes(takes!({
        user_id: "string" = USER, "The user.";
        role_id: "string" = ROLE, "The role.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .needs(&[Need::Guild(P::MANAGE_ROLES), Need::Below("role_id")]),
    Method::new("remove_guild_member", Verb::Delete, "guilds/{guild}/members/{user_id}", "Kicks a member.")
        .takes(takes!({
            user_id: "string" = USER, "The user.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::Guild(P::KICK_MEMBERS), Need::Outranks("user_id")])
        .at_most(&[quota(5, 30), quota(10, 75)]),
];
