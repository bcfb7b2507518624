//! Building guilds in tests: each call takes effect at once, also in the middle of a test.
//!
//! The closures run while the state is locked: they change what they are given, and ask the simulator nothing.

use super::records::{Channel, Guild, Invite, Member, Message, Role, Thread, User, Webhook};
use super::state::{Id, State};
use super::{Discord, OWNER, permissions};
use serde_json::Map;

/// A guild that is being built. Every method adds what isn't there yet, and hands it to the closure to be changed.
pub struct GuildBuilder<'d> {
    discord: &'d Discord,
    id: Id,
}

/// The role of the bot in the guild of this id.
fn bot_role(guild: Id) -> Id {
    Id(guild.0 + 1)
}

impl<'d> GuildBuilder<'d> {
    pub(super) fn of(discord: &'d Discord, id: Id) -> Self {
        discord.with(|state| {
            if !state.guilds.contains_key(&id) {
                let guild = new_guild(id, state);
                state.guilds.insert(id, guild);
            }
        });
        Self { discord, id }.member(OWNER, |_| ()).bot(permissions::ALL & !permissions::ADMINISTRATOR)
    }

    fn change(self, change: impl FnOnce(&mut State, Id)) -> Self {
        self.discord.with(|state| change(state, self.id));
        self
    }

    fn guild(self, change: impl FnOnce(&mut Guild)) -> Self {
        self.change(|state, id| change(state.guilds.get_mut(&id).expect("it was made")))
    }

    /// Changes the guild itself.
    pub fn set(self, change: impl FnOnce(&mut Guild)) -> Self {
        self.guild(change)
    }

    /// Gives the guild to somebody, who becomes a member.
    pub fn owner(self, user: impl Into<Id>) -> Self {
        let user = user.into();
        self.member(user, |_| ()).guild(|guild| guild.owner = user)
    }

    /// What everyone may do.
    pub fn everyone(self, permissions: permissions::Permissions) -> Self {
        let id = self.id;
        self.role(id, |role| role.permissions = permissions)
    }

    /// What the bot's own role allows it, which by default is everything but to administrate. The role stands above
    /// those that [`GuildBuilder::role`] adds.
    pub fn bot_permissions(self, permissions: permissions::Permissions) -> Self {
        let role = bot_role(self.id);
        self.role(role, |role| role.permissions = permissions)
    }

    /// Where the bot's own role stands, which by default is at 100.
    pub fn bot_position(self, position: i64) -> Self {
        let role = bot_role(self.id);
        self.role(role, |role| role.position = position)
    }

    /// Takes the bot out of the guild.
    pub fn without_bot(self) -> Self {
        self.change(|state, id| {
            let bot = state.bot;
            state.guilds.get_mut(&id).expect("it was made").members.remove(&bot);
        })
    }

    fn bot(self, permissions: permissions::Permissions) -> Self {
        let role = bot_role(self.id);
        let is_new = self.discord.with(|state| !state.guilds[&self.id].roles.contains_key(&role));
        if !is_new {
            return self;
        }
        let bot = self.discord.with(|state| state.bot);
        self.role(role, |new| {
            new.name = "template-worker".to_owned();
            new.permissions = permissions;
            new.position = 100;
            new.managed = true;
        })
        .member(bot, |member| member.roles.push(role))
    }

    /// A role, above the ones before it and without permissions.
    pub fn role(self, id: impl Into<Id>, change: impl FnOnce(&mut Role)) -> Self {
        let id = id.into();
        self.guild(|guild| {
            let position = i64::try_from(guild.roles.len()).expect("a few roles").saturating_sub(1).max(1);
            change(guild.roles.entry(id).or_insert_with(|| new_role(id, position)));
        })
    }

    /// A member, and the account if there is none.
    pub fn member(self, user: impl Into<Id>, change: impl FnOnce(&mut Member)) -> Self {
        let user = user.into();
        self.change(|state, id| {
            let account = User { id: user, username: format!("user-{user}"), global_name: None, bot: false };
            state.users.entry(user).or_insert(account);
            let new = new_member(user, state);
            let guild = state.guilds.get_mut(&id).expect("it was made");
            change(guild.members.entry(user).or_insert(new));
        })
    }

    /// A text channel, unless `change` makes it another.
    pub fn channel(self, id: impl Into<Id>, change: impl FnOnce(&mut Channel)) -> Self {
        let id = id.into();
        self.change(|state, guild| {
            let position = state.channels.values().filter(|one| one.guild == guild).count();
            let new = new_channel(id, guild, i64::try_from(position).expect("a few channels"));
            change(state.channels.entry(id).or_insert(new));
        })
    }

