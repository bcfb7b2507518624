//! What the data of those Discord events is called in the type files that templates use most, and what it holds that no call
//! of `ctx.Discord` gives. The rest of it is Discord's to describe.

use khronos::declare::{Type, field, table};

/// The type of an event's data. Where nothing is said here it can be anything.
pub fn data_of(event: &str) -> &'static str {
    DATA.iter().find(|(known, _)| *known == event).map_or("any", |(_, ty)| *ty)
}

const DATA: &[(&str, &str)] = &[
    ("CHANNEL_CREATE", "DiscordChannel"),
    ("CHANNEL_DELETE", "DiscordChannel"),
    ("CHANNEL_UPDATE", "DiscordChannel"),
    ("GUILD_BAN_ADD", "DiscordGuildUser"),
    ("GUILD_BAN_REMOVE", "DiscordGuildUser"),
    ("GUILD_MEMBER_ADD", "DiscordMember & { guild_id: string }"),
    ("GUILD_MEMBER_REMOVE", "DiscordGuildUser"),
    ("GUILD_MEMBER_UPDATE", "DiscordMember & { guild_id: string }"),
    ("GUILD_ROLE_CREATE", "{ guild_id: string, role: DiscordRole }"),
    ("GUILD_ROLE_DELETE", "{ guild_id: string, role_id: string }"),
    ("GUILD_ROLE_UPDATE", "{ guild_id: string, role: DiscordRole }"),
    ("INTERACTION_CREATE", "DiscordInteraction"),
    ("MESSAGE_CREATE", "DiscordNewMessage"),
    ("MESSAGE_DELETE", "{ id: string, channel_id: string, guild_id: string? }"),
    ("MESSAGE_DELETE_BULK", "{ ids: {string}, channel_id: string, guild_id: string? }"),
    ("MESSAGE_REACTION_ADD", "DiscordReaction"),
    ("MESSAGE_REACTION_REMOVE", "DiscordReaction"),
    ("MESSAGE_UPDATE", "DiscordNewMessage"),
    ("THREAD_CREATE", "DiscordChannel"),
    ("THREAD_UPDATE", "DiscordChannel"),
];

/// The tables that no call gives.
pub const DATA_TYPES: &[Type] = &[
    table(
        "DiscordGuildUser",
        "A user, and the guild that it happened in.",
        &[field("guild_id", "string", "The guild."), field("user", "DiscordUser", "The user.")],
    ),
    table(
        "DiscordInteraction",
        "Somebody used a command, a button, a menu or a form of the bot.",
        &[
            field("id", "string", "The id, for `create_interaction_response`."),
            field("token", "string", "What one needs to answer, for 15 minutes."),
            field(
                "type",
                "number",
                "2 a command, 3 a button or menu, 4 a command that is being written, 5 a form.",
            ),
            field(
                "data",
                "any",
                "What was used, and how: the `name` and `options` of a command, the `custom_id` of others.",
            ),
            field("application_id", "string", "The bot's."),
            field("guild_id", "string?", "The guild."),
            field("channel_id", "string?", "Where it was used."),
            field("member", "DiscordMember?", "Who used it."),
            field("message", "DiscordMessage?", "The message that the button or menu is in."),
            field("locale", "string?", "The language of who used it."),
        ],
    ),
    table(
        "DiscordNewMessage",
        "A message as events have it.",
        &[
            field("id", "string", "The id."),
            field("channel_id", "string", "The channel."),
            field("guild_id", "string?", "The guild."),
            field("author", "DiscordUser", "Who wrote it."),
            field("member", "DiscordMember?", "The same as a member, without `user`."),
            field("webhook_id", "string?", "The webhook that wrote it."),
            field("content", "string", "The text."),
            field("timestamp", "string", "When it was written."),
            field("edited_timestamp", "string?", "When it was changed."),
            field("type", "number", "0 for a plain message, 19 for an answer to one."),
            field("mentions", "{DiscordUser}", "Who is mentioned."),
            field("mention_roles", "{string}", "The ids of the roles that are mentioned."),
            field("mention_everyone", "boolean", "Whether everyone is."),
            field("embeds", "{any}", "The embeds."),
            field("attachments", "{any}", "The files."),
            field("message_reference", "any", "The message that it answers or forwards."),
            field("referenced_message", "DiscordMessage?", "The message that it answers."),
        ],
    ),
    table(
        "DiscordReaction",
        "Somebody reacted to a message, or took that back.",
        &[
            field("user_id", "string", "Who."),
            field("channel_id", "string", "The channel."),
            field("message_id", "string", "The message."),
            field("guild_id", "string?", "The guild."),
            field("member", "DiscordMember?", "Who, as a member; not where it was taken back."),
            field("emoji", "{ id: string?, name: string? }", "The emoji: one of a server's own has an id."),
        ],
    ),
];
