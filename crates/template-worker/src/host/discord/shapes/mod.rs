//! The bodies that Discord takes, with its published limits: one file a subject.
//!
//! Owns which fields there are. A field that Discord has and that is missing here is refused with the nearest known name, so
//! that nothing goes out that nobody has thought about.

pub mod automod;
pub mod channel;
pub mod command;
pub mod component;
pub mod embed;
pub mod guild;
pub mod interaction;
pub mod message;
pub mod results;

use khronos::declare::Type;

use super::validate::{Shape, shape};

/// What takes a thing away that is no table: scripts have no null. A list or a table is taken away by an empty one, which
/// its own type admits.
pub const NULL: Shape =
    shape!("DiscordNull", "`{}`, which takes a thing away: it stands for Discord's null.", {});

/// The shapes that scripts see as types.
pub const ALL: &[&Shape] = &[
    &NULL,
    &message::MESSAGE,
    &message::MESSAGE_EDIT,
    &message::WEBHOOK_MESSAGE,
    &message::ATTACHMENT,
    &message::ALLOWED_MENTIONS,
    &message::REFERENCE,
    &message::TARGET,
    &message::POLL,
    &message::POLL_MEDIA,
    &message::POLL_ANSWER,
    &embed::EMBED,
    &embed::AUTHOR,
    &embed::FIELD,
    &embed::FOOTER,
    &embed::MEDIA,
    &component::ROW,
    &component::BUTTON,
    &component::TEXT_SELECT,
    &component::SELECT,
    &component::TEXT_INPUT,
    &component::MODAL_ROW,
    &component::CHOICE,
    &component::DEFAULT_VALUE,
    &component::EMOJI,
    &channel::NEW,
    &channel::EDIT,
    &channel::OVERWRITE,
    &channel::TAG,
    &channel::DEFAULT_REACTION,
    &channel::POSITION,
    &channel::INVITE,
    &channel::FOLLOW,
    &guild::EDIT,
    &guild::MEMBER,
    &guild::ROLE,
    &guild::COLORS,
    &guild::ROLE_POSITION,
    &guild::NEW_WEBHOOK,
    &guild::WEBHOOK,
    &automod::NEW,
    &automod::EDIT,
    &automod::TRIGGER,
    &automod::ACTION,
    &automod::ACTION_METADATA,
    &command::COMMAND,
    &command::OPTION,
    &command::OPTION_IN_GROUP,
    &command::OPTION_INSIDE,
    &command::CHOICE,
    &interaction::PONG,
    &interaction::REPLY,
    &interaction::DEFER,
    &interaction::DEFER_DATA,
    &interaction::DEFER_UPDATE,
    &interaction::UPDATE,
    &interaction::AUTOCOMPLETE,
    &interaction::AUTOCOMPLETE_DATA,
    &interaction::MODAL,
    &interaction::MODAL_DATA,
];

/// Everything that methods take and give, as it is declared.
pub const TYPES: &[Type] = &{
    let mut all = [results::TYPES[0]; ALL.len() + results::TYPES.len()];
    let mut at = 0;
    while at < ALL.len() {
        all[at] = ALL[at].declare();
        at += 1;
    }
    while at < all.len() {
        all[at] = results::TYPES[at - ALL.len()];
        at += 1;
    }
    all
};
