//! Putting functions and objects into a VM as they are declared, and nothing that is not.
//!
//! Owns how a function in Rust becomes one of Luau, and how a type becomes the metatable of its objects: locked, and with
//! the declared name for `typeof`. Leaves what a script sees of a failure to `objects.luau`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{
    Function, IntoLua, IntoLuaMulti, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields,
    UserDataRegistry, Value,
};

use super::Library;
use super::arguments::{Argument, Arguments, Bytes};
use super::datamgmt::Blob;
use crate::declare;
use crate::scheduler::collector::Charge;
use crate::scheduler::host_functions;
use crate::scheduler::inbox::Reply;
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

/// A type whose objects scripts can have.
pub(super) trait Object: Sized + 'static {
    /// How it is declared.
    const TYPE: &'static declare::Type;

    /// Adds what is declared.
    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()>;
}

/// The functions of a module or a type, as they are added.
pub(super) struct Members<'a> {
    lua: &'a Lua,
    library: Rc<Library>,
    declared: &'static [declare::Function],
    added: BTreeMap<&'static str, Function>,
}

fn undeclared(what: &str) -> mlua::Error {
    mlua::Error::runtime(format!("{what} is not what was declared"))
}

impl<'a> Members<'a> {
    fn new(lua: &'a Lua, library: &Rc<Library>, declared: &'static [declare::Function]) -> Self {
        Self { lua, library: Rc::clone(library), declared, added: BTreeMap::new() }
    }

    fn find(&self, name: &str) -> mlua::Result<&'static declare::Function> {
        self.declared.iter().find(|function| function.name == name).ok_or_else(|| undeclared(name))
    }

    /// The raw form of the function that is declared as `name`; see `objects.luau`.
    fn raw<A: Arguments, R: IntoLuaMulti>(
        &self,
        declared: &'static declare::Function,
        f: impl Fn(&Call<'_>, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<Function> {
        if A::COUNT != declared.parameters.len() {
            return Err(undeclared(declared.name));
        }
        raw(self.lua, &self.library, move |call, values| f(call, A::read(values, declared)?))
    }

    fn add(&mut self, declared: &'static declare::Function, raw: Function) -> mlua::Result<()> {
        let exposed = self.library.expose.call(raw)?;
        self.put(declared, exposed)
    }

    fn put(&mut self, declared: &'static declare::Function, function: Function) -> mlua::Result<()> {
        match self.added.insert(declared.name, function) {
            Some(_) => Err(undeclared(declared.name)),
            None => Ok(()),
        }
    }

    /// All that is declared, and no less.
    fn done(self) -> mlua::Result<BTreeMap<&'static str, Function>> {
        match self.declared.iter().find(|function| !self.added.contains_key(function.name)) {
            Some(missing) => Err(undeclared(missing.name)),
            None => Ok(self.added),
        }
    }
}

