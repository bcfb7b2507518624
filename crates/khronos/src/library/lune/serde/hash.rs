//! Hashes of bytes, with and without a secret.

use std::fmt::Write;

use hmac::digest::Digest;
use hmac::digest::block_api::BlockSizeUser;
use hmac::{KeyInit, Mac, SimpleHmac};

use super::super::super::arguments::Bytes;
use super::super::super::members::Outcome;

/// At some 80 MB/s of the slowest.
const LONGEST_MESSAGE: usize = 1 << 20;
const LONGEST_SECRET: usize = 1_024;

/// Calls `$f` with the type of the algorithm called `$name`.
macro_rules! by_name {
    ($name:expr, $f:ident($($argument:expr),*)) => {
        match $name.to_ascii_lowercase().replace('_', "-").as_str() {
            "md5" => $f::<md5::Md5>($($argument),*),
            "sha1" => $f::<sha1::Sha1>($($argument),*),
            "sha224" | "sha2-224" => $f::<sha2::Sha224>($($argument),*),
            "sha256" | "sha2-256" => $f::<sha2::Sha256>($($argument),*),
            "sha384" | "sha2-384" => $f::<sha2::Sha384>($($argument),*),
            "sha512" | "sha2-512" => $f::<sha2::Sha512>($($argument),*),
            "sha3-224" => $f::<sha3::Sha3_224>($($argument),*),
            "sha3-256" => $f::<sha3::Sha3_256>($($argument),*),
            "sha3-384" => $f::<sha3::Sha3_384>($($argument),*),
            "sha3-512" => $f::<sha3::Sha3_512>($($argument),*),
            "blake3" => $f::<blake3::Hasher>($($argument),*),
            _ => Err("there is no such algorithm: there are md5, sha1, sha224, sha256, sha384, sha512, sha3-224, sha3-256, \
                      sha3-384, sha3-512 and blake3".into()),
        }
    };
}

pub(super) fn hash(algorithm: &str, message: Bytes) -> Outcome<String> {
    let message = message.at_most(LONGEST_MESSAGE)?;
    by_name!(algorithm, plain(&message))
}

pub(super) fn hmac(algorithm: &str, message: Bytes, secret: Bytes) -> Outcome<String> {
    let (message, secret) = (message.at_most(LONGEST_MESSAGE)?, secret.at_most(LONGEST_SECRET)?.to_vec());
    by_name!(algorithm, keyed(&message, &secret))
}

fn plain<D: Digest>(message: &Bytes) -> Outcome<String> {
    message.with(|message| hexadecimal(&D::digest(message)))
}

fn keyed<D: Digest + BlockSizeUser + Clone>(message: &Bytes, secret: &[u8]) -> Outcome<String> {
    let mut mac = SimpleHmac::<D>::new_from_slice(secret).map_err(|error| error.to_string())?;
    message.with(|message| mac.update(message))?;
    Ok(hexadecimal(&mac.finalize().into_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A `String` takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
