//! What the simulated Discord knows: guilds, channels, people, messages, and everything that hangs on them.
//!
//! Owns the records and how they are found. How they look on the wire is in `models`, who may do what in
//! `permissions`, and what a request does to them in `routes`. Fields are public, so that a test sets what it needs.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::audit::Entry;
use super::errors::{self, Failure};
use super::permissions::{self, Permissions};

/// The id of anything: a snowflake, a string on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

impl From<u64> for Id {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<&str> for Id {
    fn from(id: &str) -> Self {
        Self(id.parse().unwrap_or_else(|_| panic!("{id:?} is no id")))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Id {
    /// The id that JSON carries, if it is one.
    pub fn of(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok().map(Self)
    }
}

/// Milliseconds between 1970 and 2015, where snowflakes begin.
const EPOCH: i128 = 1_420_070_400_000;

/// An account.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: Id,
    /// The unique name.
    pub username: String,
    /// The name that others see.
    pub global_name: Option<String>,
    /// Whether it is a bot.
    pub bot: bool,
}

/// A role; the one with the guild's id is everyone's.
#[derive(Clone, Debug)]
pub struct Role {
    /// The id.
    pub id: Id,
    /// The name.
    pub name: String,
    /// What its members may do.
    pub permissions: Permissions,
    /// Its place in the hierarchy; everyone's is 0.
    pub position: i64,
    /// The colour, as 0xRRGGBB.
    pub color: u32,
    /// Whether its members are listed apart.
    pub hoist: bool,
    /// Whether anybody may mention it.
    pub mentionable: bool,
    /// Whether an integration owns it, so that nobody may hand it out or delete it.
    pub managed: bool,
    /// Icon and emoji.
    pub unicode_emoji: Option<String>,
}

/// Somebody in a guild.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who.
    pub user: Id,
    /// The name in this guild.
    pub nick: Option<String>,
    /// The roles, without everyone's.
    pub roles: Vec<Id>,
    /// When they came.
    pub joined_at: OffsetDateTime,
    /// Until when they are timed out.
    pub timed_out_until: Option<OffsetDateTime>,
    /// Muted in voice channels.
    pub mute: bool,
    /// Deafened in voice channels.
    pub deaf: bool,
    /// The member's flags.
    pub flags: u64,
    /// The voice channel that they are in.
    pub voice_channel: Option<Id>,
}

/// For whom an overwrite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverwriteKind {
    /// A role.
    Role = 0,
    /// A member.
    Member = 1,
}

/// What a channel changes in the permissions of a role or a member.
#[derive(Clone, Copy, Debug)]
pub struct Overwrite {
    /// The role or the member.
    pub id: Id,
    /// Which of them.
    pub kind: OverwriteKind,
    /// Given.
    pub allow: Permissions,
    /// Taken.
    pub deny: Permissions,
}

/// What only threads have.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Who opened it.
    pub owner: Id,
    /// Closed.
    pub archived: bool,
    /// Only moderators open it again.
    pub locked: bool,
    /// Minutes of silence after which it closes.
    pub auto_archive_duration: u64,
    /// Who is in it.
    pub members: Vec<Id>,
}

/// A channel of a guild, or a thread.
#[derive(Clone, Debug)]
pub struct Channel {
    /// The id.
    pub id: Id,
    /// The guild that it belongs to.
    pub guild: Id,
    /// Discord's number: 0 text, 2 voice, 4 category, 5 announcement, 10 to 12 threads, 15 forum.
    pub kind: u64,
    /// The name.
    pub name: String,
    /// The place in the list.
    pub position: i64,
    /// The category; of a thread, the channel that it is in.
    pub parent: Option<Id>,
    /// What it changes in permissions.
    pub overwrites: Vec<Overwrite>,
    /// Topic, slow mode, bitrate and the like, as Discord writes them.
    pub more: Map<String, Value>,
    /// Set in threads.
    pub thread: Option<Thread>,
}

