//! Messages: what is sent, what is edited, by the bot and by webhooks.

use serde_json::{Map, Value};

use super::super::validate::{Rule, Shape, Thing, Wrong, shape};
use super::component::ROWS;
use super::embed::{self, EMBED};

pub(super) const CONTENT: Rule = Rule::Text(0, 2000);
pub(super) const EMBEDS: Rule = Rule::List(&Rule::Object(&EMBED), 0, 10);
const ATTACHMENTS: Rule = Rule::List(&Rule::Object(&ATTACHMENT), 0, 10);
pub(super) const MENTIONS: Rule = Rule::Object(&ALLOWED_MENTIONS);
/// Which flags a message may have: no previews, only for one user, silent.
pub(super) const FLAGS: Rule = Rule::Choice(&[0, 4, 64, 68, 4096, 4100, 4160, 4164]);

/// What `create_message` takes.
pub const MESSAGE: Shape = shape!("DiscordCreateMessage", "A message to send. One of content, embeds, stickers, files, components and poll has to be there.", {
    content: "string?" = CONTENT, "Its text, up to 2,000 characters.";
    tts: "boolean?" = Rule::Boolean, "Whether it is read out.";
    nonce: "(string | number)?" = Rule::Either(&Rule::Text(1, 25), &Rule::Integer(i64::MIN, i64::MAX)), "What comes back with the message, to tell it by.";
    enforce_nonce: "boolean?" = Rule::Boolean, "Whether a message with the same nonce is not sent again.";
    embeds: "{DiscordEmbed}?" = EMBEDS, "Up to ten embeds.";
    allowed_mentions: "DiscordAllowedMentions?" = MENTIONS, "Who is notified; without it only users are.";
    message_reference: "DiscordMessageReference?" = Rule::Object(&REFERENCE), "The message that it answers or forwards.";
    components: "{DiscordActionRow}?" = ROWS, "Up to five rows of buttons and menus.";
    sticker_ids: "{string}?" = Rule::List(&Rule::Id(Thing::Other), 0, 3), "Up to three stickers.";
    attachments: "{DiscordAttachment}?" = ATTACHMENTS, "Up to ten files.";
    flags: "number?" = FLAGS, "4 no previews of links, 4096 no notification.";
    poll: "DiscordPoll?" = Rule::Object(&POLL), "A poll.";
})
.with(|message| not_empty(message, &["content", "embeds", "sticker_ids", "attachments", "components", "poll"], true));

/// What `edit_message` and its kin take.
pub const MESSAGE_EDIT: Shape = shape!("DiscordEditMessage", "What changes about a message. `{}` takes a part away.", {
    content: "(string | DiscordNull)?" = Rule::OrNull(&CONTENT), "Its text, up to 2,000 characters.";
    embeds: "{DiscordEmbed}?" = Rule::OrNull(&EMBEDS), "Up to ten embeds, in place of those it had.";
    allowed_mentions: "DiscordAllowedMentions?" = MENTIONS, "Who is notified; without it only users are.";
    components: "{DiscordActionRow}?" = Rule::OrNull(&ROWS), "Up to five rows of buttons and menus.";
    attachments: "{DiscordAttachment}?" = Rule::OrNull(&ATTACHMENTS), "The files that it keeps, by id, and new ones.";
    flags: "number?" = FLAGS, "4 no previews of links.";
})
.with(|message| not_empty(message, &[], false));

/// What `execute_webhook` and `create_followup_message` take.
pub const WEBHOOK_MESSAGE: Shape =
    shape!("DiscordWebhookMessage", "A message of a webhook, or an answer to an interaction.", {
        content: "string?" = CONTENT, "Its text, up to 2,000 characters.";
        username: "string?" = Rule::Text(1, 80), "The name that it is sent under; only for webhooks.";
        avatar_url: "string?" = Rule::Link, "The image that it is sent under; only for webhooks.";
        tts: "boolean?" = Rule::Boolean, "Whether it is read out.";
        embeds: "{DiscordEmbed}?" = EMBEDS, "Up to ten embeds.";
        allowed_mentions: "DiscordAllowedMentions?" = MENTIONS, "Who is notified; without it only users are.";
        components: "{DiscordActionRow}?" = ROWS, "Up to five rows of buttons and menus.";
        attachments: "{DiscordAttachment}?" = ATTACHMENTS, "Up to ten files.";
        flags: "number?" = FLAGS, "4 no previews of links, 64 only for who asked, 4096 no notification.";
        thread_name: "string?" = Rule::Text(1, 100), "The post to begin, in a forum.";
        poll: "DiscordPoll?" = Rule::Object(&POLL), "A poll.";
    })
    .with(|message| not_empty(message, &["content", "embeds", "attachments", "components", "poll"], true));

/// Who is notified by a message.
pub const ALLOWED_MENTIONS: Shape = shape!("DiscordAllowedMentions", "Who is notified by what a message says.", {
    parse: "{string}?" = Rule::List(&Rule::Word(&["users", "roles", "everyone"]), 0, 3),
        "`users`, `roles`, `everyone`: whoever is mentioned in the text. `everyone` takes the \
         permission to mention everyone, and so do roles in an answer to an interaction or by a webhook.";
    users: "{string}?" = Rule::List(&Rule::Id(Thing::User), 0, 100), "Only these users.";
    roles: "{string}?" = Rule::List(&Rule::Id(Thing::Role), 0, 100), "Only these roles.";
    replied_user: "boolean?" = Rule::Boolean, "Whether the author of the answered message is.";
});

