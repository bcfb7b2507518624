//! Answers of the host on their way to the VM's thread. The one part of a VM that other threads may touch.
//!
//! It needs no limit of its own: each entry answers a call that a Luau thread made, and the calls that are not answered are
//! limited.

use std::sync::{Arc, Mutex, PoisonError};

use crate::value::KhronosValue;

/// Names one call of the host within its VM.
pub(crate) type CallId = u64;

/// What a host call came to: what it returns, or the text it throws.
pub(crate) type Answer = Result<Returned, String>;

/// What a host call returns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Returned {
    /// Values, which become the script's own: it may change them.
    Values(Vec<KhronosValue>),
    /// JSON text, which becomes one value, the script's own as well. Quicker, for what came as text.
    Json(String),
    /// Bytes, which become a `Blob`.
    Blob(Vec<u8>),
}

impl Returned {
    /// Bytes that it takes on the host's side, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Values(values) => values.iter().map(KhronosValue::size).sum(),
            Self::Json(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

pub(crate) struct Inbox {
    answers: Mutex<Vec<(CallId, Answer)>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Inbox {
    pub(super) fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { answers: Mutex::default(), wake }
    }

    fn put(&self, call: CallId, answer: Answer) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push((call, answer));
        (self.wake)();
    }

    pub(super) fn take(&self) -> Vec<(CallId, Answer)> {
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// The duty to answer one host call, from any thread, at any time. Dropped without an answer, it answers with an
/// error, so that no script waits for ever.
pub struct Reply {
    call: CallId,
    inbox: Option<Arc<Inbox>>,
}

impl Reply {
    pub(super) fn new(call: CallId, inbox: Arc<Inbox>) -> Self {
        Self { call, inbox: Some(inbox) }
    }

    /// Makes the host call return `value`.
    pub fn ok(self, value: impl Into<KhronosValue>) {
        self.values(vec![value.into()]);
    }

    /// Makes the host call return `values`.
    pub fn values(self, values: Vec<KhronosValue>) {
        self.send(Ok(Returned::Values(values)));
    }

    /// Makes the host call return what `text` is in JSON, as fresh tables.
    pub fn json(self, text: String) {
        self.send(Ok(Returned::Json(text)));
    }

    /// Makes the host call return a `Blob` of `@antiraid/datamgmt` with these bytes.
    pub fn blob(self, bytes: Vec<u8>) {
        self.send(Ok(Returned::Blob(bytes)));
    }

    /// Makes the host call throw `message`, with the script's file and line in front.
    pub fn error(self, message: impl Into<String>) {
        self.send(Err(message.into()));
    }

    fn send(mut self, answer: Answer) {
        if let Some(inbox) = self.inbox.take() {
            inbox.put(self.call, answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            inbox.put(self.call, Err("the host gave no answer; try again later".to_owned()));
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("call", &self.call).finish_non_exhaustive()
    }
}
