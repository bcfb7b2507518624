//! `{{secret:NAME}}` in a request: found, filled in on the way out, and masked in what comes back.
//!
//! Owns the form of a placeholder and where it is looked for: in the values of headers and in bodies that are text. Not in
//! URLs, which are shown and logged on both sides. Which secrets there are is for the vault.

use std::collections::BTreeSet;

use memchr::memmem;

use super::{MOST_NAME_BYTES, Secret, SecretsError, is_name};
use crate::host::http::{HttpRequest, HttpResponse};

const START: &str = "{{secret:";
const END: &str = "}}";
/// Stands in an answer for the value of a secret. No longer than the shortest value, so that an answer never grows.
const MASK: &[u8] = b"[secret]";

/// How a value has to be written where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// Inside of a JSON string.
    Json,
    /// In a form, percent-encoded.
    Encoded,
}

impl Form {
    /// That of a body with these headers.
    fn of_body(headers: &[(String, Vec<u8>)]) -> Self {
        let named = |(name, _): &&(String, Vec<u8>)| name.eq_ignore_ascii_case("content-type");
        let kind =
            headers.iter().find(named).map(|(_, value)| value.to_ascii_lowercase()).unwrap_or_default();
        let says = |what: &str| memmem::find(&kind, what.as_bytes()).is_some();
        if says("json") {
            Self::Json
        } else if says("x-www-form-urlencoded") {
            Self::Encoded
        } else {
            Self::Plain
        }
    }

    fn write(self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Encoded => value.bytes().fold(String::new(), |mut text, byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    text.push_str(&format!("%{byte:02X}"));
                }
                text
            }),
        }
    }
}

/// The names of all secrets that `request` has placeholders for.
pub(super) fn mentioned(request: &HttpRequest) -> BTreeSet<String> {
    let values = request.headers.iter().map(|(_, value)| value);
    let texts = values.chain([&request.body]).filter_map(|bytes| std::str::from_utf8(bytes).ok());
    texts.flat_map(placeholders).map(|(_, name)| name.to_owned()).collect()
}