/// A message that another refers to.
pub const REFERENCE: Shape = shape!("DiscordMessageReference", "The message that another answers or forwards; of the same guild.", {
    type: "number?" = Rule::Choice(&[0, 1]), "0 answers, 1 forwards.";
    message_id: "string" = Rule::Id(Thing::Message), "Its id.";
    channel_id: "string?" = Rule::Id(Thing::Channel), "Its channel; needed to forward.";
    guild_id: "string?" = Rule::Id(Thing::Guild), "The guild.";
    fail_if_not_exists: "boolean?" = Rule::Boolean, "Whether it is an error where the message is gone.";
});

/// Around which message others are.
pub const TARGET: Shape = shape!("DiscordMessageTarget", "Around, before or after which message others are.", {
    type: "string" = Rule::Word(&["Around", "Before", "After"]), "Where they are.";
    id: "string" = Rule::Id(Thing::Message), "The message.";
});

/// A file.
pub const ATTACHMENT: Shape = shape!("DiscordAttachment", "A file of a message.", {
    id: "string?" = Rule::Id(Thing::Other), "Which of those that are there already; not for a new one.";
    filename: "string?" = Rule::Text(1, 128), "Its name, without folders.";
    description: "string?" = Rule::Text(0, 1024), "What it shows, for those who cannot see it.";
    content: "(buffer | string)?" = Rule::Content, "What is in it.";
})
.with(|file| {
    let Some(name) = file.get("filename").and_then(Value::as_str) else {
        return match file.get("id").and_then(Value::as_str) {
            // Places of new files are small numbers; ids are not.
            Some(id) if id.len() > 4 => Ok(()),
            Some(_) => Err(Wrong::at("filename", "is missing")),
            None => Err(Wrong::at("content", "is missing")),
        };
    };
    let odd = |char: char| char.is_control() || "\"/\\:*?<>|%;\r\n".contains(char);
    if name.contains(odd) || name.starts_with('.') {
        return Err(Wrong::at("filename", "is no plain name of a file, such as `chart.png`"));
    }
    if file.contains_key("id") { Ok(()) } else { Err(Wrong::at("content", "is missing")) }
});

/// A poll.
pub const POLL: Shape = shape!("DiscordPoll", "A poll.", {
    question: "DiscordPollMedia" = Rule::Object(&POLL_MEDIA), "What is asked.";
    answers: "{DiscordPollAnswer}" = Rule::List(&Rule::Object(&POLL_ANSWER), 1, 10), "Up to ten answers.";
    duration: "number?" = Rule::Integer(1, 768), "Hours that it is open, 24 unless said otherwise.";
    allow_multiselect: "boolean?" = Rule::Boolean, "Whether several answers can be chosen.";
    layout_type: "number?" = Rule::Choice(&[1]), "`1`.";
})
.with(|poll| {
    let question = poll.get("question").and_then(|media| media.get("text"));
    match question.and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(()),
        _ => Err(Wrong::at("question.text", "is missing")),
    }
});

/// A question or an answer.
pub const POLL_MEDIA: Shape = shape!("DiscordPollMedia", "A question or an answer of a poll.", {
    text: "string?" = Rule::Text(0, 300), "What it says: a question up to 300 characters, an answer up to 55.";
    emoji: "DiscordPartialEmoji?" = Rule::Object(&super::component::EMOJI), "An emoji; not for a question.";
});

/// An answer.
pub const POLL_ANSWER: Shape = shape!("DiscordPollAnswer", "An answer of a poll.", {
    poll_media: "DiscordPollMedia" = Rule::Object(&POLL_MEDIA), "What it says.";
})
.with(|answer| {
    let text = answer.get("poll_media").and_then(|media| media.get("text")).and_then(Value::as_str);
    match text.map_or(0, |text| text.chars().count()) {
        0..=55 => Ok(()),
        more => Err(Wrong::at("poll_media.text", format!("has {more} characters: Discord takes at most 55"))),
    }
});

/// What all messages have to keep.
fn not_empty(message: &mut Map<String, Value>, parts: &[&str], is_new: bool) -> Result<(), Wrong> {
    if let Some(Value::Array(embeds)) = message.get("embeds") {
        embed::total(embeds)?;
    }
    let reference = message.get("message_reference");
    let forwards = reference.and_then(|to| to.get("type")).and_then(Value::as_i64) == Some(1);
    let is_something = |part: &&str| match message.get(*part) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(_)) => true,
        _ => false,
    };
    if is_new && !forwards && !parts.iter().any(is_something) {
        return Err(Wrong::here(format!("is empty: give one of `{}`", parts.join("`, `"))));
    }
    if forwards && reference.is_some_and(|to| to.get("channel_id").is_none()) {
        return Err(Wrong::at("message_reference.channel_id", "is missing"));
    }
    notify_users_only(message);
    Ok(())
}

/// Where a message says nothing about whom it notifies, only users are: a template that repeats what somebody wrote must
/// not call everybody, nor a role.
pub(super) fn notify_users_only(message: &mut Map<String, Value>) {
    let says_something = message.get("content").is_some_and(Value::is_string);
    if says_something && !message.contains_key("allowed_mentions") {
        message.insert("allowed_mentions".to_owned(), serde_json::json!({ "parse": ["users"] }));
    }
}
