//! Templates over HTTP: storing, reading, changing, removing, and all that can be wrong with them.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{GUILD, TestWorker, answer};

fn path(name: &str) -> String {
    format!("/api/v1/guilds/{GUILD}/templates/{name}")
}

fn draft(source: &str) -> Value {
    json!({"files": {"init.luau": source}, "events": ["MESSAGE_CREATE"], "capabilities": ["kv:*"]})
}

#[tokio::test]
async fn a_template_can_be_stored_read_changed_and_removed() {
    let worker = TestWorker::start().await;
    let created = worker.put(&path("t"), &draft("return 1")).await;
    assert_eq!(created.headers["etag"], "\"1\"");
    assert_eq!(created.expect(201)["version"], 1);
    assert_eq!(worker.put(&path("t"), &draft("return 2")).await.expect(200)["version"], 2);
    let read = worker.get(&path("t")).await.expect(200);
    assert_eq!((&read["version"], &read["files"]["init.luau"]), (&json!(2), &json!("return 2")));
    let patched = worker.patch(&path("t"), &json!({"paused": true, "description": "off"})).await.expect(200);
    assert_eq!(
        (&patched["paused"], &patched["description"], &patched["version"]),
        (&json!(true), &json!("off"), &json!(3))
    );
    assert_eq!(worker.event(GUILD, &json!({})).await, json!({}), "a paused template gets no events");
    let versions = worker.get(&format!("{}/versions", path("t"))).await.expect(200);
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(3), "{versions}");
    worker.delete(&path("t")).await.expect(204);
    worker.get(&path("t")).await.problem(404, "not_found");
    worker.delete(&path("t")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_template_of_earlier_years_is_taken_as_it_is() {
    let worker = TestWorker::start().await;
    let files = json!({"/init.luau": "return require('./lib/a')", "/lib/a.luau": "return 'a'"});
    let template = json!({"files": files, "events": ["MESSAGE"], "capabilities": [], "language": "luau"});
    worker.put(&path("t"), &template).await.expect(201);
    let stored = worker.get(&path("t")).await.expect(200);
    let stored: Vec<&String> = stored["files"].as_object().unwrap().keys().collect();
    assert_eq!(stored, ["init.luau", "lib/a.luau"]);
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], "a");

    let with = |field: &str, value: Value| {
        let mut template = template.clone();
        template[field] = value;
        template
    };
    let twice = with("files", json!({"init.luau": "return 1", "/a.luau": "", "a.luau": ""}));
    for (wrong, text) in [
        (twice, "`a.luau` is there twice"),
        (with("language", json!("lua")), "there is only `luau`"),
        (with("files", json!({"//init.luau": ""})), "`/init.luau` is not a path"),
    ] {
        let problem = worker.put(&path("t"), &wrong).await;
        assert_eq!(problem.status, 422, "{:#}", problem.body);
        assert!(
            problem.body["detail"].as_str().is_some_and(|detail| detail.contains(text)),
            "{:#}",
            problem.body
        );
    }
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], "a", "what was refused changes nothing");
}

#[tokio::test]
async fn a_template_says_who_stored_it_and_who_changed_it_last() {
    let worker = TestWorker::start().await;
    let source = r#"
        local _, ctx = ...
        local store = ctx.DataStores.TemplateStore
        local other = store:get("t")
        store:update(other)
        other.name = "made"
        store:create(other)
        return {ctx.data.created_by, ctx.data.updated_by}
    "#;
    let helper = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["datastore:*", "kv:*"]});
    let made = worker.post("/api/v1/tokens", &json!({"name": "deploy", "owner": "admin"})).await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    answer(worker.request_as(secret, Method::PUT, &path("helper")).json(&helper)).await.expect(201);
    let patched = worker.patch(&path("helper"), &json!({"description": "helps"})).await.expect(200);
    let who = |template: &Value| [template["created_by"].clone(), template["updated_by"].clone()];
    assert_eq!(who(&patched), ["token:deploy", "token:test"]);

    worker
        .put(&path("t"), &json!({"files": {"init.luau": ""}, "events": [], "capabilities": []}))
        .await
        .expect(201);
    let outcomes = worker.event(GUILD, &json!({})).await;
    assert_eq!(outcomes["helper"]["value"], json!(["token:deploy", "token:test"]), "{outcomes}");
    let changed = worker.get(&path("t")).await.expect(200);
    assert_eq!(who(&changed), ["token:test", "template:helper"]);
    let page = worker.get(&format!("/api/v1/guilds/{GUILD}/templates")).await.expect(200);
    assert_eq!(who(&page["templates"][1]), ["template:helper", "template:helper"], "{page}");
}

