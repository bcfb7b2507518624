//! Requests to Discord, and their answers as JSON text.
//!
//! Owns the clients, and that nothing is tried twice but for what Discord itself put off with a 429. Whose turn it is is for
//! `pace`, who may ask at all for `breaker`, Discord's limits for `buckets`, and the form of requests for `wire`.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use twilight_http::{API_VERSION, Client};

use super::breaker::Breaker;
use super::buckets::{Buckets, Key};
use super::failure::{Doubt, Failure};
use super::pace::Pace;
use super::table::Verb;
use super::validate::File;
use super::wire;
use crate::config::DiscordConfig;
use crate::ids::GuildId;
use crate::tls;

/// How long Discord may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the rest of an answer may take once it has begun.
const REST_OF_ANSWER: Duration = Duration::from_secs(5);
/// How long a request may take once its turn has come.
const ALTOGETHER: Duration = Duration::from_secs(20);
/// Between two lines in the service's log about the same trouble.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
/// Bytes of an answer: 1,000 members with all they have take less.
const MOST_ANSWER_BYTES: usize = 4 << 20;
/// How often a request is made that Discord puts off: again once, when Discord says so. Where that is not enough the limit
/// is one of all requests, and each further one would count as an offence.
const ATTEMPTS: usize = 2;

const TOO_LARGE: Failure = Failure::BadAnswer("is too large: ask for less");

/// A request that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The verb.
    pub verb: Verb,
    /// The path with its query, every part encoded.
    pub path: String,
    /// The body.
    pub body: Option<Value>,
    /// The files that go with it.
    pub files: Vec<File>,
    /// The reason for the audit log.
    pub reason: Option<String>,
    /// Whether a token in the path stands for who asks.
    pub has_own_token: bool,
    /// Whether it asks for somebody who need not be there: then it is no template's fault.
    pub may_be_nobody: bool,
}

impl Request {
    /// Looks at what is at `path`.
    pub fn look(path: String) -> Self {
        Self {
            verb: Verb::Get,
            path,
            body: None,
            files: Vec::new(),
            reason: None,
            has_own_token: false,
            may_be_nobody: false,
        }
    }
}

/// The way to Discord.
#[derive(Debug)]
pub struct Rest {
    clients: Option<Clients>,
    buckets: Buckets,
    pace: Pace,
    breaker: Breaker,
    /// When the operator was last told that something is wrong with the way to Discord.
    told: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Clients {
    /// For everything but answers to interactions.
    client: Client,
    /// For those: they have limits of their own and three seconds, and the other client would send those of all guilds
    /// one after the other.
    answers: reqwest::Client,
    /// Where Discord is.
    address: String,
}

/// When a request was made, each time.
#[derive(Debug, Clone, Default)]
struct Attempts(Arc<Mutex<Vec<Instant>>>);

impl Attempts {
    /// Begins one more, and says how many that makes.
    fn begin(&self) -> usize {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(Instant::now());
        made.len()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Why there is no answer yet: one that was sent would have failed by now, so it waits to be sent.
    fn late(&self, doubt: Doubt) -> Failure {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).last() {
            None => Failure::Busy,
            Some(last) if last.elapsed() > ANSWER + REST_OF_ANSWER => Failure::RateLimited,
            Some(_) => Failure::TimedOut(doubt),
        }
    }
}

impl Rest {
    /// To be called on the runtime that it works on.
    pub fn new(config: &DiscordConfig) -> Self {
        tls::choose();
        let clients = config.token().map(|token| {
            let (host, is_plain) = config.host();
            let client = Client::builder().token(token.to_owned()).timeout(ANSWER);
            let answers = reqwest::Client::builder().timeout(ANSWER).redirect(Policy::none());
            Clients {
                client: client.proxy(host.to_owned(), is_plain).build(),
                answers: answers.build().unwrap_or_default(),
                address: config.address.clone(),
            }
        });
        Self {
            clients,
            buckets: Buckets::default(),
            pace: Pace::new(),
            breaker: Breaker::new(),
            told: Mutex::default(),
        }
    }

    /// Whether there is a bot at all.
    ///
    /// # Errors
    /// [`Failure::NotConfigured`].
    pub fn ready(&self) -> Result<(), Failure> {
        self.clients().map(|_| ())
    }

    fn clients(&self) -> Result<&Clients, Failure> {
        self.clients.as_ref().ok_or(Failure::NotConfigured)
    }

