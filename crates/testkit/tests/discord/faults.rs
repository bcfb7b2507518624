//! What goes wrong on demand, and what a request that is not as Discord describes it comes to.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::discord::Fault;

use super::{CHANNEL, discord, outcome, send};

const MESSAGES: &str = "/channels/{channel_id}/messages";

#[tokio::test]
async fn the_next_requests_meet_the_fault_and_the_ones_after_do_not() {
    let discord = discord().await;
    let line = format!("POST /channels/{CHANNEL}/messages");
    let body = json!({"content": "hi"});
    discord.fail("POST", MESSAGES, 2, Fault::Status(503));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(outcome(&discord, &line, Some(&body)).await.0);
    }
    assert_eq!(seen, [503, 503, 200]);
    assert_eq!((discord.messages(CHANNEL).len(), discord.faults_left()), (1, 0));
    let answers: Vec<_> = discord.requests().iter().map(testkit::discord::Received::status).collect();
    assert_eq!(answers, [Some(503), Some(503), Some(200)], "what met a fault is in the log too");
}

#[tokio::test]
async fn a_lost_answer_was_served_and_a_closed_connection_was_not() {
    let discord = discord().await;
    let body = json!({"content": "hi"});
    let path = format!("/channels/{CHANNEL}/messages");
    for (fault, messages) in [(Fault::Closed, 0), (Fault::Lost, 1)] {
        discord.fail("*", "*", 1, fault.clone());
        let sent = discord.request(Method::POST, &path).json(&body).send().await;
        assert!(sent.is_err(), "{fault:?} gave an answer");
        assert_eq!(discord.messages(CHANNEL).len(), messages, "{fault:?}");
    }
    discord.fail("*", "*", 1, Fault::Truncated);
    let sent = discord.request(Method::POST, &path).json(&body).send().await.unwrap();
    assert!(sent.text().await.is_err(), "the whole answer came");
    assert_eq!(discord.messages(CHANNEL).len(), 2);
}

#[tokio::test]
async fn garbage_huge_bodies_and_delays_come_as_ordered() {
    let discord = discord().await;
    let path = format!("/channels/{CHANNEL}");
    discord.fail("GET", "/channels/{channel_id}", 1, Fault::Garbage);
    let garbage = discord.request(Method::GET, &path).send().await.unwrap();
    assert!(garbage.json::<serde_json::Value>().await.is_err());
    discord.fail("GET", "/channels/{channel_id}", 1, Fault::Huge(3 << 20));
    let huge = discord.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(huge.text().await.unwrap().len(), (3 << 20) + 2);
    discord.fail("GET", "/channels/{channel_id}", 1, Fault::Slow(Duration::from_secs(60)));
    let slow = discord.request(Method::GET, &path).timeout(Duration::from_millis(100)).send().await;
    assert!(slow.unwrap_err().is_timeout());
    discord.fail("GET", "/channels/{channel_id}", 1, Fault::Error(403, 50001, "Missing Access"));
    assert_eq!(outcome(&discord, &format!("GET {path}"), None).await, (403, Some(50001)));
}

#[tokio::test]
async fn a_request_that_is_not_as_described_is_refused_and_noted() {
    let discord = discord().await;
    let line = format!("POST /channels/{CHANNEL}/messages");
    let body = json!({"content": "hi", "embeds": [{"title": 5, "titles": "x"}]});
    let answer = send(&discord, &line, Some(&body)).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &json!(50035)));
    assert!(
        answer.body["errors"]["embeds"]["0"]["title"]["_errors"][0]["code"].is_string(),
        "{}",
        answer.body
    );
    assert_eq!(outcome(&discord, "GET /no/such/route", None).await, (404, Some(0)));
    let problem = discord.request(Method::POST, &format!("/channels/{CHANNEL}/messages")).body("{");
    assert_eq!(testkit::answer(problem).await.status, 400);
    let noted = discord.take_violations();
    assert_eq!(noted.len(), 4, "{noted:#?}");
    assert_eq!(noted[0], format!("{line}: request: embeds.0.title: is an integer, not a string or null"));
    assert_eq!(noted[1], format!("{line}: request: embeds.0.titles: there is no such field"));
    assert_eq!(noted[2], "GET /no/such/route: request: the simulator serves no such route");
}

#[tokio::test]
async fn a_violation_fails_the_test_that_drops_the_simulator() {
    let discord = discord().await;
    send(&discord, "GET /no/such/route", None).await;
    let dropped = tokio::task::spawn_blocking(move || drop(discord)).await;
    assert!(dropped.unwrap_err().is_panic());
}
