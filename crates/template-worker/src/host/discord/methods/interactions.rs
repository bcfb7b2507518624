//! Methods about interactions. Discord does not count their requests, and neither does the guild's share.

use super::super::shapes;
use super::super::table::{Method, Quota, Verb, quota, takes};
use super::super::validate::{Rule, Thing};

const MESSAGE: Rule = Rule::Id(Thing::Message);

const TOKEN: Rule = Rule::Token(512);
const ORIGINAL: &str = "webhooks/{application}/{interaction_token}/messages/@original";
const FOLLOWUP: &str = "webhooks/{application}/{interaction_token}/messages/{message_id}";
/// How often each method for messages can be called.
const SHARE: Quota = quota(10, 3);

pub(super) const METHODS: &[Method] = &[
    Method::new(
        "create_interaction_response",
        Verb::Post,
        "interactions/{interaction_id}/{interaction_token}/callback",
        "Answers an interaction, within three seconds. The token is in the event, and good for 15 minutes.",
    )
    .takes(takes!({
        interaction_id: "string" = Rule::Id(Thing::Interaction), "The interaction.";
        interaction_token: "string" = TOKEN, "Its token.";
        data: "DiscordPong | DiscordReply | DiscordDefer | DiscordDeferUpdate | DiscordUpdate | DiscordAutocomplete | DiscordModal" = shapes::interaction::RESPONSE, "The answer.";
    }))
    .sends_data()
    .of_interaction(&[quota(50, 5)]),
    Method::new("get_original_interaction_response", Verb::Get, ORIGINAL, "Gets the answer to an interaction.")
        .takes(takes!(bare { interaction_token: "string" = TOKEN, "The token of the interaction."; }))
        .of_interaction(&[SHARE])
        .gives("{ data: DiscordMessage }"),
    Method::new("edit_original_interaction_response", Verb::Patch, ORIGINAL, "Changes the answer to an interaction.")
        .takes(takes!({
            interaction_token: "string" = TOKEN, "The token of the interaction.";
            data: "DiscordEditMessage" = Rule::Object(&shapes::message::MESSAGE_EDIT), "What changes.";
        }))
        .sends_data()
        .of_interaction(&[SHARE])
        .gives("{ data: DiscordMessage }"),
    Method::new("delete_original_interaction_response", Verb::Delete, ORIGINAL, "Deletes the answer to an interaction.")
        .takes(takes!(bare { interaction_token: "string" = TOKEN, "The token of the interaction."; }))
        .of_interaction(&[SHARE]),
    Method::new("create_followup_message", Verb::Post, "webhooks/{application}/{interaction_token}", "Sends a further answer to an interaction.")
        .takes(takes!({
            interaction_token: "string" = TOKEN, "The token of the interaction.";
            data: "DiscordWebhookMessage" = Rule::Object(&shapes::message::WEBHOOK_MESSAGE), "The message.";
        }))
        .sends_data()
        .of_interaction(&[SHARE])
        .gives("{ data: DiscordMessage }"),
    Method::new("get_followup_message", Verb::Get, FOLLOWUP, "Gets a further answer to an interaction.")
        .takes(takes!({
            interaction_token: "string" = TOKEN, "The token of the interaction.";
            message_id: "string" = MESSAGE, "The message.";
        }))
        .of_interaction(&[SHARE])
        .gives("{ data: DiscordMessage }"),
    Method::new("edit_followup_message", Verb::Patch, FOLLOWUP, "Changes a further answer to an interaction.")
        .takes(takes!({
            interaction_token: "string" = TOKEN, "The token of the interaction.";
            message_id: "string" = MESSAGE, "The message.";
            data: "DiscordEditMessage" = Rule::Object(&shapes::message::MESSAGE_EDIT), "What changes.";
        }))
        .sends_data()
        .of_interaction(&[SHARE])
        .gives("{ data: DiscordMessage }"),
    Method::new("delete_followup_message", Verb::Delete, FOLLOWUP, "Deletes a further answer to an interaction.")
        .takes(takes!({
            interaction_token: "string" = TOKEN, "The token of the interaction.";
            message_id: "string" = MESSAGE, "The message.";
        }))
        .of_interaction(&[SHARE]),
];
