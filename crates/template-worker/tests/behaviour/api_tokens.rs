//! Who may do what.

use reqwest::Method;
use serde_json::json;
use testkit::{GUILD, TestWorker, answer};

const OTHER: &str = "818880986845679758";

/// Every endpoint behind a token: what a guild's token needs for it, or `admin`.
fn endpoints(guild: &str) -> Vec<(Method, String, &'static str)> {
    let at = |rest: &str| format!("/api/v1/guilds/{guild}{rest}");
    vec![
        (Method::GET, at("/templates"), "templates:read"),
        (Method::PUT, at("/templates/t"), "templates:write"),
        (Method::GET, at("/templates/t"), "templates:read"),
        (Method::PATCH, at("/templates/t"), "templates:write"),
        (Method::DELETE, at("/templates/t"), "templates:write"),
        (Method::GET, at("/templates/t/versions"), "templates:read"),
        (Method::POST, at("/events"), "events:dispatch"),
        (Method::GET, at("/vm"), "vm:manage"),
        (Method::DELETE, at("/vm"), "vm:manage"),
        (Method::POST, at("/vm/actions"), "vm:manage"),
        (Method::GET, at("/limits"), "templates:read"),
        (Method::PUT, at("/limits"), "admin"),
        (Method::GET, at("/kv"), "kv:read"),
        (Method::GET, at("/kv/k?scope=s"), "kv:read"),
        (Method::PUT, at("/kv/k?scope=s"), "kv:write"),
        (Method::DELETE, at("/kv/k?scope=s"), "kv:write"),
        (Method::GET, at("/expiries"), "kv:read"),
        (Method::POST, at("/expiries/x/retry"), "kv:write"),
        (Method::GET, at("/secrets"), "secrets:write"),
        (Method::PUT, at("/secrets/KEY"), "secrets:write"),
        (Method::DELETE, at("/secrets/KEY"), "secrets:write"),
        (Method::GET, "/api/v1/threads".to_owned(), "admin"),
        (Method::GET, "/api/v1/tokens".to_owned(), "admin"),
        (Method::POST, "/api/v1/tokens".to_owned(), "admin"),
        (Method::DELETE, "/api/v1/tokens/0197a4b2-0000-7000-8000-000000000000".to_owned(), "admin"),
    ]
}

#[tokio::test]
async fn no_endpoint_works_without_a_token_or_with_a_wrong_one() {
    let worker = TestWorker::start().await;
    for (method, path, _) in endpoints(GUILD) {
        let without = answer(worker.anonymous(method.clone(), &path)).await;
        assert!(without.headers.contains_key("www-authenticate"), "{method} {path}");
        without.problem(401, "unauthorized");
        for wrong in ["tw_wrong", "x", "tw_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            answer(worker.request_as(wrong, method.clone(), &path)).await.problem(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn a_right_opens_its_endpoints_and_no_others() {
    let worker = TestWorker::start().await;
    let all = [
        "templates:read",
        "templates:write",
        "events:dispatch",
        "vm:manage",
        "kv:read",
        "kv:write",
        "secrets:write",
    ];
    for right in all {
        let token = worker.guild_token(GUILD, &[right]).await;
        for (method, path, needed) in endpoints(GUILD) {
            let got = answer(worker.request_as(&token, method.clone(), &path)).await;
            let shown = format!("{right}: {method} {path} gave {} {:#}", got.status, got.body);
            if needed == right {
                assert!(!matches!(got.status.as_u16(), 401 | 403), "{shown}");
            } else if needed == "admin" {
                assert_eq!(got.status, 403, "{shown}");
            } else {
                assert_eq!(got.status, 403, "{shown}");
                assert!(
                    got.problem(403, "missing_right")["detail"].as_str().unwrap().contains(needed),
                    "{shown}"
                );
            }
        }
    }
}

#[tokio::test]
async fn another_guild_looks_as_if_it_did_not_exist() {
    let worker = TestWorker::start().await;
    worker.template(OTHER, "t", "return 1").await.expect(201);
    let rights = ["templates:read", "templates:write", "events:dispatch", "vm:manage", "kv:read", "kv:write"];
    let token = worker.guild_token(GUILD, &rights).await;
    let unknown = "818880986845679799";
    for ((method, path, needed), (_, unknown_path, _)) in endpoints(OTHER).into_iter().zip(endpoints(unknown))
    {
        if needed == "admin" {
            continue;
        }
        let theirs = answer(worker.request_as(&token, method.clone(), &path)).await;
        let nobodys = answer(worker.request_as(&token, method.clone(), &unknown_path)).await;
        let detail = |answer: &testkit::Answer, id| answer.body["detail"].to_string().replace(id, "..");
        assert_eq!(detail(&theirs, OTHER), detail(&nobodys, unknown), "{method} {path}");
        theirs.problem(404, "not_found");
        nobodys.problem(404, "not_found");
    }
    assert_eq!(worker.event(OTHER, &json!({})).await["t"]["value"], 1);
}

#[tokio::test]
async fn a_token_shows_its_secret_once_and_dies_when_it_is_revoked_or_expires() {
    let worker = TestWorker::start().await;
    let owner = json!({"guild": GUILD, "rights": ["templates:read"]});
    let made = worker.post("/api/v1/tokens", &json!({"name": "ci", "owner": owner})).await.expect(201);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let list = worker.get("/api/v1/tokens").await.expect(200).to_string();
    assert!(list.contains(id) && !list.contains(secret), "{list}");
    let path = format!("/api/v1/guilds/{GUILD}/templates");
    answer(worker.request_as(secret, Method::GET, &path)).await.expect(200);
    worker.delete(&format!("/api/v1/tokens/{id}")).await.expect(204);
    answer(worker.request_as(secret, Method::GET, &path)).await.problem(401, "unauthorized");

    let past = json!({"name": "old", "owner": "admin", "expires_at": "2020-01-01T00:00:00Z"});
    let refused = worker.post("/api/v1/tokens", &past).await;
    assert_eq!(refused.status, 422, "{:#}", refused.body);
    let unknown = json!({"name": "x", "owner": {"guild": GUILD, "rights": ["templates:raed"]}});
    let refused = worker.post("/api/v1/tokens", &unknown).await;
    assert!(
        refused.status.is_client_error() && refused.body.to_string().contains("templates:read"),
        "{:#}",
        refused.body
    );
}
