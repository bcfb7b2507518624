//! What an operator asks of the workers and of all VMs.
//!
//! Owns how long they have to answer, and putting together what each of them says. What they do is `vm`'s business.

use std::time::{Duration, Instant};

use super::Dispatcher;
use crate::ids::{GuildId, ThreadId};
use crate::vm::strategy::NoSuchWorker;
use crate::vm::{LuaVmResult, ThreadStatus, VmStatus, WorkerAction, merge_vms};

/// How long a worker has to answer. One that is busy needs the time of a slice; one that is stuck in a library call gets
/// out of it long before.
pub const TIME_TO_ANSWER: Duration = Duration::from_secs(3);

/// What those workers said that answered.
#[derive(Debug)]
pub struct Gathered<T> {
    /// All of it, put together.
    pub all: T,
    /// Whether every worker answered.
    pub is_complete: bool,
}

/// What came of draining a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// How many guilds it had.
    pub guilds: usize,
    /// Whether it is gone; otherwise it hangs.
    pub has_ended: bool,
}

impl Dispatcher {
    /// How all worker threads are.
    pub fn threads(&self) -> Vec<ThreadStatus> {
        self.0.strategy.threads()
    }

    /// Whether the worker answers.
    ///
    /// # Errors
    /// [`NoSuchWorker`].
    pub async fn ping(&self, worker: ThreadId) -> Result<bool, NoSuchWorker> {
        self.0.strategy.ping(worker, Instant::now() + TIME_TO_ANSWER).await
    }

    /// Replaces a worker: its guilds move on, and what runs on it has the time `within` to end. Returns when it is gone.
    ///
    /// # Errors
    /// [`NoSuchWorker`].
    pub async fn drain(&self, worker: ThreadId, within: Duration) -> Result<Drained, NoSuchWorker> {
        let find = || self.threads().into_iter().find(|status| status.id == worker);
        let guilds = find().ok_or(NoSuchWorker)?.guilds;
        self.0.strategy.drain(worker, Instant::now() + within).await?;
        Ok(Drained { guilds, has_ended: find().is_none() })
    }

    /// Moves a guild to a worker; what runs in its VM has the time `within` to end.
    ///
    /// # Errors
    /// [`NoSuchWorker`].
    pub async fn move_guild(
        &self,
        guild: GuildId,
        to: ThreadId,
        within: Duration,
    ) -> Result<(), NoSuchWorker> {
        self.0.strategy.move_guild(guild, to, Instant::now() + within).await
    }

    /// How the VMs of the first `limit` guilds after `after` are, in the order of the guilds.
    pub async fn list_vms(&self, after: Option<GuildId>, limit: usize) -> Gathered<Vec<(GuildId, VmStatus)>> {
        let answers = self.ask_all(WorkerAction::ListVms { after, limit }, LuaVmResult::into_vms);
        let Gathered { all, is_complete } = answers.await;
        Gathered { all: merge_vms(all, limit), is_complete }
    }

    /// Closes the VMs that have been idle for so long. Returns how many there were.
    pub async fn evict_idle(&self, idle: Duration) -> Gathered<usize> {
        let answers = self.ask_all(WorkerAction::EvictIdle { idle }, LuaVmResult::evicted);
        let Gathered { all, is_complete } = answers.await;
        Gathered { all: all.into_iter().sum(), is_complete }
    }

    async fn ask_all<T>(
        &self,
        action: WorkerAction,
        read: impl Fn(LuaVmResult) -> Option<T>,
    ) -> Gathered<Vec<T>> {
        let workers = self.threads().len();
        let answers = self.0.strategy.ask_all(action, Instant::now() + TIME_TO_ANSWER).await;
        let all: Vec<T> = answers.into_iter().filter_map(read).collect();
        Gathered { is_complete: all.len() >= workers, all }
    }
}
