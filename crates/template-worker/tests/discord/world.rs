//! Two guilds that the bot is in, with one of everything, and the service's half that is tried.

use std::collections::BTreeMap;
use std::time::Duration;

use khronos::KhronosValue;
use reqwest::Method as Verb;
use serde_json::{Value, json};
use template_worker::config::DiscordConfig;
use template_worker::host::discord::methods;
use template_worker::host::{Discord, HostError, HostReply};
use template_worker::ids::GuildId;
use testkit::discord::permissions::{self, Permissions};
use testkit::discord::{BOT, Id, Invite, Limit, OWNER, Webhook};

/// The guild whose template calls.
pub const OURS: u64 = 10_000;
/// The guild that has nothing to do with it.
pub const OTHER: u64 = 20_000;
/// What stands in every name and text of the other guild.
pub const MARK: &str = "nobodys-business";

/// What placeholders in arguments stand for: `$channel`, `$role`, ..
pub type Names = BTreeMap<&'static str, String>;

pub struct World {
    pub discord: testkit::discord::Discord,
    pub host: Discord,
    pub ours: Names,
    pub other: Names,
}

impl World {
    /// Two guilds in which the bot may do everything but what `without` says in ours, and is no administrator.
    pub async fn new(without: Permissions) -> Self {
        let discord = testkit::discord::Discord::start().await;
        // Tests start many services one after the other, which know nothing of each other's requests.
        discord.limit_all(Limit { requests: 1_000_000, per: Duration::from_secs(1) });
        let ours = build(&discord, OURS, "ours").await;
        let other = build(&discord, OTHER, MARK).await;
        let host = host(&discord);
        let world = Self { discord, host, ours, other };
        world.again(without).await
    }

    /// The same guilds, and a service that knows nothing of them yet.
    pub async fn again(self, without: Permissions) -> Self {
        let may = permissions::ALL & !permissions::ADMINISTRATOR & !without;
        let _ = self.discord.guild(OURS).bot_permissions(may).everyone(permissions::EVERYONE & !without);
        let world = Self { host: host(&self.discord), ..self };
        for (guild, names) in [(OURS, &world.ours), (OTHER, &world.other)] {
            for event in ["open", "answered"] {
                world.host.observe(guild_id(guild), "INTERACTION_CREATE", &names[event]).await;
            }
        }
        world.discord.forget_requests();
        world.discord.take_violations();
        world
    }

    /// The same, or new guilds where something has changed.
    pub async fn fresh(self, without: Permissions) -> Self {
        if self.changes().is_empty() { self.again(without).await } else { Self::new(without).await }
    }

    /// Calls a method as a template of our guild.
    pub async fn call(&self, method: &str, arguments: &str) -> Result<HostReply, HostError> {
        self.call_with(method, arguments, &self.ours).await
    }

    /// The same with other things for the placeholders.
    pub async fn call_with(
        &self,
        method: &str,
        arguments: &str,
        names: &Names,
    ) -> Result<HostReply, HostError> {
        let method = methods::find(method).unwrap();
        self.host.serve(guild_id(OURS), method, filled(arguments, names), None).await
    }

    /// Everything of a guild, to see whether it changed.
    pub fn everything_of(&self, guild: u64) -> String {
        let guild = Id(guild);
        self.discord.with(|state| {
            let channels: Vec<_> = state.channels.values().filter(|one| one.guild == guild).collect();
            let messages: Vec<_> = channels.iter().map(|one| state.messages.get(&one.id)).collect();
            let webhooks: Vec<_> = state.webhooks.values().filter(|one| one.guild == guild).collect();
            let invites: Vec<_> = state.invites.values().filter(|one| one.guild == guild).collect();
            let interactions: Vec<_> = state.interactions.values().filter(|one| one.guild == guild).collect();
            let of = &state.guilds[&guild];
            format!("{of:?}\n{channels:?}\n{messages:?}\n{webhooks:?}\n{invites:?}\n{interactions:?}")
        })
    }

    /// The requests that could have changed something.
    pub fn changes(&self) -> Vec<String> {
        self.discord.request_lines().into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }
}

/// The service's half, with the configuration that leads to `discord`.
pub fn host(discord: &testkit::discord::Discord) -> Discord {
    let config = DiscordConfig {
        token: discord.token().as_str().into(),
        address: format!("http://{}", discord.address()),
        ..DiscordConfig::default()
    };
    Discord::new(&config)
}

pub fn guild_id(id: u64) -> GuildId {
    GuildId::new(id).unwrap()
}

/// Arguments, written as a JSON list with placeholders.
pub fn filled(arguments: &str, names: &Names) -> Vec<KhronosValue> {
    let mut text = arguments.to_owned();
    for (name, value) in names {
        text = text.replace(&format!("\"${name}\""), &format!("{value:?}"));
    }
    assert!(!text.contains("\"$"), "a placeholder is left in {text}");
    let list: Vec<KhronosValue> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    list
}

