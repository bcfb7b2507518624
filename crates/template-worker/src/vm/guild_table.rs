//! The VMs of one thread, and their rounds.
//!
//! Owns the round: VMs that have something to run get a slice, one after the other, in the order of `turns`; and which VMs
//! are closed because nobody needs them. What a VM does with its slice is `guild_vm`'s business. A round costs as much as VMs
//! are ready, however many there are.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use khronos::TickerHandle;
use tokio::sync::Notify;

use super::action::{LuaVmResult, VmStatus};
use super::closing::ClosingVms;
use super::eviction::IdleVms;
use super::guild_vm::{GuildVm, Job};
use super::panic_hook::has_panicked;
use super::quarantine::Break;
use super::reply::Reply;
use super::running::NowRunning;
use super::strategy::Shared;
use super::thread_entry::CommandNumber;
use super::turns::Turns;
use super::warm_pool::WarmPool;
use crate::execution::Outcome;
use crate::ids::{GuildId, ThreadId};
use crate::limits::Limits;
use crate::metrics::{Count, Eviction};
use crate::template::TemplateName;

/// Tells the strategy that a guild has no VM on this thread any more, as of the last command that this thread has taken, so
/// that it is free to place it anew.
pub(super) type Vacate = Box<dyn Fn(GuildId, CommandNumber)>;

pub(super) struct GuildTable {
    thread: ThreadId,
    /// Counts the turns of all VMs: the clock in which waiting for neighbours is measured.
    slices: u64,
    /// What it said after the commands' last turn.
    commands_taken_at: u64,
    shared: Arc<Shared>,
    warm: WarmPool,
    slots: HashMap<GuildId, Slot>,
    /// VMs with something to run.
    turns: Turns,
    /// When VMs want to be looked at again. An entry may be out of date; looking costs little.
    timers: BinaryHeap<Reverse<(Instant, GuildId)>>,
    /// VMs with nothing to do, now or later.
    idle: IdleVms,
    closing: ClosingVms,
    woken: Arc<Woken>,
    running: NowRunning,
    /// The last command that was taken off the queue.
    last_taken: CommandNumber,
    vacate: Vacate,
}

struct Slot {
    vm: GuildVm,
    /// Whether it is in `turns`.
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
    pub(super) fn wake(&self, guild: GuildId) {
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
        shared: Arc<Shared>,
        ticker: TickerHandle,
        running: NowRunning,
        vacate: Vacate,
    ) -> Self {
        let woken = Arc::<Woken>::default();
        let turns = Turns::new(shared.limits.slice());
        Self {
            thread,
            slices: 0,
            commands_taken_at: 0,
            warm: WarmPool::new(Arc::clone(&shared), ticker, Arc::clone(&woken), running.clone()),
            closing: ClosingVms::new(Arc::clone(&shared)),
            shared,
            slots: HashMap::new(),
            turns,
            timers: BinaryHeap::new(),
            idle: IdleVms::default(),
            woken,
            running,
            last_taken: 0,
            vacate,
        }
    }

    pub(super) fn woken(&self) -> Arc<Woken> {
        Arc::clone(&self.woken)
    }

    /// The commands had their turn: the thread's queue is empty, unless a slice was too short for that.
    pub(super) fn has_taken_commands(&mut self) {
        self.commands_taken_at = self.slices;
    }

    /// From when on something which has just come out of the queue has waited for other VMs: the earliest that it can
    /// have been put there, or, where commands were so many that they had to take turns, the last of these.
    pub(super) fn sent_at(&self) -> u64 {
        self.commands_taken_at
    }

    /// Whether this is a VM process.
    pub(super) fn is_locked_in(&self) -> bool {
        self.shared.outside.is_some()
    }

