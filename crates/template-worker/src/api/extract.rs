//! What a handler is given of a request, checked: bodies, path parts, query strings, versions.
//!
//! Owns the refusal of what is malformed, too large or unknown, in words that show the way out. Who sent it is `auth`'s
//! business; what the values mean is the handlers'.

use std::borrow::Cow;
use std::error::Error as _;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{self, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use tokio_stream::StreamExt as _;

use super::error::ApiError;
use super::problem::Problem;
use crate::app::App;
use crate::ids::{ThreadId, TokenId};
use crate::storage::kv::KvId;
use crate::template::TemplateName;

/// How long a body may take to arrive: a client that trickles holds one of the places of `max_requests_in_flight`.
const BODY_TIME: Duration = Duration::from_secs(30);
/// A body that is too large is read on for so many times the limit, and thrown away: a client that still sends when the
/// connection closes would never see the answer.
const DRAINED_LIMITS: usize = 8;
/// Characters of each end of a message that are shown; a message may hold what the client sent.
const SHOWN: usize = 200;

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = read_json(request, app.config.server.max_body_bytes, BODY_TIME).await?;
        parse(&bytes).map(Self)
    }
}

/// The bytes of a body that is declared as JSON, has at most `limit` of them, and arrives `within` a time.
async fn read_json(request: Request, limit: usize, within: Duration) -> Result<Bytes, ApiError> {
    let (parts, body) = request.into_parts();
    check_content_type(&parts.headers)?;
    let too_large = || {
        let detail = format!("a body may have at most {limit} bytes (`server.max_body_bytes`)");
        ApiError::new(Problem::TooLarge, detail)
    };
    // A client that asks first has not sent anything yet.
    let declared = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if parts.headers.contains_key(EXPECT) && declared.is_some_and(|length: usize| length > limit) {
        return Err(too_large());
    }
    match tokio::time::timeout(within, collect(body, limit)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(Problem::InvalidJson, "the body ended before it was complete")),
        Err(_) => {
            let detail = format!("a body must arrive within {} seconds", within.as_secs());
            Err(ApiError::new(Problem::BodyTooSlow, detail))
        }
    }
}

/// The whole body; `None` where it has more than `limit` bytes.
async fn collect(body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut chunks = body.into_data_stream();
    let mut kept = Vec::new();
    let mut seen: usize = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        seen = seen.saturating_add(chunk.len());
        if seen <= limit {
            kept.extend_from_slice(&chunk);
        } else {
            kept = Vec::new();
        }
        if seen > limit.saturating_mul(DRAINED_LIMITS) {
            break;
        }
    }
    Ok((seen <= limit).then(|| kept.into()))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.map(|value| value.split(';').next().unwrap_or(value).trim());
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(ApiError::new(Problem::UnsupportedMediaType, "send the body with `content-type: application/json`"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        ApiError::new(Problem::NotUnicode, detail)
    })?;
    if !text.trim_start().starts_with('{') {
        // Serde would take a list for a struct, its fields by their position.
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| refused(&error))?;
        return Err(ApiError::new(Problem::InvalidJson, "expected a JSON object: `{ .. }`"));
    }
    serde_json::from_str(text).map_err(|error| match (error.classify(), Json::<T>::from_bytes(bytes)) {
        // The same once more, and slower, but it knows in which field the value is wrong.
        (Category::Data, Err(JsonRejection::JsonDataError(at))) if !is_unknown_field(&error) => {
            let text = at.source().map_or_else(|| error.to_string(), ToString::to_string);
            ApiError::new(Problem::InvalidJson, shortened(&text))
        }
        _ => refused(&error),
    })
}

fn refused(error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    let problem = match error.classify() {
        // JSON can spell half of a character (`"\ud800"`), which no text can hold.
        Category::Syntax if message.contains("hex escape at line") => Problem::NotUnicode,
        Category::Data if is_unknown_field(error) => Problem::UnknownField,
        _ => Problem::InvalidJson,
    };
    ApiError::new(problem, shortened(&message))
}

/// Serde tells it by its words alone.
fn is_unknown_field(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("unknown field")
}

/// `text` without its middle, where it is long.
fn shortened(text: &str) -> Cow<'_, str> {
    let start = text.char_indices().nth(SHOWN).map(|(at, _)| at);
    let end = text.char_indices().nth_back(SHOWN - 1).map(|(at, _)| at);
    match (start, end) {
        (Some(start), Some(end)) if start < end => {
            let (head, tail) = (text.get(..start), text.get(end..));
            Cow::Owned(format!("{}…{}", head.unwrap_or_default(), tail.unwrap_or_default()))
        }
        _ => Cow::Borrowed(text),
    }
}

