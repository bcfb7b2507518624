//! What is believed of guilds: for how long, and on whose word.

use serde_json::json;
use template_worker::host::HostError;
use testkit::discord::permissions::{self, BAN_MEMBERS};

use super::world::{OTHER, OURS, World, guild_id};

const BAN: &str = r#"[{"user_id": "$member", "reason": "r"}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_not_asked_for_again() {
    let world = World::new(0).await;
    let send = r#"[{"channel_id": "$channel", "data": {"content": "hi"}}]"#;
    world.call("create_message", send).await.unwrap();
    world.discord.forget_requests();
    world.call("create_message", send).await.unwrap();
    assert_eq!(world.discord.request_lines(), [format!("POST /channels/{}/messages", OURS + 40)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_discord_says_was_taken_away_is_gone_at_once() {
    let world = World::new(0).await;
    world.call("get_guild_bans", "[]").await.unwrap();
    let _ = world
        .discord
        .guild(OURS)
        .bot_permissions(permissions::ALL & !permissions::ADMINISTRATOR & !BAN_MEMBERS);
    let event = world.discord.role_event(OURS, OURS + 1).to_string();
    world.host.observe(guild_id(OURS), "GUILD_ROLE_UPDATE", &event).await;
    match world.call("create_guild_ban", BAN).await {
        Err(HostError::Refused(text)) => assert!(text.contains("lacks BAN_MEMBERS"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_that_discord_told_of_is_not_asked_for() {
    let world = World::new(0).await;
    let event = world.discord.guild_event(OURS).to_string();
    world.host.observe(guild_id(OURS), "GUILD_CREATE", &event).await;
    world.call("get_channel", r#"["$channel"]"#).await.unwrap();
    assert_eq!(world.discord.request_lines(), [format!("GET /channels/{}", OURS + 40)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_one_guild_says_nothing_about_another_and_a_broken_one_nothing_at_all() {
    let world = World::new(0).await;
    // Ours claims the other's channel, in each way that there is.
    let mut channel = world.discord.channel_event(OTHER + 40);
    channel["guild_id"] = json!(OURS.to_string());
    let get = format!(r#"["{}"]"#, OTHER + 40);
    assert!(world.call("get_channel", &get).await.is_err());
    world.host.observe(guild_id(OURS), "CHANNEL_UPDATE", &channel.to_string()).await;
    world
        .host
        .observe(guild_id(OURS), "CHANNEL_UPDATE", &world.discord.channel_event(OTHER + 40).to_string())
        .await;
    let mut guild = world.discord.guild_event(OURS);
    guild["channels"] = json!([channel]);
    world.host.observe(guild_id(OURS), "GUILD_CREATE", &guild.to_string()).await;
    world.host.observe(guild_id(OURS), "GUILD_CREATE", &world.discord.guild_event(OTHER).to_string()).await;
    world.host.observe(guild_id(OURS), "CHANNEL_DELETE", &channel.to_string()).await;
    assert!(matches!(world.call("get_channel", &get).await, Err(HostError::NotFound(_))));
    let names = [
        "GUILD_CREATE",
        "CHANNEL_UPDATE",
        "GUILD_MEMBER_UPDATE",
        "GUILD_MEMBER_REMOVE",
        "INTERACTION_CREATE",
    ];
    for name in names {
        for data in ["", "null", "[]", "{", r#"{"guild_id": 3}"#, r#"{"id": {}, "guild_id": "10000"}"#] {
            world.host.observe(guild_id(OURS), name, data).await;
        }
    }
    world.call("get_channel", r#"["$channel"]"#).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_left_has_no_rank_and_no_permissions() {
    let world = World::new(0).await;
    let check = r#"[{"user_id": "$member", "needed_permissions": 0}]"#;
    world.call("antiraid_check_permissions", check).await.unwrap();
    let event = world.discord.member_remove_event(OURS, OURS + 3).to_string();
    world.host.observe(guild_id(OURS), "GUILD_MEMBER_REMOVE", &event).await;
    assert!(matches!(world.call("antiraid_check_permissions", check).await, Err(HostError::NotFound(_))));
    world.call("create_guild_ban", BAN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_guild_cannot_be_forwarded() {
    let world = World::new(0).await;
    let forward = format!(
        r#"[{{"channel_id": "$channel", "data": {{"message_reference": {{"type": 1, "message_id": "{}", "channel_id": "{}"}}}}}}]"#,
        world.other["message"], world.other["channel"]
    );
    match world.call("create_message", &forward).await {
        Err(HostError::NotFound(text)) => {
            assert!(text.contains("`data.message_reference.channel_id`"), "{text}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.changes(), Vec::<String>::new());
}
