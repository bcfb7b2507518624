//! Who lives where. Loads are derived from it, never counted.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{FIRST_PAUSE, Inner, LAST_PAUSE, Placing, SHORT_LIFE, Slot};
use crate::ids::{GuildId, ThreadId};
use crate::vm::action::{LuaVmResult, ThreadStatus, WorkerState};
use crate::vm::strategy::NotSent;
use crate::vm::thread_entry::{Command, CommandNumber, Message, NotTaken, ThreadEntry};

/// How long a worker has to close its VMs when its last guild has gone.
pub(super) const TIME_TO_CLOSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Table {
    placing: Placing,
    workers: BTreeMap<ThreadId, Member>,
    /// Who fills a slot now.
    slots: BTreeMap<Slot, ThreadId>,
    /// How many short lives a slot has had one after the other.
    short_lives: BTreeMap<Slot, u32>,
    pub(super) routes: HashMap<GuildId, Route>,
    last_id: u32,
    last_number: CommandNumber,
    pub(super) stopping: bool,
}

/// A worker.
#[derive(Debug)]
struct Member {
    slot: Slot,
    entry: ThreadEntry,
    guilds: HashSet<GuildId>,
    state: WorkerState,
    stop: watch::Sender<Option<Instant>>,
}

/// Where a guild lives.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) worker: ThreadId,
    /// The last command that was sent there for it.
    last: CommandNumber,
    /// While the guild moves: what came for it meanwhile, as much as a queue holds.
    pub(super) parked: Option<VecDeque<Command>>,
}

/// Whether one more worker has to be allowed for a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It is new: there has to be room for one more worker.
    Needed,
    /// It moves: the worker that it leaves is about to end.
    Kept,
}

/// A worker that was forgotten.
pub(super) struct Gone {
    pub(super) slot: Slot,
    pub(super) guilds: usize,
    pub(super) restarts: u32,
    pub(super) lived: Duration,
    /// Whether its slot is to be filled again.
    pub(super) is_kept: bool,
}

impl Table {
    pub(super) fn new(placing: Placing) -> Self {
        Self {
            placing,
            workers: BTreeMap::new(),
            slots: BTreeMap::new(),
            short_lives: BTreeMap::new(),
            routes: HashMap::new(),
            last_id: 0,
            last_number: 0,
            stopping: false,
        }
    }

    pub(super) fn next_id(&mut self) -> ThreadId {
        self.last_id += 1;
        ThreadId(self.last_id)
    }

    /// Enters a worker that fills `slot` from now on.
    pub(super) fn enter(&mut self, slot: Slot, entry: ThreadEntry, stop: watch::Sender<Option<Instant>>) {
        let id = entry.id();
        let member = Member { slot, entry, guilds: HashSet::new(), state: WorkerState::Serving, stop };
        self.workers.insert(id, member);
        self.slots.insert(slot, id);
    }

    /// Forgets a worker and where its guilds live.
    pub(super) fn forget(&mut self, id: ThreadId) -> Option<Gone> {
        let member = self.workers.remove(&id)?;
        for guild in &member.guilds {
            // A guild that is on the move leaves its parked commands to who moves it.
            if self.routes.get(guild).is_some_and(|route| route.worker == id && route.parked.is_none()) {
                self.routes.remove(guild);
            }
        }
        let fills = self.vacate_slot(member.slot, id);
        Some(Gone {
            slot: member.slot,
            guilds: member.guilds.len(),
            restarts: member.entry.restarts(),
            lived: member.entry.started().elapsed(),
            is_kept: fills && self.keeps_workers() && !self.stopping,
        })
    }

    /// How long to wait before `slot` is filled again.
    pub(super) fn pause_after(&mut self, slot: Slot, lived: Duration) -> Duration {
        if lived >= SHORT_LIFE {
            self.short_lives.remove(&slot);
            return Duration::ZERO;
        }
        let before = self.short_lives.entry(slot).or_default();
        *before += 1;
        match *before {
            1 => Duration::ZERO,
            more => FIRST_PAUSE.saturating_mul(1 << (more - 2).min(10)).min(LAST_PAUSE),
        }
    }

    pub(super) fn entry(&self, id: ThreadId) -> Option<ThreadEntry> {
        self.workers.get(&id).map(|member| member.entry.clone())
    }

    pub(super) fn entries(&self) -> Vec<ThreadEntry> {
        self.workers.values().map(|member| member.entry.clone()).collect()
    }

