//! The guild itself, its members, roles and webhooks.

use super::super::validate::{Rule, Shape, Thing, shape};

const STILL: &[&str] = &["png", "jpeg"];
const MOVING: &[&str] = &["png", "jpeg", "gif"];
const COLOR: Rule = Rule::OrNull(&Rule::Integer(0, 0xFF_FFFF));
const CHANNEL: Rule = Rule::OrNull(&Rule::Id(Thing::Channel));

/// What `modify_guild` takes.
pub const EDIT: Shape = shape!("DiscordEditGuild", "What changes about the guild. `{}` takes a thing away.", {
    name: "string?" = Rule::Text(2, 100), "Its name.";
    description: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Text(0, 300)), "What it is about.";
    verification_level: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Choice(&[0, 1, 2, 3, 4])), "What a member needs to write, 0 nothing to 4 a phone.";
    default_message_notifications: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Choice(&[0, 1])), "0 all messages, 1 mentions only.";
    explicit_content_filter: "(number | DiscordNull)?" = Rule::OrNull(&Rule::Choice(&[0, 1, 2])), "Whose images are looked at: 0 nobody's, 1 those without roles, 2 all.";
    afk_channel_id: "(string | DiscordNull)?" = CHANNEL, "Where idle members go.";
    afk_timeout: "number?" = Rule::Choice(&[60, 300, 900, 1800, 3600]), "Seconds after which they are idle.";
    icon: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(MOVING)), "Its icon, as a data URI: PNG, JPEG or GIF.";
    splash: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(STILL)), "The image of invites, as a data URI: PNG or JPEG.";
    discovery_splash: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(STILL)), "The image in the discovery, as a data URI: PNG or JPEG.";
    banner: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(MOVING)), "Its banner, as a data URI.";
    system_channel_id: "(string | DiscordNull)?" = CHANNEL, "Where Discord greets members.";
    system_channel_flags: "number?" = Rule::Integer(0, 0xFFFF), "What Discord does not say there.";
    rules_channel_id: "(string | DiscordNull)?" = CHANNEL, "Where the rules are.";
    public_updates_channel_id: "(string | DiscordNull)?" = CHANNEL, "Where Discord tells moderators its news.";
    safety_alerts_channel_id: "(string | DiscordNull)?" = CHANNEL, "Where Discord warns moderators.";
    preferred_locale: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Token(8)), "The language of the guild.";
    features: "{string}?" = Rule::List(&Rule::Word(&[
        "COMMUNITY", "DISCOVERABLE", "INVITES_DISABLED", "RAID_ALERTS_DISABLED",
    ]), 0, 4), "The features that it has; to change them takes ADMINISTRATOR.";
    premium_progress_bar_enabled: "boolean?" = Rule::Boolean, "Whether the bar of boosts is shown.";
});

/// What `modify_guild_member` takes.
pub const MEMBER: Shape = shape!("DiscordEditMember", "What changes about a member. `{}` takes a thing away.", {
    nick: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Text(0, 32)), "The nickname.";
    roles: "{string}?" = Rule::List(&Rule::Id(Thing::Role), 0, 250), "All roles that the member has then.";
    mute: "boolean?" = Rule::Boolean, "Whether nobody hears the member.";
    deaf: "boolean?" = Rule::Boolean, "Whether the member hears nobody.";
    channel_id: "(string | DiscordNull)?" = CHANNEL, "The voice channel that the member is moved to; `{}` for none.";
    communication_disabled_until: "(string | DateTime | DiscordNull)?" = Rule::OrNull(&Rule::Moment), "The end of a time-out, at most 28 days from now.";
    flags: "number?" = Rule::Choice(&[0, 4]), "4 lets the member in without verification.";
});

/// What `create_guild_role` and `modify_guild_role` take.
pub const ROLE: Shape = shape!("DiscordEditRole", "A role to make, or what changes about one.", {
    name: "string?" = Rule::Text(1, 100), "Its name.";
    permissions: "(string | number)?" = Rule::Permissions, "The bits of its permissions; only of what the bot may itself.";
    color: "number?" = Rule::Integer(0, 0xFF_FFFF), "Its colour, `0xRRGGBB`.";
    colors: "DiscordRoleColors?" = Rule::OrNull(&Rule::Object(&COLORS)), "Its colours, where the guild may have several.";
    hoist: "boolean?" = Rule::Boolean, "Whether its members are listed apart.";
    icon: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(MOVING)), "Its icon, as a data URI: PNG, JPEG or GIF.";
    unicode_emoji: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Text(1, 64)), "An emoji in place of an icon.";
    mentionable: "boolean?" = Rule::Boolean, "Whether everybody may mention it.";
});

/// The colours of a role.
pub const COLORS: Shape = shape!("DiscordRoleColors", "The colours of a role, each `0xRRGGBB`.", {
    primary_color: "(number | DiscordNull)?" = COLOR, "The first.";
    secondary_color: "(number | DiscordNull)?" = COLOR, "What it goes over into.";
    tertiary_color: "(number | DiscordNull)?" = COLOR, "And then.";
});

/// Where a role goes.
pub const ROLE_POSITION: Shape = shape!("DiscordRolePosition", "Where a role goes.", {
    id: "string" = Rule::Id(Thing::Role), "Its id.";
    position: "number" = Rule::Integer(1, 0xFFFF), "Its place, counted from below.";
});

/// What `create_webhook` takes.
pub const NEW_WEBHOOK: Shape = shape!("DiscordCreateWebhook", "A webhook to make.", {
    name: "string" = Rule::Text(1, 80), "Its name.";
    avatar: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(MOVING)), "Its image, as a data URI.";
});

/// What `modify_webhook` takes.
pub const WEBHOOK: Shape = shape!("DiscordEditWebhook", "What changes about a webhook.", {
    name: "string?" = Rule::Text(1, 80), "Its name.";
    avatar: "(string | DiscordNull)?" = Rule::OrNull(&Rule::Image(MOVING)), "Its image, as a data URI.";
    channel_id: "string?" = Rule::Id(Thing::Channel), "The channel that it moves to.";
});
