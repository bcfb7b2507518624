//! Embeds.

use serde_json::{Map, Value};

use super::super::validate::{Rule, Shape, Wrong, shape};

/// Characters of all embeds of a message together.
const MOST_CHARACTERS: usize = 6000;

/// What Discord adds to the parts of an embed, so that one that was read can be sent again.
const OF_DISCORD: &[&str] = &[
    "proxy_url",
    "proxy_icon_url",
    "width",
    "height",
    "content_type",
    "placeholder",
    "placeholder_version",
    "description",
    "is_animated",
    "flags",
];

/// An embed.
pub const EMBED: Shape = shape!("DiscordEmbed", "A box with formatted text in a message. One that came with a message can be sent again: what only Discord sets is left out.", {
    title: "string?" = Rule::Text(0, 256), "Its title.";
    description: "string?" = Rule::Text(0, 4096), "Its text.";
    url: "string?" = Rule::Link, "Where the title leads.";
    timestamp: "(string | DateTime)?" = Rule::Moment, "A moment that is shown beside the footer.";
    color: "number?" = Rule::Integer(0, 0xFF_FFFF), "The colour of its edge, `0xRRGGBB`.";
    footer: "DiscordEmbedFooter?" = Rule::Object(&FOOTER), "The line at its end.";
    image: "DiscordEmbedMedia?" = Rule::Object(&MEDIA), "A large image.";
    thumbnail: "DiscordEmbedMedia?" = Rule::Object(&MEDIA), "A small image.";
    author: "DiscordEmbedAuthor?" = Rule::Object(&AUTHOR), "Who is named above the title.";
    fields: "{DiscordEmbedField}?" = Rule::List(&Rule::Object(&FIELD), 0, 25), "Up to 25 small texts with names.";
})
.leaving_out(&["type", "provider", "video", "flags", "reference_id", "content_scan_version"]);

/// The line at the end of an embed.
pub const FOOTER: Shape = shape!("DiscordEmbedFooter", "The line at the end of an embed.", {
    text: "string" = Rule::Text(1, 2048), "What it says.";
    icon_url: "string?" = Rule::Link, "An image before it.";
})
.leaving_out(OF_DISCORD);

/// An image of an embed.
pub const MEDIA: Shape = shape!("DiscordEmbedMedia", "An image of an embed.", {
    url: "string" = Rule::Link, "Where it is: `https://..`, or `attachment://name` for a file of the message.";
})
.leaving_out(OF_DISCORD);

/// Who is named in an embed.
pub const AUTHOR: Shape = shape!("DiscordEmbedAuthor", "Who is named above the title of an embed.", {
    name: "string" = Rule::Text(1, 256), "The name.";
    url: "string?" = Rule::Link, "Where the name leads.";
    icon_url: "string?" = Rule::Link, "An image before it.";
})
.leaving_out(OF_DISCORD);

/// A small text in an embed.
pub const FIELD: Shape = shape!("DiscordEmbedField", "A small text with a name in an embed.", {
    name: "string" = Rule::Text(1, 256), "The name.";
    value: "string" = Rule::Text(1, 1024), "The text.";
    inline: "boolean?" = Rule::Boolean, "Whether others may stand beside it.";
});

/// What all embeds of a message may have together.
pub(super) fn total(embeds: &[Value]) -> Result<(), Wrong> {
    let text = |table: &Map<String, Value>, key: &str| {
        table.get(key).and_then(Value::as_str).map_or(0, |text| text.chars().count())
    };
    let inner = |embed: &Map<String, Value>, key: &str, of: &str| {
        embed.get(key).and_then(Value::as_object).map_or(0, |table| text(table, of))
    };
    let mut characters = 0;
    for embed in embeds.iter().filter_map(Value::as_object) {
        characters += text(embed, "title") + text(embed, "description");
        characters += inner(embed, "footer", "text") + inner(embed, "author", "name");
        let fields = embed.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for field in fields.iter().filter_map(Value::as_object) {
            characters += text(field, "name") + text(field, "value");
        }
    }
    if characters > MOST_CHARACTERS {
        let what = format!(
            "have {characters} characters together: Discord takes at most {MOST_CHARACTERS} in all embeds of a message"
        );
        return Err(Wrong::at("embeds", what));
    }
    Ok(())
}
