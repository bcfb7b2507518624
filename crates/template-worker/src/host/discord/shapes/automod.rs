//! Rules of auto moderation.

use super::super::validate::{Rule, Shape, Thing, shape};

const EVENT: Rule = Rule::Choice(&[1, 2]);
const ACTIONS: Rule = Rule::List(&Rule::Object(&ACTION), 1, 5);
const ROLES: Rule = Rule::List(&Rule::Id(Thing::Role), 0, 20);
const CHANNELS: Rule = Rule::List(&Rule::Id(Thing::Channel), 0, 50);

/// What `create_auto_moderation_rule` takes.
pub const NEW: Shape = shape!("DiscordCreateAutoModerationRule", "A rule to make.", {
    name: "string" = Rule::Text(1, 100), "Its name.";
    event_type: "number" = EVENT, "1 a message is sent, 2 a member changes.";
    trigger_type: "number" = Rule::Choice(&[1, 3, 4, 5, 6]), "1 words, 3 spam, 4 Discord's lists, 5 mentions, 6 profiles.";
    trigger_metadata: "DiscordTriggerMetadata?" = Rule::Object(&TRIGGER), "What it looks for.";
    actions: "{DiscordAutoModerationAction}" = ACTIONS, "What it does.";
    enabled: "boolean?" = Rule::Boolean, "Whether it works.";
    exempt_roles: "{string}?" = ROLES, "The roles that it leaves alone.";
    exempt_channels: "{string}?" = CHANNELS, "The channels that it leaves alone.";
});

/// What `edit_auto_moderation_rule` takes.
pub const EDIT: Shape = shape!("DiscordEditAutoModerationRule", "What changes about a rule.", {
    name: "string?" = Rule::Text(1, 100), "Its name.";
    event_type: "number?" = EVENT, "1 a message is sent, 2 a member changes.";
    trigger_metadata: "DiscordTriggerMetadata?" = Rule::Object(&TRIGGER), "What it looks for.";
    actions: "{DiscordAutoModerationAction}?" = ACTIONS, "What it does.";
    enabled: "boolean?" = Rule::Boolean, "Whether it works.";
    exempt_roles: "{string}?" = ROLES, "The roles that it leaves alone.";
    exempt_channels: "{string}?" = CHANNELS, "The channels that it leaves alone.";
});

/// What a rule looks for.
pub const TRIGGER: Shape = shape!("DiscordTriggerMetadata", "What a rule looks for; which fields go depends on its trigger.", {
    keyword_filter: "{string}?" = Rule::List(&Rule::Text(1, 60), 0, 1000), "Words and parts of words, with `*`.";
    regex_patterns: "{string}?" = Rule::List(&Rule::Text(1, 260), 0, 10), "Regular expressions, as Rust has them.";
    presets: "{number}?" = Rule::List(&Rule::Choice(&[1, 2, 3]), 0, 3), "1 profanity, 2 sexual content, 3 slurs.";
    allow_list: "{string}?" = Rule::List(&Rule::Text(1, 60), 0, 1000), "Words that are fine.";
    mention_total_limit: "number?" = Rule::Integer(0, 50), "The most mentions in a message.";
    mention_raid_protection_enabled: "boolean?" = Rule::Boolean, "Whether raids of mentions are noticed.";
});

/// What a rule does.
pub const ACTION: Shape = shape!("DiscordAutoModerationAction", "What a rule does.", {
    type: "number" = Rule::Choice(&[1, 2, 3, 4]), "1 block, 2 tell a channel, 3 time out, 4 block the member.";
    metadata: "DiscordActionMetadata?" = Rule::Object(&ACTION_METADATA), "The rest of it.";
});

/// The rest of what a rule does.
pub const ACTION_METADATA: Shape = shape!("DiscordActionMetadata", "The rest of what a rule does.", {
    channel_id: "string?" = Rule::Id(Thing::Channel), "The channel that is told.";
    duration_seconds: "number?" = Rule::Integer(0, 2_419_200), "How long the time-out is.";
    custom_message: "string?" = Rule::Text(0, 150), "What the author of a blocked message is told.";
});
