//! A thread for what is too long for the threads of the VMs: one for all VMs of a process.
//!
//! Owns how much may wait. The thread is there while there is something to do, and takes one job after another, in the
//! order in which they came.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Jobs that may wait: at some 60 ms each, the last one waits four seconds.
const MOST_WAITING: usize = 64;
/// Jobs of one VM.
const MOST_OF_A_VM: usize = 2;

const STACK: usize = 512 << 10;

type Job = Box<dyn FnOnce() + Send>;

/// Cheap to clone; all clones share the thread.
#[derive(Clone, Default)]
pub(crate) struct SlowLane(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    has_thread: bool,
}

/// What one VM has asked for and not got.
#[derive(Clone, Default)]
pub(crate) struct Pending(Arc<AtomicUsize>);

struct Place(Pending);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SlowLane {
    /// Has `job` done for the VM whose jobs are `pending`.
    ///
    /// # Errors
    /// A text for a script, where too much waits already; the job is dropped.
    pub(crate) fn run(&self, pending: &Pending, job: impl FnOnce() + Send + 'static) -> Result<(), String> {
        if pending.0.fetch_add(1, Ordering::Relaxed) >= MOST_OF_A_VM {
            pending.0.fetch_sub(1, Ordering::Relaxed);
            return Err(format!("at most {MOST_OF_A_VM} of these run at a time: wait for the others to end"));
        }
        let place = Place(pending.clone());
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST_WAITING {
            return Err("too many guilds are doing this now; try again later".to_owned());
        }
        queue.waiting.push_back(Box::new(move || {
            job();
            drop(place);
        }));
        if !queue.has_thread {
            let lane = self.clone();
            let thread = std::thread::Builder::new().name("slow-lane".to_owned()).stack_size(STACK);
            if thread.spawn(move || lane.work()).is_err() {
                queue.waiting.clear();
                return Err("there is no thread for this now; try again later".to_owned());
            }
            queue.has_thread = true;
        }
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        let job = queue.waiting.pop_front();
        queue.has_thread = job.is_some();
        job
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // Its answer is given by the `Reply` that it drops, and the thread is for the others, too.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

impl std::fmt::Debug for SlowLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlowLane").field("waiting", &self.queue().waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn jobs_are_done_in_order_and_a_panic_takes_only_its_own() {
        let lane = SlowLane::default();
        let (done, seen) = sync_channel(64);
        for number in 0..20 {
            let done = done.clone();
            let job = move || {
                assert!(number != 7, "the seventh fails");
                done.send(number).unwrap();
            };
            lane.run(&Pending::default(), job).unwrap();
        }
        drop(done);
        let order: Vec<i32> = seen.iter().collect();
        assert_eq!(order, (0..20).filter(|number| *number != 7).collect::<Vec<_>>());
    }

    #[test]
    fn no_vm_can_fill_the_queue_and_nobody_makes_it_endless() {
        let lane = SlowLane::default();
        let (go, wait) = sync_channel::<()>(0);
        let one = Pending::default();
        lane.run(&one, move || assert!(wait.recv().is_err())).unwrap();
        let mut taken = 0;
        while lane.run(&one, || ()).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, MOST_OF_A_VM - 1);
        taken = 0;
        while lane.run(&Pending::default(), || ()).is_ok() {
            taken += 1;
        }
        assert!((MOST_WAITING - 2..=MOST_WAITING).contains(&taken), "{taken} jobs wait");
        drop(go);
        while one.0.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        lane.run(&one, || ()).unwrap();
    }
}
