//! What can go wrong, in two kinds: the runtime's own errors, and those of a template's code.

use std::time::Duration;

use crate::limits::LimitExceeded;

/// An operation of the runtime failed. None of these is the fault of the script that runs, except that it may have
/// broken its VM.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The VM is broken; nothing runs in it any more. Make a new one.
    #[error("the VM is broken: {0}")]
    Broken(BrokenReason),
    /// The VM could not be set up.
    #[error("failed to create a VM")]
    Create(#[source] mlua::Error),
    /// A template's world could not be set up in its VM.
    #[error("failed to create an isolate")]
    CreateIsolate(#[source] mlua::Error),
    /// An execution could not be started.
    #[error("failed to start an execution")]
    Start(#[source] mlua::Error),
    /// A value could not be made inside the VM.
    #[error("failed to create a value")]
    CreateValue(#[source] mlua::Error),
    /// Text is not JSON, or is larger than the limits allow.
    #[error("failed to decode JSON: {0}")]
    Json(String),
}

/// Why a VM was given up. A broken VM is never used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenReason {
    /// An allocation failed: after that, nothing that the VM does can be relied upon.
    #[error("out of memory: the limit is {limit} bytes for all templates of the guild together")]
    OutOfMemory {
        /// The VM's limit in bytes.
        limit: usize,
    },
    /// A script had to be ended inside a library function, which may have left things half done.
    #[error("a script ran longer than {limit:?} where it cannot be paused")]
    KilledInNative {
        /// The limit.
        limit: Duration,
    },
    /// A function of the host panicked.
    #[error("internal error in a host function")]
    Panicked,
    /// Its owner wanted so.
    #[error("{0}")]
    Condemned(String),
}

/// An error of the template's own code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What was thrown; for a text thrown by Luau it begins with file and line.
    pub message: String,
    /// Where, one line a function, innermost first.
    pub traceback: String,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It returned: null for nothing, a list for several values.
    Returned(crate::Json),
    /// It threw, or returned what cannot leave the VM.
    Failed(TemplateError),
    /// It was ended for using too much.
    LimitExceeded {
        /// Of what.
        limit: LimitExceeded,
        /// Where it was at that moment.
        traceback: String,
    },
    /// The VM broke under it, by another execution's fault.
    Broken(BrokenReason),
}

/// One file that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct CompileError {
    /// Path inside the bundle.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Luau's words.
    pub message: String,
}
