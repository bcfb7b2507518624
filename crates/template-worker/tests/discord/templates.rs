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
async fn an_executor_of_a_bulk_operation_waits_for_its_turn_before_each_call_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let discord = testkit::discord::Discord::start().await;
        let guild: u64 = testkit::GUILD.to_string().parse().unwrap();
        let _ = discord.guild(guild).channel(40, |_| ());
        let worker = TestWorker::start_with(|config| {
            config.vm.strategy = strategy;
            config.discord.token = discord.token().as_str().into();
            config.discord.address = format!("http://{}", discord.address());
        })
        .await;
        let capabilities = ["discord:antiraid_bulk_op", "discord:create_message"];
        let source = r#"
            local _, ctx = ...
            local op = ctx.Discord:antiraid_bulk_op("create_message")
            local send = {channel_id = "40", data = {content = "hi"}}
            local sent = op:create_message(send).data
            op.create_message(send)
            local _, wrong = pcall(op.create_message, {channel_id = "40", data = {content = ""}})
            local _, denied = pcall(op.antiraid_bulk_op_wait, op)
            local _, unknown = pcall(ctx.Discord.antiraid_bulk_op, "create_mesage")
            return {
                typeof(op), op.action, op.gap_ms, sent.content, wrong, denied, unknown,
                pcall(function() op.action = "x" end), getmetatable(op),
                typeof(op:antiraid_bulk_op()), ctx.Discord.antiraid_bulk_op().gap_ms,
            }
        "#;
        let begun = std::time::Instant::now();
        let got = run(&worker, &capabilities, source).await;
        assert!(begun.elapsed() >= std::time::Duration::from_millis(1200), "{:?}", begun.elapsed());
        assert_eq!(discord.messages(40).len(), 2, "{got}");
        assert_eq!(got[0], "DiscordBulkOp", "{got}");
        assert_eq!((&got[1], &got[2], &got[3]), (&json!("create_message"), &json!(1200), &json!("hi")));
        assert!(got[4].as_str().unwrap().contains("`data` is empty"), "{got}");
        assert!(got[5].as_str().unwrap().contains("`discord:antiraid_bulk_op_wait`"), "{got}");
        assert!(got[6].as_str().unwrap().contains("did you mean `create_message`?"), "{got}");
        assert_eq!(got[7], false, "{got}");
        let rest = got.as_array().unwrap();
        assert!(rest.contains(&json!("DiscordBulkOp")) && rest.contains(&json!(2500)), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_an_executor_waits_for_is_that_of_its_action_and_a_wrong_call_takes_none() {
    use template_worker::host::discord::methods::find;
    let world = super::world::World::new(0).await;
    let serve = |method: &str, arguments: &str, bulk| {
        let arguments = super::world::filled(arguments, &world.ours);
        world.host.serve(super::world::guild_id(super::world::OURS), find(method).unwrap(), arguments, bulk)
    };
    for _ in 0..20 {
        serve("create_message", "[{}]", Some("delete_guild_role")).await.unwrap_err();
    }
    let begun = std::time::Instant::now();
    serve("antiraid_check_reason", r#"["r"]"#, Some("delete_guild_role")).await.unwrap();
    serve("antiraid_bulk_op_wait", "[]", Some("delete_guild_role")).await.unwrap();
    let took = begun.elapsed().as_millis();
    assert!((2_000..10_000).contains(&took), "one gap, and not twenty: {took}");
    let unknown = serve("antiraid_bulk_op_wait", "[]", Some("no_such_method")).await.unwrap_err();
    assert!(unknown.to_string().contains("no method of `ctx.Discord`"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bot_a_template_is_told_what_the_operator_has_to_do() {
    let worker = TestWorker::start_with(|_| ()).await;
    let source = r#"local _, ctx = ... return ctx.Discord.get_guild()"#;
    let text = run(&worker, &["*"], source).await;
    assert!(text.as_str().unwrap().contains("`discord.token`"), "{text}");
}
