//! Every example does what its folder says, through the service as well as with `run`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::TestWorker;

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    assert!(all.len() >= 5, "{all:?}");
    all
}

fn json_file(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the manifest and the folder make of a PUT.
fn draft(folder: &Path) -> Value {
    let manifest: toml::Table =
        std::fs::read_to_string(folder.join("template.toml")).unwrap().parse().unwrap();
    let mut files = serde_json::Map::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "luau") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.insert(name, std::fs::read_to_string(&path).unwrap().into());
        }
    }
    json!({"files": files, "events": manifest["events"], "capabilities": manifest["capabilities"],
        "description": manifest["description"]})
}

/// Numbers are equal as numbers, absent is null.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        one => vec![one],
    }
}

#[tokio::test]
async fn every_example_answers_its_events_as_expected() {
    let worker = TestWorker::start().await;
    let mut guild = 818_880_986_845_679_757_u64;
    let mut cases = 0;
    for folder in examples() {
        for entry in std::fs::read_dir(folder.join("events")).unwrap() {
            let path = entry.unwrap().path();
            let case = path.file_name().unwrap();
            let events = list(json_file(&path));
            let expected = json_file(&folder.join("expected").join(case));
            let expected = if events.len() > 1 { list(expected) } else { vec![expected] };
            assert_eq!(events.len(), expected.len(), "{}", path.display());
            guild += 1;
            let name = folder.file_name().unwrap().to_str().unwrap();
            worker
                .put(&format!("/api/v1/guilds/{guild}/templates/{name}"), &draft(&folder))
                .await
                .expect(201);
            for (index, (event, want)) in events.iter().zip(&expected).enumerate() {
                let answer = worker.dispatch(&guild.to_string(), event).await.expect(200);
                let outcome = &answer["results"][name];
                assert_eq!(outcome["status"], "ok", "{} event {index}: {outcome:#}", path.display());
                assert!(
                    same(&outcome["value"], want),
                    "{} event {index}: {:#}, want {want:#}",
                    path.display(),
                    outcome["value"]
                );
            }
            cases += 1;
        }
    }
    assert!(cases >= 10, "only {cases} cases were found");
}
