//! What is written about the metrics is true: the page has each of them and no other, with its kind and the values of its
//! label as they are scraped, and the dashboard asks for nothing that is not there.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use template_worker::metrics::NAMES;
use testkit::{GUILD, TestWorker, answer};

const PAGE: &str = include_str!("../../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../../docs/grafana/template-worker.json");
/// Metrics that the dashboard does without: the values of limits do not change.
const NOT_SHOWN: [&str; 1] = ["template_worker_limit_value"];

/// The texts between backticks.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the table of metrics: name, and the other cells.
fn rows() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `template_worker_"));
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        (codes(cells[0]).next().unwrap(), cells)
    })
    .collect()
}

async fn scrape(worker: &TestWorker, with_token: bool) -> String {
    let path = "/metrics";
    let request =
        if with_token { worker.request(Method::GET, path) } else { worker.anonymous(Method::GET, path) };
    let Value::String(text) = answer(request).await.expect(200) else { panic!("the metrics are no text") };
    text
}

#[tokio::test]
async fn every_metric_stands_on_the_page_with_its_kind_and_label_and_no_other() {
    let worker = TestWorker::start().await;
    worker.template(GUILD, "t", "return 1").await.expect(201);
    worker.event(GUILD, &json!({})).await;
    let text = scrape(&worker, true).await;
    let kinds: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')))
        .collect();
    let rows = rows();
    let described: BTreeMap<&str, &str> = rows.iter().map(|(name, cells)| (*name, cells[1])).collect();
    assert_eq!(described, kinds);
    assert_eq!(described.keys().copied().collect::<BTreeSet<_>>(), NAMES.into_iter().collect());
    for (name, cells) in rows {
        assert_eq!(cells.len(), 5, "{name}");
        let mut codes = codes(cells[2]);
        let label = codes.next();
        let values: BTreeSet<&str> = codes.collect();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_'])))
            .collect();
        let seen: BTreeSet<&str> = lines
            .iter()
            .filter_map(|line| line.split_once(&format!("{}=\"", label?))?.1.split('"').next())
            .collect();
        assert_eq!(label.is_none(), seen.is_empty(), "{name}: {lines:?}");
        if !values.is_empty() && !["limit", "worker", "guild"].contains(&label.unwrap()) {
            assert_eq!(seen, values, "{name}");
        }
    }
}

#[tokio::test]
async fn one_event_is_counted_at_each_stage_and_guilds_are_named_to_admins_only() {
    let worker = TestWorker::start().await;
    let spin = "local n = 0 for i = 1, 1000000 do n += 1 end return n";
    worker.template(GUILD, "one", spin).await.expect(201);
    worker.template(GUILD, "two", "error('no')").await.expect(201);
    worker.event(GUILD, &json!({"content": "hi"})).await;
    worker.event("818880986845679758", &json!({})).await;
    let lines = [
        "template_worker_dispatches_total{outcome=\"accepted\"} 1\n",
        "template_worker_dispatches_total{outcome=\"nobody_listens\"} 1\n",
        "template_worker_executions_total{status=\"ok\"} 1\n",
        "template_worker_executions_total{status=\"error\"} 1\n",
        "template_worker_executions_total{status=\"vm_broken\"} 0\n",
        "template_worker_stage_seconds_count{stage=\"queue\"} 2\n",
        "template_worker_stage_seconds_count{stage=\"decode\"} 1\n",
        "template_worker_stage_seconds_count{stage=\"run\"} 2\n",
        "template_worker_stage_seconds_count{stage=\"total\"} 2\n",
        "template_worker_vms{state=\"busy\"} 0\n",
        "template_worker_owed_answers 0\n",
    ];
    // The thread may still be on its way from the last answer to its rest.
    let missing = async || {
        let text = scrape(&worker, false).await;
        lines.into_iter().filter(|line| !text.contains(line)).collect::<Vec<_>>()
    };
    testkit::until("all is counted", async || missing().await.is_empty()).await;
    let text = scrape(&worker, false).await;
    assert!(!text.contains(GUILD) && !text.contains("guild_cpu"), "{text}");
    let line = format!("template_worker_guild_cpu_seconds{{guild=\"{GUILD}\"}} ");
    let text = scrape(&worker, true).await;
    assert!(text.contains(&line), "{line} is missing: {text}");
}

#[test]
fn the_dashboard_asks_for_every_metric_and_for_nothing_else() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let panels = dashboard["panels"].as_array().unwrap();
    let (rows, panels): (Vec<&Value>, Vec<&Value>) = panels.iter().partition(|panel| panel["type"] == "row");
    assert_eq!((rows.len(), dashboard["templating"]["list"][0]["type"].as_str()), (7, Some("datasource")));
    let mut asked = BTreeSet::new();
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel:#}");
            let words =
                target["expr"].as_str().unwrap().split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| word.starts_with("template_worker_")) {
                asked.insert(word.trim_end_matches("_bucket").to_owned());
            }
        }
    }
    asked.extend(NOT_SHOWN.map(str::to_owned));
    assert_eq!(asked, NAMES.iter().map(|name| (*name).to_owned()).collect());
}
