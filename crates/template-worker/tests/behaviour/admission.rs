//! Who is let in, seen from outside.

use serde_json::{Value, json};
use template_worker::api::MOST_PUTS;
use testkit::{Answer, GUILD, TestWorker, answer, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const NEIGHBOUR: &str = "818880986845679758";

/// A request whose body is not there yet.
struct Half {
    stream: TcpStream,
    body: String,
}

impl Half {
    async fn of(worker: &TestWorker, token: &str, path: &str, body: &Value) -> Self {
        let mut stream = TcpStream::connect(worker.url().trim_start_matches("http://")).await.unwrap();
        let body = body.to_string();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, body }
    }

    /// The same that was let in: its body is waited for.
    async fn inside(worker: &TestWorker, token: &str, path: &str, body: &Value) -> Self {
        const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut half = Self::of(worker, token, path, body).await;
        let mut answer = vec![0; GO_ON.len()];
        half.stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, GO_ON, "{}", String::from_utf8_lossy(&answer));
        half
    }

    /// Sends its body, and reads the first line of the answer.
    async fn complete(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        self.answer().await
    }

    /// The first line of the answer.
    async fn answer(mut self) -> String {
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap().lines().next().unwrap().to_owned()
    }
}

fn told_to_come_back(answer: &Answer) -> bool {
    answer.headers.contains_key("retry-after") && answer.status == 429 && answer.body["code"] == "guild_busy"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_whose_requests_are_too_many_is_refused_and_its_neighbours_are_served() {
    // Four for each guild.
    let worker = TestWorker::start_with(|config| config.server.max_requests_in_flight = 16).await;
    let token = worker.guild_token(GUILD, &["kv:read", "kv:write"]).await;
    let of = |guild: &str, key: usize| format!("/api/v1/guilds/{guild}/kv/k{key}?scope=s");
    let value = json!({"value": 1});
    let mut half = Vec::new();
    for key in 0..4 {
        half.push(Half::inside(&worker, &token, &of(GUILD, key), &value).await);
    }
    let list = format!("/api/v1/guilds/{GUILD}/kv");
    assert!(told_to_come_back(&worker.get(&list).await), "an admin is no exception");
    let refused = answer(worker.request_as(&token, reqwest::Method::GET, &list)).await;
    let refused = refused.problem(429, "guild_busy");
    assert!(refused["detail"].as_str().unwrap().contains("as it may (4)"), "{refused}");
    worker.put(&of(NEIGHBOUR, 0), &value).await.expect(201);
    // An admin can do something about it.
    worker.put(&format!("/api/v1/guilds/{GUILD}/limits"), &json!({})).await.expect(200);
    for half in half {
        assert_eq!(half.complete().await, "HTTP/1.1 201 Created");
    }
    until("there is room again", async || worker.get(&list).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_up_what_a_guild_has_without_its_token() {
    let worker = TestWorker::start_with(|config| config.server.max_requests_in_flight = 16).await;
    let stranger = worker.guild_token(NEIGHBOUR, &["kv:write"]).await;
    let path = format!("/api/v1/guilds/{GUILD}/kv/k?scope=s");
    for _ in 0..8 {
        let half = Half::of(&worker, &stranger, &path, &json!({"value": 1})).await;
        assert_eq!(half.answer().await, "HTTP/1.1 404 Not Found", "before its body is read");
    }
    worker.put(&path, &json!({"value": 1})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_are_put_wait_in_a_short_line_of_their_guild() {
    let worker = TestWorker::start().await;
    let token = worker.guild_token(GUILD, &["templates:read", "templates:write"]).await;
    let of = |guild: &str, name: usize| format!("/api/v1/guilds/{guild}/templates/t{name}");
    let body = json!({"files": {"init.luau": "return 1"}, "events": []});
    let mut half = Vec::new();
    for name in 0..MOST_PUTS {
        half.push(Half::inside(&worker, &token, &of(GUILD, name), &body).await);
    }
    let one_more = of(GUILD, MOST_PUTS);
    assert!(told_to_come_back(&worker.put(&one_more, &body).await));
    worker.put(&of(NEIGHBOUR, 0), &body).await.expect(201);
    worker.get(&format!("/api/v1/guilds/{GUILD}/templates")).await.expect(200);
    for half in half {
        assert_eq!(half.complete().await, "HTTP/1.1 201 Created");
    }
    until("there is room again", async || worker.put(&one_more, &body).await.status.is_success()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_templates_keep_nobody_out() {
    // One for the request that arrives, one for the question whether it has.
    let worker = TestWorker::start_with(|config| config.server.max_requests_in_flight = 2).await;
    worker.template(GUILD, "slow", "task.wait(2) return 'done'").await.expect(201);
    let url = format!("/api/v1/guilds/{GUILD}/events?wait=true");
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let mut waiting = Vec::new();
    for number in 1..=5 {
        let request = worker.request(reqwest::Method::POST, &url).json(&event);
        waiting.push(tokio::spawn(answer(request)));
        until("the event runs", async || {
            let vm = worker.get(&format!("/api/v1/guilds/{GUILD}/vm")).await;
            vm.body["in_flight"] == number
        })
        .await;
    }
    worker.get("/api/v1/guilds/1/templates").await.expect(200);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().expect(200)["results"]["slow"]["value"], "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_must_not_replace_is_refused_rather_than_done() {
    let worker = TestWorker::start().await;
    let body = json!({"files": {"init.luau": "return 1"}, "events": []});
    let request = worker.request(reqwest::Method::PUT, &format!("/api/v1/guilds/{GUILD}/templates/t"));
    answer(request.header("if-none-match", "*").json(&body)).await.problem(400, "invalid_if_match");
    worker.get(&format!("/api/v1/guilds/{GUILD}/templates/t")).await.problem(404, "not_found");
}
