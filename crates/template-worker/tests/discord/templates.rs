//! `ctx.Discord` as a template has it, through the whole service.

use serde_json::{Value, json};
use template_worker::config::Strategy;
use testkit::TestWorker;

async fn run(worker: &TestWorker, capabilities: &[&str], source: &str) -> Value {
    let guild = testkit::GUILD;
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": capabilities});
    worker.put(&format!("/api/v1/guilds/{guild}/templates/t"), &body).await;
    let mut outcome = worker.event(guild, &json!({})).await;
    let outcome = outcome["t"].take();
    if outcome["status"] == "ok" { outcome["value"].clone() } else { outcome["error"].clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_bans_with_a_reason_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ThreadPerGuild, Strategy::ProcessPool] {
        let discord = testkit::discord::Discord::start().await;
        let guild: u64 = testkit::GUILD.to_string().parse().unwrap();
        let _ = discord.guild(guild).member(3, |_| ());
        let worker = TestWorker::start_with(|config| {
            config.vm.strategy = strategy;
            config.discord.token = discord.token().as_str().into();
            config.discord.address = format!("http://{}", discord.address());
        })
        .await;
        let source = r#"
            local _, ctx = ...
            local guild = ctx.Discord:get_guild().data
            ctx.Discord.create_guild_ban({user_id = "3", reason = "spam"})
            local ok, error = pcall(ctx.Discord.get_channel, "40/messages")
            guild.name = "mine"
            guild.roles[1].name = "mine too"
            local again = ctx.Discord:get_guild().data
            return {guild.id == ctx.guild_id, error, again.name ~= "mine" and again.roles[1].name ~= "mine too"}
        "#;
        let got =
            run(&worker, &["discord:get_guild", "discord:create_guild_ban", "discord:get_channel"], source)
                .await;
        assert_eq!(got[0], true, "{got}");
        assert!(got[1].as_str().unwrap().contains("`channel_id` is no id"), "{got}");
        assert_eq!(got[2], true, "a result is the template's own, and nobody else's");
        assert_eq!(discord.bans(guild), [(3.into(), Some("spam".to_owned()))], "{strategy:?}");
        let denied = run(&worker, &["discord:get_guild"], source).await;
        assert!(
            denied.as_str().unwrap().contains("it lacks the capability `discord:create_guild_ban`"),
            "{denied}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_be_as_large_as_a_call_says_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let discord = testkit::discord::Discord::start().await;
        let guild: u64 = testkit::GUILD.to_string().parse().unwrap();
        let _ = discord.guild(guild).channel(40, |_| ());
        let worker = TestWorker::start_with(|config| {
            config.vm.strategy = strategy;
            // A busy machine may take its time over megabytes.
            config.limits.max_cpu_time_ms = 30_000;
            config.limits.max_non_yieldable_time_ms = 5_000;
            config.discord.token = discord.token().as_str().into();
            config.discord.address = format!("http://{}", discord.address());
        })
        .await;
        let send = |bytes: usize| {
            format!(
                "local _, ctx = ... local content = buffer.create({bytes}) ctx.Discord.create_message({{channel_id = '40', \
                 data = {{attachments = {{{{filename = 'a.bin', content = content}}}}}}}}) return 'sent'"
            )
        };
        assert_eq!(run(&worker, &["discord:*"], &send(2 << 20)).await, "sent");
        let sent = discord.requests().pop().unwrap();
        assert_eq!(sent.body.files()[0].bytes.len(), 2 << 20, "{strategy:?}");
        let refused = run(&worker, &["discord:*"], &send((8 << 20) + 1)).await;
        assert!(refused.as_str().unwrap().contains("at most 8388608 bytes"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guilds_share_is_20_calls_at_once_and_more_are_told_to_wait() {
    let discord = testkit::discord::Discord::start().await;
    let guild: u64 = testkit::GUILD.to_string().parse().unwrap();
    let _ = discord.guild(guild);
    let worker = TestWorker::start_with(|config| {
        config.discord.token = discord.token().as_str().into();
        config.discord.address = format!("http://{}", discord.address());
    })
    .await;
    let source = r#"
        local _, ctx = ...
        local failed
        for _ = 1, 100 do
            local ok, error = pcall(ctx.Discord.antiraid_check_reason, "r")
            failed = failed or not ok and error
        end
        return failed
    "#;
    let text = run(&worker, &["discord:*"], source).await;
    assert!(text.as_str().unwrap().contains("rate limit hit for `discord`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bot_a_template_is_told_what_the_operator_has_to_do() {
    let worker = TestWorker::start_with(|_| ()).await;
    let source = r#"local _, ctx = ... return ctx.Discord.get_guild()"#;
    let text = run(&worker, &["*"], source).await;
    assert!(text.as_str().unwrap().contains("`discord.token`"), "{text}");
}
