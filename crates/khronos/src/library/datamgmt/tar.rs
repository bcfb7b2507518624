//! `TarArchive`: files in one piece of bytes.
//!
//! Paths are names here: nothing is written anywhere, so that it does not matter where they would lead.

use std::io::Read;
use std::path::{Component, Path};

use mlua::Value;
use tar::{Archive, Builder, EntryType, Header};

use super::super::arguments::{Bytes, Text};
use super::super::classes::{Class, Object, object};
use super::super::members::{Call, Outcome};
use super::Blob;
use crate::declare::{Parameter, Type};
use crate::declare::{function, object as declare_object, parameter};
use crate::scheduler::collector::Charge;

const NAME: Parameter = parameter(
    "name",
    "string",
    "Its name: a relative path of at most 1,000 bytes, such as `folder/file.txt`, without `..`.",
);

pub(super) const TYPE: Type = declare_object(
    "TarArchive",
    "An archive of files, at most 10,000 of them.",
    &[],
    &[
        function(
            "takefile",
            &[NAME],
            "Blob?",
            "Takes a file out of the archive; nil where it has none of that name.",
        ),
        function(
            "addfile",
            &[NAME, parameter("data", "Blob | buffer | string", "What is in it.")],
            "()",
            "Adds a file with a copy of these bytes; one of the same name is replaced.",
        ),
        function("toblob", &[], "Blob", "The archive, as tar writes it. It keeps its files."),
        function("entries", &[], "{string}", "The names of its files."),
    ],
    &[function("__len", &[parameter("value", "TarArchive", "")], "number", "How many files it has.")],
);

const MOST_FILES: usize = 10_000;
const LONGEST_NAME: usize = 1_000;
/// What a file takes besides its bytes: here, and in the archive with a header for a long name.
const A_FILE: usize = 2_048;

#[derive(Debug)]
pub(super) struct TarArchive(Vec<File>);

object!(TarArchive);

#[derive(Debug)]
struct File {
    name: String,
    bytes: Vec<u8>,
    charge: Charge,
}

impl TarArchive {
    pub(super) fn read(call: &Call<'_>, data: Option<Bytes>) -> Outcome<Self> {
        let mut files = Self(Vec::new());
        let Some(data) = data else { return Ok(files) };
        // Files are never larger than the archive that they are in, whatever its headers say.
        call.room(data.len() * 2)?;
        data.with(|bytes| files.unpack(call, bytes))??;
        Ok(files)
    }

    fn unpack(&mut self, call: &Call<'_>, bytes: &[u8]) -> Outcome<()> {
        const BROKEN: &str = "these bytes are not a tar archive, or it is cut off";
        let mut left = bytes.len() as u64;
        for entry in Archive::new(bytes).entries().map_err(|_| BROKEN)? {
            let entry = entry.map_err(|_| BROKEN)?;
            // A sparse file could be made of nothing, and as large as it likes.
            if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
                continue;
            }
            let size = entry.size();
            left = left.checked_sub(size).ok_or(BROKEN)?;
            let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| BROKEN)?;
            let mut content = Vec::new();
            let length = usize::try_from(size).map_err(|_| BROKEN)?;
            let charge = self.place(call, &name, length)?;
            entry.take(size).read_to_end(&mut content).map_err(|_| BROKEN)?;
            if content.len() != length {
                return Err(BROKEN.into());
            }
            self.0.push(File { name, bytes: content, charge });
        }
        Ok(())
    }

    /// Room for one more file.
    fn place(&self, call: &Call<'_>, name: &str, bytes: usize) -> Outcome<Charge> {
        if self.0.len() >= MOST_FILES {
            return Err(format!("an archive has at most {MOST_FILES} files").into());
        }
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(format!("the name of a file has 1 to {LONGEST_NAME} bytes").into());
        }
        call.charge(bytes + A_FILE)
    }

    fn take(&mut self, name: &str) -> Option<File> {
        let at = self.0.iter().position(|file| file.name == name)?;
        Some(self.0.remove(at))
    }

    fn write(&self) -> Result<Vec<u8>, String> {
        let mut builder = Builder::new(Vec::new());
        for file in &self.0 {
            let mut header = Header::new_gnu();
            header.set_size(file.bytes.len() as u64);
            header.set_mode(0o644);
            let written = builder.append_data(&mut header, &file.name, file.bytes.as_slice());
            written.map_err(|error| format!("the file {:?}: {error}", beginning(&file.name)))?;
        }
        builder.into_inner().map_err(|error| error.to_string())
    }
}

/// Refuses names that tar has no form for, or that lead out of a folder where somebody unpacks them.
fn check(name: &str) -> Outcome<()> {
    let is_fine =
        Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let is_named = Path::new(name).components().any(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || (is_fine && is_named && !name.contains('\0') && !name.ends_with('/')) {
        return Ok(());
    }
    Err(format!(
        "{:?} cannot be the name of a file: use a relative path such as \"folder/file.txt\", without \"..\" and zero bytes, \
         which does not end with \"/\"",
        beginning(name)
    )
    .into())
}

/// What messages show of a name.
fn beginning(name: &str) -> String {
    name.chars().take(100).collect()
}

impl Object for TarArchive {
    const TYPE: &'static Type = &TYPE;

    fn add_to(class: &mut Class<'_, Self>) -> mlua::Result<()> {
        class.method_mut("takefile", |_, archive, (name,): (Text,)| {
            let file = archive.take(&name.0);
            Ok(file.map(|file| Blob { bytes: file.bytes, charge: Some(file.charge) }))
        })?;
        class.method_mut("addfile", |call, archive, (name, data): (Text, Bytes)| {
            check(&name.0)?;
            let charge = archive.place(call, &name.0, data.len())?;
            archive.take(&name.0);
            archive.0.push(File { name: name.0, bytes: data.to_vec(), charge });
            Ok(())
        })?;
        class.method("toblob", |call, archive, ()| {
            let bytes = archive.0.iter().map(|file| file.bytes.len() + A_FILE).sum();
            let charge = call.charge(bytes)?;
            let bytes = archive.write().map_err(|error| format!("cannot write the archive: {error}"))?;
            Ok(Blob { bytes, charge: Some(charge) })
        })?;
        class.method("entries", |call, archive, ()| {
            let names = call.lua.create_sequence_from(archive.0.iter().map(|file| file.name.as_str()))?;
            names.set_metatable(Some(call.library.array.clone()))?;
            Ok(names)
        })?;
        class.operator("__len", |_, (archive,): (Value,)| {
            let Value::UserData(archive) = archive else { return Err("a TarArchive is expected".into()) };
            Ok(archive.borrow::<Self>()?.0.len())
        })
    }
}
