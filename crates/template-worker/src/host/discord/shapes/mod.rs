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

use super::validate::Shape;

/// The shapes that scripts see as types.
pub const ALL: &[&Shape] = &[
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
