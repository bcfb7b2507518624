//! A warm dispatch through the thread pool, beside bare mlua on one thread in the same run.

#![expect(missing_docs, reason = "criterion's macros make public functions")]
#![expect(clippy::unwrap_used, reason = "a bench whose set-up fails has failed")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mlua::{Function, Lua, Value};
use template_worker::app::App;
use template_worker::config::Config;
use template_worker::dispatch::Dispatcher;
use template_worker::events::Event;
use template_worker::ids::{EventId, GuildId};
use template_worker::storage::SqliteStorage;
use template_worker::template::TemplateDraft;

const EVENT: &str = include_str!("../../../examples/ping/events/ping.json");
const HANDLER: &str =
    "return function(event, ctx) if event.data.content == '!ping' then return 'pong' end end";

fn payload() -> Arc<str> {
    let event: serde_json::Value = serde_json::from_str(EVENT).unwrap();
    event["data"].to_string().into()
}

fn guild(index: u64) -> GuildId {
    GuildId::new(818_880_986_845_679_757 + index).unwrap()
}

fn event(guild: GuildId, data: &Arc<str>) -> Event {
    let name = "MESSAGE_CREATE".parse().unwrap();
    Event::new(EventId::fresh(), guild, name, None, Vec::new(), Arc::clone(data)).unwrap()
}

async fn app(guilds: u64) -> Arc<App> {
    let storage = Arc::new(SqliteStorage::in_memory().await.unwrap());
    let app = App::start_with(Config::default(), storage).await.unwrap();
    let files = [("init.luau".to_owned(), HANDLER.to_owned())];
    let bundle = Arc::new(khronos::Bundle::new(files).unwrap());
    for index in 0..guilds {
        let draft = TemplateDraft {
            bundle: Arc::clone(&bundle),
            events: vec!["MESSAGE_CREATE".parse().unwrap()],
            capabilities: Default::default(),
            description: String::new(),
            error_channel: None,
            paused: false,
        };
        app.storage.put_template(guild(index), &"ping".parse().unwrap(), draft, None, 10).await.unwrap();
    }
    app
}

/// Sends `event` and waits for its outcomes; how many there were.
async fn answered(dispatcher: &Dispatcher, event: Event) -> usize {
    dispatcher.dispatch(event).await.unwrap().outcomes(Duration::from_secs(10)).await.len()
}

fn to_luau(lua: &Lua, value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(b) => Value::Boolean(*b),
        serde_json::Value::Number(n) => Value::Number(n.as_f64().unwrap()),
        serde_json::Value::String(s) => Value::String(lua.create_string(s).unwrap()),
        serde_json::Value::Array(items) => {
            Value::Table(lua.create_sequence_from(items.iter().map(|item| to_luau(lua, item))).unwrap())
        }
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, item)| (key.as_str(), to_luau(lua, item)));
            Value::Table(lua.create_table_from(entries).unwrap())
        }
    }
}

fn warm_dispatch(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let data = payload();
    let mut group = c.benchmark_group("warm dispatch through the thread pool");
    group.bench_function("bare mlua on this thread, with decoding", |b| {
        let lua = Lua::new();
        let handler: Function = lua.load(HANDLER).eval().unwrap();
        b.iter(|| {
            let event = lua.create_table().unwrap();
            event.raw_set("data", to_luau(&lua, &serde_json::from_str(&data).unwrap())).unwrap();
            let thread = lua.create_thread(handler.clone()).unwrap();
            black_box(thread.resume::<Value>(event).unwrap())
        });
    });
    let one = runtime.block_on(app(1));
    group.bench_function("template-worker, one at a time", |b| {
        b.to_async(&runtime).iter(|| async {
            assert_eq!(answered(&one.dispatcher, event(guild(0), &data)).await, 1);
        });
    });
    runtime.block_on(one.stop());
    const AT_ONCE: u64 = 64;
    let many = runtime.block_on(app(AT_ONCE));
    group.throughput(Throughput::Elements(AT_ONCE));
    group.bench_function("template-worker, 64 guilds at once", |b| {
        b.to_async(&runtime).iter(|| async {
            let all: Vec<_> = (0..AT_ONCE)
                .map(|index| {
                    let (dispatcher, event) = (many.dispatcher.clone(), event(guild(index), &data));
                    tokio::spawn(async move { answered(&dispatcher, event).await })
                })
                .collect();
            for outcomes in all {
                assert_eq!(outcomes.await.unwrap(), 1);
            }
        });
    });
    runtime.block_on(many.stop());
    group.finish();
}

criterion_group!(benches, warm_dispatch);
criterion_main!(benches);
