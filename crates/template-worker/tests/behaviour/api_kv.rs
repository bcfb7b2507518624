//! Key-value records over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{GUILD, TestWorker, answer, until};

const OTHER: &str = "818880986845679758";

fn at(rest: &str) -> String {
    format!("/api/v1/guilds/{GUILD}/kv{rest}")
}

#[tokio::test]
async fn a_record_is_set_read_and_deleted() {
    let worker = TestWorker::start().await;
    let path = at("/a%2Fb?scope=x&scope=y");
    worker.get(&path).await.problem(404, "not_found");
    let made = worker.put(&path, &json!({"value": {"n": [1, 2.5, null]}})).await.expect(201);
    assert_eq!(made["existed"], false);
    let end = "2999-01-01T00:00:00Z";
    let body = json!({"value": 7, "expires_at": end, "resume": true});
    let again = worker.put(&at("/a%2Fb?scope=y&scope=x"), &body).await.expect(200);
    assert_eq!((&again["existed"], &again["id"]), (&json!(true), &made["id"]));
    let record = worker.get(&path).await.expect(200);
    assert_eq!(
        (&record["key"], &record["scopes"], &record["value"], &record["resume"]),
        (&json!("a/b"), &json!(["x", "y"]), &json!(7), &json!(true))
    );
    assert_eq!((&record["expires_at"], &record["id"]), (&json!(end), &made["id"]));
    let elsewhere = format!("/api/v1/guilds/{OTHER}/kv/a%2Fb?scope=x&scope=y");
    worker.get(&elsewhere).await.problem(404, "not_found");
    worker.delete(&elsewhere).await.problem(404, "not_found");
    worker.delete(&path).await.expect(204);
    worker.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn typed_values_go_in_and_out_as_they_are() {
    let worker = TestWorker::start().await;
    let typed = json!({"id": {"___khronosValType___": "u64", "value": "18446744073709551615"}});
    worker.put(&at("/k?scope=s"), &json!({"value": typed})).await.expect(201);
    assert_eq!(worker.get(&at("/k?scope=s")).await.expect(200)["value"], typed);
    let wrong = json!({"value": {"___khronosValType___": "u64", "value": "many"}});
    worker.put(&at("/k?scope=s"), &wrong).await.problem(422, "invalid_value");
}

#[tokio::test]
async fn integers_beyond_doubles_keep_their_digits_from_one_end_to_the_other() {
    let worker = TestWorker::start().await;
    let plain: Value = json!([u64::MAX, i64::MIN, 9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64]);
    worker.put(&at("/k?scope=s"), &json!({"value": plain})).await.expect(201);
    let source = r#"
        local event, ctx = ...
        local stored, sent = ctx.KV:get("k", {"s"}), event.data.n
        local types = {}
        for at, n in stored do
            types[at] = typeof(n)
            assert(tostring(n) == tostring(sent[at]) and typeof(n) == typeof(sent[at]))
        end
        return {types = types, sent = sent, stored = stored}
    "#;
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["kv:*"]});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/t"), &body).await.expect(201);
    let outcome = worker.event(GUILD, &json!({"n": plain})).await["t"].take();
    let types = json!(["U64", "I64", "I64", "number"]);
    assert_eq!(outcome["value"], json!({"types": types, "sent": plain, "stored": plain}), "{outcome:#}");
}

