//! The service is killed while it stores keys: whatever it has acknowledged is there.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use template_worker::ids::GuildId;
use template_worker::storage::kv::{KvAt, KvKey, Scopes};
use template_worker::storage::{KvStorage as _, SqliteStorage};
use testkit::{GUILD, until};

const TOKEN: &str = "a-token-for-tests";
const WRITERS: usize = 8;
const BATCH: u64 = 20;

/// Templates that set keys at the same time, tasks of each, and keys of each task.
const SETTERS: usize = 4;
const TASKS: u64 = 40;
const KEYS: u64 = 5;

/// Starts the program on `data`; returns it with its address.
fn start(data: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(testkit::program())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("TEMPLATE_WORKER_ADMIN_TOKEN", TOKEN)
        .env("TEMPLATE_WORKER_TEMPLATES__RATE_LIMITS", "false")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| {
        let line = line.unwrap();
        let at = line.find("http://")?;
        Some(line[at..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned())
    });
    // Read on, so that it never waits for somebody to do so.
    std::thread::spawn(move || lines.for_each(drop));
    (child, url.unwrap())
}

async fn send(client: &reqwest::Client, method: reqwest::Method, url: String, body: Value) -> Option<Value> {
    let response = client.request(method, url).bearer_auth(TOKEN).json(&body).send().await.ok()?;
    response.status().is_success().then_some(())?;
    response.json().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_there_after_a_kill_and_batches_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, url) = start(folder.path());
    let client = testkit::client();
    let guild = format!("{url}/api/v1/guilds/{GUILD}");
    let source = r#"
        local event, ctx = ...
        local ops = {}
        for n = 1, event.data.size do
            ops[n] = {op = "set", key = event.data.batch .. ":" .. n, value = n, scopes = {"batches"}}
        end
        ctx.KV:batch(ops)
        return event.data.batch
    "#;
    let template = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["kv:*"]});
    send(&client, reqwest::Method::PUT, format!("{guild}/templates/t"), template).await.unwrap();

    let progress = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, guild, progress) = (client.clone(), guild.clone(), Arc::clone(&progress));
            tokio::spawn(async move {
                let (mut sets, mut batches) = (0_u64, 0_u64);
                loop {
                    let put = format!("{guild}/kv/{writer}:{sets}?scope=sets");
                    if send(&client, reqwest::Method::PUT, put, json!({"value": sets})).await.is_none() {
                        return (sets, batches);
                    }
                    sets += 1;
                    if sets.is_multiple_of(4) {
                        let data = json!({"batch": format!("{writer}-{batches}"), "size": BATCH});
                        let event = json!({"name": "MESSAGE_CREATE", "data": data});
                        let url = format!("{guild}/events?wait=true");
                        match send(&client, reqwest::Method::POST, url, event).await {
                            Some(came) if came["results"]["t"]["status"] == "ok" => batches += 1,
                            _ => return (sets, batches),
                        }
                    }
                    progress.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    until("there is something to lose", async || progress.load(Ordering::Relaxed) > 200).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let storage = SqliteStorage::open(folder.path()).await.unwrap();
    let (of_guild, now) = (GuildId::new(GUILD.parse().unwrap()).unwrap(), time::OffsetDateTime::now_utc());
    let there = async |key: String, scope: &str| {
        let scopes = Scopes::new(vec![scope.to_owned()]).unwrap();
        storage.kv_record(of_guild, &KvAt::Key(KvKey { key, scopes }), now).await.unwrap().is_some()
    };
    let mut records = 0;
    for (writer, task) in writers.into_iter().enumerate() {
        let (sets, batches) = tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
        assert!(sets > 0, "writer {writer} was never served");
        for set in 0..sets {
            assert!(there(format!("{writer}:{set}"), "sets").await, "{set} of writer {writer} is lost");
        }
        records += sets + u64::from(there(format!("{writer}:{sets}"), "sets").await);
        // One more may have been stored and not been acknowledged.
        for batch in 0..=batches {
            let mut parts = 0;
            for part in 1..=BATCH {
                parts += u64::from(there(format!("{writer}-{batch}:{part}"), "batches").await);
            }
            let whole = if batch < batches { parts == BATCH } else { parts == 0 || parts == BATCH };
            assert!(whole, "{parts} of batch {batch} of writer {writer} are there");
            records += parts;
        }
    }
    assert_eq!(
        storage.kv_usage(of_guild).await.unwrap().records,
        records,
        "what is counted is what is there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_keys_that_templates_set_at_once_are_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, url) = start(folder.path());
    let client = testkit::client();
    let guild = format!("{url}/api/v1/guilds/{GUILD}");
    let source = r#"
        local event, ctx = ...
        local data, set, running = event.data, 0, event.data.tasks
        for number = 1, data.tasks do
            task.spawn(function()
                for n = 1, data.keys do
                    ctx.KV:set(data.batch .. ":" .. number .. ":" .. n, n, {"sets"})
                    set += 1
                end
                running -= 1
            end)
        end
        while running > 0 do task.wait(0.01) end
        return set
    "#;
    let template = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": ["kv:*"]});
    send(&client, reqwest::Method::PUT, format!("{guild}/templates/t"), template).await.unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let setters: Vec<_> = (0..SETTERS)
        .map(|setter| {
            let (client, guild, acknowledged) = (client.clone(), guild.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                for batch in 0_u64.. {
                    let data = json!({"batch": format!("{setter}-{batch}"), "tasks": TASKS, "keys": KEYS});
                    let event = json!({"name": "MESSAGE_CREATE", "data": data});
                    let url = format!("{guild}/events?wait=true");
                    match send(&client, reqwest::Method::POST, url, event).await {
                        Some(came) if came["results"]["t"]["value"] == TASKS * KEYS => {}
                        Some(came) => panic!("not all were set: {came:#}"),
                        None => return batch,
                    }
                    acknowledged.fetch_add(TASKS * KEYS, Ordering::Relaxed);
                }
                0
            })
        })
        .collect();
    until("thousands are set", async || acknowledged.load(Ordering::Relaxed) >= 12_000).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let storage = SqliteStorage::open(folder.path()).await.unwrap();
    let (of_guild, now) = (GuildId::new(GUILD.parse().unwrap()).unwrap(), time::OffsetDateTime::now_utc());
    let scopes = Scopes::new(vec!["sets".to_owned()]).unwrap();
    let (mut there, mut after) = (BTreeSet::new(), None);
    loop {
        let page = storage.kv_keys(of_guild, &scopes, after.as_deref(), now).await.unwrap();
        there.extend(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut lost = Vec::new();
    for (setter, task) in setters.into_iter().enumerate() {
        let batches = tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
        for batch in 0..batches {
            for number in 1..=TASKS {
                let keys = (1..=KEYS).map(|n| format!("{setter}-{batch}:{number}:{n}"));
                lost.extend(keys.filter(|key| !there.contains(key)));
            }
        }
    }
    assert_eq!(lost, [""; 0], "acknowledged, and not there");
    let records = storage.kv_usage(of_guild).await.unwrap().records;
    assert_eq!(records, there.len() as u64, "what is counted is what is there");
    assert!(records >= 12_000, "{records}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_handler_runs_when_the_service_is_killed_is_told_again_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, url) = start(folder.path());
    let client = testkit::client();
    let path = |url: &str, rest: &str| format!("{url}/api/v1/guilds/{GUILD}/{rest}");
    // The first handler never comes to its end.
    let source = r#"
        local event, ctx = ...
        local times = ctx.KV:increment("begun " .. event.data.key, {"told"})
        while times == 1 do task.wait(0.1) end
        ctx.KV:increment("done " .. event.data.key, {"told"})
    "#;
    let template = json!({"files": {"init.luau": source}, "events": ["KeyExpiry"], "capabilities": ["kv:*"]});
    send(&client, reqwest::Method::PUT, path(&url, "templates/t"), template).await.unwrap();
    let at = time::OffsetDateTime::now_utc() + Duration::from_millis(300);
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let put = path(&url, "kv/k?scope=s");
    send(&client, reqwest::Method::PUT, put, json!({"value": 1, "expires_at": at})).await.unwrap();
    let count = async |url: &str, what: &str| {
        let key = path(url, &format!("kv/{what}%20k?scope=told"));
        let answer = send(&client, reqwest::Method::GET, key, json!(null)).await;
        answer.map_or(0, |record| record["value"].as_u64().unwrap())
    };
    until("its handler runs", async || count(&url, "begun").await == 1).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let (mut child, url) = start(folder.path());
    until("it is told again", async || count(&url, "done").await == 1).await;
    let gone = async || {
        let page = send(&client, reqwest::Method::GET, path(&url, "expiries"), json!(null)).await;
        page.is_some_and(|page| page["expiries"] == json!([]))
    };
    until("it is gone", gone).await;
    assert_eq!((count(&url, "begun").await, count(&url, "done").await), (2, 1));
    child.kill().unwrap();
    child.wait().unwrap();
}
