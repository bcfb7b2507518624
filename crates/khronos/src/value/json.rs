//! JSON text to frozen Luau tables, in one pass: no `serde_json::Value` and no Rust copy of a string in between.
//!
//! Owns how JSON looks to a script: null is nil, an array carries the array metatable also when it is empty, every
//! table is read-only. `serde_json` parses; this file pushes what it finds straight onto the Luau stack, which is
//! why it handles raw states. (An event through `serde_json::Value` and `Lua::to_value` costs five times as much,
//! and decoding is the larger part of a warm dispatch.)

#![expect(unsafe_code, reason = "values go straight onto the Luau stack")]

use std::cell::RefCell;
use std::ffi::{c_char, c_int};
use std::fmt;

use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

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

/// Decodes `text`. `array` is the metatable for arrays.
pub(crate) fn decode(lua: &Lua, text: &str, array: &Table, limits: JsonLimits) -> Result<Value, DecodeError> {
    let failure = RefCell::new(None);
    // SAFETY: `Push` leaves exactly one value on the stack for each value it reads, asks for stack space before it
    // pushes, and keeps no Rust value with a destructor that matters alive across a Luau call: if Luau raises (out
    // of memory), the frames of the parser are unwound, which free their scratch buffers.
    let decoded = unsafe {
        lua.exec_raw::<Value>(array, |state| {
            let array = ffi::lua_gettop(state);
            let mut nodes = 0;
            let mut parser = serde_json::Deserializer::from_str(text);
            let push = Push { state, array, depth: 0, nodes: &mut nodes, limits };
            if let Err(error) = push.deserialize(&mut parser).and_then(|()| parser.end()) {
                *failure.borrow_mut() = Some(error.to_string());
                ffi::lua_settop(state, array);
                ffi::lua_pushnil(state);
            }
            ffi::lua_remove(state, array);
        })
    };
    match (failure.into_inner(), decoded) {
        (Some(text), _) => Err(DecodeError::Json(text)),
        (None, Ok(value)) => Ok(value),
        (None, Err(_)) => Err(DecodeError::OutOfMemory),
    }
}

/// Reads one JSON value and leaves it on top of the stack.
struct Push<'a> {
    state: *mut lua_State,
    /// Where on the stack the array metatable is.
    array: c_int,
    depth: usize,
    nodes: &'a mut usize,
    limits: JsonLimits,
}

impl Push<'_> {
    /// Opens a table: checks the depth, makes room for it, a key and a value, and pushes it.
    fn open<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth >= self.limits.depth {
            return Err(E::custom(format_args!("nested deeper than {} levels", self.limits.depth)));
        }
        // SAFETY: `state` is the running state of the protected call in `decode`.
        unsafe {
            if ffi::lua_checkstack(self.state, 4) == 0 {
                return Err(E::custom("nested too deep for the Luau stack"));
            }
            ffi::lua_createtable(self.state, 0, 0);
        }
        Ok(())
    }

    fn inner(&mut self) -> Push<'_> {
        Push { depth: self.depth + 1, nodes: self.nodes, ..*self }
    }
}

impl<'de> DeserializeSeed<'de> for Push<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.nodes += 1;
        if *self.nodes > self.limits.nodes {
            return Err(D::Error::custom(format_args!("more than {} values", self.limits.nodes)));
        }
        deserializer.deserialize_any(self)
    }
}

// SAFETY of all blocks below: `state` is the running state of the protected call in `decode`; `open` asked for the
// stack space of one key and one value in every table (and `exec_raw` for the outermost value).
impl<'de> Visitor<'de> for Push<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushnil(self.state) }
        Ok(())
    }

    fn visit_bool<E>(self, b: bool) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(b)) }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "Luau has one number type; ids travel as strings")]
    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<(), E> {
        self.visit_f64(n as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "Luau has one number type; ids travel as strings")]
    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<(), E> {
        self.visit_f64(n as f64)
    }

    fn visit_f64<E>(self, n: f64) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { ffi::lua_pushnumber(self.state, n) }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // SAFETY: see above.
        unsafe { push_text(self.state, text) }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.open()?;
        let mut count = 0;
        while items.next_element_seed(self.inner())?.is_some() {
            count += 1;
            // SAFETY: see above; the element is on top, the table below it. A null leaves a hole.
            unsafe { ffi::lua_rawseti_(self.state, -2, count) }
        }
        // SAFETY: see above; the table is on top.
        unsafe {
            ffi::lua_pushvalue(self.state, self.array);
            ffi::lua_setmetatable(self.state, -2);
            ffi::lua_setreadonly(self.state, -1, 1);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.open()?;
        while entries.next_key_seed(Key(self.state))?.is_some() {
            entries.next_value_seed(self.inner())?;
            // SAFETY: see above; key and value are on top, the table below them.
            unsafe { ffi::lua_rawset(self.state, -3) }
        }
        // SAFETY: see above; the table is on top.
        unsafe { ffi::lua_setreadonly(self.state, -1, 1) }
        Ok(())
    }
}

/// Reads an object's key and leaves it on top of the stack.
struct Key(*mut lua_State);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // SAFETY: as for the values; `open` counted the key.
        unsafe { push_text(self.0, text) }
        Ok(())
    }
}

/// # Safety
/// `state` must be running in a protected call and have a free stack slot.
unsafe fn push_text(state: *mut lua_State, text: &str) {
    // SAFETY: by the caller; Luau copies the bytes.
    unsafe { ffi::lua_pushlstring_(state, text.as_ptr().cast::<c_char>(), text.len()) }
}
