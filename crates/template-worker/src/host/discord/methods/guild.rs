//! Methods about the guild itself and its list of channels.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Method, Need, Verb, takes};
use super::super::validate::Rule;
use super::REASON;

pub(super) const METHODS: &[Method] = &[
    Method::new("get_guild", Verb::Get, "guilds/{guild}", "Gets the guild.").gives("{ data: DiscordGuild }"),
    Method::new("get_guild_preview", Verb::Get, "guilds/{guild}/preview", "Gets what anybody may know of the guild.")
        .gives("{ data: DiscordGuildPreview }"),
    Method::new("modify_guild", Verb::Patch, "guilds/{guild}", "Changes the guild.")
        .takes(takes!({
            data: "DiscordEditGuild" = Rule::Object(&shapes::guild::EDIT), "What changes.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .sends_data()
        .needs(&[Need::Guild(P::MANAGE_GUILD), Need::EditGuild])
        .gives("{ data: DiscordGuild }"),
    Method::new("get_guild_channels", Verb::Get, "guilds/{guild}/channels", "Gets the channels of the guild, without threads.")
        .gives("{ data: {DiscordChannel} }"),
    Method::new("create_guild_channel", Verb::Post, "guilds/{guild}/channels", "Makes a channel.")
        .takes(takes!({
            reason: "string" = REASON, "Why, for the audit log.";
            data: "DiscordCreateChannel" = Rule::Object(&shapes::channel::NEW), "The channel.";
        }))
        .sends_data()
        .needs(&[Need::Guild(P::MANAGE_CHANNELS), Need::GrantedByOverwrites])
        .gives("{ data: DiscordChannel }"),
    Method::new("modify_guild_channel_positions", Verb::Patch, "guilds/{guild}/channels", "Moves channels.")
        .takes(takes!({
            data: "{DiscordChannelPosition}" = Rule::List(&Rule::Object(&shapes::channel::POSITION), 1, 500), "Where they go. This list alone, without the table, does as well.";
            reason: "string?" = REASON, "Why, for the audit log.";
        }).or_list())
        .sends_data()
        .needs(&[Need::Guild(P::MANAGE_CHANNELS)]),
    Method::new("list_active_guild_threads", Verb::Get, "guilds/{guild}/threads/active", "Gets the threads of the guild that are open.")
        .gives("{ data: DiscordThreads }"),
];
