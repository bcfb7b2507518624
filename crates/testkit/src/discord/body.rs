//! Bodies of requests: JSON, or a form of several parts with JSON in `payload_json` and files beside it.

use serde_json::Value;

use super::openapi::Problem;

/// A body as it came.
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// JSON, and the files that came with it.
    Json(Value, Vec<File>),
    /// Something else.
    Unreadable(String),
}

/// A file in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The number in `files[n]`, to which attachments refer.
    pub field: String,
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Body {
    /// The JSON, if there is some.
    pub fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value, _) => Some(value),
            Self::Empty | Self::Unreadable(_) => None,
        }
    }

    /// The files.
    pub fn files(&self) -> &[File] {
        match self {
            Self::Json(_, files) => files,
            Self::Empty | Self::Unreadable(_) => &[],
        }
    }
}

pub(super) fn read(kind: Option<&str>, bytes: &[u8]) -> Body {
    let kind = kind.unwrap_or_default();
    if bytes.is_empty() {
        return Body::Empty;
    }
    if let Some(boundary) = kind.strip_prefix("multipart/form-data; boundary=") {
        return read_form(boundary.trim_matches('"'), bytes);
    }
    match serde_json::from_slice(bytes) {
        Ok(value) if kind.starts_with("application/json") => Body::Json(value, Vec::new()),
        Ok(_) => Body::Unreadable(format!("a body of the type {kind:?}")),
        Err(error) => Body::Unreadable(format!("a body that is no JSON: {error}")),
    }
}

/// What is wrong with a body before anybody looks into it.
pub(super) fn check(body: &Body) -> Option<Problem> {
    match body {
        Body::Unreadable(what) => Some(Problem::new("", what)),
        Body::Empty | Body::Json(..) => None,
    }
}

fn read_form(boundary: &str, bytes: &[u8]) -> Body {
    let (mut json, mut files) = (Value::Object(serde_json::Map::new()), Vec::new());
    let mark = format!("--{boundary}");
    for part in split(bytes, mark.as_bytes()).into_iter().skip(1) {
        let [head, content] = split(part, b"\r\n\r\n")[..] else { continue };
        let head = String::from_utf8_lossy(head);
        let content = content.strip_suffix(b"\r\n").unwrap_or(content);
        let named = |key: &str| {
            let (_, rest) = head.split_once(&format!("; {key}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        match (named("name").unwrap_or_default(), named("filename")) {
            (field, _) if field == "payload_json" => match serde_json::from_slice(content) {
                Ok(value) => json = value,
                Err(error) => return Body::Unreadable(format!("payload_json is no JSON: {error}")),
            },
            (field, name) => {
                let name = name.unwrap_or_else(|| field.clone());
                files.push(File { field, name, bytes: content.to_vec() });
            }
        }
    }
    Body::Json(json, files)
}

/// The pieces between `mark`, at most the rest after the second for marks inside a part's content.
fn split<'b>(bytes: &'b [u8], mark: &[u8]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        pieces.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
        if mark == b"\r\n\r\n" {
            break;
        }
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_has_json_and_files_with_any_bytes() {
        let form = b"--x\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{\"content\":\"hi\"}\r\n\
            --x\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a.bin\"\r\n\r\n\r\n\r\n\xff\r\n--x--\r\n";
        let body = read(Some("multipart/form-data; boundary=x"), form);
        assert_eq!(body.json(), Some(&json!({"content": "hi"})));
        let file =
            File { field: "files[0]".to_owned(), name: "a.bin".to_owned(), bytes: b"\r\n\r\n\xff".to_vec() };
        assert_eq!(body.files(), [file]);
    }

    #[test]
    fn what_is_no_json_is_a_problem() {
        for (kind, bytes) in [
            (Some("application/json"), &b"{"[..]),
            (None, b"{}"),
            (Some("text/plain"), b"hi"),
            (Some("multipart/form-data; boundary=x"), b"--x\r\n; name=\"payload_json\"\r\n\r\n{\r\n--x--"),
        ] {
            assert!(check(&read(kind, bytes)).is_some(), "{kind:?}");
        }
        assert!(check(&read(None, b"")).is_none());
    }
}
