//! The records of the simulated Discord: guilds, channels, people, messages, and what hangs on them.
//!
//! Fields are public, so that a test sets what it needs. How they look on the wire is in `models`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::audit::Entry;
use super::permissions::Permissions;
use super::state::Id;

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
    /// How far the clock had been pushed when it came.
    pub pushed: Duration,
}
