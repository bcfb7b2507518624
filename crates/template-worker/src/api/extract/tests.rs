//! What a malformed, oversized or misdeclared request gets.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Body_ {
    files: BTreeMap<String, String>,
    #[serde(default)]
    paused: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<u32>,
    wait: Option<bool>,
}

fn refused(text: &str) -> (Problem, String) {
    let error = parse::<Body_>(text.as_bytes()).unwrap_err();
    (error.problem(), error.to_string())
}

fn request(content_type: Option<&'static str>, body: impl Into<Body>) -> Request {
    let mut request = Request::new(body.into());
    if let Some(content_type) = content_type {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    request
}

#[test]
fn malformed_json_is_refused_with_its_position() {
    let (problem, text) = refused("{\n  \"files\": {");
    assert_eq!(problem, Problem::InvalidJson);
    assert!(text.ends_with("at line 2 column 12"), "{text}");
    for text in ["", "nonsense", "{\"files\": {}} x", &"[".repeat(100_000)] {
        assert_eq!(refused(text).0, Problem::InvalidJson, "{:.20}", text);
    }
}

#[test]
fn an_unknown_field_is_named_beside_those_that_there_are() {
    let (problem, text) = refused(r#"{"files": {}, "pasued": true}"#);
    assert_eq!(problem, Problem::UnknownField);
    assert!(text.starts_with("unknown field `pasued`, expected `files` or `paused`"), "{text}");
}

#[test]
fn a_wrong_type_and_a_missing_field_are_named() {
    let (problem, text) = refused(r#"{"files": 3}"#);
    assert_eq!(problem, Problem::InvalidJson);
    assert!(text.starts_with("files: invalid type: integer `3`") && text.contains("line 1"), "{text}");
    assert!(refused("{}").1.contains("missing field `files`"));
    for no_object in ["null", "3", "\"x\"", "[{}, true]"] {
        assert_eq!(refused(no_object).0, Problem::InvalidJson, "{no_object}");
    }
}

#[test]
fn what_is_no_text_is_refused_whether_it_is_spelt_out_or_escaped() {
    for half in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x"] {
        assert_eq!(refused(&format!(r#"{{"files": {{"{half}": ""}}}}"#)).0, Problem::NotUnicode, "{half}");
    }
    let error = parse::<Body_>(b"{\"files\": {\"\xff\": \"\"}}").unwrap_err();
    assert_eq!(error.problem(), Problem::NotUnicode);
    assert!(error.to_string().contains("byte 12"), "{error}");
}

#[test]
fn an_error_never_repeats_much_of_the_input_and_keeps_its_end() {
    let long = "ä".repeat(100_000);
    let (problem, text) = refused(&format!(r#"{{"{long}": 1}}"#));
    assert_eq!(problem, Problem::UnknownField);
    assert!(text.chars().count() <= 2 * SHOWN + 1 && text.contains("expected `files`"), "{text}");
    assert!(refused(&format!(r#"{{"files": "{long}"}}"#)).1.len() < 1000);
    assert_eq!(shortened("short"), "short");
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    for fine in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert!(read_json(request(Some(fine), "{}"), 10, BODY_TIME).await.is_ok(), "{fine}");
    }
    for wrong in [None, Some("text/plain"), Some("application/jsonl"), Some("")] {
        let error = read_json(request(wrong, "{}"), 10, BODY_TIME).await.unwrap_err();
        assert_eq!(error.problem(), Problem::UnsupportedMediaType, "{wrong:?}");
        assert_eq!(error.problem().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn a_body_of_the_limit_passes_and_one_byte_more_is_refused_with_the_limit() {
    let json = Some("application/json");
    assert_eq!(read_json(request(json, "x".repeat(10)), 10, BODY_TIME).await.unwrap().len(), 10);
    let error = read_json(request(json, "x".repeat(11)), 10, BODY_TIME).await.unwrap_err();
    assert_eq!(error.problem(), Problem::TooLarge);
    assert!(error.to_string().contains("10 bytes"), "{error}");
    let chunks = (0..1_000_000).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"12345")));
    let endless = Body::from_stream(tokio_stream::iter(chunks));
    assert_eq!(
        read_json(request(json, endless), 10, BODY_TIME).await.unwrap_err().problem(),
        Problem::TooLarge
    );
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up() {
    let never = Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
    let request = request(Some("application/json"), never);
    let error = read_json(request, 10, Duration::from_millis(10)).await.unwrap_err();
    assert_eq!(error.problem(), Problem::BodyTooSlow);
}

#[test]
fn an_unknown_parameter_is_refused_and_named() {
    let query = |text: &str| parse_query::<Wanted>(&format!("/x{text}").parse().unwrap());
    assert_eq!(query("").unwrap(), Wanted { limit: None, wait: None });
    assert_eq!(query("?limit=3&wait=true").unwrap(), Wanted { limit: Some(3), wait: Some(true) });
    for wrong in ["?limt=3", "?limit=-1", "?limit=x", "?wait=maybe", "?limit=1&limit=2"] {
        let error = query(wrong).unwrap_err();
        assert_eq!(error.problem(), Problem::InvalidQuery, "{wrong}");
    }
    let text = query("?limt=3").unwrap_err().to_string();
    assert!(text.starts_with("unknown parameter `limt`") && text.contains("`limit`"), "{text}");
    assert!(query("?limit=x").unwrap_err().to_string().starts_with("limit: invalid digit"));
    let text = parse_query::<NoParameters>(&"/x?a=1".parse().unwrap()).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("unknown parameter `a`, there are no parameters"), "{text}");
}

#[test]
fn a_version_is_one_strong_etag() {
    let header = |text: &'static str| {
        if_match(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(text))])).map_err(|e| e.problem())
    };
    assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
    assert_eq!(header("\"3\""), Ok(Some(3)));
    for wrong in ["3", "W/\"3\"", "\"3\", \"4\"", "*", "\"\"", "\"-1\"", "\"99999999999\""] {
        assert_eq!(header(wrong), Err(Problem::InvalidIfMatch), "{wrong}");
    }
}

#[tokio::test]
async fn a_condition_that_is_not_supported_is_refused_rather_than_ignored() {
    let (mut parts, ()) =
        axum::http::Request::put("/").header(IF_NONE_MATCH, "*").body(()).unwrap().into_parts();
    let error = IfMatch::from_request_parts(&mut parts, &()).await.map(|_| ()).unwrap_err();
    assert_eq!(error.problem(), Problem::InvalidIfMatch);
    assert!(error.to_string().contains("`If-None-Match` is not supported"), "{error}");
    let error = NoIfMatch::from_request_parts(&mut parts, &()).await.map(|_| ()).unwrap_err();
    assert_eq!(error.problem(), Problem::InvalidIfMatch);
}
