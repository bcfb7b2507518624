//! Nobody gains by a template what the bot lacks: permissions, rank, mentions.

use serde_json::Value;
use template_worker::host::HostError;
use testkit::discord::permissions::{
    ADMINISTRATOR, BAN_MEMBERS, MANAGE_MESSAGES, MANAGE_ROLES, MENTION_EVERYONE, MUTE_MEMBERS,
    READ_MESSAGE_HISTORY, SEND_MESSAGES, VIEW_CHANNEL,
};
use testkit::discord::{BOT, Id, OWNER, Overwrite, OverwriteKind};

use super::world::{OURS, World};

/// That the call is refused with this text, and that nothing went out.
async fn refused(world: &World, method: &str, arguments: &str, expected: &str) {
    match world.call(method, arguments).await {
        Err(HostError::Refused(text)) if text.contains(expected) => {}
        other => panic!("{method} {arguments}: {other:?}, expected {expected}"),
    }
    assert_eq!(world.changes(), Vec::<String>::new(), "{method} {arguments}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_cannot_be_given_what_the_bot_lacks() {
    let world = World::new(BAN_MEMBERS).await;
    for permissions in ["4", "8", "1152921504606846976"] {
        let data = format!(r#"{{"name": "n", "permissions": "{permissions}"}}"#);
        let create = format!(r#"[{{"reason": "r", "data": {data}}}]"#);
        refused(&world, "create_guild_role", &create, "nobody can hand out what they do not have").await;
        let modify = format!(r#"[{{"role_id": "$role", "reason": "r", "data": {data}}}]"#);
        refused(&world, "modify_guild_role", &modify, "nobody can hand out what they do not have").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_keeps_what_it_had_when_its_name_changes() {
    let world = World::new(BAN_MEMBERS).await;
    let _ = world.discord.guild(OURS).role(OURS + 20, |role| role.permissions = BAN_MEMBERS);
    let modify = r#"[{"role_id": "$role", "reason": "r", "data": {"name": "n", "permissions": "4"}}]"#;
    world.call("modify_guild_role", modify).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_at_or_above_the_bots_own_are_out_of_reach() {
    let world = World::new(0).await;
    let _ = world.discord.guild(OURS).role(OURS + 20, |role| role.position = 100).bot_position(50);
    let calls = [
        ("add_guild_member_role", r#"[{"user_id": "$member", "role_id": "$role", "reason": "r"}]"#),
        ("remove_guild_member_role", r#"[{"user_id": "$member", "role_id": "$role", "reason": "r"}]"#),
        ("modify_guild_role", r#"[{"role_id": "$role", "reason": "r", "data": {"name": "n"}}]"#),
        ("delete_guild_role", r#"[{"role_id": "$role", "reason": "r"}]"#),
        ("modify_guild_role_positions", r#"[{"data": [{"id": "$role", "position": 1}], "reason": "r"}]"#),
        ("modify_guild_member", r#"[{"user_id": "$member", "reason": "r", "data": {"roles": ["$role"]}}]"#),
    ];
    for (method, arguments) in calls {
        refused(&world, method, arguments, "is not below the bot's highest").await;
    }
    let _ = world.discord.guild(OURS).role(OURS + 20, |role| role.position = 10);
    let world = world.again(0).await;
    let up = r#"[{"data": [{"id": "$role", "position": 50}], "reason": "r"}]"#;
    refused(&world, "modify_guild_role_positions", up, "is not below the bot's highest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_who_outrank_the_bot_and_the_owner_are_out_of_reach() {
    let world = World::new(0).await;
    let _ = world
        .discord
        .guild(OURS)
        .role(OURS + 20, |role| role.position = 200)
        .member(OURS + 3, |member| member.roles.push(Id(OURS + 20)));
    for (user, expected) in
        [("$member".to_owned(), "does not outrank"), (OWNER.to_string(), "nobody outranks the owner")]
    {
        for (method, data) in [
            ("create_guild_ban", ""),
            ("remove_guild_member", ""),
            ("modify_guild_member", r#", "data": {"nick": "n"}"#),
        ] {
            let arguments = format!(r#"[{{"user_id": "{user}", "reason": "r"{data}}}]"#);
            refused(&world, method, &arguments, expected).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overwrites_cannot_hand_out_what_the_bot_lacks_nor_take_it_away() {
    let world = World::new(MUTE_MEMBERS).await;
    let mute = MUTE_MEMBERS;
    let one = |allow: u64, deny: u64| {
        format!(r#"[{{"id": "$role", "type": 0, "allow": {allow}, "deny": {deny}}}]"#)
    };
    for overwrites in [one(mute, 0), one(0, mute), one(ADMINISTRATOR, 0)] {
        let create =
            format!(r#"[{{"reason": "r", "data": {{"name": "n", "permission_overwrites": {overwrites}}}}}]"#);
        refused(&world, "create_guild_channel", &create, "which the bot lacks itself").await;
        let edit = format!(
            r#"[{{"channel_id": "$channel", "reason": "r", "data": {{"permission_overwrites": {overwrites}}}}}]"#
        );
        refused(&world, "edit_channel", &edit, "which the bot lacks itself").await;
    }
    let edit = format!(
        r#"[{{"channel_id": "$channel", "target_id": "$role", "allow": {mute}, "type": 0, "reason": "r"}}]"#
    );
    refused(&world, "edit_channel_permissions", &edit, "which the bot lacks itself").await;

    // The service is to know the new overwrite.
    let denied = Overwrite { id: Id(OURS + 20), kind: OverwriteKind::Role, allow: 0, deny: mute };
    let _ = world.discord.guild(OURS).channel(OURS + 40, |channel| channel.overwrites.push(denied));
    let world = world.again(MUTE_MEMBERS).await;
    let end = r#"[{"channel_id": "$channel", "overwrite_id": "$role", "reason": "r"}]"#;
    refused(&world, "delete_channel_permission", end, "which the bot lacks itself").await;
    let none = r#"[{"channel_id": "$channel", "reason": "r", "data": {"permission_overwrites": []}}]"#;
    refused(&world, "edit_channel", none, "which the bot lacks itself").await;
    // What stays as it is hands nothing out.
    let same = format!(
        r#"[{{"channel_id": "$channel", "reason": "r", "data": {{"topic": "t", "permission_overwrites": {}}}}}]"#,
        one(0, mute)
    );
    world.call("edit_channel", &same).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_counts_with_its_overwrites_and_a_thread_with_those_of_its_channel() {
    let world = World::new(0).await;
    let denied = Overwrite {
        id: Id(BOT),
        kind: OverwriteKind::Member,
        allow: 0,
        deny: SEND_MESSAGES | testkit::discord::permissions::SEND_MESSAGES_IN_THREADS,
    };
    let _ = world.discord.guild(OURS).channel(OURS + 40, |channel| channel.overwrites.push(denied));
    let send = |to: &str| format!(r#"[{{"channel_id": "{to}", "data": {{"content": "hi"}}}}]"#);
    refused(&world, "create_message", &send("$channel"), "lacks SEND_MESSAGES in the channel").await;
    refused(&world, "create_message", &send("$thread"), "lacks SEND_MESSAGES_IN_THREADS in the channel")
        .await;
    world.call("create_message", &send("$news")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_mentioned_only_by_a_template_that_says_so_and_a_bot_that_may() {
    let world = World::new(MENTION_EVERYONE).await;
    let everyone = r#"{"content": "@everyone", "allowed_mentions": {"parse": ["everyone"]}}"#;
    for (method, arguments) in [
        ("create_message", format!(r#"[{{"channel_id": "$channel", "data": {everyone}}}]"#)),
        (
            "edit_message",
            format!(r#"[{{"channel_id": "$channel", "message_id": "$mine", "data": {everyone}}}]"#),
        ),
        (
            "execute_webhook",
            format!(r#"[{{"webhook_id": "$webhook", "webhook_token": "$hook_token", "data": {everyone}}}]"#),
        ),
        (
            "create_interaction_response",
            format!(
                r#"[{{"interaction_id": "$interaction", "interaction_token": "$token", "data": {{"type": 4, "data": {everyone}}}}}]"#
            ),
        ),
        (
            "create_followup_message",
            format!(r#"[{{"interaction_token": "$answered_token", "data": {everyone}}}]"#),
        ),
    ] {
        refused(&world, method, &arguments, "lacks MENTION_EVERYONE").await;
    }
    let role = r#"{"content": "<@&$role>", "allowed_mentions": {"roles": ["$role"]}}"#;
    let webhook =
        format!(r#"[{{"webhook_id": "$webhook", "webhook_token": "$hook_token", "data": {role}}}]"#);
    refused(&world, "execute_webhook", &webhook, "lacks MENTION_EVERYONE").await;
    world
        .call("create_message", &format!(r#"[{{"channel_id": "$channel", "data": {role}}}]"#))
        .await
        .unwrap();
    let silent = r#"[{"channel_id": "$channel", "data": {"content": "@everyone"}}]"#;
    world.call("create_message", silent).await.unwrap();
    let sent = world.discord.requests().pop().unwrap();
    let body = sent.body.json().unwrap();
    assert_eq!(body["allowed_mentions"], serde_json::json!({"parse": ["users"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_own_message_takes_no_permission_to_manage() {
    let world = World::new(MANAGE_MESSAGES).await;
    let edit = r#"[{"channel_id": "$channel", "message_id": "$mine", "data": {"content": "new"}}]"#;
    world.call("edit_message", edit).await.unwrap();
    world.call("delete_message", r#"["$channel", "$mine", "r"]"#).await.unwrap();
    world.discord.forget_requests();
    refused(&world, "delete_message", r#"["$channel", "$message", "r"]"#, "lacks MANAGE_MESSAGES").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_member_takes_its_own_permission() {
    let world = World::new(MANAGE_ROLES).await;
    let edit = |data: &str| format!(r#"[{{"user_id": "$member", "reason": "r", "data": {data}}}]"#);
    refused(&world, "modify_guild_member", &edit(r#"{"roles": ["$role"]}"#), "lacks MANAGE_ROLES").await;
    refused(&world, "modify_guild_member", &edit(r#"{"nick": "n", "roles": []}"#), "lacks MANAGE_ROLES")
        .await;
    world.call("modify_guild_member", &edit(r#"{"nick": "n"}"#)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_template_asks_about_its_users_is_computed_for_them() {
    let world = World::new(0).await;
    let ask =
        |permissions: u64| format!(r#"[{{"user_id": "$member", "needed_permissions": "{permissions}"}}]"#);
    world.call("antiraid_check_permissions", &ask(SEND_MESSAGES)).await.unwrap();
    let text = world.call("antiraid_check_permissions", &ask(BAN_MEMBERS)).await.unwrap_err().to_string();
    assert_eq!(text, format!("the user {} lacks BAN_MEMBERS in this guild", OURS + 3));
    let rank = format!(r#"[{{"user_id": "$member", "target_id": "{OWNER}", "needed_permissions": "0"}}]"#);
    let text = world.call("antiraid_check_permissions_and_hierarchy", &rank).await.unwrap_err().to_string();
    assert!(text.contains("does not outrank"), "{text}");
    let fused = world.call("antiraid_get_fused_member", r#"[["$member"]]"#).await.unwrap();
    let mut fused: Value = serde_json::from_str(&super::world::text(&fused)).unwrap();
    let fused = fused["data"].take();
    assert_eq!(fused["guild"]["id"], OURS.to_string());
    assert_eq!(fused["members"][0]["member"]["user"]["id"], (OURS + 3).to_string());
    assert!(
        fused["members"][0]["resolved_perms"].as_str().unwrap().parse::<u64>().unwrap() & SEND_MESSAGES != 0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_channel_that_the_bot_may_not_read_is_neither_answered_nor_forwarded() {
    let mut world = World::new(0).await;
    for deny in [VIEW_CHANNEL, READ_MESSAGE_HISTORY] {
        let hidden = Overwrite { id: Id(BOT), kind: OverwriteKind::Member, allow: 0, deny };
        let _ = world.discord.guild(OURS).channel(OURS + 41, |channel| channel.overwrites = vec![hidden]);
        world = world.again(0).await;
        for kind in [0, 1] {
            let refer = format!(
                r#"[{{"channel_id": "$channel", "data": {{"content": "hi", "message_reference": {{"type": {kind}, "message_id": "$announced", "channel_id": "$news"}}}}}}]"#
            );
            match world.call("create_message", &refer).await {
                Err(HostError::Refused(text))
                    if text.contains("lacks READ_MESSAGE_HISTORY in the channel") => {}
                // Discord does not show it to the bot then.
                Err(HostError::NotFound(_)) if deny == VIEW_CHANNEL => {}
                other => panic!("{kind}: {other:?}"),
            }
        }
        assert_eq!(world.changes(), Vec::<String>::new());
    }
}
