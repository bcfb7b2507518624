//! What must hold for every input. Each oracle takes bytes, has a generator make something of them, runs it, and
//! panics where a promise is broken.

pub mod library;
pub mod require;
pub mod scripts;
pub mod values;

/// A check of one input.
pub type Oracle = fn(&[u8]);

/// All of them, by the names of their fuzz targets.
pub const ALL: [(&str, Oracle); 4] = [
    ("values", values::check),
    ("require", require::check),
    ("library", library::check),
    ("scripts", scripts::check),
];
