//! Ending a VM without holding its thread.
//!
//! Luau frees a text by looking through all texts whose hash falls into the same place, and a script can make as many of
//! those as its memory holds: closing such a VM at once takes a minute. So a VM lets go of everything first, and
//! collects it as garbage, for a slice at a time. Leaves to the embedder when.

use std::time::Instant;

use crate::runtime::KhronosRuntime;

/// Whole collections before a VM is closed. The first may have begun when things were still in use.
const ROUNDS: u8 = 2;

/// A VM on its way out. Nothing runs in it any more. Dropped before it is done, it is closed at once.
#[derive(Debug)]
pub struct Closing {
    vm: Option<KhronosRuntime>,
    /// Collections that are still to be done.
    rounds: u8,
}

impl Closing {
    pub(crate) fn new(vm: KhronosRuntime) -> Self {
        vm.let_go();
        Self { vm: Some(vm), rounds: ROUNDS }
    }

    /// Goes on until about then, and for one step of Luau's collector at the least. Returns whether the VM is gone.
    pub fn step(&mut self, until: Instant) -> bool {
        while let Some(vm) = &self.vm {
            if self.rounds == 0 {
                self.vm = None;
            } else {
                // Without a limit on memory it cannot fail; if it does, closing at once is what is left.
                match vm.collect_a_step() {
                    Ok(true) => self.rounds -= 1,
                    Ok(false) => {}
                    Err(_) => self.rounds = 0,
                }
                if Instant::now() >= until {
                    return false;
                }
            }
        }
        true
    }
}
