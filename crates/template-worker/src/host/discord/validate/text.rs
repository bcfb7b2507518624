//! Texts with a form of their own: emoji, images, moments, tokens.
//!
//! Owns that nothing which becomes a part of a path can leave it: what has no fixed alphabet is percent-encoded here.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use khronos::{KhronosValue, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ids::UserId;

/// The languages that Discord has.
#[rustfmt::skip]
pub(super) const LANGUAGES: &[&str] = &[
    "ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he", "hi", "hr", "hu", "id",
    "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi", "zh-CN", "zh-TW",
];

/// Bytes of an image before base64: Discord takes 10,240 KiB for the largest, and a value has less.
const MOST_IMAGE_BYTES: usize = 10 << 20;
/// Bytes of an emoji: families of four with skin tones have less.
const MOST_EMOJI_BYTES: usize = 64;

/// Characters, as Discord counts them.
pub(super) fn count(text: &str) -> usize {
    text.chars().count()
}

/// Whether a text can stand in a path as it is.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Whether a text is a moment with a time zone.
pub(super) fn is_moment(text: &str) -> bool {
    OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

/// A moment as ISO 8601 writes it, in UTC.
pub(super) fn of_moment(time: Timestamp) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(time.nanos()).ok()?.format(&Rfc3339).ok()
}

/// The code of an invite, which people know as the end of an address.
pub(super) fn code_of(invite: &str) -> &str {
    let place = ["https://", "http://"].iter().find_map(|start| invite.strip_prefix(start)).unwrap_or(invite);
    let place = place.strip_prefix("www.").unwrap_or(place);
    let known = ["discord.gg/", "discord.com/invite/", "discordapp.com/invite/"];
    known.iter().find_map(|start| place.strip_prefix(start)).unwrap_or(invite)
}

/// Every byte that is not plain as `%XX`, so that a text is one part of a path, or one value of a query.
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// An emoji as it stands in a path.
pub(super) fn emoji(value: &KhronosValue) -> Result<String, &'static str> {
    const EXPECTED: &str =
        "is no emoji: expected the character itself, `name:id`, or a table with `name` and `id`";
    // What Discord goes by is the id.
    const ANY_NAME: &str = "_";
    let custom = |name: &str, id: &str| {
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let fine = name == ANY_NAME || (2..=32).contains(&name.len()) && is_plain;
        let id: UserId = id.parse().map_err(|_| EXPECTED)?;
        if fine { Ok(format!("{name}%3A{id}")) } else { Err(EXPECTED) }
    };
    match value {
        KhronosValue::Text(text) => match as_in_messages(text).split_once(':') {
            Some((name, id)) => custom(name, id),
            None => unicode(text).ok_or(EXPECTED),
        },
        KhronosValue::Map(table) => {
            if table.keys().any(|key| !["name", "id", "animated"].contains(&key.as_str())) {
                return Err(EXPECTED);
            }
            match (table.get("name"), table.get("id")) {
                (Some(KhronosValue::Text(name)), Some(KhronosValue::Text(id))) => custom(name, id),
                (None | Some(KhronosValue::Null), Some(KhronosValue::Text(id))) => custom(ANY_NAME, id),
                (Some(KhronosValue::Text(name)), None | Some(KhronosValue::Null)) => {
                    unicode(name).ok_or(EXPECTED)
                }
                _ => Err(EXPECTED),
            }
        }
        _ => Err(EXPECTED),
    }
}

/// `name:id` of an emoji as messages have it: `<:name:id>`, or `<a:name:id>` where it moves.
fn as_in_messages(text: &str) -> &str {
    let inside = text.strip_prefix("<a:").or_else(|| text.strip_prefix("<:"));
    inside.and_then(|inside| inside.strip_suffix('>')).unwrap_or(text)
}

/// Digits, `#` and `*` begin the emoji of keys; other ASCII is in none.
fn unicode(text: &str) -> Option<String> {
    let ascii = |char: char| char.is_ascii() && !char.is_ascii_digit() && char != '#' && char != '*';
    let fits = (1..=MOST_EMOJI_BYTES).contains(&text.len()) && !text.is_ascii();
    (fits && !text.contains(ascii) && !text.contains(char::is_control)).then(|| percent_encoded(text))
}

