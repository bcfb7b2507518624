//! A thread for what is too long for the threads of the VMs: one for all VMs of a process.
//!
//! Owns how much may wait. The thread is there while there is something to do, and takes one job after another, in the
//! order in which they came.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Jobs in all: at some 60 ms each, the last one waits four seconds.
const MOST: usize = 64;
/// Jobs of one VM.
const MOST_OF_A_VM: usize = 2;

const STACK: usize = 512 << 10;

type Job = Box<dyn FnOnce() + Send>;

/// Cheap to clone; all clones share the thread.
#[derive(Clone, Default)]
pub(crate) struct SlowLane {
    jobs: Jobs,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    has_thread: bool,
}

/// How many jobs there are, of a VM or of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs(Arc<AtomicUsize>);

impl Jobs {
    fn one_more(&self, most: usize) -> Option<Counted> {
        let more = |count: usize| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Counted(self.clone()))
    }
}

struct Counted(Jobs);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place for one job, until that is done or dropped.
pub(crate) struct Place(#[expect(dead_code, reason = "counted until it is dropped")] [Counted; 2]);

impl SlowLane {
    /// A place for a job of the VM whose jobs are `of_vm`.
    ///
    /// # Errors
    /// A text for a script, where there are too many jobs.
    pub(crate) fn place(&self, of_vm: &Jobs) -> Result<Place, String> {
        let of_vm = of_vm.one_more(MOST_OF_A_VM).ok_or_else(|| {
            format!("at most {MOST_OF_A_VM} of these run at a time: wait for the others to end")
        })?;
        let of_all = self.jobs.one_more(MOST).ok_or("too many guilds are doing this now; try again later")?;
        Ok(Place([of_vm, of_all]))
    }

    /// Has `job` done, or drops it where the operating system gives no thread.
    pub(crate) fn run(&self, place: Place, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue();
        queue.waiting.push_back(Box::new(move || {
            job();
            drop(place);
        }));
        if !queue.has_thread {
            let lane = self.clone();
            let thread = std::thread::Builder::new().name("slow-lane".to_owned()).stack_size(STACK);
            queue.has_thread = thread.spawn(move || lane.work()).is_ok();
        }
        if !queue.has_thread {
            queue.waiting.clear();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        let job = queue.waiting.pop_front();
        queue.has_thread = job.is_some();
        job
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // Whoever waits for it hears of it by what it drops, and the thread is for the others, too.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

impl std::fmt::Debug for SlowLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlowLane").field("jobs", &self.jobs).finish_non_exhaustive()
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
            lane.run(lane.place(&Jobs::default()).unwrap(), move || {
                assert!(number != 7, "the seventh fails");
                done.send(number).unwrap();
            });
        }
        drop(done);
        let order: Vec<i32> = seen.iter().collect();
        assert_eq!(order, (0..20).filter(|number| *number != 7).collect::<Vec<_>>());
    }

    #[test]
    fn no_vm_has_many_places_and_there_is_an_end_to_them() {
        let lane = SlowLane::default();
        let one = Jobs::default();
        let mut places: Vec<Place> = std::iter::from_fn(|| lane.place(&one).ok()).collect();
        assert_eq!(places.len(), MOST_OF_A_VM);
        places.extend(std::iter::from_fn(|| lane.place(&Jobs::default()).ok()));
        assert_eq!(places.len(), MOST);
        let (done, seen) = sync_channel(1);
        lane.run(places.remove(0), move || done.send(()).unwrap());
        seen.recv().unwrap();
        while lane.place(&one).is_err() {
            std::thread::yield_now();
        }
        places.clear();
        assert_eq!(lane.jobs.0.load(Ordering::Relaxed), 0);
    }
}
