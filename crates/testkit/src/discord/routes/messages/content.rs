//! What a message may hold, and how that looks once the message is there.

use serde_json::{Map, Value, json};

use crate::discord::body::File;
use crate::discord::errors::{self, Failure};
use crate::discord::models;
use crate::discord::permissions::{self, MENTION_EVERYONE, READ_MESSAGE_HISTORY, VIEW_CHANNEL};
use crate::discord::records::Message;
use crate::discord::state::{Id, State};

/// Characters of content for who has no subscription.
const LONGEST: usize = 2_000;
/// Discord's flag of a message that is all components.
const COMPONENTS_V2: u64 = 1 << 15;
/// Characters of all embeds together.
const LONGEST_EMBEDS: usize = 6_000;

/// What of a message a forward shows.
const IN_SNAPSHOTS: [&str; 10] = [
    "type",
    "content",
    "mentions",
    "mention_roles",
    "attachments",
    "embeds",
    "timestamp",
    "edited_timestamp",
    "flags",
    "components",
];

/// Puts the fields of a body into a message, new or old.
pub(in crate::discord::routes) fn put(
    state: &State,
    message: &mut Message,
    body: &Value,
    files: &[File],
) -> Result<(), Failure> {
    if let Some(content) = body.get("content") {
        content.as_str().unwrap_or_default().clone_into(&mut message.content);
        // Without a new rule, new content mentions whom it will.
        message.more.remove("allowed_mentions");
    }
    if message.content.chars().count() > LONGEST {
        let text = format!("Must be {LONGEST} or fewer in length.");
        return Err(errors::invalid_field("content", "BASE_TYPE_MAX_LENGTH", &text));
    }
    if let Some(embeds) = body.get("embeds") {
        let embeds = embeds.as_array().map(Vec::as_slice).unwrap_or_default();
        if embeds.iter().map(embed_length).sum::<usize>() > LONGEST_EMBEDS {
            let text = format!("Embed size exceeds maximum size of {LONGEST_EMBEDS}");
            return Err(errors::invalid_field("embeds", "MAX_EMBED_SIZE_EXCEEDED", &text));
        }
        let shown: Vec<Value> = embeds.iter().map(embed).collect();
        message.more.insert("embeds".to_owned(), json!(shown));
    }
    if let Some(components) = body.get("components") {
        let mut next = 0;
        let shown: Value =
            components.as_array().into_iter().flatten().map(|one| component(one, &mut next)).collect();
        message.more.insert("components".to_owned(), shown);
    }
    if let Some(flags) = body["flags"].as_u64() {
        message.more.insert("flags".to_owned(), json!(flags));
    }
    for key in ["tts", "nonce", "allowed_mentions", "username"] {
        if let Some(value) = body.get(key).filter(|value| !value.is_null()) {
            message.more.insert(key.to_owned(), value.clone());
        }
    }
    if body.get("attachments").is_some_and(Value::is_array) || !files.is_empty() {
        attach(message, body, files);
    }
    refer(state, message, body)?;
    check_components(message)?;
    let has =
        |key: &str| message.more.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let sticker = body["sticker_ids"].as_array().is_some_and(|ids| !ids.is_empty());
    let filled = ["embeds", "components", "attachments", "message_snapshots"].iter().any(|key| has(key));
    if message.content.is_empty() && !filled && !sticker && !body["poll"].is_object() {
        return Err(errors::empty_message());
    }
    Ok(())
}

/// With the newer components a message has nothing else, and without their flag it has only rows of the older.
fn check_components(message: &Message) -> Result<(), Failure> {
    let filled =
        |key: &str| message.more.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let flags = message.more.get("flags").and_then(Value::as_u64).unwrap_or(0);
    if flags & COMPONENTS_V2 != 0 {
        if !message.content.is_empty() || filled("embeds") {
            let code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2";
            let text = "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2";
            return Err(errors::invalid_field("content", code, text));
        }
        return Ok(());
    }
    let components = message.more.get("components").and_then(Value::as_array);
    match components.into_iter().flatten().position(|one| one["type"] != 1) {
        Some(place) => {
            let path = format!("components.{place}.type");
            Err(errors::invalid_field(
                &path,
                "UNION_TYPE_CHOICES",
                "Value of field \"type\" must be one of (1,).",
            ))
        }
        None => Ok(()),
    }
}

