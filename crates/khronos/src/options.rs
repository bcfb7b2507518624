//! What a VM is made with.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::limits::RuntimeLimits;
use crate::sandbox::BaseLibrary;
use crate::scheduler::ExecutionId;
use crate::scheduler::ticker::TickerHandle;

/// How important a line of a template's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `print`.
    Info,
    /// `warn`, and what the runtime wants the author to know.
    Warn,
    /// An error in a Luau thread that nobody waits for.
    Error,
}

/// A line that a template printed, or that the runtime has to say to its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The isolate's name.
    pub isolate: Arc<str>,
    /// Which execution printed it.
    pub execution: Option<ExecutionId>,
    /// How important it is.
    pub level: LogLevel,
    /// At most [`MAX_LOG_LINE`] bytes.
    pub text: String,
}

/// Bytes of one log line; what is longer is cut.
pub const MAX_LOG_LINE: usize = 4_096;

/// Everything a [`KhronosRuntime`](crate::KhronosRuntime) needs from its surroundings.
#[derive(Clone)]
pub struct RuntimeOptions {
    /// Limits of this VM.
    pub limits: RuntimeLimits,
    /// Our own Luau code, shared by all VMs.
    pub base: BaseLibrary,
    /// The line to the thread's ticker, which ends slices.
    pub ticker: TickerHandle,
    /// Takes the log lines. Called while a script runs; must not block.
    pub log: Rc<dyn Fn(LogLine)>,
    /// Called, from any thread, when a host call was answered: the VM has something to run again.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Called before each slice with the name of the isolate that it is for, so that the embedder knows whom to blame for
    /// what happens in it. Must be quick.
    pub runs: Rc<dyn Fn(&str)>,
    /// What to use instead of a module that is not there, such as one that scripts know from elsewhere; `None` where there is
    /// nothing to say.
    pub instead: fn(&str) -> Option<&'static str>,
    /// What time it is, for timers and deadlines; tests bring their own.
    pub clock: Rc<dyn Fn() -> Instant>,
    /// Names of events by which their handlers may go as well, each with the name that the event has: where a table has a
    /// handler of that name, too, it counts.
    pub old_names: &'static [(&'static str, &'static str)],
}

impl RuntimeOptions {
    /// Default limits, the real clock, log lines dropped, nobody woken, no old names.
    pub fn new(base: BaseLibrary, ticker: TickerHandle) -> Self {
        Self {
            limits: RuntimeLimits::default(),
            base,
            ticker,
            log: Rc::new(|_| ()),
            wake: Arc::new(|| ()),
            runs: Rc::new(|_| ()),
            instead: |_| None,
            clock: Rc::new(Instant::now),
            old_names: &[],
        }
    }
}

impl std::fmt::Debug for RuntimeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuntimeOptions").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Cuts `text` to at most `most` bytes at a character's border, and shows that it was cut.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
