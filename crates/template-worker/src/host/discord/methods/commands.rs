//! Methods about commands of the guild.

use super::super::shapes;
use super::super::table::{Method, Verb, quota, takes};
use super::super::validate::{Rule, Thing};

const COMMANDS: &str = "applications/{application}/guilds/{guild}/commands";

pub(super) const METHODS: &[Method] = &[
    Method::new("get_guild_command", Verb::Get, "applications/{application}/guilds/{guild}/commands/{command_id}", "Gets a command of the guild.")
        .takes(takes!(bare { command_id: "string" = Rule::Id(Thing::OfGuild), "The command."; }))
        .gives("{ data: DiscordCommand }"),
    Method::new("get_guild_commands", Verb::Get, COMMANDS, "Gets the commands of the guild.")
        .at_most(&[quota(1, 300)])
        .gives("{ data: {DiscordCommand} }"),
    Method::new("create_guild_command", Verb::Post, COMMANDS, "Makes a command, or replaces the one with the same name.")
        .takes(takes!({
            data: "DiscordCreateCommand" = Rule::Object(&shapes::command::COMMAND), "The command.";
        }))
        .sends_data()
        .at_most(&[quota(1, 300)])
        .gives("{ data: DiscordCommand }"),
    Method::new("create_guild_commands", Verb::Put, COMMANDS, "Replaces all commands of the guild.")
        .takes(takes!({
            data: "{DiscordCreateCommand}" = Rule::List(&Rule::Object(&shapes::command::COMMAND), 0, 100), "The commands.";
        }))
        .sends_data()
        .at_most(&[quota(1, 300)])
        .gives("{ data: {DiscordCommand} }"),
];
