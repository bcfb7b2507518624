//! Members: who they are, and what may be changed about them.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{Answer, Call, Reply, Route};
use crate::discord::audit::{action, changes};
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::permissions::{
    self, ADMINISTRATOR, BAN_MEMBERS, CHANGE_NICKNAME, DEAFEN_MEMBERS, KICK_MEMBERS, MANAGE_GUILD,
    MANAGE_NICKNAMES, MANAGE_ROLES, MODERATE_MEMBERS, MOVE_MEMBERS, MUTE_MEMBERS, Permissions,
};
use crate::discord::records::{Guild, Member};
use crate::discord::state::{Id, State};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/guilds/{guild_id}/members", serve: list },
    Route { method: "GET", path: "/guilds/{guild_id}/members/search", serve: search },
    Route { method: "GET", path: "/guilds/{guild_id}/members/{user_id}", serve: get },
    Route { method: "PATCH", path: "/guilds/{guild_id}/members/{user_id}", serve: edit },
    Route { method: "PATCH", path: "/guilds/{guild_id}/members/@me", serve: edit_own },
    Route { method: "DELETE", path: "/guilds/{guild_id}/members/{user_id}", serve: kick },
    Route { method: "PUT", path: "/guilds/{guild_id}/members/{user_id}/roles/{role_id}", serve: add_role },
    Route {
        method: "DELETE",
        path: "/guilds/{guild_id}/members/{user_id}/roles/{role_id}",
        serve: remove_role,
    },
];

fn shown(state: &State, members: Vec<Member>) -> Answer {
    Reply::ok(members.iter().map(|member| models::member(state, member)).collect())
}

fn list(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild(call.id("guild_id"))?;
    let after = call.asked_id("after").unwrap_or(Id(0));
    let members = guild.members.values().filter(|member| member.user > after);
    shown(state, members.take(call.limit(1)).cloned().collect())
}

fn search(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild(call.id("guild_id"))?;
    let start = call.asked("query").unwrap_or_default().to_lowercase();
    let starts = |name: &str| name.to_lowercase().starts_with(&start);
    let members = guild.members.values().filter(|member| {
        let account = state.users.get(&member.user);
        account.is_some_and(|user| starts(&user.username)) || member.nick.as_deref().is_some_and(starts)
    });
    shown(state, members.take(call.limit(1)).cloned().collect())
}

/// The member, or whether it is the account that doesn't exist.
fn member(state: &State, guild: Id, user: Id) -> Result<Member, Failure> {
    let found = state.guild(guild)?.members.get(&user).cloned();
    found.ok_or_else(|| match state.users.contains_key(&user) {
        true => errors::unknown_member(),
        false => errors::unknown_user(),
    })
}

fn get(state: &mut State, call: &Call) -> Answer {
    let member = member(state, call.id("guild_id"), call.id("user_id"))?;
    Reply::ok(models::member(state, &member))
}

/// Every field has its permission; the hierarchy counts for all but roles and voice.
fn edit(state: &mut State, call: &Call) -> Answer {
    let (guild, user) = (call.id("guild_id"), call.id("user_id"));
    let mut changed = member(state, guild, user)?;
    let before = models::member(state, &changed);
    let place = state.guild(guild)?;
    let own = permissions::in_guild(place, state.bot, state.now);
    let need = |wanted: Permissions| match permissions::has(own, wanted) {
        true => Ok(()),
        false => Err(errors::missing_permissions()),
    };
    let above = || match user == state.bot || permissions::outranks(place, state.bot, user) {
        true => Ok(()),
        false => Err(errors::missing_permissions()),
    };
    if let Some(nick) = call.field("nick") {
        need(MANAGE_NICKNAMES)?;
        above()?;
        changed.nick = nick.as_str().filter(|nick| !nick.is_empty()).map(str::to_owned);
    }
    if let Some(until) = call.field("communication_disabled_until") {
        need(MODERATE_MEMBERS)?;
        above()?;
        changed.timed_out_until = timeout(state, place, user, until)?;
    }
    if let Some(flags) = call.field("flags").and_then(Value::as_u64) {
        let moderator = MODERATE_MEMBERS | KICK_MEMBERS | BAN_MEMBERS;
        need(MANAGE_GUILD).or_else(|_| need(MANAGE_ROLES)).or_else(|_| need(moderator))?;
        above()?;
        // Only the bypass of verification can be set from outside.
        changed.flags = changed.flags & !4 | flags & 4;
    }
    let voice = [("mute", MUTE_MEMBERS), ("deaf", DEAFEN_MEMBERS), ("channel_id", MOVE_MEMBERS)];
    for (key, wanted) in voice {
        let Some(value) = call.field(key) else { continue };
        need(wanted)?;
        if changed.voice_channel.is_none() {
            return Err(errors::not_in_voice());
        }
        match key {
            "mute" => changed.mute = value.as_bool().unwrap_or(false),
            "deaf" => changed.deaf = value.as_bool().unwrap_or(false),
            _ => changed.voice_channel = state.channel_of(guild, value)?,
        }
    }
    let roles = call.field("roles").and_then(Value::as_array);
    if let Some(roles) = roles {
        need(MANAGE_ROLES)?;
        let wanted: Vec<Id> = roles.iter().filter_map(Id::of).collect();
        let differ = |ids: &[Id], others: &[Id]| -> Vec<Id> {
            ids.iter().copied().filter(|id| !others.contains(id)).collect()
        };
        for role in differ(&wanted, &changed.roles).into_iter().chain(differ(&changed.roles, &wanted)) {
            may_hand_out(place, state.bot, role)?;
        }
        changed.roles = wanted;
    }
    let after = models::member(state, &changed);
    state.guild_mut(guild)?.members.insert(user, changed);
    let done = if roles.is_some() { action::MEMBER_ROLE_UPDATE } else { action::MEMBER_UPDATE };
    state.audit(guild, done, Some(user), call, changes(&before, &after));
    Reply::ok(after)
}

