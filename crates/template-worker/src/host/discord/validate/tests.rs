//! Discord's published limits, one by one, and what an author is told.

use khronos::KhronosValue;

use super::super::methods::find;
use super::{Decoded, Invalid};

fn table<const N: usize>(entries: [(&str, KhronosValue); N]) -> KhronosValue {
    entries.into()
}

fn list(items: impl IntoIterator<Item = KhronosValue>) -> KhronosValue {
    KhronosValue::List(items.into_iter().collect())
}

fn number(number: i64) -> KhronosValue {
    KhronosValue::Integer(number)
}

/// `create_message` with this `data`.
fn send(data: KhronosValue) -> Result<Decoded, Invalid> {
    let arguments = table([("channel_id", "12".into()), ("data", data)]);
    find("create_message").unwrap().decode(vec![arguments])
}

fn refused(data: KhronosValue) -> String {
    send(data).unwrap_err().to_string()
}

fn embed<const N: usize>(entries: [(&str, KhronosValue); N]) -> KhronosValue {
    table([("embeds", list([table(entries)]))])
}

#[test]
fn a_message_has_at_most_2000_characters_and_is_something() {
    assert!(send(table([("content", "x".repeat(2000).into())])).is_ok());
    assert!(send(table([("content", "é".repeat(2000).into())])).is_ok(), "characters are counted, not bytes");
    assert_eq!(
        refused(table([("content", "x".repeat(2001).into())])),
        "`data.content` has 2001 characters: Discord takes at most 2000"
    );
    let empty = "`data` is empty: give one of `content`, `embeds`, `sticker_ids`, `attachments`, `components`, `poll`";
    assert_eq!(refused(table([])), empty);
    assert_eq!(refused(table([("content", "".into()), ("embeds", list([]))])), empty);
    assert_eq!(refused(number(3)), "`data` is a number: expected a table with named fields");
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_known_name() {
    assert_eq!(
        refused(table([("content", "x".into()), ("embed", list([]))])),
        "`data.embed` is not a field that there is; did you mean `embeds`?"
    );
    assert_eq!(
        refused(embed([("titel", "x".into())])),
        "`data.embeds[1].titel` is not a field that there is; did you mean `title`?"
    );
    let long = refused(table([(&"\u{7}x".repeat(5000), "x".into())]));
    assert!(long.len() < 600 && !long.contains('\u{7}'), "{long}");
    let unlike = refused(table([("frobnicate", 1.0.into())]));
    assert!(
        unlike.contains("is not a field that there is; there are `") && unlike.contains("`content`"),
        "{unlike}"
    );
}

#[test]
fn embeds_keep_their_limits_each_and_together() {
    let over = [
        (embed([("title", "x".repeat(257).into())]), "`data.embeds[1].title` has 257 characters"),
        (
            embed([("description", "x".repeat(4097).into())]),
            "`data.embeds[1].description` has 4097 characters",
        ),
        (
            embed([("footer", table([("text", "x".repeat(2049).into())]))]),
            "`data.embeds[1].footer.text` has 2049 characters",
        ),
        (
            embed([("author", table([("name", "x".repeat(257).into())]))]),
            "`data.embeds[1].author.name` has 257 characters",
        ),
        (
            embed([("fields", list([table([("name", "x".repeat(257).into()), ("value", "x".into())])]))]),
            "`data.embeds[1].fields[1].name` has 257 characters",
        ),
        (
            embed([("fields", list([table([("name", "x".into()), ("value", "x".repeat(1025).into())])]))]),
            "`data.embeds[1].fields[1].value` has 1025 characters",
        ),
        (
            embed([("fields", list((0..26).map(|_| table([("name", "x".into()), ("value", "x".into())]))))]),
            "`data.embeds[1].fields` has 26 entries",
        ),
        (
            table([("embeds", list((0..11).map(|_| table([("title", "x".into())]))))]),
            "`data.embeds` has 11 entries: expected 0 to 10",
        ),
        (
            embed([("color", number(0x100_0000))]),
            "`data.embeds[1].color` is 16777216: expected 0 to 16777215",
        ),
        (embed([("url", "javascript:alert(1)".into())]), "`data.embeds[1].url` is no address"),
        (embed([("timestamp", "yesterday at noon".into())]), "`data.embeds[1].timestamp` is no moment"),
    ];
    for (data, expected) in over {
        let text = refused(data);
        assert!(text.starts_with(expected), "{text}\nexpected {expected}");
    }
    let embeds = |characters| {
        let one = || table([("description", "x".repeat(characters).into())]);
        table([("embeds", list([one(), one()]))])
    };
    assert!(send(embeds(3000)).is_ok());
    assert_eq!(
        refused(embeds(3001)),
        "`data.embeds` have 6002 characters together: Discord takes at most 6000 in all embeds of a message"
    );
}

#[test]
fn a_row_holds_five_buttons_or_one_menu() {
    let button = || {
        table([("type", number(2)), ("style", number(1)), ("label", "x".into()), ("custom_id", "a".into())])
    };
    let menu = || table([("type", number(5)), ("custom_id", "m".into())]);
    let row = |inside: Vec<KhronosValue>| {
        table([("components", list([table([("type", number(1)), ("components", list(inside))])]))])
    };
    assert!(send(row((0..5).map(|_| button()).collect())).is_ok());
    assert!(send(row(vec![menu()])).is_ok());
    assert!(refused(row((0..6).map(|_| button()).collect())).contains("has 6 entries: expected 1 to 5"));
    assert!(refused(row(vec![menu(), button()])).contains("mixes a menu with others"));
    assert!(
        refused(row(vec![table([("type", number(9))])]))
            .contains("`data.components[1].components[1].type` is 9")
    );
    let link = table([("type", number(2)), ("style", number(5)), ("custom_id", "a".into())]);
    assert!(
        refused(row(vec![link])).ends_with("components[1].url` is missing: a button with style 5 is a link")
    );
    let rows = list((0..6).map(|_| table([("type", number(1)), ("components", list([button()]))])));
    assert!(refused(table([("components", rows)])).contains("has 6 entries: expected 0 to 5"));
}

#[test]
fn without_a_word_about_mentions_only_users_are_notified() {
    let notified = |data: KhronosValue| {
        let decoded = send(data).unwrap();
        (decoded.data().unwrap()["allowed_mentions"].to_string(), decoded.mentions_everyone)
    };
    assert_eq!(
        notified(table([("content", "@everyone".into())])),
        (r#"{"parse":["users"]}"#.to_owned(), false)
    );
    let parse = |what: &str| {
        table([
            ("content", "@everyone".into()),
            ("allowed_mentions", table([("parse", list([what.into()]))])),
        ])
    };
    assert_eq!(notified(parse("everyone")), (r#"{"parse":["everyone"]}"#.to_owned(), true));
    assert_eq!(notified(parse("roles")), (r#"{"parse":["roles"]}"#.to_owned(), false));
    assert_eq!(
        refused(parse("here")),
        "`data.allowed_mentions.parse[1]` is none of `users`, `roles`, `everyone`"
    );
}

#[test]
fn a_file_travels_beside_the_message_under_a_plain_name() {
    let file = |name: &str| {
        let file = table([("filename", name.into()), ("content", KhronosValue::Buffer(vec![1, 2]))]);
        send(table([("attachments", list([file]))]))
    };
    let decoded = file("chart.png").unwrap();
    assert_eq!(decoded.files.len(), 1);
    assert_eq!(
        (decoded.files[0].name.as_str(), decoded.files[0].content.as_slice()),
        ("chart.png", &[1, 2][..])
    );
    assert_eq!(decoded.data().unwrap()["attachments"].to_string(), r#"[{"filename":"chart.png","id":"0"}]"#);
    for name in ["a/b", "..", "a\"b", "a\r\nX: y", ".env", "a%2fb", "c:x"] {
        let text = file(name).unwrap_err().to_string();
        assert!(text.starts_with("`data.attachments[1].filename`"), "{text}");
    }
    let without = table([("attachments", list([table([("filename", "a.png".into())])]))]);
    assert_eq!(refused(without), "`data.attachments[1].content` is missing");
    let mine = || table([("filename", "a".into()), ("content", KhronosValue::Buffer(vec![0; 5 << 20]))]);
    let text = refused(table([("attachments", list([mine(), mine()]))]));
    assert!(text.contains("`data.attachments[2].content` is too large"), "{text}");
}

#[test]
fn the_ids_inside_a_body_are_found_wherever_they_are() {
    let reference = table([
        ("type", number(1)),
        ("message_id", "5".into()),
        ("channel_id", "6".into()),
        ("guild_id", "7".into()),
    ]);
    let found = send(table([("message_reference", reference)])).unwrap().references;
    let found: Vec<_> = found.iter().map(|one| (one.path.as_str(), one.id)).collect();
    assert_eq!(
        found,
        [
            ("channel_id", 12),
            ("data.message_reference.message_id", 5),
            ("data.message_reference.channel_id", 6),
            ("data.message_reference.guild_id", 7)
        ]
    );
}

#[test]
fn an_id_as_a_number_has_lost_digits_and_is_refused() {
    let arguments = table([("channel_id", number(826_535_422_381_391)), ("data", table([]))]);
    let text = find("create_message").unwrap().decode(vec![arguments]).unwrap_err().to_string();
    assert_eq!(text, "`channel_id` is a number, which loses digits of an id: use text, as in events");
}

#[test]
fn an_empty_table_takes_away_what_can_be_taken_away() {
    let edit = |data| {
        let arguments = table([("user_id", "12".into()), ("reason", "r".into()), ("data", data)]);
        let decoded = find("modify_guild_member").unwrap().decode(vec![arguments]);
        decoded.map(|decoded| decoded.arguments["data"].to_string()).map_err(|invalid| invalid.to_string())
    };
    assert_eq!(
        edit(table([("nick", table([])), ("roles", table([]))])).unwrap(),
        r#"{"nick":null,"roles":[]}"#
    );
    assert_eq!(edit(table([("channel_id", KhronosValue::Null)])).unwrap(), r#"{"channel_id":null}"#);
    assert_eq!(
        edit(table([("mute", table([]))])).unwrap_err(),
        "`data.mute` is a table: expected true or false"
    );
    assert_eq!(
        edit(table([("nick", "x".repeat(33).into())])).unwrap_err(),
        "`data.nick` has 33 characters: Discord takes at most 32"
    );
}

#[test]
fn the_other_limits_of_the_reference_hold() {
    let refused = |method: &str, arguments: KhronosValue| {
        find(method).unwrap().decode(vec![arguments]).unwrap_err().to_string()
    };
    let with =
        |id: &str, data: KhronosValue| table([(id, "12".into()), ("reason", "r".into()), ("data", data)]);
    let topic = with("channel_id", table([("topic", "x".repeat(1025).into())]));
    assert!(refused("edit_channel", topic).starts_with("`data.topic` has 1025 characters"));
    let slow = with("channel_id", table([("rate_limit_per_user", number(21_601))]));
    assert_eq!(refused("edit_channel", slow), "`data.rate_limit_per_user` is 21601: expected 0 to 21600");
    let name = with("channel_id", table([("name", "x".repeat(81).into())]));
    assert!(refused("create_webhook", name).starts_with("`data.name` has 81 characters"));
    let icon =
        table([("reason", "r".into()), ("data", table([("icon", "data:image/svg;base64,AAAA".into())]))]);
    assert!(refused("modify_guild", icon).starts_with("`data.icon` is no image"));
    let reason = table([("user_id", "1".into()), ("reason", "x".repeat(513).into())]);
    assert_eq!(refused("create_guild_ban", reason), "`reason` has 513 characters: Discord takes at most 512");
    let poll = |answers: usize| {
        let answer = || table([("poll_media", table([("text", "a".into())]))]);
        let poll =
            [("question", table([("text", "q".into())])), ("answers", list((0..answers).map(|_| answer())))];
        table([("poll", table(poll))])
    };
    assert!(send(poll(10)).is_ok());
    assert!(send(poll(11)).unwrap_err().to_string().contains("has 11 entries: expected 1 to 10"));
    let command = table([("data", table([("name", "Ping".into()), ("description", "d".into())]))]);
    assert!(refused("create_guild_command", command).starts_with("`data.name` has to be lower case"));
    let command = table([("data", table([("name", "ping".into())]))]);
    assert!(refused("create_guild_command", command).starts_with("`data.description` is missing"));
}

#[test]
fn permissions_are_numbers_or_their_digits() {
    let role = |permissions: KhronosValue| {
        let arguments = table([("reason", "r".into()), ("data", table([("permissions", permissions)]))]);
        find("create_guild_role")
            .unwrap()
            .decode(vec![arguments])
            .map(|decoded| decoded.arguments["data"].to_string())
    };
    assert_eq!(role("8".into()).unwrap(), r#"{"permissions":8}"#);
    assert_eq!(role(number(1 << 40)).unwrap(), r#"{"permissions":1099511627776}"#);
    for wrong in [
        KhronosValue::from("0x8"),
        "".into(),
        "-8".into(),
        number(-8),
        KhronosValue::Float(f64::NAN),
        "99999999999999999999".into(),
    ] {
        assert!(role(wrong.clone()).is_err(), "{wrong:?} was taken");
    }
}

#[test]
fn a_date_time_does_where_discord_wants_a_moment() {
    let time = khronos::Timestamp::from_nanos(1_769_882_400_000_000_000, khronos::TimeZone::UTC).unwrap();
    let sent = send(embed([("title", "t".into()), ("timestamp", KhronosValue::Timestamptz(time))])).unwrap();
    assert_eq!(sent.data().unwrap()["embeds"][0]["timestamp"], "2026-01-31T18:00:00Z");
    let data = [("communication_disabled_until", KhronosValue::Timestamptz(time))].into();
    let edit = table([("user_id", "12".into()), ("reason", "r".into()), ("data", data)]);
    let decoded = find("modify_guild_member").unwrap().decode(vec![edit]).unwrap();
    assert_eq!(decoded.data().unwrap()["communication_disabled_until"], "2026-01-31T18:00:00Z");
    let wrong = refused(embed([("timestamp", "2026-01-31".into())]));
    assert!(wrong.contains("is no moment: expected a DateTime, or ISO 8601"), "{wrong}");
}

#[test]
fn what_only_discord_sets_in_an_embed_is_left_out_and_anything_else_is_refused() {
    let image = || table([("url", "https://x/y.png".into()), ("width", 5.into()), ("proxy_url", "p".into())]);
    let read = embed([
        ("type", "rich".into()),
        ("title", "t".into()),
        ("image", image()),
        ("video", image()),
        ("footer", table([("text", "f".into()), ("proxy_icon_url", "p".into())])),
    ]);
    let sent = send(read).unwrap();
    let expected = serde_json::json!([
        {"title": "t", "image": {"url": "https://x/y.png"}, "footer": {"text": "f"}},
    ]);
    assert_eq!(sent.data().unwrap()["embeds"], expected);
    assert!(refused(embed([("typ", "rich".into())])).contains("is not a field that there is"));
    assert!(refused(table([("type", "rich".into())])).contains("`data.type` is not a field"));
}

#[test]
fn a_nonce_is_a_text_or_a_number_and_the_type_of_reactions_a_number_or_its_name() {
    let nonce = |nonce: KhronosValue| send(table([("content", "x".into()), ("nonce", nonce)]));
    assert_eq!(nonce(7.into()).unwrap().data().unwrap()["nonce"], 7);
    assert_eq!(nonce("n".into()).unwrap().data().unwrap()["nonce"], "n");
    let long = nonce("n".repeat(26).into()).unwrap_err().to_string();
    assert_eq!(long, "`data.nonce` has 26 characters: Discord takes at most 25");
    let reactions = |kind: KhronosValue| {
        let arguments = table([
            ("channel_id", "12".into()),
            ("message_id", "13".into()),
            ("reaction", "👍".into()),
            ("type", kind),
        ]);
        find("get_reactions").unwrap().decode(vec![arguments])
    };
    for (kind, number) in [("Normal".into(), 0), ("Burst".into(), 1), (1.into(), 1)] {
        assert_eq!(reactions(kind).unwrap().arguments["type"], number);
    }
    let wrong = reactions("burst".into()).unwrap_err().to_string();
    assert_eq!(wrong, "`type` is none of these: 0 or `Normal`, 1 or `Burst`");
}
