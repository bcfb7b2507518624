//! What somebody may do in a guild or a channel, as Discord computes it, and who stands above whom.
//!
//! Owns the computation on plain data, which knows neither where that comes from nor what it is asked for. The rules are
//! those of Discord's documentation on permissions.

use std::collections::BTreeMap;

use twilight_model::guild::Permissions;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: u64,
    /// What it allows.
    pub permissions: Permissions,
    /// Its place, counted from below.
    pub position: i64,
    /// Whether an integration owns it, so that nobody can give it.
    pub is_managed: bool,
}

/// A guild, as far as permissions depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guild {
    /// Its id, which is also that of the role that everybody has.
    pub id: u64,
    /// Who owns it.
    pub owner: u64,
    /// Its roles by id.
    pub roles: BTreeMap<u64, Role>,
    /// The features that it has.
    pub features: Vec<String>,
}

/// A member, as far as permissions depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// The id of the user.
    pub user: u64,
    /// The ids of the roles.
    pub roles: Vec<u64>,
    /// The end of the time-out, in seconds since 1970.
    pub timed_out_until: Option<i64>,
}

/// What a channel says about a role or a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overwrite {
    /// The id of the role or user.
    pub id: u64,
    /// Whether it is about a member; otherwise about a role.
    pub is_member: bool,
    /// What is allowed in spite of the roles.
    pub allow: Permissions,
    /// What is denied in spite of the roles.
    pub deny: Permissions,
}

/// What kind of channel it is, as far as permissions depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, announcements, a forum, a category.
    Text,
    /// Voice or a stage.
    Voice,
    /// A thread, which has the overwrites of its parent.
    Thread,
}

/// What a timed out member keeps.
const IN_TIME_OUT: Permissions = Permissions::VIEW_CHANNEL.union(Permissions::READ_MESSAGE_HISTORY);

/// What somebody who cannot send cannot do either.
const WITH_SENDING: Permissions = Permissions::MENTION_EVERYONE
    .union(Permissions::SEND_TTS_MESSAGES)
    .union(Permissions::ATTACH_FILES)
    .union(Permissions::EMBED_LINKS)
    .union(Permissions::SEND_POLLS)
    .union(Permissions::SEND_VOICE_MESSAGES);

/// Every permission, also those that are not known here.
pub const ALL: Permissions = Permissions::from_bits_retain(u64::MAX);

impl Guild {
    /// What `member` may in the guild at `now`, in seconds since 1970.
    pub fn permissions(&self, member: &Member, now: i64) -> Permissions {
        let all = self.by_roles(member);
        if all == ALL { ALL } else { in_time_out(all, member, now) }
    }

    /// What `member` may in a channel with these overwrites at `now`.
    pub fn permissions_in(
        &self,
        overwrites: &[Overwrite],
        kind: Kind,
        member: &Member,
        now: i64,
    ) -> Permissions {
        let base = self.by_roles(member);
        if base == ALL {
            return ALL;
        }
        let apply = |to: Permissions, allow: Permissions, deny: Permissions| to.difference(deny).union(allow);
        let about = |id: u64, is_member: bool| {
            overwrites.iter().find(move |one| one.id == id && one.is_member == is_member)
        };
        let mut all = base;
        if let Some(everyone) = about(self.id, false) {
            all = apply(all, everyone.allow, everyone.deny);
        }
        let (mut allow, mut deny) = (Permissions::empty(), Permissions::empty());
        for role in
            member.roles.iter().filter(|role| **role != self.id).filter_map(|role| about(*role, false))
        {
            allow = allow.union(role.allow);
            deny = deny.union(role.deny);
        }
        all = apply(all, allow, deny);
        if let Some(own) = about(member.user, true) {
            all = apply(all, own.allow, own.deny);
        }
        implied(in_time_out(all, member, now), kind)
    }

    /// What the roles of `member` allow together; [`ALL`] for the owner and administrators.
    fn by_roles(&self, member: &Member) -> Permissions {
        if member.user == self.owner {
            return ALL;
        }
        let roles = std::iter::once(&self.id).chain(&member.roles);
        let all = roles
            .filter_map(|role| self.roles.get(role))
            .fold(Permissions::empty(), |all, role| all.union(role.permissions));
        if all.contains(Permissions::ADMINISTRATOR) { ALL } else { all }
    }

    /// The highest role of `member`: its place, and the smaller id above the larger where places are equal.
    fn highest(&self, member: &Member) -> (i64, std::cmp::Reverse<u64>) {
        let roles = member.roles.iter().filter_map(|role| self.roles.get(role));
        let everyone = (0, std::cmp::Reverse(self.id));
        roles.map(|role| (role.position, std::cmp::Reverse(role.id))).max().unwrap_or(everyone)
    }

    /// Whether `member` stands above `other`: nobody above the owner, and nobody above themselves.
    pub fn outranks(&self, member: &Member, other: &Member) -> bool {
        if other.user == self.owner || other.user == member.user {
            return false;
        }
        member.user == self.owner || self.highest(member) > self.highest(other)
    }

    /// Whether `role` stands below the highest role of `member`.
    pub fn is_below(&self, role: &Role, member: &Member) -> bool {
        member.user == self.owner || self.highest(member) > (role.position, std::cmp::Reverse(role.id))
    }

    /// Whether `member` can put a role at `position`.
    pub fn can_place(&self, position: i64, member: &Member) -> bool {
        member.user == self.owner || position < self.highest(member).0
    }
}

fn in_time_out(all: Permissions, member: &Member, now: i64) -> Permissions {
    match member.timed_out_until {
        Some(until) if until > now => all.intersection(IN_TIME_OUT),
        _ => all,
    }
}

/// Takes away what means nothing without something else.
fn implied(all: Permissions, kind: Kind) -> Permissions {
    if !all.contains(Permissions::VIEW_CHANNEL)
        || (kind == Kind::Voice && !all.contains(Permissions::CONNECT))
    {
        return Permissions::empty();
    }
    let send = match kind {
        Kind::Thread => Permissions::SEND_MESSAGES_IN_THREADS,
        Kind::Text | Kind::Voice => Permissions::SEND_MESSAGES,
    };
    if all.contains(send) { all } else { all.difference(WITH_SENDING) }
}

/// The names of the permissions that `needed` has and `held` lacks, as Discord writes them.
pub fn missing(held: Permissions, needed: Permissions) -> Option<String> {
    let lacking = needed.difference(held);
    if lacking.is_empty() {
        return None;
    }
    let mut names: Vec<String> =
        lacking.iter_names().map(|(name, _)| discords_name(name).to_owned()).collect();
    let unknown = lacking.difference(Permissions::all());
    if !unknown.is_empty() {
        names.push(format!("{:#x}", unknown.bits()));
    }
    Some(names.join(", "))
}

/// Some have another name in the library.
fn discords_name(name: &str) -> &str {
    match name {
        "CREATE_INVITE" => "CREATE_INSTANT_INVITE",
        "MANAGE_EMOJIS_AND_STICKERS" => "MANAGE_GUILD_EXPRESSIONS",
        "USE_SLASH_COMMANDS" => "USE_APPLICATION_COMMANDS",
        other => other,
    }
}

#[cfg(test)]
#[path = "permissions_tests.rs"]
mod tests;
