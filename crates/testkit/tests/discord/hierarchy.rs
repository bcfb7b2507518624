//! Discord's own check of permissions and hierarchy, which the service's is held against.

use serde_json::{Value, json};
use testkit::discord::permissions::*;
use testkit::discord::{Discord, Overwrite, OverwriteKind};

use super::{ALICE, BOB, CHANNEL, GUILD, discord, outcome, send};

const LOW: u64 = 4_001;
const HIGH: u64 = 4_002;
const OTHER_GUILD: u64 = 5_000;
const OTHER_CHANNEL: u64 = 6_000;

/// As [`discord`], with a role below the bot's that Alice has, and one above it that Bob has.
async fn ranks() -> Discord {
    let discord = discord().await;
    discord
        .guild(GUILD)
        .role(LOW, |role| role.position = 1)
        .role(HIGH, |role| role.position = 200)
        .member(ALICE, |member| member.roles.push(LOW.into()))
        .member(BOB, |member| member.roles.push(HIGH.into()));
    discord
}

const DONE: (u16, Option<u64>) = (204, None);
const LACKING: (u16, Option<u64>) = (403, Some(50013));
const NO_ACCESS: (u16, Option<u64>) = (403, Some(50001));

#[tokio::test]
async fn nobody_is_banned_or_kicked_from_below() {
    let discord = ranks().await;
    let owner = testkit::discord::OWNER;
    for (line, expected) in [
        (format!("PUT /guilds/{GUILD}/bans/{BOB}"), LACKING),
        (format!("PUT /guilds/{GUILD}/bans/{owner}"), LACKING),
        (format!("DELETE /guilds/{GUILD}/members/{BOB}"), LACKING),
        (format!("PUT /guilds/{GUILD}/bans/99"), (404, Some(10013))),
        (format!("DELETE /guilds/{GUILD}/members/99"), (404, Some(10013))),
        (format!("DELETE /guilds/{GUILD}/bans/{ALICE}"), (404, Some(10026))),
        (format!("PUT /guilds/{GUILD}/bans/{ALICE}"), DONE),
        (format!("GET /guilds/{GUILD}/members/{ALICE}"), (404, Some(10007))),
    ] {
        assert_eq!(outcome(&discord, &line, None).await, expected, "{line}");
    }
    assert_eq!(discord.bans(GUILD), [(ALICE.into(), None)]);
}

#[tokio::test]
async fn each_right_is_asked_for() {
    let nick = json!({"nick": "x"});
    let flags = json!({"flags": 4});
    let roles = json!({"roles": []});
    let timeout = json!({"communication_disabled_until": null});
    let of = |id: u64| format!("/guilds/{GUILD}/members/{id}");
    let cases: Vec<(Permissions, String, Option<&Value>)> = vec![
        (BAN_MEMBERS, format!("PUT /guilds/{GUILD}/bans/{ALICE}"), None),
        (KICK_MEMBERS, format!("DELETE {}", of(ALICE)), None),
        (MANAGE_NICKNAMES, format!("PATCH {}", of(ALICE)), Some(&nick)),
        (MODERATE_MEMBERS, format!("PATCH {}", of(ALICE)), Some(&timeout)),
        (MANAGE_ROLES, format!("PATCH {}", of(ALICE)), Some(&roles)),
        (MANAGE_GUILD, format!("PATCH {}", of(ALICE)), Some(&flags)),
        (MANAGE_ROLES, format!("PUT {}/roles/{LOW}", of(ALICE)), None),
        (VIEW_AUDIT_LOG, format!("GET /guilds/{GUILD}/audit-logs"), None),
        (MANAGE_GUILD, format!("GET /guilds/{GUILD}/auto-moderation/rules"), None),
        (MANAGE_WEBHOOKS, format!("GET /guilds/{GUILD}/webhooks"), None),
        (MANAGE_CHANNELS, format!("DELETE /channels/{CHANNEL}"), None),
    ];
    for (right, line, body) in cases {
        let discord = ranks().await;
        discord.guild(GUILD).everyone(VIEW_CHANNEL).bot_permissions(ALL & !ADMINISTRATOR & !right);
        // Flags may be set by several rights: without any of them.
        if body == Some(&flags) {
            discord.guild(GUILD).bot_permissions(0);
        }
        assert_eq!(outcome(&discord, &line, body).await, LACKING, "{line} without its right");
        discord.guild(GUILD).bot_permissions(right);
        assert!(outcome(&discord, &line, body).await.0 < 300, "{line} with its right alone");
    }
}

