//! Bytes made smaller, and back. What comes out is counted while it comes: a few bytes can stand for any number.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use mlua::Value;

use super::super::super::arguments::{Bytes, string};
use super::super::super::members::{Call, Outcome};

const MOST_IN: usize = 1 << 20;
/// The slowest of them.
const MOST_BROTLI: usize = 256 << 10;
const MOST_OUT: usize = 2 << 20;
/// What the libraries take besides.
const WORKSPACE: usize = 1 << 20;
/// Bytes of the head of an LZ4 frame.
const SHORTEST_FRAME: usize = 7;
const BUFFER: usize = 16 << 10;
/// Brotli's window: 256 KiB, as much as there may be.
const WINDOW: u32 = 18;

const BEST: i64 = 6;
const BEST_BROTLI: i64 = 5;

const FORMATS: &str = "there is no such format: there are brotli, gzip, lz4 and zlib";

pub(super) fn compress(call: &Call<'_>, format: &str, bytes: Bytes, level: Option<i64>) -> Outcome<Value> {
    let is_brotli = format.eq_ignore_ascii_case("brotli");
    let bytes = bytes.at_most(if is_brotli { MOST_BROTLI } else { MOST_IN })?;
    let most = if is_brotli { BEST_BROTLI } else { BEST };
    let level = u32::try_from(level.unwrap_or(most)).ok().filter(|level| i64::from(*level) <= most);
    let level = level.ok_or_else(|| format!("the level is 0 to {most}"))?;
    call.room(bytes.len() * 3 + WORKSPACE)?;
    let packed = bytes.with(|bytes| pack(&format.to_ascii_lowercase(), bytes, level))?;
    match packed.map_err(|error| format!("cannot compress this: {error}"))? {
        Some(packed) => string(call.lua, packed),
        None => Err(FORMATS.into()),
    }
}

fn pack(format: &str, bytes: &[u8], level: u32) -> io::Result<Option<Vec<u8>>> {
    Ok(Some(match format {
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
        "lz4" => {
            let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let mut writer = FrameEncoder::new(size.to_le_bytes().to_vec());
            writer.write_all(bytes)?;
            writer.finish()?
        }
        _ => return Ok(None),
    }))
}

pub(super) fn decompress(call: &Call<'_>, format: &str, bytes: Bytes) -> Outcome<Value> {
    let bytes = bytes.at_most(MOST_IN)?;
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
