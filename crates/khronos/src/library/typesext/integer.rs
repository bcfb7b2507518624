//! `U64` and `I64`: arithmetic that wraps around, and their bytes.

use mlua::{Buffer, Value};

use super::super::arguments::Argument;
use super::super::classes::{Class, Object};
use super::super::members::Outcome;
use super::{I64, Operand, U64, eight};
use crate::declare::{Parameter, Type};
use crate::declare::{function, object, parameter};

const BYTES: &[Parameter] = &[parameter("bytes", "buffer", "Eight bytes.")];

macro_rules! methods {
    ($name:literal) => {
        &[
            function("to_ne_bytes", &[], "buffer", "Its eight bytes, in the order of this machine."),
            function("to_le_bytes", &[], "buffer", "Its eight bytes, the lowest first."),
            function("to_be_bytes", &[], "buffer", "Its eight bytes, the highest first."),
            function(
                "from_ne_bytes",
                BYTES,
                $name,
                "The integer with these bytes, in the order of this machine.",
            ),
            function("from_le_bytes", BYTES, $name, "The integer with these bytes, the lowest first."),
            function("from_be_bytes", BYTES, $name, "The integer with these bytes, the highest first."),
            function("to_i64", &[], "I64", "The signed integer with the same bits."),
            function("to_u64", &[], "U64", "The unsigned integer with the same bits."),
            function(
                "to_number",
                &[],
                "number",
                "The nearest number: beyond 2^53, not all integers are one.",
            ),
        ]
    };
}

macro_rules! operators {
    ($name:literal, $operand:literal) => {
        &[
            function(
                "__add",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "The sum; what is too much wraps around.",
            ),
            function(
                "__sub",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "The difference; it wraps around.",
            ),
            function(
                "__mul",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "The product; it wraps around.",
            ),
            function(
                "__div",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "The quotient, towards zero; an error for 0.",
            ),
            function(
                "__idiv",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "The quotient, towards minus infinity; an error for 0.",
            ),
            function(
                "__mod",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "What `//` leaves, with the sign of the divisor; an error for 0.",
            ),
            function(
                "__pow",
                &[LEFT, parameter("right", $operand, "")],
                $name,
                "The power; it wraps around. The exponent is 0 to 2^32 - 1.",
            ),
            function("__unm", &[parameter("value", $name, "")], $name, "Its negative; it wraps around."),
            function(
                "__eq",
                &[parameter("left", $name, ""), parameter("right", $name, "")],
                "boolean",
                "Whether both are the same integer.",
            ),
            function(
                "__lt",
                &[parameter("left", $name, ""), parameter("right", $name, "")],
                "boolean",
                "Whether the left one is less.",
            ),
            function(
                "__le",
                &[parameter("left", $name, ""), parameter("right", $name, "")],
                "boolean",
                "Whether the left one is not more.",
            ),
            function("__tostring", &[parameter("value", $name, "")], "string", "Its decimal digits."),
        ]
    };
}

const LEFT: Parameter = parameter("left", "number | string | U64 | I64", "");

pub(super) const U64_TYPE: Type = object(
    "U64",
    "An integer from 0 to 2^64 - 1. The other operand of arithmetic may be a whole number, too; of an `I64`, the bits count. \
     Comparisons take two `U64`: with a number, `==` is always false, and `<` an error.",
    &[],
    methods!("U64"),
    operators!("U64", "number | string | U64 | I64"),
);

pub(super) const I64_TYPE: Type = object(
    "I64",
    "An integer from -2^63 to 2^63 - 1. The other operand of arithmetic may be a whole number, too; of a `U64`, the bits count. The type of \
     the left operand is that of the result, where it has one of the two. Comparisons take two `I64`: with a number, `==` is \
     always false, and `<` an error.",
    &[],
    methods!("I64"),
    operators!("I64", "number | string | U64 | I64"),
);

/// What differs between the two.
trait Integer: Object + Copy + mlua::UserData {
    fn of(bits: u64) -> Self;
    fn bits(self) -> u64;
    fn compare(self, other: Self) -> std::cmp::Ordering;
    fn text(self) -> String;
    fn number(self) -> f64;
    /// Quotients towards zero and towards minus infinity, and the rest of the latter. Nothing by zero.
    fn divide(self, by: Self) -> Option<(Self, Self, Self)>;
    fn power(self, exponent: u32) -> Self;
}

impl Integer for U64 {
    fn of(bits: u64) -> Self {
        Self(bits)
    }

    fn bits(self) -> u64 {
        self.0
    }

    fn compare(self, other: Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }

    fn text(self) -> String {
        self.0.to_string()
    }

    #[expect(clippy::cast_precision_loss, reason = "documented")]
    fn number(self) -> f64 {
        self.0 as f64
    }

    fn divide(self, by: Self) -> Option<(Self, Self, Self)> {
        let quotient = Self(self.0.checked_div(by.0)?);
        Some((quotient, quotient, Self(self.0 % by.0)))
    }

