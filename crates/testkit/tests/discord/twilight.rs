//! The client that the service uses talks to the simulator: it reads every model, sends its token, reason and forms,
//! and keeps to the limits that it is told.

use std::time::Duration;

use serde::de::DeserializeSeed;
use serde_json::json;
use testkit::discord::{BOT, Fault, Limit};
use twilight_http::Client;
use twilight_http::request::AuditLogReason;
use twilight_http::request::channel::reaction::RequestReactionType;
use twilight_model::channel::ChannelType;
use twilight_model::gateway::event::{Event, GatewayEventDeserializer};
use twilight_model::gateway::payload::incoming::GuildCreate;
use twilight_model::guild::Permissions;
use twilight_model::http::attachment::Attachment;
use twilight_model::http::interaction::{InteractionResponse, InteractionResponseType};
use twilight_model::id::Id;

use super::{ALICE, BOB, CHANNEL, GUILD, discord};

fn client(discord: &testkit::discord::Discord) -> Client {
    // Which TLS it would use is asked of it also where it uses none.
    let _ = testkit::client();
    Client::builder().proxy(discord.address(), true).token(discord.token()).build()
}

#[tokio::test]
async fn it_reads_every_model() {
    let discord = discord().await;
    let client = client(&discord);
    let (guild, channel, alice) = (Id::new(GUILD), Id::new(CHANNEL), Id::new(ALICE));

    assert_eq!(client.current_user().await.unwrap().model().await.unwrap().id, Id::new(BOT));
    assert_eq!(client.guild(guild).with_counts(true).await.unwrap().model().await.unwrap().roles.len(), 2);
    assert_eq!(client.guild_members(guild).limit(100).await.unwrap().models().await.unwrap().len(), 4);
    assert_eq!(
        client.guild_channels(guild).await.unwrap().models().await.unwrap()[0].kind,
        ChannelType::GuildText
    );
    client.active_threads(guild).await.unwrap().model().await.unwrap();

    let role = client.create_role(guild).name("r").permissions(Permissions::SEND_MESSAGES).await.unwrap();
    let role = role.model().await.unwrap();
    assert_eq!(role.permissions, Permissions::SEND_MESSAGES);
    client.add_guild_member_role(guild, alice, role.id).await.unwrap();

    let file = Attachment::from_bytes("note.txt".to_owned(), b"four".to_vec(), 1);
    let sent = client.create_message(channel).content("hi").attachments(&[file]).await.unwrap();
    let sent = sent.model().await.unwrap();
    assert_eq!((sent.attachments[0].filename.as_str(), sent.attachments[0].size), ("note.txt", 4));
    let thumb = RequestReactionType::Unicode { name: "\u{1f44d}" };
    client.create_reaction(channel, sent.id, &thumb).await.unwrap();
    let history = client.channel_messages(channel).limit(10).await.unwrap().models().await.unwrap();
    assert_eq!((history.len(), history[0].reactions[0].count), (1, 1));

    let hook = client.create_webhook(channel, "hook").await.unwrap().model().await.unwrap();
    let token = hook.token.unwrap();
    let through = client.execute_webhook(hook.id, &token).content("through").wait().await.unwrap();
    assert_eq!(through.model().await.unwrap().webhook_id, Some(hook.id));
    let invite = client.create_invite(channel).await.unwrap().model().await.unwrap();
    client.invite(&invite.code).with_counts().await.unwrap().model().await.unwrap();

    client.create_ban(guild, Id::new(BOB)).reason("too loud \u{1f50a}").await.unwrap();
    assert_eq!(client.bans(guild).await.unwrap().models().await.unwrap()[0].user.id, Id::new(BOB));
    let log = client.audit_log(guild).await.unwrap().model().await.unwrap();
    assert_eq!(log.entries[0].reason.as_deref(), Some("too loud \u{1f50a}"));
    client.delete_ban(guild, Id::new(BOB)).await.unwrap();
}

#[tokio::test]
async fn it_answers_interactions_and_registers_commands() {
    let discord = discord().await;
    let client = client(&discord);
    let interactions = client.interaction(Id::new(BOT));
    let command = interactions.create_guild_command(Id::new(GUILD)).chat_input("ping", "pongs");
    command.await.unwrap().model().await.unwrap();
    assert_eq!(interactions.guild_commands(Id::new(GUILD)).await.unwrap().models().await.unwrap().len(), 1);

    let event = discord.command_event(CHANNEL, ALICE, "ping", &json!([]));
    let event: twilight_model::application::interaction::Interaction = serde_json::from_value(event).unwrap();
    let later =
        InteractionResponse { kind: InteractionResponseType::DeferredChannelMessageWithSource, data: None };
    interactions.create_response(event.id, &event.token, &later).await.unwrap();
    let pong = interactions.update_response(&event.token).content(Some("pong")).await.unwrap();
    assert_eq!(pong.model().await.unwrap().content, "pong");
    let more = interactions.create_followup(&event.token).content("more").await.unwrap();
    assert_eq!(more.model().await.unwrap().content, "more");
    assert_eq!(discord.interaction(&event.token).unwrap().followups.len(), 1);
}