/// What a call replied, as text.
pub fn text(reply: &HostReply) -> String {
    match reply {
        HostReply::Json(text) | HostReply::Failed(text) => text.clone(),
        HostReply::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        HostReply::Values(values) => {
            values.iter().map(|value| serde_json::to_string(&value.0).unwrap()).collect()
        }
    }
}

/// One of everything, called `name`.
async fn build(discord: &testkit::discord::Discord, guild: u64, name: &str) -> Names {
    let at = |offset: u64| guild + offset;
    let _ = discord
        .guild(guild)
        .set(|guild| name.clone_into(&mut guild.name))
        .role(at(20), |role| role.name = name.to_owned())
        .member(at(3), |member| member.nick = Some(name.to_owned()))
        .ban(at(4), Some(name))
        .channel(at(40), |channel| channel.name = name.to_owned())
        .channel(at(41), |channel| {
            channel.kind = 5;
            channel.name = name.to_owned();
        })
        .thread(at(42), at(40), |thread| thread.name = name.to_owned())
        .message(at(40), at(3), name, |_| ())
        .message(at(40), BOT, name, |_| ())
        .message(at(41), BOT, name, |_| ());
    discord.with(|state| {
        let webhook = Webhook {
            id: Id(at(60)),
            guild: Id(guild),
            channel: Id(at(40)),
            name: name.to_owned(),
            avatar: None,
            creator: Id(OWNER),
            token: Some(format!("hook-{guild}")),
            follows: None,
        };
        state.webhooks.insert(webhook.id, webhook);
        let invite = Invite {
            code: format!("inv{guild}"),
            guild: Id(guild),
            channel: Id(at(40)),
            inviter: Id(OWNER),
            max_age: 0,
            max_uses: 0,
            temporary: false,
            created_at: state.now,
        };
        state.invites.insert(invite.code.clone(), invite);
    });
    let rule = json!({
        "name": name, "event_type": 1, "trigger_type": 1, "actions": [{"type": 1}], "enabled": true,
        "trigger_metadata": {"keyword_filter": [name]},
    });
    let rule = make(discord, &format!("/guilds/{guild}/auto-moderation/rules"), &rule).await;
    let command = json!({"name": "mark", "description": name});
    let command = make(discord, &format!("/applications/{BOT}/guilds/{guild}/commands"), &command).await;
    let open = discord.command_event(at(40), at(3), "mark", &json!([]));
    let answered = discord.command_event(at(40), at(3), "mark", &json!([]));
    let followup = answer(discord, &answered, name).await;
    let messages: Vec<String> =
        [at(40), at(41)].iter().flat_map(|at| discord.messages(*at)).map(|one| one.id.to_string()).collect();
    let texts = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    Names::from([
        ("guild", guild.to_string()),
        ("channel", at(40).to_string()),
        ("news", at(41).to_string()),
        ("thread", at(42).to_string()),
        ("role", at(20).to_string()),
        ("member", at(3).to_string()),
        ("banned", at(4).to_string()),
        ("message", messages[0].clone()),
        ("mine", messages[1].clone()),
        ("announced", messages.last().unwrap().clone()),
        ("webhook", at(60).to_string()),
        ("hook_token", format!("hook-{guild}")),
        ("invite", format!("inv{guild}")),
        ("rule", texts(&rule, "id")),
        ("command", texts(&command, "id")),
        ("interaction", texts(&open, "id")),
        ("token", texts(&open, "token")),
        ("answered_token", texts(&answered, "token")),
        ("followup", followup),
        ("open", open.to_string()),
        ("answered", answered.to_string()),
    ])
}

/// Makes something by a request of the bot's.
async fn make(discord: &testkit::discord::Discord, path: &str, body: &Value) -> Value {
    let reply = discord.request(Verb::POST, path).json(body).send().await.unwrap();
    assert!(reply.status().is_success(), "{path}: {}", reply.text().await.unwrap());
    reply.json().await.unwrap()
}

/// Answers an interaction, and again. The id of the second answer.
async fn answer(discord: &testkit::discord::Discord, event: &Value, text: &str) -> String {
    let (id, token) = (event["id"].as_str().unwrap(), event["token"].as_str().unwrap());
    let body = json!({"type": 4, "data": {"content": text}});
    let path = format!("/interactions/{id}/{token}/callback");
    let reply = discord.anonymous(Verb::POST, &path).json(&body).send().await.unwrap();
    assert!(reply.status().is_success(), "{}", reply.text().await.unwrap());
    let path = format!("/webhooks/{BOT}/{token}");
    let reply = discord.anonymous(Verb::POST, &path).json(&json!({"content": text})).send().await.unwrap();
    let message: Value = reply.json().await.unwrap();
    message["id"].as_str().unwrap_or_else(|| panic!("{message}")).to_owned()
}
