//! A strategy under test, and the few things that all claims do with one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use khronos::Bundle;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::simulated::{STUCK, Simulated};
use crate::capabilities::Capabilities;
use crate::config::Config;
use crate::events::Event;
use crate::execution::{Compiler, LoadedTemplate, TemplateLog};
use crate::ids::{EventId, GuildId, ThreadId};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::template::TemplateInfo;
use crate::vm::action::{LuaVmAction, LuaVmResult, PanicPlace, ThreadStatus, WorkerAction, WorkerState};
use crate::vm::quarantine::Quarantine;
use crate::vm::reply::{Answers, replies};
use crate::vm::strategy::pool::{Placing, Pool, WorkerKind};
use crate::vm::strategy::threads::Threads;
use crate::vm::strategy::{NoSuchWorker, NotSent, Shared, VmDistributionStrategy};
use crate::vm::thread_entry::Command;

/// Returns the numbers of all events that this VM has seen.
const TEMPLATE: &str = "
    local e = ...
    seen = seen or {}
    table.insert(seen, e.data.n)
    local result = table.clone(seen)
    if e.data.stick then
        pcall(function() return setmetatable({}, {__index = function() while true do end end}).x end)
    end
    if e.data.wait then task.wait(e.data.wait) end
    return result";

/// Messages that wait for one worker at most.
pub(super) const QUEUE: usize = 64;

/// A strategy with its workers.
pub(super) struct Subject {
    pub(super) pool: Arc<Pool>,
    pub(super) shared: Arc<Shared>,
    template: Arc<LoadedTemplate>,
    /// Whether each guild has a worker of its own.
    pub(super) is_one_each: bool,
    /// How many guilds have one beside those that all share.
    pub(super) apart: usize,
}

/// The guild with this number; neighbours differ in what places them by their id.
pub(super) fn guild(index: u64) -> GuildId {
    GuildId::new((index + 1) << 22).unwrap()
}