/// The end of a timeout, four weeks away at most. Administrators can't be timed out.
fn timeout(state: &State, guild: &Guild, user: Id, until: &Value) -> Result<Option<OffsetDateTime>, Failure> {
    let Some(until) = until.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()) else {
        return Ok(None);
    };
    if permissions::has(permissions::in_guild(guild, user, state.now), ADMINISTRATOR) {
        return Err(errors::missing_permissions());
    }
    if until - state.now > Duration::days(28) {
        let message = "Time must be less than 28 days in the future.";
        return Err(errors::invalid_field("communication_disabled_until", "DATE_TIME_TOO_FAR", message));
    }
    Ok(Some(until))
}

fn edit_own(state: &mut State, call: &Call) -> Answer {
    let (guild, bot) = (call.id("guild_id"), state.bot);
    if let Some(nick) = call.field("nick") {
        let nick = nick.as_str().filter(|nick| !nick.is_empty()).map(str::to_owned);
        if let Some(member) = state.guild_with(guild, CHANGE_NICKNAME)?.members.get_mut(&bot) {
            member.nick = nick;
        }
        state.audit(guild, action::MEMBER_UPDATE, Some(bot), call, Vec::new());
    }
    let member = member(state, guild, bot)?;
    Reply::ok(models::member(state, &member))
}

fn kick(state: &mut State, call: &Call) -> Answer {
    let (guild, user) = (call.id("guild_id"), call.id("user_id"));
    let bot = state.bot;
    state.guild_with(guild, KICK_MEMBERS)?;
    member(state, guild, user)?;
    if !permissions::outranks(state.guild(guild)?, bot, user) {
        return Err(errors::missing_permissions());
    }
    state.guild_mut(guild)?.members.remove(&user);
    state.audit(guild, action::MEMBER_KICK, Some(user), call, Vec::new());
    Reply::empty()
}

/// Nobody hands out what isn't below them, what belongs to an integration, or everyone's role.
fn may_hand_out(guild: &Guild, bot: Id, role: Id) -> Result<(), Failure> {
    let found = guild.roles.get(&role).ok_or_else(errors::unknown_role)?;
    if role == guild.id {
        return Err(errors::invalid_role());
    }
    if found.managed || !permissions::above_role(guild, bot, role) {
        return Err(errors::missing_permissions());
    }
    Ok(())
}

fn add_role(state: &mut State, call: &Call) -> Answer {
    change_roles(state, call, true)
}

fn remove_role(state: &mut State, call: &Call) -> Answer {
    change_roles(state, call, false)
}

fn change_roles(state: &mut State, call: &Call, add: bool) -> Answer {
    let (guild, user, role) = (call.id("guild_id"), call.id("user_id"), call.id("role_id"));
    let bot = state.bot;
    state.guild_with(guild, MANAGE_ROLES)?;
    let mut member = member(state, guild, user)?;
    let place = state.guild_mut(guild)?;
    may_hand_out(place, bot, role)?;
    let name = place.roles[&role].name.clone();
    if member.roles.contains(&role) == add {
        return Reply::empty();
    }
    member.roles.retain(|one| *one != role);
    if add {
        member.roles.push(role);
    }
    place.members.insert(user, member);
    let key = if add { "$add" } else { "$remove" };
    let change = json!({"key": key, "new_value": [{"id": role, "name": name}]});
    state.audit(guild, action::MEMBER_ROLE_UPDATE, Some(user), call, vec![change]);
    Reply::empty()
}
