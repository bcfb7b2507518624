//! The OpenAPI document: what is said once for all operations, and the pages that show it.
//!
//! Owns title, tags, the token scheme, parameters that many operations share, and headers that every response has. What
//! an operation takes and gives is said at its handler.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Info, OpenApi, RefOr, Required, Schema};
use utoipa::{IntoParams, OpenApi as _, PartialSchema as _};
use utoipa_scalar::Scalar;

use super::problem::{FileError, ProblemBody, problems};
use crate::ids::{GuildId, ThreadId, TokenId};
use crate::template::TemplateName;

#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(ProblemBody, FileError)),
    tags(
        (name = "templates", description = "Scripts of a guild, what they listen to, and what they may do."),
        (name = "events", description = "Sending events to a guild's templates."),
        (name = "vm", description = "The VM that all templates of a guild share, and that lives on between events."),
        (name = "limits", description = "What a guild may use: the service's limits, and those that differ for one guild."),
        (name = "kv", description = "What a guild's templates remember, and what becomes of it when its time has come."),
        (name = "secrets", description = "Values that templates can put into requests and never see."),
        (name = "objects", description = "What templates gave a URL to."),
        (name = "threads", description = "The workers that VMs live on, threads or processes, and all VMs on them."),
        (name = "tokens", description = "Who may use this API."),
        (name = "service", description = "For those who watch the service. No token needed."),
    ),
)]
struct Head;

const DESCRIPTION: &str = "Runs the Luau templates of Discord guilds. Ids of guilds, users and channels are strings; \
    times are RFC 3339 in UTC. Every error is `application/problem+json` (RFC 9457) with a stable `code`, and a `detail` \
    that says what to do. Every response carries `x-request-id`.";

const TOKEN: &str = "The first start prints the token of an admin. An admin makes others at `/api/v1/tokens`, also for a \
    guild alone and with some rights only: `templates:read`, `templates:write`, `events:dispatch`, `vm:manage`, \
    `kv:read`, `kv:write`, `logs:read` (which nothing asks for yet), `secrets:write`.";

/// The document without any operation.
pub(super) fn head() -> OpenApi {
    let mut document = Head::openapi();
    document.info = Info::builder()
        .title("template-worker")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(document.info.license.take())
        .build();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(TOKEN)).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    document
}

/// The document with what all of its operations share.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    let header = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(
            "The id of the request: yours, where you sent a plausible one. It is in the service's log.",
        ))
        .build();
    for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                response.headers.insert("x-request-id".to_owned(), RefOr::T(header.clone()));
            }
        }
    }
    document
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Parameters that many operations share, each as a type to list among `params(..)`.
macro_rules! params {
    ($( $(#[$doc:meta])* $name:ident: $place:ident $key:literal $required:ident $description:literal, $schema:expr; )+) => {
        $( $(#[$doc])*
        pub(super) enum $name {}

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                let schema: RefOr<Schema> = $schema;
                let parameter = ParameterBuilder::new()
                    .name($key)
                    .parameter_in(ParameterIn::$place)
                    .required(Required::$required)
                    .description(Some($description))
                    .schema(Some(schema));
                vec![parameter.build()]
            }
        } )+
    };
}

params! {
    /// The guild in the path.
    GuildParam: Path "guild_id" True "The Discord id of the guild.", GuildId::schema();
    /// The name of a template in the path.
    NameParam: Path "name" True "The name of the template.", TemplateName::schema();
    /// The id of a token in the path.
    TokenParam: Path "id" True "The id of the token.", TokenId::schema();
    /// The name of a secret in the path.
    SecretParam: Path "name" True "The name of the secret: letters, digits and underscores.",
        ObjectBuilder::new().schema_type(Type::String).examples(["API_KEY"]).into();
    /// What a URL of an object ends in.
    ObjectParam: Path "token" True "What `get_file_url` made.",
        ObjectBuilder::new().schema_type(Type::String).into();
    /// The number of a worker thread in the path.
    ThreadParam: Path "id" True "The number of the thread.", ThreadId::schema();
    /// The key of a record in the path.
    KeyParam: Path "key" True "The key; `/` and other signs percent-encoded.",
        ObjectBuilder::new().schema_type(Type::String).examples(["reminder:1"]).into();
    /// The id of a record in the path.
    RecordParam: Path "id" True "The id of the record.",
        ObjectBuilder::new().schema_type(Type::String).examples(["9fJ2mXw0pQ7cVbT4sKd1RzLhYgE6aNuo"]).into();
    /// The version that the client has seen.
    IfMatchParam: Header "if-match" False "The `ETag` of the version that you saw: in any other, nothing is changed.",
        ObjectBuilder::new().schema_type(Type::String).examples(["\"3\""]).into();
}

/// The document as it is sent, made once.
#[derive(Clone)]
pub(super) struct Document {
    json: Bytes,
    page: Bytes,
}

impl Document {
    /// What is sent of `document`.
    pub(super) fn of(document: &OpenApi) -> Self {
        // A document of texts and maps is always JSON; a test reads it.
        let json = serde_json::to_vec(document).unwrap_or_default();
        let page = Scalar::new(document.clone()).title("template-worker API").to_html();
        Self { json: json.into(), page: page.into() }
    }
}

problems!(DocumentProblems: ADMITTED);

/// This API as an OpenAPI document
#[utoipa::path(get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), DocumentProblems))]
pub(super) async fn openapi_json(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document.json)
}

