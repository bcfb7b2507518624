//! What the runtime costs, each figure beside bare mlua in the same run: ratios hold on a noisy machine, times don't.

#![expect(missing_docs, reason = "criterion's macros make public functions")]
#![expect(clippy::unwrap_used, reason = "a bench whose set-up fails has failed")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use khronos::{
    BaseLibrary, Bundle, BytecodeCache, ExecutionLimits, IsolateId, KhronosRuntime, RuntimeOptions, Ticker,
};
use mlua::{Function, Lua, LuaOptions, StdLib, Value};

/// A full MESSAGE_CREATE, as the gateway sends it.
const EVENT: &str = include_str!("../../../examples/ping/events/ping.json");

fn event() -> String {
    let event: serde_json::Value = serde_json::from_str(EVENT).unwrap();
    event["data"].to_string()
}

fn bare() -> Lua {
    let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new()).unwrap();
    lua.sandbox(true).unwrap();
    lua
}

fn runtime(ticker: &Ticker) -> KhronosRuntime {
    KhronosRuntime::new(RuntimeOptions::new(BaseLibrary::compile().unwrap(), ticker.handle())).unwrap()
}

fn isolate(runtime: &KhronosRuntime, source: &str) -> IsolateId {
    let bundle = Bundle::new([("init.luau".to_owned(), source.to_owned())]).unwrap();
    runtime.create_isolate("bench", BytecodeCache::default().compile(&bundle).unwrap()).unwrap()
}

/// From a fresh execution to its verdict.
fn run(runtime: &KhronosRuntime, isolate: IsolateId, event: &Value) -> khronos::Verdict {
    runtime.start(isolate, "MESSAGE_CREATE", event, &Value::Nil, ExecutionLimits::default()).unwrap();
    loop {
        runtime.run_slice();
        if let Some(done) = runtime.take_completions().pop() {
            return done.verdict;
        }
    }
}

fn create_a_vm(c: &mut Criterion) {
    let ticker = Ticker::start().unwrap();
    let mut group = c.benchmark_group("create a VM");
    group.bench_function("bare mlua", |b| b.iter(|| black_box(bare())));
    let base = BaseLibrary::compile().unwrap();
    group.bench_function("khronos", |b| {
        b.iter(|| {
            black_box(KhronosRuntime::new(RuntimeOptions::new(base.clone(), ticker.handle())).unwrap())
        });
    });
    group.finish();
}

/// What one writes with mlua and serde_json: parse, then make tables.
fn to_luau(lua: &Lua, value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(b) => Value::Boolean(*b),
        serde_json::Value::Number(n) => Value::Number(n.as_f64().unwrap()),
        serde_json::Value::String(s) => Value::String(lua.create_string(s).unwrap()),
        serde_json::Value::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0).unwrap();
            for (index, item) in items.iter().enumerate() {
                table.raw_set(index + 1, to_luau(lua, item)).unwrap();
            }
            table.set_readonly(true);
            Value::Table(table)
        }
        serde_json::Value::Object(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len()).unwrap();
            for (key, item) in entries {
                table.raw_set(key.as_str(), to_luau(lua, item)).unwrap();
            }
            table.set_readonly(true);
            Value::Table(table)
        }
    }
}

const HANDLER: &str = "return function(event, ctx) if event.content == '!ping' then return 'pong' end end";

fn warm_dispatch(c: &mut Criterion) {
    let ticker = Ticker::start().unwrap();
    let (bare, runtime, text) = (bare(), runtime(&ticker), event());
    let handler: Function = bare.load(HANDLER).eval().unwrap();
    let isolate = isolate(&runtime, HANDLER);
    let mut group = c.benchmark_group("warm dispatch in the runtime");
    group.bench_function("bare mlua, decoded", |b| {
        let event = to_luau(&bare, &serde_json::from_str(&text).unwrap());
        b.iter(|| {
            let thread = bare.create_thread(handler.clone()).unwrap();
            black_box(thread.resume::<Value>(&event).unwrap())
        });
    });
    group.bench_function("khronos, decoded", |b| {
        let event = runtime.decode_json(&text).unwrap();
        b.iter(|| black_box(run(&runtime, isolate, &event)));
    });
    group.bench_function("bare mlua, with decoding", |b| {
        b.iter(|| {
            let event = to_luau(&bare, &serde_json::from_str(&text).unwrap());
            let thread = bare.create_thread(handler.clone()).unwrap();
            black_box(thread.resume::<Value>(&event).unwrap())
        });
    });
    group.bench_function("khronos, with decoding", |b| {
        b.iter(|| {
            let event = runtime.decode_json(&text).unwrap();
            black_box(run(&runtime, isolate, &event))
        });
    });
    group.finish();
}

criterion_group!(benches, create_a_vm, warm_dispatch);
criterion_main!(benches);
