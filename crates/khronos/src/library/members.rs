//! Putting functions and modules into a VM as they are declared, and nothing that is not.
//!
//! Owns how a function in Rust becomes one of Luau, also one for which the script has to wait. Leaves objects to `classes`,
//! and what a script sees of a failure to `objects.luau`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use mlua::{Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::Library;
use super::arguments::{Argument, Arguments, Bytes};
use crate::declare;
use crate::scheduler::collector::Charge;
use crate::scheduler::inbox::Reply;
use crate::scheduler::{Scheduler, host_functions};
use crate::value::KhronosValue;

/// Why a function does not do what it was asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A text for the script.
    Because(String),
    /// There is no room for so many bytes now; without garbage there may be.
    NoRoom(usize),
    /// Luau failed, which it does for want of memory only.
    Failed(mlua::Error),
}

impl Refusal {
    pub(super) fn into_text(self, scheduler: &Scheduler) -> String {
        match self {
            Self::Because(text) => text,
            Self::NoRoom(bytes) => {
                let limit = scheduler.memory_limit();
                format!(
                    "not enough memory: this would take {bytes} bytes, and all templates of the guild have {limit} \
                     bytes together, the limit of memory: do less at once"
                )
            }
            Self::Failed(error) => scheduler.explain(&error),
        }
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self::Because(text)
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Self {
        Self::Because(text.to_owned())
    }
}

impl From<mlua::Error> for Refusal {
    fn from(error: mlua::Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) type Outcome<T> = Result<T, Refusal>;

/// What a function has besides its arguments.
pub(super) struct Call<'a> {
    pub(super) lua: &'a Lua,
    pub(super) library: &'a Rc<Library>,
}

impl Call<'_> {
    /// Asked before so many bytes are allocated, in the VM or for it.
    pub(super) fn room(&self, bytes: usize) -> Outcome<()> {
        if self.library.scheduler.fits(self.lua, bytes) { Ok(()) } else { Err(Refusal::NoRoom(bytes)) }
    }

    /// Counts bytes that the host keeps for the VM.
    pub(super) fn charge(&self, bytes: usize) -> Outcome<Charge> {
        self.room(bytes)?;
        self.library.scheduler.keep(self.lua, bytes).map_err(|_| Refusal::NoRoom(bytes))
    }
}

/// The functions of a module or a type, as they are added.
pub(super) struct Members<'a> {
    pub(super) lua: &'a Lua,
    pub(super) library: Rc<Library>,
    declared: &'static [declare::Function],
    added: BTreeMap<&'static str, Function>,
}

pub(super) fn undeclared(what: &str) -> mlua::Error {
    mlua::Error::runtime(format!("{what} is not what was declared"))
}

impl<'a> Members<'a> {
    pub(super) fn new(lua: &'a Lua, library: &Rc<Library>, declared: &'static [declare::Function]) -> Self {
        Self { lua, library: Rc::clone(library), declared, added: BTreeMap::new() }
    }

    pub(super) fn find(&self, name: &str) -> mlua::Result<&'static declare::Function> {
        self.declared.iter().find(|function| function.name == name).ok_or_else(|| undeclared(name))
    }

    /// The raw form of the function that is declared as `name`; see `objects.luau`.
    pub(super) fn raw<A: Arguments, R: IntoLuaMulti>(
        &self,
        declared: &'static declare::Function,
        f: impl Fn(&Call<'_>, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<Function> {
        if A::COUNT != declared.parameters.len() {
            return Err(undeclared(declared.name));
        }
        raw(self.lua, &self.library, move |call, values| f(call, A::read(values, declared)?))
    }

    pub(super) fn add(&mut self, declared: &'static declare::Function, raw: Function) -> mlua::Result<()> {
        let exposed = self.library.expose.call(raw)?;
        self.put(declared, exposed)
    }

    pub(super) fn put(
        &mut self,
        declared: &'static declare::Function,
        function: Function,
    ) -> mlua::Result<()> {
        match self.added.insert(declared.name, function) {
            Some(_) => Err(undeclared(declared.name)),
            None => Ok(()),
        }
    }

    /// All that is declared, and no less.
    pub(super) fn done(self) -> mlua::Result<BTreeMap<&'static str, Function>> {
        match self.declared.iter().find(|function| !self.added.contains_key(function.name)) {
            Some(missing) => Err(undeclared(missing.name)),
            None => Ok(self.added),
        }
    }
}

/// A function after the convention of `objects.luau`. A panic breaks the VM, also where the script would catch it.
pub(super) fn raw<R: IntoLuaMulti>(
    lua: &Lua,
    library: &Rc<Library>,
    f: impl Fn(&Call<'_>, MultiValue) -> Outcome<R> + 'static,
) -> mlua::Result<Function> {
    let weak = Rc::downgrade(library);
    lua.create_function(move |lua, values: MultiValue| {
        let Some(library) = weak.upgrade() else { return (false, "the VM is closing").into_lua_multi(lua) };
        let call = Call { lua, library: &library };
        let run = || f(&call, values).and_then(|value| Ok(value.into_lua_multi(lua)?));
        let scheduler = &library.scheduler;
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(value)) => (true, value).into_lua_multi(lua),
            Ok(Err(refusal)) => {
                let ok =
                    if matches!(refusal, Refusal::NoRoom(_)) { Value::Nil } else { Value::Boolean(false) };
                (ok, refusal.into_text(scheduler)).into_lua_multi(lua)
            }
            Err(_) => {
                scheduler.panicked();
                (false, "internal error").into_lua_multi(lua)
            }
        }
    })
}

