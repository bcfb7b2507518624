//! Everything that scripts see, put together: objects under `ctx`, modules, and all types by name.

use std::collections::BTreeSet;

use khronos::declare::{Function, Module, Parameter, Type};

use super::names;
use crate::events::DATA_TYPES;
use crate::execution::TABLES;
use crate::host::calls::{Declared, DeclaredFamily, HostCall};

/// An object under `ctx`: the functions of a family, or other objects.
#[derive(Debug)]
pub(super) struct Object {
    /// Where it is: `DataStores.StatsStore`.
    pub(super) path: &'static str,
    /// What calls of it do; nothing where it only holds others.
    pub(super) family: Option<&'static DeclaredFamily>,
    /// The objects in it.
    pub(super) inside: Vec<Object>,
}

impl Object {
    /// The last part of where it is.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The name of its type, which is what `typeof` says of it.
    pub(super) fn ty(&self) -> String {
        capitalised(self.name())
    }

    /// What it has beside its calls.
    pub(super) fn beside(&self) -> Option<&'static Type> {
        self.family?.beside
    }

    /// Another object with the same calls, and what it has beside them.
    pub(super) fn extended(&self) -> Option<&'static Type> {
        self.family?.extended
    }

    /// The calls that are found on it.
    pub(super) fn calls(&self) -> impl Iterator<Item = &'static Declared> + use<> {
        let family = self.family;
        family
            .into_iter()
            .flat_map(|family| family.calls.iter().filter(|call| family.place_of(call).is_none()))
    }

    /// What it is for.
    pub(super) fn doc(&self) -> String {
        match self.family {
            Some(family) => lines(family.doc).join("\n"),
            None => {
                format!("Holds {}.", listed(self.inside.iter().map(|inside| format!("`{}`", inside.name()))))
            }
        }
    }
}

/// What is directly under `ctx`, in the order of declaration.
pub(super) fn objects() -> Vec<Object> {
    inside("", HostCall::families())
}

fn inside(parent: &str, families: &'static [DeclaredFamily]) -> Vec<Object> {
    let mut all: Vec<Object> = Vec::new();
    for family in families {
        let Some(below) = family.object.strip_prefix(parent) else { continue };
        let below = below.strip_prefix('.').unwrap_or(below);
        if below.is_empty() || (!parent.is_empty() && !family.object[parent.len()..].starts_with('.')) {
            continue;
        }
        let end = family.object.len() - below.len() + below.find('.').unwrap_or(below.len());
        let path = &family.object[..end];
        if all.iter().all(|object| object.path != path) {
            let family = families.iter().find(|family| family.object == path);
            all.push(Object { path, family, inside: inside(path, families) });
        }
    }
    all
}

/// A module, and what its types are called among all others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) module: &'static Module,
}

impl Shown {
    /// The name of a type of this module among all types: its own, unless a module before it or the context has it.
    pub(super) fn name(&self, own: &str) -> Option<String> {
        let is_ours = self.module.types.iter().any(|ty| ty.name == own);
        let before = modules_before(self.module);
        let is_taken = before.flat_map(|module| module.types).any(|ty| ty.name == own)
            || of_context().iter().any(|ty| ty.name == own);
        (is_ours && is_taken).then(|| format!("{}{own}", capitalised(self.library())))
    }

    /// `antiraid` or `lune`.
    pub(super) fn library(&self) -> &'static str {
        self.module.path.trim_start_matches('@').split('/').next().unwrap_or_default()
    }

    /// A type as everybody can write it.
    pub(super) fn ty(&self, text: &str) -> String {
        names::renamed(text, |name| self.name(name))
    }
}

fn modules_before(module: &'static Module) -> impl Iterator<Item = &'static Module> {
    khronos::modules().take_while(move |other| other.path != module.path)
}

/// Every module.
pub(super) fn modules() -> Vec<Shown> {
    khronos::modules().map(|module| Shown { module }).collect()
}

/// The types of what is under `ctx` and in events, apart from the objects.
pub(super) fn of_context() -> Vec<&'static Type> {
    let families = HostCall::families().iter().flat_map(|family| family.types);
    let mut all: Vec<&Type> = TABLES.iter().chain(DATA_TYPES).chain(families).collect();
    // Families may share a type.
    let mut seen = BTreeSet::new();
    all.retain(|ty| seen.insert(ty.name));
    all
}

/// The name of the type of an event: `MessageCreateEvent`, `KeyExpiryEvent`.
pub(super) fn event_type(event: &str) -> String {
    let words = event.split('_').map(|word| {
        if event.contains(|c: char| c.is_lowercase()) {
            word.to_owned()
        } else {
            capitalised(&word.to_lowercase())
        }
    });
    format!("{}Event", words.collect::<String>())
}

/// Every function that is a call, with where it is.
pub(super) fn calls() -> impl Iterator<Item = (&'static str, &'static Declared)> {
    HostCall::all()
}

/// The lines of a doc comment.
pub(super) fn lines(doc: &str) -> Vec<&str> {
    let mut lines: Vec<&str> =
        doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

/// The parameters of a function as its type has them: `key: string, ...any`.
pub(super) fn parameters(function: &Function, ty: impl Fn(&str) -> String) -> String {
    let one = |parameter: &Parameter| match (label(parameter), ty(of_each(parameter))) {
        ("...", ty) if ty.contains('|') => format!("...({ty})"),
        ("...", ty) => format!("...{ty}"),
        (name, ty) => format!("{name}: {ty}"),
    };
    function.parameters.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The name of a parameter; `...` where it stands for any number of arguments.
pub(super) fn label(parameter: &Parameter) -> &'static str {
    if parameter.name.starts_with("..") { "..." } else { parameter.name }
}

/// The type of a parameter, or of each argument that `...` stands for.
pub(super) fn of_each(parameter: &Parameter) -> &'static str {
    parameter.ty.trim_start_matches("...")
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = items.collect();
    match &*all {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => all.concat(),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
