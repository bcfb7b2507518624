//! What the bot needs for a method of `ctx.Discord`, in words.

use crate::host::discord::methods;
use crate::host::discord::table::Need;

/// A line for each thing.
pub(super) fn of(method: &str) -> Vec<String> {
    let needs = methods::find(method).map_or(&[][..], |method| method.needs);
    needs.iter().map(words).collect()
}

fn words(need: &Need) -> String {
    match need {
        Need::Guild(permissions) => format!("The bot needs {}.", names(*permissions)),
        Need::Channel(argument, permissions) => {
            format!("The bot needs {} in `{argument}`.", names(*permissions))
        }
        Need::Read(argument) => format!("The bot needs to be able to read `{argument}`."),
        Need::Send(argument) => {
            format!("The bot needs to be able to write in `{argument}`, and what the message holds.")
        }
        Need::Manage(argument) => format!("The bot needs to be able to manage `{argument}`."),
        Need::OwnMessage => "The message is the bot's own, or the bot manages messages there.".to_owned(),
        Need::Outranks(argument) => {
            format!("The bot's highest role is above those of `{argument}`, where that is a member. Nobody's is above the owner's.")
        }
        Need::Below(argument) => format!("The role `{argument}` is below the bot's highest."),
        Need::GrantedByRole => "What the role allows, the bot has itself.".to_owned(),
        Need::GrantedByOverwrites | Need::GrantedByOverwrite => {
            "What overwrites allow or deny, the bot has itself.".to_owned()
        }
        Need::EditMember => "For each field that changes, the bot needs its permission: to manage nicknames, to manage roles, to mute, \
                             to deafen, to move, to time out."
            .to_owned(),
        Need::EditGuild => "The features of the guild are changed only by an administrator.".to_owned(),
        Need::MoveRoles => "All roles that move stay below the bot's highest.".to_owned(),
        Need::Invite { deletes: false } => "The invite is the guild's.".to_owned(),
        Need::Invite { deletes: true } => {
            "The invite is the guild's, and the bot manages the guild or the channel.".to_owned()
        }
        Need::ManageWebhook => {
            "The bot needs to be able to manage webhooks where the webhook is, and where it goes.".to_owned()
        }
        Need::Follow => "The bot needs to be able to manage webhooks in the channel that gets the announcements.".to_owned(),
        Need::InteractionToken => "The token came with an interaction of the guild.".to_owned(),
    }
}

/// Permissions by the names that Discord has for them.
fn names(permissions: twilight_model::guild::Permissions) -> String {
    super::surface::listed(permissions.iter_names().map(|(name, _)| format!("`{name}`")))
}