/// This API as a page to read and try
///
/// The page loads its viewer from a public CDN; without one, `/openapi.json` has the same in it.
#[utoipa::path(get, path = "/docs", tag = "service",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), DocumentProblems))]
pub(super) async fn docs(Extension(document): Extension<Document>) -> impl IntoResponse {
    Html(document.page)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::api::endpoints::{Access, ENDPOINTS};

    fn document() -> Value {
        serde_json::to_value(crate::api::openapi()).unwrap()
    }

    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                operations.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
        operations
    }

    #[test]
    fn the_document_has_exactly_the_endpoints_of_the_list() {
        let described: BTreeSet<_> =
            operations(&document()).into_iter().map(|(method, path, _)| (method, path)).collect();
        let listed =
            ENDPOINTS.iter().map(|endpoint| (endpoint.method.to_owned(), endpoint.path.to_owned())).collect();
        assert_eq!(described, listed);
    }

    #[test]
    fn every_operation_has_a_summary_a_description_of_failure_and_its_token() {
        for (method, path, operation) in operations(&document()) {
            let here = format!("{method} {path}: {operation:#}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{here}");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{here}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{here}");
            for response in responses.values() {
                assert!(response["headers"]["x-request-id"].is_object(), "{here}");
            }
            let listed = ENDPOINTS.iter().find(|one| one.method == method && one.path == path).unwrap();
            let may_fail = responses.keys().any(|status| status.starts_with('4'));
            let can_be_asked_wrong = listed.access != Access::Public || path.contains('{');
            assert_eq!(may_fail, can_be_asked_wrong, "{here}");
            let has_token = operation["security"][0]["token"].is_array();
            assert_eq!(has_token, listed.access != Access::Public, "{here}");
            assert_eq!(responses.contains_key("401"), has_token, "{here}");
            assert_eq!(responses.contains_key("403"), has_token, "{here}");
        }
    }

    #[test]
    fn every_path_parameter_is_described() {
        for (method, path, operation) in operations(&document()) {
            let described: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let named = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            assert_eq!(described, named, "{method} {path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_problem_has_an_example() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
        }
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
        for (method, path, operation) in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let content = &response["content"]["application/problem+json"];
                let examples = content["examples"].as_object().map_or(0, serde_json::Map::len);
                assert_eq!(examples > 0, status.starts_with(['4', '5']), "{method} {path} {status}");
            }
        }
    }
}
