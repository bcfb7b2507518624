//! One template's world inside a guild's VM: its own globals, its own module cache, its own handlers.
//!
//! Owns what `prelude.luau` asks about an isolate: which file a `require` means, a module's chunk, where a printed
//! line goes, and the handlers that an entry chunk left behind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Table, Value};

use crate::bytecode::Program;
use crate::library;
use crate::options::LogLevel;
use crate::sandbox::{INTERNAL, Prelude};
use crate::scheduler::{Scheduler, host_functions, preempt};
use crate::value::convert::kind;

/// Names one isolate of a runtime. Its template runs in it until it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsolateId(u64);

impl mlua::IntoLua for IsolateId {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        self.0.into_lua(lua)
    }
}

pub(crate) struct Isolate {
    pub(crate) name: Arc<str>,
    program: Program,
    env: Table,
    /// The entry chunk; it runs for every event until it leaves handlers behind.
    entry: Function,
    /// A function, or a table of them by event name.
    handlers: RefCell<Option<Value>>,
    /// What its allocations are counted under.
    pub(crate) category: u8,
}

/// What is counted under no isolate, because it belongs to all, or because there are too many of them.
const SHARED: u8 = 0;

impl Isolate {
    /// What the next execution runs: the entry chunk, or the handlers.
    pub(crate) fn run(&self) -> (Option<Function>, Option<Value>) {
        match &*self.handlers.borrow() {
            Some(handlers) => (None, Some(handlers.clone())),
            None => (Some(self.entry.clone()), None),
        }
    }
}

/// All isolates of a VM, shared with the functions that scripts call.
#[derive(Default)]
pub(crate) struct Isolates {
    by_id: RefCell<BTreeMap<u64, Rc<Isolate>>>,
    next: RefCell<u64>,
}

impl Isolates {
    pub(crate) fn get(&self, id: IsolateId) -> Option<Rc<Isolate>> {
        self.by_id.borrow().get(&id.0).cloned()
    }

    pub(crate) fn remove(&self, id: IsolateId) -> bool {
        self.by_id.borrow_mut().remove(&id.0).is_some()
    }

    pub(crate) fn clear(&self) {
        self.by_id.borrow_mut().clear();
    }

    pub(crate) fn create(
        &self,
        lua: &Lua,
        prelude: &Prelude,
        name: &str,
        program: Program,
    ) -> mlua::Result<IsolateId> {
        let id = {
            let mut next = self.next.borrow_mut();
            *next += 1;
            *next
        };
        let category = self.free_category();
        let main = lua.current_thread();
        preempt::count_under(&main, category);
        let made = (|| {
            let env: Table = prelude.isolate.call((id, &prelude.shared))?;
            // No script can replace a library function that it sees, so imports and fast calls may be resolved early.
            env.set_safeenv(true);
            let entry = load(lua, &program, program.entry(), &env)?;
            mlua::Result::Ok((env, entry))
        })();
        preempt::count_under(&main, SHARED);
        let (env, entry) = made?;
        let (name, handlers) = (Arc::from(name), RefCell::new(None));
        let isolate = Isolate { name, program, env, entry, handlers, category };
        self.by_id.borrow_mut().insert(id, Rc::new(isolate));
        Ok(IsolateId(id))
    }

    /// A category that no isolate has. What one that was removed left behind may still be in it.
    fn free_category(&self) -> u8 {
        let by_id = self.by_id.borrow();
        let is_free = |category: &u8| by_id.values().all(|isolate| isolate.category != *category);
        (1..=u8::MAX).find(is_free).unwrap_or(SHARED)
    }

    fn at(&self, id: u64) -> Result<Rc<Isolate>, String> {
        self.by_id.borrow().get(&id).cloned().ok_or_else(|| "this template was removed".to_owned())
    }

    /// Adds to `host` what `prelude.luau` asks about isolates.
    pub(crate) fn add_to(
        self: &Rc<Self>,
        lua: &Lua,
        scheduler: &Rc<Scheduler>,
        host: &Table,
    ) -> mlua::Result<()> {
        let (isolates, instead) = (Rc::clone(self), scheduler.options.instead);
        host_functions::add(lua, scheduler, host, "resolve", move |lua, (id, request): (u64, Value)| {
            let isolate = isolates.at(id)?;
            let Value::String(request) = &request else {
                return Err(format!("require takes a path in quotes, got a {}", kind(&request)));
            };
            let from = caller(lua).unwrap_or_else(|| isolate.program.entry().to_owned());
            let request = request.to_string_lossy();
            isolate.program.resolve(&from, &request).map_err(|error| match instead(&request) {
                Some(instead) => format!("cannot require \"{request}\": {instead}"),
                None => error,
            })
        })?;
        let (isolates, s) = (Rc::clone(self), Rc::clone(scheduler));
        host_functions::add(lua, scheduler, host, "load", move |lua, (id, path): (u64, String)| {
            let isolate = isolates.at(id)?;
            let chunk = library::load(lua, &path, &isolate.env)
                .unwrap_or_else(|| load(lua, &isolate.program, &path, &isolate.env));
            let chunk = chunk.map_err(|error| s.explain(&error))?;
            Ok((chunk, s.current()?.0))
        })?;
        let isolates = Rc::clone(self);
        let keep = lua.create_function(move |_, (id, handlers): (u64, Value)| {
            if let Ok(isolate) = isolates.at(id) {
                isolate.handlers.replace(Some(handlers));
            }
            Ok(())
        })?;
        host.raw_set("keep", keep)?;
        let (isolates, s) = (Rc::clone(self), Rc::clone(scheduler));
        let log = lua.create_function(move |_, (id, level, text): (u64, String, mlua::LuaString)| {
            if let Ok(isolate) = isolates.at(id) {
                let level = match level.as_str() {
                    "info" => LogLevel::Info,
                    "warn" => LogLevel::Warn,
                    _ => LogLevel::Error,
                };
                let bytes = text.as_bytes();
                let most = bytes.len().min(crate::options::MAX_LOG_LINE + 4);
                let text = String::from_utf8_lossy(&bytes[..most]);
                s.log_line(Arc::clone(&isolate.name), s.current().ok(), level, &text);
            }
            Ok(())
        })?;
        host.raw_set("log", log)
    }
}

/// The file of the script that called the function of `prelude.luau` that called us.
fn caller(lua: &Lua) -> Option<String> {
    (1..16).find_map(|level| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let chunk = source.source.as_deref().unwrap_or_default();
            let name = chunk.strip_prefix('=').unwrap_or(chunk).to_owned();
            (source.what != "C" && name != INTERNAL).then_some(name)
        })?
    })
}

fn load(lua: &Lua, program: &Program, path: &str, env: &Table) -> mlua::Result<Function> {
    let Some(bytecode) = program.bytecode(path) else {
        return Err(mlua::Error::runtime(format!("there is no `{path}` in this template")));
    };
    lua.load(&bytecode[..])
        .set_name(format!("={path}"))
        .set_mode(ChunkMode::Binary)
        .set_environment(env.clone())
        .into_function()
}
