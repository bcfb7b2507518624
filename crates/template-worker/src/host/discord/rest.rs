//! Requests to Discord, and their answers as JSON text.
//!
//! Owns the one client, which keeps to the limits that Discord's answers tell it; whose turn it is, and who may ask at all,
//! is for `pace` and `breaker`. Nothing is tried twice, but for what Discord itself put off with a 429.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use twilight_http::Client;
use twilight_http::error::{Error, ErrorType};
use twilight_http::request::{Form, Method, RequestBuilder};

use super::breaker::Breaker;
use super::failure::Failure;
use super::pace::Pace;
use super::table::Verb;
use super::validate::File;
use crate::config::DiscordConfig;
use crate::ids::GuildId;
use crate::tls;

/// How long Discord may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a request may take with all that it waits for.
const ALTOGETHER: Duration = Duration::from_secs(20);
/// Bytes of an answer: 1,000 members with all they have take less.
const MOST_ANSWER_BYTES: usize = 4 << 20;
/// How often a request is made that Discord puts off: again once, when Discord says so. Where that is not enough the limit
/// is one of all requests, and each further one would count as an offence.
const ATTEMPTS: u8 = 2;
/// How long nobody asks after Discord has put one request off that often.
const HOLD: Duration = Duration::from_secs(2);
/// Characters of what Discord says about a refused request.
const MOST_TEXT: usize = 1000;

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
    /// Whether the service wants to know, where it is no template's fault that a thing is not there.
    pub is_lookup: bool,
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
            is_lookup: true,
        }
    }
}

/// The way to Discord.
#[derive(Debug)]
pub struct Rest {
    client: Option<Client>,
    pace: Pace,
    breaker: Breaker,
}

impl Rest {
    /// To be called on the runtime that it works on.
    pub fn new(config: &DiscordConfig) -> Self {
        tls::choose();
        let client = config.token().map(|token| {
            let (host, is_plain) = config.host();
            Client::builder().token(token.to_owned()).timeout(ANSWER).proxy(host.to_owned(), is_plain).build()
        });
        Self { client, pace: Pace::new(), breaker: Breaker::new() }
    }

    /// Whether there is a bot at all.
    ///
    /// # Errors
    /// [`Failure::NotConfigured`].
    pub fn ready(&self) -> Result<(), Failure> {
        self.client.as_ref().map(|_| ()).ok_or(Failure::NotConfigured)
    }

    /// Makes a request for `guild`, and gives the answer as JSON text: `null` where there is none.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, guild: GuildId, request: Request) -> Result<String, Failure> {
        let client = self.client.as_ref().ok_or(Failure::NotConfigured)?;
        self.breaker.check(guild)?;
        let turn = self.pace.turn(guild, !request.has_own_token).await?;
        // Others may have used the budget up meanwhile.
        self.breaker.check(guild)?;
        let (attempts, is_lookup) = (Arc::new(AtomicU8::new(0)), request.is_lookup);
        let came = match timeout(ALTOGETHER, exchange(client, request, &attempts)).await {
            Ok(came) => came,
            Err(_) if attempts.load(Ordering::Relaxed) > 1 => Err(Failure::RateLimited),
            Err(_) => Err(Failure::TimedOut),
        };
        drop(turn);
        // Each attempt after the first says that the one before it was refused.
        for _ in 1..attempts.load(Ordering::Relaxed).min(ATTEMPTS) {
            self.breaker.refused(guild);
        }
        match &came {
            Err(Failure::Refused { status: 404, .. }) if is_lookup => {}
            Err(
                Failure::Refused { status: 401 | 403 | 404, .. } | Failure::BadToken | Failure::RateLimited,
            ) => {
                self.breaker.refused(guild);
            }
            _ => {}
        }
        if matches!(came, Err(Failure::RateLimited)) {
            self.pace.hold(HOLD);
        }
        came
    }
}

/// One request and its answer. Nothing of it is logged: paths hold tokens.
fn exchange(
    client: &Client,
    request: Request,
    attempts: &Arc<AtomicU8>,
) -> impl Future<Output = Result<String, Failure>> {
    let has_own_token = request.has_own_token;
    let (built, client, attempts) = (build(request), client, Arc::clone(attempts));
    async move {
        let mut coming = client.request::<IgnoredAny>(built?);
        coming.set_pre_flight(move || attempts.fetch_add(1, Ordering::Relaxed) < ATTEMPTS);
        let answer = coming.await.map_err(|error| failure(&error, has_own_token))?;
        let bytes = answer.bytes().await.map_err(|_| Failure::Disconnected)?;
        if bytes.len() > MOST_ANSWER_BYTES {
            return Err(Failure::BadAnswer("is too large: ask for less"));
        }
        if bytes.is_empty() {
            return Ok("null".to_owned());
        }
        let text = String::from_utf8(bytes).map_err(|_| Failure::BadAnswer("is no JSON; try again later"))?;
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(Failure::BadAnswer("is no JSON; try again later")),
        }
    }
    .with_subscriber(NoSubscriber::default())
}

