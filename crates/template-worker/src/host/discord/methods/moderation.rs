//! Methods about bans and the audit log.

use twilight_model::guild::Permissions as P;

use super::super::table::{Body, Method, Need, Verb, quota, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const USER: Rule = Rule::Id(Thing::User);

pub(super) const METHODS: &[Method] = &[
    Method::new("get_audit_logs", Verb::Get, "guilds/{guild}/audit-logs", "Gets what was done in the guild, newest first.")
        .takes(takes!(optional {
            action_type: "number?" = Rule::Integer(1, 1000), "Only what is of this type.";
            user_id: "string?" = USER, "Only what this user did.";
            before: "string?" = Rule::Id(Thing::Other), "Only what is older than this entry.";
            limit: "number?" = Rule::Integer(1, 100), "The most entries, 50 unless said otherwise.";
        }))
        .needs(&[Need::Guild(P::VIEW_AUDIT_LOG)])
        .gives("{ data: DiscordAuditLog }"),
    Method::new("get_guild_bans", Verb::Get, "guilds/{guild}/bans", "Gets who is banned, in the order of ids.")
        .takes(takes!(optional {
            limit: "number?" = Rule::Integer(1, 1000), "The most of them, 1,000 unless said otherwise.";
            before: "string?" = USER, "Only those with a smaller id.";
            after: "string?" = USER, "Only those with a larger id.";
        }))
        .needs(&[Need::Guild(P::BAN_MEMBERS)])
        .gives("{ data: {DiscordBan} }"),
    Method::new("get_guild_ban", Verb::Get, "guilds/{guild}/bans/{user_id}", "Gets the ban of a user; `data` is nil where the user is not banned.")
        .takes(takes!(bare { user_id: "string" = USER, "The user."; }))
        .needs(&[Need::Guild(P::BAN_MEMBERS)])
        .or_nobody()
        .gives("{ data: DiscordBan? }"),
    Method::new("create_guild_ban", Verb::Put, "guilds/{guild}/bans/{user_id}", "Bans a user, who need not be a member.")
        .takes(takes!({
            user_id: "string" = USER, "The user.";
            reason: "string" = REASON, "Why, for the audit log.";
            delete_message_seconds: "number?" = Rule::Integer(0, 604_800), "How far back messages of the user are deleted: up to seven days.";
        }))
        .body(Body::Fields(&[("delete_message_seconds", "delete_message_seconds")]))
        .needs(&[Need::Guild(P::BAN_MEMBERS), Need::Outranks("user_id")])
        .at_most(&[quota(5, 30), quota(10, 75)]),
    Method::new("remove_guild_ban", Verb::Delete, "guilds/{guild}/bans/{user_id}", "Ends the ban of a user.")
        .takes(takes!({
            user_id: "string" = USER, "The user.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::Guild(P::BAN_MEMBERS)]),
];
