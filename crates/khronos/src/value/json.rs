//! JSON text to Luau tables, in one pass: no `serde_json::Value` and no Rust copy of a string in between.
//!
//! Owns how JSON looks to a script: null is nil, an array carries the array metatable also when it is empty, a whole number
//! that a double could not hold is an `I64` or a `U64`, and of equal keys in an object the last one counts. `serde_json`
//! parses; this file pushes what it finds straight onto the Luau stack, which is why it handles raw states.
//!
//! Events look alike. So the VM keeps the keys of Discord's events, which saves hashing and allocating them, and how
//! many entries the last object under such a key had, which saves growing the next one step by step.

#![expect(unsafe_code, reason = "values go straight onto the Luau stack")]

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{c_char, c_int};
use std::fmt;

use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::patience::Patience;
use super::{MAX_EXACT, known_keys};
use crate::library::typesext::{I64, U64};

/// Elements of an array that wait on the stack, so that a short array is made in its size.
const AT_ONCE: c_int = 16;

/// Stack slots that a value may need: a table, a key and the entry's value, the elements that wait, and two to spare.
const ROOM: c_int = AT_ONCE + 5;

/// Where the table of known keys has the function that makes integers.
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "there are some hundred keys"
)]
const INTEGERS: c_int = known_keys::COUNT as c_int + 1;

/// What JSON text may cost a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Arrays and objects inside each other.
    pub depth: usize,
    /// Values in all.
    pub nodes: usize,
}

impl Default for JsonLimits {
    /// 64 levels, 100,000 values.
    fn default() -> Self {
        Self { depth: 64, nodes: 100_000 }
    }
}

/// Why text did not become a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// Not JSON, or beyond the limits; says what and where.
    Json(String),
    /// Luau failed, which it does for want of memory only.
    OutOfMemory,
}

/// Decodes JSON for one VM.
pub(crate) struct Decoder {
    /// The metatable for arrays.
    array: Table,
    /// The known keys that this VM has met, by their numbers, and behind them what makes integers. Made for the first text.
    keys: OnceCell<Table>,
    /// Entries of the last object under each known key, and in the last place of a text's outermost object.
    sizes: [Cell<u8>; known_keys::COUNT + 1],
}

impl Decoder {
    pub(crate) fn new(array: Table) -> Self {
        Self { array, keys: OnceCell::new(), sizes: [const { Cell::new(0) }; known_keys::COUNT + 1] }
    }

    /// What `text` is, as fresh tables. With `frozen` no script can change them.
    pub(crate) fn decode(
        &self,
        lua: &Lua,
        text: &str,
        limits: JsonLimits,
        frozen: bool,
    ) -> Result<Value, DecodeError> {
        let keys = match self.keys.get() {
            Some(keys) => keys,
            None => {
                let keys = known_keys(lua).map_err(|_| DecodeError::OutOfMemory)?;
                self.keys.get_or_init(|| keys)
            }
        };
        let failure = RefCell::new(None);
        // SAFETY: `Push` leaves exactly one value on the stack for each value it reads, and asks for stack space before
        // it pushes. If Luau raises, for want of memory, it throws a C++ exception through functions that are all
        // "C-unwind": the frames of the parser unwind as in a panic, which frees their buffers, and neither `failure`
        // nor `nodes` is borrowed while Luau is called.
        let decoded = unsafe {
            lua.exec_raw::<Value>((&self.array, keys), |state| {
                let keys = ffi::lua_gettop(state);
                let vm = Vm {
                    state,
                    array: keys - 1,
                    keys,
                    sizes: &self.sizes,
                    limits,
                    frozen: c_int::from(frozen),
                    nodes: Cell::new(0),
                    patience: Patience::default(),
                };
                let mut parser = serde_json::Deserializer::from_str(text);
                let push = Push { vm: &vm, depth: 0, key: Some(known_keys::COUNT) };
                if let Err(error) = push.deserialize(&mut parser).and_then(|()| parser.end()) {
                    *failure.borrow_mut() = Some(error.to_string());
                    ffi::lua_settop(state, keys);
                    ffi::lua_pushnil(state);
                }
                ffi::lua_replace(state, vm.array);
                ffi::lua_settop(state, vm.array);
            })
        };
        match (failure.into_inner(), decoded) {
            (Some(text), _) => Err(DecodeError::Json(text)),
            (None, Ok(value)) => Ok(value),
            (None, Err(_)) => Err(DecodeError::OutOfMemory),
        }
    }
}

