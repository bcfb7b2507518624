//! `ctx.current_user`: who the bot is, once Discord has said it, and nothing before.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use template_worker::config::Strategy;
use testkit::discord::{BOT, Discord, Fault};
use testkit::{GUILD, TestWorker};

/// Of the template `t` in [`GUILD`].
const PATH: &str = "/api/v1/guilds/818880986845679757/templates/t";

/// A service whose Discord is at `address`.
async fn worker_with(address: String, token: &str, strategy: Strategy) -> TestWorker {
    TestWorker::start_with(|config| {
        config.vm.strategy = strategy;
        config.vm.process_program = testkit::program();
        config.discord.token = token.into();
        config.discord.address = address;
    })
    .await
}

async fn worker(discord: &Discord, strategy: Strategy) -> TestWorker {
    worker_with(format!("http://{}", discord.address()), &discord.token(), strategy).await
}

/// What a template of this source gives.
async fn run(worker: &TestWorker, source: &str) -> Value {
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": []});
    worker.put(PATH, &body).await;
    worker.event(GUILD, &json!({})).await["t"]["value"].take()
}

const ID: &str =
    "local _, ctx = ... return {ctx.current_user == nil, ctx.current_user and ctx.current_user.id}";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_sees_the_bots_user_from_the_first_event_on_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let discord = Discord::start().await;
        let worker = worker(&discord, strategy).await;
        let source = r#"
            local _, ctx = ...
            local user = ctx.current_user
            local writes = {pcall(function() user.id = "1" end), pcall(rawset, user, "id", "1")}
            return {typeof(user), user.id, user.username, user.bot, user.global_name == nil, table.isfrozen(user),
                writes[1], writes[2], ctx:withlimits({capabilities = {}}).current_user == user}
        "#;
        let got = run(&worker, source).await;
        let expected =
            json!(["table", BOT.to_string(), "template-worker", true, true, true, false, false, true]);
        assert_eq!(got, expected, "{strategy:?}");
        assert_eq!(discord.request_lines(), ["GET /users/@me"], "Discord is asked once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bot_or_with_a_discord_that_is_out_of_reach_there_is_no_user_and_the_service_runs() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = |listener: &tokio::net::TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let (never_answers, refuses) = (address(&silent), address(&closed));
    drop(closed);
    for (address, token) in
        [("https://discord.com".to_owned(), ""), (refuses, "a.b.c"), (never_answers, "a.b.c")]
    {
        let worker = worker_with(address.clone(), token, Strategy::ThreadPool).await;
        assert_eq!(run(&worker, ID).await, json!([true]), "{address}");
        worker.get("/readyz").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_user_are_none() {
    for fault in [
        Fault::Garbage,
        Fault::Huge(8 << 20),
        Fault::Huge(100_000),
        Fault::Truncated,
        Fault::Error(401, 0, "no"),
    ] {
        let discord = Discord::start().await;
        discord.fail("GET", "/users/@me", 1_000, fault.clone());
        let worker = worker(&discord, Strategy::ThreadPool).await;
        assert_eq!(run(&worker, ID).await, json!([true]), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_reaches_templates_when_they_are_loaded_again() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let discord = Discord::start().await;
        discord.fail("GET", "/users/@me", 1, Fault::Status(503));
        let worker = worker(&discord, strategy).await;
        let source = r#"
            local _, ctx = ...
            runs = (runs or 0) + 1
            return {runs, ctx.current_user and ctx.current_user.id}
        "#;
        assert_eq!(run(&worker, source).await, json!([1]));
        let runs = AtomicU64::new(2);
        testkit::until("the bot's user is known", async || {
            worker.patch(PATH, &json!({"description": "loaded again"})).await.expect(200);
            let got = worker.event(GUILD, &json!({})).await["t"]["value"].take();
            assert_eq!(got[0], runs.fetch_add(1, Ordering::Relaxed), "the template keeps its state");
            got[1] == json!(BOT.to_string())
        })
        .await;
        assert_eq!(discord.request_lines(), ["GET /users/@me"; 2]);
    }
}