#[tokio::test]
async fn a_write_that_was_overtaken_changes_nothing() {
    let worker = TestWorker::start().await;
    worker.put(&path("t"), &draft("return 1")).await.expect(201);
    worker.put(&path("t"), &draft("return 2")).await.expect(200);
    let late =
        worker.request(Method::PUT, &path("t")).header("if-match", "\"1\"").json(&draft("return 'late'"));
    answer(late).await.problem(412, "version_conflict");
    assert_eq!(worker.event(GUILD, &json!({})).await["t"]["value"], 2);
    let fresh = worker.request(Method::PUT, &path("t")).header("if-match", "\"2\"").json(&draft("return 3"));
    answer(fresh).await.expect(200);
}

#[tokio::test]
async fn code_that_does_not_compile_is_refused_with_file_line_and_message() {
    let worker = TestWorker::start().await;
    let body = json!({
        "files": {"init.luau": "local x = 1\nlocal = 2", "lib/a.luau": "return (", "ok.luau": "return 1"},
        "events": [], "capabilities": [],
    });
    let problem = worker.put(&path("t"), &body).await.problem(422, "does_not_compile");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!((&errors[0]["file"], &errors[0]["line"]), (&json!("init.luau"), &json!(2)), "{problem:#}");
    assert_eq!((&errors[1]["file"], errors.len()), (&json!("lib/a.luau"), 2), "{problem:#}");
    worker.get(&path("t")).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_template_is_said_and_nothing_is_stored() {
    let worker = TestWorker::start().await;
    let with = |key: &str, value: Value| {
        let mut body = draft("return 1");
        body[key] = value;
        body
    };
    for (body, status, code, hint) in [
        (with("files", json!({"lib.luau": ""})), 422, "no_entry", "init.luau"),
        (with("files", json!({"init.luau": "", "../x.luau": ""})), 422, "invalid_path", "../x.luau"),
        (with("files", json!({"init.luau": "", "//etc/passwd": ""})), 422, "invalid_path", "/etc/passwd"),
        (with("files", json!({"init.luau": "-".repeat((1 << 20) + 1)})), 413, "too_large", "1048576"),
        (with("events", json!(["MESAGE_CREATE"])), 422, "unknown_event", "MESSAGE_CREATE"),
        (with("capabilities", json!(["kv:gte:x"])), 422, "unknown_capability", "kv:get"),
        (with("evnets", json!([])), 400, "unknown_field", "evnets"),
        (json!({"events": [], "capabilities": []}), 400, "invalid_json", "files"),
        (with("files", json!([1])), 400, "invalid_json", "files"),
    ] {
        let got = worker.put(&path("t"), &body).await;
        let shown = format!("{} {:#}", got.status, got.body);
        let problem = got.problem(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(hint), "no {hint} in {shown}");
    }
    for name in ["$builtins", ".hidden", "a%2Fb"] {
        worker.put(&path(name), &draft("return 1")).await.problem(422, "invalid_template_name");
    }
    let huge = worker
        .request(Method::PUT, &path("t"))
        .header("content-type", "application/json")
        .body("x".repeat(3 << 20));
    answer(huge).await.problem(413, "too_large");
    let text = worker.request(Method::PUT, &path("t")).header("content-type", "text/plain").body("{}");
    answer(text).await.problem(415, "unsupported_media_type");
    let list = worker.get(&format!("/api/v1/guilds/{GUILD}/templates")).await.expect(200);
    assert_eq!(list["templates"], json!([]));
}

#[tokio::test]
async fn the_list_comes_in_pages_that_are_complete_and_ordered() {
    let worker = TestWorker::start().await;
    for index in 0..7 {
        worker.put(&path(&format!("t{index}")), &draft("return 1")).await.expect(201);
    }
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..10 {
        let after = cursor.as_deref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = worker.get(&format!("/api/v1/guilds/{GUILD}/templates?limit=3{after}")).await.expect(200);
        names.extend(
            page["templates"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()),
        );
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
}

#[tokio::test]
async fn a_guild_has_so_many_templates_and_no_more() {
    let worker = TestWorker::start_with(|config| config.limits.max_templates_per_guild = 2).await;
    for name in ["a", "b"] {
        worker.put(&path(name), &draft("return 1")).await.expect(201);
    }
    worker.put(&path("c"), &draft("return 1")).await.problem(422, "too_many_templates");
    worker.put(&path("a"), &draft("return 2")).await.expect(200);
}

#[tokio::test]
async fn unknown_routes_methods_and_the_public_pages_are_as_promised() {
    let worker = TestWorker::start().await;
    worker.get("/api/v1/nothing").await.problem(404, "not_found");
    let wrong = worker.post("/healthz", &json!({})).await;
    assert!(wrong.headers.contains_key("allow"), "{wrong:?}");
    wrong.problem(405, "method_not_allowed");
    for public in ["/healthz", "/readyz", "/openapi.json", "/docs"] {
        let page = answer(worker.anonymous(Method::GET, public)).await;
        assert!(page.headers.contains_key("x-request-id"), "{public}");
        page.expect(200);
    }
    let document = answer(worker.anonymous(Method::GET, "/openapi.json")).await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let named = worker.request(Method::GET, "/healthz").header("x-request-id", "my-request-7");
    assert_eq!(answer(named).await.headers["x-request-id"], "my-request-7");
}
