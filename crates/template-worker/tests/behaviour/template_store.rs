//! `ctx.DataStores.TemplateStore`: a template that manages templates, and never gets at more than it has.

use serde_json::{Value, json};
use testkit::{GUILD, TestWorker};

const OTHER: &str = "818880986845679758";

async fn manager(worker: &TestWorker, capabilities: &[&str], body: &str) -> Value {
    let source = format!("local _, ctx = ... local store = ctx.DataStores.TemplateStore {body}");
    let put = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": capabilities});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/manager"), &put).await;
    let mut outcome = worker.event(GUILD, &json!({})).await["manager"].take();
    if outcome["status"] == "ok" { outcome["value"].take() } else { outcome["error"].take() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_makes_changes_reads_lists_and_removes_another() {
    let worker = TestWorker::start().await;
    let body = r#"
        store:create{name = "greet", content = {["/init.luau"] = "return 1"}, events = {"MESSAGE_CREATE"}, allowed_caps = {"kv:get:*"}}
        local made = store:get("greet")
        made.content["init.luau"] = "return 2"
        made.paused = true
        store:update(made)
        local after = store:get("greet")
        local names = {}
        for _, template in store:list() do table.insert(names, template.name) end
        return {made.version, after.version, after.content["init.luau"], after.paused, after.allowed_caps, names,
            store:delete("greet"), store:delete("greet"), store:get("greet") == nil}
    "#;
    let got = manager(&worker, &["datastore:TemplateStore", "kv:get:*"], body).await;
    assert_eq!(got, json!([1, 2, "return 2", true, ["kv:get:*"], ["greet", "manager"], true, false, true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_template_hands_out_replaces_or_removes_what_it_lacks_itself() {
    let worker = TestWorker::start().await;
    let strong = json!({"files": {"init.luau": "return 1"}, "events": [], "capabilities": ["discord:create_guild_ban"]});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/strong"), &strong).await.expect(201);
    let held = ["datastore:TemplateStore", "kv:get:*"];
    let weak = r#"{name = "weak", content = {["init.luau"] = ""}, allowed_caps = {"kv:*"}}"#;
    for (body, lacks) in [
        (format!("return store:create({weak})"), "`kv:*`"),
        (
            "return store:update({name = 'strong', content = {['init.luau'] = ''}, allowed_caps = {}})".to_owned(),
            "`discord:create_guild_ban`",
        ),
        ("return store:delete('strong')".to_owned(), "`discord:create_guild_ban`"),
        (
            "return ctx:withlimits{capabilities = {'datastore:TemplateStore'}}.DataStores.TemplateStore:create(\
             {name = 'x', content = {['init.luau'] = ''}, allowed_caps = {'kv:get:a'}})"
                .to_owned(),
            "`kv:get:a`",
        ),
    ] {
        let error = manager(&worker, &held, &body).await;
        assert!(error.as_str().unwrap_or_default().contains(lacks), "{body}: {error}");
    }
    // Naming a host that the operator holds back is more than having all hosts.
    let named = "{name = 'named', content = {['init.luau'] = ''}, allowed_caps = {'http:old.reddit.com'}}";
    let create = format!("return store:create({named})");
    let error = manager(&worker, &["datastore:TemplateStore", "http:*"], &create).await;
    assert!(error.as_str().unwrap_or_default().contains("needs `http:old.reddit.com` itself"), "{error}");
    let made = manager(&worker, &["datastore:TemplateStore", "http:old.reddit.com"], &create).await;
    assert_eq!(made, json!(null));
    let kept = worker.get(&format!("/api/v1/guilds/{GUILD}/templates/strong")).await.expect(200);
    assert_eq!(kept["version"], 1);
    let error = manager(&worker, &["kv:*"], "return store:list()").await;
    assert!(error.as_str().unwrap().contains("`datastore:TemplateStore:list`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_templates_are_refused_with_what_is_wrong_and_other_guilds_templates_are_not_there() {
    let worker = TestWorker::start().await;
    worker.template(OTHER, "theirs", "return 1").await.expect(201);
    for (body, says) in [
        ("store:create{name = 'x'}", "`content` is wrong: expected a table"),
        ("store:create{name = 'x', content = {['init.luau'] = 'return ('}}", "does not compile: init.luau:1"),
        ("store:create{name = 'x', content = {['../init.luau'] = ''}}", "../init.luau"),
        (
            "store:create{name = 'x', content = {['init.luau'] = ''}, events = {'MESAGE_CREATE'}}",
            "`MESSAGE_CREATE`",
        ),
        ("store:create{name = 'x', content = {['init.luau'] = ''}, pausd = true}", "no field `pausd`"),
        ("store:create{name = 'manager', content = {['init.luau'] = ''}}", "already; use `update`"),
        (
            "store:update{name = 'theirs', content = {['init.luau'] = ''}}",
            "no template `theirs`; use `create`",
        ),
        ("store:create(1)", "invalid argument #1 'template' to 'create': expected a table"),
        ("return store:get('theirs') == nil and not store:delete('theirs') and 'not there'", "not there"),
    ] {
        let error = manager(&worker, &["*"], body).await;
        assert!(error.as_str().unwrap_or_default().contains(says), "{body}: {error}");
    }
    worker.get(&format!("/api/v1/guilds/{OTHER}/templates/theirs")).await.expect(200);
}
