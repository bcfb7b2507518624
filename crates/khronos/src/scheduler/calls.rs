//! Waiting for an answer: of the host, or of another thread that loads a module.
//!
//! Owns the calls that were begun, what is parked until their answer comes, and what both cost in memory. Leaves the way
//! of an answer to this thread to `inbox`, and what scripts see of it to `host_functions`.

use std::time::Instant;

use mlua::Lua;

use super::collector::Charge;
use super::inbox::{Answer, CallId, Returned};
use super::{ExecutionId, Pending, Scheduler, State, Strand};
use crate::limits::LimitExceeded;

/// A host call, or a thread parked until another one wakes it.
pub(super) struct Call {
    pub(super) execution: ExecutionId,
    begun: Instant,
    /// Threads parked by `require` are woken when any execution ends, to look again.
    is_park: bool,
    pub(super) parked: Option<Strand>,
    delivery: Option<Delivery>,
    /// For its arguments, which the host has.
    charge: Charge,
}

/// An answer on its last steps to the script.
pub(super) struct Delivery {
    pub(super) answer: Answer,
    _charge: Option<Charge>,
}

impl Delivery {
    /// Tells a parked thread to look again.
    pub(super) fn wake_up() -> Self {
        Self { answer: Ok(Returned::Values(Vec::new())), _charge: None }
    }
}

impl State {
    /// Takes away a call, answered or not.
    pub(super) fn forget_call(&mut self, call: CallId) -> Option<Call> {
        let slot = self.calls.remove(&call)?;
        if let Some(execution) = self.executions.get_mut(&slot.execution) {
            execution.calls.remove(&call);
        }
        Some(slot)
    }

    /// Takes away a call that nobody waits for any more. The host may still be at it, so it counts until the answer comes.
    pub(super) fn abandon_call(&mut self, call: CallId) -> Option<Strand> {
        let Call { is_park, parked, delivery, charge, .. } = self.forget_call(call)?;
        if !is_park && delivery.is_none() {
            self.abandoned.insert(call, charge);
        }
        parked
    }
}

impl Scheduler {
    /// Begins a call whose arguments take `bytes`. The script that runs is about to pause for it.
    pub(super) fn begin_call(&self, lua: &Lua, bytes: usize, is_park: bool) -> Result<CallId, String> {
        self.check_room()?;
        let execution = self.current()?;
        let charge =
            self.collector.charge(lua, bytes).map_err(|limit| LimitExceeded::Memory(limit).to_string())?;
        let begun = self.now();
        let mut state = self.state.borrow_mut();
        let call = state.fresh();
        state.calls.insert(call, Call { execution, begun, is_park, parked: None, delivery: None, charge });
        if let Some(execution) = state.executions.get_mut(&execution) {
            execution.calls.insert(call);
        }
        self.mail.borrow_mut().pending = Some(Pending::Call(call));
        Ok(call)
    }

    /// Puts a strand aside until its call is answered; it may have been already.
    pub(super) fn park(&self, call: CallId, strand: Strand) {
        let delivery = {
            let mut state = self.state.borrow_mut();
            let Some(slot) = state.calls.get_mut(&call) else { return };
            let Some(delivery) = slot.delivery.take() else {
                slot.parked = Some(strand);
                return;
            };
            delivery
        };
        self.unpark(call, strand, delivery);
    }

    /// Takes in what has arrived. An answer for which there is no memory ends the VM.
    pub(super) fn collect_answers(&self, lua: &Lua) {
        for (call, answer) in self.inbox.take() {
            if self.state.borrow_mut().abandoned.remove(&call).is_some() {
                continue;
            }
            let caller = self.state.borrow().calls.get(&call).map(|slot| slot.execution);
            let Some(caller) = caller else { continue };
            let bytes = answer.as_ref().map_or_else(String::len, Returned::size);
            match self.collector.charge(lua, bytes) {
                Ok(charge) => self.answer(call, Delivery { answer, _charge: Some(charge) }),
                Err(_) => return self.out_of_memory(Some(caller)),
            }
        }
    }

    pub(super) fn answer(&self, call: CallId, delivery: Delivery) {
        let strand = {
            let mut state = self.state.borrow_mut();
            let Some(slot) = state.calls.get_mut(&call) else { return };
            let Some(strand) = slot.parked.take() else {
                slot.delivery = Some(delivery); // not parked yet: it will find the answer when it does
                return;
            };
            strand
        };
        self.unpark(call, strand, delivery);
    }

    fn unpark(&self, call: CallId, mut strand: Strand, delivery: Delivery) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let Some(slot) = state.forget_call(call) else { return };
        if !slot.is_park
            && let Some(execution) = state.executions.get_mut(&slot.execution)
        {
            execution.host_calls += now.saturating_duration_since(slot.begun);
        }
        drop(state);
        if let Some(top) = strand.0.last_mut() {
            top.mail.delivered = Some(delivery);
        }
        self.requeue(slot.execution, strand, false);
    }

    /// Lets the threads that wait for a module look again: whoever was loading it may be gone.
    pub(super) fn wake_parked(&self) {
        let parked = |(call, slot): (&CallId, &Call)| slot.is_park.then_some(*call);
        let looking: Vec<CallId> = self.state.borrow().calls.iter().filter_map(parked).collect();
        for call in looking {
            self.answer(call, Delivery::wake_up());
        }
    }
}
