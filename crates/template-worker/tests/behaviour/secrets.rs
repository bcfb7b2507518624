//! Secrets: put in over HTTP, used in requests, and seen by nobody.

use reqwest::Method;
use serde_json::{Value, json};
use template_worker::config::{Config, Strategy};
use testkit::{GUILD, TestWorker, answer};

use crate::internet::{Internet, run, run_in};

const OTHER: &str = "818880986845679758";
const VALUE: &str = "correct-horse-battery";

async fn put(worker: &TestWorker, name: &str, hosts: &[&str]) -> testkit::Answer {
    let body = json!({"value": VALUE, "hosts": hosts});
    worker.put(&format!("/api/v1/guilds/{GUILD}/secrets/{name}"), &body).await
}

/// Sends a request with `header` to `url` and returns what the server saw of it.
fn sending(url: &str, header: &str) -> String {
    format!(
        "local _, ctx = ...\nlocal request = ctx.HTTPClient.new_request('POST', '{url}')\n\
         request.headers:set('authorization', '{header}')\n\
         request.body_bytes = {{key = '{header}'}}\nreturn request:send():text()"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_its_host_and_never_the_script() {
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let internet = Internet::start().await;
        let worker = TestWorker::start_with(|config: &mut Config| {
            internet.open(config);
            config.vm.strategy = strategy;
        })
        .await;
        let made = put(&worker, "KEY", &["api.example.com"]).await.expect(201);
        assert_eq!((&made["name"], &made["hosts"]), (&json!("KEY"), &json!(["api.example.com"])));
        let capabilities = ["http:*", "secrets:KEY"];
        let got = run(&worker, &capabilities, &sending(&internet.url("/"), "Bearer {{secret:KEY}}")).await;
        let seen = internet.seen.lock().unwrap()[0].clone();
        assert_eq!(seen["headers"]["authorization"], format!("Bearer {VALUE}"));
        assert_eq!(seen["body"], json!({"key": format!("Bearer {VALUE}")}).to_string());
        let got = got.as_str().unwrap();
        assert!(got.contains("Bearer [secret]") && !got.contains(VALUE), "{got}");
        let names = run(&worker, &["secrets:KEY"], "local _, ctx = ... return ctx.secrets.list()").await;
        assert_eq!(names, json!(["KEY"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_no_other_host_to_no_other_guild_and_to_no_template_without_its_capability() {
    let internet = Internet::start().await;
    let worker = TestWorker::start_with(|config: &mut Config| {
        internet.open(config);
        config.templates.rate_limits = false;
    })
    .await;
    put(&worker, "KEY", &["api.example.com"]).await.expect(201);
    let own = sending(&internet.url("/"), "{{secret:KEY}}");
    let elsewhere = own.replace("api.example.com", "other.example.com");
    // The operator has fixed no such name.
    let in_clear = sending("http://clear.example.com/", "{{secret:KEY}}");
    for (guild, capabilities, source, said) in [
        (GUILD, &["http:*", "secrets:*"][..], &elsewhere, "the secret `KEY` is not for `other.example.com`"),
        (GUILD, &["http:*"], &own, "lacks the capability `secrets:KEY`"),
        (GUILD, &["http:*", "secrets:OTHER"], &own, "lacks the capability `secrets:KEY`"),
        (OTHER, &["*"], &own, "there is no secret `KEY`"),
        (GUILD, &["http:*", "secrets:KEY"], &in_clear, "secrets are sent by https alone"),
    ] {
        let got = run_in(&worker, guild, capabilities, source).await;
        assert!(got.as_str().unwrap().contains(said), "{got}");
    }
    assert_eq!(internet.requests(), 0);
    let list = "local _, ctx = ... return ctx.secrets.list()";
    assert_eq!(run(&worker, &["http:*", "secrets:OTHER"], list).await, json!([]));
    assert_eq!(run_in(&worker, OTHER, &["*"], list).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_put_listed_and_removed_by_who_may_and_never_shown() {
    let worker = TestWorker::start().await;
    let path = format!("/api/v1/guilds/{GUILD}/secrets");
    put(&worker, "B", &["api.example.com"]).await.expect(201);
    put(&worker, "A", &["api.example.com", "b.example.com"]).await.expect(201);
    put(&worker, "B", &["c.example.com"]).await.expect(200);
    let list = worker.get(&path).await.expect(200);
    let names: Vec<&Value> =
        list["secrets"].as_array().unwrap().iter().map(|secret| &secret["name"]).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(list["secrets"][1]["hosts"], json!(["c.example.com"]));
    assert!(!list.to_string().contains(VALUE), "{list}");
    let wrong = [
        ("a-b", json!({"value": VALUE, "hosts": ["api.example.com"]}), "the name of a secret"),
        ("K", json!({"value": "short", "hosts": ["api.example.com"]}), "the value of a secret"),
        ("K", json!({"value": VALUE, "hosts": []}), "1 to 16 hosts"),
        ("K", json!({"value": VALUE, "hosts": ["localhost"]}), "`localhost` is not the name of a host"),
        ("K", json!({"value": VALUE, "hosts": ["https://api.example.com"]}), "is not the name of a host"),
    ];
    for (name, body, said) in wrong {
        let refused = worker.put(&format!("{path}/{name}"), &body).await.problem(422, "invalid_value");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(said) && !detail.contains(VALUE), "{detail}");
    }
    worker.put(&format!("{path}/K"), &json!({"value": VALUE})).await.problem(400, "invalid_json");
    worker.delete(&format!("{path}/A")).await.expect(204);
    worker.delete(&format!("{path}/A")).await.problem(404, "not_found");
    let token = worker.guild_token(GUILD, &["templates:write"]).await;
    answer(worker.request_as(&token, Method::GET, &path)).await.problem(403, "missing_right");
    let token = worker.guild_token(OTHER, &["secrets:write"]).await;
    answer(worker.request_as(&token, Method::GET, &path)).await.problem(404, "not_found");
    for number in 0..63 {
        put(&worker, &format!("S{number}"), &["api.example.com"]).await.expect(201);
    }
    put(&worker, "MORE", &["api.example.com"]).await.problem(422, "too_many_secrets");
    let stored = std::fs::read(worker.data().join("template-worker.db-wal")).unwrap();
    assert!(
        !stored.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()),
        "a value lies in the database"
    );
}
