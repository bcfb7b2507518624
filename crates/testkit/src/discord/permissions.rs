//! Who may do what: permissions by Discord's documented rules, and the hierarchy of roles.
//!
//! Written for itself, and shares nothing with the service: it is the second opinion about what the service allows.

use time::OffsetDateTime;

use super::records::{Channel, Guild, Overwrite, OverwriteKind};
use super::state::Id;

/// A set of permissions, one bit each.
pub type Permissions = u64;

macro_rules! permissions {
    ($($name:ident = $bit:literal,)*) => {
        $(#[doc = concat!("Discord's permission `", stringify!($name), "`.")] pub const $name: Permissions = 1 << $bit;)*
        /// Every permission there is.
        pub const ALL: Permissions = $($name)|*;
    };
}

permissions! {
    CREATE_INSTANT_INVITE = 0, KICK_MEMBERS = 1, BAN_MEMBERS = 2, ADMINISTRATOR = 3, MANAGE_CHANNELS = 4,
    MANAGE_GUILD = 5, ADD_REACTIONS = 6, VIEW_AUDIT_LOG = 7, PRIORITY_SPEAKER = 8, STREAM = 9, VIEW_CHANNEL = 10,
    SEND_MESSAGES = 11, SEND_TTS_MESSAGES = 12, MANAGE_MESSAGES = 13, EMBED_LINKS = 14, ATTACH_FILES = 15,
    READ_MESSAGE_HISTORY = 16, MENTION_EVERYONE = 17, USE_EXTERNAL_EMOJIS = 18, VIEW_GUILD_INSIGHTS = 19,
    CONNECT = 20, SPEAK = 21, MUTE_MEMBERS = 22, DEAFEN_MEMBERS = 23, MOVE_MEMBERS = 24, USE_VAD = 25,
    CHANGE_NICKNAME = 26, MANAGE_NICKNAMES = 27, MANAGE_ROLES = 28, MANAGE_WEBHOOKS = 29,
    MANAGE_GUILD_EXPRESSIONS = 30, USE_APPLICATION_COMMANDS = 31, REQUEST_TO_SPEAK = 32, MANAGE_EVENTS = 33,
    MANAGE_THREADS = 34, CREATE_PUBLIC_THREADS = 35, CREATE_PRIVATE_THREADS = 36, USE_EXTERNAL_STICKERS = 37,
    SEND_MESSAGES_IN_THREADS = 38, USE_EMBEDDED_ACTIVITIES = 39, MODERATE_MEMBERS = 40,
    VIEW_CREATOR_MONETIZATION_ANALYTICS = 41, USE_SOUNDBOARD = 42, CREATE_GUILD_EXPRESSIONS = 43,
    CREATE_EVENTS = 44, USE_EXTERNAL_SOUNDS = 45, SEND_VOICE_MESSAGES = 46, SEND_POLLS = 49, USE_EXTERNAL_APPS = 50,
    PIN_MESSAGES = 51,
}

/// What everyone may do in a guild that nobody has changed.
pub const EVERYONE: Permissions = CREATE_INSTANT_INVITE
    | ADD_REACTIONS
    | VIEW_CHANNEL
    | SEND_MESSAGES
    | EMBED_LINKS
    | ATTACH_FILES
    | READ_MESSAGE_HISTORY
    | CONNECT
    | SPEAK
    | CHANGE_NICKNAME
    | USE_APPLICATION_COMMANDS
    | CREATE_PUBLIC_THREADS
    | SEND_MESSAGES_IN_THREADS;

/// What nobody has in a channel where they may not send messages.
const GO_WITH_SENDING: Permissions = MENTION_EVERYONE | SEND_TTS_MESSAGES | ATTACH_FILES | EMBED_LINKS;

/// Whether `set` has all of `wanted`.
pub fn has(set: Permissions, wanted: Permissions) -> bool {
    set & wanted == wanted
}

/// What `user` may do in `guild`, whatever the channel. Nothing, if they are no member.
pub fn in_guild(guild: &Guild, user: Id, now: OffsetDateTime) -> Permissions {
    let Some(member) = guild.members.get(&user) else { return 0 };
    if guild.owner == user {
        return ALL;
    }
    let roles = [guild.id].into_iter().chain(member.roles.iter().copied());
    let sum = roles.filter_map(|id| guild.roles.get(&id)).fold(0, |sum, role| sum | role.permissions);
    if has(sum, ADMINISTRATOR) {
        return ALL;
    }
    match member.timed_out_until {
        Some(until) if until > now => sum & (VIEW_CHANNEL | READ_MESSAGE_HISTORY),
        _ => sum,
    }
}

/// What `user` may do in a channel of `guild`: everyone's overwrite, then all of the roles' at once, then the member's
/// own; and then what goes with something that is denied.
pub fn in_channel(guild: &Guild, channel: &Channel, user: Id, now: OffsetDateTime) -> Permissions {
    let base = in_guild(guild, user, now);
    let Some(member) = guild.members.get(&user) else { return 0 };
    if has(base, ADMINISTRATOR) {
        return ALL;
    }
    let apply = |to: Permissions, which: &dyn Fn(&Overwrite) -> bool| {
        let chosen = channel.overwrites.iter().filter(|overwrite| which(overwrite));
        let (allow, deny) = chosen.fold((0, 0), |(allow, deny), one| (allow | one.allow, deny | one.deny));
        to & !deny | allow
    };
    let role = |one: &Overwrite| one.kind == OverwriteKind::Role;
    let sum = apply(base, &|one| role(one) && one.id == guild.id);
    let sum = apply(sum, &|one| role(one) && member.roles.contains(&one.id));
    let sum = apply(sum, &|one| one.kind == OverwriteKind::Member && one.id == user);
    let is_voice = [2, 13].contains(&channel.kind);
    let timed_out = member.timed_out_until.is_some_and(|until| until > now);
    match sum {
        sum if !has(sum, VIEW_CHANNEL) => 0,
        sum if timed_out => sum & (VIEW_CHANNEL | READ_MESSAGE_HISTORY),
        sum if is_voice && !has(sum, CONNECT) => sum & VIEW_CHANNEL,
        sum if !has(sum, SEND_MESSAGES) => sum & !GO_WITH_SENDING,
        sum => sum,
    }
}

/// The place of the highest role of `user`: the later of two at one position is the lower.
fn rank(guild: &Guild, user: Id) -> (i64, std::cmp::Reverse<Id>) {
    let roles = guild.members.get(&user).map(|member| member.roles.as_slice()).unwrap_or_default();
    let ranks = roles.iter().filter_map(|id| guild.roles.get(id)).map(|role| place(guild, role.id));
    ranks.max().unwrap_or((0, std::cmp::Reverse(guild.id)))
}

fn place(guild: &Guild, role: Id) -> (i64, std::cmp::Reverse<Id>) {
    (guild.roles.get(&role).map_or(0, |role| role.position), std::cmp::Reverse(role))
}

/// Whether `user` stands above `other`. Nobody does above the owner.
pub fn outranks(guild: &Guild, user: Id, other: Id) -> bool {
    match guild.owner {
        owner if owner == other => false,
        owner if owner == user => true,
        _ => rank(guild, user) > rank(guild, other),
    }
}

/// Whether `user` stands above the role.
pub fn above_role(guild: &Guild, user: Id, role: Id) -> bool {
    guild.owner == user || rank(guild, user) > place(guild, role)
}
