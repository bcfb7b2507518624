//! `@antiraid/typesext`: arithmetic modulo 2^64, and its corners.

use super::{all_return, all_throw};

#[test]
fn arithmetic_wraps_around() {
    all_return(&[
        ("return typesext.U64('18446744073709551615') + 1", "0"),
        ("return typesext.U64(0) - 1", "18446744073709551615"),
        ("return 1 - typesext.U64(2)", "18446744073709551615"),
        ("return typesext.U64(-1) * typesext.U64(-1)", "1"),
        ("return typesext.U64(2) ^ 63", "9223372036854775808"),
        ("return typesext.U64(2) ^ 64", "0"),
        ("return typesext.I64(3) ^ 4294967295", "830436559519656619"),
        ("return -typesext.U64(1)", "18446744073709551615"),
        ("return typesext.U64(7) / 2, typesext.U64(7) // 2, typesext.U64(7) % 4", "[3,3,3]"),
        ("return typesext.I64('9223372036854775807') + 1", "-9223372036854775808"),
        ("return -typesext.I64('-9223372036854775808')", "-9223372036854775808"),
        ("return typesext.I64('-9223372036854775808') / -1", "-9223372036854775808"),
        ("return typesext.I64('-9223372036854775808') % -1", "0"),
        ("local i = typesext.I64(-7) return i / 2, i // 2, i % 2, i % -2", "[-3,-4,1,-1]"),
        ("local i = typesext.I64(7) return i / -2, i // -2, i % -2", "[-3,-4,-1]"),
        (
            "return typesext.U64('9223372036854775808'), typesext.U64(2^53 - 1)",
            "[9223372036854775808,9007199254740991]",
        ),
        (
            "return typesext.I64(typesext.U64(-1)), typesext.U64(typesext.I64(-1))",
            "[-1,18446744073709551615]",
        ),
        (
            "return typesext.I64(-1):to_u64(), typesext.U64(-1):to_i64(), typesext.U64(5):to_number()",
            "[18446744073709551615,-1,5]",
        ),
    ]);
}

#[test]
fn integers_compare_as_what_they_are() {
    all_return(&[
        (
            "local u = typesext.U64 return u(-1) > u(1), u(1) == u(1), u(1) ~= u(2), u(1) <= u(1)",
            "[true,true,true,true]",
        ),
        ("local i = typesext.I64 return i(-1) < i(1), i(-1) >= i(1)", "[true,false]"),
        ("return typesext.U64(1) == typesext.I64(1), typesext.U64(1) == 1", "[false,false]"),
        (
            "return tostring(typesext.I64(-5)), typeof(typesext.U64(1)), typeof(typesext.I64(1))",
            r#"["-5","U64","I64"]"#,
        ),
    ]);
}

#[test]
fn bytes_come_back_in_every_order() {
    all_return(&[
        (
            "local u = typesext.U64('72623859790382856') return buffer.readu8(u:to_be_bytes(), 0), buffer.readu8(u:to_le_bytes(), 0)",
            "[1,8]",
        ),
        (
            "local u, same = typesext.U64('12345678901234567890'), true for _, o in {'ne', 'le', 'be'} do \
             same = same and u['from_' .. o .. '_bytes'](u, u['to_' .. o .. '_bytes'](u)) == u end return same",
            "true",
        ),
        (
            "local i = typesext.I64(-2) return i:from_le_bytes(i:to_le_bytes()), buffer.len(i:to_ne_bytes())",
            "[-2,8]",
        ),
    ]);
}

#[test]
fn bits_are_those_of_64() {
    all_return(&[
        (
            "local b = typesext.bitu64 return b.band(), b.bor(), b.bxor(), b.btest()",
            "[18446744073709551615,0,0,true]",
        ),
        (
            "local b = typesext.bitu64 return b.band(12, 10), b.bor(12, 10), b.bxor(12, 10), b.bnot(0)",
            "[8,14,6,18446744073709551615]",
        ),
        (
            "local b = typesext.bitu64 return b.lshift(1, 63), b.lshift(1, 64), b.rshift(-1, 63), b.lshift(4, -1), b.rshift(1, -2)",
            "[9223372036854775808,0,1,2,4]",
        ),
        ("local b = typesext.bitu64 return b.lshift(1, 2^53), b.rshift(1, -(2^53))", "[0,0]"),
        (
            "local b = typesext.bitu64 return b.lrotate(1, -1), b.rrotate(1, 1), b.lrotate(5, 64)",
            "[9223372036854775808,9223372036854775808,5]",
        ),
        (
            "local b = typesext.bitu64 return b.extract(0xff00, 8, 8), b.extract(-1, 0, 64), b.replace(0, 0xff, 4, 4)",
            "[255,18446744073709551615,240]",
        ),
        (
            "local b = typesext.bitu64 return b.countlz(0), b.countrz(0), b.countlz(1), b.countrz(8)",
            "[64,64,63,3]",
        ),
        ("local b = typesext.bitu64 return b.byteswap(1)", "72057594037927936"),
    ]);
}

#[test]
fn a_text_by_chance_has_the_length_that_was_asked_for() {
    all_return(&[
        ("return #typesext.randstring(1), #typesext.randstring(255)", "[1,255]"),
        ("return (string.match(typesext.randstring(255), '^%w+$')) ~= nil", "true"),
        ("return typesext.randstring(30) == typesext.randstring(30)", "false"),
    ]);
    all_throw(&[
        ("typesext.randstring(0)", "1 to 255"),
        ("typesext.randstring(256)", "1 to 255"),
        ("typesext.randstring(-1)", "1 to 255"),
        ("typesext.randstring(2^60)", "1 to 255"),
    ]);
}

#[test]
fn what_is_no_integer_of_64_bits_is_refused() {
    all_throw(&[
        ("typesext.U64(1.5)", "as a text from 2^53 on, expected"),
        ("typesext.U64(0/0)", "as a text from 2^53 on, expected"),
        ("typesext.U64(2^64)", "as a text from 2^53 on, expected"),
        ("typesext.U64(9007199254740993)", "as a text from 2^53 on, expected"),
        ("typesext.I64(-9007199254740993)", "as a text from 2^53 on, expected"),
        ("typesext.I64(-(2^63) - 2^11)", "as a text from 2^53 on, expected"),
        ("typesext.U64('18446744073709551616')", "as a text from 2^53 on, expected"),
        ("typesext.U64('0x10')", "as a text from 2^53 on, expected"),
        ("typesext.U64({})", "as a text from 2^53 on, expected"),
        ("return typesext.U64(1) / 0", "divide by zero"),
        ("return typesext.U64(1) // 0", "divide by zero"),
        ("return typesext.I64(1) % 0", "divide by zero"),
        ("return typesext.U64(2) ^ -1", "the exponent must be"),
        ("return typesext.U64(2) + 'x'", "whole number of 64 bits expected"),
        ("return typesext.U64(1) < 2", "attempt to compare"),
        ("typesext.U64(1):from_le_bytes(buffer.create(7))", "eight bytes"),
        ("typesext.bitu64.extract(1, 64)", "between the bits 0 and 63"),
        ("typesext.bitu64.extract(1, 60, 5)", "between the bits 0 and 63"),
        ("typesext.bitu64.extract(1, -1)", "between the bits 0 and 63"),
        ("typesext.bitu64.replace(1, 1, 0, 65)", "between the bits 0 and 63"),
        ("typesext.bitu64.band(1, {})", "whole number of 64 bits expected"),
    ]);
}