    pub(super) fn statuses(&self) -> Vec<ThreadStatus> {
        self.workers.values().map(|member| member.entry.status(member.state, member.guilds.len())).collect()
    }

    /// Tells every worker to be done by then, and takes nothing more. Guilds on the move will have no new place: what is
    /// parked for them is answered.
    pub(super) fn stop_all(&mut self, by: Instant) {
        self.stopping = true;
        for command in
            self.routes.values_mut().filter_map(|route| route.parked.as_mut()).flat_map(std::mem::take)
        {
            Message::Command(command).refuse("the service is shutting down");
        }
        for member in self.workers.values() {
            member.stop.send_replace(Some(by));
        }
    }

    /// The worker takes no new guilds; those that it has, in return, and its slot, for somebody else to have from now on.
    /// One that is draining already has none.
    pub(super) fn start_draining(&mut self, id: ThreadId) -> Option<(Option<Slot>, Vec<GuildId>)> {
        let member = self.workers.get_mut(&id)?;
        member.state = WorkerState::Draining;
        let (slot, guilds) = (member.slot, member.guilds.iter().copied().collect());
        Some((self.vacate_slot(slot, id).then_some(slot), guilds))
    }

    /// Whether some worker takes guilds, or is started for the next one.
    pub(super) fn can_take_guilds(&self) -> bool {
        let serves = |member: &Member| member.state == WorkerState::Serving;
        !self.stopping && (!self.keeps_workers() || self.workers.values().any(serves))
    }

    /// Whether the worker is there and takes guilds.
    pub(super) fn serves(&self, id: ThreadId) -> bool {
        self.workers.get(&id).is_some_and(|member| member.state == WorkerState::Serving)
    }

    /// Takes `slot` from the worker, if it is the one that fills it.
    fn vacate_slot(&mut self, slot: Slot, id: ThreadId) -> bool {
        let fills = self.slots.get(&slot) == Some(&id);
        if fills {
            self.slots.remove(&slot);
        }
        fills
    }

    /// Whether workers are there for good, not for a guild's VM.
    pub(super) fn keeps_workers(&self) -> bool {
        !matches!(self.placing, Placing::OneEach { .. })
    }

    /// Tells a worker without guilds to end.
    pub(super) fn dismiss(&mut self, id: ThreadId) {
        if let Some(member) = self.workers.get(&id) {
            // One that has to be done earlier keeps its time.
            member.stop.send_if_modified(|by| {
                let is_news = by.is_none();
                by.get_or_insert_with(|| Instant::now() + TIME_TO_CLOSE);
                is_news
            });
        }
    }

    /// Where a guild that has no place belongs: a worker that is there, or a slot that has to be filled first.
    fn place_for(&self, guild: GuildId, room: Room) -> Result<ThreadId, Option<Slot>> {
        let slot = match &self.placing {
            Placing::LeastLoaded { workers } => {
                // A slot is empty only where the system gave no worker for it.
                let empty = (0..*workers).map(Slot::Shared).find(|slot| !self.slots.contains_key(slot));
                return match empty {
                    None => self.least_loaded().ok_or(None),
                    empty => Err(empty),
                };
            }
            Placing::ById { apart, .. } if apart.contains(&guild) => Slot::Own(guild),
            Placing::ById { workers, .. } => {
                // The time in a snowflake is above its lowest 22 bits; the bits below are almost always the same.
                Slot::Shared(usize::try_from(guild.get() >> 22).unwrap_or(usize::MAX) % workers)
            }
            Placing::OneEach { .. } => Slot::Own(guild),
        };
        match (self.slots.get(&slot), &self.placing) {
            (Some(id), _) => Ok(*id),
            (None, Placing::OneEach { most }) if room == Room::Needed && self.workers.len() >= *most => {
                Err(None)
            }
            (None, _) => Err(Some(slot)),
        }
    }

    /// The worker with the fewest guilds.
    fn least_loaded(&self) -> Option<ThreadId> {
        let serving = self.workers.iter().filter(|(_, member)| member.state == WorkerState::Serving);
        serving.min_by_key(|(id, member)| (member.guilds.len(), **id)).map(|(id, _)| *id)
    }

    /// Who has to do where no worker can be started: anyone, where any would have been right.
    fn stand_in(&self) -> Option<ThreadId> {
        self.least_loaded().filter(|_| matches!(self.placing, Placing::LeastLoaded { .. }))
    }