#[tokio::test]
async fn records_are_listed_page_by_page() {
    let worker = TestWorker::start().await;
    for index in 0..7 {
        worker.put(&at(&format!("/User:{index}?scope=s")), &json!({"value": index})).await.expect(201);
        worker
            .put(&at(&format!("/user:{index}?scope=s&scope=t")), &json!({"value": index}))
            .await
            .expect(201);
    }
    let all = async |query: &str| {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let cursor_part = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let mut page = worker.get(&at(&format!("?limit=3{query}{cursor_part}"))).await.expect(200);
            let records: Vec<Value> = page["records"].take().as_array().unwrap().clone();
            assert!(records.len() <= 3);
            found.extend(records.iter().map(|record| record["key"].as_str().unwrap().to_owned()));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return found;
            }
        }
    };
    let expected: Vec<String> = (0..7).map(|index| format!("User:{index}")).collect();
    assert_eq!(all("&query=user:%25&scope=s").await, expected);
    assert_eq!(all("").await.len(), 14);
    assert_eq!(all("&query=%25:3").await, ["user:3", "User:3"]);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong_and_change_nothing() {
    let worker = TestWorker::start().await;
    let fine = json!({"value": 1});
    let long = at(&format!("/{}?scope=s", "k".repeat(513)));
    let past = json!({"value": 1, "expires_at": "2020-01-01T00:00:00Z"});
    let tomorrow = json!({"value": 1, "expires_at": "tomorrow"});
    let deep = format!("{{\"value\": {}{}}}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).unwrap();
    let cases = [
        (at("/k"), &fine, 400, "invalid_query", "?scope=reminders"),
        (at("/k?scope="), &fine, 422, "invalid_value", "1 to 128 bytes"),
        (at("/k?scop=s"), &fine, 400, "invalid_query", "unknown parameter `scop`"),
        (at("/k?scope=s&author=me"), &fine, 400, "invalid_query", "user id"),
        (long, &fine, 422, "invalid_value", "MAX_KV_KEY_BYTES"),
        (
            at("/k?scope=s"),
            &past,
            422,
            "invalid_value",
            "in the past; `expires_at` must be later than now, or null",
        ),
        (
            at("/k?scope=s"),
            &tomorrow,
            400,
            "invalid_json",
            "RFC 3339 writes it, such as \"2027-01-01T00:00:00Z\"",
        ),
        (at("/k?scope=s"), &deep, 422, "invalid_value", "deeper than 64"),
        (at("/k?scope=s"), &json!({"valu": 1}), 400, "unknown_field", "valu"),
        (at("/k?scope=s"), &json!({"value": "x".repeat(300_000)}), 413, "too_large", "MAX_KV_VALUE_BYTES"),
    ];
    for (path, body, status, code, text) in cases {
        let problem = worker.put(&path, body).await.problem(status, code);
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains(text)),
            "{path}: {problem:#}"
        );
    }
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?cursor=x", "?limit=1&limit=2", "?a=b"] {
        worker.get(&at(query)).await.problem(400, "invalid_query");
    }
    worker.get(&at(&format!("?query={}", "%25".repeat(17)))).await.problem(422, "invalid_value");
    worker.get(&format!("/api/v1/guilds/{GUILD}/expiries?cursor=x")).await.problem(400, "invalid_query");
    assert_eq!(worker.get(&at("")).await.expect(200)["records"], json!([]));
    worker.put(&format!("/api/v1/guilds/{GUILD}/limits"), &json!({"max_kv_records": 0})).await.expect(200);
    worker.put(&at("/k?scope=s"), &fine).await.problem(422, "kv_full");
}

#[tokio::test]
async fn templates_hear_of_what_is_changed_over_the_api() {
    let worker = TestWorker::start().await;
    let source = r#"
        local event, ctx = ...
        ctx.KV:set(event.data.action, event.data, {"heard"})
    "#;
    let body =
        json!({"files": {"init.luau": source}, "events": ["ExternalKeyUpdate"], "capabilities": ["kv:*"]});
    worker.put(&format!("/api/v1/guilds/{GUILD}/templates/t"), &body).await.expect(201);
    let token = worker.guild_token(GUILD, &["kv:write"]).await;
    let path = at("/k?scope=s&author=80351110224678912");
    let put = || worker.request_as(&token, Method::PUT, &path).json(&json!({"value": 1}));
    answer(put()).await.expect(201);
    answer(put()).await.expect(200);
    answer(worker.request_as(&token, Method::DELETE, &path)).await.expect(204);
    for action in ["Create", "Update", "Delete"] {
        let heard = async || {
            let record = worker.get(&at(&format!("/{action}?scope=heard"))).await;
            (record.status == 200).then(|| record.body["value"].clone())
        };
        until(action, async || heard().await.is_some()).await;
        let expected =
            json!({"key_modified": "k", "scopes": ["s"], "author": "80351110224678912", "action": action});
        assert_eq!(heard().await.unwrap(), expected);
    }
}
