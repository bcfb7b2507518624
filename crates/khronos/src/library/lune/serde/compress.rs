//! Bytes made smaller, and back. What comes out is counted while it comes: a few bytes can stand for any number.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use mlua::Value;

use super::super::super::arguments::{Bytes, string};
use super::super::super::members::{Call, Outcome};

/// Bytes that can be made smaller at once, by how long the slowest of them take: some 30 ms.
const MOST_LZ4: usize = 1 << 20;
const MOST_QUICK: usize = 512 << 10;
const MOST_DEFLATE: usize = 128 << 10;
const MOST_BROTLI: usize = 64 << 10;
const MOST_PACKED: usize = 2 << 20;
const MOST_OUT: usize = 2 << 20;
/// What the libraries take besides.
const WORKSPACE: usize = 1 << 20;
/// Bytes of the head of an LZ4 frame.
const SHORTEST_FRAME: usize = 7;
const BUFFER: usize = 16 << 10;
/// Brotli's window: 256 KiB, which is more than there may be.
const WINDOW: u32 = 18;

const BEST: i64 = 6;
const BEST_BROTLI: i64 = 5;

const FORMATS: &str = "there is no such format: there are brotli, gzip, lz4 and zlib";

pub(super) fn compress(call: &Call<'_>, format: &str, bytes: Bytes, level: Option<i64>) -> Outcome<Value> {
    let format = format.to_ascii_lowercase();
    let best = if format == "brotli" { BEST_BROTLI } else { BEST };
    let level = u32::try_from(level.unwrap_or(best)).ok().filter(|level| i64::from(*level) <= best);
    let level = level.ok_or_else(|| format!("the level is 0 to {best}"))?;
    let bytes = bytes.at_most(match format.as_str() {
        "brotli" => MOST_BROTLI,
        "gzip" | "zlib" if level > 1 => MOST_DEFLATE,
        "gzip" | "zlib" => MOST_QUICK,
        "lz4" => MOST_LZ4,
        _ => return Err(FORMATS.into()),
    })?;
    call.room(bytes.len() * 3 + WORKSPACE)?;
    let packed = bytes.with(|bytes| pack(&format, bytes, level))?;
    string(call.lua, packed.map_err(|error| format!("cannot compress this: {error}"))?)
}

fn pack(format: &str, bytes: &[u8], level: u32) -> io::Result<Vec<u8>> {
    Ok(match format {
        "brotli" => {
            let mut packed = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut packed, BUFFER, level, WINDOW);
            writer.write_all(bytes)?;
            drop(writer);
            packed
        }
        "gzip" => {
            let mut writer = GzEncoder::new(Vec::new(), Compression::new(level));
            writer.write_all(bytes)?;
            writer.finish()?
        }
        "zlib" => {
            let mut writer = ZlibEncoder::new(Vec::new(), Compression::new(level));
            writer.write_all(bytes)?;
            writer.finish()?
        }
        _ => {
            let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let mut writer = FrameEncoder::new(size.to_le_bytes().to_vec());
            writer.write_all(bytes)?;
            writer.finish()?
        }
    })
}

pub(super) fn decompress(call: &Call<'_>, format: &str, bytes: Bytes) -> Outcome<Value> {
    let bytes = bytes.at_most(MOST_PACKED)?;
    call.room(bytes.len() + MOST_OUT * 2 + WORKSPACE)?;
    let unpacked = bytes.with(|bytes| match format.to_ascii_lowercase().as_str() {
        "brotli" => read(brotli::Decompressor::new(bytes, BUFFER)),
        "gzip" => read(MultiGzDecoder::new(bytes)),
        "zlib" => read(ZlibDecoder::new(bytes)),
        // The size in front is what somebody says it is.
        "lz4" => match bytes.get(4..) {
            // Of less, the decoder makes nothing, without a word.
            Some(frame) if frame.len() >= SHORTEST_FRAME => read(FrameDecoder::new(frame)),
            _ => Err("these bytes are not in that format: it is cut off".to_owned()),
        },
        _ => Err(FORMATS.to_owned()),
    })?;
    string(call.lua, unpacked?)
}

fn read(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MOST_OUT + 1).unwrap_or(u64::MAX);
    from.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("these bytes are not in that format: {error}"))?;
    if bytes.len() > MOST_OUT {
        return Err(format!("there are more than {MOST_OUT} bytes in this"));
    }
    Ok(bytes)
}
