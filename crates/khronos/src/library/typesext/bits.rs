//! `bitu64`: what `bit32` does, for 64 bits.

use mlua::{MultiValue, Table};

use super::super::arguments::Argument;
use super::super::members::{Maker, Outcome};
use super::{Operand, U64};
use crate::declare::{Parameter, Type};
use crate::declare::{function, parameter};

const N: Parameter =
    parameter("n", "number | string | U64 | I64", "The integer; of a negative one, the bits count.");
const BY: Parameter =
    parameter("by", "number", "How many bits, -63 to 63; a negative number goes the other way.");
const ALL: Parameter = parameter("..", "...(number | string | U64 | I64)", "Any number of integers.");
const FIRST: Parameter = parameter("first", "number", "The lowest bit: 0 to 63.");
const WIDTH: Parameter = parameter("width", "number?", "How many bits, 1 if left out.");

pub(super) const TYPE: Type = Type {
    name: "BitU64",
    doc: "`bit32` for integers of 64 bits: a plain table, whose functions are called with a dot.",
    is_object: false,
    fields: &[],
    methods: &[
        function("band", &[ALL], "U64", "The bits that all of them have."),
        function("bnot", &[N], "U64", "The bits that it does not have."),
        function("bor", &[ALL], "U64", "The bits that any of them has."),
        function("bxor", &[ALL], "U64", "The bits that an odd number of them has."),
        function("btest", &[ALL], "boolean", "Whether there is a bit that all of them have."),
        function("extract", &[N, FIRST, WIDTH], "U64", "The integer that some of its bits are."),
        function(
            "replace",
            &[N, parameter("value", "number | string | U64 | I64", "The new bits."), FIRST, WIDTH],
            "U64",
            "The integer with some of its bits replaced.",
        ),
        function("lrotate", &[N, BY], "U64", "Its bits moved up; what leaves comes in below."),
        function("rrotate", &[N, BY], "U64", "Its bits moved down; what leaves comes in above."),
        function("lshift", &[N, BY], "U64", "Its bits moved up, with zeros from below."),
        function("rshift", &[N, BY], "U64", "Its bits moved down, with zeros from above."),
        function("countlz", &[N], "number", "How many zeros are above its highest bit."),
        function("countrz", &[N], "number", "How many zeros are below its lowest bit."),
        function("byteswap", &[N], "U64", "Its bytes in reverse."),
    ],
    operators: &[],
};

pub(super) fn make(module: &mut Maker<'_>) -> mlua::Result<Table> {
    module.table(TYPE.name, |bits| {
        bits.function("band", |_, values| Ok(U64(fold(values, u64::MAX, |a, b| a & b)?)))?;
        bits.function("bnot", |_, (n,): (Operand,)| Ok(U64(!n.bits())))?;
        bits.function("bor", |_, values| Ok(U64(fold(values, 0, |a, b| a | b)?)))?;
        bits.function("bxor", |_, values| Ok(U64(fold(values, 0, |a, b| a ^ b)?)))?;
        bits.function("btest", |_, values| Ok(fold(values, u64::MAX, |a, b| a & b)? != 0))?;
        bits.function("extract", |_, (n, first, width): (Operand, i64, Option<i64>)| {
            let (first, mask) = field(first, width)?;
            Ok(U64(n.bits() >> first & mask))
        })?;
        bits.function("replace", |_, (n, value, first, width): (Operand, Operand, i64, Option<i64>)| {
            let (first, mask) = field(first, width)?;
            Ok(U64(n.bits() & !(mask << first) | (value.bits() & mask) << first))
        })?;
        bits.function("lrotate", |_, (n, by): (Operand, i64)| Ok(U64(n.bits().rotate_left(turn(by)))))?;
        bits.function("rrotate", |_, (n, by): (Operand, i64)| Ok(U64(n.bits().rotate_right(turn(by)))))?;
        bits.function("lshift", |_, (n, by): (Operand, i64)| Ok(U64(shifted(n.bits(), by))))?;
        bits.function("rshift", |_, (n, by): (Operand, i64)| {
            Ok(U64(shifted(n.bits(), by.saturating_neg())))
        })?;
        bits.function("countlz", |_, (n,): (Operand,)| Ok(n.bits().leading_zeros()))?;
        bits.function("countrz", |_, (n,): (Operand,)| Ok(n.bits().trailing_zeros()))?;
        bits.function("byteswap", |_, (n,): (Operand,)| Ok(U64(n.bits().swap_bytes())))
    })
}

fn fold(values: MultiValue, empty: u64, f: impl Fn(u64, u64) -> u64) -> Outcome<u64> {
    values.into_iter().try_fold(empty, |bits, value| {
        let operand = Operand::read(value).ok_or_else(|| format!("{} expected", Operand::EXPECTED))?;
        Ok(f(bits, operand.bits()))
    })
}

/// The lowest bit of a field, and as many ones as it is wide.
fn field(first: i64, width: Option<i64>) -> Outcome<(u32, u64)> {
    let width = width.unwrap_or(1);
    match (u32::try_from(first), u32::try_from(width)) {
        (Ok(first), Ok(width)) if width > 0 && first < 64 && width <= 64 - first => {
            Ok((first, u64::MAX >> (64 - width)))
        }
        _ => Err("a field has 1 to 64 bits, and lies between the bits 0 and 63".into()),
    }
}

/// Bits of a rotation: a whole turn changes nothing.
fn turn(by: i64) -> u32 {
    u32::try_from(by.rem_euclid(64)).unwrap_or_default()
}

/// Moved up by so many bits, or down where it is negative.
fn shifted(bits: u64, by: i64) -> u64 {
    let count = u32::try_from(by.unsigned_abs()).unwrap_or(u32::MAX);
    if by < 0 { bits.checked_shr(count) } else { bits.checked_shl(count) }.unwrap_or(0)
}