/// Whether a text is an image of one of these types as a data URI.
pub(super) fn image(types: &[&str], uri: &str) -> Result<(), String> {
    let expected = || {
        format!("is no image: expected `data:image/..;base64,..` with one of the types {}", types.join(", "))
    };
    let (head, data) = uri.split_once(";base64,").ok_or_else(expected)?;
    let kind = head.strip_prefix("data:image/").filter(|kind| types.contains(kind)).ok_or_else(expected)?;
    if data.len() / 4 * 3 > MOST_IMAGE_BYTES {
        return Err(format!("is an image of more than {MOST_IMAGE_BYTES} bytes"));
    }
    let bytes = BASE64_STANDARD.decode(data).map_err(|_| expected())?;
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let fits = match kind {
        "png" => begins(b"\x89PNG\r\n\x1a\n"),
        "jpeg" => begins(b"\xff\xd8\xff"),
        "gif" => begins(b"GIF87a") || begins(b"GIF89a"),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("says that it is a {kind}, and is none")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_one_part_of_a_path_whatever_it_holds() {
        let emoji = |text: &str| emoji(&text.into());
        assert_eq!(emoji("👍").unwrap(), "%F0%9F%91%8D");
        assert_eq!(emoji("wave:826535422381391913").unwrap(), "wave%3A826535422381391913");
        assert_eq!(emoji("<:wave:826535422381391913>").unwrap(), "wave%3A826535422381391913");
        assert_eq!(emoji("<a:wave:826535422381391913>").unwrap(), "wave%3A826535422381391913");
        assert_eq!(emoji("1️⃣").unwrap(), "1%EF%B8%8F%E2%83%A3");
        for wrong in [
            "",
            "a",
            "/",
            "..",
            "👍/../x",
            "👍?",
            "%2f",
            "x:1/2",
            "../x:12",
            "wave:",
            ":1",
            "<:wave:1",
            "<:wave:1>>",
            "<b:wave:1>",
            "<:wa/ve:1>",
            "<@1>",
            "👍\n",
            "@me",
            "👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍",
        ] {
            assert!(emoji(wrong).is_err(), "{wrong:?} was taken as {:?}", emoji(wrong));
        }
    }

    #[test]
    fn an_emoji_as_a_table_is_the_same() {
        let table = |name: &str, id: KhronosValue| emoji(&[("name", name.into()), ("id", id)].into());
        assert_eq!(table("wave", "12".into()).unwrap(), "wave%3A12");
        assert_eq!(table("👍", KhronosValue::Null).unwrap(), "%F0%9F%91%8D");
        let nameless = |id: &str| emoji(&[("id", id.into()), ("animated", true.into())].into());
        assert_eq!(nameless("12").unwrap(), "_%3A12");
        assert!(nameless("1/2").is_err() && nameless("").is_err());
        assert!(table("../../x", "12".into()).is_err());
        assert!(emoji(&[("name", "👍".into()), ("path", "x".into())].into()).is_err());
    }

    #[test]
    fn an_image_is_what_it_says() {
        let png = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(b"\x89PNG\r\n\x1a\nrest"));
        assert_eq!(image(&["png", "jpeg"], &png), Ok(()));
        assert!(image(&["jpeg"], &png).unwrap_err().contains("one of the types jpeg"));
        let false_png = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(b"<script>"));
        assert!(image(&["png"], &false_png).unwrap_err().contains("and is none"));
        for wrong in ["", "png", "data:image/png;base64,!!", "data:text/html;base64,AAAA", "https://x/y.png"]
        {
            assert!(image(&["png"], wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_moment_has_a_time_zone() {
        assert!(is_moment("2026-01-31T18:00:00Z") && is_moment("2026-01-31T18:00:00.250+05:30"));
        assert!(
            !is_moment("2026-01-31T18:00:00")
                && !is_moment("yesterday")
                && !is_moment("2026-13-31T18:00:00Z")
        );
    }

    #[test]
    fn a_date_time_is_written_as_utc_whatever_its_zone() {
        let zone = khronos::TimeZone::from_name("Asia/Kolkata").unwrap();
        let time = Timestamp::from_nanos(1_769_882_400_250_000_000, zone).unwrap();
        assert_eq!(of_moment(time).unwrap(), "2026-01-31T18:00:00.25Z");
    }

    #[test]
    fn the_code_of_an_invite_is_the_end_of_its_address() {
        for invite in [
            "inv",
            "discord.gg/inv",
            "https://discord.gg/inv",
            "https://www.discord.gg/inv",
            "http://discord.com/invite/inv",
            "discordapp.com/invite/inv",
        ] {
            assert_eq!(code_of(invite), "inv", "{invite}");
        }
        for other in ["https://example.com/inv", "discord.com/channels/1", "a/discord.gg/inv"] {
            assert_eq!(code_of(other), other);
        }
    }

    #[test]
    fn encoding_leaves_nothing_that_a_path_or_a_query_could_read() {
        assert_eq!(percent_encoded("a b&c=../d?#%"), "a%20b%26c%3D%2E%2E%2Fd%3F%23%25");
    }
}
