//! The service is killed while it stores keys: whatever it has acknowledged is there.

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
