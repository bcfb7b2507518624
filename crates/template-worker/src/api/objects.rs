//! Objects of which a template has given somebody the URL.
//!
//! Owns what a browser is told about a content that anybody may have made: a picture where it is one, and otherwise a file
//! to keep, which is never run. Whether a URL is good is said in `host::objects`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use super::error::ApiError;
use super::extract::{NoQuery, ObjectPath};
use super::openapi::ObjectParam;
use super::problem::{Problem, problems};
use crate::app::App;

/// What is shown instead of kept, by how it begins.
const PICTURES: [(&[u8], &str); 4] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
];

problems!(GetProblems: ADMITTED, InvalidUrl, InvalidQuery, NotFound);

/// Read an object
///
/// Needs no token: whoever has the URL may read it, until it ends, or the object is changed.
#[utoipa::path(get, path = "/objects/{token}", tag = "objects", params(ObjectParam),
    responses((status = 200, description = "The object", body = Vec<u8>, content_type = "application/octet-stream"),
        GetProblems))]
pub(super) async fn get_object(
    State(app): State<Arc<App>>,
    ObjectPath(token): ObjectPath,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let found = app.objects.shared(&token, OffsetDateTime::now_utc()).await.map_err(ApiError::internal)?;
    let Some(shared) = found else {
        let detail =
            "this URL has ended, or its object was changed or deleted; `get_file_url` makes a new one";
        return Err(ApiError::new(Problem::NotFound, detail));
    };
    let kind = picture(&shared.content);
    let disposition = if kind.is_some() { "inline" } else { "attachment" };
    let headers = [
        (CONTENT_TYPE, kind.unwrap_or("application/octet-stream").to_owned()),
        (CONTENT_DISPOSITION, format!("{disposition}; filename=\"{}\"", file_name(&shared.key))),
        (CACHE_CONTROL, format!("private, max-age={}", shared.lasts.as_secs())),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, shared.content).into_response())
}

/// What kind of picture it is.
fn picture(content: &[u8]) -> Option<&'static str> {
    let (_, kind) = PICTURES.into_iter().find(|(start, _)| content.starts_with(start))?;
    (kind != "image/webp" || content.get(8..12) == Some(b"WEBP")).then_some(kind)
}

/// The last part of a key, as far as it can stand in a header.
fn file_name(key: &str) -> String {
    let last = key.rsplit('/').next().unwrap_or(key);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    last.chars().take(100).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_is_a_file_to_keep() {
        assert_eq!(picture(b"\x89PNG\r\n\x1a\n.."), Some("image/png"));
        assert_eq!(picture(b"RIFF....WEBPVP8 "), Some("image/webp"));
        for other in [b"RIFF....WAVE".as_slice(), b"RIFF", b"<svg onload=x>", b"<html>", b"", b"\x89PNG"] {
            assert_eq!(picture(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_file_name_cannot_leave_its_header() {
        assert_eq!(file_name("a/b/c.txt"), "c.txt");
        assert_eq!(file_name("a\"; x=\"b\r\n\u{fc}"), "a___x__b___");
    }
}
