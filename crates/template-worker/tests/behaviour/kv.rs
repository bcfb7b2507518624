//! `ctx.KV`: every call allowed, denied, with wrong arguments, and from another guild.

use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use testkit::{GUILD, TestWorker};

const OTHER: &str = "818880986845679758";

/// Stores a template that starts with `local event, ctx = ... local kv = ctx.KV`.
async fn store(worker: &TestWorker, guild: &str, name: &str, capabilities: &[&str], source: &str) {
    let source = format!("local event, ctx = ... local kv = ctx.KV {source}");
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": capabilities});
    let path = format!("/api/v1/guilds/{guild}/templates/{name}");
    let answer = worker.put(&path, &body).await;
    assert!(answer.status.is_success(), "{source}: {:#}", answer.body);
}

/// What `source` returns, or the error that it throws.
async fn run_in(worker: &TestWorker, guild: &str, capabilities: &[&str], source: &str) -> Value {
    store(worker, guild, "t", capabilities, source).await;
    let outcome = worker.event(guild, &json!({})).await["t"].take();
    if outcome["status"] == "ok" { outcome["value"].clone() } else { outcome["error"].clone() }
}

async fn run(worker: &TestWorker, capabilities: &[&str], source: &str) -> Value {
    run_in(worker, GUILD, capabilities, source).await
}

