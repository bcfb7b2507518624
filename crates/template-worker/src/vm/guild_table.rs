//! The VMs of one thread, and whose turn it is.
//!
//! Owns the round: each VM that has something to run gets a slice, then the next one. What a VM does with it is
//! `guild_vm`'s business. A round costs as much as VMs are ready, however many there are.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use khronos::{JsonLimits, RuntimeLimits, RuntimeOptions, TickerHandle, ValueLimits};
use tokio::sync::Notify;

use super::action::LuaVmResult;
use super::guild_vm::{GuildVm, Job};
use super::reply::Reply;
use super::strategy::Shared;
use crate::execution::Outcome;
use crate::ids::{GuildId, ThreadId};

/// Tells the strategy that a guild has no VM on this thread any more, so that it is free to place it anew.
pub(super) type Vacate = Box<dyn Fn(GuildId)>;

pub(super) struct GuildTable {
    thread: ThreadId,
    /// Counts the turns of all VMs.
    slices: Arc<AtomicU64>,
    shared: Arc<Shared>,
    ticker: TickerHandle,
    slots: HashMap<GuildId, Slot>,
    /// VMs with something to run, in turn.
    ready: VecDeque<GuildId>,
    /// When VMs want to be looked at again. An entry may be out of date; looking costs little.
    timers: BinaryHeap<Reverse<(Instant, GuildId)>>,
    woken: Arc<Woken>,
    vacate: Vacate,
}

struct Slot {
    vm: GuildVm,
    /// Whether it is in `ready`.
    queued: bool,
    /// The earliest entry in `timers`.
    timer: Option<Instant>,
}

/// Guilds whose host calls were answered, from any thread. Bounded by the calls that are waiting.
#[derive(Default)]
pub(super) struct Woken {
    guilds: Mutex<Vec<GuildId>>,
    notify: Notify,
}

impl Woken {
    fn wake(&self, guild: GuildId) {
        self.guilds.lock().unwrap_or_else(PoisonError::into_inner).push(guild);
        self.notify.notify_one();
    }

    /// Returns when some VM was woken since the last look.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }
}

