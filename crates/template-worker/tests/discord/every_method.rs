//! What holds of every method of the table: it works, it is denied, it refuses what is wrong, and it does not reach into
//! another guild. A method without a case fails.

use std::collections::BTreeSet;

use template_worker::host::HostError;
use template_worker::host::discord::methods;
use testkit::discord::permissions::{MANAGE_WEBHOOKS, VIEW_CHANNEL};

use super::cases::{CASES, Case};
use super::world::{MARK, Names, OTHER, World, text};

#[test]
fn every_method_has_a_case() {
    let cases: BTreeSet<_> = CASES.iter().map(|case| case.method).collect();
    let methods: BTreeSet<_> = methods::NAMES.iter().copied().collect();
    assert_eq!(cases, methods);
    assert_eq!(cases.len(), CASES.len(), "a method has two cases");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_works_for_a_bot_that_may() {
    let (mut failed, mut world) = (Vec::new(), World::new(0).await);
    for case in CASES {
        world = world.fresh(0).await;
        if case.method.contains("reaction") {
            let react = r#"[{"channel_id": "$channel", "message_id": "$message", "reaction": "👍"}]"#;
            world.call("create_reaction", react).await.unwrap();
        }
        if case.method == "delete_user_reaction" {
            let [channel, message, member] =
                ["channel", "message", "member"].map(|name| world.ours[name].as_str());
            world.discord.reaction_add_event(channel, message, member, "👍");
        }
        if case.method == "delete_channel_permission" {
            let edit = CASES.iter().find(|case| case.method == "edit_channel_permissions").unwrap();
            world.call(edit.method, edit.right).await.unwrap();
        }
        if let Err(error) = world.call(case.method, case.right).await {
            failed.push(format!("{}: {error}\n  {:?}", case.method, world.discord.request_lines()));
        }
        for violation in world.discord.take_violations() {
            failed.push(format!("{}: {violation}", case.method));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_that_needs_a_permission_is_denied_without_it_before_anything_is_asked() {
    let (mut failed, mut world) = (Vec::new(), World::new(0).await);
    for case in CASES.iter().filter(|case| case.needs != 0) {
        world = world.fresh(case.needs).await;
        // A message of somebody else's, which takes more than one of the bot's own.
        let arguments = case.right.replace("$mine", "$message");
        match world.call(case.method, &arguments).await {
            Err(HostError::Refused(text)) if text.contains("the bot lacks ") => {}
            // Discord does not show it to the bot then.
            Err(HostError::NotFound(_)) if case.needs & (VIEW_CHANNEL | MANAGE_WEBHOOKS) != 0 => {}
            other => failed.push(format!("{}: {other:?}", case.method)),
        }
        if !world.changes().is_empty() {
            failed.push(format!("{}: {:?}", case.method, world.changes()));
        }
    }
    world.discord.take_violations();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_what_is_wrong_without_asking_anybody() {
    let world = World::new(0).await;
    for case in CASES {
        let came = world.call(case.method, case.wrong).await;
        assert!(matches!(came, Err(HostError::Invalid(_))), "{} took {}: {came:?}", case.method, case.wrong);
    }
    assert_eq!(world.discord.request_lines(), Vec::<String>::new());
}

/// The placeholders in the arguments of a case.
fn placeholders(case: &Case) -> Vec<&'static str> {
    let names = [
        "guild",
        "channel",
        "news",
        "thread",
        "role",
        "member",
        "banned",
        "message",
        "mine",
        "announced",
        "webhook",
        "hook_token",
        "invite",
        "rule",
        "command",
        "interaction",
        "token",
        "answered_token",
        "followup",
    ];
    names.into_iter().filter(|name| case.right.contains(&format!("\"${name}\""))).collect()
}

/// Those that a call with another guild's has to fail for. Users are nobody's: one can ban whom the other guild has as a
/// member. A target of a list and the message that another refers to say only where to look, in our own channel.
const THEIRS: &[&str] = &[
    "guild",
    "channel",
    "news",
    "thread",
    "role",
    "webhook",
    "hook_token",
    "invite",
    "rule",
    "command",
    "interaction",
    "token",
    "answered_token",
    "followup",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_method_reaches_into_another_guild() {
    let (mut failed, mut tried, mut world) = (Vec::new(), 0, World::new(0).await);
    for case in CASES {
        let own = placeholders(case);
        // Each alone, and all together.
        let mut attempts: Vec<Vec<&str>> = own.iter().map(|name| vec![*name]).collect();
        attempts.push(own.clone());
        for attempt in attempts.into_iter().filter(|attempt| !attempt.is_empty()) {
            world = world.fresh(0).await;
            let before = world.everything_of(OTHER);
            let mut names: Names = world.ours.clone();
            for name in &attempt {
                names.insert(name, world.other[name].clone());
            }
            let came = world.call_with(case.method, case.right, &names).await;
            tried += 1;
            let said = match &came {
                Ok(reply) => text(reply),
                Err(error) => error.to_string(),
            };
            if world.everything_of(OTHER) != before {
                failed.push(format!("{} with {attempt:?} changed the other guild", case.method));
            }
            if said.contains(MARK) {
                failed.push(format!("{} with {attempt:?} told of the other guild: {said}", case.method));
            }
            if attempt.iter().any(|name| THEIRS.contains(name)) && came.is_ok() {
                failed.push(format!("{} with {attempt:?} was served: {said}", case.method));
            }
        }
    }
    world.discord.take_violations();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(tried > 120, "only {tried} were tried");
}
