//! Whose word is believed of what Discord says: an admin's, who passes on what the gateway sends, and no guild's.

use serde_json::{Value, json};
use testkit::discord::permissions::{self, BAN_MEMBERS, SEND_MESSAGES};
use testkit::discord::{BOT, Discord, Id, Overwrite, OverwriteKind};
use testkit::{GUILD, TestWorker};

const CHANNEL: u64 = 40;
const MEMBER: u64 = 3;

/// A guild, a service whose bot is in it, and a token of the guild that may send events.
struct World {
    discord: Discord,
    worker: TestWorker,
    token: String,
}

fn guild() -> u64 {
    GUILD.parse().unwrap()
}

async fn world() -> World {
    let discord = Discord::start().await;
    let may = permissions::ALL & !permissions::ADMINISTRATOR;
    let _ = discord.guild(guild()).bot_permissions(may).member(MEMBER, |_| ()).channel(CHANNEL, |_| ());
    let worker = TestWorker::start_with(|config| {
        config.discord.token = discord.token().as_str().into();
        config.discord.address = format!("http://{}", discord.address());
    })
    .await;
    let source = r#"
        local _, ctx = ...
        local function try(method, arguments)
            local ok, error = pcall(ctx.Discord[method], arguments)
            return if ok then "done" else error
        end
        local event = ...
        if event.data.method then return try(event.data.method, event.data.arguments) end
        return nil
    "#;
    let events = [
        "Discord",
        "INTERACTION_CREATE",
        "GUILD_ROLE_UPDATE",
        "CHANNEL_UPDATE",
        "GUILD_UPDATE",
        "GUILD_MEMBER_REMOVE",
    ];
    let body = json!({"files": {"init.luau": source}, "events": events, "capabilities": ["discord:*"]});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/t"), &body).await.expect(201);
    let token = worker.guild_token(GUILD, &["events:dispatch"]).await;
    World { discord, worker, token }
}

impl World {
    /// Has the template call a method; what it says.
    async fn call(&self, method: &str, arguments: &Value) -> String {
        let mut results = self.worker.event(GUILD, &json!({"method": method, "arguments": arguments})).await;
        results["t"]["value"].take().as_str().unwrap_or_else(|| panic!("{results}")).to_owned()
    }

    /// Sends an event of Discord's with the guild's own token.
    async fn guild_sends(&self, name: &str, data: &Value) {
        let path = format!("/api/v1/guilds/{GUILD}/events?wait=true");
        let request = self.worker.request_as(&self.token, reqwest::Method::POST, &path);
        testkit::answer(request.json(&json!({"name": name, "data": data}))).await.expect(200);
    }

