//! What the gateway would send: the JSON of events, for tests that give events to the service by its own API.

use serde_json::{Value, json};

use super::models;
use super::records::{Interaction, Message};
use super::state::{Id, State};
use super::{Discord, builder};

impl Discord {
    /// An account that is in no guild.
    pub fn user(&self, id: impl Into<Id>, username: &str) {
        let id = id.into();
        let account = super::User { id, username: username.to_owned(), global_name: None, bot: false };
        self.with(|state| state.users.insert(id, account));
    }

    /// Somebody writes a message. The data of its `MESSAGE_CREATE`.
    pub fn message_create_event(
        &self,
        channel: impl Into<Id>,
        author: impl Into<Id>,
        content: &str,
    ) -> Value {
        let (channel, author) = (channel.into(), author.into());
        self.with(|state| {
            let id = state.fresh_id();
            let mut message = builder::new_message(id, channel, author);
            content.clone_into(&mut message.content);
            let event = message_event(state, &message);
            state.messages.entry(channel).or_default().insert(id, message);
            event
        })
    }

    /// The data of the `MESSAGE_CREATE` or `MESSAGE_UPDATE` of a message that is there.
    pub fn message_event(&self, channel: impl Into<Id>, message: impl Into<Id>) -> Value {
        let (channel, message) = (channel.into(), message.into());
        self.with(|state| message_event(state, &state.messages[&channel][&message]))
    }

    /// Somebody deletes a message. The data of its `MESSAGE_DELETE`.
    pub fn message_delete_event(&self, channel: impl Into<Id>, message: impl Into<Id>) -> Value {
        let (channel, message) = (channel.into(), message.into());
        self.with(|state| {
            state.messages.entry(channel).or_default().remove(&message);
            json!({"id": message, "channel_id": channel, "guild_id": state.channels[&channel].guild})
        })
    }

    /// Somebody reacts, with an emoji of Unicode or `name:id`. The data of its `MESSAGE_REACTION_ADD`.
    pub fn reaction_add_event(
        &self,
        channel: impl Into<Id>,
        message: impl Into<Id>,
        user: impl Into<Id>,
        emoji: &str,
    ) -> Value {
        let (channel, message, user) = (channel.into(), message.into(), user.into());
        self.with(|state| {
            let guild = state.channels[&channel].guild;
            let member = state.guilds[&guild].members.get(&user).map(|member| models::member(state, member));
            let all = state.messages.get_mut(&channel).expect("the channel has messages");
            let reactions = &mut all.get_mut(&message).expect("the message is there").reactions;
            match reactions.iter_mut().find(|one| one.emoji == emoji) {
                Some(one) => one.users.push(user),
                None => reactions.push(super::Reaction { emoji: emoji.to_owned(), users: vec![user] }),
            }
            json!({
                "user_id": user, "channel_id": channel, "message_id": message, "guild_id": guild, "member": member,
                "emoji": models::emoji(emoji), "burst": false, "type": 0,
            })
        })
    }

    /// Somebody takes a reaction back. The data of its `MESSAGE_REACTION_REMOVE`.
    pub fn reaction_remove_event(
        &self,
        channel: impl Into<Id>,
        message: impl Into<Id>,
        user: impl Into<Id>,
        emoji: &str,
    ) -> Value {
        let (channel, message, user) = (channel.into(), message.into(), user.into());
        self.with(|state| {
            let guild = state.channels[&channel].guild;
            if let Some(found) = state.messages.get_mut(&channel).and_then(|all| all.get_mut(&message)) {
                found.reactions.iter_mut().filter(|one| one.emoji == emoji).for_each(|one| {
                    one.users.retain(|who| *who != user);
                });
                found.reactions.retain(|one| !one.users.is_empty());
            }
            json!({
                "user_id": user, "channel_id": channel, "message_id": message, "guild_id": guild,
                "emoji": models::emoji(emoji), "burst": false, "type": 0,
            })
        })
    }

