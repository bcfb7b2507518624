//! What the examples do, with a simulated Discord: what they return, what arrives there, and what stands in its audit log.

use serde_json::{Value, json};
use testkit::discord::{Discord, Id, Interaction};
use testkit::{GUILD, TestWorker, until};

use crate::examples::{self, Case};

const CHANNEL: u64 = 818_880_987_161_038_975;
const BO: u64 = 773_317_802_475_004_038;
const ANA: u64 = 602_494_276_013_924_397;
const BOT: u64 = 716_390_085_896_962_058;
/// The role that `ban-on-spam` trusts, and those that `reaction-roles` gives.
const MODERATOR: u64 = 818_898_706_157_539_334;
const PAINTER: u64 = 818_898_706_157_539_335;
const PLAYER: u64 = 818_898_706_157_539_336;

struct World {
    discord: Discord,
    worker: TestWorker,
}

fn guild() -> u64 {
    GUILD.parse().unwrap()
}

/// The guild of the event files, and a service whose bot is in it.
async fn world() -> World {
    let discord = Discord::start().await;
    for (id, name) in [(BO, "bo_builds"), (ANA, "ana.lovelace"), (BOT, "radio")] {
        discord.user(id, name);
    }
    discord
        .guild(guild())
        .role(MODERATOR, |role| role.name = "moderator".to_owned())
        .role(PAINTER, |role| role.name = "painter".to_owned())
        .role(PLAYER, |role| role.name = "player".to_owned())
        .member(BO, |_| ())
        .member(ANA, |member| member.roles.push(MODERATOR.into()))
        .member(BOT, |_| ())
        .channel(CHANNEL, |channel| channel.name = "general".to_owned());
    let (token, address) = (discord.token(), format!("http://{}", discord.address()));
    let worker = TestWorker::start_with(|config| {
        config.discord.token = token.as_str().into();
        config.discord.address = address;
    })
    .await;
    World { discord, worker }
}

impl World {
    /// Stores the example of a case, sends its events, and holds what it returns against what is expected.
    async fn try_case(&self, case: &Case) {
        self.store(&case.folder, &case.name()).await;
        for event in case.events() {
            self.know(&event);
        }
        case.run(&self.worker, GUILD).await;
    }

    async fn store(&self, folder: &std::path::Path, name: &str) {
        let path = format!("/api/v1/guilds/{GUILD}/templates/{name}");
        self.worker.put(&path, &examples::draft(folder)).await;
    }

    /// Tells the simulator of an interaction that it did not send itself.
    fn know(&self, event: &Value) {
        if event["name"] != "INTERACTION_CREATE" {
            return;
        }
        let data = &event["data"];
        let made = self.discord.command_event(CHANNEL, BO, "any", &json!([]));
        let made = self.discord.interaction(made["token"].as_str().unwrap()).unwrap();
        let token = data["token"].as_str().unwrap().to_owned();
        let id = Id(data["id"].as_str().unwrap().parse().unwrap());
        let interaction = Interaction { id, token: token.clone(), ..made };
        self.discord.with(|state| state.interactions.insert(token, interaction));
    }

    async fn send(&self, template: &str, event: &Value) -> Value {
        let answer = self.worker.dispatch(GUILD, event).await.expect(200);
        let outcome = &answer["results"][template];
        assert_eq!(outcome["status"], "ok", "{outcome:#}");
        outcome["value"].clone()
    }

    /// What stands in the channel, oldest first.
    fn said(&self) -> Vec<String> {
        self.discord.messages(CHANNEL).into_iter().map(|message| message.content).collect()
    }