/// All who reacted with one emoji, in the order of their coming.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// `name` for the emoji of Unicode, `name:id` for a guild's own.
    pub emoji: String,
    /// Who.
    pub users: Vec<Id>,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The id, in whose order messages are.
    pub id: Id,
    /// Where it stands.
    pub channel: Id,
    /// Who wrote it: a user, or a webhook.
    pub author: Id,
    /// The webhook or interaction that brought it.
    pub webhook: Option<Id>,
    /// The text.
    pub content: String,
    /// Embeds, components, attachments, flags and the like, as Discord writes them.
    pub more: Map<String, Value>,
    /// When it was last changed.
    pub edited_at: Option<OffsetDateTime>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// The reactions, in the order of their coming.
    pub reactions: Vec<Reaction>,
}

/// A guild and what only exists in it.
#[derive(Clone, Debug)]
pub struct Guild {
    /// The id.
    pub id: Id,
    /// The name.
    pub name: String,
    /// Who may do everything.
    pub owner: Id,
    /// What `modify_guild` changes besides: description, verification level and the like, as Discord writes them.
    pub more: Map<String, Value>,
    /// Features, such as `COMMUNITY`.
    pub features: Vec<String>,
    /// The roles.
    pub roles: BTreeMap<Id, Role>,
    /// The members.
    pub members: BTreeMap<Id, Member>,
    /// The banned, with the reasons.
    pub bans: BTreeMap<Id, Option<String>>,
    /// The rules of auto-moderation, as Discord writes them.
    pub rules: BTreeMap<Id, Value>,
    /// The application's commands here, as Discord writes them.
    pub commands: BTreeMap<Id, Value>,
    /// What was done, oldest first.
    pub audit_log: Vec<Entry>,
}

/// A door into a channel for messages without an account.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The id.
    pub id: Id,
    /// The guild.
    pub guild: Id,
    /// The channel.
    pub channel: Id,
    /// The name that its messages carry.
    pub name: String,
    /// The picture's hash.
    pub avatar: Option<String>,
    /// Who made it.
    pub creator: Id,
    /// The secret; none for one that follows a channel.
    pub token: Option<String>,
    /// The channel whose announcements it brings.
    pub follows: Option<Id>,
}

/// An invitation to a guild.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The code.
    pub code: String,
    /// The guild.
    pub guild: Id,
    /// The channel that it leads to.
    pub channel: Id,
    /// Who made it.
    pub inviter: Id,
    /// Seconds; 0 is for ever.
    pub max_age: u64,
    /// How often it can be used; 0 is without end.
    pub max_uses: u64,
    /// Whether members who came by it leave with their connection.
    pub temporary: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A command, button or form that somebody used, and what the application made of it.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// The id.
    pub id: Id,
    /// What the application answers with.
    pub token: String,
    /// The guild.
    pub guild: Id,
    /// The channel.
    pub channel: Id,
    /// Who used it.
    pub user: Id,
    /// Discord's number of its kind: 2 command, 3 component, 4 autocomplete, 5 form.
    pub kind: u64,
    /// The message that a component stands on.
    pub message: Option<Id>,
    /// The answer as it came, once it has come.
    pub response: Option<Value>,
    /// The message that the answer made.
    pub original: Option<Id>,
    /// The further messages.
    pub followups: Vec<Id>,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// The bot, which is also the application.
    pub bot: Id,
    /// Accounts.
    pub users: BTreeMap<Id, User>,
    /// Guilds.
    pub guilds: BTreeMap<Id, Guild>,
    /// The channels and threads of all guilds.
    pub channels: BTreeMap<Id, Channel>,
    /// The messages of each channel.
    pub messages: HashMap<Id, BTreeMap<Id, Message>>,
    /// Webhooks.
    pub webhooks: BTreeMap<Id, Webhook>,
    /// Invitations by code.
    pub invites: BTreeMap<String, Invite>,
    /// Interactions by token.
    pub interactions: BTreeMap<String, Interaction>,
    /// The time of Discord's clock.
    pub now: OffsetDateTime,
    last_id: u64,
}

