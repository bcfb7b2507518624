//! Invitations.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, Route};
use crate::discord::audit::{action, changes};
use crate::discord::errors;
use crate::discord::models;
use crate::discord::permissions::{self, CREATE_INSTANT_INVITE, MANAGE_CHANNELS, MANAGE_GUILD};
use crate::discord::records::Invite;
use crate::discord::state::State;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/channels/{channel_id}/invites", serve: list_of_channel },
    Route { method: "POST", path: "/channels/{channel_id}/invites", serve: create },
    Route { method: "GET", path: "/guilds/{guild_id}/invites", serve: list_of_guild },
    Route { method: "GET", path: "/invites/{code}", serve: get },
    Route { method: "DELETE", path: "/invites/{code}", serve: delete },
];

fn list_of_channel(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), MANAGE_CHANNELS)?.id;
    let invites = state.invites.values().filter(|invite| invite.channel == channel);
    Reply::ok(invites.map(|invite| models::invite(state, invite)).collect())
}

fn list_of_guild(state: &mut State, call: &Call) -> Answer {
    let guild = state.guild_with(call.id("guild_id"), MANAGE_GUILD)?.id;
    let invites = state.invites.values().filter(|invite| invite.guild == guild);
    Reply::ok(invites.map(|invite| models::invite(state, invite)).collect())
}

/// A similar invitation is given again, unless a unique one is wanted.
fn create(state: &mut State, call: &Call) -> Answer {
    let channel = state.channel_with(call.id("channel_id"), CREATE_INSTANT_INVITE)?.clone();
    if channel.kind == 4 {
        return Err(errors::not_in_this_channel());
    }
    let number = |key: &str, otherwise| call.field(key).and_then(Value::as_u64).unwrap_or(otherwise);
    let (max_age, max_uses) = (number("max_age", 86_400), number("max_uses", 0));
    let temporary = call.body["temporary"] == true;
    let same = state.invites.values().find(|one| {
        (one.channel, one.inviter, one.max_age, one.max_uses, one.temporary)
            == (channel.id, state.bot, max_age, max_uses, temporary)
    });
    if let Some(invite) = same.filter(|_| call.body["unique"] != true) {
        return Reply::ok(models::invite(state, invite));
    }
    let code = format!("{:x}", state.fresh_id().0);
    let invite = Invite {
        code: code.clone(),
        guild: channel.guild,
        channel: channel.id,
        inviter: state.bot,
        max_age,
        max_uses,
        temporary,
        created_at: state.now,
    };
    let model = models::invite(state, &invite);
    state.invites.insert(code.clone(), invite);
    let changed = changes(&json!({}), &json!({"code": code, "channel_id": channel.id, "max_age": max_age}));
    state.audit(channel.guild, action::INVITE_CREATE, None, call, changed);
    Reply::ok(model)
}

/// Anybody may look at an invitation whose code they know, and sees less of it than who made it.
fn get(state: &mut State, call: &Call) -> Answer {
    let invite = state.invites.get(call.text("code")).ok_or_else(errors::unknown_invite)?;
    let mut model = models::invite(state, invite);
    if let Some(fields) = model.as_object_mut() {
        fields.retain(|key, _| {
            !["max_age", "max_uses", "uses", "temporary", "created_at"].contains(&key.as_str())
        });
        if call.is_asked("with_counts") {
            let members = state.guilds.get(&invite.guild).map_or(0, |guild| guild.members.len());
            fields.insert("approximate_member_count".to_owned(), json!(members));
            fields.insert("approximate_presence_count".to_owned(), json!(members));
        }
    }
    Reply::ok(model)
}

/// Who manages the guild, or the channel that the invitation leads to, may take it back.
fn delete(state: &mut State, call: &Call) -> Answer {
    let code = call.text("code");
    let invite = state.invites.get(code).cloned().ok_or_else(errors::unknown_invite)?;
    let bot = state.bot;
    let in_guild = permissions::in_guild(state.guild(invite.guild)?, bot, state.now);
    let in_channel = state.permissions_in(invite.channel, bot);
    if !permissions::has(in_guild, MANAGE_GUILD) && !permissions::has(in_channel, MANAGE_CHANNELS) {
        return Err(errors::missing_permissions());
    }
    let model = models::invite(state, &invite);
    state.invites.remove(code);
    let changed = changes(&json!({"code": code}), &json!({}));
    state.audit(invite.guild, action::INVITE_DELETE, None, call, changed);
    Reply::ok(model)
}
