//! What every call of the host has in common: the way out of the VM and back, capabilities, and limiting a context.

use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use testkit::{GUILD, TestWorker};

use crate::internet::run_in;

const STRATEGIES: [Strategy; 3] = [Strategy::ThreadPool, Strategy::ThreadPerGuild, Strategy::ProcessPool];

async fn worker(strategy: Strategy) -> TestWorker {
    TestWorker::start_with(|config: &mut Config| config.vm.strategy = strategy).await
}

/// What `source` returns, or the error that it throws, with these capabilities.
async fn run(worker: &TestWorker, capabilities: &[&str], source: &str) -> Value {
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": capabilities});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/t"), &body).await;
    let mut outcome = worker.event(GUILD, &json!({})).await;
    let outcome = outcome["t"].take();
    if outcome["status"] == "ok" { outcome["value"].clone() } else { outcome["error"].clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_out_of_the_vm_and_its_answer_comes_back_whatever_the_strategy() {
    for strategy in STRATEGIES {
        let worker = worker(strategy).await;
        let source = r#"
            local _, ctx = ...
            local copy = ctx.DataStores.CopyDataStore
            local got = copy.copy({a = {1, 2, buffer.fromstring("x")}, n = 0/0})
            assert(buffer.tostring(got.a[3]) == "x" and got.n ~= got.n)
            local events = ctx.DataStores.LinksStore:event_list()
            local waited = coroutine.wrap(function() return copy:copy("inner") end)()
            local stores = ctx.DataStores
            local faces = {
                copy.name, stores.StatsStore.methods()[1], copy:need_caps("copy"), pcall(copy.need_caps, "fly"),
            }
            return {got.a[1], #events, waited, typeof(stores), typeof(copy), tostring(copy), faces}
        "#;
        let got = run(&worker, &["datastore:*"], source).await;
        assert_eq!(
            got,
            json!([
                1,
                78,
                "inner",
                "DataStores",
                "CopyDataStore",
                "CopyDataStore",
                ["CopyDataStore", "stats", true, false, "need_caps takes a name of copy, copySync"],
            ]),
            "{strategy:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_names_the_capability_and_who_gives_it() {
    for strategy in STRATEGIES {
        let worker = worker(strategy).await;
        let source = "local _, ctx = ... return ctx.DataStores.StatsStore.stats()";
        let denied = run(&worker, &["datastore:LinksStore"], source).await;
        let denied = denied.as_str().unwrap();
        assert!(denied.contains("it lacks the capability `datastore:StatsStore:stats`"), "{denied}");
        assert!(denied.contains("an admin of the guild allows it"), "{denied}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_has_left_out_nobody_has_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config| {
            config.vm.strategy = strategy;
            config.templates.capabilities = vec!["kv:*".parse().unwrap()];
        })
        .await;
        let source = r#"
            local _, ctx = ...
            local _, denied = pcall(ctx.DataStores.StatsStore.stats)
            local _, widened = pcall(ctx.withlimits, {capabilities = {"datastore:*"}})
            return {
                denied, widened, ctx.allowed_caps, ctx.data.allowed_caps, ctx:has_cap("kv:get:x"),
                ctx:has_cap("datastore:StatsStore:stats"), ctx:has_any_cap({"datastore:*", "*"}),
            }
        "#;
        let got = run(&worker, &["*"], source).await;
        assert!(got[0].as_str().unwrap().contains("the operator of this service has left out"), "{got}");
        assert!(got[1].as_str().unwrap().contains("lacks the capability `datastore:*`"), "{got}");
        assert_eq!(
            got.as_array().unwrap()[2..],
            json!([["kv:*"], ["*"], true, false, false]).as_array().unwrap()[..]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_capability_nobody_has_and_nothing_can_be_limited_to_it() {
    let worker = worker(Strategy::ThreadPool).await;
    let source = r#"
        local _, ctx = ...
        local said = {}
        local function any(name) return ctx:has_any_cap({name}) end
        local function limit(name) return ctx:withlimits({capabilities = {name}}) end
        for _, wrong in {"kvv:*", "lockdowns:manage", 5, {}} do
            for _, f in {ctx.has_cap, any, limit} do
                table.insert(said, tostring(select(2, pcall(f, wrong))))
            end
        end
        return said
    "#;
    let got = run(&worker, &["*"], source).await;
    let said: Vec<&str> = got.as_array().unwrap().iter().map(|said| said.as_str().unwrap()).collect();
    for (index, wanted) in
        ["false", "false", "did you mean `kv:*`?", "false", "false", "a capability begins with one of"]
            .into_iter()
            .chain(["a capability is a text such as"; 6])
            .enumerate()
    {
        assert!(said[index].contains(wanted), "{index}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_can_be_limited_and_never_widened() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let worker = worker(strategy).await;
        let source = r#"
            local _, ctx = ...
            local less = ctx:withlimits{capabilities = {"datastore:LinksStore"}}
            local none = less.withlimits{capabilities = {}}
            local function try(f, ...)
                local ok, error = pcall(f, ...)
                return ok or string.match(error, "lacks the capability `(.-)`") or string.match(error, "without `(.-)`")
            end
            return {
                try(less.DataStores.LinksStore.links),
                try(less.DataStores.StatsStore.stats),
                try(none.DataStores.LinksStore.links),
                try(less.withlimits, {capabilities = {"datastore:*"}}),
                try(none.withlimits, {capabilities = {"datastore:LinksStore"}}),
                less:has_cap("datastore:LinksStore:links"), less:has_cap("datastore:StatsStore"),
                less:has_any_cap({"kv:*", "datastore:LinksStore"}), less.has_any_cap({}),
                #less.allowed_caps, typeof(less), less.guild_id == ctx.guild_id, less.store == ctx.store,
            }
        "#;
        let got = run(&worker, &["datastore:*"], source).await;
        let expected = json!([
            true,
            "datastore:StatsStore:stats",
            "datastore:LinksStore:links",
            "datastore:*",
            "datastore:LinksStore",
            true,
            false,
            true,
            false,
            1,
            "TemplateContext",
            true,
            true,
        ]);
        assert_eq!(got, expected, "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_say_which_and_what_was_expected() {
    let worker = worker(Strategy::ThreadPool).await;
    let source = "local _, ctx = ... return ctx.DataStores.CopyDataStore.copy(1, 2)";
    let got = run(&worker, &["*"], source).await;
    assert_eq!(got, json!("init.luau:1: too many arguments to 'copy': it takes 1"));
    for (passed, name) in
        [("ctx", "a TemplateContext"), ("ctx.ObjectStorage", "an ObjectStorage"), ("print", "a function")]
    {
        let source = format!("local _, ctx = ... return ctx.DataStores.CopyDataStore.copy({{x = {passed}}})");
        let got = run(&worker, &["*"], &source).await;
        let error = got.as_str().unwrap();
        assert!(error.starts_with(&format!("init.luau:1: argument 1.x is {name}: only nil, ")), "{error}");
        assert!(error.ends_with(" can be passed"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_guilds_have_a_vm_is_told_whatever_the_strategy() {
    for strategy in STRATEGIES {
        let worker = worker(strategy).await;
        let source = "local _, ctx = ... return ctx.DataStores.StatsStore.stats().total_guilds";
        for (number, guild) in ["1", "2"].into_iter().enumerate() {
            assert_eq!(run_in(&worker, guild, &["*"], source).await, number + 1, "{strategy:?}");
        }
    }
}