impl State {
    /// A Discord with a bot and nothing else.
    pub(super) fn new(bot: Id, now: OffsetDateTime) -> Self {
        let account = User { id: bot, username: "template-worker".to_owned(), global_name: None, bot: true };
        Self {
            bot,
            users: BTreeMap::from([(bot, account)]),
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            messages: HashMap::new(),
            webhooks: BTreeMap::new(),
            invites: BTreeMap::new(),
            interactions: BTreeMap::new(),
            now,
            last_id: 0,
        }
    }

    /// An id that nothing has, later than every one before.
    pub fn fresh_id(&mut self) -> Id {
        let at = u64::try_from(self.now.unix_timestamp_nanos() / 1_000_000 - EPOCH).unwrap_or(0) << 22;
        self.last_id = at.max(self.last_id + 1);
        Id(self.last_id)
    }

    /// When the thing of this id came into being.
    pub fn born(id: Id) -> OffsetDateTime {
        let at = i128::from(id.0 >> 22) + EPOCH;
        OffsetDateTime::from_unix_timestamp_nanos(at * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// How long ago that was.
    pub fn age(&self, id: Id) -> Duration {
        Duration::try_from(self.now - Self::born(id)).unwrap_or_default()
    }

    /// The guild, if the bot is in it.
    pub fn guild(&self, id: Id) -> Result<&Guild, Failure> {
        let guild = self.guilds.get(&id).ok_or_else(errors::unknown_guild)?;
        if guild.members.contains_key(&self.bot) { Ok(guild) } else { Err(errors::missing_access()) }
    }

    /// As [`State::guild`], to change it.
    pub fn guild_mut(&mut self, id: Id) -> Result<&mut Guild, Failure> {
        self.guild(id)?;
        self.guilds.get_mut(&id).ok_or_else(errors::unknown_guild)
    }

    /// The guild, if the bot may do all of `wanted` in it.
    pub fn guild_with(&mut self, id: Id, wanted: Permissions) -> Result<&mut Guild, Failure> {
        let bot = self.bot;
        if !permissions::has(permissions::in_guild(self.guild(id)?, bot, self.now), wanted) {
            return Err(errors::missing_permissions());
        }
        self.guild_mut(id)
    }

    /// The channel, if the bot sees it and may do all of `wanted` in it.
    pub fn channel_with(&mut self, id: Id, wanted: Permissions) -> Result<&mut Channel, Failure> {
        let channel = self.channels.get(&id).ok_or_else(errors::unknown_channel)?;
        let guild = self.guild(channel.guild).map_err(|_| errors::missing_access())?;
        let parent = self.overwrites_of(channel);
        let may = permissions::in_channel(guild, parent, self.bot, self.now);
        if !permissions::has(may, permissions::VIEW_CHANNEL) {
            return Err(errors::missing_access());
        }
        if !permissions::has(may, wanted) {
            return Err(errors::missing_permissions());
        }
        self.channels.get_mut(&id).ok_or_else(errors::unknown_channel)
    }

    /// What `user` may do in `channel`.
    pub fn permissions_in(&self, channel: Id, user: Id) -> Permissions {
        let Some(channel) = self.channels.get(&channel) else { return 0 };
        let Some(guild) = self.guilds.get(&channel.guild) else { return 0 };
        permissions::in_channel(guild, self.overwrites_of(channel), user, self.now)
    }

    /// The message of `channel`.
    pub fn message(&mut self, channel: Id, id: Id) -> Result<&mut Message, Failure> {
        let messages = self.messages.get_mut(&channel);
        messages.and_then(|messages| messages.get_mut(&id)).ok_or_else(errors::unknown_message)
    }

    /// A thread has no overwrites of its own: its parent's count.
    fn overwrites_of<'a>(&'a self, channel: &'a Channel) -> &'a [Overwrite] {
        let parent = channel.thread.as_ref().and(channel.parent).and_then(|id| self.channels.get(&id));
        &parent.unwrap_or(channel).overwrites
    }
}