/// The table of known keys, none met yet.
fn known_keys(lua: &Lua) -> mlua::Result<Table> {
    let keys = lua.create_table_with_capacity(known_keys::COUNT + 1, 0)?;
    let integer = lua.create_function(|lua, (is_signed, high, low): (bool, u32, u32)| {
        let bits = u64::from(high) << 32 | u64::from(low);
        if is_signed { lua.create_userdata(I64(bits.cast_signed())) } else { lua.create_userdata(U64(bits)) }
    })?;
    keys.raw_set(INTEGERS, integer)?;
    Ok(keys)
}

/// What all values of one text share.
struct Vm<'a> {
    state: *mut lua_State,
    /// Where on the stack the array metatable is.
    array: c_int,
    /// Where on the stack the known keys are.
    keys: c_int,
    sizes: &'a [Cell<u8>],
    limits: JsonLimits,
    /// 1 where tables are to be read-only.
    frozen: c_int,
    nodes: Cell<usize>,
    patience: Patience,
}

/// Values from one look at the clock to the next.
const NODES_A_LOOK: usize = 256;

/// Reads one JSON value and leaves it on top of the stack.
#[derive(Clone, Copy)]
struct Push<'a> {
    vm: &'a Vm<'a>,
    depth: usize,
    /// The known key that the value, or the array around it, belongs to.
    key: Option<usize>,
}

impl<'a> Push<'a> {
    /// Begins a table: checks the depth and makes room for what its entries need.
    fn open<E: serde::de::Error>(&self) -> Result<(), E> {
        let most = self.vm.limits.depth;
        if self.depth >= most {
            return Err(E::custom(format_args!("nested deeper than {most} levels")));
        }
        // SAFETY: `state` is the running state of the protected call in `decode`.
        if unsafe { ffi::lua_checkstack(self.vm.state, ROOM) } == 0 {
            return Err(E::custom("nested too deep for the Luau stack"));
        }
        Ok(())
    }

    fn inner(self, key: Option<usize>) -> Self {
        Push { depth: self.depth + 1, key, ..self }
    }

