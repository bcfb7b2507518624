//! Makes the description that is kept here of the one that Discord publishes: the operations that the simulator
//! serves, every schema that they refer to, and no prose.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::discord::routes;

/// The reduced description as text, one path or schema a line, so that a refresh can be read as a diff.
pub fn reduce(published: &Value) -> String {
    let mut paths = Map::new();
    for (path, operations) in published["paths"].as_object().into_iter().flatten() {
        let mut kept = Map::new();
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let served = routes::all().any(|route| route.is(method, path));
            if served || method == "parameters" {
                kept.insert(method.clone(), without_prose(operation));
            }
        }
        if kept.keys().any(|method| method != "parameters") {
            paths.insert(path.clone(), Value::Object(kept));
        }
    }
    let all = &published["components"]["schemas"];
    let mut wanted = BTreeSet::from(["ErrorResponse".to_owned(), "RatelimitedResponse".to_owned()]);
    references(&json!(paths), &mut wanted);
    let mut schemas = Map::new();
    while let Some(name) = wanted.pop_first() {
        if !schemas.contains_key(&name) {
            let schema = without_prose(&all[&name]);
            references(&schema, &mut wanted);
            schemas.insert(name, schema);
        }
    }
    let head = |key: &str| format!("{}: {}", json!(key), without_prose(&published[key]));
    format!(
        "{{\n{},\n{},\n\"paths\": {{\n{}\n}},\n\"components\": {{\"schemas\": {{\n{}\n}}}}\n}}\n",
        head("openapi"),
        head("info"),
        lines(&paths),
        lines(&schemas)
    )
}

fn lines(fields: &Map<String, Value>) -> String {
    let lines: Vec<String> = fields.iter().map(|(key, value)| format!("{}: {value}", json!(key))).collect();
    lines.join(",\n")
}

/// Titles and descriptions of schemas are for people; a property may have these names, and is then no text.
fn without_prose(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let prose = |key: &str, value: &Value| {
                ["title", "description", "security", "tags"].contains(&key)
                    && (value.is_string() || value.is_array())
            };
            // Errors and the headers of limits are the same everywhere.
            let same = |key: &str| ["429", "4XX", "headers"].contains(&key);
            let kept = fields.iter().filter(|(key, value)| !prose(key, value) && !same(key));
            kept.map(|(key, value)| (key.clone(), without_prose(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_prose).collect(),
        other => other.clone(),
    }
}

/// The names of the schemas that `value` refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, below) in fields {
                match below.as_str().and_then(|text| text.strip_prefix("#/components/schemas/")) {
                    Some(name) if key == "$ref" => {
                        found.insert(name.to_owned());
                    }
                    _ => references(below, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
