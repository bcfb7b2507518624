//! The closed list of events that Discord and the service itself send.
//!
//! Owns the names. What the data of a Discord event looks like is said in Discord's own gateway documentation: it is
//! passed on as it came.

/// Every gateway event of a guild that is passed on, by its gateway name.
///
/// `GUILD_CREATE` and `GUILD_DELETE` aren't here: they tell the service about itself.
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

/// Every event that the service makes itself.
///
/// - `OnStartup {reason}`: the guild's templates were loaded.
/// - `KeyExpiry {id, key, scopes}`: a key reached its time; scoped by the scopes of the key.
/// - `KeyResume {id, key, scopes}`: a key that was set with `resume`, after loading.
/// - `GetSettings {author}`: someone opened the settings; a template returns the list of its own.
/// - `ExecuteSetting {id, author, op, fields}`: someone changed one; scoped by its id.
/// - `ExternalKeyUpdate {key_modified, scopes, author, action}`: a key was changed over the API.
/// - `Schedule {name, scheduled_at}`: a template's cron line is due.
pub const ANTIRAID: &[&str] = &[
    "ExecuteSetting",
    "ExternalKeyUpdate",
    "GetSettings",
    "KeyExpiry",
    "KeyResume",
    "OnStartup",
    "Schedule",
];

/// What names of events start with that anybody may make up.
pub(super) const CUSTOM_PREFIXES: [&str; 2] = ["Web", "Custom"];

/// Names of earlier years, and what they are called now.
pub(super) const ALIASES: &[(&str, &str)] = &[("MESSAGE", "MESSAGE_CREATE")];

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
        for name in DISCORD.iter().chain(ANTIRAID) {
            assert!(!CUSTOM_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
        for (old, new) in ALIASES {
            assert!(DISCORD.contains(new) && !DISCORD.contains(old), "{old}");
        }
    }
}