/// The files of a form become attachments; the list in the body says which of the old ones stay.
fn attach(message: &mut Message, body: &Value, files: &[File]) {
    let old = message.more.get("attachments").cloned().unwrap_or(json!([]));
    let listed = body["attachments"].as_array().cloned().unwrap_or_default();
    let stays =
        |one: &&Value| body["attachments"].is_null() || listed.iter().any(|wanted| wanted["id"] == one["id"]);
    let mut all: Vec<Value> = old.as_array().into_iter().flatten().filter(stays).cloned().collect();
    for (index, file) in files.iter().enumerate() {
        let id = Id(message.channel.0 + 1 + index as u64);
        let number = file.field.trim_start_matches("files[").trim_end_matches(']');
        let is_meant = |id: &Value| id == number || id.as_u64() == number.parse().ok();
        let about = listed.iter().find(|one| is_meant(&one["id"]));
        let name = about.and_then(|one| one["filename"].as_str()).unwrap_or(&file.name);
        let url = format!("https://cdn.discordapp.com/attachments/{}/{id}/{name}", message.channel);
        let mut model =
            json!({"id": id, "filename": name, "size": file.bytes.len(), "url": url, "proxy_url": url});
        if let Some(text) = about.and_then(|one| one["description"].as_str()) {
            model["description"] = json!(text);
        }
        all.push(model);
    }
    message.more.insert("attachments".to_owned(), Value::Array(all));
}

/// What is replied to is in the same channel, and what is forwarded is where the bot may read. It must be there, unless
/// the body says that it needn't.
fn refer(state: &State, message: &mut Message, body: &Value) -> Result<(), Failure> {
    let reference = &body["message_reference"];
    let Some(id) = Id::of(&reference["message_id"]) else { return Ok(()) };
    let channel = Id::of(&reference["channel_id"]).unwrap_or(message.channel);
    let forwards = reference["type"] == 1;
    let invalid = |code: &str, text: &str| errors::invalid_field("message_reference", code, text);
    if !forwards && channel != message.channel {
        let code = "REPLIES_CANNOT_REFERENCE_OTHER_CHANNEL";
        return Err(invalid(code, "Cannot reply to a message in a different channel"));
    }
    if !permissions::has(state.permissions_in(channel, state.bot), VIEW_CHANNEL | READ_MESSAGE_HISTORY) {
        return Err(errors::missing_access());
    }
    let Some(found) = state.messages.get(&channel).and_then(|all| all.get(&id)) else {
        let excused = reference["fail_if_not_exists"] == false && !forwards;
        let unknown = || invalid("MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message");
        return if excused { Ok(()) } else { Err(unknown()) };
    };
    let guild = state.channels.get(&channel).map(|channel| channel.guild);
    let shown =
        json!({"type": u8::from(forwards), "channel_id": channel, "message_id": id, "guild_id": guild});
    message.more.insert("message_reference".to_owned(), shown);
    let original = models::message(state, found);
    let only = |keys: &dyn Fn(&str) -> bool| -> Value {
        let fields = original.as_object().into_iter().flatten().filter(|(key, _)| keys(key));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into()
    };
    if forwards {
        let snapshot = json!([{"message": only(&|key| IN_SNAPSHOTS.contains(&key))}]);
        message.more.insert("message_snapshots".to_owned(), snapshot);
    } else {
        message.more.insert("type".to_owned(), json!(19));
        let referenced = only(&|key| key != "reactions" && key != "referenced_message");
        message.more.insert("referenced_message".to_owned(), referenced);
    }
    Ok(())
}

