//! A thread for what is too long for the threads of the VMs: one for all VMs of a process.
//!
//! Owns how much may wait, and in which order. The thread is there while there is something to do, and takes one job after
//! another. VMs take turns: a job is of the turn after its VM's last one, or of the turn that is being served, whichever is
//! later. Where there is no room, the newest job of the last turn makes room for one of an earlier turn. So VMs that always
//! have something to do keep out each other, and none that comes now and then.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    jobs: Count,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    /// By turn, and in each turn in the order in which they came.
    waiting: BTreeMap<(u64, u64), (Job, Place)>,
    /// How many came.
    came: u64,
    /// The turn that is being served.
    turn: u64,
    has_thread: bool,
}

/// The jobs of one VM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs {
    count: Count,
    /// The first turn that it has not had.
    next_turn: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one_more(&self, most: usize) -> Option<Counted> {
        let more = |count: usize| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Counted(self.clone()))
    }
}

struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place for one job, until that is done or dropped.
pub(crate) struct Place {
    turn: u64,
    _counted: [Counted; 2],
}

impl SlowLane {
    /// A place for a job of the VM whose jobs are `of_vm`.
    ///
    /// # Errors
    /// A text for a script, where there are too many jobs.
    pub(crate) fn place(&self, of_vm: &Jobs) -> Result<Place, String> {
        let counted = of_vm.count.one_more(MOST_OF_A_VM).ok_or_else(|| {
            format!("at most {MOST_OF_A_VM} of these run at a time: wait for the others to end")
        })?;
        let turn = self.queue().turn.max(of_vm.next_turn.load(Ordering::Relaxed));
        let of_all = self.jobs.one_more(MOST).or_else(|| {
            self.make_room_for(turn);
            self.jobs.one_more(MOST)
        });
        let of_all = of_all.ok_or("too many guilds are doing this now; try again later")?;
        of_vm.next_turn.store(turn + 1, Ordering::Relaxed);
        Ok(Place { turn, _counted: [counted, of_all] })
    }

    /// Drops the newest job of the last turn, if that is later than `turn`.
    fn make_room_for(&self, turn: u64) {
        let mut queue = self.queue();
        let last = queue.waiting.last_entry().filter(|last| last.key().0 > turn);
        let dropped = last.map(|last| last.remove());
        drop(queue);
        drop(dropped);
    }

    /// Has `job` done, or drops it where the operating system gives no thread.
    pub(crate) fn run(&self, place: Place, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue();
        queue.came += 1;
        let key = (place.turn, queue.came);
        queue.waiting.insert(key, (Box::new(job), place));
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

    fn next(&self) -> Option<(Job, Place)> {
        let mut queue = self.queue();
        let first = queue.waiting.pop_first();
        queue.has_thread = first.is_some();
        let ((turn, _), job) = first?;
        queue.turn = turn;
        Some(job)
    }

    fn work(&self) {
        while let Some((job, place)) = self.next() {
            // Whoever waits for it hears of it by what it drops, and the thread is for the others, too.
            let _ = catch_unwind(AssertUnwindSafe(job));
            drop(place);
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

    #[test]
    fn vms_that_always_have_jobs_keep_out_no_other() {
        let lane = SlowLane::default();
        let (done, seen) = sync_channel(2 * MOST);
        let (begun, has_begun) = sync_channel(1);
        let (go, may_go) = sync_channel::<()>(1);
        let busy: Vec<Jobs> = (0..MOST / 2).map(|_| Jobs::default()).collect();
        lane.run(lane.place(&busy[0]).unwrap(), move || {
            begun.send(()).unwrap();
            may_go.recv().unwrap();
        });
        has_begun.recv().unwrap();
        let run = |vm: &Jobs, name: String| {
            let done = done.clone();
            lane.place(vm).map(|place| lane.run(place, move || done.send(name).unwrap()))
        };
        for (number, vm) in busy.iter().enumerate() {
            while run(vm, format!("busy {number}")).is_ok() {}
        }
        assert_eq!(lane.jobs.0.load(Ordering::Relaxed), MOST);
        // Each takes the place of a second job, until there are none.
        let late: Vec<Jobs> = (0..MOST).map(|_| Jobs::default()).collect();
        let taken =
            late.iter().enumerate().take_while(|(number, vm)| run(vm, format!("late {number}")).is_ok());
        assert_eq!(taken.count(), MOST / 2);
        assert_eq!(lane.jobs.0.load(Ordering::Relaxed), MOST);
        go.send(()).unwrap();
        drop(done);
        let order: Vec<String> = seen.iter().take(MOST - 1).collect();
        let first = (1..MOST / 2).map(|number| format!("busy {number}"));
        let then = (0..MOST / 2).map(|number| format!("late {number}"));
        assert_eq!(order, first.chain(then).collect::<Vec<_>>());
    }
}
