//! VMs of one thread that were given up, until their memory is given back.
//!
//! Owns how much of the thread's time that may take: giving back a VM may take long where a script wanted it to. Leaves
//! how a VM is closed to `khronos`, and why to `guild_table`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use khronos::{Closing, KhronosRuntime};

use super::reply::Present;
use super::strategy::Shared;

/// With more VMs than this, they get as much of the thread's time as all others together.
const MANY: usize = 16;

/// Those that are not gone yet, each in turn.
pub(super) struct ClosingVms {
    vms: VecDeque<(Closing, usize, Present)>,
    shared: Arc<Shared>,
}

impl ClosingVms {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { vms: VecDeque::new(), shared }
    }

    /// Takes a VM in. No value of it may be left.
    pub(super) fn push(&mut self, runtime: KhronosRuntime) {
        let bytes = runtime.used_memory();
        self.vms.push_back((runtime.close(), bytes, self.shared.closing.enter()));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.vms.is_empty()
    }

    /// Whether they come more quickly than they go.
    pub(super) fn are_many(&self) -> bool {
        self.vms.len() > MANY
    }

    /// Goes on for about a slice, in which most are gone at once. Returns whether there were any.
    pub(super) fn step(&mut self) -> bool {
        let some = !self.vms.is_empty();
        self.step_until(Instant::now() + self.shared.limits.slice());
        some
    }

    /// Goes on until about then. What is left is forgotten, memory and all: the process is about to end.
    pub(super) fn finish(&mut self, by: Instant) {
        while !self.vms.is_empty() && Instant::now() < by {
            self.step_until(by);
        }
        if !self.vms.is_empty() {
            tracing::warn!(vms = self.vms.len(), "VMs were left to the end of the process");
            std::mem::forget(std::mem::take(&mut self.vms));
        }
    }

    fn step_until(&mut self, until: Instant) {
        for _ in 0..self.vms.len() {
            let Some((mut vm, bytes, present)) = self.vms.pop_front() else { return };
            if vm.step(until) {
                self.shared.reaper.closed(bytes);
            } else {
                // It is a long job, then; the others are not to wait for it.
                self.vms.push_back((vm, bytes, present));
            }
            if Instant::now() >= until {
                return;
            }
        }
    }
}
