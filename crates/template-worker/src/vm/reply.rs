//! Every request gets exactly one answer, whatever happens to the thread that owes it.
//!
//! Owns [`Reply`], the duty to answer, which answers by itself when it is dropped, and [`Census`], which knows how
//! many such duties (or VMs) there are, because each one is counted by being alive.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::span::Id;

use super::action::LuaVmResult;
use super::thread_entry::CommandNumber;

/// Counts things that are alive. Nothing is ever added or subtracted by hand.
#[derive(Debug, Default)]
pub struct Census(Arc<()>);

/// Being counted by a [`Census`]; ends when it is dropped.
#[derive(Debug)]
pub struct Present(#[expect(dead_code, reason = "it is alive, that is all it has to do")] Arc<()>);

impl Census {
    /// Counts one more, until what is returned is dropped.
    pub fn enter(&self) -> Present {
        Present(Arc::clone(&self.0))
    }

    /// How many are alive.
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// The duty to give one answer. Dropped without one, it says that the VM went away.
#[derive(Debug)]
pub struct Reply {
    /// Which of the answers that the caller waits for.
    index: usize,
    to: Option<To>,
    _owed: Present,
    /// Hears of the answer as well.
    observer: Option<Arc<dyn Observe>>,
    /// The place among the guild's executions that it takes until it is answered.
    admission: Option<OwnedSemaphorePermit>,
    /// What all answers of a request keep together, until the last of them.
    kept: Option<Arc<OwnedSemaphorePermit>>,
}

/// Where an answer goes.
#[derive(Debug)]
enum To {
    /// To somebody in this process who waits.
    Caller(mpsc::Sender<(usize, LuaVmResult)>),
    /// Out of this process, to where the command with this number came from.
    Away(Arc<dyn Answering>, CommandNumber),
}

/// Takes the answers to commands that came from outside of this process.
pub(super) trait Answering: Send + Sync + std::fmt::Debug {
    /// The answer `index` to the command with this number. Must not wait.
    fn answer(&self, number: CommandNumber, index: usize, result: LuaVmResult);
}

/// Sees every answer to a request, once, wherever it comes from.
pub(crate) trait Observe: Send + Sync + std::fmt::Debug {
    /// This is the answer. Must not wait.
    fn answered(&self, result: &LuaVmResult);

    /// What the request is in traces.
    fn span(&self) -> Option<Id>;
}

/// The answers of one request, as they come.
pub type Answers = mpsc::Receiver<(usize, LuaVmResult)>;

/// `count` duties and the place where their answers arrive.
pub(crate) fn replies(
    count: usize,
    owed: &Census,
    mut admission: Option<OwnedSemaphorePermit>,
) -> (Vec<Reply>, Answers) {
    // As many places as answers, so that answering never waits and never fails for want of one.
    let (to, answers) = mpsc::channel(count.max(1));
    let reply = |index| Reply {
        index,
        to: Some(To::Caller(to.clone())),
        _owed: owed.enter(),
        observer: None,
        admission: admission.as_mut().and_then(|all| all.split(1)),
        kept: None,
    };
    ((0..count).map(reply).collect(), answers)
}

/// `count` duties to tell `link` what came of the command that it calls `number`.
pub(super) fn replies_to(
    link: &Arc<dyn Answering>,
    number: CommandNumber,
    count: usize,
    owed: &Census,
) -> Vec<Reply> {
    let reply = |index| Reply {
        index,
        to: Some(To::Away(Arc::clone(link), number)),
        _owed: owed.enter(),
        observer: None,
        admission: None,
        kept: None,
    };
    (0..count).map(reply).collect()
}

impl Reply {
    /// Lets `observer` hear of the answer.
    pub(crate) fn observed_by(&mut self, observer: Arc<dyn Observe>) {
        self.observer = Some(observer);
    }

    /// Keeps `permits` until it is answered.
    pub(crate) fn keeps(&mut self, permits: Arc<OwnedSemaphorePermit>) {
        self.kept = Some(permits);
    }

    /// What the request is in traces, where that is known here.
    pub(super) fn span(&self) -> Option<Id> {
        self.observer.as_ref()?.span()
    }

    /// Gives the answer.
    pub(crate) fn send(mut self, result: LuaVmResult) {
        self.give(result);
    }

    fn give(&mut self, result: LuaVmResult) {
        if let Some(observer) = self.observer.take() {
            observer.answered(&result);
        }
        // Before the caller knows: what it sends next finds room.
        drop((self.admission.take(), self.kept.take()));
        match self.to.take() {
            // An error means that nobody waits any more.
            Some(To::Caller(to)) => drop(to.try_send((self.index, result))),
            Some(To::Away(link, number)) => link.answer(number, self.index, result),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.give(LuaVmResult::Broken {
            reason: "the thread that ran this guild's VM ended; try again".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_reply_is_an_answer_and_no_reply_answers_twice() {
        let owed = Census::default();
        let (mut all, mut answers) = replies(3, &owed, None);
        assert_eq!(owed.count(), 3);
        all.remove(1).send(LuaVmResult::Done);
        assert_eq!(owed.count(), 2);
        drop(all);
        assert_eq!(owed.count(), 0);
        let mut got = Vec::new();
        while let Some((index, result)) = answers.recv().await {
            got.push((index, matches!(result, LuaVmResult::Broken { .. })));
        }
        got.sort_unstable();
        assert_eq!(got, [(0, true), (1, false), (2, true)]);
    }
}
