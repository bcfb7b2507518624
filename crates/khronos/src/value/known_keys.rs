//! The keys of Discord's events, and which of them a text is.
//!
//! Owns the list and a table of hashes that the compiler makes of it. What a VM keeps for a key is up to `json`.

/// Fields of messages, members, users, interactions, reactions, channels and roles, as the gateway sends them. The
/// order does not matter, nor does a missing one: it is slower to decode.
const KEYS: &[&str; 130] = &[
    "id",
    "type",
    "name",
    "guild_id",
    "channel_id",
    "user_id",
    "message_id",
    "application_id",
    "author",
    "member",
    "user",
    "message",
    "emoji",
    "roles",
    "nick",
    "avatar",
    "banner",
    "joined_at",
    "premium_since",
    "deaf",
    "mute",
    "pending",
    "flags",
    "permissions",
    "communication_disabled_until",
    "avatar_decoration_data",
    "collectibles",
    "nameplate",
    "sku_id",
    "asset",
    "label",
    "palette",
    "username",
    "global_name",
    "discriminator",
    "bot",
    "system",
    "public_flags",
    "primary_guild",
    "clan",
    "identity_enabled",
    "identity_guild_id",
    "tag",
    "badge",
    "accent_color",
    "display_name",
    "display_name_styles",
    "unusual_dm_activity_until",
    "content",
    "timestamp",
    "edited_timestamp",
    "tts",
    "mention_everyone",
    "mentions",
    "mention_roles",
    "mention_channels",
    "attachments",
    "embeds",
    "components",
    "reactions",
    "pinned",
    "nonce",
    "webhook_id",
    "channel_type",
    "message_reference",
    "message_snapshots",
    "referenced_message",
    "interaction",
    "interaction_metadata",
    "thread",
    "sticker_items",
    "stickers",
    "poll",
    "position",
    "activity",
    "application",
    "call",
    "role_subscription_data",
    "title",
    "description",
    "url",
    "color",
    "footer",
    "image",
    "thumbnail",
    "video",
    "provider",
    "fields",
    "value",
    "inline",
    "text",
    "icon_url",
    "proxy_url",
    "proxy_icon_url",
    "width",
    "height",
    "filename",
    "size",
    "content_type",
    "content_scan_version",
    "placeholder",
    "placeholder_version",
    "burst",
    "burst_colors",
    "message_author_id",
    "animated",
    "count",
    "me",
    "data",
    "options",
    "resolved",
    "token",
    "version",
    "locale",
    "guild_locale",
    "app_permissions",
    "entitlements",
    "context",
    "custom_id",
    "component_type",
    "values",
    "style",
    "users",
    "members",
    "channels",
    "topic",
    "parent_id",
    "owner_id",
    "last_message_id",
    "hoist",
];

/// How many keys there are.
pub(super) const COUNT: usize = KEYS.len();

const SLOTS: usize = 512;
const FREE: u8 = u8::MAX;

/// The keys by their hashes; a key whose slot is taken is in the next free one.
const TABLE: &[u8; SLOTS] = &table();

/// Which of the keys `text` is, counted from 0.
pub(super) fn find(text: &str) -> Option<usize> {
    let mut slot = hash(text.as_bytes());
    loop {
        let index = TABLE[slot];
        if index == FREE {
            return None;
        }
        if KEYS[usize::from(index)] == text {
            return Some(usize::from(index));
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Looks at the length and four bytes: enough to tell most of the keys apart.
const fn hash(text: &[u8]) -> usize {
    let length = text.len();
    if length == 0 {
        return 0;
    }
    let sample = text[0] as u32
        | (text[length / 2] as u32) << 8
        | (text[length - 1] as u32) << 16
        | (text[length / 4] as u32) << 24;
    let mixed = (sample ^ length as u32).wrapping_mul(0x9E37_79B1);
    (mixed >> 23) as usize
}

const fn table() -> [u8; SLOTS] {
    let mut table = [FREE; SLOTS];
    let mut index = 0;
    while index < COUNT {
        let mut slot = hash(KEYS[index].as_bytes());
        while table[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = index as u8;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_and_nothing_else_is() {
        for (index, key) in KEYS.iter().enumerate() {
            assert_eq!(find(key), Some(index), "{key}");
            assert_eq!(find(&format!("{key}_")), None, "{key}_");
        }
        for other in ["", "i", "ids", "Type", "ü", "a key that is not of this world"] {
            assert_eq!(find(other), None, "{other}");
        }
    }

    #[test]
    fn the_search_for_any_text_ends_soon() {
        let longest = TABLE.split(|index| *index == FREE).map(<[u8]>::len).max().unwrap();
        assert!(longest <= 8, "{longest} slots in a row are taken");
    }
}