    /// Sends the same as an admin.
    async fn admin_sends(&self, name: &str, data: &Value) {
        self.worker.dispatch(GUILD, &json!({"name": name, "data": data})).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bot_caused_itself_is_believed_and_delivered_to_nobody() {
    let world = world().await;
    // From the first event on, it is known who the bot is.
    let bot = json!({"id": BOT.to_string()});
    assert_eq!(world.worker.event(GUILD, &json!({"author": {"id": "3"}})).await["t"]["status"], "ok");
    let deliveries = async |name: &str, data: Value| {
        let answer = world.worker.dispatch(GUILD, &json!({"name": name, "data": data})).await.expect(200);
        assert_eq!(answer["event_id"].as_str().map(str::len), Some(36));
        answer["results"].as_object().unwrap().len()
    };
    let by = |user: &Value| json!({"guild_id": GUILD, "author": user, "user_id": user["id"], "user": user});
    let other = json!({"id": "3"});
    for name in
        ["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_REACTION_ADD", "TYPING_START", "VOICE_STATE_UPDATE"]
    {
        assert_eq!(deliveries(name, by(&bot)).await, 0, "{name}");
        assert_eq!(deliveries(name, by(&other)).await, 1, "{name}");
    }
    for name in ["GUILD_BAN_ADD", "GUILD_MEMBER_UPDATE", "INTERACTION_CREATE"] {
        assert_eq!(deliveries(name, by(&bot)).await, 1, "{name}");
    }
    let path = format!("/api/v1/guilds/{GUILD}/events");
    let event = json!({"name": "MESSAGE_DELETE", "data": {}, "author": BOT.to_string()});
    assert_eq!(world.worker.post(&path, &event).await.expect(202)["templates"], 0);
    let request = world.worker.request_as(&world.token, reqwest::Method::POST, &path);
    let event = json!({"name": "MESSAGE_CREATE", "data": by(&bot)});
    assert_eq!(testkit::answer(request.json(&event)).await.expect(202)["templates"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interaction_that_a_guild_tells_of_cannot_be_answered_and_one_that_an_admin_tells_of_can() {
    let world = world().await;
    let used = world.discord.command_event(CHANNEL, MEMBER, "any", &json!([]));
    let answer = json!({
        "interaction_id": used["id"], "interaction_token": used["token"], "data": {"type": 4, "data": {"content": "hi"}},
    });
    let response = || world.discord.interaction(used["token"].as_str().unwrap()).unwrap().response;
    world.guild_sends("INTERACTION_CREATE", &used).await;
    let said = world.call("create_interaction_response", &answer).await;
    assert!(said.contains("of no interaction that Discord sent to this guild"), "{said}");
    assert_eq!(response(), None);
    world.admin_sends("INTERACTION_CREATE", &used).await;
    assert_eq!(world.call("create_interaction_response", &answer).await, "done");
    assert!(response().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guild_says_of_permissions_changes_nothing_and_what_an_admin_says_counts_at_once() {
    let world = world().await;
    let ban = json!({"user_id": MEMBER.to_string(), "reason": "r"});
    let send = json!({"channel_id": CHANNEL.to_string(), "data": {"content": "hi"}});
    // What the service knows: the bot may send, and not ban.
    let may = permissions::ALL & !permissions::ADMINISTRATOR & !BAN_MEMBERS;
    let _ = world.discord.guild(guild()).bot_permissions(may).everyone(permissions::EVERYONE);
    assert!(world.call("create_guild_ban", &ban).await.contains("lacks BAN_MEMBERS"));
    assert_eq!(world.call("create_message", &send).await, "done");

    // What is true from now on: it may ban, and not send. The guild says so, and says more.
    let _ = world.discord.guild(guild()).bot_permissions(may | BAN_MEMBERS);
    let denied = Overwrite { id: Id(BOT), kind: OverwriteKind::Member, allow: 0, deny: SEND_MESSAGES };
    let _ = world.discord.guild(guild()).channel(CHANNEL, |channel| channel.overwrites = vec![denied]);
    let role = world.discord.with(|state| *state.guilds[&Id(guild())].roles.keys().next().unwrap());
    let role = world.discord.role_event(guild(), role);
    let (all, channel) = (world.discord.guild_event(guild()), world.discord.channel_event(CHANNEL));
    world.guild_sends("GUILD_ROLE_UPDATE", &role).await;
    world.guild_sends("GUILD_UPDATE", &all).await;
    world.guild_sends("CHANNEL_UPDATE", &channel).await;
    let bot = json!({"guild_id": GUILD, "user": {"id": BOT.to_string()}});
    world.guild_sends("GUILD_MEMBER_REMOVE", &bot).await;
    assert!(world.call("create_guild_ban", &ban).await.contains("lacks BAN_MEMBERS"));
    assert_eq!(world.discord.bans(guild()), []);
    assert_eq!(world.call("create_message", &send).await.split(':').next(), Some("Discord refused"));

    world.admin_sends("CHANNEL_UPDATE", &channel).await;
    let said = world.call("create_message", &send).await;
    assert!(said.contains("the bot lacks SEND_MESSAGES in the channel"), "{said}");
    world.admin_sends("GUILD_ROLE_UPDATE", &role).await;
    assert_eq!(world.call("create_guild_ban", &ban).await, "done");
}
