//! Channels, their overwrites and their invites.

use super::super::validate::{Rule, Shape, Thing, shape};

/// Seconds of slow mode: six hours.
const SLOW_MODE: Rule = Rule::Integer(0, 21_600);
const POSITION_IN_LIST: Rule = Rule::Integer(0, 0x7FFF_FFFF);
const ARCHIVE_AFTER: Rule = Rule::Choice(&[60, 1440, 4320, 10_080]);
const OVERWRITES: Rule = Rule::List(&Rule::Object(&OVERWRITE), 0, 100);
const TAGS: Rule = Rule::List(&Rule::Object(&TAG), 0, 20);

/// What `create_guild_channel` takes.
pub const NEW: Shape = shape!("DiscordCreateChannel", "A channel to make.", {
    name: "string" = Rule::Text(1, 100), "Its name.";
    type: "number?" = Rule::Choice(&[0, 2, 4, 5, 13, 14, 15, 16]), "0 text, 2 voice, 4 category, 5 announcements, 13 stage, 15 forum, 16 media.";
    topic: "string?" = Rule::Text(0, 1024), "What it is about.";
    bitrate: "number?" = Rule::Integer(8000, 384_000), "Bits per second, for voice.";
    user_limit: "number?" = Rule::Integer(0, 10_000), "The most users, for voice; 0 for no limit.";
    rate_limit_per_user: "number?" = SLOW_MODE, "Seconds between two messages of a user.";
    position: "number?" = POSITION_IN_LIST, "Its place among the others.";
    permission_overwrites: "{DiscordOverwrite}?" = OVERWRITES, "What is allowed and denied there; only of what the bot may itself.";
    parent_id: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Id(Thing::Channel)), "The category that it is in.";
    nsfw: "boolean?" = Rule::Boolean, "Whether it is for adults.";
    rtc_region: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Token(32)), "The region of its voice server.";
    video_quality_mode: "number?" = Rule::Choice(&[1, 2]), "1 automatic, 2 720p.";
    default_auto_archive_duration: "number?" = ARCHIVE_AFTER, "Minutes after which threads are put away.";
    default_reaction_emoji: "DiscordDefaultReaction?" = Rule::OrNull(&Rule::Object(&DEFAULT_REACTION)), "The emoji under posts of a forum.";
    available_tags: "{DiscordForumTag}?" = TAGS, "The tags of a forum.";
    default_sort_order: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Choice(&[0, 1])), "0 by activity, 1 by age.";
    default_forum_layout: "number?" = Rule::Choice(&[0, 1, 2]), "1 list, 2 tiles.";
    default_thread_rate_limit_per_user: "number?" = SLOW_MODE, "Seconds between two messages of a user, for new threads.";
});

/// What `edit_channel` takes.
pub const EDIT: Shape = shape!("DiscordEditChannel", "What changes about a channel or thread. `{}` takes a thing away.", {
    name: "string?" = Rule::Text(1, 100), "Its name.";
    type: "number?" = Rule::Choice(&[0, 5]), "0 text, 5 announcements.";
    position: "(number | DiscordNull)?" = Rule::OrNull(&POSITION_IN_LIST), "Its place among the others.";
    topic: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Text(0, 1024)), "What it is about.";
    nsfw: "(boolean | DiscordNull)?" = Rule::OrNull(&Rule::Boolean), "Whether it is for adults.";
    rate_limit_per_user: "(number | DiscordNull)?" = Rule::OrNull(&SLOW_MODE), "Seconds between two messages of a user.";
    bitrate: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Integer(8000, 384_000)), "Bits per second, for voice.";
    user_limit: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Integer(0, 10_000)), "The most users, for voice; 0 for no limit.";
    permission_overwrites: "{DiscordOverwrite}?" = OVERWRITES, "What is allowed and denied there; only of what the bot may itself.";
    parent_id: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Id(Thing::Channel)), "The category that it is in.";
    rtc_region: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Token(32)), "The region of its voice server.";
    video_quality_mode: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Choice(&[1, 2])), "1 automatic, 2 720p.";
    default_auto_archive_duration: "(number | DiscordNull)?" = Rule::OrNull(&ARCHIVE_AFTER), "Minutes after which threads are put away.";
    flags: "number?" = Rule::Choice(&[0, 2, 16, 18]), "2 pinned in its forum, 16 a tag is needed.";
    available_tags: "{DiscordForumTag}?" = TAGS, "The tags of a forum.";
    default_reaction_emoji: "DiscordDefaultReaction?" = Rule::OrNull(&Rule::Object(&DEFAULT_REACTION)), "The emoji under posts of a forum.";
    default_thread_rate_limit_per_user: "number?" = SLOW_MODE, "Seconds between two messages of a user, for new threads.";
    default_sort_order: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Choice(&[0, 1])), "0 by activity, 1 by age.";
    default_forum_layout: "number?" = Rule::Choice(&[0, 1, 2]), "1 list, 2 tiles.";
    archived: "boolean?" = Rule::Boolean, "Whether a thread is put away.";
    auto_archive_duration: "number?" = ARCHIVE_AFTER, "Minutes after which a thread is put away.";
    locked: "boolean?" = Rule::Boolean, "Whether only moderators can open a thread again.";
    invitable: "boolean?" = Rule::Boolean, "Whether members can add others to a private thread.";
    applied_tags: "{string}?" = Rule::List(&Rule::Id(Thing::Other), 0, 5), "The tags of a post.";
});