/// The event as twilight's gateway would read it.
fn read(name: &str, data: &serde_json::Value) -> Event {
    let text = json!({"t": name, "s": 1, "op": 0, "d": data}).to_string();
    let found = GatewayEventDeserializer::from_json(&text).unwrap();
    let event = found.deserialize(&mut serde_json::Deserializer::from_str(&text));
    let event = event.unwrap_or_else(|error| panic!("{name}: {error}: {data:#}"));
    let twilight_model::gateway::event::GatewayEvent::Dispatch(_, event) = event else { panic!("{name}") };
    event.into()
}

#[tokio::test]
async fn it_reads_every_event() {
    let discord = discord().await;
    discord.guild(GUILD).thread(2_500, CHANNEL, |_| ()).role(4_000, |_| ()).ban(3_004, None);
    let Event::GuildCreate(created) = read("GUILD_CREATE", &discord.guild_event(GUILD)) else { panic!() };
    let GuildCreate::Available(guild) = *created else { panic!() };
    assert_eq!((guild.channels.len(), guild.threads.len(), guild.members.len()), (1, 1, 4));
    let sent = discord.message_create_event(CHANNEL, ALICE, "hi");
    let Event::MessageCreate(message) = read("MESSAGE_CREATE", &sent) else { panic!() };
    assert_eq!((message.guild_id, message.member.is_some()), (Some(Id::new(GUILD)), true));
    let id = message.id.get();
    client(&discord).create_ban(Id::new(GUILD), Id::new(BOB)).await.unwrap();
    for (name, data) in [
        ("MESSAGE_UPDATE", discord.message_event(CHANNEL, id)),
        ("MESSAGE_REACTION_ADD", discord.reaction_add_event(CHANNEL, id, ALICE, "\u{1f44d}")),
        ("MESSAGE_REACTION_REMOVE", discord.reaction_remove_event(CHANNEL, id, ALICE, "\u{1f44d}")),
        ("INTERACTION_CREATE", discord.component_event(CHANNEL, id, ALICE, "go")),
        ("MESSAGE_DELETE", discord.message_delete_event(CHANNEL, id)),
        ("GUILD_MEMBER_ADD", discord.member_add_event(GUILD, 3_003)),
        ("GUILD_MEMBER_UPDATE", discord.member_update_event(GUILD, 3_003)),
        ("GUILD_MEMBER_REMOVE", discord.member_remove_event(GUILD, 3_003)),
        ("GUILD_BAN_ADD", discord.ban_event(GUILD, 3_004)),
        ("GUILD_AUDIT_LOG_ENTRY_CREATE", discord.audit_log_entry_event(GUILD)),
        ("CHANNEL_UPDATE", discord.channel_event(CHANNEL)),
        ("THREAD_UPDATE", discord.channel_event(2_500)),
        ("GUILD_ROLE_UPDATE", discord.role_event(GUILD, 4_000)),
        ("GUILD_ROLE_DELETE", discord.role_delete_event(GUILD, 4_000)),
    ] {
        assert_eq!(read(name, &data).kind().name(), Some(name));
    }
}

#[tokio::test]
async fn it_waits_where_a_bucket_is_empty_and_loses_nothing() {
    let discord = discord().await;
    let limit = Limit { requests: 2, per: Duration::from_millis(200) };
    discord.limit("POST", "/channels/{channel_id}/messages", limit);
    let client = client(&discord);
    for _ in 0..5 {
        client.create_message(Id::new(CHANNEL)).content("hi").await.unwrap();
    }
    // It learns of a bucket by its first 429 only: the scope, without which it ignores the other headers, comes with
    // no other answer.
    let refused = usize::try_from(discord.invalid_requests()).unwrap();
    assert_eq!((discord.messages(CHANNEL).len(), discord.requests().len()), (5, 5 + refused));
}

#[tokio::test]
async fn it_tries_again_after_a_429() {
    let discord = discord().await;
    discord.fail("POST", "/channels/{channel_id}/messages", 1, Fault::GlobalLimit(Duration::from_millis(1)));
    let client = client(&discord);
    client.create_message(Id::new(CHANNEL)).content("hi").await.unwrap();
    let lines = discord.request_lines();
    assert_eq!(
        lines,
        [format!("POST /channels/{CHANNEL}/messages"), format!("POST /channels/{CHANNEL}/messages")]
    );
    assert_eq!((discord.messages(CHANNEL).len(), discord.invalid_requests()), (1, 1));
}
