//! What the simulated Discord does, claim by claim, over its socket.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose set-up fails has failed")]

mod behaviour;
mod every_route;
mod faults;
mod hierarchy;
mod limits;
mod twilight;

use reqwest::Method;
use serde_json::Value;
use testkit::discord::Discord;
use testkit::{Answer, answer};

const GUILD: u64 = 1_000;
const CHANNEL: u64 = 2_000;
const ALICE: u64 = 3_001;
const BOB: u64 = 3_002;

/// A Discord with a guild, a channel and two members without roles.
async fn discord() -> Discord {
    let discord = Discord::start().await;
    discord.guild(GUILD).member(ALICE, |_| ()).member(BOB, |_| ()).channel(CHANNEL, |_| ());
    discord
}

/// Sends a request with the bot's token; the line is method and path.
async fn send(discord: &Discord, line: &str, body: Option<&Value>) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let request = discord.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    answer(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

/// The status, and Discord's code of the error if it is one.
async fn outcome(discord: &Discord, line: &str, body: Option<&Value>) -> (u16, Option<u64>) {
    let answer = send(discord, line, body).await;
    (answer.status.as_u16(), answer.body["code"].as_u64().filter(|_| !answer.status.is_success()))
}