/// What a role or member may in a channel.
pub const OVERWRITE: Shape = shape!("DiscordOverwrite", "What a role or a member may in a channel.", {
    id: "string" = Rule::Id(Thing::OfGuild), "The id of the role or user.";
    type: "number" = Rule::Choice(&[0, 1]), "0 a role, 1 a user.";
    allow: "(string | number | DiscordNull)?" = Rule::OrNull(&Rule::Permissions), "The bits of what is allowed.";
    deny: "(string | number | DiscordNull)?" = Rule::OrNull(&Rule::Permissions), "The bits of what is denied.";
});

/// A tag of a forum.
pub const TAG: Shape = shape!("DiscordForumTag", "A tag of a forum.", {
    id: "string?" = Rule::Id(Thing::Other), "Its id, where it is there already.";
    name: "string" = Rule::Text(1, 20), "Its name.";
    moderated: "boolean?" = Rule::Boolean, "Whether only moderators can put it on posts.";
    emoji_id: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Id(Thing::Other)), "An emoji of the guild.";
    emoji_name: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Text(1, 64)), "An emoji as a character.";
});

/// The emoji under posts of a forum.
pub const DEFAULT_REACTION: Shape = shape!("DiscordDefaultReaction", "The emoji under posts of a forum.", {
    emoji_id: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Id(Thing::Other)), "An emoji of the guild.";
    emoji_name: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Text(1, 64)), "An emoji as a character.";
});

/// Where a channel goes.
pub const POSITION: Shape = shape!("DiscordChannelPosition", "Where a channel goes.", {
    id: "string" = Rule::Id(Thing::Channel), "Its id.";
    position: "(number | DiscordNull)?" = Rule::OrNull(&POSITION_IN_LIST), "Its place among the others.";
    lock_permissions: "(boolean | DiscordNull)?" = Rule::OrNull(&Rule::Boolean), "Whether it takes over the overwrites of its category.";
    parent_id: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Id(Thing::Channel)), "The category that it goes into.";
});

/// What `create_channel_invite` takes.
pub const INVITE: Shape = shape!("DiscordCreateInvite", "An invite to make.", {
    max_age: "number?" = Rule::Integer(0, 604_800), "Seconds that it is good for, a day unless said otherwise; 0 for ever.";
    max_uses: "number?" = Rule::Integer(0, 100), "How often it can be used; 0 for no limit.";
    temporary: "boolean?" = Rule::Boolean, "Whether members leave again when they go offline without a role.";
    unique: "boolean?" = Rule::Boolean, "Whether it is new also where a similar one is there.";
});

/// What `follow_announcement_channel` takes.
pub const FOLLOW: Shape = shape!("DiscordFollowChannel", "Where announcements go.", {
    webhook_channel_id: "string" = Rule::Id(Thing::Channel), "The channel that gets them, of the same guild.";
});