/// So long from now.
pub(super) fn within(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

impl Subject {
    /// Threads, placed as `placing` says.
    pub(super) async fn threads(placing: Placing) -> Self {
        Self::start(placing, |shared| Box::new(Threads::new(shared).unwrap())).await
    }

    /// Workers without Luau, placed as `placing` says.
    pub(super) async fn simulated(placing: Placing) -> Self {
        Self::start(placing, |_| Box::new(Simulated(Handle::current()))).await
    }

    async fn start(placing: Placing, kind: impl FnOnce(Arc<Shared>) -> Box<dyn WorkerKind>) -> Self {
        let is_one_each = matches!(placing, Placing::OneEach { .. });
        let apart = if let Placing::ById { apart, .. } = &placing { apart.len() } else { 0 };
        let mut config = Config::for_testing();
        config.vm.warm_vms = 0;
        let limits = Arc::new(Limits {
            max_non_yieldable_time_ms: u64::try_from(STUCK.as_millis()).unwrap(),
            ..config.limits.clone()
        });
        let metrics = Arc::new(Metrics::new(&limits));
        let log = TemplateLog::default();
        let breaks = Arc::new(Quarantine::new(log.clone()));
        let shared =
            Shared::new(limits, &config.vm, metrics, log, breaks, Arc::new(crate::host::Nowhere)).unwrap();
        let shared = Arc::new(shared);
        let bundle = Bundle::new([("init.luau".to_owned(), TEMPLATE.to_owned())]).unwrap();
        let program = Compiler::start(20 << 20).unwrap().compile(None, Arc::new(bundle)).await.unwrap();
        let info = TemplateInfo {
            guild: guild(0),
            name: "contract".parse().unwrap(),
            version: 1,
            events: vec!["MESSAGE_CREATE".parse().unwrap()],
            capabilities: Capabilities::default(),
            description: String::new(),
            error_channel: None,
            paused: false,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        let pool = Pool::start(kind(Arc::clone(&shared)), placing, QUEUE, &shared).unwrap();
        let template = Arc::new(LoadedTemplate { info: Arc::new(info), program });
        Self { pool: Arc::new(pool), shared, template, is_one_each, apart }
    }

    /// Sends `action` to the guild's VM.
    pub(super) fn act(&self, index: u64, action: LuaVmAction) -> (Result<(), NotSent>, Answer) {
        let (owed, answers) = replies(1, &self.shared.owed, None);
        (self.pool.send(Command::new(guild(index), action, owed)), Answer(answers))
    }

    /// Sends an event with this number and what else `data` says.
    pub(super) fn send(&self, index: u64, n: u64, data: Value) -> (Result<(), NotSent>, Answer) {
        let mut all = json!({ "n": n });
        if let (Value::Object(all), Value::Object(data)) = (&mut all, data) {
            all.extend(data);
        }
        let name = "MESSAGE_CREATE".parse().unwrap();
        let event = Event::new(EventId::fresh(), guild(index), name, None, vec![], all.to_string().into());
        self.act(
            index,
            LuaVmAction::DispatchEvent {
                event: Arc::new(event.unwrap()),
                templates: vec![Arc::clone(&self.template)],
                limits: Arc::clone(&self.shared.limits),
            },
        )
    }

    /// Sends an event that has to be accepted.
    #[track_caller]
    pub(super) fn event(&self, index: u64, n: u64, data: Value) -> Answer {
        let (sent, answer) = self.send(index, n, data);
        assert_eq!(sent, Ok(()), "event {n} of guild {index}");
        answer
    }

    /// What the guild's VM has seen, with this event.
    pub(super) async fn seen(&self, index: u64, n: u64) -> Vec<u64> {
        self.event(index, n, Value::Null).seen().await
    }

    /// Makes the guild's worker fail.
    pub(super) async fn fail(&self, index: u64) {
        let (sent, answer) = self.act(index, LuaVmAction::Panic { place: PanicPlace::Loop });
        assert_eq!(sent, Ok(()));
        assert!(matches!(answer.once().await, LuaVmResult::Broken { .. }));
    }

    /// Which worker each guild's VM is on; on no more than one.
    pub(super) async fn places(&self) -> BTreeMap<GuildId, ThreadId> {
        let list = WorkerAction::ListVms { after: None, limit: 1_000 };
        let mut places = BTreeMap::new();
        for answer in self.pool.ask_all(list, within(20_000)).await {
            let LuaVmResult::Vms(vms) = answer else { panic!("{answer:?}") };
            for (guild, status) in vms {
                assert_eq!(places.insert(guild, status.thread.unwrap()), None, "{guild} is there twice");
            }
        }
        places
    }

    /// The place of one guild.
    pub(super) async fn place(&self, index: u64) -> ThreadId {
        self.places().await[&guild(index)]
    }

    /// The numbers of the workers that take guilds.
    pub(super) fn serving(&self) -> BTreeSet<ThreadId> {
        let serves = |worker: &ThreadStatus| worker.state == WorkerState::Serving;
        self.pool.threads().iter().filter(|worker| serves(worker)).map(|worker| worker.id).collect()
    }

    /// How one worker is.
    pub(super) fn worker(&self, id: ThreadId) -> Option<ThreadStatus> {
        self.pool.threads().into_iter().find(|worker| worker.id == id)
    }

    /// Waits until `what` is so.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..2_000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never came to this: {what}; {:#?}", self.pool.threads());
    }

    /// Begins to drain a worker, with so many milliseconds for what runs.
    pub(super) fn drain(&self, worker: ThreadId, ms: u64) -> JoinHandle<Result<(), NoSuchWorker>> {
        let pool = Arc::clone(&self.pool);
        tokio::spawn(async move { pool.drain(worker, within(ms)).await })
    }

    /// Waits until the worker takes no more guilds, or is gone.
    pub(super) async fn until_drained(&self, worker: ThreadId) {
        let is_so = || self.worker(worker).is_none_or(|worker| worker.state == WorkerState::Draining);
        self.until("it is drained", is_so).await;
    }

    /// Ends it, and looks at the books.
    pub(super) async fn end(self) {
        assert!(self.pool.stop(within(5_000)).await, "{:#?}", self.pool.threads());
        assert_eq!(self.pool.threads(), [], "all workers have ended");
        self.until("nothing is owed", || self.shared.owed.count() == 0).await;
        assert_eq!(self.shared.vms.count(), 0, "VMs are still alive");
    }
}

/// What comes of one command.
pub(super) struct Answer(Answers);

impl Answer {
    /// The answer. There is one, and no second.
    pub(super) async fn once(mut self) -> LuaVmResult {
        let wait = Duration::from_secs(30);
        let first = tokio::time::timeout(wait, self.0.recv()).await.expect("no answer in time");
        let (index, result) = first.expect("the duty to answer went away without an answer");
        assert_eq!(index, 0);
        let second = tokio::time::timeout(wait, self.0.recv()).await.expect("still owed");
        assert_eq!(second, None, "a second answer");
        result
    }

    /// What the VM had seen, with this event; nothing where it was not run to its end.
    pub(super) async fn seen(self) -> Vec<u64> {
        match self.once().await {
            LuaVmResult::Outcome(outcome) => {
                let outcome = serde_json::to_value(outcome).unwrap();
                serde_json::from_value(outcome["value"].clone()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}
