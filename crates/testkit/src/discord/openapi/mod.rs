//! Discord's own description of its API, and whether requests and replies keep to it.
//!
//! Owns which part of an operation applies to what came or went. Whether a value fits a schema is decided in
//! `schema`. The description is `crates/testkit/discord/openapi.json`; its README says where it is from.

mod reduce;
mod schema;

use serde_json::{Map, Value, json};

pub use reduce::reduce;
pub use schema::Problem;
use schema::{Checker, Side};

/// The description, reduced to what the simulator serves.
const DESCRIPTION: &str = include_str!("../../../discord/openapi.json");

/// Query parameters that Discord's documentation names and its description forgets.
const FORGOTTEN: [(&str, &str); 1] = [("invite_resolve", "with_expiration")];

/// The description, read.
#[derive(Debug)]
pub(super) struct OpenApi {
    paths: Value,
    schemas: Map<String, Value>,
}

/// What of a request is held against the description.
pub(super) struct Sent<'a> {
    /// The values in the path, decoded.
    pub(super) path: &'a [(String, String)],
    /// The values of the query, decoded, in the order of their coming.
    pub(super) query: &'a [(String, String)],
    /// The body, if there is one.
    pub(super) body: Option<&'a Value>,
}

impl OpenApi {
    /// Reads the description that is built in.
    pub(super) fn load() -> Self {
        let mut read: Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
        let Value::Object(schemas) = read["components"]["schemas"].take() else {
            panic!("the description has schemas")
        };
        Self { paths: read["paths"].take(), schemas }
    }

    /// Whether the description knows this operation.
    #[cfg(test)]
    pub(super) fn knows(&self, method: &str, path: &str) -> bool {
        self.operation(method, path).is_some()
    }

    /// Everything in which the request differs from its description.
    pub(super) fn check_request(&self, method: &str, path: &str, sent: &Sent<'_>) -> Vec<Problem> {
        let Some(operation) = self.operation(method, path) else {
            return vec![Problem::new("", "Discord's description has no such operation")];
        };
        let name = operation["operationId"].as_str().unwrap_or_default();
        let shared = self.paths[path]["parameters"].as_array().into_iter().flatten();
        let own = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> = shared.chain(own).collect();
        let checker = Checker { schemas: &self.schemas, side: Side::Request };
        let mut problems = Vec::new();
        for (place, values) in [("path", sent.path), ("query", sent.query)] {
            for (key, text) in values {
                let at = format!("{place}.{key}");
                let known = parameters.iter().find(|one| one["in"] == place && one["name"] == **key);
                match known {
                    Some(parameter) => checker.parameter(&parameter["schema"], text, &at, &mut problems),
                    None if place == "path" || FORGOTTEN.contains(&(name, key)) => {}
                    None => problems.push(Problem::new(&at, "there is no such parameter")),
                }
            }
        }
        let wanted = parameters.iter().filter(|one| one["in"] == "query" && one["required"] == true);
        for parameter in wanted.filter_map(|one| one["name"].as_str()) {
            if !sent.query.iter().any(|(key, _)| key == parameter) {
                problems.push(Problem::new(&format!("query.{parameter}"), "is missing"));
            }
        }
        self.check_body(&checker, operation, sent.body, &mut problems);
        problems
    }

    fn check_body(
        &self,
        checker: &Checker<'_>,
        operation: &Value,
        body: Option<&Value>,
        problems: &mut Vec<Problem>,
    ) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let empty = json!({});
        match (schema.is_null(), body) {
            (true, Some(_)) => problems.push(Problem::new("", "the operation takes no body")),
            (true, None) => {}
            // Where a body may be `{}`, Discord also takes none.
            (false, body) => problems.extend(checker.check(schema, body.unwrap_or(&empty), "")),
        }
    }

    /// Everything in which a reply differs from its description.
    pub(super) fn check_reply(
        &self,
        method: &str,
        path: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Vec<Problem> {
        let checker = Checker { schemas: &self.schemas, side: Side::Reply };
        let named = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        let schema = match status {
            429 => named("RatelimitedResponse"),
            400..500 => named("ErrorResponse"),
            500.. => return Vec::new(),
            _ => {
                let replies = self.operation(method, path).map_or(&Value::Null, |found| &found["responses"]);
                let reply = &replies[&status.to_string()];
                if reply.is_null() {
                    return vec![Problem::new("", &format!("the operation does not answer with {status}"))];
                }
                reply["content"]["application/json"]["schema"].clone()
            }
        };
        match (schema.is_null(), body) {
            (true, None) => Vec::new(),
            (true, Some(_)) => vec![Problem::new("", &format!("an answer with {status} has no body"))],
            (false, None) => vec![Problem::new("", &format!("an answer with {status} has a body"))],
            (false, Some(body)) => checker.check(&schema, body, ""),
        }
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.paths.get(path)?.get(method.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(method: &str, path: &str, query: &[(&str, &str)], body: Option<Value>) -> Vec<String> {
        let query: Vec<_> = query.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let sent = Sent { path: &[], query: &query, body: body.as_ref() };
        OpenApi::load().check_request(method, path, &sent).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_message_as_discord_describes_it_has_no_problems() {
        let row = json!({"type": 1, "components": [{"type": 2, "style": 1, "custom_id": "a", "label": "b"}]});
        let body = json!({"content": "hi", "embeds": [{"title": "t", "color": 3}], "components": [row], "tts": null});
        assert_eq!(problems("POST", "/channels/{channel_id}/messages", &[], Some(body)), [""; 0]);
    }

    #[test]
    fn a_problem_names_its_place_and_the_branch_that_was_meant() {
        let row = json!({"type": 1, "components": [{"type": 2, "style": 1, "custom_id": "a", "label": 7}]});
        let mut found = problems(
            "POST",
            "/channels/{channel_id}/messages",
            &[],
            Some(json!({"content": 5, "contents": "x", "components": [row]})),
        );
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "components.0.components.0.label: is an integer, not a string or null",
                "content: is an integer, not a string or null",
                "contents: there is no such field",
            ]
        );
    }

    #[test]
    fn queries_are_read_as_their_parameters_are_typed() {
        let path = "/guilds/{guild_id}/bans";
        assert_eq!(problems("GET", path, &[("limit", "1000"), ("after", "7")], None), [""; 0]);
        assert_eq!(
            problems("GET", path, &[("limit", "1001"), ("after", "x"), ("size", "1")], None),
            [
                "query.limit: 1001 is more than 1000",
                "query.after: \"x\" is no snowflake",
                "query.size: there is no such parameter",
            ]
        );
    }

    #[test]
    fn permissions_may_be_numbers_in_strings() {
        let path = "/guilds/{guild_id}/roles";
        assert_eq!(problems("POST", path, &[], Some(json!({"permissions": "2048"}))), [""; 0]);
        assert_eq!(
            problems("POST", path, &[], Some(json!({"permissions": "many"}))),
            ["permissions: is a string, not an integer or null"]
        );
    }

    #[test]
    fn a_reply_must_be_one_that_the_operation_has() {
        let api = OpenApi::load();
        let said = |status, body: Option<Value>| -> Vec<String> {
            let path = "/guilds/{guild_id}/bans/{user_id}";
            api.check_reply("PUT", path, status, body.as_ref()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(said(204, None), [""; 0]);
        assert_eq!(said(200, None), ["the operation does not answer with 200"]);
        assert_eq!(said(204, Some(json!({}))), ["an answer with 204 has no body"]);
        assert_eq!(said(403, Some(json!({"code": 50013}))), ["message: is missing"]);
    }
}