/// Puts a DateTime under the key `when`, which is so many seconds away.
async fn put_time(worker: &TestWorker, guild: &str, seconds: i64) {
    let at = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let value = json!({"___khronosValType___": "timestamptz", "value": at});
    let path = format!("/api/v1/guilds/{guild}/kv/when?scope=times");
    assert!(worker.put(&path, &json!({"value": value})).await.status.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_does_what_it_says_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config: &mut Config| config.vm.strategy = strategy).await;
        put_time(&worker, GUILD, 3600).await;
        let source = r#"
            local when = kv:get("when", {"times"})
            local first = kv:set("k", {n = 1, list = {1, 2}, text = "x"}, {"b", "a"})
            local again = kv.set("k", "second", {"a", "b"}, when, true)
            assert(not first.exists and again.exists and first.id == again.id and #first.id >= 22)
            local value, found = kv:get("k", {"a", "b", "a"})
            assert(value == "second" and found == true)
            local none, missing = kv:get("k", {"a"})
            assert(none == nil and missing == false)
            local record = kv:getrecord("k", {"a", "b"})
            assert(record.id == first.id and record.key == "k" and record.exists and record.resume)
            assert(record.scopes[1] == "a" and record.scopes[2] == "b" and #record.scopes == 2)
            assert(typeof(record.created_at) == "DateTime" and typeof(record.last_updated_at) == "DateTime")
            assert(typeof(record.expires_at) == "DateTime")
            assert(kv:getrecord("k", {"c"}) == nil)
            kv:setexpiry("k", {"a", "b"})
            assert(kv:getrecord("k", {"a", "b"}).expires_at == nil)
            assert(kv:exists("k", {"a", "b"}) and not kv:exists("k", {"b"}))

            local byid, there = kv:getbyid(first.id)
            assert(byid == "second" and there)
            kv:setbyid(first.id, {deep = {1, {2}}}, when)
            assert(kv:getrecordbyid(first.id).value.deep[2][1] == 2)
            kv:setexpirybyid(first.id)
            assert(kv:getrecordbyid(first.id).expires_at == nil)

            kv:set("User:1", 1, {"a"}) kv:set("user:2", nil, {"a"}) kv:set("other", 3, {"a"})
            local rows, cursor = kv:find("user:%", {"a"})
            assert(#rows == 2 and cursor == nil and rows[1].key == "User:1" and rows[2].value == nil)
            local nothing, is = kv:get("user:2", {"a"})
            assert(nothing == nil and is, "a value may be nil")
            assert(table.concat(kv:keys({"a"}), ",") == "User:1,other,user:2")
            assert(table.concat(kv:list_scopes(), ",") == "a,b,times")

            assert(kv:increment("n", {"a"}) == 1 and kv:increment("n", {"a"}, 2.5) == 3.5)
            assert(kv:compareandset("n", {"a"}, 3.5, {1, 2}) and not kv:compareandset("n", {"a"}, 3.5, 4))
            assert(kv:compareandset("n", {"a"}, {1, 2}, 5) and kv:compareandset("fresh", {"a"}, nil, 1))
            local done = kv:batch{ops = {
                {op = "set", key = "batch", value = 7, scopes = {"a"}},
                {op = "increment", key = "batch", scopes = {"a"}, by = -2},
                {op = "compareandset", key = "batch", scopes = {"a"}, expected = 5, value = "five"},
                {op = "setexpiry", key = "batch", scopes = {"a"}, expires_at = when},
                {op = "delete", key = "nobody", scopes = {"a"}},
            }}
            assert(done[1].exists == false and done[2] == 5 and done[3] == true and done[4] == true and done[5] == false)
            assert(kv:get("batch", {"a"}) == "five")

            kv:deletebyid(first.id) kv:delete("n", {"a"}) kv:delete("n", {"a"})
            assert(not kv:exists("k", {"a", "b"}) and not kv:exists("n", {"a"}))
            return typeof(kv)
        "#;
        assert_eq!(run(&worker, &["kv:*", "kv.meta:*"], source).await, "KV", "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_keep_their_types() {
    let worker = TestWorker::start().await;
    put_time(&worker, GUILD, 0).await;
    let source = r#"
        kv:set("buffer", {b = buffer.fromstring("a\0b")}, {"s"})
        kv:set("vector", vector.create(1, 2, 3), {"s"})
        kv:set("nan", 0/0, {"s"})
        kv:set("big", 2^60, {"s"})
        kv:set("empty", {}, {"s"})
        local nan = kv:get("nan", {"s"})
        return {
            buffer.tostring(kv:get("buffer", {"s"}).b) == "a\0b", kv:get("vector", {"s"}) == vector.create(1, 2, 3),
            nan ~= nan, kv:get("big", {"s"}) == 2^60, next((kv:get("empty", {"s"}))) == nil,
            typeof((kv:get("when", {"times"}))),
        }
    "#;
    assert_eq!(run(&worker, &["kv:*"], source).await, json!([true, true, true, true, true, "DateTime"]));
}

/// Every call, with scopes `a` and `b` where it has any, and what it takes.
const CALLS: [(&str, &[&str]); 17] = [
    ("kv:get('k', {'a', 'b'})", &["kv[a]:get:k", "kv[b]:get:k"]),
    ("kv:getrecord('k', {'a', 'b'})", &["kv[a]:get:k", "kv[b]:get:k"]),
    ("kv:exists('k', {'a', 'b'})", &["kv[a]:exists:k", "kv[b]:exists:k"]),
    ("kv:keys({'a', 'b'})", &["kv.meta[a]:keys", "kv.meta[b]:keys"]),
    ("kv:list_scopes()", &["kv.meta:list_scopes"]),
    ("kv:find('k%', {'a', 'b'})", &["kv[a]:find", "kv[b]:find"]),
    ("kv:set('k', 1, {'a', 'b'})", &["kv[a]:set:k", "kv[b]:set:k"]),
    ("kv:setexpiry('k', {'a', 'b'})", &["kv[a]:setexpiry:k", "kv[b]:setexpiry:k"]),
    ("kv:increment('k', {'a', 'b'})", &["kv[a]:increment:k", "kv[b]:increment:k"]),
    ("kv:compareandset('k', {'a', 'b'}, 1, 2)", &["kv[a]:compareandset:k", "kv[b]:compareandset:k"]),
    (
        "kv:batch{{op = 'set', key = 'k', value = 1, scopes = {'a'}}, {op = 'delete', key = 'x', scopes = {'b'}}}",
        &["kv[a]:set:k", "kv[b]:delete:x"],
    ),
    ("kv:delete('k', {'a', 'b'})", &["kv[a]:delete:k", "kv[b]:delete:k"]),
    ("kv:getbyid(event.data.id)", &["kv.meta:id_ops"]),
    ("kv:getrecordbyid(event.data.id)", &["kv.meta:id_ops"]),
    ("kv:setbyid(event.data.id, 1)", &["kv.meta:id_ops"]),
    ("kv:setexpirybyid(event.data.id)", &["kv.meta:id_ops"]),
    ("kv:deletebyid(event.data.id)", &["kv.meta:id_ops"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_call_takes_its_capability_for_every_scope() {
    let worker = TestWorker::start().await;
    run(&worker, &["kv:*"], "kv:set('k', 1, {'a', 'b'})").await;
    for (call, needed) in CALLS {
        let id = run(&worker, &["kv:*"], "return kv:set('byid', 1, {'c'}).id").await;
        let event = json!({"id": id});
        let try_with = async |capabilities: &[&str]| {
            store(&worker, GUILD, "t", capabilities, &format!("{call} return 'done'")).await;
            worker.event(GUILD, &event).await["t"].take()
        };
        for missing in needed {
            let rest: Vec<&str> = needed.iter().copied().filter(|one| one != missing).collect();
            let denied = try_with(&[&rest[..], &["kv[c]:*", "discord:*"]].concat()).await;
            let error =
                denied["error"].as_str().unwrap_or_else(|| panic!("{call} without {missing}: {denied:#}"));
            assert!(error.contains(&format!("it lacks the capability `{missing}")), "{call}: {error}");
        }
        assert_eq!(try_with(needed).await["value"], "done", "{call} with {needed:?}");
        let limited = format!("kv = ctx:withlimits{{capabilities = {{}}}}.KV {call} return 'done'");
        store(&worker, GUILD, "t", &["*"], &limited).await;
        let outcome = worker.event(GUILD, &event).await["t"].take();
        assert!(outcome["error"].as_str().is_some_and(|error| error.contains("withlimits")), "{outcome:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_told_in_words_that_help() {
    let worker = TestWorker::start().await;
    put_time(&worker, GUILD, -60).await;
    let cases = [
        ("kv:get(1, {'s'})", "invalid argument #1 'key' to 'get': expected a string, got a number"),
        ("kv:get('k')", "invalid argument #2 'scopes' to 'get': expected"),
        ("kv:get('k', {})", "name at least one scope"),
        ("kv:get('k', {''})", "a scope of 0 bytes cannot be one; use 1 to 128 bytes"),
        ("kv:get('k', {string.rep('s', 129)})", "a scope of 129 bytes cannot be one"),
        ("kv:set('k', 1, table.create(17, 's'))", "17 scopes are more than a key may have (16)"),
        ("kv:keys(table.create(1000, 's'))", "1000 scopes are more than a key may have (16)"),
        ("kv:set('', 1, {'s'})", "a key cannot be empty"),
        ("kv:set(string.rep('k', 513), 1, {'s'})", "513 bytes are more than a key may have (512 bytes"),
        ("kv:set('k', print, {'s'})", "function"),
        ("kv:set('k', 1, {'s'}, 5)", "'expires_at' to 'set': expected a DateTime"),
        ("kv:set('k', 1, {'s'}, kv:get('when', {'times'}))", "cannot expire in the past"),
        ("kv:setexpiry('nobody', {'s'})", "there is no key \"nobody\" with these scopes"),
        ("kv:setexpiry('when', {'times'}, (kv:get('when', {'times'})))", "cannot expire in the past"),
        ("kv:setbyid('x', 1)", "no record with this id"),
        ("kv:setexpirybyid('../x')", "no record with this id"),
        ("kv:increment('when', {'times'})", "the value of \"when\" is no number"),
        ("kv:increment('k', {'s'}, 0/0)", "the sum is no number that can be stored"),
        ("kv:increment('k', {'s'}, math.huge)", "the sum is no number that can be stored"),
        ("kv:find(string.rep('%', 17), {'s'})", "a query with 17 `%` is not answered; use at most 16"),
        ("kv:find(string.rep('x', 513), {'s'})", "513 bytes are more than a query may have"),
        ("kv:find('%', {'s'}, 'cursor')", "that is no cursor"),
        ("kv:keys({'s'}, string.rep('x', 100000))", "that is no cursor"),
        ("kv:batch{}", "expected a list of operations"),
        ("kv:batch{ops = table.create(101, {op = 'delete', key = 'k', scopes = {'s'}})}", "got 101"),
        ("kv:batch{{op = 'get', key = 'k', scopes = {'s'}}}", "operation 1 to have as `op` \"set\""),
        (
            "kv:batch{{op = 'set', key = 'k', value = 1, scopes = {'s'}}, {op = 'set', key = '', value = 1, scopes = {'s'}}}",
            "operation 2 of the batch: a key cannot be empty; give it a name; none of the batch was done",
        ),
    ];
    for (call, expected) in cases {
        let got = run(&worker, &["*"], &format!("return {call}")).await;
        let got = got.as_str().unwrap_or_else(|| panic!("{call} gave {got:#}"));
        assert!(got.contains(expected), "{call}: {got}");
    }
    let left = run(&worker, &["*"], "return {kv:exists('k', {'s'}), #kv:keys({'s'})}").await;
    assert_eq!(left, json!([false, 0]), "none of them has changed anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_guilds_is_not_there() {
    let worker = TestWorker::start().await;
    let id = run_in(&worker, OTHER, &["*"], "return kv:set('secret', 'theirs', {'s'}).id").await;
    let source = r#"
        local id = "ID"
        local value, found = kv:getbyid(id)
        local set, set_error = pcall(kv.setbyid, id, "mine")
        local expiry, expiry_error = pcall(kv.setexpirybyid, id)
        kv:deletebyid(id)
        kv:delete("secret", {"s"})
        return {
            value == nil, found, kv:getrecordbyid(id) == nil, set, expiry, kv:exists("secret", {"s"}),
            #kv:keys({"s"}), #kv:find("%", {"s"}), #kv:list_scopes(),
        }
    "#;
    let got = run(&worker, &["*"], &source.replace("ID", id.as_str().unwrap())).await;
    assert_eq!(got, json!([true, false, true, false, false, false, 0, 0, 0]));
    assert_eq!(run_in(&worker, OTHER, &["*"], "return kv:get('secret', {'s'})").await[0], "theirs");
    let odd = r#"
        for _, scope in {'s"]', '["s"', "a]:get:x", "s%", "s\0"} do
            assert(not kv:exists("secret", {scope}), scope)
            kv:set("secret", scope, {scope})
            assert(kv:get("secret", {scope}) == scope)
        end
        return #kv:list_scopes()
    "#;
    assert_eq!(run(&worker, &["*"], odd).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_templates_that_count_at_once_lose_nothing() {
    let worker = TestWorker::start_with(|config| config.vm.threads = 2).await;
    let count = r#"
        local running = 20
        for _ = 1, 20 do
            task.spawn(function()
                for _ = 1, 5 do kv:increment("n", {"s"}) end
                running -= 1
            end)
        end
        while running > 0 do task.wait(0.01) end
        return "done"
    "#;
    for name in ["one", "two"] {
        store(&worker, GUILD, name, &["kv:*"], count).await;
    }
    let data = json!({});
    let (first, second) = tokio::join!(worker.event(GUILD, &data), worker.event(GUILD, &data));
    for outcomes in [first, second] {
        assert!(outcomes["one"]["value"] == "done" && outcomes["two"]["value"] == "done", "{outcomes:#}");
    }
    let sum = worker.get(&format!("/api/v1/guilds/{GUILD}/kv/n?scope=s")).await.expect(200);
    assert_eq!(sum["value"], 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reads_of_a_hundred_guilds_at_once_lose_nothing() {
    let worker = TestWorker::start_with(|config| config.vm.threads = 2).await;
    let guild = |index: u64| (818_880_986_845_679_757 + index).to_string();
    let source = r#"
        local got, done = table.create(10, false), 0
        for index = 1, 10 do
            task.spawn(function()
                got[index] = kv:get("k", {"s"})
                done += 1
            end)
        end
        while done < 10 do task.wait(0.01) end
        return got
    "#;
    for index in 0..100 {
        let path = format!("/api/v1/guilds/{}/kv/k?scope=s", guild(index));
        worker.put(&path, &json!({"value": index})).await.expect(201);
        store(&worker, &guild(index), "t", &["kv:*"], source).await;
    }
    let worker = std::sync::Arc::new(worker);
    let events: Vec<_> = (0..100)
        .map(|index| {
            let (worker, guild) = (std::sync::Arc::clone(&worker), guild(index));
            tokio::spawn(async move { worker.event(&guild, &json!({})).await["t"].take() })
        })
        .collect();
    for (index, event) in events.into_iter().enumerate() {
        let outcome = event.await.unwrap();
        assert_eq!(outcome["value"], json!(vec![index; 10]), "guild {index}: {outcome:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_that_calls_too_often_hears_when_to_try_again_and_costs_nobody_else() {
    let worker = TestWorker::start().await;
    let flood = r#"
        for n = 1, 2000 do
            local ok, error = pcall(kv.exists, "k", {"s"})
            if not ok then return {n, error} end
        end
    "#;
    let got = run(&worker, &["kv:*"], flood).await;
    assert!(got[0].as_u64().is_some_and(|calls| (501..1_000).contains(&calls)), "{got:#}");
    assert!(
        got[1].as_str().is_some_and(|text| text.contains("rate limit hit for `kv`: try again in")),
        "{got:#}"
    );
    assert_eq!(run_in(&worker, OTHER, &["kv:*"], "return kv:exists('k', {'s'})").await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_is_told_once_when_the_guild_has_nearly_all_that_it_may() {
    let worker = TestWorker::start().await;
    let limits = json!({"max_kv_records": 10, "max_kv_bytes": 100_000});
    worker.put(&format!("/api/v1/guilds/{GUILD}/limits"), &limits).await.expect(200);
    let mut log = worker.app().log.subscribe();
    let source = r#"
        for n = 1, 7 do kv:set("k" .. n, n, {"s"}) end
        print("seven")
        for n = 8, 10 do kv:set("k" .. n, n, {"s"}) end
        kv:delete("k1", {"s"}) kv:delete("k2", {"s"}) kv:delete("k3", {"s"})
        print("again")
        kv:set("k1", 1, {"s"})
    "#;
    run(&worker, &["kv:*"], source).await;
    let mut lines = Vec::new();
    while let Ok(line) = log.try_recv() {
        lines.push(line.text);
    }
    let warning = "near a limit: this guild has 8 keys, and 10 are the most (MAX_KV_RECORDS); delete some, or let them expire";
    assert_eq!(lines, ["seven", warning, "again", warning]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_where_it_ended() {
    let worker = TestWorker::start_with(|config| config.templates.rate_limits = false).await;
    let source = r#"
        for batch = 0, 10 do
            local ops = {}
            for n = 1, 100 do
                ops[n] = {op = "set", key = string.format("%04d", batch * 100 + n), value = n, scopes = {"s"}}
            end
            kv:batch(ops)
        end
        local first, cursor = kv:find("%", {"s"})
        local second, last = kv:find("%", {"s"}, cursor)
        return {#first, first[1000].key, #second, second[1].key, last == nil}
    "#;
    assert_eq!(run(&worker, &["kv:*"], source).await, json!([1000, "1000", 100, "1001", true]));
}
