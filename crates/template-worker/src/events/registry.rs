//! The closed list of events that Discord and the service itself send.
//!
//! Owns the names, and what the service's own events hold. What the data of a Discord event looks like is said in Discord's
//! own gateway documentation: it is passed on as it came.

use khronos::declare::{Field, field};

/// Every gateway event of a guild that is passed on, by its gateway name.
#[rustfmt::skip]
pub const DISCORD: &[&str] = &[
    "APPLICATION_COMMAND_PERMISSIONS_UPDATE",
    "AUTO_MODERATION_ACTION_EXECUTION",
    "AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_DELETE", "AUTO_MODERATION_RULE_UPDATE",
    "CHANNEL_CREATE", "CHANNEL_DELETE", "CHANNEL_PINS_UPDATE", "CHANNEL_UPDATE",
    "ENTITLEMENT_CREATE", "ENTITLEMENT_DELETE", "ENTITLEMENT_UPDATE",
    "GUILD_AUDIT_LOG_ENTRY_CREATE",
    "GUILD_BAN_ADD", "GUILD_BAN_REMOVE",
    "GUILD_EMOJIS_UPDATE",
    "GUILD_INTEGRATIONS_UPDATE",
    "GUILD_MEMBERS_CHUNK", "GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE", "GUILD_MEMBER_UPDATE",
    "GUILD_ROLE_CREATE", "GUILD_ROLE_DELETE", "GUILD_ROLE_UPDATE",
    "GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_DELETE", "GUILD_SCHEDULED_EVENT_UPDATE",
    "GUILD_SCHEDULED_EVENT_USER_ADD", "GUILD_SCHEDULED_EVENT_USER_REMOVE",
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
    "GUILD_SOUNDBOARD_SOUND_CREATE", "GUILD_SOUNDBOARD_SOUND_DELETE", "GUILD_SOUNDBOARD_SOUND_UPDATE",
    "GUILD_STICKERS_UPDATE",
    "GUILD_UPDATE",
    "INTEGRATION_CREATE", "INTEGRATION_DELETE", "INTEGRATION_UPDATE",
    "INTERACTION_CREATE",
    "INVITE_CREATE", "INVITE_DELETE",
    "MESSAGE_CREATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_UPDATE",
    "MESSAGE_POLL_VOTE_ADD", "MESSAGE_POLL_VOTE_REMOVE",
    "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE", "MESSAGE_REACTION_REMOVE_ALL", "MESSAGE_REACTION_REMOVE_EMOJI",
    "PRESENCE_UPDATE",
    "SOUNDBOARD_SOUNDS",
    "STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_DELETE", "STAGE_INSTANCE_UPDATE",
    "SUBSCRIPTION_CREATE", "SUBSCRIPTION_DELETE", "SUBSCRIPTION_UPDATE",
    "THREAD_CREATE", "THREAD_DELETE", "THREAD_LIST_SYNC", "THREAD_MEMBERS_UPDATE", "THREAD_MEMBER_UPDATE",
    "THREAD_UPDATE",
    "TYPING_START",
    "USER_UPDATE",
    "VOICE_CHANNEL_EFFECT_SEND", "VOICE_SERVER_UPDATE", "VOICE_STATE_UPDATE",
    "WEBHOOKS_UPDATE",
];

/// Gateway events that tell the service about itself: in which guilds it is. No template hears of them.
pub const FOR_THE_SERVICE: [&str; 2] = ["GUILD_CREATE", "GUILD_DELETE"];

/// An event that the service makes itself.
#[derive(Debug, Clone, Copy)]
pub struct ServiceEvent {
    /// Its name.
    pub name: &'static str,
    /// When it is sent, and what becomes of what handlers return.
    pub doc: &'static str,
    /// What its scopes are, where it has some.
    pub scopes: Option<&'static str>,
    /// What its data holds.
    pub data: &'static [Field],
}