#[tokio::test]
async fn roles_above_the_bots_and_rights_that_it_lacks_are_out_of_reach() {
    let discord = ranks().await;
    discord.guild(GUILD).bot_permissions(MANAGE_ROLES | SEND_MESSAGES);
    let roles = format!("/guilds/{GUILD}/roles");
    let managed = GUILD + 1;
    let power = json!({"permissions": BAN_MEMBERS.to_string()});
    let own = json!({"permissions": SEND_MESSAGES.to_string()});
    let up = json!([{"id": LOW.to_string(), "position": 150}]);
    for (line, body, expected) in [
        (format!("PUT /guilds/{GUILD}/members/{ALICE}/roles/{HIGH}"), None, LACKING),
        (format!("PUT /guilds/{GUILD}/members/{ALICE}/roles/{managed}"), None, LACKING),
        (format!("DELETE {roles}/{HIGH}"), None, LACKING),
        (format!("DELETE {roles}/{GUILD}"), None, (400, Some(50028))),
        (format!("DELETE {roles}/77"), None, (404, Some(10011))),
        (format!("PATCH {roles}/{HIGH}"), Some(&own), LACKING),
        (format!("PATCH {roles}/{LOW}"), Some(&power), LACKING),
        (format!("POST {roles}"), Some(&power), LACKING),
        (format!("PATCH {roles}"), Some(&up), LACKING),
        (format!("PATCH {roles}/{LOW}"), Some(&own), (200, None)),
    ] {
        assert_eq!(outcome(&discord, &line, body).await, expected, "{line}");
    }
}

#[tokio::test]
async fn overwrites_decide_in_the_documented_order() {
    let discord = ranks().await;
    let line = format!("POST /channels/{CHANNEL}/messages");
    let body = json!({"content": "hi"});
    let bot_role = GUILD + 1;
    let steps = [
        (GUILD, OverwriteKind::Role, 0, SEND_MESSAGES, LACKING),
        (bot_role, OverwriteKind::Role, SEND_MESSAGES, 0, (200, None)),
        (testkit::discord::BOT, OverwriteKind::Member, 0, SEND_MESSAGES, LACKING),
        (bot_role, OverwriteKind::Role, 0, VIEW_CHANNEL, NO_ACCESS),
    ];
    for (id, kind, allow, deny, expected) in steps {
        let overwrite = Overwrite { id: id.into(), kind, allow, deny };
        discord.guild(GUILD).channel(CHANNEL, |channel| channel.overwrites.push(overwrite));
        assert_eq!(outcome(&discord, &line, Some(&body)).await, expected, "{overwrite:?}");
    }
    discord.guild(GUILD).bot_permissions(ADMINISTRATOR);
    assert_eq!(
        outcome(&discord, &line, Some(&body)).await,
        (200, None),
        "administrators pass all overwrites"
    );
}

#[tokio::test]
async fn an_overwrite_gives_only_what_its_maker_has() {
    let discord = ranks().await;
    discord.guild(GUILD).everyone(VIEW_CHANNEL).bot_permissions(MANAGE_ROLES | SEND_MESSAGES);
    let line = format!("PUT /channels/{CHANNEL}/permissions/{LOW}");
    let gives = |set: Permissions| json!({"type": 0, "allow": set.to_string(), "deny": "0"});
    assert_eq!(outcome(&discord, &line, Some(&gives(SEND_MESSAGES))).await, DONE);
    assert_eq!(outcome(&discord, &line, Some(&gives(MANAGE_MESSAGES))).await, LACKING);
    let unknown = format!("PUT /channels/{CHANNEL}/permissions/99");
    assert_eq!(outcome(&discord, &unknown, Some(&gives(0))).await, (404, Some(10009)));
    let lets = Overwrite { id: (GUILD + 1).into(), kind: OverwriteKind::Role, allow: MANAGE_ROLES, deny: 0 };
    discord.guild(GUILD).channel(CHANNEL, |channel| channel.overwrites.push(lets));
    assert_eq!(outcome(&discord, &line, Some(&gives(MANAGE_MESSAGES))).await, DONE);
    let new =
        json!({"name": "n", "permission_overwrites": [{"id": LOW.to_string(), "type": 0, "allow": "8192"}]});
    let create = format!("POST /guilds/{GUILD}/channels");
    discord.guild(GUILD).bot_permissions(MANAGE_CHANNELS | MANAGE_ROLES);
    assert_eq!(outcome(&discord, &create, Some(&new)).await, LACKING);
}

