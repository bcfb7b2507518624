//! What a guild can use up, and what becomes of a call when Discord fails.

use std::time::Duration;

use template_worker::host::HostError;
use testkit::discord::permissions::MANAGE_CHANNELS;
use testkit::discord::{Fault, Limit};

use super::world::{OTHER, OURS, World, filled, guild_id};

const MESSAGES: &str = "/channels/{channel_id}/messages";
const SEND: &str = r#"[{"channel_id": "$channel", "data": {"content": "hi"}}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_whose_requests_are_refused_again_and_again_is_stopped_and_no_other() {
    let world = World::new(0).await;
    let mut stopped = None;
    for count in 0..200 {
        let unknown = format!(r#"[{{"channel_id": "$channel", "message_id": "{}"}}]"#, count + 1);
        match world.call("get_channel_message", &unknown).await {
            Err(HostError::NotFound(_)) => {}
            Err(HostError::Quota(text)) => {
                stopped = Some((count, text));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let (count, text) = stopped.unwrap();
    assert_eq!(count, 100);
    assert!(text.contains("try again in ") && text.contains("this guild's templates"), "{text}");
    world.discord.forget_requests();
    assert!(matches!(world.call("get_guild", "[]").await, Err(HostError::Quota(_))));
    assert_eq!(world.discord.request_lines(), Vec::<String>::new());
    let method = template_worker::host::discord::methods::find("get_guild").unwrap();
    world.host.serve(guild_id(OTHER), method, Vec::new(), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discord_puts_off_is_asked_again_when_it_says_and_not_for_ever() {
    let world = World::new(0).await;
    world.discord.limit("POST", MESSAGES, Limit { requests: 1, per: Duration::from_millis(300) });
    for _ in 0..2 {
        world.call("create_message", SEND).await.unwrap();
    }
    assert_eq!(world.discord.messages(OURS + 40).iter().filter(|one| one.content == "hi").count(), 2);

    let world = World::new(0).await;
    world.discord.fail("POST", MESSAGES, 50, Fault::GlobalLimit(Duration::from_millis(50)));
    let text = world.call("create_message", SEND).await.unwrap_err().to_string();
    assert!(text.contains("Discord's rate limit for this is used up"), "{text}");
    let tries = world.changes().len();
    assert_eq!(tries, 2, "{:?}", world.changes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_done_twice() {
    let sent =
        |world: &World| world.discord.messages(OURS + 40).iter().filter(|one| one.content == "hi").count();
    for (fault, expected, happened) in [
        (Fault::Status(502), "it may or may not have been done", 0),
        (Fault::Status(500), "it may or may not have been done", 0),
        (Fault::Lost, "it may or may not have been done", 1),
        (Fault::Truncated, "it may or may not have been done", 1),
        (Fault::Garbage, "is no JSON", 0),
    ] {
        let world = World::new(0).await;
        world.discord.fail("POST", MESSAGES, 5, fault.clone());
        let text = world.call("create_message", SEND).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{fault:?}: {text}");
        assert_eq!((world.changes().len(), sent(&world)), (1, happened), "{fault:?}");
        world.discord.take_violations();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_looks_has_done_nothing_whatever_happens() {
    for fault in [Fault::Status(502), Fault::Lost, Fault::Truncated, Fault::Garbage] {
        let world = World::new(0).await;
        world.discord.fail("GET", "/guilds/{guild_id}/members", 5, fault.clone());
        let text = world.call("list_guild_members", "[]").await.unwrap_err().to_string();
        assert!(text.ends_with("try again later") && !text.contains("done"), "{fault:?}: {text}");
        world.discord.take_violations();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_not_handed_on() {
    let world = World::new(0).await;
    world.discord.fail("GET", "/guilds/{guild_id}/members", 1, Fault::Huge(5 << 20));
    let text = world.call("list_guild_members", "[]").await.unwrap_err().to_string();
    assert!(text.contains("is too large: ask for less"), "{text}");
    world.discord.take_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_discord_no_longer_takes_is_told_to_the_operator_and_not_tried_again() {
    let world = World::new(0).await;
    world.discord.fail("*", "*", 1, Fault::Error(401, 0, "401: Unauthorized"));
    for _ in 0..3 {
        let text = world.call("get_guild_roles", "[]").await.unwrap_err().to_string();
        assert!(text.contains("`discord.token`"), "{text}");
    }
    assert_eq!(world.discord.request_lines().len(), 1, "{:?}", world.discord.request_lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discord_finds_wrong_is_told_with_its_place() {
    let world = World::new(0).await;
    world.discord.fail("POST", MESSAGES, 1, Fault::Error(400, 50_035, "Invalid Form Body"));
    let text = world.call("create_message", SEND).await.unwrap_err().to_string();
    assert_eq!(text, "Discord refused: Invalid Form Body (status 400, code 50035)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_and_files_arrive_as_they_were_given() {
    let world = World::new(0).await;
    let reason = "spam, 100 % & <b>ä</b>";
    let ban = format!(r#"[{{"user_id": "$member", "reason": {reason:?}}}]"#);
    world.call("create_guild_ban", &ban).await.unwrap();
    assert_eq!(world.discord.audit_log(OURS).last().unwrap().reason.as_deref(), Some(reason));
    let file = r#"[{"channel_id": "$channel", "data": {"attachments": [{"filename": "a.txt", "content": "inside"}]}}]"#;
    world.call("create_message", file).await.unwrap();
    let sent = world.discord.requests().pop().unwrap();
    let files = sent.body.files();
    assert_eq!(
        (files.len(), files[0].name.as_str(), files[0].bytes.as_slice()),
        (1, "a.txt", &b"inside"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_says_about_a_limit_is_kept_to_before_discord_has_to_refuse() {
    let world = World::new(0).await;
    world.discord.limit("POST", MESSAGES, Limit { requests: 3, per: Duration::from_millis(400) });
    for _ in 0..8 {
        world.call("create_message", SEND).await.unwrap();
    }
    let refused = world.discord.requests().iter().filter(|one| one.status() == Some(429)).count();
    assert_eq!(refused, 0, "{:?}", world.changes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_an_interaction_does_not_wait_for_that_of_another_guild() {
    let world = World::new(0).await;
    let callback = "/interactions/{interaction_id}/{interaction_token}/callback";
    world.discord.fail("POST", callback, 1, Fault::Slow(Duration::from_secs(2)));
    let answer =
        r#"[{"interaction_id": "$interaction", "interaction_token": "$token", "data": {"type": 5}}]"#;
    let method = template_worker::host::discord::methods::find("create_interaction_response").unwrap();
    let other = world.host.serve(guild_id(OTHER), method, filled(answer, &world.other), None);
    let ours = async {
        // The other guild's is on its way first.
        while world.changes().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.call("create_interaction_response", answer).await
    };
    tokio::select! {
        biased;
        came = ours => came.map(|_| ()).unwrap(),
        _ = other => panic!("ours waited for the other's"),
    }
}

/// Five requests of a guild, which is as many as may be on their way, until the first is answered after two seconds.
async fn busy(world: &World, guild: u64) {
    let method = template_worker::host::discord::methods::find("list_guild_members").unwrap();
    world.discord.fail("GET", "/guilds/{guild_id}/members", 5, Fault::Slow(Duration::from_secs(2)));
    let one = || world.host.serve(guild_id(guild), method, Vec::new(), None);
    let _ = tokio::select! {
        came = one() => came,
        came = one() => came,
        came = one() => came,
        came = one() => came,
        came = one() => came,
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_of_a_guilds_channel_does_not_wait_for_that_of_a_busy_guild() {
    let world = World::new(0).await;
    let method = template_worker::host::discord::methods::find("get_channel").unwrap();
    let get = r#"["$channel"]"#;
    tokio::select! {
        biased;
        () = busy(&world, OTHER) => panic!("ours waited for the other's"),
        _ = world.host.serve(guild_id(OTHER), method, filled(get, &world.ours), None) => panic!("the other's came first"),
        came = world.call("get_channel", get) => came.map(|_| ()).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_with_their_permissions_are_asked_for_once() {
    let world = World::new(0).await;
    world.call("antiraid_get_fused_member", r#"[["$member"]]"#).await.unwrap();
    let expected = [format!("GET /guilds/{OURS}"), format!("GET /guilds/{OURS}/members/{}", OURS + 3)];
    assert_eq!(world.discord.request_lines(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_a_template_chooses_cannot_be_tried_for_ever_but_those_of_members() {
    for (method, arguments) in [
        ("get_invite", r#"[{"code": "N"}]"#),
        ("get_webhook", r#"["N"]"#),
        (
            "execute_webhook",
            r#"[{"webhook_id": "$webhook", "webhook_token": "N", "data": {"content": "hi"}}]"#,
        ),
        ("get_channel", r#"["N"]"#),
    ] {
        let world = World::new(0).await;
        let mut tried = 0;
        while let Err(HostError::NotFound(_)) =
            world.call(method, &arguments.replace('N', &format!("{}", tried + 1))).await
        {
            tried += 1;
            assert!(tried <= 100, "{method}");
        }
        assert_eq!(tried, 100, "{method}");
        assert!(matches!(world.call("get_guild", "[]").await, Err(HostError::Quota(_))), "{method}");
    }
    let world = World::new(0).await;
    for user in 1..=110 {
        let ban = format!(r#"[{{"user_id": "{user}", "needed_permissions": "4"}}]"#);
        assert!(matches!(world.call("antiraid_check_permissions", &ban).await, Err(HostError::NotFound(_))));
    }
    world.call("get_guild", "[]").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_discord_did_not_answer_is_no_missing_permission() {
    for (without, method, arguments, asked) in [
        (MANAGE_CHANNELS, "delete_invite", r#"[{"code": "$invite", "reason": "r"}]"#, "GET /invites/"),
        (0, "delete_message", r#"["$channel", "$mine", "r"]"#, "GET /channels/"),
    ] {
        let world = World::new(without).await;
        world.discord.fail("GET", "/guilds/{guild_id}", 1, Fault::Error(500, 0, "later"));
        let text = world.call(method, arguments).await.unwrap_err().to_string();
        assert!(text.contains("Discord failed (500)"), "{method}: {text}");
        let lines = world.discord.request_lines();
        assert_eq!(lines.iter().filter(|line| line.starts_with(asked)).count(), 1, "{method}: {lines:?}");
        assert_eq!(world.changes(), Vec::<String>::new(), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_an_interaction_does_not_wait_for_the_guilds_other_requests() {
    let world = World::new(0).await;
    let answer =
        r#"[{"interaction_id": "$interaction", "interaction_token": "$token", "data": {"type": 5}}]"#;
    tokio::select! {
        biased;
        () = busy(&world, OURS) => panic!("it waited for the others"),
        came = world.call("create_interaction_response", answer) => came.map(|_| ()).unwrap(),
    }
}
