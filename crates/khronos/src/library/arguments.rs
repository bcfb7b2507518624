//! What scripts pass to functions of modules, as Rust values.
//!
//! Nothing is converted that the declared type does not name, and no metamethod runs. Leaves to each function how much of
//! it is too much.

use mlua::{AnyUserData, Buffer, Function, Lua, LuaString, MultiValue, Table, Value};

use super::classes::Object;
use super::datamgmt::Blob;
use super::members::Refusal;
use super::typesext::{I64, U64};
use crate::declare;
use crate::value::convert::kind;

/// A type that a parameter can have.
pub(super) trait Argument: Sized {
    /// What messages call it.
    const EXPECTED: &'static str;

    fn read(value: Value) -> Option<Self>;
}

/// The parameters of a function.
pub(super) trait Arguments: Sized {
    const COUNT: usize;

    fn read(values: MultiValue, function: &declare::Function) -> Result<Self, Refusal>;
}

/// The next argument of `function`, which is number `index` of its parameters.
fn next<A: Argument>(
    values: &mut MultiValue,
    function: &declare::Function,
    index: usize,
) -> Result<A, Refusal> {
    let value = values.pop_front().unwrap_or(Value::Nil);
    let got = kind(&value);
    A::read(value).ok_or_else(|| {
        let name = function.parameters.get(index).map_or("..", |parameter| parameter.name);
        let (function, expected) = (function.name, A::EXPECTED);
        format!("invalid argument '{name}' to '{function}' ({expected} expected, got {got})").into()
    })
}

impl Arguments for () {
    const COUNT: usize = 0;

    fn read(_: MultiValue, _: &declare::Function) -> Result<Self, Refusal> {
        Ok(())
    }
}

/// All that is passed: for parameters without a number.
impl Arguments for MultiValue {
    const COUNT: usize = 1;

    fn read(values: MultiValue, _: &declare::Function) -> Result<Self, Refusal> {
        Ok(values)
    }
}

macro_rules! arguments {
    ($count:literal: $($name:ident $index:literal),+) => {
        impl<$($name: Argument),+> Arguments for ($($name,)+) {
            const COUNT: usize = $count;

            fn read(mut values: MultiValue, function: &declare::Function) -> Result<Self, Refusal> {
                Ok(($(next::<$name>(&mut values, function, $index)?,)+))
            }
        }
    };
}

arguments!(1: A 0);
arguments!(2: A 0, B 1);
arguments!(3: A 0, B 1, C 2);
arguments!(4: A 0, B 1, C 2, D 3);
arguments!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);

impl Argument for Value {
    const EXPECTED: &'static str = "any";

    fn read(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl<A: Argument> Argument for Option<A> {
    const EXPECTED: &'static str = A::EXPECTED;

    fn read(value: Value) -> Option<Self> {
        if value.is_nil() { Some(None) } else { A::read(value).map(Some) }
    }
}

impl Argument for f64 {
    const EXPECTED: &'static str = "number";

    #[expect(clippy::cast_precision_loss, reason = "mlua shows whole numbers as integers")]
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Number(n) => Some(n),
            Value::Integer(n) => Some(n as f64),
            _ => None,
        }
    }
}

/// A number without a fraction, or an `I64` or a `U64` that is not too large.
impl Argument for i64 {
    const EXPECTED: &'static str = "whole number";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Integer(n) => Some(n),
            Value::Number(n) => whole(n),
            Value::UserData(data) => {
                if let Ok(n) = data.borrow::<I64>() {
                    Some(n.0)
                } else {
                    data.borrow::<U64>().ok().and_then(|n| n.0.try_into().ok())
                }
            }
            _ => None,
        }
    }
}

/// The integer that `number` is, if it is one.
#[expect(clippy::cast_possible_truncation, reason = "guarded by the range and the fraction")]
pub(super) fn whole(number: f64) -> Option<i64> {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0; // 2^63
    (number.fract() == 0.0 && (-TOO_LARGE..TOO_LARGE).contains(&number)).then_some(number as i64)
}

impl Argument for bool {
    const EXPECTED: &'static str = "boolean";

    fn read(value: Value) -> Option<Self> {
        value.as_boolean()
    }
}

impl Argument for LuaString {
    const EXPECTED: &'static str = "string";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Argument for Table {
    const EXPECTED: &'static str = "table";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Argument for Function {
    const EXPECTED: &'static str = "function";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Function(function) => Some(function),
            _ => None,
        }
    }
}

/// A string that is UTF-8.
pub(super) struct Text(pub(super) String);

impl Argument for Text {
    const EXPECTED: &'static str = "UTF-8 string";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => text.to_str().ok().map(|text| Self(text.to_owned())),
            _ => None,
        }
    }
}

/// A string, a buffer or a blob: bytes that are still the script's.
pub(super) enum Bytes {
    Text(LuaString),
    Buffer(Buffer),
    Blob(AnyUserData),
}

impl Argument for Bytes {
    const EXPECTED: &'static str = "string, buffer or Blob";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text)),
            Value::Buffer(buffer) => Some(Self::Buffer(buffer)),
            Value::UserData(data) if data.is::<Blob>() => Some(Self::Blob(data)),
            _ => None,
        }
    }
}

impl Bytes {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_bytes().len(),
            Self::Buffer(buffer) => buffer.len(),
            Self::Blob(blob) => blob.borrow::<Blob>().map_or(0, |blob| blob.bytes().len()),
        }
    }

    /// Refuses more than `most` bytes, before they are copied.
    pub(super) fn at_most(self, most: usize) -> Result<Self, Refusal> {
        if self.len() > most {
            return Err(
                format!("{} bytes are too much at once: at most {most} are possible", self.len()).into()
            );
        }
        Ok(self)
    }

    /// A copy.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Buffer(buffer) => buffer.to_vec(),
            Self::Blob(blob) => {
                blob.borrow::<Blob>().map_or_else(|_| Vec::new(), |blob| blob.bytes().to_vec())
            }
        }
    }

    /// Looks at them; a buffer is copied for it.
    pub(super) fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R, Refusal> {
        match self {
            Self::Text(text) => Ok(look(&text.as_bytes())),
            Self::Buffer(buffer) => Ok(look(&buffer.to_vec())),
            Self::Blob(blob) => Ok(look(blob.borrow::<Blob>()?.bytes())),
        }
    }
}

/// An object that is copied when it is passed.
impl<T: Object + Copy> Argument for T {
    const EXPECTED: &'static str = T::TYPE.name;

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::UserData(data) => data.borrow::<T>().ok().map(|object| *object),
            _ => None,
        }
    }
}

/// Bytes for a script, as a string.
pub(super) fn string(lua: &Lua, bytes: impl AsRef<[u8]>) -> Result<Value, Refusal> {
    Ok(Value::String(lua.create_string(bytes)?))
}
