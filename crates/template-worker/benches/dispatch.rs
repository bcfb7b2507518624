//! A warm dispatch through the thread pool, beside bare mlua on one thread in the same run; and what it costs beside that
//! in a pool of processes, and with very many guilds.

#![expect(missing_docs, reason = "criterion's macros make public functions")]
#![expect(clippy::print_stdout, reason = "criterion has no words for how many times as much something is")]
#![expect(clippy::unwrap_used, reason = "a bench whose set-up fails has failed")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mlua::{Function, Lua, Value};
use template_worker::app::App;
use template_worker::config::{Config, Strategy};
use template_worker::dispatch::Dispatcher;
use template_worker::events::Event;
use template_worker::ids::{EventId, GuildId};
use template_worker::storage::SqliteStorage;
use template_worker::template::TemplateDraft;
use tokio::runtime::Runtime;

const EVENT: &str = include_str!("../../../examples/ping/events/ping.json");
/// Events on their way at the same time.
const AT_ONCE: u64 = 64;
const HANDLER: &str =
    "return function(event, ctx) if event.data.content == '!ping' then return 'pong' end end";

fn payload() -> Arc<str> {
    let event: serde_json::Value = serde_json::from_str(EVENT).unwrap();
    event["data"].to_string().into()
}

/// Ids as Discord gives them: what tells guilds apart is the time in the upper bits.
fn guild(index: u64) -> GuildId {
    GuildId::new(818_880_986_845_679_757 + (index << 22)).unwrap()
}

fn event(guild: GuildId, data: &Arc<str>) -> Event {
    let name = "MESSAGE_CREATE".parse().unwrap();
    Event::new(EventId::fresh(), guild, name, None, Vec::new(), Arc::clone(data)).unwrap()
}

async fn app(guilds: u64) -> Arc<App> {
    app_with(Config::default(), guilds).await
}

async fn app_with(config: Config, guilds: u64) -> Arc<App> {
    app_of(HANDLER, config, guilds).await
}

async fn app_of(handler: &str, config: Config, guilds: u64) -> Arc<App> {
    let storage = SqliteStorage::in_memory().await.unwrap();
    app_on(storage, handler, config, guilds).await
}

async fn app_on(storage: SqliteStorage, handler: &str, config: Config, guilds: u64) -> Arc<App> {
    let storage = Arc::new(storage);
    let app = App::start_with(config, storage).await.unwrap();
    let files = [("init.luau".to_owned(), handler.to_owned())];
    let bundle = Arc::new(khronos::Bundle::new(files).unwrap());
    for index in 0..guilds {
        let draft = TemplateDraft {
            bundle: Arc::clone(&bundle),
            events: vec!["MESSAGE_CREATE".parse().unwrap()],
            capabilities: std::iter::once("*".parse().unwrap()).collect(),
            description: String::new(),
            error_channel: None,
            paused: false,
            author: None,
        };
        app.storage.put_template(guild(index), &"ping".parse().unwrap(), draft, None, 10).await.unwrap();
    }
    app
}

/// Sends `event` and waits for its outcomes; how many there were.
async fn answered(dispatcher: &Dispatcher, event: Event) -> usize {
    dispatcher.dispatch(event).await.unwrap().outcomes(Duration::from_secs(10)).await.len()
}

/// Sends an event to each of `guilds` at once and waits for all outcomes.
async fn all_answered(app: &App, guilds: impl Iterator<Item = u64>, data: &Arc<str>) {
    let all: Vec<_> = guilds
        .map(|index| {
            let (dispatcher, event) = (app.dispatcher.clone(), event(guild(index), data));
            tokio::spawn(async move { answered(&dispatcher, event).await })
        })
        .collect();
    for outcomes in all {
        assert_eq!(outcomes.await.unwrap(), 1);
    }
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
    let (runtime, data) = (runtime(), payload());
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
    let many = runtime.block_on(app(AT_ONCE));
    group.throughput(Throughput::Elements(AT_ONCE));
    group.bench_function("template-worker, 64 guilds at once", |b| {
        b.to_async(&runtime).iter(|| async {
            all_answered(&many, 0..AT_ONCE, &data).await;
        });
    });
    runtime.block_on(many.stop());
    group.finish();
}