/// A function after the convention of `objects.luau`. A panic breaks the VM, also where the script would catch it.
fn raw<R: IntoLuaMulti>(
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
            Ok(Err(Refusal::Because(text))) => (false, text).into_lua_multi(lua),
            Ok(Err(Refusal::NoRoom(bytes))) => {
                let limit = scheduler.memory_limit();
                let text = format!(
                    "not enough memory: this would take {bytes} bytes, and all templates of the guild have {limit} \
                     bytes together"
                );
                (Value::Nil, text).into_lua_multi(lua)
            }
            Ok(Err(Refusal::Failed(error))) => (false, scheduler.explain(&error)).into_lua_multi(lua),
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
        J: FnOnce() -> Result<KhronosValue, String> + Send + 'static,
    {
        let declared = self.functions.find(name)?;
        let (lua, library) = (self.lua(), self.library());
        let finish = raw(lua, library, |call, mut values| {
            let bytes = values.pop_front().and_then(Bytes::read).ok_or("the answer is no bytes")?;
            Blob::copy(call, &bytes)
        })?;
        let waiter = library.waiter.call(finish)?;
        let lane = library.scheduler.options.base.slow_lane.clone();
        let pending = library.pending.clone();
        let serve = move |values: Vec<KhronosValue>, reply: Reply| {
            let job = match begin(Waiting { declared, values: values.into_iter(), next: 0 }) {
                Ok(job) => job,
                Err(message) => return reply.error(message),
            };
            // Kept apart from the job: where that is not taken, the script hears why.
            let reply = Arc::new(Mutex::new(Some(reply)));
            let slot = Arc::clone(&reply);
            let take =
                |slot: &Mutex<Option<Reply>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let run = move || {
                let answer = job();
                let Some(reply) = take(&slot) else { return };
                match answer {
                    Ok(value) => reply.ok(value),
                    Err(message) => reply.error(message),
                }
            };
            if let Err(message) = lane.run(&pending, run)
                && let Some(reply) = take(&reply)
            {
                reply.error(message);
            }
        };
        let function = host_functions::awaiting(lua, &library.scheduler, &waiter, declared.name, serve)?;
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

fn frozen<V: IntoLua>(
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

/// The metatable of a type as it is made.
pub(super) struct Class<'a, T> {
    methods: Members<'a>,
    operators: Members<'a>,
    getters: BTreeMap<&'static str, Function>,
    setters: BTreeMap<&'static str, Function>,
    _of: std::marker::PhantomData<T>,
}

fn this<T: Object>(values: &mut MultiValue, function: &str) -> Outcome<mlua::AnyUserData> {
    match values.pop_front() {
        Some(Value::UserData(data)) if data.is::<T>() => Ok(data),
        _ => {
            Err(format!("call '{function}' of a {} with a colon: object:{function}(..)", T::TYPE.name).into())
        }
    }
}

impl<'a, T: Object> Class<'a, T> {
    pub(super) fn lua(&self) -> &'a Lua {
        self.methods.lua
    }

    /// Adds the method that is declared as `name`.
    pub(super) fn method<A: Arguments, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, &T, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<()> {
        let declared = self.methods.find(name)?;
        let raw =
            self.on_object(declared, move |call, object, args| f(call, &*object.borrow::<T>()?, args))?;
        self.methods.add(declared, raw)
    }

    /// The same, for one that changes its object.
    pub(super) fn method_mut<A: Arguments, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, &mut T, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<()> {
        let declared = self.methods.find(name)?;
        let raw = self
            .on_object(declared, move |call, object, args| f(call, &mut *object.borrow_mut::<T>()?, args))?;
        self.methods.add(declared, raw)
    }

    /// Adds the method that is declared as `name`: it calls the function that `f` makes.
    pub(super) fn caller(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, &mut T) -> Outcome<Function> + 'static,
    ) -> mlua::Result<()> {
        let declared = self.methods.find(name)?;
        let raw = raw(self.lua(), &self.methods.library, move |call, mut values| {
            let object = this::<T>(&mut values, declared.name)?;
            f(call, &mut *object.borrow_mut::<T>()?)
        })?;
        let function = self.methods.library.caller.call(raw)?;
        self.methods.put(declared, function)
    }

    fn on_object<A: Arguments, R: IntoLuaMulti>(
        &self,
        declared: &'static declare::Function,
        f: impl Fn(&Call<'_>, mlua::AnyUserData, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<Function> {
        if A::COUNT != declared.parameters.len() {
            return Err(undeclared(declared.name));
        }
        raw(self.lua(), &self.methods.library, move |call, mut values| {
            let object = this::<T>(&mut values, declared.name)?;
            f(call, object, A::read(values, declared)?)
        })
    }

    /// Adds the operator that is declared as `name`. It gets both operands, in the order in which they are written.
    pub(super) fn operator<A: Arguments, R: IntoLuaMulti>(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, A) -> Outcome<R> + 'static,
    ) -> mlua::Result<()> {
        let declared = self.operators.find(name)?;
        let raw = self.operators.raw(declared, f)?;
        self.operators.add(declared, raw)
    }

    /// Adds the field that is declared as `name`.
    pub(super) fn field<R: IntoLuaMulti>(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, &T) -> Outcome<R> + 'static,
    ) -> mlua::Result<()> {
        let declared =
            T::TYPE.fields.iter().find(|field| field.name == name).ok_or_else(|| undeclared(name))?;
        let getter = raw(self.lua(), &self.methods.library, move |call, mut values| {
            f(call, &*this::<T>(&mut values, declared.name)?.borrow::<T>()?)
        })?;
        self.getters.insert(declared.name, getter);
        Ok(())
    }

    /// Lets scripts assign to a field.
    pub(super) fn setter<A: Argument>(
        &mut self,
        name: &str,
        f: impl Fn(&Call<'_>, &mut T, A) -> Outcome<()> + 'static,
    ) -> mlua::Result<()> {
        let declared =
            T::TYPE.fields.iter().find(|field| field.name == name).ok_or_else(|| undeclared(name))?;
        let setter = raw(self.lua(), &self.methods.library, move |call, mut values| {
            let object = this::<T>(&mut values, declared.name)?;
            let value = A::read(values.pop_front().unwrap_or(Value::Nil));
            let value = value.ok_or_else(|| format!("'{}' takes a {}", declared.name, A::EXPECTED))?;
            f(call, &mut *object.borrow_mut::<T>()?, value)
        })?;
        self.setters.insert(declared.name, setter);
        Ok(())
    }

    /// The metamethods.
    fn done(self) -> mlua::Result<BTreeMap<&'static str, Function>> {
        if let Some(missing) = T::TYPE.fields.iter().find(|field| !self.getters.contains_key(field.name)) {
            return Err(undeclared(missing.name));
        }
        let library = Rc::clone(&self.methods.library);
        let lua = self.lua();
        let mut metatable = self.operators.done()?;
        let members = (frozen(lua, self.methods.done()?)?, frozen(lua, self.getters)?);
        metatable.insert("__index", library.index.call((T::TYPE.name, members.0, members.1))?);
        if !self.setters.is_empty() {
            let newindex = library.newindex.call((T::TYPE.name, frozen(lua, self.setters)?))?;
            metatable.insert("__newindex", newindex);
        }
        Ok(metatable)
    }
}