/// The request as the client takes it.
fn build(request: Request) -> Result<twilight_http::request::Request, Failure> {
    const BAD: Failure =
        Failure::BadAnswer("cannot be asked for: a part of the request has no form on the wire");
    let method = match request.verb {
        Verb::Get => Method::Get,
        Verb::Post => Method::Post,
        Verb::Put => Method::Put,
        Verb::Patch => Method::Patch,
        Verb::Delete => Method::Delete,
    };
    let mut builder =
        RequestBuilder::raw(method, request.path).use_authorization_token(!request.has_own_token);
    let body = request.body.as_ref().map(serde_json::to_vec).transpose().map_err(|_| BAD)?;
    if request.files.is_empty() {
        if let Some(body) = body {
            builder = builder.body(body);
        }
    } else {
        let mut form = Form::new().json_part(b"payload_json", body.as_deref().unwrap_or(b"{}"));
        for (index, file) in request.files.iter().enumerate() {
            let name = format!("files[{index}]");
            form = form.file_part(name.as_bytes(), file.name.as_bytes(), &file.content);
        }
        builder = builder.form(form);
    }
    if let Some(reason) = request.reason {
        let encoded = super::validate::percent_encoded(&reason);
        let value = HeaderValue::from_str(&encoded).map_err(|_| BAD)?;
        let name = HeaderName::from_static("x-audit-log-reason");
        builder = builder.headers(std::iter::once((name, value)));
    }
    builder.build().map_err(|_| BAD)
}

/// What went wrong, without anything that is nobody's business.
fn failure(error: &Error, has_own_token: bool) -> Failure {
    match error.kind() {
        ErrorType::Response { status, body, .. } => refused(status.get(), body, has_own_token),
        // Discord's own errors are JSON; others come from what stands before it.
        ErrorType::Parsing { .. } => Failure::BadAnswer("is no JSON; it may or may not have been done"),
        ErrorType::Unauthorized => Failure::BadToken,
        ErrorType::RequestCanceled => Failure::RateLimited,
        ErrorType::RequestTimedOut => Failure::TimedOut,
        _ => Failure::Disconnected,
    }
}

fn refused(status: u16, body: &[u8], has_own_token: bool) -> Failure {
    match status {
        401 if !has_own_token => Failure::BadToken,
        429 => Failure::RateLimited,
        500.. => Failure::Failed { status },
        _ => Failure::Refused { status, text: explained(status, body) },
    }
}

/// What Discord says about a request that it refuses: the message, and each field that is wrong.
fn explained(status: u16, body: &[u8]) -> String {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = said.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    let code = said.get("code").and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!("{message} (status {status}, code {code})");
    if let Some(errors) = said.get("errors") {
        let mut left = 10;
        fields("data", errors, &mut left, &mut text);
    }
    text.chars().filter(|char| !char.is_control()).take(MOST_TEXT).collect()
}

/// The wrong fields in Discord's tree of them; no more than `left`.
fn fields(path: &str, errors: &Value, left: &mut usize, text: &mut String) {
    let Some(table) = errors.as_object() else { return };
    for (key, inner) in table {
        if *left == 0 || path.len() > 200 {
            return;
        }
        if key == "_errors" {
            for error in inner.as_array().into_iter().flatten().take(*left) {
                *left -= 1;
                let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
                text.push_str(&format!("; `{path}`: {message}"));
            }
        } else {
            // As Luau counts.
            let part = match key.parse::<u32>() {
                Ok(index) => format!("[{}]", index.saturating_add(1)),
                Err(_) => format!(".{key}"),
            };
            fields(&format!("{path}{part}"), inner, left, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_discord_says_is_told_with_its_fields_and_cut() {
        let body = br#"{"code": 50035, "message": "Invalid Form Body", "errors":
            {"embeds": {"0": {"title": {"_errors": [{"code": "X", "message": "Too long"}]}}}}}"#;
        let text = refused(400, body, false).to_string();
        assert_eq!(
            text,
            "Discord refused: Invalid Form Body (status 400, code 50035); `data.embeds[1].title`: Too long"
        );
        let long = format!(r#"{{"message": "{}"}}"#, "x".repeat(100_000));
        assert!(refused(400, long.as_bytes(), false).to_string().len() < MOST_TEXT + 50);
        assert_eq!(
            refused(403, b"<html>", false).to_string(),
            "Discord refused: no reason given (status 403, code 0)"
        );
    }

    #[test]
    fn a_refused_token_is_the_bots_only_where_the_bot_asked() {
        assert!(matches!(refused(401, b"{}", false), Failure::BadToken));
        assert!(matches!(refused(401, b"{}", true), Failure::Refused { status: 401, .. }));
        assert!(matches!(refused(502, b"", false), Failure::Failed { status: 502 }));
    }

    #[tokio::test]
    async fn without_a_token_everybody_is_told_how_to_set_one() {
        let rest = Rest::new(&DiscordConfig::default());
        let guild = GuildId::new(1).unwrap();
        let text = rest.send(guild, Request::look("guilds/1".to_owned())).await.unwrap_err().to_string();
        assert!(text.contains("`discord.token`"), "{text}");
    }
}