#[tokio::test]
async fn what_is_in_another_guild_is_out_of_reach_without_the_bot_there() {
    let discord = ranks().await;
    discord.guild(OTHER_GUILD).channel(OTHER_CHANNEL, |_| ()).without_bot();
    for (line, expected) in [
        (format!("GET /guilds/{OTHER_GUILD}"), (404, Some(10004))),
        (format!("GET /guilds/{OTHER_GUILD}/roles"), NO_ACCESS),
        (format!("PUT /guilds/{OTHER_GUILD}/bans/{ALICE}"), NO_ACCESS),
        (format!("GET /channels/{OTHER_CHANNEL}"), NO_ACCESS),
        ("GET /channels/1".to_owned(), (404, Some(10003))),
        ("GET /guilds/1/channels".to_owned(), (404, Some(10004))),
    ] {
        assert_eq!(outcome(&discord, &line, None).await, expected, "{line}");
    }
}

#[tokio::test]
async fn channels_of_another_guild_are_no_channels_here() {
    let discord = ranks().await;
    discord
        .guild(OTHER_GUILD)
        .channel(OTHER_CHANNEL, |channel| channel.kind = 4)
        .webhook(7_000, OTHER_CHANNEL, |_| ())
        .invite("other", OTHER_CHANNEL, |_| ());
    discord.guild(GUILD).member(ALICE, |alice| alice.voice_channel = Some(CHANNEL.into())).webhook(
        7_001,
        CHANNEL,
        |_| (),
    );
    let other = OTHER_CHANNEL.to_string();
    let alert = json!({"type": 2, "metadata": {"channel_id": other}});
    for (line, body, expected) in [
        (format!("PATCH /guilds/{GUILD}/members/{ALICE}"), json!({"channel_id": other}), (404, Some(10003))),
        (format!("PATCH /guilds/{GUILD}"), json!({"system_channel_id": other}), (404, Some(10003))),
        (
            format!("PATCH /guilds/{GUILD}/channels"),
            json!([{"id": other, "position": 1}]),
            (404, Some(10003)),
        ),
        (
            format!("POST /guilds/{GUILD}/channels"),
            json!({"name": "n", "parent_id": other}),
            (400, Some(50035)),
        ),
        ("PATCH /webhooks/7001".to_owned(), json!({"channel_id": other}), (404, Some(10003))),
        (
            format!("POST /guilds/{GUILD}/auto-moderation/rules"),
            json!({"name": "r", "event_type": 1, "trigger_type": 3, "actions": [alert]}),
            (404, Some(10003)),
        ),
    ] {
        assert_eq!(outcome(&discord, &line, Some(&body)).await, expected, "{line}");
    }
}

#[tokio::test]
async fn the_audit_log_has_the_reason_and_what_changed() {
    let discord = ranks().await;
    let request = discord
        .request(reqwest::Method::PATCH, &format!("/guilds/{GUILD}/roles/{LOW}"))
        .header("x-audit-log-reason", "too%20loud%20%F0%9F%94%8A");
    testkit::answer(request.json(&json!({"name": "quiet"}))).await.expect(200);
    let log = discord.audit_log(GUILD);
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].reason.as_deref(), Some("too loud \u{1f50a}"));
    assert_eq!((log[0].action, log[0].target), (31, Some(LOW.into())));
    assert_eq!(log[0].changes, [json!({"key": "name", "old_value": "new role", "new_value": "quiet"})]);
}

#[tokio::test]
async fn old_messages_are_not_deleted_in_bulk_and_others_are_not_edited() {
    let discord = ranks().await;
    let old = discord.message_create_event(CHANNEL, ALICE, "old");
    discord.advance(std::time::Duration::from_secs(15 * 86_400));
    let new = discord.message_create_event(CHANNEL, ALICE, "new");
    let bulk = json!({"messages": [old["id"], new["id"]]});
    let line = format!("POST /channels/{CHANNEL}/messages/bulk-delete");
    assert_eq!(outcome(&discord, &line, Some(&bulk)).await, (400, Some(50034)));
    assert_eq!(discord.messages(CHANNEL).len(), 2);
    let one = format!("/channels/{CHANNEL}/messages/{}", new["id"].as_str().unwrap());
    let edit = json!({"content": "mine"});
    assert_eq!(outcome(&discord, &format!("PATCH {one}"), Some(&edit)).await, (403, Some(50005)));
    let empty = json!({"content": ""});
    let messages = format!("POST /channels/{CHANNEL}/messages");
    assert_eq!(outcome(&discord, &messages, Some(&empty)).await, (400, Some(50006)));
    let long = json!({"content": "x".repeat(2_001)});
    let answer = send(&discord, &messages, Some(&long)).await;
    assert_eq!(answer.body["errors"]["content"]["_errors"][0]["code"], "BASE_TYPE_MAX_LENGTH");
}
