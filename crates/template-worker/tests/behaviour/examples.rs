//! Every example does what its folder says, through the service as well as with `run`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::TestWorker;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn examples() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    assert!(all.len() >= 11, "{all:?}");
    all
}

fn json_file(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the manifest and the folder make of a PUT.
pub fn draft(folder: &Path) -> Value {
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

/// A file of events of an example, and what is expected for them.
pub struct Case {
    /// The example.
    pub folder: PathBuf,
    file: PathBuf,
}

impl Case {
    /// The case of this name.
    pub fn of(example: &str, case: &str) -> Self {
        let folder = root().join(example);
        let file = PathBuf::from(format!("{case}.json"));
        Self { folder, file }
    }

    /// The example's name.
    pub fn name(&self) -> String {
        self.folder.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// Whether it needs a Discord.
    pub fn is_on_discord(&self) -> bool {
        let capabilities = draft(&self.folder)["capabilities"].to_string();
        capabilities.contains("\"discord:")
    }

    /// What is sent.
    pub fn events(&self) -> Vec<Value> {
        list(json_file(&self.folder.join("events").join(&self.file)))
    }

    /// Sends the events to the template, which is stored already, and compares what comes back.
    pub async fn run(&self, worker: &TestWorker, guild: &str) {
        let events = self.events();
        let expected = json_file(&self.folder.join("expected").join(&self.file));
        let expected = if events.len() > 1 { list(expected) } else { vec![expected] };
        let (name, file) = (self.name(), self.file.display());
        assert_eq!(events.len(), expected.len(), "{name}: {file}");
        for (index, (event, want)) in events.iter().zip(&expected).enumerate() {
            // It happens in a guild of the test's own.
            let mut event = event.clone();
            if let Some(of) = event["data"].get_mut("guild_id") {
                *of = guild.into();
            }
            let answer = worker.dispatch(guild, &event).await.expect(200);
            let outcome = &answer["results"][&name];
            assert_eq!(outcome["status"], "ok", "{name}: {file} event {index}: {outcome:#}");
            assert!(
                same(&outcome["value"], want),
                "{name}: {file} event {index}: {:#}, want {want:#}",
                outcome["value"]
            );
        }
    }
}

/// Every case of every example.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in examples() {
        for entry in std::fs::read_dir(folder.join("events")).unwrap() {
            cases.push(Case { folder: folder.clone(), file: entry.unwrap().file_name().into() });
        }
    }
    cases
}

#[tokio::test]
async fn every_example_answers_its_events_as_expected() {
    let worker = TestWorker::start().await;
    let mut guild = 818_880_986_845_679_757_u64;
    let mut count = 0;
    for case in cases().iter().filter(|case| !case.is_on_discord()) {
        guild += 1;
        let path = format!("/api/v1/guilds/{guild}/templates/{}", case.name());
        worker.put(&path, &draft(&case.folder)).await.expect(201);
        case.run(&worker, &guild.to_string()).await;
        count += 1;
    }
    assert!(count >= 10, "only {count} cases were found");
}

#[test]
fn an_example_may_do_what_it_does_and_no_more() {
    for folder in examples() {
        let draft = draft(&folder);
        let source: String =
            draft["files"].as_object().unwrap().values().map(|file| file.as_str().unwrap()).collect();
        for capability in draft["capabilities"].as_array().unwrap() {
            let capability = capability.as_str().unwrap();
            assert!(!capability.contains('*'), "{}: {capability}", folder.display());
            // The call that it is for: the last word, but for the calls by id.
            let call = match capability.rsplit(':').next().unwrap() {
                "id_ops" => "byid(",
                call => call,
            };
            assert!(source.contains(call), "{}: {capability} is for nothing", folder.display());
        }
    }
}
