//! What Discord does beyond permissions: messages and threads, webhooks, invitations, interactions, commands.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::discord::permissions::*;
use testkit::discord::{BOT, Discord, Overwrite, OverwriteKind};

use super::{ALICE, CHANNEL, GUILD, discord, outcome, send};

const THREAD: u64 = 2_500;

async fn ids(discord: &Discord, query: &str) -> Vec<u64> {
    let answer = send(discord, &format!("GET /channels/{CHANNEL}/messages{query}"), None).await.expect(200);
    answer.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_messages_are_newest_first_wherever_they_start() {
    let discord = discord().await;
    let guild = discord.guild(GUILD);
    (1..=9).fold(guild, |guild, id| guild.message(CHANNEL, ALICE, "hi", |message| message.id = id.into()));
    assert_eq!(ids(&discord, "?limit=3").await, [9, 8, 7]);
    assert_eq!(ids(&discord, "?limit=3&before=5").await, [4, 3, 2]);
    assert_eq!(ids(&discord, "?limit=3&after=5").await, [8, 7, 6]);
    assert_eq!(ids(&discord, "?limit=3&around=5").await, [6, 5, 4]);
    assert_eq!(ids(&discord, "?before=1").await, [0_u64; 0]);
    discord.guild(GUILD).everyone(VIEW_CHANNEL).bot_permissions(SEND_MESSAGES);
    assert_eq!(ids(&discord, "").await, [0_u64; 0], "who may not read the history gets none");
}

#[tokio::test]
async fn what_a_message_carries_needs_its_own_permission() {
    let discord = discord().await;
    discord.guild(GUILD).everyone(VIEW_CHANNEL | SEND_MESSAGES).bot_permissions(0);
    let line = format!("POST /channels/{CHANNEL}/messages");
    let old = discord.message_create_event(CHANNEL, ALICE, "hi");
    for (body, permission) in [
        (json!({"embeds": [{"title": "t"}]}), EMBED_LINKS),
        (json!({"content": "t", "tts": true}), SEND_TTS_MESSAGES),
        (json!({"content": "t", "message_reference": {"message_id": old["id"]}}), READ_MESSAGE_HISTORY),
    ] {
        assert_eq!(outcome(&discord, &line, Some(&body)).await, (403, Some(50013)), "{body}");
        discord.guild(GUILD).bot_permissions(permission);
        assert_eq!(outcome(&discord, &line, Some(&body)).await.0, 200, "{body}");
        discord.guild(GUILD).bot_permissions(0);
    }
    let everyone = json!({"content": "@everyone"});
    assert_eq!(send(&discord, &line, Some(&everyone)).await.body["mention_everyone"], false);
    discord.guild(GUILD).bot_permissions(MENTION_EVERYONE);
    assert_eq!(send(&discord, &line, Some(&everyone)).await.body["mention_everyone"], true);
    let quiet = json!({"content": "@everyone <@3001>", "allowed_mentions": {"parse": []}});
    let sent = send(&discord, &line, Some(&quiet)).await.body;
    assert_eq!((&sent["mention_everyone"], &sent["mentions"]), (&json!(false), &json!([])));
}

#[tokio::test]
async fn replies_stay_in_their_channel_and_forwards_come_from_where_the_bot_reads() {
    let discord = discord().await;
    let hidden = Overwrite { id: GUILD.into(), kind: OverwriteKind::Role, allow: 0, deny: VIEW_CHANNEL };
    discord.guild(GUILD).channel(2_600, |_| ()).channel(2_700, |channel| channel.overwrites.push(hidden));
    let line = format!("POST /channels/{CHANNEL}/messages");
    let refers = |kind: u64, channel: u64, message: &Value| {
        let reference = json!({"type": kind, "channel_id": channel.to_string(), "message_id": message["id"]});
        json!({"content": if kind == 0 { "re" } else { "" }, "message_reference": reference})
    };
    let there = discord.message_create_event(2_600, ALICE, "there");
    assert_eq!(outcome(&discord, &line, Some(&refers(0, 2_600, &there))).await, (400, Some(50035)));
    let sent = send(&discord, &line, Some(&refers(1, 2_600, &there))).await.expect(200);
    assert_eq!(sent["message_snapshots"][0]["message"]["content"], "there");
    let secret = discord.message_create_event(2_700, ALICE, "secret");
    assert_eq!(outcome(&discord, &line, Some(&refers(1, 2_700, &secret))).await, (403, Some(50001)));
    let gone =
        json!({"content": "re", "message_reference": {"message_id": "1", "fail_if_not_exists": false}});
    assert_eq!(outcome(&discord, &line, Some(&gone)).await, (200, None));
}

#[tokio::test]
async fn threads_go_by_their_parent_and_private_ones_are_hidden() {
    let discord = discord().await;
    discord.guild(GUILD).thread(THREAD, CHANNEL, |thread| thread.kind = 12);
    discord.guild(GUILD).bot_permissions(ALL & !ADMINISTRATOR & !MANAGE_THREADS);
    let line = format!("POST /channels/{THREAD}/messages");
    let body = json!({"content": "hi"});
    assert_eq!(outcome(&discord, &line, Some(&body)).await, (403, Some(50001)));
    discord.guild(GUILD).thread(THREAD, CHANNEL, |_| ()).channel(THREAD, |thread| thread.kind = 11);
    let closed = |thread: &mut testkit::discord::Channel| thread.thread.as_mut().unwrap().archived = true;
    discord.guild(GUILD).channel(THREAD, closed);
    assert_eq!(outcome(&discord, &line, Some(&body)).await, (200, None));
    let thread = discord.channel(THREAD).unwrap().thread.unwrap();
    assert!(!thread.archived && thread.members.contains(&BOT.into()), "{thread:?}");
    discord.guild(GUILD).everyone(VIEW_CHANNEL).bot_permissions(SEND_MESSAGES);
    assert_eq!(
        outcome(&discord, &line, Some(&body)).await,
        (403, Some(50013)),
        "threads have a right of their own"
    );
    assert_eq!(outcome(&discord, &format!("DELETE /channels/{THREAD}"), None).await, (403, Some(50013)));
}

#[tokio::test]
async fn a_bot_in_timeout_only_looks_and_reads() {
    let discord = discord().await;
    let until = time::OffsetDateTime::now_utc() + Duration::from_secs(3_600);
    discord.guild(GUILD).member(BOT, |member| member.timed_out_until = Some(until));
    let body = json!({"content": "hi"});
    let line = format!("POST /channels/{CHANNEL}/messages");
    assert_eq!(outcome(&discord, &line, Some(&body)).await, (403, Some(50013)));
    assert_eq!(outcome(&discord, &format!("GET /channels/{CHANNEL}/messages"), None).await, (200, None));
    discord.advance(Duration::from_secs(3_600));
    assert_eq!(outcome(&discord, &line, Some(&body)).await, (200, None));
}

#[tokio::test]
async fn webhooks_have_names_tokens_and_a_number() {
    let discord = discord().await;
    let line = format!("POST /channels/{CHANNEL}/webhooks");
    assert_eq!(outcome(&discord, &line, Some(&json!({"name": "Discord news"}))).await, (400, Some(50035)));
    let mut made = Value::Null;
    for number in 0..15 {
        made = send(&discord, &line, Some(&json!({"name": format!("hook {number}")}))).await.expect(200);
    }
    assert_eq!(outcome(&discord, &line, Some(&json!({"name": "one more"}))).await, (400, Some(30007)));
    let id = made["id"].as_str().unwrap();
    let wrong =
        discord.anonymous(Method::POST, &format!("/webhooks/{id}/wrong")).json(&json!({"content": "x"}));
    assert_eq!(testkit::answer(wrong).await.expect(401)["code"], 50027);
    discord.guild(GUILD).bot_permissions(ALL & !ADMINISTRATOR & !MANAGE_WEBHOOKS);
    assert_eq!(outcome(&discord, &format!("GET /webhooks/{id}"), None).await, (200, None), "it is its own");
    assert_eq!(outcome(&discord, &format!("DELETE /webhooks/{id}"), None).await, (403, Some(50013)));
}

#[tokio::test]
async fn an_interaction_is_answered_in_three_seconds_and_its_token_ends_after_fifteen_minutes() {
    let discord = discord().await;
    let callback = |event: &Value| {
        let (id, token) = (event["id"].as_str().unwrap(), event["token"].as_str().unwrap());
        format!("POST /interactions/{id}/{token}/callback")
    };
    let answer = json!({"type": 4, "data": {"content": "only you", "flags": 64}});
    let event = discord.command_event(CHANNEL, ALICE, "ping", &json!([]));
    let followup = format!("POST /webhooks/{BOT}/{}", event["token"].as_str().unwrap());
    let more = json!({"content": "more"});
    assert_eq!(
        outcome(&discord, &followup, Some(&more)).await,
        (404, Some(10015)),
        "the first answer comes first"
    );
    assert_eq!(outcome(&discord, &callback(&event), Some(&answer)).await, (204, None));
    assert_eq!(ids(&discord, "").await, [0_u64; 0], "nobody else sees an ephemeral message");
    assert_eq!(outcome(&discord, &followup, Some(&more)).await, (200, None));
    let late = discord.command_event(CHANNEL, ALICE, "ping", &json!([]));
    discord.advance(Duration::from_secs(4));
    assert_eq!(outcome(&discord, &callback(&late), Some(&answer)).await, (404, Some(10062)));
    discord.advance(Duration::from_secs(15 * 60));
    assert_eq!(outcome(&discord, &followup, Some(&more)).await, (401, Some(50027)));
}

#[tokio::test]
async fn commands_are_the_applications_own_and_a_hundred() {
    let discord = discord().await;
    let command = |name: String| json!({"name": name, "description": "d"});
    let other = format!("POST /applications/1/guilds/{GUILD}/commands");
    assert_eq!(outcome(&discord, &other, Some(&command("a".to_owned()))).await, (403, Some(20012)));
    let all = format!("/applications/{BOT}/guilds/{GUILD}/commands");
    let hundred: Value = (0..100).map(|number| command(format!("c{number}"))).collect();
    assert_eq!(outcome(&discord, &format!("PUT {all}"), Some(&hundred)).await, (200, None));
    let more = format!("POST {all}");
    assert_eq!(outcome(&discord, &more, Some(&command("more".to_owned()))).await, (400, Some(30032)));
    assert_eq!(
        outcome(&discord, &more, Some(&command("c7".to_owned()))).await,
        (200, None),
        "in the place of one"
    );
}

#[tokio::test]
async fn a_similar_invitation_is_given_again_and_a_deleted_channel_takes_its_own_along() {
    let discord = discord().await;
    let line = format!("POST /channels/{CHANNEL}/invites");
    let one = send(&discord, &line, Some(&json!({}))).await.expect(200);
    assert_eq!(send(&discord, &line, Some(&json!({}))).await.expect(200)["code"], one["code"]);
    assert_ne!(send(&discord, &line, Some(&json!({"unique": true}))).await.expect(200)["code"], one["code"]);
    let code = one["code"].as_str().unwrap();
    testkit::answer(discord.anonymous(Method::GET, &format!("/invites/{code}"))).await.expect(200);
    send(&discord, &format!("DELETE /channels/{CHANNEL}"), None).await.expect(200);
    assert_eq!(outcome(&discord, &format!("GET /invites/{code}"), None).await, (404, Some(10006)));
}

#[tokio::test]
async fn a_channel_that_the_bot_does_not_see_is_hidden_everywhere() {
    let discord = discord().await;
    let secret = 2_600;
    discord.guild(GUILD).channel(secret, |channel| {
        channel.name = "secret".to_owned();
        channel.overwrites.push(Overwrite {
            id: GUILD.into(),
            kind: OverwriteKind::Role,
            allow: 0,
            deny: VIEW_CHANNEL,
        });
    });
    let list = async || send(&discord, &format!("GET /guilds/{GUILD}/channels"), None).await.expect(200);
    assert_eq!(list().await.as_array().unwrap().len(), 1);
    let event = discord.channel_event(secret);
    assert_eq!((&event["name"], &event["flags"]), (&json!("___hidden___"), &json!(1 << 17)));
    discord.guild(GUILD).bot_permissions(ADMINISTRATOR);
    assert_eq!(list().await.as_array().unwrap().len(), 2);
    assert_eq!(discord.channel_event(secret)["name"], "secret");
}

#[tokio::test]
async fn every_kind_of_channel_is_as_discord_describes_it() {
    let discord = discord().await;
    let line = format!("POST /guilds/{GUILD}/channels");
    let category = send(&discord, &line, Some(&json!({"name": "c", "type": 4}))).await.expect(201);
    for body in [
        json!({"name": "voice", "type": 2, "bitrate": 64_000, "user_limit": 5, "parent_id": category["id"]}),
        json!({"name": "stage", "type": 13, "rtc_region": null}),
        json!({"name": "news", "type": 5, "topic": "t", "nsfw": true}),
        json!({"name": "forum", "type": 15, "available_tags": [{"name": "help", "emoji_name": null}],
            "default_sort_order": null, "default_forum_layout": 1, "default_auto_archive_duration": 1_440}),
    ] {
        let made = send(&discord, &line, Some(&body)).await.expect(201);
        send(&discord, &format!("GET /channels/{}", made["id"].as_str().unwrap()), None).await.expect(200);
    }
    send(&discord, &format!("DELETE /channels/{}", category["id"].as_str().unwrap()), None).await.expect(200);
    let all = send(&discord, &format!("GET /guilds/{GUILD}/channels"), None).await.expect(200);
    let parents: Vec<_> = all.as_array().unwrap().iter().map(|one| &one["parent_id"]).collect();
    assert_eq!(parents, [&Value::Null; 5], "what was in the category stays");
}

#[tokio::test]
async fn every_trigger_of_auto_moderation_is_as_discord_describes_it() {
    let discord = discord().await;
    let line = format!("POST /guilds/{GUILD}/auto-moderation/rules");
    let rule = |event: u64, trigger: u64, metadata: Value| {
        let block = json!({"type": if trigger == 6 { 4 } else { 1 }, "metadata": {}});
        json!({
            "name": "r", "event_type": event, "trigger_type": trigger, "trigger_metadata": metadata, "actions": [block],
        })
    };
    for body in [
        rule(1, 1, json!({"keyword_filter": ["x"], "regex_patterns": ["y"], "allow_list": []})),
        rule(1, 3, json!({})),
        rule(1, 4, json!({"presets": [1, 2], "allow_list": ["x"]})),
        rule(1, 5, json!({"mention_total_limit": 5, "mention_raid_protection_enabled": true})),
        rule(2, 6, json!({"keyword_filter": ["x"]})),
    ] {
        assert_eq!(outcome(&discord, &line, Some(&body)).await, (200, None), "{body}");
    }
    assert_eq!(
        outcome(&discord, &line, Some(&rule(1, 3, json!({})))).await,
        (400, Some(50035)),
        "one of spam"
    );
    discord.guild(GUILD).bot_permissions(MANAGE_GUILD);
    let mut timeout = rule(1, 1, json!({"keyword_filter": ["z"]}));
    timeout["actions"] = json!([{"type": 3, "metadata": {"duration_seconds": 60}}]);
    assert_eq!(outcome(&discord, &line, Some(&timeout)).await, (403, Some(50013)));
}

#[tokio::test]
async fn every_component_is_shown_as_discord_describes_it() {
    let discord = discord().await;
    let line = format!("POST /channels/{CHANNEL}/messages");
    let select = json!({"type": 3, "custom_id": "s", "options": [{"label": "l", "value": "v"}]});
    let users = json!({"type": 5, "custom_id": "u"});
    let row = |inner: Value| json!({"type": 1, "components": [inner]});
    let old = json!({"content": "hi", "components": [row(select), row(users)]});
    send(&discord, &line, Some(&old)).await.expect(200);
    let text = json!({"type": 10, "content": "text"});
    let link = json!({"type": 2, "style": 5, "url": "https://example.com", "label": "l"});
    let section = json!({"type": 9, "components": [text], "accessory": link});
    let separator = json!({"type": 14});
    let container = json!({"type": 17, "components": [text, separator]});
    let new = json!({"flags": 1 << 15, "components": [text, section, separator, container]});
    send(&discord, &line, Some(&new)).await.expect(200);
    let unflagged = json!({"components": [text]});
    assert_eq!(outcome(&discord, &line, Some(&unflagged)).await, (400, Some(50035)));
    let mixed = json!({"flags": 1 << 15, "content": "hi", "components": [text]});
    assert_eq!(outcome(&discord, &line, Some(&mixed)).await, (400, Some(50035)));
}
