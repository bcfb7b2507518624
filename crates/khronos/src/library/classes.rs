//! Putting objects into a VM as their types are declared: methods, fields and operators, and nothing that is not declared.
//!
//! A metatable is made when a VM has the first object of its type. mlua locks it, so that scripts see `false` for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;

use mlua::{
    AnyUserData, Function, IntoLuaMulti, Lua, MetaMethod, MultiValue, UserData, UserDataFields,
    UserDataRegistry, Value,
};

use super::Library;
use super::arguments::{Argument, Arguments};
use super::members::{Call, Members, Outcome, frozen, raw, undeclared};
use crate::declare;

/// A type whose objects scripts can have.
pub(super) trait Object: Sized + 'static {
    /// How it is declared.
    const TYPE: &'static declare::Type;

    /// Adds what is declared.
    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()>;
}

/// The metatable of a type as it is made.
pub(super) struct Class<'a, T> {
    methods: Members<'a>,
    operators: Members<'a>,
    getters: BTreeMap<&'static str, Function>,
    setters: BTreeMap<&'static str, Function>,
    _of: PhantomData<T>,
}

fn this<T: Object>(values: &mut MultiValue, function: &str) -> Outcome<AnyUserData> {
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
        f: impl Fn(&Call<'_>, AnyUserData, A) -> Outcome<R> + 'static,
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
            _of: PhantomData,
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
                $crate::library::classes::register(registry);
            }
        })+
    };
}
pub(super) use object;
