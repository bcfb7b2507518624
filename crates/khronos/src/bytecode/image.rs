//! A program as plain data, for another process of the same build.
//!
//! Owns the form of an image. Who may make one, and who may load it, is said at [`ProgramImage`]; how it travels is the
//! embedder's business.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Inner, Program};

/// A [`Program`] on its way to another process: its modules as bytecode, its entry and its aliases.
///
/// An image is *trusted*. Luau does not check bytecode, and bytecode that its compiler did not make crashes a VM, or does
/// worse. So only the process that compiles makes images, and only processes that it started load them, over a channel
/// that nobody else can write to. Never load an image from a file, from a network, or from a process that runs scripts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgramImage(Arc<Inner>);

impl Program {
    /// This program as plain data. Copies nothing.
    pub fn image(&self) -> ProgramImage {
        ProgramImage(Arc::clone(&self.0))
    }

    /// The program that `image` was made of. See [`ProgramImage`] for who may call this.
    pub fn from_image(image: ProgramImage) -> Self {
        Self(image.0)
    }
}

/// Modules with their code as bytes, where serde alone would take each byte for an element of a list.
pub(super) mod code {
    use std::collections::BTreeMap;
    use std::fmt;
    use std::sync::Arc;

    use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::{Serialize, Serializer};

    type Modules = BTreeMap<String, Arc<[u8]>>;

    pub(in super::super) fn serialize<S: Serializer>(modules: &Modules, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(modules.iter().map(|(path, code)| (path, Bytes(code))))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Modules, D::Error> {
        let modules = BTreeMap::<String, Code>::deserialize(from)?;
        Ok(modules.into_iter().map(|(path, code)| (path, code.0)).collect())
    }

    struct Bytes<'a>(&'a [u8]);

    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(self.0)
        }
    }

    struct Code(Arc<[u8]>);

    impl<'de> Deserialize<'de> for Code {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_bytes(Reader).map(Self)
        }
    }

    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Arc<[u8]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytecode")
        }

        fn visit_bytes<E: Error>(self, code: &[u8]) -> Result<Self::Value, E> {
            Ok(code.into())
        }

        /// Formats without bytes, such as JSON, have a list of numbers instead.
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut code = Vec::new();
            while let Some(byte) = items.next_element()? {
                code.push(byte);
            }
            Ok(code.into())
        }
    }
}