/// Fills the metatable of a type, the first time that a VM has one of its objects.
pub(super) fn register<T: Object + UserData>(registry: &mut UserDataRegistry<T>) {
    let metatable: Rc<RefCell<BTreeMap<&'static str, Function>>> = Rc::default();
    let made = Rc::clone(&metatable);
    registry.add_meta_field_with(MetaMethod::Type.name(), move |lua| {
        let library = Library::of(lua)?;
        let mut class = Class::<T> {
            methods: Members::new(lua, &library, T::TYPE.methods),
            operators: Members::new(lua, &library, T::TYPE.operators),
            getters: BTreeMap::new(),
            setters: BTreeMap::new(),
            _of: std::marker::PhantomData,
        };
        T::add_to(&mut class)?;
        made.replace(class.done()?);
        Ok(T::TYPE.name)
    });
    let names: Vec<&'static str> = metatable.borrow().keys().copied().collect();
    for name in names {
        let metatable = Rc::clone(&metatable);
        registry.add_meta_field_with(name, move |_| Ok(metatable.borrow().get(name).cloned()));
    }
}

/// Makes a type one whose objects scripts can have.
macro_rules! object {
    ($($name:ty),+) => {
        $(impl mlua::UserData for $name {
            fn register(registry: &mut mlua::UserDataRegistry<Self>) {
                $crate::library::members::register(registry);
            }
        })+
    };
}
pub(super) use object;
