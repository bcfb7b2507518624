//! What the files of `stdlib` call: searching in linear time, and asking for memory before it is allocated.
//!
//! Leaves to them what the functions of the standard library mean; nothing here is seen by scripts.

use std::rc::Rc;

use memchr::memmem;
use mlua::{Lua, LuaString, Table};

use crate::scheduler::Scheduler;

/// What makes `string.find` take a pattern for more than a text.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Adds them to `host`.
pub(crate) fn add_to(lua: &Lua, scheduler: &Rc<Scheduler>, host: &Table) -> mlua::Result<()> {
    let find = |_: &Lua, (text, part, start): (LuaString, LuaString, usize)| {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        let Some(rest) = text.get(start.saturating_sub(1)..) else { return Ok(None) };
        Ok(memmem::find(rest, &part).map(|at| at + start.max(1)))
    };
    host.raw_set("find", lua.create_function(find)?)?;
    let is_plain =
        |_: &Lua, pattern: LuaString| Ok(!pattern.as_bytes().iter().any(|byte| SPECIALS.contains(byte)));
    host.raw_set("is_plain", lua.create_function(is_plain)?)?;
    // Into how many parts a text is split.
    let count = |_: &Lua, (text, part): (LuaString, LuaString)| {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        Ok(if part.is_empty() { text.len() } else { memmem::find_iter(&text, &part).count() + 1 })
    };
    host.raw_set("count", lua.create_function(count)?)?;
    // Asked before a single call takes much: a refusal is an error that a script can handle, a VM past its limit is not.
    let s = Rc::clone(scheduler);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should")]
    let fits = move |lua: &Lua, bytes: f64| Ok(s.fits(lua, bytes as usize));
    host.raw_set("fits", lua.create_function(fits)?)?;
    // Where it is for garbage, a collection may help: not at once, which may take long, but when the script pauses next.
    let s = Rc::clone(scheduler);
    let collect = move |_: &Lua, ()| {
        s.request_collection();
        Ok(())
    };
    host.raw_set("collect", lua.create_function(collect)?)?;
    let s = Rc::clone(scheduler);
    host.raw_set("memory_limit", lua.create_function(move |_, ()| Ok(s.memory_limit()))?)
}
