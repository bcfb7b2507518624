//! Integers that Luau's numbers cannot hold, as objects of a VM.

use mlua::{MetaMethod, UserData, UserDataFields};

/// An integer from -2^63 to 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct I64(pub(crate) i64);

/// An integer from 0 to 2^64 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct U64(pub(crate) u64);

impl UserData for I64 {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type.name(), "I64");
    }
}

impl UserData for U64 {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type.name(), "U64");
    }
}