    /// Pushes an integer that is no number: an `I64` or a `U64` with these bits.
    #[cold]
    fn integer<E: serde::de::Error>(self, bits: u64, is_signed: bool) -> Result<(), E> {
        let state = self.vm.state;
        // SAFETY: `state` is the running state of the protected call in `decode`, and gets room for a call. The function takes
        // what it is given and fails for want of memory alone, when it raises as Luau does.
        unsafe {
            if ffi::lua_checkstack(state, 4) == 0 {
                return Err(E::custom("nested too deep for the Luau stack"));
            }
            ffi::lua_rawgeti_(state, self.vm.keys, INTEGERS);
            ffi::lua_pushboolean(state, c_int::from(is_signed));
            ffi::lua_pushnumber(state, f64::from((bits >> 32) as u32));
            ffi::lua_pushnumber(state, f64::from(bits as u32));
            ffi::lua_call(state, 3, 1);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Push<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let (nodes, most) = (self.vm.nodes.get() + 1, self.vm.limits.nodes);
        self.vm.nodes.set(nodes);
        if nodes > most {
            return Err(D::Error::custom(format_args!("more than {most} values")));
        }
        if nodes.is_multiple_of(NODES_A_LOOK) && self.vm.patience.is_over(nodes) {
            return Err(D::Error::custom("too slow: very many of its texts have the same hash"));
        }
        deserializer.deserialize_any(self)
    }
}

// SAFETY of all blocks below: `state` is the running state of the protected call in `decode`; `open` asked for the
// stack space of every entry of a table (and `exec_raw` for the outermost value).
impl<'de> Visitor<'de> for Push<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushnil(self.vm.state) }
        Ok(())
    }

    fn visit_bool<E>(self, b: bool) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushboolean(self.vm.state, c_int::from(b)) }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<(), E> {
        if n.unsigned_abs() <= MAX_EXACT {
            self.visit_f64(n as f64)
        } else {
            self.integer(n.cast_unsigned(), true)
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<(), E> {
        if n <= MAX_EXACT { self.visit_f64(n as f64) } else { self.integer(n, i64::try_from(n).is_ok()) }
    }

    fn visit_f64<E>(self, n: f64) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushnumber(self.vm.state, n) }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { push_text(self.vm.state, text) }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.open()?;
        let state = self.vm.state;
        let inner = self.inner(self.key);
        // The first elements wait on the stack.
        let mut count: c_int = 0;
        while count < AT_ONCE && items.next_element_seed(inner)?.is_some() {
            count += 1;
        }
        let is_short = count < AT_ONCE;
        // SAFETY: see above; `count` elements are on top, and the table goes below them. A null leaves a hole.
        unsafe {
            ffi::lua_createtable(state, count, 0);
            if count > 0 {
                ffi::lua_insert(state, -1 - count);
            }
            for index in (1..=count).rev() {
                ffi::lua_rawseti_(state, -1 - index, index);
            }
        }
        while !is_short && items.next_element_seed(inner)?.is_some() {
            count += 1;
            // SAFETY: see above; the element is on top, the table below it.
            unsafe { ffi::lua_rawseti_(state, -2, count) }
        }
        // SAFETY: see above; the table is on top.
        unsafe {
            ffi::lua_pushvalue(state, self.vm.array);
            ffi::lua_setmetatable(state, -2);
            ffi::lua_setreadonly(state, -1, self.vm.frozen);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.open()?;
        let (state, size) = (self.vm.state, self.key.and_then(|key| self.vm.sizes.get(key)));
        // Taken, not read: objects inside this one do not get its size as well, or a small text could make large tables.
        let expected = size.map_or(0, Cell::take);
        // SAFETY: see above.
        unsafe { ffi::lua_createtable(state, 0, c_int::from(expected)) }
        let mut count: u8 = 0;
        while let Some(key) = entries.next_key_seed(Key(self.vm))? {
            entries.next_value_seed(self.inner(key))?;
            // SAFETY: see above; key and value are on top, the table below them.
            if unsafe { set(state) } {
                count = count.saturating_add(1);
            }
        }
        if let Some(size) = size {
            size.set(count);
        }
        // SAFETY: see above; the table is on top.
        unsafe { ffi::lua_setreadonly(state, -1, self.vm.frozen) }
        Ok(())
    }
}

/// Reads an object's key and leaves it on top of the stack. Tells which known key it is.
struct Key<'a>(&'a Vm<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let (state, key) = (self.0.state, known_keys::find(text));
        let Some((key, number)) = key.and_then(|key| Some((key, c_int::try_from(key + 1).ok()?))) else {
            // SAFETY: as for the values; `open` counted the key.
            unsafe { push_text(state, text) }
            return Ok(None);
        };
        // SAFETY: as for the values; `open` counted the key and a copy of it.
        unsafe {
            if ffi::lua_rawgeti_(state, self.0.keys, number) == ffi::LUA_TNIL {
                ffi::lua_settop(state, -2);
                push_text(state, text);
                ffi::lua_pushvalue(state, -1);
                ffi::lua_rawseti_(state, self.0.keys, number);
            }
        }
        Ok(Some(key))
    }
}

/// Puts the entry on top of the stack into the table below it. Returns whether it took a place there.
///
/// # Safety
/// `state` must be running in a protected call and have a free stack slot; a table, a key and a value are on top.
unsafe fn set(state: *mut lua_State) -> bool {
    // SAFETY: by the caller.
    unsafe {
        if ffi::lua_type(state, -1) != ffi::LUA_TNIL {
            ffi::lua_rawset(state, -3);
            return true;
        }
        // A null takes no place, but the same key may have come before.
        ffi::lua_pushvalue(state, -2);
        if ffi::lua_rawget(state, -4) == ffi::LUA_TNIL {
            ffi::lua_settop(state, -4);
        } else {
            ffi::lua_settop(state, -2);
            ffi::lua_rawset(state, -3);
        }
        false
    }
}

/// # Safety
/// `state` must be running in a protected call and have a free stack slot.
unsafe fn push_text(state: *mut lua_State, text: &str) {
    // SAFETY: by the caller; Luau copies the bytes.
    unsafe { ffi::lua_pushlstring_(state, text.as_ptr().cast::<c_char>(), text.len()) }
}
