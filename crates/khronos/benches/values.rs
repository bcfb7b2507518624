//! What it costs to take an event in and to hand a result out, beside the plainest code that could do it.
//!
//! The ways take turns in short rounds, and each one's cheapest and median round counts: ratios hold on a noisy
//! machine, times don't.

#![expect(
    unsafe_code,
    reason = "the plainest decoder pushes onto the Luau stack, as the one it is held against"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and fails where its set-up fails"
)]

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use khronos::{
    BaseLibrary, Bundle, BytecodeCache, ExecutionLimits, KhronosRuntime, RuntimeOptions, Ticker, Verdict,
};
use mlua::ffi::{self, lua_State};
use mlua::{Lua, LuaOptions, StdLib, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A MESSAGE_CREATE of 784 bytes.
const EVENT: &str = include_str!("message_create.json");

const ROUNDS: usize = 400;
const TIMES: u32 = 100;

/// One way to do a thing.
type Way<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Prints what each way takes, and how that compares with the first one.
fn compare(title: &str, ways: &mut [Way<'_>]) {
    let mut rounds = vec![Vec::with_capacity(ROUNDS); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), took) in ways.iter_mut().zip(&mut rounds) {
            let start = Instant::now();
            for _ in 0..TIMES {
                way();
            }
            took.push(start.elapsed() / TIMES);
        }
    }
    let figures: Vec<(Duration, Duration)> = rounds
        .iter_mut()
        .map(|took| {
            took.sort_unstable();
            (took[0], took[took.len() / 2])
        })
        .collect();
    println!("{title}");
    for ((name, _), (least, median)) in ways.iter().zip(&figures) {
        println!(
            "  {name:<44} median {median:>9.2?} ({:.2}x)   least {least:>9.2?} ({:.2}x)",
            median.as_secs_f64() / figures[0].1.as_secs_f64(),
            least.as_secs_f64() / figures[0].0.as_secs_f64(),
        );
    }
}

fn bare() -> Lua {
    let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new()).unwrap();
    lua.sandbox(true).unwrap();
    lua
}

/// The plainest pass: no limits, nothing frozen, no metatable for arrays.
#[derive(Clone, Copy)]
struct Plain(*mut lua_State);

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

// SAFETY of all blocks below: `self.0` is the running state of the protected call in `plain`, the event is of this
// bench and neither deep nor wrong.
impl<'de> Visitor<'de> for Plain {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushnil(self.0) }
        Ok(())
    }

    fn visit_bool<E>(self, b: bool) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushboolean(self.0, b.into()) }
        Ok(())
    }

    fn visit_u64<E>(self, n: u64) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushnumber(self.0, n as f64) }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushlstring_(self.0, text.as_ptr().cast(), text.len()) }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // SAFETY: see above.
        unsafe { ffi::lua_createtable(self.0, 0, 0) }
        let mut count = 0;
        while items.next_element_seed(self)?.is_some() {
            count += 1;
            // SAFETY: see above.
            unsafe { ffi::lua_rawseti_(self.0, -2, count) }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        // SAFETY: see above.
        unsafe { ffi::lua_createtable(self.0, 0, 0) }
        while entries.next_key_seed(self)?.is_some() {
            entries.next_value_seed(self)?;
            // SAFETY: see above.
            unsafe { ffi::lua_rawset(self.0, -3) }
        }
        Ok(())
    }
}

fn plain(lua: &Lua, text: &str) -> Value {
    // SAFETY: `Plain` leaves one value on the stack.
    unsafe {
        lua.exec_raw((), |state| {
            ffi::lua_checkstack(state, 100);
            Plain(state).deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap();
        })
    }
    .unwrap()
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
            Value::Table(table)
        }
        serde_json::Value::Object(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len()).unwrap();
            for (key, item) in entries {
                table.raw_set(key.as_str(), to_luau(lua, item)).unwrap();
            }
            Value::Table(table)
        }
    }
}

fn decode(runtime: &KhronosRuntime, what: &str, text: &str) {
    let (raw, tables) = (bare(), bare());
    compare(
        &format!("decode {what}: {} bytes", text.len()),
        &mut [
            ("the plainest pass, bare mlua", Box::new(|| drop(black_box(plain(&raw, text))))),
            ("khronos", Box::new(|| drop(black_box(runtime.decode_json(text).unwrap())))),
            (
                "serde_json::Value, then tables, bare mlua",
                Box::new(|| drop(black_box(to_luau(&tables, &serde_json::from_str(text).unwrap())))),
            ),
        ],
    );
}

fn main() {
    let ticker = Ticker::start().unwrap();
    let options = RuntimeOptions::new(BaseLibrary::compile().unwrap(), ticker.handle());
    let runtime = KhronosRuntime::new(options).unwrap();
    decode(&runtime, "a MESSAGE_CREATE", EVENT);
    decode(&runtime, "the same with keys of one's own", &EVENT.replace("\":", "_\":"));
    decode(&runtime, "a list of 50 of them", &format!("[{}]", vec![EVENT; 50].join(",")));

    let run = |source: &str, event: &Value| {
        let bundle = Bundle::new([("init.luau".to_owned(), source.to_owned())]).unwrap();
        let program = BytecodeCache::default().compile(&bundle).unwrap();
        let isolate = runtime.create_isolate("bench", program).unwrap();
        let event = event.clone();
        let runtime = &runtime;
        move || {
            let limits = ExecutionLimits::default();
            runtime.start(isolate, "MESSAGE_CREATE", &event, &Value::Nil, limits).unwrap();
            while runtime.run_slice() {}
            let done = runtime.take_completions().pop().unwrap();
            let Verdict::Returned(value) = done.verdict else { panic!("{:?}", done.verdict) };
            value
        }
    };
    let event = runtime.decode_json(EVENT).unwrap();
    let nothing = run("return function() end", &event);
    let echo = run("return function(event) return event end", &event);
    compare(
        "an execution that returns the event, up to JSON text",
        &mut [
            ("one that returns nothing", Box::new(|| drop(black_box(serde_json::to_string(&nothing()))))),
            ("one that returns the event", Box::new(|| drop(black_box(serde_json::to_string(&echo()))))),
        ],
    );
}
