//! What scripts can `require` besides their own files, and the objects that come with it.

pub(crate) mod datetime;
pub(crate) mod typesext;
