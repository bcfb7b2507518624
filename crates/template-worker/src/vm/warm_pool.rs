//! VMs made ahead of need, so that a guild's first event finds one ready.
//!
//! Owns how a VM is made while it is nobody's, and how many wait for an owner. Leaves when to make one to
//! `thread_loop`, and what becomes of it in a guild's hands to `guild_vm`.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use khronos::{
    ExecutionId, KhronosRuntime, LogLine, RuntimeError, RuntimeLimits, RuntimeOptions, TickerHandle,
};
use mlua::Table;

use super::guild_log::GuildLog;
use super::guild_table::Woken;
use super::memory::Charge;
use super::reply::Present;
use super::running::NowRunning;
use super::strategy::Shared;
use crate::events;
use crate::execution::instead_of;
use crate::ids::{EventId, GuildId};

/// Which event each execution is for, for the log.
pub(super) type EventOf = Rc<RefCell<BTreeMap<ExecutionId, EventId>>>;

/// The guild that a VM belongs to, from its adoption on: who is woken depends on it.
type Owner = Arc<OnceLock<GuildId>>;
/// The log of that guild, from then on.
type Log = Rc<OnceCell<Rc<GuildLog>>>;

/// A VM that is set up and that no template has touched.
pub(super) struct WarmVm {
    owner: Owner,
    log: Log,
    pub(super) event_of: EventOf,
    /// The table that the guild's templates will share as `ctx.store`.
    pub(super) store: Table,
    pub(super) memory: Charge,
    /// The VM; after everything that refers to it.
    pub(super) runtime: KhronosRuntime,
}

/// The warm VMs of one thread.
pub(super) struct WarmPool {
    vms: Vec<(WarmVm, Present)>,
    /// How many it should have.
    size: usize,
    shared: Arc<Shared>,
    ticker: TickerHandle,
    woken: Arc<Woken>,
    running: NowRunning,
}

impl WarmPool {
    pub(super) fn new(
        shared: Arc<Shared>,
        ticker: TickerHandle,
        woken: Arc<Woken>,
        running: NowRunning,
    ) -> Self {
        Self { vms: Vec::new(), size: shared.warm_vms, shared, ticker, woken, running }
    }

    /// Whether one is ready.
    pub(super) fn has_one(&self) -> bool {
        !self.vms.is_empty()
    }

    /// A warm VM, made on the spot where none is ready.
    ///
    /// # Errors
    /// [`RuntimeError::Create`].
    pub(super) fn take(&mut self) -> Result<WarmVm, RuntimeError> {
        self.vms.pop().map_or_else(|| self.make(), |(vm, _)| Ok(vm))
    }

    /// Whether some are missing, and there is memory for one.
    pub(super) fn wants_one(&self) -> bool {
        self.vms.len() < self.size && self.shared.memory.has_plenty()
    }

    /// Makes one VM. Where that fails, no more are made ahead of need: who needs one hears the reason.
    pub(super) fn top_up(&mut self) {
        match self.make() {
            Ok(vm) => self.vms.push((vm, self.shared.warm.enter())),
            Err(error) => {
                self.size = 0;
                tracing::warn!(error = &error as &dyn std::error::Error, "failed to make a VM ahead of need");
            }
        }
    }

    /// Lets go of one VM. Returns whether there was one.
    pub(super) fn give_up_one(&mut self) -> bool {
        self.vms.pop().is_some()
    }

    fn make(&self) -> Result<WarmVm, RuntimeError> {
        let (owner, log, event_of) = (Owner::default(), Log::default(), EventOf::default());
        let mut options = RuntimeOptions::new(self.shared.base.clone(), self.ticker.clone());
        options.log = write_to(Rc::clone(&log), Rc::clone(&event_of));
        options.runs = tell_who_runs(self.running.clone(), Arc::clone(&owner));
        options.instead = instead_of;
        options.wake = wake(Arc::clone(&self.woken), Arc::clone(&owner));
        options.old_names = events::ALIASES;
        let runtime = KhronosRuntime::new(options)?;
        let store = runtime.with_lua(|lua| lua.create_table())?.map_err(RuntimeError::Create)?;
        // What setting it up left behind is not to be cleaned up in the guild's first events.
        runtime.collect_garbage()?;
        let memory = self.shared.memory.charge(runtime.used_memory());
        Ok(WarmVm { owner, log, event_of, store, memory, runtime })
    }
}

impl WarmVm {
    /// Makes it the VM of `guild`, with the guild's limits and log.
    ///
    /// # Errors
    /// [`RuntimeError::CreateValue`] where the limits leave no memory.
    pub(super) fn adopt(
        &self,
        guild: GuildId,
        limits: RuntimeLimits,
        log: Rc<GuildLog>,
    ) -> Result<(), RuntimeError> {
        self.owner.get_or_init(|| guild);
        self.log.get_or_init(|| log);
        self.runtime.set_limits(limits)
    }
}

/// Called before each slice with the template that it is for.
fn tell_who_runs(running: NowRunning, owner: Owner) -> Rc<dyn Fn(&str)> {
    Rc::new(move |template| {
        if let Some(guild) = owner.get() {
            running.set(*guild, template);
        }
    })
}

/// Called from any thread when a host call was answered, which only a guild's template can have made.
fn wake(woken: Arc<Woken>, owner: Owner) -> Arc<dyn Fn() + Send + Sync> {
    Arc::new(move || {
        if let Some(guild) = owner.get() {
            woken.wake(*guild);
        }
    })
}

/// A sink for the lines that templates of the VM's guild print.
fn write_to(log: Log, event_of: EventOf) -> Rc<dyn Fn(LogLine)> {
    Rc::new(move |line| {
        let Some(log) = log.get() else { return };
        let event = line.execution.and_then(|id| event_of.borrow().get(&id).cloned());
        log.write(line.isolate, event, line.level, line.text);
    })
}