    /// The guild has no VM on worker `id`, as of the command `upto`. Returns whether it has no place now.
    pub(super) fn vacate(&mut self, id: ThreadId, guild: GuildId, upto: CommandNumber) -> bool {
        let gone = self
            .routes
            .get(&guild)
            .is_some_and(|route| route.worker == id && route.last <= upto && route.parked.is_none());
        if gone {
            self.leave(guild);
        }
        gone
    }

    /// Takes a guild off its worker. One that was started for it alone ends.
    pub(super) fn leave(&mut self, guild: GuildId) -> Option<Route> {
        let route = self.routes.remove(&guild)?;
        let member = self.workers.get_mut(&route.worker);
        if member.is_some_and(|member| member.guilds.remove(&guild) && member.guilds.is_empty())
            && !self.keeps_workers()
        {
            self.start_draining(route.worker);
            self.dismiss(route.worker);
        }
        Some(route)
    }

    /// Gives a guild without a place one at worker `id`, if that is there and takes guilds.
    pub(super) fn settle(&mut self, guild: GuildId, id: ThreadId) -> bool {
        let serving = |member: &&mut Member| member.state == WorkerState::Serving;
        let Some(member) = self.workers.get_mut(&id).filter(serving) else { return false };
        member.guilds.insert(guild);
        self.routes.insert(guild, Route { worker: id, last: 0, parked: None });
        true
    }

    /// Puts a command on the queue of the guild's worker.
    pub(super) fn put(&mut self, mut command: Command) -> Result<(), NotTaken> {
        command.number = self.last_number + 1;
        let Some(route) = self.routes.get_mut(&command.guild) else {
            return Err(NotTaken::Ended(Message::Command(command)));
        };
        let Some(member) = self.workers.get(&route.worker) else {
            return Err(NotTaken::Ended(Message::Command(command)));
        };
        let number = command.number;
        member.entry.send(Message::Command(command))?;
        // One that was refused is not on its way: the worker would wait for it for ever before it let the guild go.
        (route.last, self.last_number) = (number, number);
        Ok(())
    }
}

impl Inner {
    /// Under the lock of the table, so that no command can be on its way to a worker that the guild has just left.
    pub(super) fn send(self: &Arc<Self>, table: &mut Table, mut command: Command) -> Result<(), NotSent> {
        loop {
            if table.stopping {
                command.answer(&LuaVmResult::Broken { reason: "the service is shutting down".to_owned() });
                return Err(NotSent::Stopping);
            }
            let guild = command.guild;
            let mut is_new = false;
            match table.routes.get_mut(&guild) {
                Some(Route { parked: Some(parked), .. }) if parked.len() >= self.queue => {
                    return Err(NotSent::Full);
                }
                Some(Route { parked: Some(parked), .. }) => {
                    parked.push_back(command);
                    return Ok(());
                }
                Some(_) => {}
                None if command.action.makes_vm() => {
                    self.place(table, guild, Room::Needed)?;
                    is_new = true;
                }
                None => {
                    command.answer(&LuaVmResult::Absent);
                    return Err(NotSent::Absent);
                }
            }
            match table.put(command) {
                Ok(()) => return Ok(()),
                Err(NotTaken::Full(refused)) => {
                    drop(refused);
                    if is_new {
                        table.leave(guild);
                    }
                    return Err(NotSent::Full);
                }
                Err(NotTaken::Ended(Message::Command(returned))) => {
                    // It is about to say so itself; nobody has to wait for that.
                    if let Some(route) = table.leave(guild) {
                        self.replace(table, route.worker);
                    }
                    command = returned;
                }
                Err(NotTaken::Ended(Message::Order(..))) => return Err(NotSent::Full),
            }
        }
    }

    /// Gives a guild without a place the one where it belongs.
    pub(super) fn place(
        self: &Arc<Self>,
        table: &mut Table,
        guild: GuildId,
        room: Room,
    ) -> Result<(), NotSent> {
        if table.stopping {
            return Err(NotSent::Stopping);
        }
        let id = match table.place_for(guild, room) {
            Ok(id) => id,
            Err(None) => return Err(NotSent::Full),
            Err(Some(slot)) => match self.fill(table, slot, 0, Duration::ZERO) {
                Ok(id) => id,
                Err(error) => {
                    tracing::error!(%guild, %error, "failed to start a worker for a guild");
                    table.stand_in().ok_or(NotSent::Full)?
                }
            },
        };
        if table.settle(guild, id) { Ok(()) } else { Err(NotSent::Full) }
    }
}

#[cfg(test)]
mod tests;
