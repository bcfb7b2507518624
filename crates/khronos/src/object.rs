//! Objects of the host in a script's hands: read-only, with a name for `typeof`, and functions that may wait for the host.
//!
//! Owns how they look to a script. What their functions do is the embedder's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;

use mlua::{
    FromLuaMulti, Function, IntoLuaMulti, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields,
    UserDataMethods, Value,
};

use crate::library;
use crate::sandbox::Prelude;
use crate::scheduler::inbox::Reply;
use crate::scheduler::{Scheduler, host_functions};
use crate::value::KhronosValue;

/// A kind of object.
pub trait ObjectType: 'static {
    /// What `typeof` and `tostring` say.
    const NAME: &'static str;
}

/// Makes functions and objects of the host for scripts. For use inside the VM that it comes from, also while a script runs;
/// what holds one has to be dropped before its VM.
#[derive(Clone)]
pub struct HostFunctions {
    scheduler: Rc<Scheduler>,
    expose: Function,
    await_: Function,
}

impl HostFunctions {
    pub(crate) fn new(scheduler: &Rc<Scheduler>, prelude: &Prelude) -> Self {
        let (expose, await_) = (prelude.expose.clone(), prelude.await_.clone());
        Self { scheduler: Rc::clone(scheduler), expose, await_ }
    }

    /// A function that answers at once: values in, a value or a text to throw out.
    ///
    /// # Errors
    /// For want of memory.
    pub fn function<A, R>(
        &self,
        lua: &Lua,
        f: impl Fn(&Lua, A) -> Result<R, String> + 'static,
    ) -> mlua::Result<Function>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.expose.call(host_functions::function(lua, &self.scheduler, f)?)
    }

    /// What `text` is in JSON, as fresh tables, which the script may change.
    ///
    /// # Errors
    /// Where it is none, or more than a VM takes at once.
    pub fn json(&self, lua: &Lua, text: &str) -> Result<Value, String> {
        self.scheduler.decode(lua, text)
    }

    /// A function whose answer may come later: `serve` gets the arguments and a [`Reply`], which may be sent to any thread.
    /// The Luau thread that called sleeps until then, at any depth of coroutines, and others run.
    ///
    /// # Errors
    /// For want of memory.
    pub fn async_function(
        &self,
        lua: &Lua,
        name: &str,
        serve: impl Fn(Vec<KhronosValue>, Reply) + 'static,
    ) -> mlua::Result<Function> {
        host_functions::awaiting(lua, &self.scheduler, &self.await_, name, None, None, serve)
    }

    /// The same for what is not plain values on the script's side: `arguments` makes plain values of what the script gave,
    /// and `results` makes what the script gets of what was answered. Both are bounded pieces of work on the VM's thread.
    ///
    /// # Errors
    /// For want of memory.
    pub fn mapped_async_function(
        &self,
        lua: &Lua,
        name: &str,
        arguments: impl Fn(&Lua, MultiValue) -> Result<MultiValue, String> + 'static,
        results: impl Fn(&Lua, MultiValue) -> Result<MultiValue, String> + 'static,
        serve: impl Fn(Vec<KhronosValue>, Reply) + 'static,
    ) -> mlua::Result<Function> {
        let (arguments, results) = (Some(Box::new(arguments) as _), Some(Box::new(results) as _));
        host_functions::awaiting(lua, &self.scheduler, &self.await_, name, arguments, results, serve)
    }

    /// An object that nobody can change: `typeof` says `T::NAME`. It has `fields`, and the functions that are named in
    /// `functions`, whose answers may come later: `serve` gets the number of the one that was called. They can be called
    /// with a colon and with a dot.
    ///
    /// # Errors
    /// For want of memory.
    pub fn object<T: ObjectType>(
        &self,
        lua: &Lua,
        fields: Vec<(&'static str, Value)>,
        functions: &'static [&'static str],
        serve: impl Fn(usize, Vec<KhronosValue>, Reply) + 'static,
    ) -> mlua::Result<Value> {
        let object = HostObject::<T>::new(lua, self.clone(), fields, functions, Rc::new(serve))?;
        Ok(Value::UserData(lua.create_userdata(object)?))
    }
}

/// Adds a metamethod to an object of the embedder. Where it fails, a script gets a plain text with its own file and line, as from
/// the functions of [`HostFunctions`]; an error of mlua would be an object to it.
pub fn add_metamethod<T, F, A, R>(
    fields: &mut F,
    method: MetaMethod,
    f: impl Fn(&Lua, A) -> Result<R, String> + 'static,
) where
    F: UserDataFields<T>,
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    fields.add_meta_field_with(method.name(), move |lua| library::exposed(lua, f));
}

type Serve = Rc<dyn Fn(usize, Vec<KhronosValue>, Reply)>;

/// An object. Its functions are made when they are looked up first: of a hundred, a template uses a few.
struct HostObject<T> {
    fields: Table,
    functions: &'static [&'static str],
    made: RefCell<BTreeMap<usize, Function>>,
    host: HostFunctions,
    serve: Serve,
    kind: PhantomData<T>,
}

impl<T: ObjectType> HostObject<T> {
    fn new(
        lua: &Lua,
        host: HostFunctions,
        fields: Vec<(&'static str, Value)>,
        functions: &'static [&'static str],
        serve: Serve,
    ) -> mlua::Result<Self> {
        let fields = lua.create_table_from(fields)?;
        fields.set_readonly(true);
        Ok(Self { fields, functions, made: RefCell::default(), host, serve, kind: PhantomData })
    }

    fn get(&self, lua: &Lua, key: &Value) -> mlua::Result<Value> {
        let field: Value = self.fields.raw_get(key)?;
        if !field.is_nil() {
            return Ok(field);
        }
        let Value::String(name) = key else { return Ok(Value::Nil) };
        let Some(number) = self.functions.iter().position(|function| *name == **function) else {
            return Ok(Value::Nil);
        };
        if let Some(function) = self.made.borrow().get(&number) {
            return Ok(Value::Function(function.clone()));
        }
        let function = self.make(lua, number)?;
        self.made.borrow_mut().insert(number, function.clone());
        Ok(Value::Function(function))
    }

    fn make(&self, lua: &Lua, number: usize) -> mlua::Result<Function> {
        let serve = Rc::clone(&self.serve);
        let name = self.functions.get(number).copied().unwrap_or_default();
        let arguments = Some(Box::new(without_self::<T>) as _);
        let serve = move |arguments, reply| serve(number, arguments, reply);
        host_functions::awaiting(lua, &self.host.scheduler, &self.host.await_, name, arguments, None, serve)
    }
}

/// The arguments of `object:f(..)` are those of `object.f(..)`.
#[expect(clippy::unnecessary_wraps, reason = "it is one of several that map arguments")]
fn without_self<T: ObjectType>(_: &Lua, mut arguments: MultiValue) -> Result<MultiValue, String> {
    if matches!(arguments.front(), Some(Value::UserData(first)) if first.is::<HostObject<T>>()) {
        arguments.pop_front();
    }
    Ok(arguments)
}

impl<T: ObjectType> UserData for HostObject<T> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        // mlua locks the metatables of its userdata by itself: `getmetatable` gives false.
        fields.add_meta_field(MetaMethod::Type, T::NAME);
        add_metamethod(fields, MetaMethod::NewIndex, |_, _: MultiValue| -> Result<(), String> {
            Err(format!("{} is read-only", T::NAME))
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: Value| this.get(lua, &key));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok(T::NAME));
    }
}
