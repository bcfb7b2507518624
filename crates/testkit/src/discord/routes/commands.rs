//! The application's commands in a guild.

use serde_json::{Map, Value, json};

use super::{Answer, Call, Reply, Route, set_of};
use crate::discord::errors::{self, Failure};
use crate::discord::records::Guild;
use crate::discord::state::{Id, State};

const ALL: &str = "/applications/{application_id}/guilds/{guild_id}/commands";
const ONE: &str = "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}";

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: ALL, serve: list },
    Route { method: "POST", path: ALL, serve: create },
    Route { method: "PUT", path: ALL, serve: replace },
    Route { method: "GET", path: ONE, serve: get },
    Route { method: "PATCH", path: ONE, serve: edit },
    Route { method: "DELETE", path: ONE, serve: delete },
];

fn guild<'s>(state: &'s mut State, call: &Call) -> Result<&'s mut Guild, Failure> {
    if call.id("application_id") != state.bot {
        return Err(errors::not_your_application());
    }
    state.guild_mut(call.id("guild_id"))
}

fn list(state: &mut State, call: &Call) -> Answer {
    Reply::ok(guild(state, call)?.commands.values().cloned().collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    let found = guild(state, call)?.commands.get(&call.id("command_id")).cloned();
    Reply::ok(found.ok_or_else(errors::unknown_command)?)
}

/// A command as it is shown.
fn command(state: &State, id: Id, guild: Id, sent: &Value) -> Value {
    let kind = sent["type"].as_u64().unwrap_or(1);
    let mut fields: Map<String, Value> = Map::new();
    for (key, value) in sent.as_object().into_iter().flatten() {
        if !value.is_null() || key.ends_with("_localizations") {
            fields.insert(key.clone(), value.clone());
        }
    }
    let set = set_of(&sent["default_member_permissions"]).map(|set| set.to_string());
    let fixed = json!({
        "id": id, "application_id": state.bot, "version": id, "guild_id": guild, "type": kind,
        "description": sent["description"].as_str().unwrap_or_default(), "default_member_permissions": set,
        "nsfw": sent["nsfw"] == true,
    });
    fields.extend(fixed.as_object().cloned().unwrap_or_default());
    Value::Object(fields)
}

/// Stores a command, in the place of one with the same name and type. Whether there was none.
fn store(state: &mut State, call: &Call, sent: &Value) -> Result<(Value, bool), Failure> {
    let new = state.fresh_id();
    let kind = json!(sent["type"].as_u64().unwrap_or(1));
    let place = guild(state, call)?;
    let same = place.commands.iter().find(|(_, one)| one["name"] == sent["name"] && one["type"] == kind);
    let old = same.map(|(id, _)| *id);
    let of_kind = place.commands.values().filter(|one| one["type"] == kind).count();
    if old.is_none() && of_kind >= if kind == 1 { 100 } else { 5 } {
        return Err(errors::too_many_commands());
    }
    let (id, guild_id) = (old.unwrap_or(new), place.id);
    let model = command(state, id, guild_id, sent);
    guild(state, call)?.commands.insert(id, model.clone());
    Ok((model, old.is_none()))
}

fn create(state: &mut State, call: &Call) -> Answer {
    match store(state, call, &call.body)? {
        (model, true) => Reply::created(model),
        (model, false) => Reply::ok(model),
    }
}

fn replace(state: &mut State, call: &Call) -> Answer {
    let sent: Vec<Value> = call.body.as_array().cloned().unwrap_or_default();
    let kept = |one: &Value| sent.iter().any(|new| new["name"] == one["name"]);
    guild(state, call)?.commands.retain(|_, one| kept(one));
    let stored = sent.iter().map(|one| Ok(store(state, call, one)?.0)).collect::<Result<Vec<_>, _>>()?;
    Reply::ok(Value::Array(stored))
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let id = call.id("command_id");
    let place = guild(state, call)?;
    let mut sent = place.commands.get(&id).cloned().ok_or_else(errors::unknown_command)?;
    let guild_id = place.id;
    for (key, value) in call.body.as_object().into_iter().flatten() {
        sent[key] = value.clone();
    }
    let model = command(state, id, guild_id, &sent);
    guild(state, call)?.commands.insert(id, model.clone());
    Reply::ok(model)
}

fn delete(state: &mut State, call: &Call) -> Answer {
    guild(state, call)?.commands.remove(&call.id("command_id")).ok_or_else(errors::unknown_command)?;
    Reply::empty()
}
