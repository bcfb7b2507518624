//! Forms that arguments and results have besides the plainest, as Discord gets and gives them.

use serde_json::{Value, json};
use template_worker::host::HostError;
use testkit::discord::{BOT, Id};

use super::world::{OURS, World, text};

/// What a call gives, which has to be within the rules of Discord's own description.
async fn data(world: &World, method: &str, arguments: &str) -> Value {
    let reply = world.call(method, arguments).await.unwrap_or_else(|error| panic!("{method}: {error}"));
    assert_eq!(world.discord.take_violations(), Vec::<String>::new(), "{method} {arguments}");
    let text = text(&reply);
    if text.is_empty() { Value::Null } else { serde_json::from_str::<Value>(&text).unwrap()["data"].take() }
}

/// The body of the last request.
fn sent(world: &World) -> Value {
    world.discord.requests().pop().unwrap().body.json().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_not_there_is_nil_however_often_one_asks() {
    let world = World::new(0).await;
    for user in 1..=110 {
        for method in ["get_guild_ban", "get_guild_member"] {
            assert_eq!(data(&world, method, &format!(r#"["{user}"]"#)).await, Value::Null, "{method}");
        }
    }
    assert_eq!(data(&world, "get_guild_member", r#"["$member"]"#).await["nick"], "ours");
    assert_eq!(data(&world, "get_guild_ban", r#"["$banned"]"#).await["reason"], "ours");
    world.discord.with(|state| state.guilds.remove(&Id(OURS)));
    let gone = world.call("get_guild_member", r#"["$member"]"#).await;
    assert!(matches!(gone, Err(HostError::NotFound(_) | HostError::Refused(_))), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_a_user_may_sees_the_user_the_guild_and_the_channel() {
    let world = World::new(0).await;
    let (member, guild) = ((OURS + 3).to_string(), OURS.to_string());
    for (method, more) in [
        ("antiraid_check_permissions", ""),
        ("antiraid_check_channel_permissions", r#", "channel_id": "$channel""#),
    ] {
        let arguments = format!(r#"[{{"user_id": "$member", "needed_permissions": 0{more}}}]"#);
        let got = data(&world, method, &arguments).await;
        assert_eq!(got["user_id"], member.as_str());
        assert!(got["permissions"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{got}");
        assert_eq!(got["partial_guild"]["id"], guild.as_str());
        assert!(!got["partial_guild"]["roles"].as_array().unwrap().is_empty(), "{got}");
        assert_eq!(got["member"]["user"]["id"], member.as_str());
        assert_eq!(got["channel"]["id"].as_str(), (!more.is_empty()).then_some(&*world.ours["channel"]));
    }
    let rank = r#"[{"user_id": "700000000000000002", "target_id": "$member", "needed_permissions": 8}]"#;
    let got = data(&world, "antiraid_check_permissions_and_hierarchy", rank).await;
    assert_eq!(got["member"]["user"]["id"], got["user_id"]);
    let before = world.discord.request_lines().len();
    data(&world, "antiraid_check_permissions_and_hierarchy", rank).await;
    assert_eq!(world.discord.request_lines().len(), before, "what was just asked is remembered");
    let unknown = world.call("antiraid_get_fused_member", r#"[["$member", "5"]]"#).await.unwrap_err();
    assert_eq!(unknown.to_string(), "`user_ids[2]` (5) is no member of this guild");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embed_that_was_read_can_be_changed_and_sent_again() {
    let world = World::new(0).await;
    let embed = json!({
        "title": "t", "image": {"url": "https://example.com/a.png"}, "timestamp": "2026-01-31T18:00:00Z",
        "author": {"name": "a", "icon_url": "https://example.com/b.png"}, "footer": {"text": "f"},
    });
    let arguments = json!([{"channel_id": "$channel", "data": {"embeds": [embed]}}]).to_string();
    let id = data(&world, "create_message", &arguments).await["id"].as_str().unwrap().to_owned();
    let get = json!([{"channel_id": "$channel", "message_id": id}]).to_string();
    let mut read = data(&world, "get_channel_message", &get).await["embeds"][0].take();
    assert_eq!(read["type"], "rich", "{read}");
    // What Discord says of images, once it has looked at them.
    read["image"]["proxy_url"] = "https://media.example.com/a.png".into();
    read["image"]["width"] = 5.into();
    read["author"]["proxy_icon_url"] = "https://media.example.com/b.png".into();
    read["title"] = "new".into();
    let arguments = json!([{"channel_id": "$channel", "data": {"embeds": [read]}}]).to_string();
    let again = data(&world, "create_message", &arguments).await;
    assert_eq!(again["embeds"][0]["title"], "new");
    assert_eq!(sent(&world)["embeds"][0]["image"], json!({"url": "https://example.com/a.png"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_discord_has_are_taken() {
    const GIF: &str = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
    let calls = [
        ("create_message", json!({"channel_id": "$channel", "data": {"content": "x", "nonce": 7}})),
        (
            "create_guild_role",
            json!({"reason": "r", "data": {"icon": GIF, "colors": {"primary_color": 1, "secondary_color": {}}}}),
        ),
        (
            "create_guild_command",
            json!({"data": {
                "name": "ping", "description": "d", "name_localizations": {"de": "ping"}, "nsfw": true,
                "description_localizations": {"de": "d"}, "contexts": [0], "integration_types": [0],
                "dm_permission": false,
            }}),
        ),
        (
            "execute_webhook",
            json!({"webhook_id": "$webhook", "webhook_token": "$hook_token", "data": {"content": "x"}, "reason": "r"}),
        ),
        (
            "create_interaction_response",
            json!({
                "interaction_id": "$interaction", "interaction_token": "$token",
                "data": {"type": 5, "data": {"flags": 64, "content": "x"}},
            }),
        ),
        (
            "edit_channel_permissions",
            json!({"channel_id": "$channel", "target_id": "$role", "allow": {}, "deny": 1024, "type": 0, "reason": "r"}),
        ),
        ("modify_guild_channel_positions", json!([{"id": "$channel", "position": 3}])),
        ("get_invite", json!({"code": "https://discord.gg/inv10000"})),
    ];
    let world = World::new(0).await;
    for (method, arguments) in calls {
        data(&world, method, &json!([arguments]).to_string()).await;
    }
    let overwrites = world.discord.with(|state| state.channels[&Id(OURS + 40)].overwrites.clone());
    assert_eq!(overwrites.iter().map(|one| (one.allow, one.deny)).collect::<Vec<_>>(), [(0, 1024)]);
    let update = json!([{
        "interaction_id": "$interaction", "interaction_token": "$token", "data": {"type": 6, "data": {}},
    }]);
    // Only a button can be answered so: Discord says that, and nothing about `data`.
    let said =
        World::new(0).await.call("create_interaction_response", &update.to_string()).await.unwrap_err();
    assert!(said.to_string().contains("Must be a component"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_may_change_itself_and_is_told_plainly_what_it_cannot_do_to_itself() {
    let world = World::new(0).await;
    let call = |more: &str| format!(r#"[{{"user_id": "{BOT}", "reason": "r"{more}}}]"#);
    for (method, more, cannot) in [
        ("create_guild_ban", "", "do that to itself"),
        ("remove_guild_member", "", "do that to itself"),
        (
            "modify_guild_member",
            r#", "data": {"communication_disabled_until": "2026-01-31T18:00:00Z"}"#,
            "time itself out",
        ),
    ] {
        match world.call(method, &call(more)).await {
            Err(HostError::Refused(text)) => {
                assert_eq!(text, format!("{BOT} is the bot, which cannot {cannot}"))
            }
            other => panic!("{method}: {other:?}"),
        }
    }
    assert_eq!(world.changes(), Vec::<String>::new());
    data(&world, "modify_guild_member", &call(r#", "data": {"nick": "me"}"#)).await;
}
