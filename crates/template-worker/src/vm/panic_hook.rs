//! What is known of a panic on a worker thread: where it was, and what it said.
//!
//! The standard library has one panic hook a process, and calls it on the thread that panics: so this file holds the one
//! static of this crate, and a slot for each thread. A worker thread *watches* itself; a panic there is recorded, whoever
//! catches it later (a script's `pcall`, an async runtime), and its loop sees that it has to go. On other threads the hook
//! that was there before does what it did.

use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

/// Characters of a message that are kept.
const MOST_TEXT: usize = 500;

static INSTALLED: Once = Once::new();

thread_local! {
    /// `None` on a thread that does not watch itself.
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Record {
    first: Option<String>,
}

/// Watches the thread that made it, until it is dropped.
pub(super) struct PanicWatch {
    /// It is of use on its own thread only.
    _here: std::marker::PhantomData<*const ()>,
}

impl PanicWatch {
    /// Begins to watch this thread.
    pub(super) fn begin() -> Self {
        INSTALLED.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !record(info) {
                    before(info);
                }
            }));
        });
        RECORD.with(|record| record.replace(Some(Record::default())));
        Self { _here: std::marker::PhantomData }
    }

    /// Where this thread panicked first, and what it said, if it has.
    pub(super) fn panic(&self) -> Option<String> {
        RECORD.with(|record| record.try_borrow().ok()?.as_ref()?.first.clone())
    }
}

/// Whether a thread that watches itself has panicked. Quick; for its loop.
pub(super) fn has_panicked() -> bool {
    RECORD.with(|record| {
        record.try_borrow().is_ok_and(|record| record.as_ref().is_some_and(|r| r.first.is_some()))
    })
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        RECORD.with(|record| record.replace(None));
    }
}

/// Writes the panic down where the thread watches itself. Must not panic itself: that would end the process.
fn record(info: &PanicHookInfo<'_>) -> bool {
    let watched = RECORD.try_with(|record| {
        let Ok(mut record) = record.try_borrow_mut() else { return false };
        let Some(record) = record.as_mut() else { return false };
        record.first.get_or_insert_with(|| describe(info));
        true
    });
    watched.unwrap_or(false)
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("something that is no text");
    let said: String = said.chars().take(MOST_TEXT).collect();
    match info.location() {
        Some(at) => format!("it panicked at {}:{}:{}: {said}", at.file(), at.line(), at.column()),
        None => format!("it panicked: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_is_recorded_with_its_place_also_when_somebody_catches_it() {
        let watch = PanicWatch::begin();
        assert!(!has_panicked() && watch.panic().is_none());
        assert!(catch_unwind(|| panic!("of {} things", 2)).is_err());
        assert!(has_panicked());
        let said = watch.panic().unwrap();
        assert!(said.contains("panic_hook.rs:") && said.ends_with(": of 2 things"), "{said}");
        assert!(catch_unwind(|| panic!("another")).is_err());
        assert_eq!(watch.panic().as_ref(), Some(&said), "the first one counts");
        drop(watch);
        assert!(!has_panicked());
        let watch = PanicWatch::begin();
        assert!(watch.panic().is_none(), "a watch knows its own time only");
        let long = "ä".repeat(2_000);
        assert!(catch_unwind(move || panic::panic_any(long)).is_err());
        assert!(watch.panic().unwrap().chars().count() < MOST_TEXT + 200);
    }

    #[test]
    fn a_thread_that_does_not_watch_itself_is_left_alone() {
        let watch = PanicWatch::begin();
        assert!(std::thread::spawn(|| panic!("elsewhere")).join().is_err());
        assert!(!has_panicked() && watch.panic().is_none());
    }
}