/// Things that are measured in turn, so that whatever else the machine does hits all of them: the microseconds that one
/// dispatch takes in each, the median over `rounds`.
fn in_turn<const N: usize>(rounds: usize, mut each: [&mut dyn FnMut() -> f64; N]) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..rounds + rounds / 10 {
        for (measure, times) in each.iter_mut().zip(&mut times) {
            let time = measure();
            // The first ones warm up.
            if round >= rounds / 10 {
                times.push(time);
            }
        }
    }
    times.map(|mut times| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// What one of `batches` batches of `size` takes, by the piece.
fn timed(runtime: &Runtime, batches: u64, size: u64, mut batch: impl AsyncFnMut()) -> f64 {
    let began = Instant::now();
    runtime.block_on(async {
        for _ in 0..batches {
            batch().await;
        }
    });
    began.elapsed().as_secs_f64() * 1e6 / (batches * size) as f64
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn processes_beside_threads(_: &mut Criterion) {
    let (runtime, data) = (runtime(), payload());
    let mut config = Config::default();
    config.vm.strategy = Strategy::ProcessPool;
    config.vm.process_program = env!("CARGO_BIN_EXE_template-worker").into();
    let threads = runtime.block_on(app(AT_ONCE));
    let processes = runtime.block_on(app_with(config, AT_ONCE));
    let once = |app: &App| timed(&runtime, 50, AT_ONCE, async || all_answered(app, 0..AT_ONCE, &data).await);
    let [in_threads, in_processes] = in_turn(60, [&mut || once(&threads), &mut || once(&processes)]);
    println!("a warm dispatch, {AT_ONCE} guilds at once, in microseconds:");
    println!("  thread pool   {in_threads:8.2}");
    println!("  process pool  {in_processes:8.2}, {:.2} times as much", in_processes / in_threads);
    runtime.block_on(async { (threads.stop().await, processes.stop().await) });
}

/// With so many guilds, an event is almost never for a VM that is still in the processor's caches. How much of the price
/// is that alone is seen where the same service gets events for the same few guilds only, and with bare mlua.
fn many_guilds_beside_few(_: &mut Criterion) {
    const REGISTERED: u64 = 20_000;
    const ACTIVE: u64 = 2_000;
    const FEW: u64 = 20;
    let (runtime, data) = (runtime(), payload());
    let few = runtime.block_on(app(FEW));
    let many = runtime.block_on(app(REGISTERED));
    // As many at once in each case; what differs is how many guilds take turns.
    let once = |app: &App, guilds: u64| {
        let mut next = 0;
        timed(&runtime, ACTIVE / FEW, FEW, async || {
            let batch = next..next + FEW;
            next += FEW;
            all_answered(app, batch.map(|index| index % guilds), &data).await;
        })
    };
    let bare = |guilds: u64| {
        let vm = || {
            let lua = Lua::new();
            let handler: Function = lua.load(HANDLER).eval().unwrap();
            (lua, handler)
        };
        let vms: Vec<_> = (0..guilds).map(|_| vm()).collect();
        let data = Arc::clone(&data);
        move || {
            let began = Instant::now();
            for (lua, handler) in vms.iter().cycle().take(usize::try_from(ACTIVE).unwrap()) {
                let event = lua.create_table().unwrap();
                event.raw_set("data", to_luau(lua, &serde_json::from_str(&data).unwrap())).unwrap();
                let thread = lua.create_thread(handler.clone()).unwrap();
                black_box(thread.resume::<Value>(event).unwrap());
            }
            began.elapsed().as_secs_f64() * 1e6 / ACTIVE as f64
        }
    };
    let [of_few, of_many, of_same, bare_few, bare_many] = in_turn(
        60,
        [
            &mut || once(&few, FEW),
            &mut || once(&many, ACTIVE),
            &mut || once(&many, FEW),
            &mut bare(FEW),
            &mut bare(ACTIVE),
        ],
    );
    println!("a warm dispatch, {FEW} at once, in microseconds:");
    println!("  {FEW} guilds                            {of_few:8.2}");
    let times = |many: f64, few: f64| format!("{many:8.2}, {:.2} times as much", many / few);
    println!("  {ACTIVE} in turn, {REGISTERED} registered       {}", times(of_many, of_few));
    println!("  the same {FEW}, {ACTIVE} VMs, {REGISTERED} registered {}", times(of_same, of_few));
    println!("bare mlua, with decoding");
    println!("  {FEW} VMs                               {bare_few:8.2}");
    println!("  {ACTIVE} in turn                         {}", times(bare_many, bare_few));
    runtime.block_on(async { (few.stop().await, many.stop().await) });
}

/// What a call of the host takes that is answered at once, by the difference between an event with a hundred calls and one with
/// none.
fn host_calls(_: &mut Criterion) {
    const CALLS: u64 = 100;
    let (runtime, data) = (runtime(), payload());
    let handler = |calls: u64| {
        format!(
            "return function(event, ctx) local copy = ctx.DataStores.CopyDataStore
            for _ = 1, {calls} do copy:copy('pong') end return 'pong' end"
        )
    };
    let app = |strategy, calls| {
        let mut config = Config::default();
        config.templates.rate_limits = false;
        config.vm.strategy = strategy;
        config.vm.process_program = env!("CARGO_BIN_EXE_template-worker").into();
        runtime.block_on(app_of(&handler(calls), config, AT_ONCE))
    };
    let [none, threads] = [0, CALLS].map(|calls| app(Strategy::ThreadPool, calls));
    let [none_there, processes] = [0, CALLS].map(|calls| app(Strategy::ProcessPool, calls));
    let once =
        |app: &App, guilds| timed(&runtime, 5, guilds, async || all_answered(app, 0..guilds, &data).await);
    let bare = || {
        let lua = Lua::new();
        let copy = lua.create_function(|_, text: mlua::LuaString| Ok(text)).unwrap();
        let calls: Function =
            lua.load("local copy = ... for _ = 1, 100 do copy('pong') end").into_function().unwrap();
        move || {
            let (_alive, began) = (&lua, Instant::now());
            for _ in 0..100 {
                calls.call::<()>(&copy).unwrap();
            }
            began.elapsed().as_secs_f64() * 1e6 / 10_000.0
        }
    };
    let [nothing, one, idle, many, idle_there, there, bare] = in_turn(
        60,
        [
            &mut || once(&none, 1),
            &mut || once(&threads, 1),
            &mut || once(&none, AT_ONCE),
            &mut || once(&threads, AT_ONCE),
            &mut || once(&none_there, AT_ONCE),
            &mut || once(&processes, AT_ONCE),
            &mut bare(),
        ],
    );
    let a_call = |with: f64, without: f64| (with - without) / CALLS as f64;
    println!("a call of the host that is answered at once, in microseconds:");
    println!("  bare mlua, a function of Rust        {bare:8.2}");
    println!("  thread pool, one guild               {:8.2}", a_call(one, nothing));
    println!("  thread pool, {AT_ONCE} guilds at once      {:8.2}", a_call(many, idle));
    println!("  process pool, {AT_ONCE} guilds at once     {:8.2}", a_call(there, idle_there));
    runtime.block_on(async {
        (none.stop().await, threads.stop().await, none_there.stop().await, processes.stop().await)
    });
}

/// How many keys are set in a second on a file on this disk, each acknowledged after it was written.
fn keys_set(_: &mut Criterion) {
    const GUILDS: u64 = 100;
    const KEYS: u64 = 50;
    let (runtime, data) = (runtime(), payload());
    let handler = format!(
        "return function(event, ctx)
            local left = {KEYS}
            for key = 1, {KEYS} do
                task.spawn(function() ctx.KV:set(tostring(key), key, {{'bench'}}) left -= 1 end)
            end
            while left > 0 do task.wait() end
            return 'pong'
        end"
    );
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.templates.rate_limits = false;
    let app = runtime.block_on(async {
        let storage = SqliteStorage::open(folder.path()).await.unwrap();
        app_on(storage, &handler, config, GUILDS).await
    });
    let micros = in_turn(
        20,
        [&mut || timed(&runtime, 1, GUILDS * KEYS, async || all_answered(&app, 0..GUILDS, &data).await)],
    );
    println!("keys set on disk by {GUILDS} guilds at once, {KEYS} each: {:.0} a second", 1e6 / micros[0]);
    runtime.block_on(app.stop());
}

criterion_group!(
    benches,
    keys_set,
    host_calls,
    warm_dispatch,
    processes_beside_threads,
    many_guilds_beside_few
);
criterion_main!(benches);
