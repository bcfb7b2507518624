//! Keys that expire, from the set to the handler: also over a restart, and where handlers fail.

use serde_json::{Value, json};
use testkit::{GUILD, TestWorker, answer, until};

/// Stores a template that listens to `events`, and starts with `local event, ctx = ... local kv = ctx.KV`.
async fn store(worker: &TestWorker, name: &str, events: &[&str], source: &str) {
    let source = format!("local event, ctx = ... local kv = ctx.KV {source}");
    let body = json!({"files": {"init.luau": source}, "events": events, "capabilities": ["*"]});
    let answer = worker.put(&format!("/api/v1/guilds/{GUILD}/templates/{name}"), &body).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

/// Sets a key that expires in so many milliseconds.
async fn set(worker: &TestWorker, key: &str, scope: &str, milliseconds: i64, resume: bool) -> String {
    let at = time::OffsetDateTime::now_utc() + time::Duration::milliseconds(milliseconds);
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({"value": {"text": key}, "expires_at": at, "resume": resume});
    let answer = worker.put(&format!("/api/v1/guilds/{GUILD}/kv/{key}?scope={scope}"), &body).await;
    answer.body["id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned()
}

async fn value(worker: &TestWorker, key: &str, scope: &str) -> Option<Value> {
    let answer = worker.get(&format!("/api/v1/guilds/{GUILD}/kv/{key}?scope={scope}")).await;
    (answer.status == 200).then(|| answer.body["value"].clone())
}

async fn expiries(worker: &TestWorker) -> Vec<Value> {
    let mut page = worker.get(&format!("/api/v1/guilds/{GUILD}/expiries")).await.expect(200);
    page["expiries"].take().as_array().unwrap().clone()
}

/// Writes down what it is told, and what it can read.
const REMEMBER: &str = r#"
    local byid, found = kv:getbyid(event.data.id)
    kv:set("told " .. event.data.key, {
        id = event.data.id, scopes = event.data.scopes, name = event.name, base = event.base_name,
        text = byid and byid.text, found = found, bykey = kv:exists(event.data.key, event.data.scopes),
    }, {"told"})
    kv:increment("count " .. event.data.key, {"told"})
"#;

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_to_the_scope_is_told_and_the_key_is_gone() {
    let worker = TestWorker::start().await;
    store(&worker, "listens", &["KeyExpiry[s]"], REMEMBER).await;
    store(&worker, "elsewhere", &["KeyExpiry[other]"], "kv:set('wrong', 1, {'told'})").await;
    let id = set(&worker, "k", "s", 300, false).await;
    set(&worker, "nobody", "unheard", 300, false).await;
    set(&worker, "later", "s", 3_600_000, false).await;
    assert_eq!(value(&worker, "later", "s").await, Some(json!({"text": "later"})));
    until("it is told", async || value(&worker, "told k", "told").await.is_some()).await;
    let told = value(&worker, "told k", "told").await.unwrap();
    let expected = json!({
        "id": id, "scopes": ["s"], "name": "KeyExpiry", "base": "AntiRaid",
        "text": "k", "found": true, "bykey": false,
    });
    assert_eq!(told, expected);
    until("those are gone", async || expiries(&worker).await.len() == 1).await;
    assert_eq!(value(&worker, "k", "s").await, None);
    assert_eq!(value(&worker, "later", "s").await, Some(json!({"text": "later"})));
    assert_eq!(value(&worker, "told later", "told").await, None);
    assert_eq!(value(&worker, "wrong", "told").await, None);
    assert_eq!(value(&worker, "count k", "told").await, Some(json!(1)));
    let metrics = answer(worker.anonymous(reqwest::Method::GET, "/metrics")).await.expect(200);
    let counted = "template_worker_key_expiries_total{outcome=\"told\"} 2";
    assert!(metrics.as_str().is_some_and(|text| text.contains(counted)), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_time_comes_while_the_service_is_down_is_told_after_the_start() {
    let worker = TestWorker::start().await;
    store(&worker, "listens", &["KeyExpiry"], REMEMBER).await;
    set(&worker, "k", "s", 1_000, false).await;
    let folder = worker.folder();
    worker.stop().await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let worker = TestWorker::start_on(folder, |_| ()).await;
    until("it is told", async || value(&worker, "count k", "told").await == Some(json!(1))).await;
    until("it is gone", async || expiries(&worker).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_is_told_again_and_the_others_are_not() {
    let worker = TestWorker::start().await;
    store(&worker, "fine", &["KeyExpiry"], REMEMBER).await;
    store(&worker, "fails", &["KeyExpiry"], "error('no such channel')").await;
    let id = set(&worker, "k", "s", 100, false).await;
    let failing = async || expiries(&worker).await.iter().any(|expiry| expiry["state"] == "failing");
    until("it has failed", failing).await;
    let expiry = expiries(&worker).await.remove(0);
    assert_eq!((&expiry["id"], &expiry["attempts"], &expiry["key"]), (&json!(id), &json!(1), &json!("k")));
    assert!(
        expiry["last_error"].as_str().is_some_and(|error| error.contains("no such channel")),
        "{expiry:#}"
    );
    assert!(expiry["again_at"].is_string());

    store(&worker, "fails", &["KeyExpiry"], "kv:increment('mended', {'told'})").await;
    let retry = |id: &str| format!("/api/v1/guilds/{GUILD}/expiries/{id}/retry");
    worker.post(&retry("nobody"), &json!({})).await.problem(404, "not_found");
    worker.post(&retry(&id), &json!({})).await.expect(202);
    until("it is gone", async || expiries(&worker).await.is_empty()).await;
    assert_eq!(value(&worker, "mended", "told").await, Some(json!(1)));
    assert_eq!(value(&worker, "count k", "told").await, Some(json!(1)), "it had been told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_sets_the_key_again_keeps_it() {
    let worker = TestWorker::start().await;
    let again = "kv:set(event.data.key, 'again', event.data.scopes) kv:increment('count', {'told'})";
    store(&worker, "again", &["KeyExpiry[again]"], again).await;
    store(
        &worker,
        "byid",
        &["KeyExpiry[byid]"],
        "kv:setbyid(event.data.id, 'kept') kv:increment('count', {'told'})",
    )
    .await;
    set(&worker, "k", "again", 100, false).await;
    set(&worker, "k", "byid", 100, false).await;
    until("both are told", async || value(&worker, "count", "told").await == Some(json!(2))).await;
    until("nothing expires", async || expiries(&worker).await.is_empty()).await;
    assert_eq!(value(&worker, "k", "again").await, Some(json!("again")));
    assert_eq!(value(&worker, "k", "byid").await, Some(json!("kept")));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_to_resume_are_told_after_a_start_and_after_a_change_of_templates_and_not_for_each_event() {
    let worker = TestWorker::start().await;
    set(&worker, "job", "s", 3_600_000, true).await;
    set(&worker, "other", "s", 3_600_000, false).await;
    store(
        &worker,
        "resumes",
        &["KeyResume[s]", "Discord"],
        "if event.name == 'KeyResume' then \
        kv:increment('resumed ' .. event.data.key, {'told'}) end",
    )
    .await;
    let resumed = async |worker: &TestWorker, times: u64| {
        value(worker, "resumed job", "told").await == Some(json!(times))
    };
    until("it is resumed without any event", async || resumed(&worker, 1).await).await;
    worker.event(GUILD, &json!({})).await;
    store(&worker, "more", &["Discord"], "").await;
    until("it is resumed after a change", async || resumed(&worker, 2).await).await;
    let more = format!("/api/v1/guilds/{GUILD}/templates/more");
    worker.patch(&more, &json!({"paused": true})).await.expect(200);
    until("it is resumed after a pause", async || resumed(&worker, 3).await).await;
    worker.delete(&more).await.expect(204);
    until("it is resumed after a removal", async || resumed(&worker, 4).await).await;
    worker.event(GUILD, &json!({})).await;
    let folder = worker.folder();
    worker.stop().await;
    let worker = TestWorker::start_on(folder, |_| ()).await;
    until("it is resumed after a start", async || resumed(&worker, 5).await).await;
    worker.event(GUILD, &json!({})).await;
    assert_eq!(value(&worker, "resumed other", "told").await, None);
    assert!(resumed(&worker, 5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_the_last_is_resumed_and_no_change_more_than_once() {
    const CHANGES: u64 = 12;
    let worker = TestWorker::start().await;
    set(&worker, "job", "s", 3_600_000, true).await;
    for change in 1..=CHANGES {
        let source = format!("kv:increment('all', {{'told'}}) kv:increment('in {change}', {{'told'}})");
        store(&worker, "resumes", &["KeyResume"], &source).await;
    }
    let last = format!("in {CHANGES}");
    until("the last one is resumed", async || value(&worker, &last, "told").await.is_some()).await;
    let all = value(&worker, "all", "told").await.unwrap();
    assert!(all.as_f64().is_some_and(|all| (1.0..=CHANGES as f64).contains(&all)), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_changed_by_another_is_resumed() {
    let worker = TestWorker::start().await;
    set(&worker, "job", "s", 3_600_000, true).await;
    let source = r#"
        ctx.DataStores.TemplateStore:create({
            name = "made", events = {"KeyResume"}, allowed_caps = {"*"},
            content = { ["/init.luau"] = "local _, ctx = ... ctx.KV:set('made', true, {'told'})" },
        })
    "#;
    store(&worker, "makes", &["Discord"], source).await;
    worker.event(GUILD, &json!({})).await;
    until("it is resumed", async || value(&worker, "made", "told").await == Some(json!(true))).await;
}