    /// A public thread in a channel, opened by the guild's owner.
    pub fn thread(self, id: impl Into<Id>, parent: impl Into<Id>, change: impl FnOnce(&mut Channel)) -> Self {
        let parent = parent.into();
        self.channel(id, |channel| {
            channel.kind = 11;
            channel.parent = Some(parent);
            channel.thread = Some(Thread {
                owner: Id(OWNER),
                archived: false,
                locked: false,
                auto_archive_duration: 1440,
                members: vec![Id(OWNER)],
            });
            change(channel);
        })
    }

    /// A message in a channel, later than all before it.
    pub fn message(
        self,
        channel: impl Into<Id>,
        author: impl Into<Id>,
        content: &str,
        change: impl FnOnce(&mut Message),
    ) -> Self {
        let (channel, author) = (channel.into(), author.into());
        self.change(|state, _| {
            let id = state.fresh_id();
            let mut message = new_message(id, channel, author);
            content.clone_into(&mut message.content);
            change(&mut message);
            state.messages.entry(channel).or_default().insert(message.id, message);
        })
    }

    /// A webhook in a channel, made by the guild's owner, unless `change` makes it another. Its token is `secret-` and
    /// its id.
    pub fn webhook(
        self,
        id: impl Into<Id>,
        channel: impl Into<Id>,
        change: impl FnOnce(&mut Webhook),
    ) -> Self {
        let (id, channel) = (id.into(), channel.into());
        self.change(|state, guild| {
            change(state.webhooks.entry(id).or_insert_with(|| Webhook {
                id,
                guild,
                channel,
                name: format!("webhook-{id}"),
                avatar: None,
                creator: Id(OWNER),
                token: Some(format!("secret-{id}")),
                follows: None,
            }));
        })
    }

    /// An invitation to a channel, by the guild's owner and for ever, unless `change` makes it another.
    pub fn invite(self, code: &str, channel: impl Into<Id>, change: impl FnOnce(&mut Invite)) -> Self {
        let channel = channel.into();
        self.change(|state, guild| {
            let created_at = state.now;
            change(state.invites.entry(code.to_owned()).or_insert_with(|| Invite {
                code: code.to_owned(),
                guild,
                channel,
                inviter: Id(OWNER),
                max_age: 0,
                max_uses: 0,
                temporary: false,
                created_at,
            }));
        })
    }

    /// A ban.
    pub fn ban(self, user: impl Into<Id>, reason: Option<&str>) -> Self {
        let user = user.into();
        self.guild(|guild| {
            guild.members.remove(&user);
            guild.bans.insert(user, reason.map(str::to_owned));
        })
    }
}

fn new_guild(id: Id, state: &State) -> Guild {
    let mut guild = Guild {
        id,
        name: format!("guild-{id}"),
        owner: Id(OWNER),
        more: Map::new(),
        features: Vec::new(),
        roles: [(id, new_role(id, 0))].into(),
        members: std::collections::BTreeMap::new(),
        bans: std::collections::BTreeMap::new(),
        rules: std::collections::BTreeMap::new(),
        commands: std::collections::BTreeMap::new(),
        audit_log: Vec::new(),
    };
    guild.members.insert(state.bot, new_member(state.bot, state));
    let everyone = guild.roles.get_mut(&id).expect("it was just put there");
    "@everyone".clone_into(&mut everyone.name);
    everyone.permissions = permissions::EVERYONE;
    guild
}

pub(super) fn new_role(id: Id, position: i64) -> Role {
    Role {
        id,
        name: "new role".to_owned(),
        permissions: 0,
        position,
        color: 0,
        hoist: false,
        mentionable: false,
        managed: false,
        unicode_emoji: None,
    }
}

pub(super) fn new_member(user: Id, state: &State) -> Member {
    Member {
        user,
        nick: None,
        roles: Vec::new(),
        joined_at: state.now,
        timed_out_until: None,
        mute: false,
        deaf: false,
        flags: 0,
        voice_channel: None,
    }
}

pub(super) fn new_channel(id: Id, guild: Id, position: i64) -> Channel {
    Channel {
        id,
        guild,
        kind: 0,
        name: format!("channel-{id}"),
        position,
        parent: None,
        overwrites: Vec::new(),
        more: Map::new(),
        thread: None,
    }
}

pub(super) fn new_message(id: Id, channel: Id, author: Id) -> Message {
    Message {
        id,
        channel,
        author,
        webhook: None,
        content: String::new(),
        more: Map::new(),
        edited_at: None,
        pinned: false,
        reactions: Vec::new(),
    }
}
