//! `@lune/serde`: values as text, bytes made smaller, and their sums.
//!
//! Leaves each of the three to a file of its own.

mod compress;
mod encode;
mod hash;
mod toml;
mod yaml;

use super::super::Globals;
use super::super::arguments::{Bytes, Text};
use super::super::members::Maker;
use crate::declare::{Module, Parameter};
use crate::declare::{function, parameter};

const FORMAT: Parameter = parameter("format", "\"json\" | \"yaml\" | \"toml\"", "The format.");
const COMPRESSION: Parameter = parameter(
    "format",
    "\"brotli\" | \"gzip\" | \"lz4\" | \"zlib\"",
    "The format. `lz4` is as Lune has it: the size, and a frame.",
);
const ALGORITHM: Parameter = parameter(
    "algorithm",
    "\"md5\" | \"sha1\" | \"sha224\" | \"sha256\" | \"sha384\" | \"sha512\" | \"sha3-224\" | \"sha3-256\" | \"sha3-384\" | \"sha3-512\" | \"blake3\"",
    "The algorithm.",
);
const MESSAGE: Parameter = parameter("message", "string | buffer | Blob", "The bytes, at most 1 MiB.");

pub(in super::super) const MODULE: Module = Module {
    path: "@lune/serde",
    doc: "Values as text and back, bytes made smaller and back, and hashes.",
    fields: &[],
    functions: &[
        function(
            "encode",
            &[
                FORMAT,
                parameter("value", "any", "The value: what can be returned as a result."),
                parameter("pretty", "boolean?", "Whether people are to read it."),
            ],
            "string",
            "A value as text. It is limited as results are, and the text has at most 2 MiB.",
        ),
        function(
            "decode",
            &[
                FORMAT,
                parameter(
                    "text",
                    "string | buffer | Blob",
                    "The text: at most 256 KiB of JSON, 32 KiB of the others.",
                ),
            ],
            "any",
            "The value that a text stands for, of at most 30,000 parts; a whole number beyond 2^53 is an `I64` or a `U64`. YAML may have one document, without aliases.",
        ),
        function(
            "compress",
            &[
                COMPRESSION,
                parameter(
                    "bytes",
                    "string | buffer | Blob",
                    "The bytes: at most 64 KiB for `brotli`, 1 MiB for `lz4`, 128 KiB for the others, and 512 KiB up to level 1.",
                ),
                parameter("level", "number?", "0 to 6, for `brotli` 0 to 5; those if left out."),
            ],
            "string",
            "Bytes made smaller.",
        ),
        function(
            "decompress",
            &[COMPRESSION, parameter("bytes", "string | buffer | Blob", "The bytes, at most 2 MiB.")],
            "string",
            "What was made smaller. Fails where that was more than 2 MiB.",
        ),
        function("hash", &[ALGORITHM, MESSAGE], "string", "The hash of bytes, in hexadecimal digits."),
        function(
            "hmac",
            &[
                ALGORITHM,
                MESSAGE,
                parameter("secret", "string | buffer | Blob", "The secret, at most 1,024 bytes."),
            ],
            "string",
            "The hash of bytes and a secret (HMAC), in hexadecimal digits.",
        ),
    ],
    types: &[],
};

pub(in super::super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.function("encode", |call, (format, value, pretty): (Text, mlua::Value, Option<bool>)| {
        encode::encode(call, &format.0, &value, pretty == Some(true))
    })?;
    module.function("decode", |call, (format, text): (Text, Bytes)| encode::decode(call, &format.0, text))?;
    module.function("compress", |call, (format, bytes, level): (Text, Bytes, Option<i64>)| {
        compress::compress(call, &format.0, bytes, level)
    })?;
    module.function("decompress", |call, (format, bytes): (Text, Bytes)| {
        compress::decompress(call, &format.0, bytes)
    })?;
    module.function("hash", |_, (algorithm, message): (Text, Bytes)| hash::hash(&algorithm.0, message))?;
    module.function("hmac", |_, (algorithm, message, secret): (Text, Bytes, Bytes)| {
        hash::hmac(&algorithm.0, message, secret)
    })
}