/// The parameters of the query string; keys that `T` doesn't have are refused.
pub(super) struct QueryOf<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse_query(&parts.uri).map(Self)
    }
}

fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    extract::Query::try_from_uri(uri).map(|extract::Query(query)| query).map_err(|rejection| {
        let text = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
        let text = text.replace("unknown field", "unknown parameter").replace("no fields", "no parameters");
        // Where a value is wrong, its key stands in front; an unknown key would be there twice.
        let text = text.find("unknown parameter").and_then(|at| text.get(at..)).unwrap_or(&text);
        ApiError::new(Problem::InvalidQuery, shortened(text))
    })
}

/// Nothing: the operation has no parameters in the query string.
pub(super) struct NoQuery;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse_query(&parts.uri).map(|NoParameters {}| Self)
    }
}

/// The part of the path that is called `name`; a text that isn't a `T` is the `problem`.
pub(super) async fn path_part<T: FromStr<Err: ToString>>(
    parts: &mut Parts,
    name: &str,
    problem: Problem,
) -> Result<T, ApiError> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| {
        ApiError::new(Problem::InvalidUrl, "the path is not UTF-8 where it is percent-encoded")
    })?;
    let text = params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value);
    text.parse().map_err(|error| ApiError::from_text(problem, &error))
}

/// The name of a template in the path.
pub(super) struct TemplatePath(pub(super) TemplateName);

impl<S: Sync> FromRequestParts<S> for TemplatePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        path_part(parts, "name", Problem::InvalidTemplateName).await.map(Self)
    }
}

/// The name of a secret in the path, as it was written.
pub(super) struct SecretPath(pub(super) String);

impl<S: Sync> FromRequestParts<S> for SecretPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        path_part(parts, "name", Problem::InvalidUrl).await.map(Self)
    }
}

/// The end of the URL of an object, as it was written.
pub(super) struct ObjectPath(pub(super) String);

impl<S: Sync> FromRequestParts<S> for ObjectPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        path_part(parts, "token", Problem::InvalidUrl).await.map(Self)
    }
}

/// The id of a token in the path.
pub(super) struct TokenPath(pub(super) TokenId);

impl<S: Sync> FromRequestParts<S> for TokenPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        path_part(parts, "id", Problem::InvalidTokenId).await.map(Self)
    }
}

/// The id of a record in the path; `None` where it cannot be one.
pub(super) struct RecordPath(pub(super) Option<KvId>);

impl<S: Sync> FromRequestParts<S> for RecordPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let id: String = path_part(parts, "id", Problem::InvalidUrl).await?;
        Ok(Self(KvId::sent(&id)))
    }
}

/// The number of a worker thread in the path.
pub(super) struct ThreadPath(pub(super) ThreadId);

impl<S: Sync> FromRequestParts<S> for ThreadPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        path_part(parts, "id", Problem::InvalidThreadId).await.map(Self)
    }
}

/// The version that the client has seen, from `If-Match: "3"`; `None` where it doesn't care.
pub(super) struct IfMatch(pub(super) Option<u32>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        no_if_none_match(&parts.headers)?;
        if_match(&parts.headers).map(Self)
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<u32>, ApiError> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let version =
        value.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    match version.filter(|_| values.next().is_none()) {
        Some(version) => Ok(Some(version)),
        None => Err(ApiError::new(
            Problem::InvalidIfMatch,
            "expected one version as the `ETag` of the template has it, such as `If-Match: \"3\"`",
        )),
    }
}

/// A client that sends it wants to create and never to replace, and must not believe that it is heard.
fn no_if_none_match(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(IF_NONE_MATCH) {
        let detail = "`If-None-Match` is not supported where something is changed; leave it out. `If-Match` with the \
                      version that you saw guards against changes by others";
        return Err(ApiError::new(Problem::InvalidIfMatch, detail));
    }
    Ok(())
}

/// Nothing: the operation doesn't compare versions, and says so rather than ignore a client's care.
pub(super) struct NoIfMatch;

impl<S: Sync> FromRequestParts<S> for NoIfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        no_if_none_match(&parts.headers)?;
        if parts.headers.contains_key(IF_MATCH) {
            let detail = "this method does not compare versions; leave `If-Match` out";
            return Err(ApiError::new(Problem::InvalidIfMatch, detail));
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests;
