//! The way of a call out of a VM: who calls, and where the answer goes.

use std::sync::Arc;

use super::{HostCall, HostReply};
use crate::capabilities::Capabilities;
use crate::ids::GuildId;
use crate::template::TemplateInfo;

/// Whose script calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The guild that its VM belongs to: never one that a script names.
    pub guild: GuildId,
    /// The template, as it was stored: with the capabilities that the guild's admin gave it.
    pub template: Arc<TemplateInfo>,
    /// What is left of these in the context that is used, where it was limited.
    pub limited: Option<Arc<Capabilities>>,
}

impl Caller {
    /// Whether the template, in this context, may do `wanted`, as far as the guild decides that.
    pub fn allows(&self, wanted: &str) -> bool {
        self.template.capabilities.allows(wanted)
            && self.limited.as_ref().is_none_or(|limited| limited.allows(wanted))
    }
}

/// Takes calls to where they are served. Never waits.
pub trait HostLine: Send + Sync + std::fmt::Debug {
    /// The most that any template may do, as the operator set it. For telling templates: it is the host that decides.
    fn most(&self) -> Arc<Capabilities>;

    /// Serves `call`, and sends what came of it to `answer`, from any thread.
    fn call(&self, caller: Caller, call: HostCall, answer: Answer);
}

/// A line that leads nowhere: for VMs that are tried without a service.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl HostLine for Nowhere {
    fn most(&self) -> Arc<Capabilities> {
        Arc::new(Capabilities::everything())
    }

    fn call(&self, _: Caller, call: HostCall, answer: Answer) {
        answer.send(HostReply::Failed(format!("there is no host here that could serve {call}")));
    }
}

/// The duty to answer a call. Dropped without an answer, it says so.
pub struct Answer(Option<Box<dyn FnOnce(HostReply) + Send>>);

impl Answer {
    /// `to` hears what came of the call.
    pub fn new(to: impl FnOnce(HostReply) + Send + 'static) -> Self {
        Self(Some(Box::new(to)))
    }

    /// Answers.
    pub fn send(mut self, reply: HostReply) {
        if let Some(to) = self.0.take() {
            to(reply);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            to(HostReply::Failed("the host gave no answer; try again later".to_owned()));
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}
