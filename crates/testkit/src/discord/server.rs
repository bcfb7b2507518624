//! The socket: one request after another, from the bytes that came to the bytes that go.
//!
//! Owns the order in which a request meets the log, faults, limits, the description, its route, and the description
//! again. What each of these says is in its own file.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;

use super::body;
use super::errors::{self, Failure};
use super::faults::Fault;
use super::openapi::{OpenApi, Problem, Sent};
use super::rate_limits::{self, Spender, Spent};
use super::routes::{self, Call, Reply};
use super::world::{Received, World};

/// The largest body that Discord takes.
const LARGEST: usize = 25 << 20;
/// Characters of a reason for the audit log.
const LONGEST_REASON: usize = 512;

/// What every connection shares.
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    pub(super) openapi: OpenApi,
}

/// What is to be sent.
struct Outgoing {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Set where the connection closes after so many bytes of the body.
    cut: Option<usize>,
}

/// Serves connections until its runtime ends.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    while let Ok((connection, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| exchange(Arc::clone(&shared), request));
            // A connection that breaks is the other side's to notice.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

/// An error here closes the connection without an answer.
async fn exchange(
    shared: Arc<Shared>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Body>, io::Error> {
    let (head, incoming) = request.into_parts();
    let bytes = axum::body::to_bytes(Body::new(incoming), LARGEST).await.map_err(io::Error::other)?;
    let headers = head.headers.iter();
    let received = Received {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body::read(head.headers.get("content-type").and_then(|kind| kind.to_str().ok()), &bytes),
        answered: Arc::default(),
    };
    let fault = shared.lock().meet(&received);
    if let Some(Fault::Slow(wait)) = fault {
        tokio::time::sleep(wait).await;
    }
    shared.answer(&received, fault.as_ref()).map(respond)
}

fn respond(outgoing: Outgoing) -> Response<Body> {
    let length = outgoing.body.len();
    let body = match outgoing.cut {
        None => Body::from(outgoing.body),
        Some(cut) => {
            let broken = io::Error::new(io::ErrorKind::ConnectionReset, "cut off on purpose");
            let pieces = [Ok(Bytes::from(outgoing.body[..cut].to_vec())), Err(broken)];
            // What was sent must have left before the connection breaks.
            let pieces = tokio_stream::iter(pieces).then(|piece| async {
                if piece.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                piece
            });
            Body::from_stream(pieces)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = outgoing.status.try_into().expect("a status of three digits");
    let length = (outgoing.status != 204).then(|| ("content-length", length.to_string()));
    for (name, value) in outgoing.headers.into_iter().chain(length) {
        let value = HeaderValue::try_from(value).expect("a header is visible text");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

impl Shared {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, received: &Received, fault: Option<&Fault>) -> Result<Outgoing, io::Error> {
        let broken = || io::Error::new(io::ErrorKind::ConnectionReset, "closed on purpose");
        let mut outgoing = match fault {
            Some(Fault::Closed) => return Err(broken()),
            Some(Fault::Status(status)) => plain(*status, "upstream connect error".to_owned()),
            Some(Fault::Error(status, code, message)) => {
                let body = serde_json::json!({"message": message, "code": code});
                outgoing_json(*status, &body, Vec::new())
            }
            Some(Fault::Garbage) => {
                Outgoing { body: b"{\"id\": \"12".to_vec(), ..outgoing_json(200, &Value::Null, Vec::new()) }
            }
            Some(Fault::Huge(bytes)) => {
                let body = format!("\"{}\"", "x".repeat(*bytes));
                Outgoing { body: body.into_bytes(), ..outgoing_json(200, &Value::Null, Vec::new()) }
            }
            Some(Fault::GlobalLimit(wait)) => {
                let (failure, headers) = rate_limits::refuse_all(*wait);
                failed(failure, headers)
            }
            Some(Fault::SharedLimit(wait)) => {
                let (failure, headers) = rate_limits::refuse_shared(*wait);
                failed(failure, headers)
            }
            None | Some(Fault::Slow(_) | Fault::Lost | Fault::Truncated) => self.serve(received),
        };
        let mut world = self.lock();
        let now = world.now();
        // What others used up of a shared limit is not this bot's fault.
        if !matches!(fault, Some(Fault::SharedLimit(_))) {
            world.limits.count(outgoing.status, now);
        }
        match fault {
            Some(Fault::Lost) => return Err(broken()),
            Some(Fault::Truncated) => outgoing.cut = Some(outgoing.body.len() / 2),
            _ => {}
        }
        received.answered.get_or_init(|| outgoing.status);
        Ok(outgoing)
    }

    /// What Discord makes of a request that reached it.
    fn serve(&self, received: &Received) -> Outgoing {
        let mut guard = self.lock();
        let world = &mut *guard;
        let now = world.now();
        world.state.now = world.wall();
        if let Some(wait) = world.limits.locked_out(now) {
            let page = plain(429, "error code: 1015".to_owned());
            return Outgoing { headers: vec![("retry-after", wait.as_secs().to_string())], ..page };
        }
        let Some((route, path)) = routes::find(&received.method, received.api_path()) else {
            world.violation(received, "request", "the simulator serves no such route");
            return failed(errors::no_such_route(), Vec::new());
        };
        if route.needs_token() && received.header("authorization") != Some(&*world.authorisation()) {
            return failed(errors::unauthorised(), Vec::new());
        }
        let major = route.major(&path);
        let spender =
            Spender { route: (route.method, route.path), major: &major, global: route.needs_token() };
        let Spent { refused, headers } = world.limits.spend(&spender, now);
        if let Some(failure) = refused {
            return failed(failure, headers);
        }
        let query = received.queries();
        let sent = Sent { path: &path, query: &query, body: received.body.json() };
        let mut problems = self.openapi.check_request(route.method, route.path, &sent);
        problems.extend(body::check(&received.body));
        if received.reason().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            problems.push(Problem::new("X-Audit-Log-Reason", "is longer than 512 characters"));
        }
        for problem in &problems {
            world.violation(received, "request", &problem.to_string());
        }
        let call = Call {
            path,
            query,
            body: received.body.json().cloned().unwrap_or_default(),
            files: received.body.files().to_vec(),
            reason: received.reason(),
        };
        let answer = match problems.as_slice() {
            [] => (route.serve)(&mut world.state, &call),
            problems => Err(routes::refuse(problems)),
        };
        let (status, body) = match answer {
            Ok(Reply { status, body }) => (status, body),
            Err(Failure { status, body }) => (status, Some(body)),
        };
        for problem in self.openapi.check_reply(route.method, route.path, status, body.as_ref()) {
            world.violation(received, "reply", &problem.to_string());
        }
        match body {
            Some(body) => outgoing_json(status, &body, headers),
            None => Outgoing { status, headers, body: Vec::new(), cut: None },
        }
    }
}

fn failed(failure: Failure, headers: Vec<(&'static str, String)>) -> Outgoing {
    outgoing_json(failure.status, &failure.body, headers)
}

fn outgoing_json(status: u16, body: &Value, mut headers: Vec<(&'static str, String)>) -> Outgoing {
    headers.push(("content-type", "application/json".to_owned()));
    Outgoing { status, headers, body: body.to_string().into_bytes(), cut: None }
}

fn plain(status: u16, text: String) -> Outgoing {
    let headers = vec![("content-type", "text/html".to_owned())];
    Outgoing { status, headers, body: text.into_bytes(), cut: None }
}
