//! Requests in the form that the client takes, and what came of them in words for template authors.
//!
//! Owns that nothing of a request gets into these words but what Discord says about its fields: paths hold tokens.

use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use twilight_http::error::{Error, ErrorType};
use twilight_http::request::{Form, Method, RequestBuilder};

use super::failure::{Doubt, Failure};
use super::rest::Request;
use super::table::Verb;
use super::validate::{File, percent_encoded};

/// Characters of what Discord says about a refused request.
const MOST_TEXT: usize = 1000;
/// Fields of a refused request that are told.
const MOST_FIELDS: usize = 10;

const BAD: Failure = Failure::BadAnswer("cannot be asked for: a part of the request has no form on the wire");

/// The request as the client takes it.
pub(super) fn request(request: Request) -> Result<twilight_http::request::Request, Failure> {
    let method = match request.verb {
        Verb::Get => Method::Get,
        Verb::Post => Method::Post,
        Verb::Put => Method::Put,
        Verb::Patch => Method::Patch,
        Verb::Delete => Method::Delete,
    };
    let body = json(&request)?;
    let mut builder =
        RequestBuilder::raw(method, request.path).use_authorization_token(!request.has_own_token);
    builder = match body {
        body if !request.files.is_empty() => builder.form(form(&request.files, body.as_deref())),
        Some(body) => builder.body(body),
        None => builder,
    };
    if let Some(reason) = request.reason {
        let value = HeaderValue::from_str(&percent_encoded(&reason)).map_err(|_| BAD)?;
        let name = HeaderName::from_static("x-audit-log-reason");
        builder = builder.headers(std::iter::once((name, value)));
    }
    builder.build().map_err(|_| BAD)
}

/// The body of a request with its type: JSON, or a form with files.
pub(super) fn payload(request: &Request) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let body = json(request)?;
    if request.files.is_empty() {
        return Ok((b"application/json".to_vec(), body.unwrap_or_default()));
    }
    let form = form(&request.files, body.as_deref());
    Ok((form.content_type(), form.build()))
}

fn json(request: &Request) -> Result<Option<Vec<u8>>, Failure> {
    request.body.as_ref().map(serde_json::to_vec).transpose().map_err(|_| BAD)
}

/// Files, and the JSON that they go with.
fn form(files: &[File], body: Option<&[u8]>) -> Form {
    let mut form = Form::new().json_part(b"payload_json", body.unwrap_or(b"{}"));
    for (index, file) in files.iter().enumerate() {
        let name = format!("files[{index}]");
        form = form.file_part(name.as_bytes(), file.name.as_bytes(), &file.content);
    }
    form
}

/// What went wrong with a request to `address`, without anything that is nobody's business.
pub(super) fn failure(error: &Error, address: &str, doubt: Doubt, has_own_token: bool) -> Failure {
    match error.kind() {
        ErrorType::Response { status, body, .. } => refused(status.get(), body, doubt, has_own_token),
        ErrorType::Parsing { .. } => Failure::NoJson { address: address.to_owned(), doubt },
        ErrorType::Unauthorized => Failure::BadToken,
        ErrorType::RequestCanceled => Failure::RateLimited,
        ErrorType::RequestTimedOut => Failure::TimedOut(doubt),
        _ if never_connected(error) => Failure::Unreachable { address: address.to_owned() },
        _ => Failure::Disconnected(doubt),
    }
}

/// Whether there was no connection to begin with: nothing has left.
fn never_connected(error: &Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut errors = causes.filter_map(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>());
    errors.any(hyper_util::client::legacy::Error::is_connect)
}

/// What an answer with an error says.
pub(super) fn refused(status: u16, body: &[u8], doubt: Doubt, has_own_token: bool) -> Failure {
    match status {
        401 if !has_own_token => Failure::BadToken,
        429 => Failure::RateLimited,
        500.. => Failure::Failed { status, doubt },
        _ => {
            let said: Value = serde_json::from_slice(body).unwrap_or_default();
            let code = said.get("code").and_then(Value::as_u64).unwrap_or_default();
            Failure::Refused { status, code, text: explained(status, code, &said) }
        }
    }
}

/// What Discord says about a request that it refuses: the message, and each field that is wrong.
fn explained(status: u16, code: u64, said: &Value) -> String {
    let message = said.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    let mut text = format!("{message} (status {status}, code {code})");
    if let Some(errors) = said.get("errors") {
        let mut left = MOST_FIELDS;
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
        let text = refused(400, body, Doubt::Nothing, false).to_string();
        assert_eq!(
            text,
            "Discord refused: Invalid Form Body (status 400, code 50035); `data.embeds[1].title`: Too long"
        );
        let long = format!(r#"{{"message": "{}"}}"#, "x".repeat(100_000));
        assert!(refused(400, long.as_bytes(), Doubt::Nothing, false).to_string().len() < MOST_TEXT + 50);
        let text = refused(403, b"<html>", Doubt::Nothing, false).to_string();
        assert_eq!(text, "Discord refused: no reason given (status 403, code 0)");
    }

    #[test]
    fn a_refused_token_is_the_bots_only_where_the_bot_asked() {
        assert!(matches!(refused(401, b"{}", Doubt::Nothing, false), Failure::BadToken));
        assert!(matches!(refused(401, b"{}", Doubt::Nothing, true), Failure::Refused { status: 401, .. }));
        assert!(matches!(refused(502, b"", Doubt::Nothing, false), Failure::Failed { status: 502, .. }));
    }
}
