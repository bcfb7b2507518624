//! `@antiraid/typesext`: integers of 64 bits, and texts by chance.
//!
//! Owns what an operand may be, and how two of them come to one integer. Leaves the objects to `integer`, and operations on
//! bits to `bits`.

mod bits;
mod integer;

use mlua::Value;

use super::Globals;
use super::arguments::{Argument, whole};
use super::classes::object;
use super::members::{Call, Maker, Outcome};
use crate::declare::{Function, Module, Parameter};
use crate::declare::{field, function, parameter};

/// An integer from -2^63 to 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct I64(pub(crate) i64);

/// An integer from 0 to 2^64 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct U64(pub(crate) u64);

object!(I64, U64);

const VALUE: &[Parameter] = &[parameter(
    "value",
    "number | string | U64 | I64",
    "A whole number, or its decimal digits as a text. From 2^53 on a number is refused: it may have been rounded.",
)];

pub(super) const MODULE: Module = Module {
    path: "@antiraid/typesext",
    doc: "Integers of 64 bits, which numbers cannot hold beyond 2^53, and texts by chance.",
    fields: &[field("bitu64", "BitU64", "`bit32` for integers of 64 bits.")],
    functions: &[
        function("U64", VALUE, "U64", "An unsigned integer. A negative one wraps around: -1 is 2^64 - 1."),
        function("I64", VALUE, "I64", "A signed integer. A `U64` from 2^63 on wraps around."),
        RANDSTRING,
    ],
    types: &[integer::I64_TYPE, integer::U64_TYPE, bits::TYPE],
};

const RANDSTRING: Function = function(
    "randstring",
    &[parameter("length", "number", "How many characters: 1 to 255.")],
    "string",
    "Letters and digits by chance, which nobody can guess.",
);

pub(super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.function("U64", |_, (value,): (Exact,)| Ok(U64(value.0.bits())))?;
    module.function("I64", |_, (value,): (Exact,)| Ok(I64(value.0.bits().cast_signed())))?;
    module.function("randstring", |_, (length,): (i64,)| randstring(length))?;
    let bitu64 = bits::make(module)?;
    module.field("bitu64", bitu64)
}

fn randstring(length: i64) -> Outcome<String> {
    const SIGNS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let length = usize::try_from(length).ok().filter(|length| (1..=255).contains(length));
    let length = length.ok_or("a random text has 1 to 255 characters")?;
    let mut text = String::with_capacity(length);
    // Of a byte's 256 values, the 62 signs share the first 248: each is as likely as the others.
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|_| "there is no randomness now; try again later")?;
        let signs =
            bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(SIGNS[usize::from(byte % 62)]));
        text.extend(signs.take(length - text.len()));
    }
    Ok(text)
}

/// A whole number as scripts write it.
#[derive(Clone, Copy)]
enum Operand {
    Signed(i64),
    Unsigned(u64),
}

impl Operand {
    /// Modulo 2^64.
    fn bits(self) -> u64 {
        match self {
            Self::Signed(n) => n.cast_unsigned(),
            Self::Unsigned(n) => n,
        }
    }
}

impl Argument for Operand {
    const EXPECTED: &'static str = "whole number of 64 bits";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Integer(n) => Some(Self::Signed(n)),
            Value::Number(n) => whole(n).map(Self::Signed).or_else(|| unsigned(n).map(Self::Unsigned)),
            Value::String(text) => {
                let text = text.to_str().ok()?;
                text.parse().map(Self::Signed).or_else(|_| text.parse().map(Self::Unsigned)).ok()
            }
            Value::UserData(data) => {
                if let Ok(n) = data.borrow::<I64>() {
                    Some(Self::Signed(n.0))
                } else {
                    data.borrow::<U64>().ok().map(|n| Self::Unsigned(n.0))
                }
            }
            _ => None,
        }
    }
}

/// A whole number that is the one which stands in the script: a number from 2^53 on may have been rounded.
struct Exact(Operand);

impl Argument for Exact {
    const EXPECTED: &'static str = "whole number of 64 bits, as a text from 2^53 on,";

    fn read(value: Value) -> Option<Self> {
        const ROUNDED: u64 = 1 << 53;
        let is_number = matches!(value, Value::Integer(_) | Value::Number(_));
        let operand = Operand::read(value)?;
        let size = match operand {
            Operand::Signed(n) => n.unsigned_abs(),
            Operand::Unsigned(n) => n,
        };
        (!is_number || size < ROUNDED).then_some(Self(operand))
    }
}

/// The integer from 2^63 on that `number` is, if it is one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "guarded by the range")]
fn unsigned(number: f64) -> Option<u64> {
    const FIRST: f64 = 9_223_372_036_854_775_808.0; // 2^63
    (FIRST..FIRST * 2.0).contains(&number).then_some(number as u64)
}

/// Eight bytes of a script.
fn eight(call: &Call<'_>, bytes: [u8; 8]) -> Outcome<mlua::Buffer> {
    Ok(call.lua.create_buffer(bytes)?)
}