    /// The command with this number is not on its way any more.
    pub(super) fn has_taken(&mut self, number: CommandNumber) {
        self.last_taken = self.last_taken.max(number);
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

    /// Gives jobs of one event to the guild's VM, which is made if there is none, and keeps to `limits` from now on.
    pub(super) fn dispatch(&mut self, guild: GuildId, limits: &Arc<Limits>, jobs: Vec<Job>) {
        if !self.slots.contains_key(&guild) {
            match self.create(guild, limits) {
                Ok(vm) => {
                    self.slots.insert(guild, Slot { vm, queued: false, timer: None });
                }
                Err(reason) => {
                    tracing::debug!(%guild, reason, "a guild gets no VM");
                    // Before anybody hears of it, so that nobody finds the guild here any more who has.
                    self.vacate(guild);
                    for job in jobs {
                        job.reply.send(LuaVmResult::Outcome(Outcome::vm_broken(reason.as_str())));
                    }
                    return;
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(&guild) {
            slot.vm.keep_to(limits);
            slot.vm.queue(jobs);
        }
        self.look_at(guild);
    }

    /// A VM for `guild`: one that was made ahead of need, where there is one. Otherwise the reason, for the callers.
    fn create(&mut self, guild: GuildId, limits: &Arc<Limits>) -> Result<GuildVm, String> {
        let memory = Arc::clone(&self.shared.memory);
        // A warm one is in the books already.
        while !self.warm.has_one() && memory.is_short() && self.relieve() {}
        if memory.is_full() {
            self.shared.metrics.count(Count::VmRefused);
            return Err(format!(
                "the VMs of this service use more than the {} bytes that they may, and none on this guild's thread is \
                 idle; try again later, or raise `vm.max_memory`",
                memory.most()
            ));
        }
        let vm = self.warm.take();
        let vm = vm.and_then(|vm| GuildVm::new(vm, guild, self.thread, &self.shared, limits, &self.running));
        vm.map_err(|error| error.to_string())
    }

    /// The VMs that are nobody's.
    pub(super) fn warm(&mut self) -> &mut WarmPool {
        &mut self.warm
    }

    /// Takes the guild's VM away, with everything in it answered.
    pub(super) fn stop(&mut self, guild: GuildId, reason: &str) -> bool {
        let Some(mut slot) = self.take_out(guild) else { return false };
        slot.vm.condemn(reason);
        self.closing.push(slot.vm.into_runtime());
        self.vacate(guild);
        true
    }

    /// Closes the guild's VM, if nothing runs in it.
    pub(super) fn close_if_idle(&mut self, guild: GuildId) -> LuaVmResult {
        match self.slots.get(&guild) {
            Some(slot) if !slot.vm.is_idle() => {
                LuaVmResult::Refused { reason: "something runs, waits or sleeps in it".to_owned() }
            }
            Some(_) => {
                self.evict(guild, Eviction::Operator);
                LuaVmResult::Done
            }
            None => {
                self.vacate(guild);
                LuaVmResult::Absent
            }
        }
    }

    /// Closes the VMs that have been idle for `patience`. Returns how many there were.
    pub(super) fn evict_idle(&mut self, patience: Duration) -> usize {
        let now = Instant::now();
        let due = std::iter::from_fn(|| {
            let guild = self.idle.due(patience, now)?;
            self.evict(guild, Eviction::Operator).then_some(())
        });
        due.count()
    }

    /// How the VMs of the first `limit` guilds after `after` are.
    pub(super) fn list(&self, after: Option<GuildId>, limit: usize) -> Vec<(GuildId, VmStatus)> {
        let mut guilds: Vec<GuildId> =
            self.slots.keys().copied().filter(|guild| after.is_none_or(|after| *guild > after)).collect();
        guilds.sort_unstable();
        guilds.truncate(limit);
        let status = |guild| self.slots.get(&guild).map(|slot| (guild, slot.vm.status()));
        guilds.into_iter().filter_map(status).collect()
    }

    pub(super) fn stop_all(&mut self, reason: &str) {
        let guilds: Vec<GuildId> = self.slots.keys().copied().collect();
        for guild in guilds {
            self.stop(guild, reason);
        }
    }

    /// Answers whoever waits for something of this thread, which has panicked. VMs are not to be used any more.
    pub(super) fn abandon(&mut self) {
        for slot in self.slots.values_mut() {
            slot.vm.abandon();
        }
    }

    /// Gives back the memory of all VMs that were given up, until about then.
    pub(super) fn finish_closing(&mut self, by: Instant) {
        self.closing.finish(by);
    }

    /// Whether any answer is owed.
    pub(super) fn owes(&self) -> bool {
        self.slots.values().any(|slot| slot.vm.owes())
    }

    /// A round: about one slice for each VM that is ready now. Returns whether there was anything to do.
    pub(super) fn run_round(&mut self) -> bool {
        self.collect_woken();
        self.collect_due();
        let evicted = self.evict_one();
        if !self.closing.is_empty() {
            self.running.rests_altogether();
        }
        let closed = self.closing.step();
        let before = self.slices;
        self.turns.begin_round();
        while let Some(guild) = self.turns.next() {
            let Some(slot) = self.slots.get_mut(&guild) else { continue };
            slot.queued = false;
            let spent = slot.vm.turn(self.slices);
            if has_panicked() {
                // Nobody else is to run on this thread, and it is known who did.
                return true;
            }
            self.slices += 1;
            self.turns.took(guild, spent, Instant::now());
            self.look_at(guild);
            if self.closing.are_many() {
                self.running.rests_altogether();
                self.closing.step();
            }
        }
        // What happens between rounds is nobody's fault.
        self.running.rests();
        self.slices > before || evicted || closed
    }

    /// To be called when the thread is about to wait: it runs nothing that could be to blame for what happens.
    pub(super) fn rest(&self) {
        self.running.rests_altogether();
    }

    /// When a VM wants to be looked at, or has been idle for too long.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let idle = self.shared.idle_time.and_then(|patience| self.idle.next_due(patience));
        timer.into_iter().chain(idle).min()
    }

    /// Puts the VM where it belongs now: in the round, among the timers, or away if it broke.
    fn look_at(&mut self, guild: GuildId) {
        let Some(slot) = self.slots.get_mut(&guild) else { return };
        if slot.vm.is_broken() {
            return self.replace(guild);
        }
        if slot.vm.is_idle() {
            self.idle.enter(guild, Instant::now(), &self.shared.idle);
        } else {
            self.idle.leave(guild);
        }
        if slot.vm.wants_turn() {
            if !std::mem::replace(&mut slot.queued, true) {
                self.turns.push(guild, Instant::now());
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
        (self.vacate)(guild, self.last_taken);
    }

    fn take_out(&mut self, guild: GuildId) -> Option<Slot> {
        self.idle.leave(guild);
        self.slots.remove(&guild)
    }

    /// Closes a VM that has been idle for too long, or that has to go because memory is short. At most one, so that
    /// others have their turns in between. Returns whether there was one.
    fn evict_one(&mut self) -> bool {
        if self.shared.memory.is_short() {
            return self.relieve();
        }
        let due = self.shared.idle_time.and_then(|patience| self.idle.due(patience, Instant::now()));
        due.is_some_and(|guild| self.evict(guild, Eviction::Idle))
    }

    /// Gives up what is missed least: a VM that is nobody's, then the one that was used least recently. Returns whether
    /// there was one.
    fn relieve(&mut self) -> bool {
        self.warm.give_up_one()
            || self.idle.longest().is_some_and(|(_, guild)| self.evict(guild, Eviction::Memory))
    }

    /// Closes the VM of a guild. It owes nobody anything, and the guild's next event makes a new one.
    fn evict(&mut self, guild: GuildId, cause: Eviction) -> bool {
        let Some(slot) = self.take_out(guild) else { return false };
        self.shared.metrics.count(Count::Evicted(cause));
        tracing::debug!(%guild, "an idle VM is evicted");
        self.closing.push(slot.vm.into_runtime());
        self.vacate(guild);
        true
    }

    /// A broken VM is dropped. What had been accepted and not started runs in a fresh one.
    fn replace(&mut self, guild: GuildId) {
        let Some(mut slot) = self.take_out(guild) else { return };
        let status = slot.vm.status();
        slot.vm.count_break();
        let (reason, template) = (status.reason.clone().unwrap_or_default(), slot.vm.culprit());
        tracing::info!(%guild, reason, template = template.as_ref().map(TemplateName::as_str), "a VM broke");
        self.shared.breaks.report(Break { guild, template, reason });
        slot.vm.answer();
        slot.vm.answer_garbage(&LuaVmResult::Broken { reason: status.reason.unwrap_or_default() });
        let (limits, log) = (Arc::clone(slot.vm.limits()), Rc::clone(slot.vm.log()));
        let waiting = slot.vm.take_waiting();
        self.closing.push(slot.vm.into_runtime());
        if waiting.is_empty() {
            self.vacate(guild);
        } else {
            self.dispatch(guild, &limits, waiting);
            if let Some(successor) = self.get(guild) {
                successor.log().continue_from(&log);
            }
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
}
