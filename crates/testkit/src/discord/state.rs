//! What the simulated Discord knows: ids, its clock, all records, and how they are found.
//!
//! What a record has is in `records`, who may do what in `permissions`, and what a request does in `routes`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;
use time::OffsetDateTime;

use super::errors::{self, Failure};
use super::permissions::{self, MANAGE_THREADS, Permissions, VIEW_CHANNEL};
use super::records::{Channel, Guild, Interaction, Invite, Message, User, Webhook};

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
    /// How far a test has pushed it.
    pub pushed: Duration,
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
            pushed: Duration::ZERO,
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
    pub(super) fn guild(&self, id: Id) -> Result<&Guild, Failure> {
        let guild = self.guilds.get(&id).ok_or_else(errors::unknown_guild)?;
        if guild.members.contains_key(&self.bot) { Ok(guild) } else { Err(errors::missing_access()) }
    }

    /// As [`State::guild`], to change it.
    pub(super) fn guild_mut(&mut self, id: Id) -> Result<&mut Guild, Failure> {
        self.guild(id)?;
        self.guilds.get_mut(&id).ok_or_else(errors::unknown_guild)
    }

    /// The guild, if the bot may do all of `wanted` in it.
    pub(super) fn guild_with(&mut self, id: Id, wanted: Permissions) -> Result<&mut Guild, Failure> {
        let bot = self.bot;
        if !permissions::has(permissions::in_guild(self.guild(id)?, bot, self.now), wanted) {
            return Err(errors::missing_permissions());
        }
        self.guild_mut(id)
    }

    /// The channel, if the bot sees it and may do all of `wanted` in it.
    pub(super) fn channel_with(&mut self, id: Id, wanted: Permissions) -> Result<&mut Channel, Failure> {
        let channel = self.channels.get(&id).ok_or_else(errors::unknown_channel)?;
        self.guild(channel.guild).map_err(|_| errors::missing_access())?;
        let may = self.permissions_in(id, self.bot);
        if !permissions::has(may, VIEW_CHANNEL) {
            return Err(errors::missing_access());
        }
        if !permissions::has(may, wanted) {
            return Err(errors::missing_permissions());
        }
        self.channels.get_mut(&id).ok_or_else(errors::unknown_channel)
    }

    /// What `user` may do in `channel`. A thread has no overwrites of its own: its parent's count; and a private one
    /// is only seen by who is in it, and by moderators.
    pub fn permissions_in(&self, channel: Id, user: Id) -> Permissions {
        let Some(channel) = self.channels.get(&channel) else { return 0 };
        let Some(guild) = self.guilds.get(&channel.guild) else { return 0 };
        let parent = channel.thread.as_ref().and(channel.parent).and_then(|id| self.channels.get(&id));
        let may = permissions::in_channel(guild, parent.unwrap_or(channel), user, self.now);
        let hidden = channel.kind == 12
            && !permissions::has(may, MANAGE_THREADS)
            && channel.thread.as_ref().is_some_and(|thread| !thread.members.contains(&user));
        if hidden { 0 } else { may }
    }

    /// The channel that JSON names, if it is one of the guild; none for null.
    pub(super) fn channel_of(&self, guild: Id, named: &Value) -> Result<Option<Id>, Failure> {
        let Some(id) = Id::of(named) else { return Ok(None) };
        let is_here = self.channels.get(&id).is_some_and(|channel| channel.guild == guild);
        if is_here { Ok(Some(id)) } else { Err(errors::unknown_channel()) }
    }

    /// Whether the bot sees the channel: a category also if it sees one in it.
    pub fn bot_sees(&self, channel: &Channel) -> bool {
        let sees = |one: &Channel| permissions::has(self.permissions_in(one.id, self.bot), VIEW_CHANNEL);
        let inside = |one: &Channel| channel.kind == 4 && one.parent == Some(channel.id);
        sees(channel) || self.channels.values().any(|one| inside(one) && sees(one))
    }

    /// The message of `channel`.
    pub(super) fn message(&mut self, channel: Id, id: Id) -> Result<&mut Message, Failure> {
        let messages = self.messages.get_mut(&channel);
        messages.and_then(|messages| messages.get_mut(&id)).ok_or_else(errors::unknown_message)
    }
}
