//! The rules of auto-moderation.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route};
use crate::discord::audit::{action, changes};
use crate::discord::errors;
use crate::discord::permissions::{self, MANAGE_GUILD, MODERATE_MEMBERS};
use crate::discord::state::{Id, State};

const ALL: &str = "/guilds/{guild_id}/auto-moderation/rules";
const ONE: &str = "/guilds/{guild_id}/auto-moderation/rules/{rule_id}";

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: ALL, serve: list },
    Route { method: "POST", path: ALL, serve: create },
    Route { method: "GET", path: ONE, serve: get },
    Route { method: "PATCH", path: ONE, serve: edit },
    Route { method: "DELETE", path: ONE, serve: delete },
];

/// How many rules of a trigger there may be: keywords, spam, preset, mentions, profile.
fn most(trigger: &Value) -> usize {
    if trigger == 1 { 6 } else { 1 }
}

fn list(state: &mut State, call: &Call) -> Answer {
    let rules = &state.guild_with(call.id("guild_id"), MANAGE_GUILD)?.rules;
    Reply::ok(rules.values().cloned().collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    let rules = &state.guild_with(call.id("guild_id"), MANAGE_GUILD)?.rules;
    Reply::ok(rules.get(&call.id("rule_id")).cloned().ok_or_else(errors::unknown_rule)?)
}

/// `old` with the fields of the body over it, as it is shown.
fn rule(old: &Value, body: &Value) -> Value {
    let mut rule = old.clone();
    for (key, value) in body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        rule[key] = value.clone();
    }
    for action in rule["actions"].as_array_mut().into_iter().flatten() {
        let metadata = action["metadata"].as_object().cloned().unwrap_or_default();
        action["metadata"] = metadata.into_iter().filter(|(_, value)| !value.is_null()).collect();
    }
    let empty = json!([]);
    let sent = rule["trigger_metadata"].clone();
    let part = |key: &str| sent.get(key).filter(|value| !value.is_null()).unwrap_or(&empty).clone();
    rule["trigger_metadata"] = match rule["trigger_type"].as_u64() {
        Some(1 | 6) => json!({
            "keyword_filter": part("keyword_filter"), "regex_patterns": part("regex_patterns"),
            "allow_list": part("allow_list"),
        }),
        Some(4) => json!({"presets": part("presets"), "allow_list": part("allow_list")}),
        Some(5) => json!({
            "mention_total_limit": sent["mention_total_limit"].as_u64().unwrap_or(20),
            "mention_raid_protection_enabled": sent["mention_raid_protection_enabled"] == true,
        }),
        _ => json!({}),
    };
    rule
}

/// A rule names channels of its guild, and one that times out needs who may do that.
fn may(state: &State, guild: Id, rule: &Value) -> Result<(), errors::Failure> {
    for action in rule["actions"].as_array().into_iter().flatten() {
        state.channel_of(guild, &action["metadata"]["channel_id"])?;
    }
    let times_out = rule["actions"].as_array().into_iter().flatten().any(|action| action["type"] == 3);
    let own = permissions::in_guild(state.guild(guild)?, state.bot, state.now);
    if times_out && !permissions::has(own, MODERATE_MEMBERS) {
        return Err(errors::missing_permissions());
    }
    Ok(())
}

fn create(state: &mut State, call: &Call) -> Answer {
    let guild = call.id("guild_id");
    let (id, bot) = (state.fresh_id(), state.bot);
    let place = state.guild_with(guild, MANAGE_GUILD)?;
    let trigger = &call.body["trigger_type"];
    if place.rules.values().filter(|rule| rule["trigger_type"] == *trigger).count() >= most(trigger) {
        let code = "AUTO_MODERATION_MAX_RULES_OF_TYPE_EXCEEDED";
        return Err(errors::invalid_field(
            "trigger_type",
            code,
            "Maximum number of rules of this type reached",
        ));
    }
    let blank = json!({
        "id": id, "guild_id": guild, "creator_id": bot, "actions": [{"type": 1, "metadata": {}}], "enabled": false,
        "exempt_roles": [], "exempt_channels": [],
    });
    let model = rule(&blank, &call.body);
    may(state, guild, &model)?;
    state.guild_mut(guild)?.rules.insert(id, model.clone());
    state.audit(guild, action::RULE_CREATE, Some(id), call, changes(&json!({}), &model));
    Reply::ok(model)
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let (guild, id) = (call.id("guild_id"), call.id("rule_id"));
    let rules = &state.guild_with(guild, MANAGE_GUILD)?.rules;
    let before = rules.get(&id).cloned().ok_or_else(errors::unknown_rule)?;
    let after = rule(&before, &call.body);
    may(state, guild, &after)?;
    state.guild_mut(guild)?.rules.insert(id, after.clone());
    state.audit(guild, action::RULE_UPDATE, Some(id), call, changes(&before, &after));
    Reply::ok(after)
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let (guild, id) = (call.id("guild_id"), call.id("rule_id"));
    let rules = &mut state.guild_with(guild, MANAGE_GUILD)?.rules;
    let old = rules.remove(&id).ok_or_else(errors::unknown_rule)?;
    state.audit(guild, action::RULE_DELETE, Some(id), call, changes(&old, &json!({})));
    Reply::empty()
}