    /// The bodies that arrived at `POST` of a path that ends so.
    fn bodies(&self, end: &str) -> Vec<Value> {
        let requests = self.discord.requests().into_iter();
        let posts = requests.filter(|request| request.method == "POST" && request.path.ends_with(end));
        posts.filter_map(|request| request.body.json().cloned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_that_acts_returns_what_it_says() {
    let mut cases = 0;
    for case in examples::cases().into_iter().filter(Case::is_on_discord) {
        world().await.try_case(&case).await;
        cases += 1;
    }
    assert!(cases >= 14, "only {cases} cases were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_member_is_greeted_and_nobody_else_is_notified() {
    let world = world().await;
    world.try_case(&Case::of("welcome-message", "new-bot")).await;
    assert_eq!(world.said(), [""; 0]);
    world.try_case(&Case::of("welcome-message", "new-member")).await;
    assert_eq!(world.said(), [format!("Welcome, <@{BO}>! Have a look at the rules, and say hello.")]);
    let sent = world.bodies("/messages");
    assert_eq!(sent[0]["allowed_mentions"], json!({"users": [BO.to_string()]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_is_banned_once_and_the_audit_log_says_why() {
    for case in ["lively-talk", "trusted-member"] {
        let world = world().await;
        world.try_case(&Case::of("ban-on-spam", case)).await;
        assert_eq!(world.discord.bans(guild()), [], "{case}");
    }
    let world = world().await;
    world.try_case(&Case::of("ban-on-spam", "flood")).await;
    let why = "spam: 6 messages in 5 seconds";
    assert_eq!(world.discord.bans(guild()), [(Id(BO), Some(why.to_owned()))]);
    let entries = world.discord.audit_log(guild());
    let seen: Vec<_> =
        entries.iter().map(|entry| (entry.action, entry.target, entry.reason.as_deref())).collect();
    assert_eq!(seen, [(22, Some(Id(BO)), Some(why))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_comes_when_its_key_expires_and_is_gone_then() {
    let world = world().await;
    world.store(&Case::of("remind-me", "reminder").folder, "remind-me").await;
    let message = world.discord.message_create_event(CHANNEL, ANA, "!remind 1s look after the tea");
    let event = json!({"name": "MESSAGE_CREATE", "data": message});
    assert_eq!(world.send("remind-me", &event).await, format!("<@{ANA}> I will, in 1s"));
    let reminder = format!("<@{ANA}> you asked me to remind you: look after the tea");
    until("the reminder comes", async || world.said().contains(&reminder)).await;
    until("the key is gone", async || {
        let keys = world.worker.get(&format!("/api/v1/guilds/{GUILD}/kv")).await.expect(200);
        keys["records"] == json!([])
    })
    .await;
    assert_eq!(world.said().iter().filter(|said| **said == reminder).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_registered_and_answered() {
    let world = world().await;
    world.try_case(&Case::of("slash-command", "register")).await;
    let commands = world.discord.with(|state| state.guilds[&Id(guild())].commands.clone());
    assert_eq!(commands.values().map(|command| command["name"].clone()).collect::<Vec<_>>(), ["roll"]);

    let options = json!([{"type": 4, "name": "sides", "value": 2}]);
    let used = world.discord.command_event(CHANNEL, BO, "roll", &options);
    let token = used["token"].as_str().unwrap().to_owned();
    let event = json!({"name": "INTERACTION_CREATE", "data": used});
    assert_eq!(world.send("slash-command", &event).await, 2);
    let response = world.discord.interaction(&token).unwrap().response.unwrap();
    let content = response["data"]["content"].as_str().unwrap();
    assert!(["You rolled 1 of 2.", "You rolled 2 of 2."].contains(&content), "{response}");

    let case = Case::of("slash-command", "too-many-sides");
    world.try_case(&case).await;
    let token = case.events()[0]["data"]["token"].as_str().unwrap().to_owned();
    let response = world.discord.interaction(&token).unwrap().response.unwrap();
    let data = &response["data"];
    assert_eq!((&data["content"], &data["flags"]), (&json!("a die has 2 to 1000 sides"), &json!(64)));
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_give_roles_and_take_them_back() {
    let world = world().await;
    world.try_case(&Case::of("reaction-roles", "other-reactions")).await;
    assert_eq!(world.discord.member(guild(), BO).unwrap().roles, []);
    world.try_case(&Case::of("reaction-roles", "choose-and-think-again")).await;
    assert_eq!(world.discord.member(guild(), BO).unwrap().roles, [Id(PLAYER)]);
    let reasons: Vec<_> =
        world.discord.audit_log(guild()).into_iter().map(|entry| entry.reason.unwrap()).collect();
    let chose = "chose it by a reaction";
    assert_eq!(reasons, [chose, chose, "took the reaction back"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaderboard_is_shown_without_notifying_anybody() {
    let world = world().await;
    world.try_case(&Case::of("activity-leaderboard", "counts")).await;
    assert_eq!(world.said(), [format!("1. <@{BO}>: 2\n2. <@{ANA}>: 1")]);
    assert_eq!(world.bodies("/messages")[0]["allowed_mentions"], json!({"parse": []}));
}
