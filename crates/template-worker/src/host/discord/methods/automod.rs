//! Methods about rules of auto moderation.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Method, Need, Verb, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const RULES: &str = "guilds/{guild}/auto-moderation/rules";
const ONE: &str = "guilds/{guild}/auto-moderation/rules/{rule_id}";
const RULE: Rule = Rule::Id(Thing::OfGuild);
const MANAGE: &[Need] = &[Need::Guild(P::MANAGE_GUILD)];

pub(super) const METHODS: &[Method] = &[
    Method::new("list_auto_moderation_rules", Verb::Get, RULES, "Gets the rules of the guild.")
        .needs(MANAGE)
        .gives("{ data: {DiscordAutoModerationRule} }"),
    Method::new("get_auto_moderation_rule", Verb::Get, ONE, "Gets a rule.")
        .takes(takes!({ rule_id: "string" = RULE, "The rule."; }))
        .needs(MANAGE)
        .gives("{ data: DiscordAutoModerationRule }"),
    Method::new("create_auto_moderation_rule", Verb::Post, RULES, "Makes a rule.")
        .takes(takes!({
            reason: "string" = REASON, "Why, for the audit log.";
            data: "DiscordCreateAutoModerationRule" = Rule::Object(&shapes::automod::NEW), "The rule.";
        }))
        .sends_data()
        .needs(MANAGE)
        .gives("{ data: DiscordAutoModerationRule }"),
    Method::new("edit_auto_moderation_rule", Verb::Patch, ONE, "Changes a rule.")
        .takes(takes!({
            rule_id: "string" = RULE, "The rule.";
            reason: "string" = REASON, "Why, for the audit log.";
            data: "DiscordEditAutoModerationRule" = Rule::Object(&shapes::automod::EDIT), "What changes.";
        }))
        .sends_data()
        .needs(MANAGE)
        .gives("{ data: DiscordAutoModerationRule }"),
    Method::new("delete_auto_moderation_rule", Verb::Delete, ONE, "Deletes a rule.")
        .takes(takes!({
            rule_id: "string" = RULE, "The rule.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(MANAGE),
];