    /// Makes a request for `guild`, or for the service itself where there is none, and gives the answer as JSON text: `null`
    /// where there is none.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, guild: impl Into<Option<GuildId>>, request: Request) -> Result<String, Failure> {
        let guild = guild.into();
        let clients = self.clients()?;
        self.breaker.check(guild)?;
        let key = Key::of(request.verb, &request.path);
        self.buckets.wait(&key).await?;
        let is_counted = !request.has_own_token;
        let turn = self.pace.turn(guild, is_counted).await?;
        // Others may have used the budget up meanwhile.
        self.breaker.check(guild)?;
        let (attempts, may_be_nobody) = (Attempts::default(), request.may_be_nobody);
        let doubt = Doubt::of(request.verb);
        let made = async {
            if request.path.starts_with("interactions/") {
                return clients.answer(request).await;
            }
            self.exchange(clients, request, &key, &attempts).await
        };
        let came = match timeout(ALTOGETHER, made).await {
            Ok(came) => came,
            Err(_) => Err(attempts.late(doubt)),
        };
        drop(turn);
        // Each attempt after the first says that the one before it was refused.
        for _ in 1..attempts.count().min(ATTEMPTS) {
            self.breaker.refused(guild);
        }
        if is_counted && matches!(came, Ok(_) | Err(Failure::Refused { .. })) {
            self.pace.answered();
        }
        match &came {
            Err(failure) if may_be_nobody && failure.is_nobody() => {}
            Err(Failure::Refused { status: 401 | 403 | 404, .. } | Failure::BadToken) => {
                self.breaker.refused(guild);
            }
            Err(Failure::RateLimited) => {
                self.breaker.refused(guild);
                if let Some(guild) = guild {
                    self.pace.put_off(guild);
                }
            }
            Err(failure) => self.tell(failure),
            Ok(_) => {}
        }
        came
    }

    /// Tells the operator what only the operator can mend; now and then, however many templates run into it.
    fn tell(&self, failure: &Failure) {
        if !matches!(failure, Failure::Unreachable { .. } | Failure::NoJson { .. }) {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= BETWEEN_WARNINGS) {
            *told = Some(Instant::now());
            tracing::warn!(
                error = failure as &dyn std::error::Error,
                "templates cannot use Discord: check `discord.address` in the configuration, and the network"
            );
        }
    }

    /// One request and its answer. Nothing of it is logged: paths hold tokens.
    fn exchange(
        &self,
        clients: &Clients,
        request: Request,
        key: &Key,
        attempts: &Attempts,
    ) -> impl Future<Output = Result<String, Failure>> {
        let (has_own_token, doubt) = (request.has_own_token, Doubt::of(request.verb));
        let (client, address) = (&clients.client, &clients.address);
        let (built, attempts) = (wire::request(request), attempts.clone());
        async move {
            let mut coming = client.request::<IgnoredAny>(built?);
            coming.set_pre_flight(move || attempts.begin() <= ATTEMPTS);
            let answer =
                coming.await.map_err(|error| wire::failure(&error, address, doubt, has_own_token))?;
            self.buckets.hear(key, answer.headers());
            let body = timeout(REST_OF_ANSWER, answer.bytes()).await.map_err(|_| Failure::TimedOut(doubt))?;
            json(body.map_err(|_| Failure::Disconnected(doubt))?, address, doubt)
        }
        .with_subscriber(NoSubscriber::default())
    }
}

impl Clients {
    /// Answers an interaction.
    async fn answer(&self, request: Request) -> Result<String, Failure> {
        let url = format!("{}/api/v{API_VERSION}/{}", self.address, request.path);
        let (kind, body) = wire::payload(&request)?;
        let doubt = Doubt::of(request.verb);
        let lost = |error: reqwest::Error| match error {
            error if error.is_connect() => Failure::Unreachable { address: self.address.clone() },
            error if error.is_timeout() => Failure::TimedOut(doubt),
            _ => Failure::Disconnected(doubt),
        };
        let sent = self.answers.post(url).header(CONTENT_TYPE, kind).body(body).send();
        let mut answer = sent.await.map_err(lost)?;
        let (status, mut body) = (answer.status().as_u16(), Vec::new());
        while let Some(part) = answer.chunk().await.map_err(lost)? {
            if body.len() + part.len() > MOST_ANSWER_BYTES {
                return Err(TOO_LARGE);
            }
            body.extend_from_slice(&part);
        }
        if status < 300 {
            json(body, &self.address, doubt)
        } else {
            Err(wire::refused(status, &body, doubt, true))
        }
    }
}

/// An answer from `address` as JSON text.
fn json(bytes: Vec<u8>, address: &str, doubt: Doubt) -> Result<String, Failure> {
    let no_json = || Failure::NoJson { address: address.to_owned(), doubt };
    if bytes.len() > MOST_ANSWER_BYTES {
        return Err(TOO_LARGE);
    }
    if bytes.is_empty() {
        return Ok("null".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| no_json())?;
    serde_json::from_str::<IgnoredAny>(&text).map_err(|_| no_json())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_token_everybody_is_told_how_to_set_one() {
        let rest = Rest::new(&DiscordConfig::default());
        let guild = GuildId::new(1).unwrap();
        let text = rest.send(guild, Request::look("guilds/1".to_owned())).await.unwrap_err().to_string();
        assert!(text.contains("`discord.token`"), "{text}");
    }

    #[tokio::test]
    async fn a_discord_that_is_not_there_is_named_and_nothing_was_done() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        let config =
            DiscordConfig { token: "a.b.c".into(), address: address.clone(), ..DiscordConfig::default() };
        let rest = Rest::new(&config);
        let mut sent = Request::look("channels/1/messages".to_owned());
        sent.verb = Verb::Post;
        let mut answer = sent.clone();
        answer.path = "interactions/1/a/callback".to_owned();
        for request in [Request::look("guilds/1".to_owned()), sent, answer] {
            let text = rest.send(None, request).await.unwrap_err().to_string();
            assert_eq!(text, format!("Discord cannot be reached at {address}; nothing was done"));
        }
    }
}
