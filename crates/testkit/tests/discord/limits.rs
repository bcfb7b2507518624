//! Tokens, rate limits with their headers, and the lock-out of who sends too much that is invalid.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::discord::{Fault, Limit};

use super::{CHANNEL, GUILD, discord, outcome, send};

#[tokio::test]
async fn without_its_token_the_bot_is_nobody() {
    let discord = discord().await;
    let answer = testkit::answer(discord.anonymous(Method::GET, "/users/@me")).await;
    assert_eq!(answer.expect(401), json!({"message": "401: Unauthorized", "code": 0}));
    let wrong = discord.anonymous(Method::GET, "/users/@me").header("authorization", "Bot wrong");
    testkit::answer(wrong).await.expect(401);
    let hook = testkit::answer(discord.anonymous(Method::GET, "/webhooks/1/none")).await;
    assert_eq!(hook.expect(404)["code"], 10015, "a webhook's token is in the path");
    assert_eq!(discord.invalid_requests(), 2);
}

#[tokio::test]
async fn a_bucket_says_what_is_left_and_then_when_to_come_back() {
    let discord = discord().await;
    discord.limit("GET", "/channels/{channel_id}", Limit { requests: 2, per: Duration::from_secs(3_600) });
    let line = format!("GET /channels/{CHANNEL}");
    let mut left = Vec::new();
    for _ in 0..2 {
        let answer = send(&discord, &line, None).await;
        left.push(answer.headers["x-ratelimit-remaining"].to_str().unwrap().to_owned());
    }
    assert_eq!(left, ["1", "0"]);
    let answer = send(&discord, &line, None).await;
    assert_eq!(answer.status, 429);
    assert_eq!(
        (&answer.body["global"], answer.headers["x-ratelimit-scope"].as_bytes()),
        (&json!(false), &b"user"[..])
    );
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    discord.guild(GUILD).channel(7, |_| ());
    assert_eq!(outcome(&discord, "GET /channels/7", None).await.0, 200, "another channel has its own bucket");
    discord.advance(Duration::from_secs(3_600));
    assert_eq!(outcome(&discord, &line, None).await.0, 200);
}

#[tokio::test]
async fn the_global_limit_is_of_the_bot_and_not_of_webhooks() {
    let discord = discord().await;
    discord.limit_all(Limit { requests: 1, per: Duration::from_secs(3_600) });
    assert_eq!(outcome(&discord, "GET /users/@me", None).await.0, 200);
    let answer = send(&discord, "GET /users/@me", None).await;
    assert_eq!((answer.status.as_u16(), &answer.body["global"]), (429, &json!(true)));
    assert_eq!(answer.headers["x-ratelimit-global"], "true");
    assert_eq!(outcome(&discord, "GET /webhooks/1/none", None).await, (404, Some(10015)));
    discord.advance(Duration::from_secs(3_600));
    discord.fail("*", "*", 1, Fault::GlobalLimit(Duration::from_secs(2)));
    assert_eq!(send(&discord, "GET /users/@me", None).await.headers["retry-after"], "2");
    let invalid = discord.invalid_requests();
    discord.fail("*", "*", 1, Fault::SharedLimit(Duration::from_secs(1)));
    assert_eq!(send(&discord, "GET /users/@me", None).await.headers["x-ratelimit-scope"], "shared");
    assert_eq!(discord.invalid_requests(), invalid, "what others used up does not count");
}

#[tokio::test]
async fn too_many_invalid_requests_lock_everything_out() {
    let discord = discord().await;
    discord.limit_invalid(Limit { requests: 2, per: Duration::from_secs(600) });
    for _ in 0..2 {
        testkit::answer(discord.anonymous(Method::GET, "/users/@me")).await.expect(401);
    }
    let answer = send(&discord, "GET /users/@me", None).await;
    assert_eq!((answer.status.as_u16(), answer.body), (429, json!("error code: 1015")));
    discord.advance(Duration::from_secs(600));
    assert_eq!(outcome(&discord, "GET /users/@me", None).await.0, 200);
}
