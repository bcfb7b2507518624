//! What scripts can `require` besides their own files: `@antiraid/..` and `@lune/..`.
//!
//! Owns which modules there are, and when they are made: in a VM that requires them, once, because they are read-only and
//! remember nothing. Leaves to `members` and `classes` how they get into a VM, and what they do to one file or folder each.
//! What a function can be made to do takes a few tens of milliseconds at the most, as it cannot be paused meanwhile.

mod arguments;
mod classes;
pub(crate) mod datamgmt;
pub(crate) mod datetime;
mod interop;
mod luau;
pub(crate) mod lune;
mod members;
pub(crate) mod typesext;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, Table, Value};

use crate::declare::Module;
use crate::sandbox::Prelude;
use crate::scheduler::{Scheduler, host_functions};
use crate::slow_lane::Jobs;
use members::{Call, Maker};

/// A module, and what puts it together.
struct Entry {
    module: Module,
    make: fn(&mut Maker<'_>, &Globals<'_>) -> mlua::Result<()>,
    /// Whether each template has its own, because it knows whose it is.
    is_own: bool,
}

/// The globals of the template that a module is made for.
struct Globals<'a>(&'a Table);

const LIBRARY: &[Entry] = &[
    Entry { module: datamgmt::MODULE, make: datamgmt::make, is_own: false },
    Entry { module: datetime::MODULE, make: datetime::make, is_own: false },
    Entry { module: interop::MODULE, make: interop::make, is_own: false },
    Entry { module: luau::MODULE, make: luau::make, is_own: true },
    Entry { module: typesext::MODULE, make: typesext::make, is_own: false },
    Entry { module: lune::datetime::MODULE, make: lune::datetime::make, is_own: false },
    Entry { module: lune::regex::MODULE, make: lune::regex::make, is_own: false },
    Entry { module: lune::serde::MODULE, make: lune::serde::make, is_own: false },
];

/// Every module, as it is declared.
pub fn modules() -> impl Iterator<Item = &'static Module> {
    LIBRARY.iter().map(|entry| &entry.module)
}

/// Aliases that always mean the modules of this file, whatever a `.luaurc` says: there they lead editors to the types.
const ALIASES: [&str; 2] = ["antiraid", "lune"];

/// The module that `request` names, where it is not a file of the bundle that is meant.
///
/// # Errors
/// A text for the template's author, where there is no such module.
pub(crate) fn resolve(request: &str) -> Option<Result<&'static str, String>> {
    let (alias, name) = request.strip_prefix('@')?.split_once('/')?;
    let alias = ALIASES.into_iter().find(|known| alias.eq_ignore_ascii_case(known))?;
    let path = format!("@{alias}/{name}");
    Some(find(&path).map(|entry| entry.module.path).ok_or_else(|| {
        let shown: String = path.chars().take(LONGEST_SHOWN).collect();
        let has_alias = |path: &str| path.starts_with(&format!("@{alias}/"));
        let (mut known, others): (Vec<_>, Vec<_>) = modules()
            .map(|module| (name_of(module.path), module.path))
            .partition(|(_, path)| has_alias(path));
        known.extend(others);
        let mut hint = did_you_mean(name_of(&shown), known);
        if hint.is_empty() {
            let all: Vec<_> = modules().map(|module| module.path).collect();
            hint = format!("; there are {}", all.join(", "));
        }
        format!("cannot require \"{shown}\": there is no such module{hint}")
    }))
}

/// `@alias/name` without the alias.
fn name_of(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, name)| name)
}

/// Characters of a script's text that a message repeats.
const LONGEST_SHOWN: usize = 100;

/// The end of a text about a name that is not known: the one that was meant, of names and what to say for them, or nothing where
/// all are far off. `wanted` is short.
fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let wanted = wanted.to_lowercase();
    let near_enough = wanted.chars().count() / 3;
    known
        .into_iter()
        .map(|(name, said)| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), said))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, said)| format!("; did you mean \"{said}\"?"))
        .unwrap_or_default()
}

