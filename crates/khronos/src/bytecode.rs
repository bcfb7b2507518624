//! Compiling once for all VMs.
//!
//! Owns the cache from content hash to bytecode, and turning a [`Bundle`] into a [`Program`]. The cache holds weak
//! references: bytecode lives as long as a program that uses it, so it needs no size limit of its own.
//! Compiling needs a deep stack: call it on a thread that has one (Luau's parser recurses up to its own limit).

mod image;
pub(crate) mod safepoints;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mlua::chunk::Compiler;
use safepoints::Unsafe;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, ContentHash};
use crate::error::CompileError;
use crate::require;

pub use image::ProgramImage;

/// Luau bytecode, made by our own compiler from text. Foreign bytecode is never loaded: it could crash a VM.
pub(crate) type Bytecode = Arc<[u8]>;

/// A bundle, compiled: what an isolate is made from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Program(Arc<Inner>);

#[derive(Debug, Serialize, Deserialize)]
struct Inner {
    entry: String,
    #[serde(with = "image::code")]
    modules: BTreeMap<String, Arc<[u8]>>,
    aliases: require::Aliases,
}

/// Shares bytecode between all programs whose files have the same text.
#[derive(Debug, Default)]
pub struct BytecodeCache {
    known: Mutex<HashMap<ContentHash, Weak<[u8]>>>,
}

impl BytecodeCache {
    /// Compiles every `.luau` and `.lua` file of `bundle` that is not known yet.
    ///
    /// # Errors
    /// One [`CompileError`] a file that does not compile, and for `.luaurc` files that cannot be understood.
    pub fn compile(&self, bundle: &Bundle) -> Result<Program, Vec<CompileError>> {
        let mut modules = BTreeMap::new();
        let mut errors = Vec::new();
        for (path, source) in bundle.files() {
            if !require::is_module(path) {
                continue;
            }
            match self.bytecode(path, &source.text, source.hash) {
                Ok(bytecode) => {
                    modules.insert(path.to_owned(), bytecode);
                }
                Err(error) => errors.push(error),
            }
        }
        let aliases = require::Aliases::of(bundle).map_err(|error| errors.push(error)).unwrap_or_default();
        if errors.is_empty() {
            Ok(Program(Arc::new(Inner { entry: bundle.entry().to_owned(), modules, aliases })))
        } else {
            Err(errors)
        }
    }

    /// How many different sources are in use.
    pub fn len(&self) -> usize {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, bytecode| bytecode.strong_count() > 0);
        known.len()
    }

    /// Whether nothing is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytecode(&self, path: &str, text: &str, hash: ContentHash) -> Result<Bytecode, CompileError> {
        if let Some(known) = self.lookup(hash) {
            return Ok(known);
        }
        // Compiled outside the lock: two threads may do the same work once, nobody waits for a large file.
        let compiler = Compiler::new().set_optimization_level(1).set_debug_level(1).set_type_info_level(1);
        let compile = |covered| compiler.clone().set_coverage_level(u8::from(covered)).compile(text);
        let bytecode: Bytecode = safepoints::compile(compile)
            .map_err(|error| explain(path, &error))?
            .map_err(|reason| refuse(path, reason))?
            .into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == known.capacity() {
            known.retain(|_, bytecode| bytecode.strong_count() > 0);
        }
        known.insert(hash, Arc::downgrade(&bytecode));
        Ok(bytecode)
    }

    fn lookup(&self, hash: ContentHash) -> Option<Bytecode> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&hash)?.upgrade()
    }
}

impl Program {
    /// The module that runs when an event arrives.
    pub fn entry(&self) -> &str {
        &self.0.entry
    }

    /// Paths of all modules.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.0.modules.keys().map(String::as_str)
    }

    /// Whether `other` has the same modules with the same code, so that one can go on where the other was.
    pub fn has_same_code(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        a.entry == b.entry && a.aliases == b.aliases && a.modules == b.modules
    }

    /// Bytes of all modules' bytecode.
    pub fn code_bytes(&self) -> usize {
        self.0.modules.values().map(|code| code.len()).sum()
    }

    pub(crate) fn bytecode(&self, path: &str) -> Option<&Bytecode> {
        self.0.modules.get(path)
    }

    /// What `require(request)` in the file `from` means.
    ///
    /// # Errors
    /// A text for the template's author: what is wrong with the request, or which files were looked for.
    pub fn resolve(&self, from: &str, request: &str) -> Result<String, String> {
        require::resolve(&|path| self.0.modules.contains_key(path), &self.0.aliases, from, request)
    }
}

fn refuse(path: &str, reason: Unsafe) -> CompileError {
    let (line, message) = match reason {
        Unsafe::Statement { line } => (
            line,
            "a statement of this function has so many operations that the script could not be paused in between; \
             make several statements of it",
        ),
        Unsafe::Texts => (1, "too many texts of this file have the same hash, which nobody does by chance"),
        Unsafe::Unknown => (1, "the compiler made something that cannot be checked; report this, please"),
    };
    CompileError { file: path.to_owned(), line, message: message.to_owned() }
}

/// The compiler says `3: message`; authors want file, line and message apart.
fn explain(path: &str, error: &mlua::Error) -> CompileError {
    let text = match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let located = text.trim_start_matches(':').split_once(": ");
    match located.and_then(|(line, message)| Some((line.parse().ok()?, message))) {
        Some((line, message)) => CompileError { file: path.to_owned(), line, message: message.to_owned() },
        None => CompileError { file: path.to_owned(), line: 1, message: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        Bundle::new(files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned()))).unwrap()
    }

    #[test]
    fn equal_sources_share_their_bytecode_as_long_as_somebody_uses_it() {
        let cache = BytecodeCache::default();
        let one = cache.compile(&bundle(&[("init.luau", "return 1"), ("same.luau", "return 1")])).unwrap();
        let two = cache.compile(&bundle(&[("init.luau", "return 1"), ("other.luau", "return 2")])).unwrap();
        assert_eq!(cache.len(), 2);
        let code = |program: &Program, path| program.bytecode(path).map(Arc::as_ptr).unwrap();
        assert_eq!(code(&one, "init.luau"), code(&one, "same.luau"));
        assert_eq!(code(&one, "init.luau"), code(&two, "init.luau"));
        drop((one, two));
        assert!(cache.is_empty());
    }

    #[test]
    fn programs_have_the_same_code_if_their_files_say_the_same() {
        let cache = BytecodeCache::default();
        let compile = |source| cache.compile(&bundle(&[("init.luau", source), ("data.json", "{}")])).unwrap();
        assert!(compile("return 1").has_same_code(&compile("return 1")));
        assert!(!compile("return 1").has_same_code(&compile("return 2")));
    }

    #[test]
    fn every_file_that_does_not_compile_is_named_with_its_line() {
        let files = [("init.luau", "local x = 1\n\nlocal = 2"), ("b.luau", "return ("), (".luaurc", "{")];
        let errors = BytecodeCache::default().compile(&bundle(&files)).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| (error.file.as_str(), error.line)).collect();
        assert_eq!(places, [("b.luau", 1), ("init.luau", 3), (".luaurc", 1)]);
        assert!(errors.iter().all(|error| !error.message.is_empty()), "{errors:?}");
    }
}