/// What was most likely meant as a placeholder and is none: it would go out as it stands.
///
/// # Errors
/// `InUrl`, `Misspelt`.
pub(super) fn check(request: &HttpRequest) -> Result<(), SecretsError> {
    let url = request.url.to_ascii_lowercase();
    if ["{{secret", "%7b%7bsecret"].iter().any(|start| url.contains(start)) {
        return Err(SecretsError::InUrl);
    }
    let values = request.headers.iter().map(|(_, value)| value);
    let mut texts = values.chain([&request.body]).filter_map(|bytes| std::str::from_utf8(bytes).ok());
    match texts.find_map(misspelt) {
        Some(name) => Err(SecretsError::Misspelt { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// The name in the first `{{ secret : NAME }}`, `{{secrets:NAME}}` and the like in `text`.
fn misspelt(text: &str) -> Option<&str> {
    memmem::find_iter(text.as_bytes(), "{{").find_map(|at| {
        let inside = text.get(at + 2..)?;
        // Room for the longest name, and for some blanks.
        let inside = inside.get(..inside.floor_char_boundary(MOST_NAME_BYTES + 32))?;
        let (word, name) = inside.split_once(END)?.0.split_once(':')?;
        let is_meant = ["secret", "secrets"].iter().any(|known| word.trim().eq_ignore_ascii_case(known));
        let is_right = word == "secret" && name == name.trim();
        (is_meant && !is_right && is_name(name.trim())).then_some(name.trim())
    })
}

/// Where placeholders begin in `text`, and their names. What only looks like one is not.
fn placeholders(text: &str) -> impl Iterator<Item = (usize, &str)> {
    memmem::find_iter(text.as_bytes(), START).filter_map(|at| {
        let rest = text.get(at + START.len()..)?;
        // Without the bound, a text of nothing but beginnings would be searched to its end for each of them.
        let most = rest.len().min(MOST_NAME_BYTES + END.len());
        let end = memmem::find(&rest.as_bytes()[..most], END.as_bytes())?;
        let name = rest.get(..end)?;
        is_name(name).then_some((at, name))
    })
}

/// Puts the values of `secrets` where their placeholders are. No header and no body grows beyond `most` bytes.
pub(super) fn fill(request: &mut HttpRequest, secrets: &[Secret], most: usize) -> Result<(), SecretsError> {
    let form = Form::of_body(&request.headers);
    for (_, value) in &mut request.headers {
        fill_one(value, secrets, Form::Plain, most)?;
    }
    fill_one(&mut request.body, secrets, form, most)
}

fn fill_one(bytes: &mut Vec<u8>, secrets: &[Secret], form: Form, most: usize) -> Result<(), SecretsError> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    let mut filled = String::new();
    let mut done = 0;
    for (at, name) in placeholders(text) {
        let secret = secrets
            .iter()
            .find(|secret| secret.name == name)
            .ok_or_else(|| SecretsError::NoSuchSecret { name: name.to_owned() })?;
        // What stands between was no placeholder, or the end of this one.
        filled.push_str(text.get(done..at).unwrap_or_default());
        filled.push_str(&form.write(&secret.value));
        done = at + START.len() + name.len() + END.len();
        if filled.len() > most {
            return Err(SecretsError::TooLarge { limit: most });
        }
    }
    if done > 0 {
        filled.push_str(text.get(done..).unwrap_or_default());
        *bytes = filled.into_bytes();
    }
    Ok(())
}

/// Puts a mask where values of `secrets` come back in `response`, in any form in which they may have been sent.
pub(super) fn mask(response: &mut HttpResponse, secrets: &[Secret]) {
    let forms = [Form::Plain, Form::Json, Form::Encoded];
    let mut values: Vec<String> =
        secrets.iter().flat_map(|secret| forms.map(|form| form.write(&secret.value))).collect();
    // A value may be the beginning of another, whose rest would be left over.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    for value in &values {
        for (_, header) in &mut response.headers {
            mask_one(header, value.as_bytes());
        }
        mask_one(&mut response.body, value.as_bytes());
    }
}

fn mask_one(bytes: &mut Vec<u8>, value: &[u8]) {
    let found: Vec<usize> = memmem::find_iter(bytes, value).collect();
    if found.is_empty() {
        return;
    }
    let mut masked = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for at in found {
        masked.extend_from_slice(&bytes[done..at]);
        masked.extend_from_slice(MASK);
        done = at + value.len();
    }
    masked.extend_from_slice(&bytes[done..]);
    *bytes = masked;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    fn secrets() -> Vec<Secret> {
        let secret = |name: &str, value: &str| Secret { name: name.to_owned(), value: value.to_owned() };
        vec![secret("KEY", "k3y-value"), secret("ODD", "a\"b\\c d+é/"), secret("KEY_2", "k3y-value-2")]
    }

    fn request(kind: &str, body: &str) -> HttpRequest {
        HttpRequest {
            method: "POST".to_owned(),
            url: "https://api.example.com/{{secret:KEY}}".to_owned(),
            headers: vec![
                ("Content-Type".to_owned(), kind.into()),
                ("authorization".to_owned(), b"Bearer {{secret:KEY}}".to_vec()),
            ],
            body: body.into(),
            timeout: None,
        }
    }

    fn body(kind: &str, body: &str) -> String {
        let mut request = request(kind, body);
        fill(&mut request, &secrets(), MOST).unwrap();
        assert_eq!(request.headers[1].1, b"Bearer k3y-value");
        assert_eq!(request.url, "https://api.example.com/{{secret:KEY}}", "URLs are shown");
        String::from_utf8(request.body).unwrap()
    }

    #[test]
    fn a_placeholder_becomes_the_value_as_it_is_written_there() {
        assert_eq!(body("text/plain", "a {{secret:ODD}} b {{secret:KEY}}"), "a a\"b\\c d+é/ b k3y-value");
        let json = body(
            "application/vnd.api+json; charset=utf-8",
            r#"{"k": "{{secret:ODD}}", "l": "{{secret:KEY}}"}"#,
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["k"], "a\"b\\c d+é/");
        let form = body("application/x-www-form-urlencoded", "k={{secret:ODD}}&l={{secret:KEY}}");
        assert_eq!(form, "k=a%22b%5Cc%20d%2B%C3%A9%2F&l=k3y-value");
    }

    #[test]
    fn what_only_looks_like_a_placeholder_stays() {
        for text in ["{{secret:}}", "{{secret:KEY}", "{{secret:K EY}}", "{secret:KEY}", "{{secret:"] {
            assert_eq!(body("text/plain", text), text);
        }
        assert_eq!(
            body("text/plain", "{{secret:{{secret:KEY}}}}"),
            "{{secret:k3y-value}}",
            "it is filled once"
        );
        let mut bytes = request("text/plain", "");
        bytes.body = [b"\xff".as_slice(), b"{{secret:KEY}}"].concat();
        let before = bytes.body.clone();
        fill(&mut bytes, &secrets(), MOST).unwrap();
        assert_eq!(bytes.body, before, "it is no text");
    }

    #[test]
    fn what_was_meant_as_a_placeholder_does_not_go_out_as_it_stands() {
        let text = |body: &str, url: &str| {
            let request = HttpRequest { url: url.to_owned(), ..request("text/plain", body) };
            check(&request).map_err(|error| error.to_string())
        };
        let fine = "https://api.example.com/";
        for body in [
            "",
            "{{secret:KEY}}",
            "{{name}} secret: {{x:KEY}}",
            "{{secret:K EY}}",
            "{{secret:",
            "{{secrets}}",
        ] {
            assert_eq!(text(body, fine), Ok(()), "{body}");
        }
        for body in ["{{ secret:KEY }}", "{{secrets:KEY}}", "{{SECRET:KEY}}", "a {{x}} {{secret: KEY}}"] {
            let error = text(body, fine).unwrap_err();
            assert!(error.contains("`{{secret:KEY}}`"), "{body}: {error}");
        }
        for url in ["https://a.b/?k={{secret:KEY}}", "https://a.b/%7B%7Bsecret:KEY%7D%7D"] {
            let error = text("", url).unwrap_err();
            assert!(error.contains("in a header or in the body"), "{url}: {error}");
        }
        assert_eq!(text(&"{{".repeat(100_000), fine), Ok(()));
    }

    #[test]
    fn all_names_are_found_and_an_unknown_one_fails() {
        let mut wanted = request("text/plain", "{{secret:B}}{{secret:A}} {{secret:B}}");
        assert_eq!(mentioned(&wanted).into_iter().collect::<Vec<_>>(), ["A", "B", "KEY"]);
        let error = fill(&mut wanted, &secrets(), MOST).unwrap_err();
        assert!(error.to_string().contains("`B`"), "{error}");
    }

    #[test]
    fn many_placeholders_do_not_grow_without_end() {
        let mut many = request("text/plain", &"{{secret:KEY_2}}".repeat(1000));
        let long = [Secret { name: "KEY_2".to_owned(), value: "x".repeat(4096) }, secrets().remove(0)];
        let error = fill(&mut many, &long, 100_000).unwrap_err();
        assert!(matches!(error, SecretsError::TooLarge { limit: 100_000 }), "{error}");
        let half = request("text/plain", &START.repeat(100_000));
        assert_eq!(mentioned(&half).len(), 1);
    }

    #[test]
    fn what_comes_back_is_masked_in_every_form() {
        let json = Form::Json.write("a\"b\\c d+é/");
        let encoded = Form::Encoded.write("a\"b\\c d+é/");
        let mut response = HttpResponse {
            url: String::new(),
            status: 200,
            headers: vec![
                ("x-echo".to_owned(), b"Bearer k3y-value-2".to_vec()),
                ("x".to_owned(), b"y".to_vec()),
            ],
            body: format!("k3y-value k3y-value-2 {json} {encoded} a\"b\\c d+é/ k3y").into_bytes(),
        };
        mask(&mut response, &secrets());
        assert_eq!(response.headers[0].1, b"Bearer [secret]");
        assert_eq!(response.headers[1].1, b"y");
        let text = String::from_utf8(response.body).unwrap();
        assert_eq!(text, "[secret] [secret] [secret] [secret] [secret] k3y");
    }
}