    fn power(self, exponent: u32) -> Self {
        Self(self.0.wrapping_pow(exponent))
    }
}

impl Integer for I64 {
    fn of(bits: u64) -> Self {
        Self(bits.cast_signed())
    }

    fn bits(self) -> u64 {
        self.0.cast_unsigned()
    }

    fn compare(self, other: Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }

    fn text(self) -> String {
        self.0.to_string()
    }

    #[expect(clippy::cast_precision_loss, reason = "documented")]
    fn number(self) -> f64 {
        self.0 as f64
    }

    fn divide(self, by: Self) -> Option<(Self, Self, Self)> {
        if by.0 == 0 {
            return None;
        }
        let (quotient, rest) = (self.0.wrapping_div(by.0), self.0.wrapping_rem(by.0));
        let is_below = rest != 0 && (rest < 0) != (by.0 < 0);
        let (down, rest) = if is_below { (quotient - 1, rest + by.0) } else { (quotient, rest) };
        Some((Self(quotient), Self(down), Self(rest)))
    }

    fn power(self, exponent: u32) -> Self {
        Self(self.0.wrapping_pow(exponent))
    }
}

impl Object for U64 {
    const TYPE: &'static Type = &U64_TYPE;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        add_to(class)
    }
}

impl Object for I64 {
    const TYPE: &'static Type = &I64_TYPE;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        add_to(class)
    }
}

/// The operand of an operator, as one of its type.
struct Same<T>(T);

impl<T: Integer> Argument for Same<T> {
    const EXPECTED: &'static str = Operand::EXPECTED;

    fn read(value: Value) -> Option<Self> {
        Operand::read(value).map(|operand| Self(T::of(operand.bits())))
    }
}

const BY_ZERO: &str = "attempt to divide by zero";

fn add_to<T: Integer>(class: &mut Class<'_, T>) -> mlua::Result<()> {
    class.method("to_ne_bytes", |call, this, ()| eight(call, this.bits().to_ne_bytes()))?;
    class.method("to_le_bytes", |call, this, ()| eight(call, this.bits().to_le_bytes()))?;
    class.method("to_be_bytes", |call, this, ()| eight(call, this.bits().to_be_bytes()))?;
    class.method("from_ne_bytes", |_, _, (bytes,)| Ok(T::of(u64::from_ne_bytes(read(bytes)?))))?;
    class.method("from_le_bytes", |_, _, (bytes,)| Ok(T::of(u64::from_le_bytes(read(bytes)?))))?;
    class.method("from_be_bytes", |_, _, (bytes,)| Ok(T::of(u64::from_be_bytes(read(bytes)?))))?;
    class.method("to_i64", |_, this, ()| Ok(I64(this.bits().cast_signed())))?;
    class.method("to_u64", |_, this, ()| Ok(U64(this.bits())))?;
    class.method("to_number", |_, this, ()| Ok(this.number()))?;

    type Both<T> = (Same<T>, Same<T>);
    class.operator("__add", |_, (a, b): Both<T>| Ok(T::of(a.0.bits().wrapping_add(b.0.bits()))))?;
    class.operator("__sub", |_, (a, b): Both<T>| Ok(T::of(a.0.bits().wrapping_sub(b.0.bits()))))?;
    class.operator("__mul", |_, (a, b): Both<T>| Ok(T::of(a.0.bits().wrapping_mul(b.0.bits()))))?;
    class.operator("__div", |_, (a, b): Both<T>| Ok(a.0.divide(b.0).ok_or(BY_ZERO)?.0))?;
    class.operator("__idiv", |_, (a, b): Both<T>| Ok(a.0.divide(b.0).ok_or(BY_ZERO)?.1))?;
    class.operator("__mod", |_, (a, b): Both<T>| Ok(a.0.divide(b.0).ok_or(BY_ZERO)?.2))?;
    class.operator("__pow", |_, (base, exponent): (Same<T>, Operand)| {
        let exponent = u32::try_from(exponent.bits()).map_err(|_| "the exponent must be 0 to 2^32 - 1")?;
        Ok(base.0.power(exponent))
    })?;
    class.operator("__unm", |_, (value,): (T,)| Ok(T::of(value.bits().wrapping_neg())))?;
    class.operator("__eq", |_, (a, b): (T, T)| Ok(a.bits() == b.bits()))?;
    class.operator("__lt", |_, (a, b): (T, T)| Ok(a.compare(b).is_lt()))?;
    class.operator("__le", |_, (a, b): (T, T)| Ok(a.compare(b).is_le()))?;
    class.operator("__tostring", |_, (value,): (T,)| Ok(value.text()))
}

fn read(bytes: Eight) -> Outcome<[u8; 8]> {
    if bytes.0.len() == 8 {
        Ok(bytes.0.read_bytes(0))
    } else {
        Err("the buffer must have eight bytes".into())
    }
}

struct Eight(Buffer);

impl Argument for Eight {
    const EXPECTED: &'static str = "buffer";

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Buffer(buffer) => Some(Self(buffer)),
            _ => None,
        }
    }
}