    /// Somebody comes into the guild. The data of its `GUILD_MEMBER_ADD`.
    pub fn member_add_event(&self, guild: impl Into<Id>, user: impl Into<Id>) -> Value {
        let (guild, user) = (guild.into(), user.into());
        let _ = self.guild(guild).member(user, |_| ());
        self.with(|state| with_guild(models::member(state, &state.guilds[&guild].members[&user]), guild))
    }

    /// The data of the `GUILD_MEMBER_UPDATE` of a member as it is.
    pub fn member_update_event(&self, guild: impl Into<Id>, user: impl Into<Id>) -> Value {
        let (guild, user) = (guild.into(), user.into());
        self.with(|state| with_guild(models::member(state, &state.guilds[&guild].members[&user]), guild))
    }

    /// Somebody leaves the guild. The data of its `GUILD_MEMBER_REMOVE`.
    pub fn member_remove_event(&self, guild: impl Into<Id>, user: impl Into<Id>) -> Value {
        let (guild, user) = (guild.into(), user.into());
        self.with(|state| {
            state.guilds.get_mut(&guild).expect("the test built this guild").members.remove(&user);
            json!({"guild_id": guild, "user": models::user(state, user)})
        })
    }

    /// The data of the `GUILD_BAN_ADD` or `GUILD_BAN_REMOVE` of a user.
    pub fn ban_event(&self, guild: impl Into<Id>, user: impl Into<Id>) -> Value {
        let (guild, user) = (guild.into(), user.into());
        self.with(|state| json!({"guild_id": guild, "user": models::user(state, user)}))
    }

    /// The data of the `GUILD_AUDIT_LOG_ENTRY_CREATE` of the latest entry of the guild's log.
    pub fn audit_log_entry_event(&self, guild: impl Into<Id>) -> Value {
        let guild = guild.into();
        self.with(|state| {
            let latest = state.guilds[&guild].audit_log.last().expect("the log has an entry");
            with_guild(models::entry(latest), guild)
        })
    }

    /// The data of the `CHANNEL_CREATE`, `CHANNEL_UPDATE` or `CHANNEL_DELETE` of a channel as the bot sees
    /// it, and of the `THREAD_` events. Of a channel that is hidden from the bot there is little more than the id.
    pub fn channel_event(&self, channel: impl Into<Id>) -> Value {
        let channel = channel.into();
        self.with(|state| models::channel_event(state, &state.channels[&channel]))
    }

    /// The data of the `GUILD_ROLE_DELETE` of a role.
    pub fn role_delete_event(&self, guild: impl Into<Id>, role: impl Into<Id>) -> Value {
        json!({"guild_id": guild.into(), "role_id": role.into()})
    }

    /// The data of the `GUILD_ROLE_CREATE` or `GUILD_ROLE_UPDATE` of a role as it is.
    pub fn role_event(&self, guild: impl Into<Id>, role: impl Into<Id>) -> Value {
        let (guild, role) = (guild.into(), role.into());
        self.with(
            |state| json!({"guild_id": guild, "role": models::role(&state.guilds[&guild].roles[&role])}),
        )
    }

    /// The data of the `GUILD_CREATE` of a guild as it is: with channels, threads and members.
    pub fn guild_event(&self, guild: impl Into<Id>) -> Value {
        let guild = guild.into();
        self.with(|state| {
            let found = &state.guilds[&guild];
            let (threads, channels): (Vec<_>, Vec<_>) = state
                .channels
                .values()
                .filter(|one| one.guild == guild)
                .partition(|one| one.thread.is_some());
            let all = |list: Vec<&super::Channel>| -> Value {
                list.into_iter().map(|one| models::channel_event(state, one)).collect()
            };
            let mut event = models::guild(found);
            event["channels"] = all(channels);
            event["threads"] = all(threads);
            event["members"] = found.members.values().map(|member| models::member(state, member)).collect();
            event["member_count"] = json!(found.members.len());
            event["joined_at"] =
                json!(found.members.get(&state.bot).map(|member| models::stamp(member.joined_at)));
            for key in ["large", "unavailable"] {
                event[key] = json!(false);
            }
            for key in [
                "voice_states",
                "presences",
                "stage_instances",
                "guild_scheduled_events",
                "soundboard_sounds",
            ] {
                event[key] = json!([]);
            }
            event
        })
    }

