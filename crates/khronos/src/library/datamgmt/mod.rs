//! `@antiraid/datamgmt`: bytes outside Luau's heap, and what is made of bytes.
//!
//! Owns [`Blob`] and base64. Leaves archives to `tar`, and encryption to `aes`.

mod aes;
mod tar;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Globals;
use super::arguments::Bytes;
use super::classes::{Class, Object, object};
use super::members::{Call, Maker, Outcome};
use crate::declare::{self, Module, Parameter, Type};
use crate::declare::{function, object, parameter};
use crate::scheduler::collector::Charge;

pub(super) const MODULE: Module = Module {
    path: "@antiraid/datamgmt",
    doc: "Bytes outside Luau's heap, and what is made of bytes: base64, archives, encryption.",
    fields: &[],
    functions: &[
        function("newblob", &[DATA], "Blob", "A blob with a copy of these bytes."),
        function("base64encode", &[DATA], "string", "The bytes as base64."),
        function(
            "base64decode",
            &[parameter("text", "string", "Base64 with the signs `+`, `/` and `=`.")],
            "Blob",
            "The bytes that the text stands for. Fails where it is not base64.",
        ),
        function(
            "TarArchive",
            &[parameter("data", "(Blob | buffer | string)?", "A tar archive; an empty one if left out.")],
            "TarArchive",
            "An archive of files. Fails where the bytes are none; what is no plain file is left out.",
        ),
        aes::ENCRYPT,
        aes::DECRYPT,
        aes::DECRYPT_CUSTOM,
    ],
    types: &[BLOB, tar::TYPE],
};

const DATA: Parameter = parameter("data", "Blob | buffer | string", "The bytes.");

const BLOB: Type = object(
    "Blob",
    "Bytes outside Luau's heap, which count to the guild's memory all the same. `buffer.tostring(blob:tobuffer())` is their text, and \
     empties the blob.",
    &[],
    &[
        function(
            "tobuffer",
            &[],
            "buffer",
            "A buffer with its bytes. The blob is empty then. Fails where there is no memory for the buffer.",
        ),
        function("drain", &[], "()", "Empties it, and gives its memory back."),
        function("zeroize", &[], "()", "Overwrites its bytes with zeros, and empties it."),
    ],
    &[function("__len", &[parameter("value", "Blob", "")], "number", "How many bytes it has.")],
);

pub(super) fn make(module: &mut Maker<'_>, _: &Globals<'_>) -> mlua::Result<()> {
    module.function("newblob", |call, (data,): (Bytes,)| Blob::copy(call, &data))?;
    module.function("base64encode", |call, (data,): (Bytes,)| {
        // The text, and its copy in the VM.
        call.room(data.len().div_ceil(3) * 8)?;
        data.with(|bytes| STANDARD.encode(bytes))
    })?;
    module.function("base64decode", |call, (text,): (Bytes,)| {
        let charge = call.charge(text.len() / 4 * 3)?;
        let bytes = text.with(|text| STANDARD.decode(text))?;
        Ok(Blob { bytes: bytes.map_err(|_| "this is not base64")?, charge: Some(charge) })
    })?;
    module.function("TarArchive", |call, (data,): (Option<Bytes>,)| tar::TarArchive::read(call, data))?;
    aes::add_to(module)
}

/// Bytes outside Luau's heap, counted to the memory of its VM.
#[derive(Debug)]
pub(crate) struct Blob {
    bytes: Vec<u8>,
    charge: Option<Charge>,
}

object!(Blob);

impl Blob {
    /// These bytes, if there is room for them.
    pub(super) fn new(call: &Call<'_>, bytes: Vec<u8>) -> Outcome<Self> {
        let charge = call.charge(bytes.len())?;
        Ok(Self { bytes, charge: Some(charge) })
    }

    /// A copy of `data`, once there is room for it.
    pub(super) fn copy(call: &Call<'_>, data: &Bytes) -> Outcome<Self> {
        let charge = call.charge(data.len())?;
        Ok(Self { bytes: data.to_vec(), charge: Some(charge) })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn empty(&mut self) {
        self.bytes = Vec::new();
        self.charge = None;
    }
}

impl Object for Blob {
    const TYPE: &'static declare::Type = &BLOB;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.method_mut("tobuffer", |call, blob, ()| {
            call.room(blob.bytes.len())?;
            let buffer = call.lua.create_buffer(&blob.bytes)?;
            blob.empty();
            Ok(buffer)
        })?;
        class.method_mut("drain", |_, blob, ()| {
            blob.empty();
            Ok(())
        })?;
        class.method_mut("zeroize", |_, blob, ()| {
            blob.bytes.fill(0);
            // So that nobody finds that the zeros are not read.
            std::hint::black_box(&blob.bytes);
            blob.empty();
            Ok(())
        })?;
        class.operator("__len", |_, (blob,): (Bytes,)| Ok(blob.len()))
    }
}