/// Every event that the service makes itself.
pub const SERVICE: &[ServiceEvent] = &[
    ServiceEvent {
        name: "ExecuteSetting",
        doc: "Someone changed a setting of the template. What the handler returns goes to who changed it. The service does not \
              send it yet.",
        scopes: Some("the setting's id"),
        data: &[
            field("id", "string", "The setting's id, as the template gave it."),
            field("author", "string", "The id of the user."),
            field(
                "op",
                "string",
                "`View`, `Create`, `Update`, `Delete`, or an operation of the setting's own.",
            ),
            field("fields", "{[string]: any}", "The values of its columns."),
        ],
    },
    ServiceEvent {
        name: "ExternalKeyUpdate",
        doc: "A key of `ctx.KV` was changed over the HTTP API.",
        scopes: None,
        data: &[
            field("key_modified", "string", "The key."),
            field("scopes", "{string}", "Its scopes."),
            field("author", "string?", "The id of the user who changed it, where that was said."),
            field("action", "string", "`Create`, `Update` or `Delete`."),
        ],
    },
    ServiceEvent {
        name: "GetSettings",
        doc: "Someone opened the settings. What the handler returns, a list of the template's settings, goes to who asked. \
              The service does not send it yet.",
        scopes: None,
        data: &[field("author", "string", "The id of the user.")],
    },
    ServiceEvent {
        name: "KeyExpiry",
        doc: "A key of `ctx.KV` reached its time. It comes at least once, also after a restart, and the key is deleted when \
              every template that listens has handled it. Where one fails, it comes again later.",
        scopes: Some("the scopes of the key"),
        data: &[
            field("id", "string", "The record's id, for `ctx.KV:getbyid`."),
            field("key", "string", "The key."),
            field("scopes", "{string}", "Its scopes."),
        ],
    },
    ServiceEvent {
        name: "KeyResume",
        doc: "The guild's templates were loaded, after a start of the service or a change of them, and there is a key that was \
              set with `resume`. It comes once for each such key, without any other event; changes that come close after each \
              other are told of together.",
        scopes: Some("the scopes of the key"),
        data: &[
            field("id", "string", "The record's id, for `ctx.KV:getbyid`."),
            field("key", "string", "The key."),
            field("scopes", "{string}", "Its scopes."),
        ],
    },
    ServiceEvent {
        name: "OnStartup",
        doc: "The guild's templates were loaded. The service does not send it yet.",
        scopes: None,
        data: &[field("reason", "string", "Why.")],
    },
    ServiceEvent {
        name: "Schedule",
        doc: "A cron line of the template is due. The service does not send it yet.",
        scopes: None,
        data: &[
            field("name", "string", "The line's name."),
            field("scheduled_at", "string", "When it was due, as RFC 3339."),
        ],
    },
];

/// Their names.
pub const ANTIRAID: &[&str] = &NAMES;

const NAMES: [&str; SERVICE.len()] = {
    let mut names = [""; SERVICE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = SERVICE[at].name;
        at += 1;
    }
    names
};

/// What names of events start with that anybody may make up.
pub const CUSTOM_PREFIXES: [&str; 2] = ["Web", "Custom"];

/// Names of earlier years, and what they are called now.
pub const ALIASES: &[(&str, &str)] = &[("MESSAGE", "MESSAGE_CREATE")];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_71_gateway_events_and_no_name_is_there_twice() {
        assert_eq!(DISCORD.len(), 71);
        let all: BTreeSet<_> = DISCORD.iter().chain(ANTIRAID).collect();
        assert_eq!(all.len(), DISCORD.len() + ANTIRAID.len());
    }

    #[test]
    fn no_known_name_looks_made_up_and_every_alias_leads_to_a_known_one() {
        assert!(FOR_THE_SERVICE.iter().all(|name| !DISCORD.contains(name)));
        for name in DISCORD.iter().chain(ANTIRAID) {
            assert!(!CUSTOM_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
        for (old, new) in ALIASES {
            assert!(DISCORD.contains(new) && !DISCORD.contains(old), "{old}");
        }
    }
}
