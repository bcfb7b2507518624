//! A real template-worker for tests: its own port, its own data folder, its own threads, and books that must balance.
//!
//! Owns [`TestWorker`]; a Discord for it is in [`discord`], a bucket in [`s3`]. Dropping one stops the service as an operator would, and fails the test if a VM is still alive
//! or an answer is still owed, so every test checks that without saying so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose set-up fails has failed"
)]

pub mod discord;
pub mod s3;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use template_worker::api;
use template_worker::app::{App, Stopped};
use template_worker::config::Config;
use template_worker::ids::{ThreadId, TokenId};
use template_worker::storage::{Token, TokenOwner, TokenSecret};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// A guild for tests that need only one.
pub const GUILD: &str = "818880986845679757";

/// A service that listens on a free port of the loopback interface.
pub struct TestWorker {
    app: Arc<App>,
    url: String,
    token: String,
    client: Client,
    /// The service's own runtime, so that it goes on while a test blocks, and its server.
    running: Option<(Runtime, JoinHandle<()>)>,
    data: Arc<tempfile::TempDir>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null where it is empty, a string where it is not JSON.
    pub body: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        Self { status, headers, body }
    }

    /// The body, if the status is `status`; otherwise the test fails and shows what came.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "unexpected answer: {:#}", self.body);
        self.body
    }

    /// Checks that it is a problem with this status and code, and returns its body.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let kind = self.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = self.expect(status);
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{body:#}");
        assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{body:#}");
        for field in ["type", "title", "detail"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {body:#}");
        }
        body
    }
}

impl TestWorker {
    /// Starts a service with [`Config::for_testing`].
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts a service whose configuration `change` may change.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), change).await
    }

    /// Starts a service on the data folder of another one, which has ended.
    pub async fn start_on(data: Arc<tempfile::TempDir>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_testing();
        config.storage.data = data.path().to_owned();
        config.vm.process_program = program();
        change(&mut config);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let secret = TokenSecret::generate().unwrap();
        let hash = secret.hash();
        let (app, url, server) = runtime
            .spawn(async move {
                let app = App::start(config).await.unwrap();
                app.storage.insert_token(&admin(), &hash).await.unwrap();
                let listener = TcpListener::bind(app.config.server.listen).await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                let served = Arc::clone(&app);
                let server = tokio::spawn(api::serve(served, listener));
                (app, url, server)
            })
            .await
            .unwrap();
        let token = secret.reveal().to_owned();
        Self { app, url, token, client: client(), running: Some((runtime, server)), data }
    }

    /// The service behind the doors.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The data folder.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// The data folder, which stays as long as anybody holds this.
    pub fn folder(&self) -> Arc<tempfile::TempDir> {
        Arc::clone(&self.data)
    }

    /// The address, such as `http://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request with the admin's token; `path` starts with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_as(&self.token, method, path)
    }

    /// A request with another token.
    pub fn request_as(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(token)
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(120))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PUT, path).json(body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    /// Stores a template of one file that listens to all Discord events.
    pub async fn template(&self, guild: &str, name: &str, source: &str) -> Answer {
        self.template_of(guild, name, &[("init.luau", source)]).await
    }

    /// Stores a template of several files that listens to all Discord events.
    pub async fn template_of(&self, guild: &str, name: &str, files: &[(&str, &str)]) -> Answer {
        let files: BTreeMap<_, _> = files.iter().copied().collect();
        let body = json!({"files": files, "events": ["Discord"], "capabilities": []});
        self.put(&format!("/api/v1/guilds/{guild}/templates/{name}"), &body).await
    }

    /// Sends a MESSAGE_CREATE with this data and returns the outcome of each template.
    pub async fn event(&self, guild: &str, data: &Value) -> Value {
        let mut body =
            self.dispatch(guild, &json!({"name": "MESSAGE_CREATE", "data": data})).await.expect(200);
        body["results"].take()
    }

    /// Sends an event and waits for its outcomes.
    pub async fn dispatch(&self, guild: &str, event: &Value) -> Answer {
        self.post(&format!("/api/v1/guilds/{guild}/events?wait=true"), event).await
    }

    /// A fresh token of `guild` with these rights.
    pub async fn guild_token(&self, guild: &str, rights: &[&str]) -> String {
        let owner = json!({"guild": guild, "rights": rights});
        let made = self.post("/api/v1/tokens", &json!({"name": "test", "owner": owner})).await.expect(201);
        made["secret"].as_str().expect("a new token shows its secret").to_owned()
    }

    /// Stops the service and checks the books, as dropping does.
    pub async fn stop(self) {
        tokio::task::spawn_blocking(move || drop(self)).await.unwrap();
    }

    /// Waits until a thread is stuck: in the middle of something, however often one looks. A look or two do not tell, since
    /// a thread is busy for a moment with anything.
    pub async fn stuck_thread(&self) -> ThreadId {
        let mut looks = 0;
        let mut stuck = None;
        until("a thread is stuck", async || {
            let busy = self.app.dispatcher.threads().into_iter().find(|thread| thread.busy);
            let busy = busy.map(|thread| thread.id);
            looks = if busy.is_some() && busy == stuck { looks + 1 } else { 0 };
            stuck = busy;
            looks == 20
        })
        .await;
        stuck.expect("it was seen")
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        let (Some((runtime, server)), app) = (self.running.take(), Arc::clone(&self.app)) else { return };
        // On a thread of its own: a runtime can be neither entered nor dropped from inside another one.
        let stopped = std::thread::spawn(move || {
            let stopped = runtime.block_on(api::stop(&app, server));
            runtime.shutdown_timeout(Duration::from_secs(5));
            stopped
        })
        .join();
        if std::thread::panicking() {
            return;
        }
        assert_eq!(stopped.ok(), Some(Stopped::Clean), "the service did not stop cleanly");
        assert_eq!(self.app.shared.vms.count(), 0, "VMs are still alive");
        assert_eq!(self.app.shared.warm.count(), 0, "VMs that are nobody's are still alive");
        assert_eq!(self.app.shared.memory.used(), 0, "closed VMs are still in the book");
        assert_eq!(self.app.shared.owed.count(), 0, "answers are still owed");
    }
}

/// An HTTP client, as tests want one.
pub fn client() -> Client {
    template_worker::tls::choose();
    Client::new()
}

/// The program that this package builds, which VM processes run: this one is a test.
pub fn program() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let folder =
        test.parent().and_then(std::path::Path::parent).expect("a test is in `deps` of the target folder");
    folder.join("template-worker")
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn admin() -> Token {
    Token {
        id: TokenId::fresh(),
        name: "test".to_owned(),
        owner: TokenOwner::Admin,
        created_at: time::OffsetDateTime::now_utc(),
        expires_at: None,
        revoked_at: None,
    }
}

/// Sends `request` and reads the answer.
pub async fn answer(request: RequestBuilder) -> Answer {
    send(request).await
}

/// Asks `question` again and again until it says yes. Fails the test after half a minute, so that nothing waits for ever.
pub async fn until(what: &str, mut question: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if question().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to this: {what}");
}
