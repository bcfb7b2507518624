//! AES-256-GCM with a key from a password.
//!
//! Deriving a key is meant to be slow and to take much memory (Argon2id: one pass over 64 MiB in four lanes), so it is not
//! done on the VM's thread, which other VMs need: the script waits, and the one [`SlowLane`](crate::slow_lane::SlowLane) of the
//! process does it, for one call after another. So there are 64 MiB for it in the process and never more, and no VM has to
//! have room for them. Leaves to `slow_lane` how many may wait.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::super::members::{Maker, Waiting};
use crate::declare::{Function, Parameter};
use crate::declare::{function, parameter};

const SALT: usize = 8;
const NONCE: usize = 12;
const LONGEST_PASSWORD: usize = 1_024;

const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 1;
const LANES: u32 = 4;

const DATA: Parameter = parameter("data", "Blob | buffer | string", "The bytes.");
const PASSWORD: Parameter = parameter("password", "string", "The password, of at most 1,024 bytes.");

pub(super) const ENCRYPT: Function = function(
    "aes256encrypt",
    &[DATA, PASSWORD],
    "Blob",
    "Encrypts bytes with AES-256-GCM and a key from a password (Argon2id). The result is a salt of 8 bytes, a nonce of 12, and \
     the ciphertext with its tag. The script waits for it meanwhile.",
);

pub(super) const DECRYPT: Function = function(
    "aes256decrypt",
    &[DATA, PASSWORD],
    "Blob",
    "Decrypts what `aes256encrypt` made. Fails where the password is another one, or the bytes were changed.",
);

pub(super) const DECRYPT_CUSTOM: Function = function(
    "aes256decryptcustom",
    &[
        DATA,
        PASSWORD,
        parameter("salt", "Blob | buffer | string", "The salt: 8 to 64 bytes."),
        parameter("nonce", "Blob | buffer | string", "The nonce: 12 bytes."),
    ],
    "Blob",
    "Decrypts a ciphertext with its tag whose salt and nonce are kept elsewhere.",
);

pub(super) fn add_to(module: &mut Maker<'_>) -> mlua::Result<()> {
    module.slowly(ENCRYPT.name, |mut args| {
        let (data, password) = (args.bytes()?, password(&mut args)?);
        Ok(move || {
            let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
            let random = getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut nonce));
            random.map_err(|_| "there is no randomness now; try again later")?;
            let sealed = cipher(&password, &salt)?.encrypt(&Nonce::from(nonce), data.as_slice());
            let sealed = sealed.map_err(|_| "these bytes cannot be encrypted")?;
            Ok([&salt[..], &nonce, &sealed].concat())
        })
    })?;
    module.slowly(DECRYPT.name, |mut args| {
        let (data, password) = (args.bytes()?, password(&mut args)?);
        Ok(move || {
            let parts = data
                .split_at_checked(SALT)
                .and_then(|(salt, rest)| Some((salt, rest.split_at_checked(NONCE)?)));
            let (salt, (nonce, sealed)) = parts.ok_or("these bytes are too few to be encrypted ones")?;
            open(&password, salt, nonce, sealed)
        })
    })?;
    module.slowly(DECRYPT_CUSTOM.name, |mut args| {
        let (data, password) = (args.bytes()?, password(&mut args)?);
        let (salt, nonce) = (args.bytes()?, args.bytes()?);
        if !(8..=64).contains(&salt.len()) {
            return Err("the salt has 8 to 64 bytes".to_owned());
        }
        Ok(move || open(&password, &salt, &nonce, &data))
    })
}

fn password(args: &mut Waiting) -> Result<Vec<u8>, String> {
    let password = args.bytes()?;
    if password.is_empty() || password.len() > LONGEST_PASSWORD {
        return Err(format!("a password has 1 to {LONGEST_PASSWORD} bytes"));
    }
    Ok(password)
}

fn open(password: &[u8], salt: &[u8], nonce: &[u8], sealed: &[u8]) -> Result<Vec<u8>, String> {
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| format!("the nonce has {NONCE} bytes"))?;
    let opened = cipher(password, salt)?.decrypt(&Nonce::from(nonce), sealed);
    let opened = opened.map_err(|_| "the password is another one, or the bytes were changed")?;
    Ok(opened)
}

fn cipher(password: &[u8], salt: &[u8]) -> Result<Aes256Gcm, String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| error.to_string())?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| "not enough memory; try again later")?;
    memory.resize(params.block_count(), Block::default());
    let mut key = Key::<Aes256Gcm>::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, &mut key, &mut memory)
        .map_err(|error| error.to_string())?;
    Ok(Aes256Gcm::new(&key))
}
