//! Methods about webhooks.

use twilight_model::guild::Permissions as P;

use super::super::shapes;
use super::super::table::{Method, Need, Verb, takes};
use super::super::validate::{Rule, Thing};
use super::REASON;

const CHANNEL: Rule = Rule::Id(Thing::Channel);

const WEBHOOK: Rule = Rule::Id(Thing::Webhook);

pub(super) const METHODS: &[Method] = &[
    Method::new(
        "create_webhook",
        Verb::Post,
        "channels/{channel_id}/webhooks",
        "Makes a webhook for a channel.",
    )
    .takes(takes!({
        channel_id: "string" = CHANNEL, "The channel.";
        data: "DiscordCreateWebhook" = Rule::Object(&shapes::guild::NEW_WEBHOOK), "The webhook.";
        reason: "string" = REASON, "Why, for the audit log.";
    }))
    .sends_data()
    .needs(&[Need::Channel("channel_id", P::MANAGE_WEBHOOKS)])
    .gives("{ data: DiscordWebhook }"),
    Method::new(
        "get_channel_webhooks",
        Verb::Get,
        "channels/{channel_id}/webhooks",
        "Gets the webhooks of a channel.",
    )
    .takes(takes!(bare { channel_id: "string" = CHANNEL, "The channel."; }))
    .needs(&[Need::Channel("channel_id", P::MANAGE_WEBHOOKS)])
    .gives("{ data: {DiscordWebhook} }"),
    Method::new(
        "get_guild_webhooks",
        Verb::Get,
        "guilds/{guild}/webhooks",
        "Gets the webhooks of the guild.",
    )
    .needs(&[Need::Guild(P::MANAGE_WEBHOOKS)])
    .gives("{ data: {DiscordWebhook} }"),
    Method::new("get_webhook", Verb::Get, "webhooks/{webhook_id}", "Gets a webhook of the guild.")
        .takes(takes!(bare { webhook_id: "string" = WEBHOOK, "The webhook."; }))
        .gives("{ data: DiscordWebhook }"),
    Method::new("modify_webhook", Verb::Patch, "webhooks/{webhook_id}", "Changes a webhook.")
        .takes(takes!({
            webhook_id: "string" = WEBHOOK, "The webhook.";
            data: "DiscordEditWebhook" = Rule::Object(&shapes::guild::WEBHOOK), "What changes.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .sends_data()
        .needs(&[Need::ManageWebhook])
        .gives("{ data: DiscordWebhook }"),
    Method::new("delete_webhook", Verb::Delete, "webhooks/{webhook_id}", "Deletes a webhook.")
        .takes(takes!({
            webhook_id: "string" = WEBHOOK, "The webhook.";
            reason: "string" = REASON, "Why, for the audit log.";
        }))
        .needs(&[Need::ManageWebhook]),
    Method::new(
        "execute_webhook",
        Verb::Post,
        "webhooks/{webhook_id}/{webhook_token}",
        "Sends a message with a webhook of the guild. With `wait` it returns the message.",
    )
    .takes(takes!({
        webhook_id: "string" = WEBHOOK, "The webhook.";
        webhook_token: "string" = Rule::Token(128), "Its token.";
        data: "DiscordWebhookMessage" = Rule::Object(&shapes::message::WEBHOOK_MESSAGE), "The message.";
        thread_id: "string?" = CHANNEL, "The thread that it goes to.";
        wait: "boolean?" = Rule::Boolean, "Whether to wait for the message.";
        reason: "string?" = REASON, "Taken as by all methods that change something; Discord keeps none of a message.";
    }))
    .sends_data()
    .with_own_token()
    .gives("{ data: DiscordMessage? }"),
];
