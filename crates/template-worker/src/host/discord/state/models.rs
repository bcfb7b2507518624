//! The parts of Discord's data that permissions depend on; everything else in it is skipped.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use twilight_model::guild::Permissions;
use twilight_model::id::Id;
use twilight_model::id::marker::GenericMarker;

use super::super::permissions::{Guild, Member, Overwrite, Role};

type AnyId = Id<GenericMarker>;

/// A channel or thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: u64,
    /// Discord's number for what it is.
    pub kind: u8,
    /// The guild that it is in.
    pub guild: Option<u64>,
    /// Its category, or the channel of a thread.
    pub parent: Option<u64>,
    /// What it says about roles and members.
    pub overwrites: Vec<Overwrite>,
}

impl Channel {
    /// Whether it is a thread.
    pub fn is_thread(&self) -> bool {
        matches!(self.kind, 10..=12)
    }

    /// Whether one can speak in it.
    pub fn is_voice(&self) -> bool {
        matches!(self.kind, 2 | 13)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Identified {
    pub(super) id: AnyId,
}

#[derive(Debug, Deserialize)]
pub(super) struct WithGuild {
    pub(super) guild_id: AnyId,
}

#[derive(Debug, Deserialize)]
pub(super) struct GuildData {
    pub(super) id: AnyId,
    owner_id: AnyId,
    roles: Vec<RoleData>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct RoleData {
    id: AnyId,
    permissions: Permissions,
    position: i64,
    #[serde(default)]
    managed: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ThreadsAndChannels {
    #[serde(default)]
    pub(super) channels: Vec<ChannelData>,
    #[serde(default)]
    pub(super) threads: Vec<ChannelData>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChannelData {
    pub(super) id: AnyId,
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<AnyId>,
    parent_id: Option<AnyId>,
    #[serde(default)]
    permission_overwrites: Vec<OverwriteData>,
}

impl ChannelData {
    pub(super) fn set_guild(&mut self, guild: u64) {
        self.guild_id = Id::new_checked(guild);
    }
}

#[derive(Debug, Deserialize)]
struct OverwriteData {
    id: AnyId,
    #[serde(rename = "type")]
    kind: u8,
    allow: Permissions,
    deny: Permissions,
}

#[derive(Debug, Deserialize)]
pub(super) struct MemberData {
    user: Option<Identified>,
    #[serde(default)]
    roles: Vec<AnyId>,
    communication_disabled_until: Option<String>,
}

impl MemberData {
    pub(super) fn user_id(&self) -> Option<u64> {
        self.user.as_ref().map(|user| user.id.get())
    }

    pub(super) fn into_member(self, user: u64) -> Member {
        let until = self.communication_disabled_until;
        let until = until.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
        Member {
            user,
            roles: self.roles.into_iter().map(Id::get).collect(),
            timed_out_until: until.map(OffsetDateTime::unix_timestamp),
        }
    }
}

impl From<GuildData> for Guild {
    fn from(data: GuildData) -> Self {
        let role = |role: RoleData| {
            let id = role.id.get();
            (
                id,
                Role { id, permissions: role.permissions, position: role.position, is_managed: role.managed },
            )
        };
        Self {
            id: data.id.get(),
            owner: data.owner_id.get(),
            roles: data.roles.into_iter().map(role).collect(),
            features: data.features,
        }
    }
}

impl From<ChannelData> for Channel {
    fn from(data: ChannelData) -> Self {
        let overwrite = |one: OverwriteData| Overwrite {
            id: one.id.get(),
            is_member: one.kind == 1,
            allow: one.allow,
            deny: one.deny,
        };
        Self {
            id: data.id.get(),
            kind: data.kind,
            guild: data.guild_id.map(Id::get),
            parent: data.parent_id.map(Id::get),
            overwrites: data.permission_overwrites.into_iter().map(overwrite).collect(),
        }
    }
}
