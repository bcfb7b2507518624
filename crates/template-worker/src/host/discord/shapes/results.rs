//! What Discord gives: the types of results, with the fields that templates use most. More may be there than is named.
//!
//! Owns only what scripts see as types; results are handed on as Discord sent them.

use khronos::declare::{Field, Type, field, object};

macro_rules! gives {
    ($( $name:literal $about:literal { $( $field:ident : $ty:literal $doc:literal; )* } )*) => {
        /// The types of results.
        pub const TYPES: &[Type] = &[ $( Type {
            name: $name,
            doc: $about,
            is_object: false,
            fields: &[ $( Field { name: stringify!($field), ty: $ty, doc: $doc }, )* ],
            methods: &[],
            operators: &[],
        }, )* ];
    };
}

gives! {
    "DiscordUser" "A user." {
        id: "string" "The id.";
        username: "string" "The name.";
        discriminator: "string?" "Four digits that belong to the name of a bot; `0` where it is unique without.";
        global_name: "string?" "The name that is shown.";
        avatar: "string?" "The hash of the image.";
        bot: "boolean?" "Whether it is a bot.";
    }
    "DiscordMember" "A user in the guild." {
        user: "DiscordUser?" "The user.";
        nick: "string?" "The nickname.";
        roles: "{string}" "The ids of the roles.";
        joined_at: "string?" "When the user came.";
        communication_disabled_until: "string?" "The end of a time-out.";
        pending: "boolean?" "Whether the rules are yet to be accepted.";
    }
    "DiscordRole" "A role." {
        id: "string" "The id.";
        name: "string" "The name.";
        permissions: "string" "The bits of the permissions.";
        position: "number" "The place, counted from below.";
        color: "number" "The colour.";
        managed: "boolean" "Whether an integration owns it.";
        mentionable: "boolean" "Whether everybody may mention it.";
    }
    "DiscordChannel" "A channel or thread." {
        id: "string" "The id.";
        type: "number" "0 text, 2 voice, 4 category, 5 announcements, 10 to 12 threads, 13 stage, 15 forum, 16 media.";
        guild_id: "string?" "The guild.";
        name: "string?" "The name.";
        topic: "string?" "What it is about.";
        parent_id: "string?" "The category, or the channel of a thread.";
        position: "number?" "The place among the others.";
    }
    "DiscordGuild" "The guild." {
        id: "string" "The id.";
        name: "string" "The name.";
        owner_id: "string" "The id of the owner.";
        roles: "{DiscordRole}" "The roles.";
        features: "{string}" "The features.";
        description: "string?" "What it is about.";
    }
    "DiscordMessage" "A message." {
        id: "string" "The id.";
        channel_id: "string" "The channel.";
        author: "DiscordUser" "Who wrote it.";
        content: "string" "The text.";
        timestamp: "string" "When it was written.";
        edited_timestamp: "string?" "When it was changed.";
        embeds: "{DiscordEmbed}" "The embeds.";
        attachments: "{any}" "The files.";
        components: "{any}?" "The buttons and menus.";
        pinned: "boolean" "Whether it is pinned.";
        type: "number" "0 for a plain message.";
    }
    "DiscordBan" "A ban." {
        user: "DiscordUser" "Who is banned.";
        reason: "string?" "Why.";
    }
    "DiscordInvite" "An invite." {
        code: "string" "The code.";
        guild: "any" "Some of the guild.";
        channel: "any" "Some of the channel.";
        inviter: "DiscordUser?" "Who made it.";
        uses: "number?" "How often it was used.";
        expires_at: "string?" "Until when it is good.";
    }
    "DiscordWebhook" "A webhook." {
        id: "string" "The id.";
        type: "number" "1 for messages, 2 for announcements of another channel.";
        channel_id: "string?" "The channel.";
        name: "string?" "The name.";
        token: "string?" "What one needs to send with it.";
    }
    "DiscordAuditLog" "What was done in the guild." {
        audit_log_entries: "{any}" "The entries, newest first.";
        users: "{DiscordUser}" "Who is named in them.";
    }
    "DiscordAutoModerationRule" "A rule of auto moderation." {
        id: "string" "The id.";
        name: "string" "The name.";
        creator_id: "string" "Who made it.";
        event_type: "number" "When it looks.";
        trigger_type: "number" "What it looks for.";
        trigger_metadata: "any" "The rest of that.";
        actions: "{any}" "What it does.";
        enabled: "boolean" "Whether it works.";
    }
    "DiscordCommand" "A command of the guild." {
        id: "string" "The id.";
        name: "string" "The name.";
        description: "string" "What it does.";
        type: "number" "1 with a slash, 2 on a user, 3 on a message.";
        options: "{any}?" "What it takes.";
    }
    "DiscordThreads" "The threads of the guild that are open." {
        threads: "{DiscordChannel}" "The threads.";
        members: "{any}" "Where the bot is in them.";
    }
    "DiscordGuildPreview" "What anybody may know of the guild." {
        id: "string" "The id.";
        name: "string" "The name.";
        approximate_member_count: "number" "About how many members there are.";
        approximate_presence_count: "number" "About how many are online.";
        emojis: "{any}" "The emojis.";
    }
    "DiscordFollowed" "What came of following a channel." {
        channel_id: "string" "The channel that is followed.";
        webhook_id: "string" "The webhook that was made for it.";
    }
    "DiscordPermissionsOf" "What a user may in the guild." {
        user_id: "string" "The user.";
        permissions: "string" "The bits of the permissions.";
        partial_guild: "DiscordGuild" "The guild.";
        member: "DiscordMember" "The user as a member of it.";
    }
    "DiscordPermissionsOfChannel" "What a user may in a channel." {
        user_id: "string" "The user.";
        permissions: "string" "The bits of the permissions.";
        partial_guild: "DiscordGuild" "The guild.";
        member: "DiscordMember" "The user as a member of it.";
        channel: "DiscordChannel" "The channel.";
    }
    "DiscordFusedMember" "A member, and what the member may." {
        member: "DiscordMember" "The member.";
        resolved_perms: "string" "The bits of the permissions.";
    }
    "DiscordFusedMembers" "Members, and what they may." {
        guild: "DiscordGuild" "The guild.";
        members: "{DiscordFusedMember}" "The members, in the order asked for.";
    }
}

/// An executor.
pub const BULK_OP: Type = object(
    "DiscordBulkOp",
    "An executor: it has the functions of `ctx.Discord`, each of which waits for the guild's next turn of its action first. It \
     is read-only.",
    &[
        field("action", "string", "The method that is repeated; `any` where none was named."),
        field("gap_ms", "number", "The least milliseconds between two turns."),
    ],
    &[],
    &[],
);