/// A module as it is made: a table that is read-only in the end.
pub(super) struct Maker<'a> {
    module: &'static declare::Module,
    functions: Members<'a>,
    fields: BTreeMap<&'static str, Value>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(lua: &'a Lua, library: &Rc<Library>, module: &'static declare::Module) -> Self {
        let functions = Members::new(lua, library, module.functions);
        Self { module, functions, fields: BTreeMap::new() }
    }

    pub(super) fn lua(&self) -> &'a Lua {
        self.functions.lua
    }

    pub(super) fn library(&self) -> &Rc<Library> {
        &self.functions.library
    }

    /// Adds the function that is declared as `name`.
    pub(super) fn function<A: Arguments, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<()> {
        let declared = self.functions.find(name)?;
        let raw = self.functions.raw(declared, f)?;
        self.functions.add(declared, raw)
    }

    /// Adds the function that is declared as `name`, and for which the script waits: `begin` makes a job of its arguments,
    /// which gives bytes that become a blob. The slow lane does it, off the VM's thread.
    pub(super) fn slowly<J>(
        &mut self,
        name: &str,
        begin: impl Fn(Waiting) -> Result<J, String> + 'static,
    ) -> mlua::Result<()>
    where
        J: FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
    {
        let declared = self.functions.find(name)?;
        let (lua, library) = (self.lua(), self.library());
        let lane = library.scheduler.options.base.slow_lane.clone();
        let jobs = library.slow_jobs.clone();
        let serve = move |values: Vec<KhronosValue>, reply: Reply| {
            let begun = begin(Waiting { declared, values: values.into_iter(), next: 0 });
            match begun.and_then(|job| Ok((job, lane.place(&jobs)?))) {
                Err(message) => reply.error(message),
                Ok((job, place)) => lane.run(place, move || match job() {
                    Ok(bytes) => reply.blob(bytes),
                    Err(message) => reply.error(message),
                }),
            }
        };
        let (scheduler, await_) = (&library.scheduler, &library.await_);
        let function = host_functions::awaiting(lua, scheduler, await_, declared.name, None, None, serve)?;
        self.functions.put(declared, function)
    }

    /// Adds the field that is declared as `name`.
    pub(super) fn field(&mut self, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        let declared = self.module.fields.iter().find(|field| field.name == name);
        let declared = declared.ok_or_else(|| undeclared(name))?;
        self.fields.insert(declared.name, value.into_lua(self.lua())?);
        Ok(())
    }

    /// A read-only table of the functions that are declared as the methods of the plain type `name`.
    pub(super) fn table(
        &mut self,
        name: &str,
        add: impl FnOnce(&mut Maker<'a>) -> mlua::Result<()>,
    ) -> mlua::Result<Table> {
        let declared = self.module.types.iter().find(|ty| ty.name == name).ok_or_else(|| undeclared(name))?;
        let inner = Members::new(self.lua(), self.library(), declared.methods);
        let outer = std::mem::replace(&mut self.functions, inner);
        let added = add(self);
        let inner = std::mem::replace(&mut self.functions, outer);
        added?;
        frozen(self.lua(), inner.done()?)
    }

    pub(super) fn done(self) -> mlua::Result<Table> {
        if let Some(missing) = self.module.fields.iter().find(|field| !self.fields.contains_key(field.name)) {
            return Err(undeclared(missing.name));
        }
        let lua = self.lua();
        let functions = self.functions.done()?.into_iter().map(|(name, f)| (name, Value::Function(f)));
        frozen(lua, functions.chain(self.fields))
    }
}

pub(super) fn frozen<V: IntoLua>(
    lua: &Lua,
    entries: impl IntoIterator<Item = (&'static str, V)>,
) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in entries {
        table.raw_set(name, value)?;
    }
    table.set_readonly(true);
    Ok(table)
}

/// The arguments of a function for which the script waits.
pub(super) struct Waiting {
    declared: &'static declare::Function,
    values: std::vec::IntoIter<KhronosValue>,
    next: usize,
}

impl Waiting {
    /// The next one, which is text, a buffer or a blob.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let parameter = self.declared.parameters.get(self.next).map_or("..", |parameter| parameter.name);
        self.next += 1;
        match self.values.next() {
            Some(KhronosValue::Text(text)) => Ok(text.into_bytes()),
            Some(KhronosValue::Buffer(bytes)) => Ok(bytes),
            _ => {
                let (function, expected) = (self.declared.name, Bytes::EXPECTED);
                Err(format!("invalid argument '{parameter}' to '{function}' ({expected} expected)"))
            }
        }
    }
}