fn find(path: &str) -> Option<&'static Entry> {
    LIBRARY.iter().find(|entry| entry.module.path == path)
}

/// The modules of one VM.
pub(crate) struct Library {
    scheduler: Rc<Scheduler>,
    /// See `objects.luau`.
    expose: Function,
    index: Function,
    newindex: Function,
    caller: Function,
    await_: Function,
    slow_jobs: Jobs,
    array: Table,
    made: RefCell<BTreeMap<&'static str, Table>>,
}

impl Library {
    /// Gives `lua` its modules. None of them is made yet.
    pub(crate) fn add_to(lua: &Lua, scheduler: &Rc<Scheduler>, prelude: &Prelude) -> mlua::Result<()> {
        let library = Self {
            scheduler: Rc::clone(scheduler),
            expose: prelude.objects.get("expose")?,
            index: prelude.objects.get("index")?,
            newindex: prelude.objects.get("newindex")?,
            caller: prelude.objects.get("caller")?,
            await_: prelude.await_.clone(),
            slow_jobs: Jobs::default(),
            array: prelude.array.clone(),
            made: RefCell::default(),
        };
        lua.set_app_data(Rc::new(library));
        Ok(())
    }

    /// The modules of `lua`.
    fn of(lua: &Lua) -> mlua::Result<Rc<Self>> {
        let library = lua.app_data_ref::<Rc<Self>>();
        library.map(|library| Rc::clone(&library)).ok_or_else(|| mlua::Error::runtime("the VM is closing"))
    }

    /// Takes them away, while the VM can still take back what they hold.
    pub(crate) fn remove_from(lua: &Lua) {
        drop(lua.remove_app_data::<Rc<Self>>());
    }
}

/// A function of the host for scripts: where it fails, they get a plain text with their own file and line.
pub(crate) fn exposed<A: FromLuaMulti, R: IntoLuaMulti>(
    lua: &Lua,
    f: impl Fn(&Lua, A) -> Result<R, String> + 'static,
) -> mlua::Result<Function> {
    let library = Library::of(lua)?;
    library.expose.call(host_functions::function(lua, &library.scheduler, f)?)
}

/// What a bundle's file would be for the module at `path`: a function that returns it. Nothing where there is none.
pub(crate) fn load(lua: &Lua, path: &str, globals: &Table) -> Option<mlua::Result<Function>> {
    let entry = find(path)?;
    Some(Library::of(lua).and_then(|library| {
        let table = make(lua, &library, entry, globals)?;
        lua.create_function(move |_, ()| Ok(table.clone()))
    }))
}

/// A `Blob` of `@antiraid/datamgmt` with these bytes. (As an argument of a host function, a blob arrives as
/// [`KhronosValue::Buffer`](crate::KhronosValue::Buffer).)
///
/// # Errors
/// A text for a script, where there is no memory for it.
pub fn blob(lua: &Lua, bytes: Vec<u8>) -> Result<Value, String> {
    let library = Library::of(lua).map_err(|error| error.to_string())?;
    let blob = datamgmt::Blob::new(&Call { lua, library: &library }, bytes);
    let blob = blob.and_then(|blob| Ok(Value::UserData(lua.create_userdata(blob)?)));
    blob.map_err(|refusal| refusal.into_text(&library.scheduler))
}

fn make(lua: &Lua, library: &Rc<Library>, entry: &'static Entry, globals: &Table) -> mlua::Result<Table> {
    let path = entry.module.path;
    if let Some(table) = library.made.borrow().get(path) {
        return Ok(table.clone());
    }
    let mut maker = Maker::new(lua, library, &entry.module);
    (entry.make)(&mut maker, &Globals(globals))?;
    let table = maker.done()?;
    if !entry.is_own {
        library.made.borrow_mut().insert(path, table.clone());
    }
    Ok(table)
}