    /// Somebody uses a slash command. The data of its `INTERACTION_CREATE`, whose token can be answered.
    pub fn command_event(
        &self,
        channel: impl Into<Id>,
        user: impl Into<Id>,
        name: &str,
        options: &Value,
    ) -> Value {
        let channel = channel.into();
        let command = self.with(|state| {
            let guild = &state.guilds[&state.channels[&channel].guild];
            let found = guild.commands.iter().find(|(_, one)| one["name"] == name).map(|(id, _)| *id);
            found.unwrap_or_else(|| state.fresh_id())
        });
        let data = json!({"id": command, "name": name, "type": 1, "options": options});
        self.interaction_event(channel, user, 2, &data, None)
    }

    /// Somebody uses a component of a message. The data of its `INTERACTION_CREATE`.
    pub fn component_event(
        &self,
        channel: impl Into<Id>,
        message: impl Into<Id>,
        user: impl Into<Id>,
        custom_id: &str,
    ) -> Value {
        let data = json!({"custom_id": custom_id, "component_type": 2});
        self.interaction_event(channel, user, 3, &data, Some(message.into()))
    }

    /// Any interaction: `kind` is Discord's number of its type, `data` what belongs to it.
    pub fn interaction_event(
        &self,
        channel: impl Into<Id>,
        user: impl Into<Id>,
        kind: u64,
        data: &Value,
        message: Option<Id>,
    ) -> Value {
        let (channel, user) = (channel.into(), user.into());
        self.with(|state| {
            let (id, guild) = (state.fresh_id(), state.channels[&channel].guild);
            let token = format!("interaction-{:x}", id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut member = models::member(state, &state.guilds[&guild].members[&user]);
            member["permissions"] = json!(state.permissions_in(channel, user).to_string());
            let bot_may = state.permissions_in(channel, state.bot).to_string();
            let mut event = json!({
                "id": id, "application_id": state.bot, "type": kind, "data": data, "guild_id": guild,
                "channel_id": channel, "channel": models::channel(state, &state.channels[&channel]),
                "member": member, "token": token, "version": 1, "app_permissions": bot_may, "locale": "en-US",
                "guild_locale": "en-US", "entitlements": [], "context": 0,
                "authorizing_integration_owners": {"0": guild}, "attachment_size_limit": 10_485_760,
            });
            if let Some(message) = message {
                event["message"] = models::message(state, &state.messages[&channel][&message]);
            }
            let interaction = Interaction {
                id,
                token: token.clone(),
                guild,
                channel,
                user,
                kind,
                message,
                response: None,
                original: None,
                followups: Vec::new(),
                pushed: state.pushed,
            };
            state.interactions.insert(token, interaction);
            event
        })
    }

    /// What became of an interaction.
    pub fn interaction(&self, token: &str) -> Option<Interaction> {
        self.with(|state| state.interactions.get(token).cloned())
    }
}

fn with_guild(mut model: Value, guild: Id) -> Value {
    model["guild_id"] = json!(guild);
    model
}

/// On the gateway a message brings its guild and its author's membership along, without the account in it.
fn message_event(state: &State, message: &Message) -> Value {
    let guild = state.channels[&message.channel].guild;
    let mut event = with_guild(models::message(state, message), guild);
    if let Some(member) = state.guilds.get(&guild).and_then(|guild| guild.members.get(&message.author)) {
        let mut model = models::member(state, member);
        if let Some(fields) = model.as_object_mut() {
            fields.remove("user");
        }
        event["member"] = model;
    }
    event
}
