//! What every request goes through, tried over real connections on routes made for the purpose.

use std::time::Instant;

use axum::routing::{get, post};
use reqwest::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use crate::config::Config;
use crate::ids::TokenId;
use crate::shutdown::Stopping;
use crate::storage::{Token, TokenOwner, TokenSecret};

/// Serves `routes` on a free port, and gives back its URL.
async fn serving(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server { most_connections: 100, head_time: HEAD_TIME, take_time: TAKE_TIME };
    tokio::spawn(async move {
        server.run(listener, wrapped(routes), Stopping::default()).await.all_ended().await
    });
    url
}

fn client() -> Client {
    crate::tls::choose();
    Client::new()
}

async fn get_from(url: String) -> reqwest::Result<reqwest::Response> {
    client().get(url).send().await
}

fn routes() -> Router {
    async fn panic() -> &'static str {
        panic!("secret state")
    }
    Router::new().route("/ok", get(|| async { "ok" }).post(|| async { "ok" })).route("/panic", post(panic))
}

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_are_problems() {
    let url = serving(routes()).await;
    let client = client();
    let unknown = client.get(format!("{url}/nothing")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(unknown.json::<Value>().await.unwrap()["code"], "not_found");
    let wrong = client.delete(format!("{url}/ok")).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = wrong.headers()[ALLOW].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    assert_eq!(wrong.json::<Value>().await.unwrap()["code"], "method_not_allowed");
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_problem_without_internals_and_the_next_request_is_served() {
    let url = serving(routes()).await;
    let response = client().post(format!("{url}/panic")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.headers().contains_key("x-request-id"));
    let body = response.text().await.unwrap();
    assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
    assert_eq!(get_from(format!("{url}/ok")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn every_response_has_a_request_id_and_a_plausible_one_is_kept() {
    let url = serving(routes()).await;
    let client = client();
    let id = async |path: &str, sent: &str| {
        let response = client.get(format!("{url}{path}")).header("x-request-id", sent).send().await.unwrap();
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id("/ok", "mine-7").await, "mine-7");
    assert_eq!(id("/nothing", "mine-8").await, "mine-8");
    assert_eq!(id("/ok", "no id").await.len(), 36);
    assert_eq!(id("/ok", &"x".repeat(65)).await.len(), 36);
}

#[tokio::test]
async fn a_request_too_many_is_told_to_come_back_and_nothing_waits() {
    let (arrived, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (at_arrival, at_leave) = (Arc::clone(&arrived), Arc::clone(&leave));
    let slow = move || async move {
        at_arrival.notify_one();
        at_leave.notified().await;
    };
    let stopping = Stopping::default();
    let admission = Admission::new(stopping.clone(), 1);
    let layer = middleware::from_fn_with_state(admission, admission::admit);
    let url = serving(Router::new().route("/slow", get(slow)).layer(layer)).await;

    let first = tokio::spawn(get_from(format!("{url}/slow")));
    arrived.notified().await;
    let second = get_from(format!("{url}/slow")).await.unwrap();
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.headers().contains_key(RETRY_AFTER));
    assert_eq!(second.json::<Value>().await.unwrap()["code"], "overloaded");

    stopping.begin();
    let third = get_from(format!("{url}/slow")).await.unwrap();
    assert!(third.headers().contains_key(RETRY_AFTER));
    assert_eq!(third.json::<Value>().await.unwrap()["code"], "shutting_down");
    leave.notify_one();
    assert_eq!(
        first.await.unwrap().unwrap().status(),
        StatusCode::OK,
        "what was let in is served to its end"
    );
}

#[tokio::test]
async fn a_request_that_only_waits_takes_no_place_and_is_still_waited_for() {
    let (arrived, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (at_arrival, at_leave) = (Arc::clone(&arrived), Arc::clone(&leave));
    let waiting = move |Extension(place): Extension<admission::Place>| async move {
        place.give_back();
        at_arrival.notify_one();
        at_leave.notified().await;
    };
    let admission = Admission::new(Stopping::default(), 1);
    let layer = middleware::from_fn_with_state(admission.clone(), admission::admit);
    let url = serving(routes().route("/waiting", get(waiting)).layer(layer)).await;

    let first = tokio::spawn(get_from(format!("{url}/waiting")));
    arrived.notified().await;
    for _ in 0..3 {
        assert_eq!(get_from(format!("{url}/ok")).await.unwrap().status(), StatusCode::OK);
    }
    let early = tokio::time::timeout(Duration::from_millis(50), admission.everyone_left()).await;
    assert!(early.is_err(), "somebody was still inside");
    leave.notify_one();
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    admission.everyone_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_for_a_load_count_against_their_guild_and_keep_nobody_out() {
    const WAITING: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_testing();
    config.storage.data = folder.path().to_owned();
    // Fewer than wait.
    config.server.max_requests_in_flight = 4;
    config.limits.max_executions_in_flight = WAITING;
    config.limits.max_executions_waiting = 0;
    let app = App::start(config).await.unwrap();
    let token = admin_of(&app).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/guilds", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(Arc::clone(&app), listener));
    let client = client();
    let send = |guild: u64| {
        let request = client.post(format!("{url}/{guild}/events")).bearer_auth(&token);
        let request = request.json(&serde_json::json!({"name": "MESSAGE_CREATE", "data": {}}));
        async move {
            loop {
                let answer = request.try_clone().unwrap().send().await.unwrap();
                // While the first ones arrive, all of them at once.
                if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };

    let held = app.dispatcher.hold_loads(crate::ids::GuildId::new(1).unwrap()).await;
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..=WAITING {
        sent.spawn(send(1));
    }
    let refused = sent.join_next().await.unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    let refused = refused.text().await.unwrap();
    assert!(refused.contains("MAX_EXECUTIONS_WAITING"), "{refused}");
    let neighbour = send(2).await;
    assert_eq!(neighbour.status(), StatusCode::ACCEPTED, "it waits for nobody's load but its own");
    let early = tokio::time::timeout(Duration::from_millis(50), sent.join_next()).await;
    assert!(early.is_err(), "the others wait");
    drop(held);
    while let Some(answer) = sent.join_next().await {
        assert_eq!(answer.unwrap().status(), StatusCode::ACCEPTED);
    }
    assert_eq!(stop(&app, server).await, Stopped::Clean);
}

/// The secret of a new token of an admin.
async fn admin_of(app: &App) -> String {
    let secret = TokenSecret::generate().unwrap();
    let token = Token {
        id: TokenId::fresh(),
        name: "test".to_owned(),
        owner: TokenOwner::Admin,
        created_at: time::OffsetDateTime::now_utc(),
        expires_at: None,
        revoked_at: None,
    };
    app.storage.insert_token(&token, &secret.hash()).await.unwrap();
    secret.reveal().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_in_before_a_shutdown_finds_the_storage_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_testing();
    config.storage.data = folder.path().to_owned();
    let app = App::start(config).await.unwrap();
    let (arrived, served) = (Arc::new(Notify::new()), Arc::clone(&app));
    let at_arrival = Arc::clone(&arrived);
    let slow = move || async move {
        at_arrival.notify_one();
        // Longer than a service without VMs takes to stop.
        tokio::time::sleep(Duration::from_millis(500)).await;
        served.storage.check().await.map_err(ApiError::storage_not_ready)
    };
    let admission = Admission::new(app.stopping.clone(), 10);
    let layer = middleware::from_fn_with_state(admission.clone(), admission::admit);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/slow", listener.local_addr().unwrap());
    let routes = wrapped(Router::new().route("/slow", get(slow)).layer(layer));
    let server = tokio::spawn(serve_routes(Arc::clone(&app), listener, routes, admission));
    let request = tokio::spawn(get_from(url));
    arrived.notified().await;
    assert_eq!(stop(&app, server).await, Stopped::Clean);
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(app.storage.check().await.is_err(), "the storage is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_sent_request_does_not_hold_the_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_testing();
    config.storage.data = folder.path().to_owned();
    let drain_time = config.server.drain_time();
    let app = App::start(config).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(Arc::clone(&app), listener));
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.unwrap();
    // Answered on a later connection: the first one was taken in before.
    assert_eq!(get_from(format!("http://{address}/readyz")).await.unwrap().status(), StatusCode::OK);

    let begun = Instant::now();
    app.stopping.begin();
    server.await.unwrap();
    assert!(begun.elapsed() < drain_time, "it took {:?} of {drain_time:?}", begun.elapsed());
    app.stop().await;
    app.close().await;
}
