//! What scripts see, written down: type files for editors, and the pages of `docs/reference`.
//!
//! Owns how declarations become text. The declarations stand beside the code that they describe, and the same ones put the
//! functions into VMs; so nothing here says what a function does. Whoever writes the texts to a folder is in `cli`.

mod examples;
mod lists;
mod luau;
mod markdown;
mod names;
mod needs;
mod pages;
mod surface;

/// A file that is made of declarations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its path below the folder that it goes to, with slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Written {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// The type files: what a language server loads to know the globals and every type, and a module for each that can be
/// required.
pub fn types() -> Vec<Written> {
    let mut files = vec![Written::new(luau::DEFINITIONS, luau::definitions())];
    files.extend(surface::modules().iter().map(luau::module));
    files
}

/// The pages of the reference.
pub fn pages() -> Vec<Written> {
    let mut all = vec![lists::index(), pages::context()];
    all.extend(pages::objects());
    all.extend([pages::modules(), lists::events(), lists::capabilities()]);
    all
}

#[cfg(test)]
mod tests;
