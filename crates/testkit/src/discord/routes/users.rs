//! Accounts, the bot's own among them, and what a client asks about itself at the start.

use serde_json::json;

use super::{Answer, Call, Reply, Route};
use crate::discord::errors;
use crate::discord::models;
use crate::discord::permissions;
use crate::discord::state::State;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/users/@me", serve: get_own },
    Route { method: "GET", path: "/users/@me/guilds", serve: list_guilds },
    Route { method: "GET", path: "/users/{user_id}", serve: get },
    Route { method: "GET", path: "/applications/@me", serve: application },
    Route { method: "GET", path: "/oauth2/applications/@me", serve: application },
    Route { method: "GET", path: "/gateway/bot", serve: gateway },
];

fn get_own(state: &mut State, _: &Call) -> Answer {
    let mut model = models::user(state, state.bot);
    model["mfa_enabled"] = json!(true);
    model["locale"] = json!("en-US");
    model["verified"] = json!(true);
    model["email"] = json!(null);
    Reply::ok(model)
}

fn get(state: &mut State, call: &Call) -> Answer {
    let user = call.id("user_id");
    if !state.users.contains_key(&user) {
        return Err(errors::unknown_user());
    }
    Reply::ok(models::user(state, user))
}

fn list_guilds(state: &mut State, call: &Call) -> Answer {
    let mine = state.guilds.values().filter(|guild| guild.members.contains_key(&state.bot));
    let after = call.asked_id("after");
    let mine = mine.filter(|guild| after.is_none_or(|after| guild.id > after));
    let models = mine.take(call.limit(200)).map(|guild| {
        let may = permissions::in_guild(guild, state.bot, state.now);
        json!({
            "id": guild.id, "name": guild.name, "icon": null, "banner": null, "owner": guild.owner == state.bot,
            "permissions": may.to_string(), "features": guild.features,
        })
    });
    Reply::ok(models.collect())
}

/// The application has the bot's id.
fn application(state: &mut State, _: &Call) -> Answer {
    let bot = models::user(state, state.bot);
    let owner = models::user(state, super::super::OWNER.into());
    Reply::ok(json!({
        "id": state.bot, "name": "template-worker", "icon": null, "description": "", "type": null, "bot": bot,
        "bot_public": true, "bot_require_code_grant": false, "verify_key": "00", "flags": 0, "flags_new": "0",
        "redirect_uris": [], "interactions_endpoint_url": null, "role_connections_verification_url": null,
        "owner": owner, "approximate_guild_count": state.guilds.len(), "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0, "explicit_content_filter": 0, "team": null,
        "eligible_oauth2_scopes": [],
    }))
}

fn gateway(_: &mut State, _: &Call) -> Answer {
    let start = json!({"total": 1_000, "remaining": 1_000, "reset_after": 0, "max_concurrency": 1});
    Reply::ok(json!({"url": "wss://gateway.discord.gg", "session_start_limit": start, "shards": 1}))
}
