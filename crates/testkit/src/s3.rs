//! A bucket for tests: as much of S3 as keeping objects takes, over a real socket.
//!
//! Owns that nothing is done without a signature of the right key, be it in a header or in the URL. Whether the signature
//! is the right one is left to those who make them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode, Uri};
use template_worker::config::{Config, ObjectBackend};
use tokio::net::TcpListener;

const NAME: &str = "templates";
const KEY_ID: &str = "AKIATEST";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The largest object.
const LARGEST: usize = 16 << 20;

/// A bucket that listens on a free port of the loopback interface, as long as the runtime lasts that it was started on.
pub struct Bucket {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    fails: bool,
    refused: usize,
}

impl Bucket {
    /// Starts one that is empty.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let routes = Router::new().fallback(move |request| answer(Arc::clone(&shared), request));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, state }
    }

    /// Lets a service keep its objects here. The secret key goes into its data folder.
    pub fn open(&self, config: &mut Config) {
        let secret = config.storage.data.join("bucket.key");
        std::fs::write(&secret, "a secret access key\n").unwrap();
        config.objects.backend = ObjectBackend::S3;
        config.objects.s3_bucket = NAME.to_owned();
        config.objects.s3_endpoint = format!("http://{}", self.address);
        config.objects.s3_access_key_id = KEY_ID.to_owned();
        config.objects.s3_secret_key_file = secret;
    }

    /// Whether every request fails from now on.
    pub fn fail(&self, fails: bool) {
        lock(&self.state).fails = fails;
    }

    /// What the objects are called that lie here.
    pub fn names(&self) -> Vec<String> {
        lock(&self.state).objects.keys().cloned().collect()
    }

    /// How many requests had no signature.
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(state: Arc<Mutex<State>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let content = to_bytes(body, LARGEST).await.unwrap().to_vec();
    let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    let mut state = lock(&state);
    if state.fails {
        return response(StatusCode::INTERNAL_SERVER_ERROR, Vec::new());
    }
    let signed = match authorization {
        Some(authorization) => authorization.starts_with(&format!("{ALGORITHM} Credential={KEY_ID}/")),
        None => head.method == Method::GET && is_presigned(&head.uri),
    };
    if !signed {
        state.refused += 1;
        return response(StatusCode::FORBIDDEN, Vec::new());
    }
    let Some(name) = head.uri.path().strip_prefix(&format!("/{NAME}/")) else {
        return response(StatusCode::NOT_FOUND, Vec::new());
    };
    match head.method {
        Method::PUT => {
            state.objects.insert(name.to_owned(), content);
            response(StatusCode::OK, Vec::new())
        }
        Method::GET | Method::HEAD => match state.objects.get(name) {
            Some(content) => response(StatusCode::OK, content.clone()),
            None => response(StatusCode::NOT_FOUND, Vec::new()),
        },
        Method::DELETE => {
            state.objects.remove(name);
            response(StatusCode::NO_CONTENT, Vec::new())
        }
        _ => response(StatusCode::METHOD_NOT_ALLOWED, Vec::new()),
    }
}

/// Whether the URL itself says who has signed it, and for how long.
fn is_presigned(uri: &Uri) -> bool {
    let has =
        |start: &str| uri.query().is_some_and(|query| query.split('&').any(|one| one.starts_with(start)));
    has(&format!("X-Amz-Algorithm={ALGORITHM}"))
        && has(&format!("X-Amz-Credential={KEY_ID}%2F"))
        && has("X-Amz-Expires=")
        && has("X-Amz-Signature=")
}

fn response(status: StatusCode, content: Vec<u8>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("etag", "\"an-etag\"")
        .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .body(Body::from(content))
        .unwrap()
}