impl GuildTable {
    pub(super) fn new(
        thread: ThreadId,
        slices: Arc<AtomicU64>,
        shared: Arc<Shared>,
        ticker: TickerHandle,
        vacate: Vacate,
    ) -> Self {
        Self {
            thread,
            slices,
            shared,
            ticker,
            slots: HashMap::new(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            woken: Arc::default(),
            vacate,
        }
    }

    pub(super) fn woken(&self) -> Arc<Woken> {
        Arc::clone(&self.woken)
    }

    pub(super) fn get(&mut self, guild: GuildId) -> Option<&mut GuildVm> {
        self.slots.get_mut(&guild).map(|slot| &mut slot.vm)
    }

    /// Collects the guild's garbage in its turn. Gives the replies back where there is no VM.
    pub(super) fn collect_garbage(&mut self, guild: GuildId, replies: Vec<Reply>) -> Result<(), Vec<Reply>> {
        let Some(vm) = self.get(guild) else { return Err(replies) };
        vm.collect_garbage(replies);
        self.look_at(guild);
        Ok(())
    }

    /// Gives jobs of one event to the guild's VM, which is made if there is none.
    pub(super) fn dispatch(&mut self, guild: GuildId, jobs: Vec<Job>) {
        if !self.slots.contains_key(&guild) {
            match GuildVm::new(guild, self.thread, &self.shared, self.options(guild)) {
                Ok(vm) => {
                    self.slots.insert(guild, Slot { vm, queued: false, timer: None });
                }
                Err(error) => {
                    tracing::error!(%guild, error = &error as &dyn std::error::Error, "failed to create a VM");
                    for job in jobs {
                        job.reply.send(LuaVmResult::Outcome(Outcome::vm_broken(error.to_string())));
                    }
                    return self.vacate(guild);
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(&guild) {
            slot.vm.queue(jobs);
        }
        self.look_at(guild);
    }

    /// Takes the guild's VM away, with everything in it answered.
    pub(super) fn stop(&mut self, guild: GuildId, reason: &str) -> bool {
        let Some(mut slot) = self.slots.remove(&guild) else { return false };
        slot.vm.condemn(reason);
        slot.vm.close();
        self.vacate(guild);
        true
    }

    pub(super) fn stop_all(&mut self, reason: &str) {
        let guilds: Vec<GuildId> = self.slots.keys().copied().collect();
        for guild in guilds {
            self.stop(guild, reason);
        }
    }

    /// Whether any answer is owed.
    pub(super) fn owes(&self) -> bool {
        self.slots.values().any(|slot| slot.vm.owes())
    }

    /// One slice for each VM that is ready now. Returns whether any was.
    pub(super) fn run_round(&mut self) -> bool {
        self.collect_woken();
        self.collect_due();
        let round = self.ready.len();
        for _ in 0..round {
            let Some(guild) = self.ready.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(&guild) else { continue };
            slot.queued = false;
            slot.vm.turn(self.slices.fetch_add(1, Ordering::Relaxed));
            self.look_at(guild);
        }
        round > 0
    }

    /// When the next timer is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Puts the VM where it belongs now: in the round, among the timers, or away if it broke.
    fn look_at(&mut self, guild: GuildId) {
        let Some(slot) = self.slots.get_mut(&guild) else { return };
        if slot.vm.is_broken() {
            self.replace(guild);
        } else if slot.vm.wants_turn() {
            if !std::mem::replace(&mut slot.queued, true) {
                self.ready.push_back(guild);
            }
        } else if let Some(at) = slot.vm.runtime().next_timer()
            && slot.timer.is_none_or(|known| at < known)
        {
            slot.timer = Some(at);
            self.timers.push(Reverse((at, guild)));
        }
    }

    /// Tells the strategy that the guild has no VM here.
    pub(super) fn vacate(&self, guild: GuildId) {
        (self.vacate)(guild);
    }

    /// A broken VM is dropped. What had been accepted and not started runs in a fresh one.
    fn replace(&mut self, guild: GuildId) {
        let Some(mut slot) = self.slots.remove(&guild) else { return };
        let status = slot.vm.status();
        tracing::info!(%guild, reason = status.reason.as_deref().unwrap_or_default(), "a VM broke");
        slot.vm.answer();
        let waiting = slot.vm.take_waiting();
        slot.vm.close();
        if waiting.is_empty() {
            self.vacate(guild);
        } else {
            self.dispatch(guild, waiting);
        }
    }

    fn collect_woken(&mut self) {
        let woken = std::mem::take(&mut *self.woken.guilds.lock().unwrap_or_else(PoisonError::into_inner));
        for guild in woken {
            self.look_at(guild);
        }
    }

    fn collect_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, guild))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            // A VM that wanted to be looked at earlier has been, or is in this heap a second time.
            if let Some(slot) = self.slots.get_mut(&guild)
                && slot.timer.is_some_and(|wanted| wanted <= at)
            {
                slot.timer = None;
                self.look_at(guild);
            }
        }
    }

    fn options(&self, guild: GuildId) -> RuntimeOptions {
        let limits = &self.shared.limits;
        let mut options = RuntimeOptions::new(self.shared.base.clone(), self.ticker.clone());
        options.limits = RuntimeLimits {
            memory: limits.max_template_memory_usage,
            threads: limits.max_luau_threads,
            slice: limits.slice(),
            non_yieldable: limits.max_non_yieldable_time(),
            values: ValueLimits {
                depth: limits.max_result_depth,
                nodes: limits.max_result_nodes,
                bytes: limits.max_result_bytes,
            },
            // One level for the event object around its data.
            json: JsonLimits { depth: limits.max_event_depth + 1, ..JsonLimits::default() },
        };
        let woken = Arc::clone(&self.woken);
        options.wake = Arc::new(move || woken.wake(guild));
        options
    }
}
