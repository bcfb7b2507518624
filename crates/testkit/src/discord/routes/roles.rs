//! Roles: nobody gives a role what they lack, nor touches one that isn't below their own.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route, set_of};
use crate::discord::audit::{action, changes};
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::permissions::{self, MANAGE_ROLES, Permissions};
use crate::discord::records::{Guild, Role};
use crate::discord::state::{Id, State};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/guilds/{guild_id}/roles", serve: list },
    Route { method: "POST", path: "/guilds/{guild_id}/roles", serve: create },
    Route { method: "PATCH", path: "/guilds/{guild_id}/roles", serve: place },
    Route { method: "GET", path: "/guilds/{guild_id}/roles/{role_id}", serve: get },
    Route { method: "PATCH", path: "/guilds/{guild_id}/roles/{role_id}", serve: edit },
    Route { method: "DELETE", path: "/guilds/{guild_id}/roles/{role_id}", serve: delete },
];

fn list(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild(call.id("guild_id"))?;
    Reply::ok(guild.roles.values().map(models::role).collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild(call.id("guild_id"))?;
    let role = guild.roles.get(&call.id("role_id")).ok_or_else(errors::unknown_role)?;
    Reply::ok(models::role(role))
}

/// The guild, if the bot manages roles in it, and what it may do there.
fn managed(state: &mut State, id: Id) -> Result<(&mut Guild, Permissions), Failure> {
    let (bot, now) = (state.bot, state.now);
    let guild = state.guild_with(id, MANAGE_ROLES)?;
    let own = permissions::in_guild(guild, bot, now);
    Ok((guild, own))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let guild = call.id("guild_id");
    let id = state.fresh_id();
    let (place, own) = managed(state, guild)?;
    if place.roles.len() >= 250 {
        return Err(errors::too_many_roles());
    }
    let everyone = place.roles.get(&guild).map_or(0, |role| role.permissions);
    let mut role = crate::discord::builder::new_role(id, 1);
    // What everyone may do goes without saying, whether the bot may or not.
    role.permissions = everyone & own;
    change(&mut role, call, own)?;
    for other in place.roles.values_mut().filter(|other| other.position >= 1) {
        other.position += 1;
    }
    let model = models::role(&role);
    place.roles.insert(id, role);
    state.audit(guild, action::ROLE_CREATE, Some(id), call, changes(&json!({}), &model));
    Reply::ok(model)
}

fn change(role: &mut Role, call: &Call, own: Permissions) -> Result<(), Failure> {
    if let Some(wanted) = call.field("permissions").and_then(set_of) {
        if !permissions::has(own, (wanted ^ role.permissions) & permissions::ALL) {
            return Err(errors::missing_permissions());
        }
        role.permissions = wanted & permissions::ALL;
    }
    if let Some(name) = call.field("name").and_then(Value::as_str) {
        name.clone_into(&mut role.name);
    }
    let color = call.field("colors").map(|colors| &colors["primary_color"]).or_else(|| call.field("color"));
    if let Some(color) = color.and_then(Value::as_u64) {
        role.color = u32::try_from(color).unwrap_or(0);
    }
    let flag = |key: &str, old: bool| call.field(key).and_then(Value::as_bool).unwrap_or(old);
    role.hoist = flag("hoist", role.hoist);
    role.mentionable = flag("mentionable", role.mentionable);
    if let Some(emoji) = call.field("unicode_emoji") {
        role.unicode_emoji = emoji.as_str().map(str::to_owned);
    }
    Ok(())
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let (guild, id, bot) = (call.id("guild_id"), call.id("role_id"), state.bot);
    let (place, own) = managed(state, guild)?;
    let mut role = place.roles.get(&id).cloned().ok_or_else(errors::unknown_role)?;
    if !permissions::above_role(place, bot, id) {
        return Err(errors::missing_permissions());
    }
    let before = models::role(&role);
    change(&mut role, call, own)?;
    let after = models::role(&role);
    place.roles.insert(id, role);
    state.audit(guild, action::ROLE_UPDATE, Some(id), call, changes(&before, &after));
    Reply::ok(after)
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let (guild, id, bot) = (call.id("guild_id"), call.id("role_id"), state.bot);
    let (place, _) = managed(state, guild)?;
    let role = place.roles.get(&id).cloned().ok_or_else(errors::unknown_role)?;
    if id == guild || role.managed {
        return Err(errors::invalid_role());
    }
    if !permissions::above_role(place, bot, id) {
        return Err(errors::missing_permissions());
    }
    place.roles.remove(&id);
    for member in place.members.values_mut() {
        member.roles.retain(|one| *one != id);
    }
    for channel in state.channels.values_mut().filter(|channel| channel.guild == guild) {
        channel.overwrites.retain(|one| one.id != id);
    }
    state.audit(guild, action::ROLE_DELETE, Some(id), call, changes(&models::role(&role), &json!({})));
    Reply::empty()
}

/// Moves roles: only such as are below the bot's own, and only to places below it.
fn place(state: &mut State, call: &Call) -> Answer {
    let (guild, bot) = (call.id("guild_id"), state.bot);
    let (place, _) = managed(state, guild)?;
    let moves: Vec<(Id, Option<i64>)> = call
        .body
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| Some((Id::of(&one["id"])?, one["position"].as_i64())))
        .collect();
    let mut after = place.clone();
    for (id, position) in &moves {
        let role = after.roles.get_mut(id).ok_or_else(errors::unknown_role)?;
        role.position = position.unwrap_or(role.position);
    }
    for (id, _) in &moves {
        let stays_below =
            permissions::above_role(place, bot, *id) && permissions::above_role(&after, bot, *id);
        if *id == guild || !stays_below {
            return Err(errors::missing_permissions());
        }
    }
    place.roles = after.roles;
    let all: Vec<Value> = place.roles.values().map(models::role).collect();
    for (id, _) in moves {
        state.audit(guild, action::ROLE_UPDATE, Some(id), call, Vec::new());
    }
    Reply::ok(Value::Array(all))
}
