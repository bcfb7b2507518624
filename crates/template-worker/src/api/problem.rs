//! Every way in which a request can fail: its stable code, its status, its title. One table.
//!
//! Owns the table and the form of an error outside (RFC 9457). Which of them a request meets is said by whoever refuses
//! it, in `error` and in the handlers.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// What every error is sent as.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// A URI that stands for this kind of problem; it leads nowhere.
    #[serde(rename = "type")]
    #[schema(example = "urn:problem-type:template-worker:unknown_event")]
    pub(super) kind: String,
    /// The kind of problem in words, always the same for one code.
    #[schema(example = "There is no such event")]
    pub(super) title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub(super) status: u16,
    /// What went wrong this time, and what to do about it.
    pub(super) detail: String,
    /// The kind of problem, for programs; it never changes.
    #[schema(example = "unknown_event")]
    pub(super) code: &'static str,
    /// What is wrong in the template's files, for `does_not_compile`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<FileError>,
}

/// Something wrong in a file of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FileError {
    /// The file's path in the template.
    #[schema(example = "init.luau")]
    pub(super) file: String,
    /// The line, counted from 1.
    #[schema(example = 3)]
    pub(super) line: u32,
    /// What is wrong there.
    #[schema(example = "Expected 'end' (to close 'function' at line 1), got <eof>")]
    pub(super) message: String,
}

macro_rules! table {
    ($( $problem:ident: $status:ident $code:literal $title:literal, )+) => {
        /// A kind of problem; its line in the table has status, code and title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Problem { $( $problem, )+ }

        impl Problem {
            /// Status, code and title.
            const fn line(self) -> (StatusCode, &'static str, &'static str) {
                match self { $( Self::$problem => (StatusCode::$status, $code, $title), )+ }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[ $( Self::$problem, )+ ];
        }
    };
}

table! {
    InvalidUrl: BAD_REQUEST "invalid_url" "The URL is not text",
    InvalidGuildId: BAD_REQUEST "invalid_guild_id" "This is not a guild id",
    InvalidTokenId: BAD_REQUEST "invalid_token_id" "This is not a token id",
    InvalidThreadId: BAD_REQUEST "invalid_thread_id" "This is not the number of a thread",
    InvalidQuery: BAD_REQUEST "invalid_query" "The query string is wrong",
    InvalidIfMatch: BAD_REQUEST "invalid_if_match" "The If-Match header is wrong",
    InvalidJson: BAD_REQUEST "invalid_json" "The body is not the JSON that is expected",
    UnknownField: BAD_REQUEST "unknown_field" "The body has a field that does not exist",
    InvalidEvent: BAD_REQUEST "invalid_event" "The data of the event cannot be taken in",
    Unauthorized: UNAUTHORIZED "unauthorized" "A valid token is needed",
    MissingRight: FORBIDDEN "missing_right" "The token lacks a right",
    AdminOnly: FORBIDDEN "admin_only" "Only an admin may do this",
    DrillsDisabled: FORBIDDEN "drills_disabled" "Drills are switched off",
    NotFound: NOT_FOUND "not_found" "There is no such thing",
    MethodNotAllowed: METHOD_NOT_ALLOWED "method_not_allowed" "This URL does not know the method",
    BodyTooSlow: REQUEST_TIMEOUT "body_too_slow" "The body did not arrive in time",
    NoVm: CONFLICT "no_vm" "The guild has no VM",
    VmBroken: CONFLICT "vm_broken" "The guild's VM is broken",
    VersionConflict: PRECONDITION_FAILED "version_conflict" "The template was changed by someone else",
    TooLarge: PAYLOAD_TOO_LARGE "too_large" "The request is too large",
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is not declared as JSON",
    NotUnicode: UNPROCESSABLE_ENTITY "not_unicode" "The body holds what is not text",
    InvalidTemplateName: UNPROCESSABLE_ENTITY "invalid_template_name" "The name cannot be that of a template",
    InvalidPath: UNPROCESSABLE_ENTITY "invalid_path" "A path leads out of the template",
    NoEntry: UNPROCESSABLE_ENTITY "no_entry" "The template has no file to start with",
    TooManyFiles: UNPROCESSABLE_ENTITY "too_many_files" "The template has too many files",
    DoesNotCompile: UNPROCESSABLE_ENTITY "does_not_compile" "The template does not compile",
    UnknownEvent: UNPROCESSABLE_ENTITY "unknown_event" "There is no such event",
    UnknownCapability: UNPROCESSABLE_ENTITY "unknown_capability" "There is no such capability",
    UnknownRight: UNPROCESSABLE_ENTITY "unknown_right" "There is no such right",
    InvalidValue: UNPROCESSABLE_ENTITY "invalid_value" "A value is not acceptable",
    TooManySecrets: UNPROCESSABLE_ENTITY "too_many_secrets" "The guild has too many secrets",
    TooManyTemplates: UNPROCESSABLE_ENTITY "too_many_templates" "The guild has too many templates",
    KvFull: UNPROCESSABLE_ENTITY "kv_full" "The guild has too many keys, or stores too much",
    Refused: UNPROCESSABLE_ENTITY "refused" "The VM refuses this",
    GuildBusy: TOO_MANY_REQUESTS "guild_busy" "The guild has too much to do",
    ThreadBusy: TOO_MANY_REQUESTS "thread_busy" "The guild's thread has too much to do",
    Internal: INTERNAL_SERVER_ERROR "internal" "Something failed on our side",
    Overloaded: SERVICE_UNAVAILABLE "overloaded" "The service has too much to do",
    NotReady: SERVICE_UNAVAILABLE "not_ready" "The service is not ready",
    ShuttingDown: SERVICE_UNAVAILABLE "shutting_down" "The service is shutting down",
    ThreadStuck: GATEWAY_TIMEOUT "thread_stuck" "The thread does not answer",
}

impl Problem {
    /// The HTTP status.
    pub(super) const fn status(self) -> StatusCode {
        self.line().0
    }

    /// The form outside, with what went wrong this time.
    pub(super) fn body(self, detail: String, errors: Vec<FileError>) -> ProblemBody {
        let (status, code, title) = self.line();
        let kind = format!("urn:problem-type:template-worker:{code}");
        ProblemBody { kind, title, status: status.as_u16(), detail, code, errors }
    }

    /// What any request may meet that has to be let in.
    pub(super) const ADMITTED: &[Self] = &[Self::Internal, Self::Overloaded, Self::ShuttingDown];

    /// What any request under `/api/v1` may meet.
    pub(super) const ANY: &[Self] =
        &[Self::InvalidUrl, Self::InvalidQuery, Self::Internal, Self::Overloaded, Self::ShuttingDown];

    /// What a request to something of a guild may meet.
    pub(super) const IN_GUILD: &[Self] =
        &[Self::Unauthorized, Self::InvalidGuildId, Self::MissingRight, Self::NotFound, Self::GuildBusy];

    /// What a request that is for admins may meet.
    pub(super) const FOR_ADMINS: &[Self] = &[Self::Unauthorized, Self::AdminOnly];

    /// What a request with a body may meet.
    pub(super) const WITH_BODY: &[Self] = &[
        Self::InvalidJson,
        Self::UnknownField,
        Self::BodyTooSlow,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::NotUnicode,
    ];

    /// What a request that needs a VM may meet.
    pub(super) const OF_DISPATCH: &[Self] = &[Self::GuildBusy, Self::ThreadBusy];

    /// The responses of an operation that may end in these problems, for the OpenAPI document.
    pub(super) fn responses(sets: &[&[Self]]) -> BTreeMap<String, RefOr<Response>> {
        let mut by_status: BTreeMap<u16, Vec<Self>> = BTreeMap::new();
        for problem in sets.iter().copied().flatten() {
            let known = by_status.entry(problem.status().as_u16()).or_default();
            if !known.contains(problem) {
                known.push(*problem);
            }
        }
        by_status
            .into_iter()
            .map(|(status, problems)| (status.to_string(), Self::response(&problems).into()))
            .collect()
    }

    /// One response that stands for all of `problems`, which share a status.
    fn response(problems: &[Self]) -> Response {
        let titles: Vec<&str> = problems.iter().map(|problem| problem.line().2).collect();
        let content = problems.iter().fold(
            ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))),
            |content, problem| {
                let (_, code, title) = problem.line();
                let example = ExampleBuilder::new().summary(title).value(Some(problem.example()));
                content.examples_from_iter([(code, example.build())])
            },
        );
        let response = ResponseBuilder::new().description(titles.join("; "));
        response.content(CONTENT_TYPE, content.build()).build()
    }

    fn example(self) -> serde_json::Value {
        let errors = match self {
            Self::DoesNotCompile => vec![FileError {
                file: "init.luau".to_owned(),
                line: 3,
                message: "Expected identifier when parsing expression, got <eof>".to_owned(),
            }],
            _ => Vec::new(),
        };
        let detail = match self {
            Self::UnknownEvent => "`MESAGE_CREATE` is not an event; did you mean `MESSAGE_CREATE`?",
            Self::MissingRight => {
                "this token lacks the right `templates:write`; ask an admin for one that has it"
            }
            Self::InvalidJson => "EOF while parsing a string at line 1 column 12",
            Self::VersionConflict => "the template is in version 3 by now; read it again",
            other => other.line().2,
        };
        json!(self.body(detail.to_owned(), errors))
    }
}