/// Gives a message its id and its place. Its model.
pub(in crate::discord::routes) fn write(state: &mut State, mut message: Message) -> Value {
    message.id = state.fresh_id();
    let model = models::message(state, &message);
    state.messages.entry(message.channel).or_default().insert(message.id, message);
    model
}

/// An embed as it is shown: without what is null, and `rich`.
fn embed(sent: &Value) -> Value {
    let mut shown = without_nulls(sent);
    shown["type"] = json!("rich");
    for field in shown["fields"].as_array_mut().into_iter().flatten() {
        field["inline"] = json!(field["inline"] == true);
    }
    // Indexing made what wasn't there.
    without_nulls(&shown)
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn embed_length(embed: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let fields = embed["fields"].as_array().into_iter().flatten();
    let fields: usize = fields.map(|field| text(&field["name"]) + text(&field["value"])).sum();
    let rest = [&embed["title"], &embed["description"], &embed["footer"]["text"], &embed["author"]["name"]];
    fields + rest.into_iter().map(text).sum::<usize>()
}

/// A component as it is shown: every one has a number, and what was left out has its default.
fn component(sent: &Value, next: &mut u64) -> Value {
    *next += 1;
    let mut shown = match without_nulls(sent) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    shown.entry("id").or_insert(json!(*next));
    let kind = sent["type"].as_u64().unwrap_or(0);
    if [3, 5, 6, 7, 8].contains(&kind) {
        shown.entry("min_values").or_insert(json!(1));
        shown.entry("max_values").or_insert(json!(1));
    }
    if kind == 17 {
        shown.entry("accent_color").or_insert(Value::Null);
        shown.entry("spoiler").or_insert(json!(false));
    }
    if kind == 14 {
        shown.entry("spacing").or_insert(json!(1));
        shown.entry("divider").or_insert(json!(true));
    }
    if let Some(Value::Array(inner)) = shown.get("components").cloned() {
        shown.insert("components".to_owned(), inner.iter().map(|one| component(one, next)).collect());
    }
    if let Some(inner) = shown.get("accessory").cloned() {
        shown.insert("accessory".to_owned(), component(&inner, next));
    }
    Value::Object(shown)
}

/// Whom the text mentions, as far as `allowed_mentions` lets it: `@` are users, `&` are roles.
pub(in crate::discord) fn mentioned(message: &Message, sign: char) -> Vec<Id> {
    let kind = if sign == '@' { "users" } else { "roles" };
    let rule = message.more.get("allowed_mentions");
    let allowed = |id: Id| match rule {
        None => true,
        Some(rule) => {
            let among =
                |list: &Value, wanted: Value| list.as_array().is_some_and(|list| list.contains(&wanted));
            among(&rule["parse"], json!(kind)) || among(&rule[kind], json!(id))
        }
    };
    let mut found = Vec::new();
    for piece in message.content.split("<@").skip(1) {
        let Some((inside, _)) = piece.split_once('>') else { continue };
        let digits = match inside.strip_prefix('&') {
            Some(digits) if sign == '&' => digits,
            None if sign == '@' => inside.trim_start_matches('!'),
            _ => continue,
        };
        let id = digits.parse().ok().map(Id);
        found.extend(id.filter(|id| allowed(*id) && !found.contains(id)));
    }
    found
}

/// Whether it calls everybody: who writes it must be allowed to.
pub(in crate::discord) fn mentions_everyone(state: &State, message: &Message) -> bool {
    let called = ["@everyone", "@here"].iter().any(|word| message.content.contains(word));
    let allowed = message
        .more
        .get("allowed_mentions")
        .is_none_or(|rule| rule["parse"].as_array().is_some_and(|list| list.contains(&json!("everyone"))));
    let may = state.permissions_in(message.channel, message.author);
    called && allowed && permissions::has(may, MENTION_EVERYONE)
}
