//! Methods that the host serves itself, under the names that AntiRaid gave them.

use super::super::table::{HostWork, Method, quota, takes};
use super::super::validate::{Rule, Thing};

const USER: Rule = Rule::Id(Thing::User);
const ACTION: Rule = Rule::Token(64);

pub(super) const METHODS: &[Method] = &[
    Method::host(
        "antiraid_bulk_op",
        HostWork::BulkOp,
        "Gives an executor, for an action that is repeated often: an object with the functions of `ctx.Discord`, each of which \
         waits for the guild's next turn of the action before it does its work. Capabilities, rates and checks are those of \
         the function that is called.",
    )
    .takes(takes!(bare { action: "string?" = ACTION, "The method that is going to be called, which sets the pace; a slow one unless said."; }))
    .at_most(&[quota(3, 1)])
    .uncounted()
    .gives("DiscordBulkOp"),
    Method::host(
        "antiraid_bulk_op_wait",
        HostWork::BulkOpWait,
        "Waits for the guild's next turn of an action, and does nothing else.",
    )
        .takes(takes!(bare { action: "string?" = ACTION, "The method that is going to be called; that of the executor, where it is called on one."; }))
        .at_most(&[quota(10, 2)])
        .uncounted(),
    Method::host(
        "antiraid_check_reason",
        HostWork::CheckReason,
        "Throws unless a text can be a reason: 1 to 512 characters.",
    )
    .takes(takes!(bare { reason: "string" = super::REASON, "The text."; }))
    .ungated(),
    Method::host(
        "antiraid_check_permissions",
        HostWork::CheckPermissions,
        "Throws unless a user has permissions in the guild.",
    )
    .takes(takes!({
        user_id: "string" = USER, "The user.";
        needed_permissions: "string | number" = Rule::Permissions, "The bits of the permissions.";
    }))
    .ungated()
    .gives("{ data: DiscordPermissionsOf }"),
    Method::host(
        "antiraid_check_permissions_and_hierarchy",
        HostWork::CheckHierarchy,
        "Throws unless a user has permissions in the guild and outranks another.",
    )
    .takes(takes!({
        user_id: "string" = USER, "The user.";
        target_id: "string" = USER, "The other.";
        needed_permissions: "string | number" = Rule::Permissions, "The bits of the permissions.";
    }))
    .ungated()
    .gives("{ data: DiscordPermissionsOf }"),
    Method::host(
        "antiraid_check_channel_permissions",
        HostWork::CheckChannel,
        "Throws unless a user has permissions in a channel.",
    )
    .takes(takes!({
        user_id: "string" = USER, "The user.";
        channel_id: "string" = Rule::Id(Thing::Channel), "The channel.";
        needed_permissions: "string | number" = Rule::Permissions, "The bits of the permissions.";
    }))
    .ungated()
    .gives("{ data: DiscordPermissionsOfChannel }"),
    Method::host(
        "antiraid_get_fused_member",
        HostWork::FusedMember,
        "Gets members together with what they may in the guild.",
    )
    .takes(takes!(bare { user_ids: "{string}" = Rule::List(&USER, 1, 10), "Up to ten users."; }))
    .at_most(&[quota(2, 5)])
    .ungated()
    .gives("{ data: DiscordFusedMembers }"),
];
