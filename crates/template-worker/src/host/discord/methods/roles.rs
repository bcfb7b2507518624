//! Methods about roles.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Method, Need, Verb, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const ROLE: Rule = Rule::Id(Thing::Role);

pub(super) const METHODS: &[Method] = &[
    Method::new("get_guild_roles", Verb::Get, "guilds/{guild}/roles", "Gets the roles of the guild.")
        .gives("{ data: {DiscordRole} }"),
    Method::new("get_guild_role", Verb::Get, "guilds/{guild}/roles/{role_id}", "Gets a role.")
        .takes(takes!(bare { role_id: "string" = ROLE, "The role."; }))
        .gives("{ data: DiscordRole }"),
    Method::new("create_guild_role", Verb::Post, "guilds/{guild}/roles", "Makes a role.")
        .takes(takes!({
            reason: "string" = REASON, "Why, for the audit log.";
            data: "DiscordEditRole" = Rule::Object(&shapes::guild::ROLE), "The role.";
        }))
        .sends_data()
        .needs(&[Need::Guild(P::MANAGE_ROLES), Need::GrantedByRole])
        .gives("{ data: DiscordRole }"),
    Method::new("modify_guild_role_positions", Verb::Patch, "guilds/{guild}/roles", "Moves roles.")
        .takes(takes!({
            data: "{DiscordRolePosition}" = Rule::List(&Rule::Object(&shapes::guild::ROLE_POSITION), 1, 250), "Where they go.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .sends_data()
        .needs(&[Need::Guild(P::MANAGE_ROLES), Need::MoveRoles])
        .gives("{ data: {DiscordRole} }"),
    Method::new("modify_guild_role", Verb::Patch, "guilds/{guild}/roles/{role_id}", "Changes a role.")
        .takes(takes!({
            role_id: "string" = ROLE, "The role.";
            reason: "string" = REASON, "Why, for the audit log.";
            data: "DiscordEditRole" = Rule::Object(&shapes::guild::ROLE), "What changes.";
        }))
        .sends_data()
        .needs(&[Need::Guild(P::MANAGE_ROLES), Need::Below("role_id"), Need::GrantedByRole])
        .gives("{ data: DiscordRole }"),
    Method::new("delete_guild_role", Verb::Delete, "guilds/{guild}/roles/{role_id}", "Deletes a role.")
        .takes(takes!({
            role_id: "string" = ROLE, "The role.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::Guild(P::MANAGE_ROLES), Need::Below("role_id")]),
];