/// Names the problems that an operation may end in: a type to list among its `responses(..)`.
macro_rules! problems {
    ($(#[$doc:meta])* $name:ident: $($set:ident)|+ $(, $problem:ident)* $(,)?) => {
        $(#[$doc])*
        pub(super) enum $name {}

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                use $crate::api::problem::Problem;
                Problem::responses(&[$(Problem::$set,)+ &[$(Problem::$problem),*]])
            }
        }
    };
}
pub(super) use problems;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_snake_case_and_stands_for_one_problem() {
        let codes: BTreeSet<&str> = Problem::ALL.iter().map(|problem| problem.line().1).collect();
        assert_eq!(codes.len(), Problem::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        }
    }

    #[test]
    fn every_problem_is_an_error_in_http() {
        for problem in Problem::ALL {
            let status = problem.status();
            assert!(status.is_client_error() || status.is_server_error(), "{problem:?} is {status}");
        }
    }

    #[test]
    fn the_form_outside_is_that_of_rfc_9457() {
        let body = json!(Problem::UnknownEvent.body("no".to_owned(), Vec::new()));
        let expected = json!({
            "type": "urn:problem-type:template-worker:unknown_event",
            "title": "There is no such event",
            "status": 422,
            "detail": "no",
            "code": "unknown_event",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn problems_of_one_status_share_a_response_with_an_example_each() {
        let responses = json!(Problem::responses(&[Problem::FOR_ADMINS, Problem::IN_GUILD]));
        let examples = &responses["403"]["content"][CONTENT_TYPE]["examples"];
        assert_eq!(examples["missing_right"]["value"]["status"], 403, "{responses:#}");
        assert_eq!(examples["admin_only"]["value"]["code"], "admin_only");
        assert!(responses["401"]["content"][CONTENT_TYPE]["examples"]["unauthorized"].is_object());
    }
}
