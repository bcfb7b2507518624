//! Answers to interactions.

use super::super::validate::{Rule, Shape, shape};
use super::command;
use super::component::{MODAL_ROWS, ROWS};
use super::message::{CONTENT, EMBEDS, FLAGS, MENTIONS, MESSAGE_EDIT, WEBHOOK_MESSAGE, notify_users_only};

/// What `create_interaction_response` takes: one of these, by its `type`.
pub const RESPONSE: Rule = Rule::Tagged(
    "type",
    &[
        (1, &PONG),
        (4, &REPLY),
        (5, &DEFER),
        (6, &DEFER_UPDATE),
        (7, &UPDATE),
        (8, &AUTOCOMPLETE),
        (9, &MODAL),
    ],
);

/// The answer to a ping.
pub const PONG: Shape = shape!("DiscordPong", "The answer to a ping.", {
    type: "number" = Rule::Choice(&[1]), "`1`.";
});

/// A message.
pub const REPLY: Shape = shape!("DiscordReply", "A message as the answer.", {
    type: "number" = Rule::Choice(&[4]), "`4`.";
    data: "DiscordWebhookMessage" = Rule::Object(&WEBHOOK_MESSAGE), "The message.";
});

/// A message that comes later.
pub const DEFER: Shape = shape!("DiscordDefer", "The answer comes later, with `create_followup_message`.", {
    type: "number" = Rule::Choice(&[5]), "`5`.";
    data: "DiscordDeferData?" = Rule::Object(&DEFER_DATA), "How it will be: Discord goes by its flags.";
});

/// How a message that comes later will be.
pub const DEFER_DATA: Shape = shape!("DiscordDeferData", "How an answer that comes later will be.", {
    flags: "number?" = FLAGS, "64 only for who asked.";
    content: "string?" = CONTENT, "Taken, and not shown: the text comes with the message.";
    tts: "boolean?" = Rule::Boolean, "Taken in the same way.";
    embeds: "{DiscordEmbed}?" = EMBEDS, "Taken in the same way.";
    allowed_mentions: "DiscordAllowedMentions?" = MENTIONS, "Taken in the same way.";
    components: "{DiscordActionRow}?" = ROWS, "Taken in the same way.";
})
.with(|message| {
    notify_users_only(message);
    Ok(())
});

/// The message that a component stands in is changed later.
pub const DEFER_UPDATE: Shape = shape!("DiscordDeferUpdate", "The message of the button or menu is changed later, or not at all.", {
    type: "number" = Rule::Choice(&[6]), "`6`.";
    data: "DiscordEditMessage?" = Rule::Object(&MESSAGE_EDIT), "Taken, and nothing changes by it.";
});

/// The message that a component stands in is changed.
pub const UPDATE: Shape = shape!("DiscordUpdate", "The message of the button or menu is changed.", {
    type: "number" = Rule::Choice(&[7]), "`7`.";
    data: "DiscordEditMessage" = Rule::Object(&MESSAGE_EDIT), "What changes.";
});

/// Choices for an option.
pub const AUTOCOMPLETE: Shape = shape!("DiscordAutocomplete", "Choices for an option.", {
    type: "number" = Rule::Choice(&[8]), "`8`.";
    data: "DiscordAutocompleteData" = Rule::Object(&AUTOCOMPLETE_DATA), "The choices.";
});

/// Choices for an option.
pub const AUTOCOMPLETE_DATA: Shape = shape!("DiscordAutocompleteData", "Choices for an option.", {
    choices: "{DiscordCommandChoice}" = Rule::List(&Rule::Object(&command::CHOICE), 0, 25), "Up to 25.";
});

/// A form.
pub const MODAL: Shape = shape!("DiscordModal", "A form to fill in.", {
    type: "number" = Rule::Choice(&[9]), "`9`.";
    data: "DiscordModalData" = Rule::Object(&MODAL_DATA), "The form.";
});

/// A form.
pub const MODAL_DATA: Shape = shape!("DiscordModalData", "A form to fill in.", {
    custom_id: "string" = Rule::Text(1, 100), "What the interaction says of it.";
    title: "string" = Rule::Text(1, 45), "Its title.";
    components: "{DiscordModalRow}" = MODAL_ROWS, "Up to five fields.";
});
