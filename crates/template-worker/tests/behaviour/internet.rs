//! A small internet for tests: a server on this machine that templates reach as `api.example.com`, because the operator
//! has fixed that name and opened that network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Response};
use serde_json::{Value, json};
use template_worker::config::Config;
use testkit::{GUILD, TestWorker};
use tokio::net::TcpListener;

/// The server, and what it was asked.
pub(crate) struct Internet {
    address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Value>>>,
}

impl Internet {
    /// `/echo` tells what came, `/big/{n}` sends so many bytes, `/hang` never answers, `/redirect` leads inside.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let routes = Router::new().fallback(move |request: Request| answer(request, Arc::clone(&kept)));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, seen }
    }

    /// Lets a service reach it as `api.example.com` and as `other.example.com`.
    pub(crate) fn open(&self, config: &mut Config) {
        config.http.ports.push(self.address.port());
        config.http.opened_networks.push("127.0.0.1/32".parse().unwrap());
        for name in ["api.example.com", "other.example.com", "reddit.com"] {
            config.http.fixed_names.push(format!("{name}=127.0.0.1").parse().unwrap());
        }
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://api.example.com:{}{path}", self.address.port())
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn answer(request: Request, seen: Arc<Mutex<Vec<Value>>>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<_, _> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = String::from_utf8_lossy(&to_bytes(body, 1 << 21).await.unwrap()).into_owned();
    let uri = head.uri.to_string();
    let came = json!({"method": head.method.as_str(), "uri": uri, "headers": headers, "body": body});
    seen.lock().unwrap().push(came.clone());
    let response = Response::builder().header("x-two", "1").header("x-two", "2");
    match uri.as_str() {
        "/hang" => std::future::pending().await,
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            response.body(Body::from("slow")).unwrap()
        }
        "/redirect" => {
            let to = "http://169.254.169.254/latest";
            response.status(302).header("location", to).body(Body::empty()).unwrap()
        }
        "/bytes" => response.body(Body::from(vec![0xff, 0x00, 0x01])).unwrap(),
        uri => match uri.strip_prefix("/big/").and_then(|length| length.parse().ok()) {
            Some(length) => response.body(Body::from(vec![b'a'; length])).unwrap(),
            None => response.status(201).body(Body::from(came.to_string())).unwrap(),
        },
    }
}

/// What a template of `source` returns in `guild`, or the error that it throws, with these capabilities. `URL` in the source
/// is the way to the server.
pub(crate) async fn run_in(worker: &TestWorker, guild: &str, capabilities: &[&str], source: &str) -> Value {
    let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": capabilities});
    let stored = worker.put(&format!("/api/v1/guilds/{guild}/templates/t"), &body).await;
    assert!(stored.status.is_success(), "{:#}", stored.body);
    let mut outcome = worker.event(guild, &json!({})).await;
    let outcome = outcome["t"].take();
    if outcome["status"] == "ok" { outcome["value"].clone() } else { outcome["error"].clone() }
}

/// The same in the guild of most tests.
pub(crate) async fn run(worker: &TestWorker, capabilities: &[&str], source: &str) -> Value {
    run_in(worker, GUILD, capabilities, source).await
}
