//! The default: a fixed number of threads, each with the VMs of many guilds. A new guild goes to the thread with the
//! fewest; a guild stays on its thread while that lives.
//!
//! A thread that panics takes its VMs with it and nothing else: it is unrouted and replaced, and its guilds get a place
//! again at their next event.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use khronos::Ticker;
use tokio::sync::{Notify, Semaphore, watch};

use super::{NotSent, Shared, VmDistributionStrategy};
use crate::ids::{GuildId, ThreadId};
use crate::vm::action::ThreadStatus;
use crate::vm::reply::Census;
use crate::vm::thread_entry::{Command, NotTaken, ThreadEntry};
use crate::vm::thread_loop::ThreadLoop;

/// A fixed number of threads for all guilds.
#[derive(Debug)]
pub struct ThreadPool(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    table: Mutex<Table>,
    shared: Arc<Shared>,
    ticker: Ticker,
    queue: usize,
    stop_by: watch::Sender<Option<Instant>>,
    /// Told when a thread has ended.
    ended: Notify,
}

/// Who lives where. Loads are derived from it, never counted.
#[derive(Debug, Default)]
struct Table {
    threads: BTreeMap<ThreadId, Place>,
    routes: HashMap<GuildId, Route>,
    admissions: HashMap<GuildId, Places>,
    next_id: u32,
    stopping: bool,
}

/// Where a guild lives.
#[derive(Debug)]
struct Route {
    thread: ThreadId,
    /// Commands for it that its thread has not taken up yet.
    queued: Census,
}

/// A guild's places for executions.
#[derive(Debug)]
struct Places {
    all: usize,
    free: Weak<Semaphore>,
}

#[derive(Debug)]
struct Place {
    entry: ThreadEntry,
    guilds: HashSet<GuildId>,
}

impl ThreadPool {
    /// Starts `threads` threads, whose queues hold `queue` commands each.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(threads: usize, queue: usize, shared: Arc<Shared>) -> std::io::Result<Self> {
        let pool = Arc::new(Pool {
            table: Mutex::default(),
            shared,
            ticker: Ticker::start()?,
            queue,
            stop_by: watch::Sender::new(None),
            ended: Notify::new(),
        });
        for _ in 0..threads {
            pool.spawn(&mut pool.lock(), 0)?;
        }
        Ok(Self(pool))
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // Threads that nobody stopped would live for ever.
        self.0.stop_by.send_if_modified(|by| {
            by.is_none() && {
                *by = Some(Instant::now());
                true
            }
        });
    }
}

#[async_trait]
impl VmDistributionStrategy for ThreadPool {
    fn send(&self, command: Command) -> Result<(), NotSent> {
        self.0.lock().send(command)
    }

    fn admission(&self, guild: GuildId, places: usize) -> Arc<Semaphore> {
        self.0.lock().admission(guild, places)
    }

    fn threads(&self) -> Vec<ThreadStatus> {
        self.0.lock().threads.values().map(|place| place.entry.status(place.guilds.len())).collect()
    }

    async fn stop(&self, by: Instant) -> bool {
        self.0.lock().stopping = true;
        self.0.stop_by.send_replace(Some(by));
        // A thread notices at the end of its slice; one that is inside a library call needs a little longer.
        let patience = by + self.0.shared.limits.max_non_yieldable_time() + Duration::from_secs(1);
        loop {
            let ended = self.0.ended.notified();
            if self.0.lock().threads.is_empty() {
                return true;
            }
            if tokio::time::timeout_at(patience.into(), ended).await.is_err() {
                return self.0.lock().threads.is_empty();
            }
        }
    }
}

impl Table {
    /// Under the lock of the table, so that no command can be on its way to a thread that the guild has just left.
    fn send(&mut self, mut command: Command) -> Result<(), NotSent> {
        loop {
            if self.stopping {
                return Err(NotSent::Stopping);
            }
            let guild = command.guild;
            let id = match self.routes.get(&guild) {
                Some(route) => route.thread,
                None if command.action.makes_vm() => self.least_loaded().ok_or(NotSent::Full)?,
                None => return Err(NotSent::Absent),
            };
            let Some(place) = self.threads.get_mut(&id) else {
                self.routes.remove(&guild);
                continue;
            };
            let is_new = !self.routes.contains_key(&guild);
            let route =
                self.routes.entry(guild).or_insert_with(|| Route { thread: id, queued: Census::default() });
            place.guilds.insert(guild);
            command.queued = Some(route.queued.enter());
            match place.entry.send(command) {
                Ok(()) => return Ok(()),
                Err(NotTaken::Full(refused)) => {
                    drop(refused);
                    if is_new {
                        self.vacate(id, guild);
                    }
                    return Err(NotSent::Full);
                }
                Err(NotTaken::Ended(returned)) => {
                    self.unroute(id);
                    command = returned;
                }
            }
        }
    }

    fn least_loaded(&self) -> Option<ThreadId> {
        self.threads.iter().min_by_key(|(id, place)| (place.guilds.len(), **id)).map(|(id, _)| *id)
    }

    /// The guild has no VM on thread `id`. With a command for it on its way, it is about to have one again.
    fn vacate(&mut self, id: ThreadId, guild: GuildId) {
        let gone =
            self.routes.get(&guild).is_some_and(|route| route.thread == id && route.queued.count() == 0);
        if gone {
            self.routes.remove(&guild);
            if let Some(place) = self.threads.get_mut(&id) {
                place.guilds.remove(&guild);
            }
        }
    }

    /// Forgets a thread and where its guilds live.
    fn unroute(&mut self, id: ThreadId) {
        if let Some(place) = self.threads.remove(&id) {
            for guild in &place.guilds {
                self.routes.remove(guild);
            }
        }
    }

    fn admission(&mut self, guild: GuildId, places: usize) -> Arc<Semaphore> {
        let known = self.admissions.get(&guild).filter(|known| known.all == places);
        if let Some(known) = known.and_then(|known| known.free.upgrade()) {
            return known;
        }
        // Permits keep their semaphore alive, so one that is gone had all its permits back.
        if self.admissions.len() == self.admissions.capacity() {
            self.admissions.retain(|_, known| known.free.strong_count() > 0);
        }
        let fresh = Arc::new(Semaphore::new(places));
        self.admissions.insert(guild, Places { all: places, free: Arc::downgrade(&fresh) });
        fresh
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock; if something did, the table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread and enters it in the table.
    fn spawn(self: &Arc<Self>, table: &mut Table, restarts: u32) -> std::io::Result<()> {
        table.next_id += 1;
        let id = ThreadId(table.next_id);
        let (entry, commands) = ThreadEntry::new(id, self.queue, restarts);
        let (seen, pool) = (entry.clone(), Arc::clone(self));
        let stop_by = self.stop_by.subscribe();
        std::thread::Builder::new()
            .name(format!("vm-{id}"))
            .stack_size(self.shared.limits.max_vm_thread_stack_size)
            .spawn(move || {
                let run = || {
                    let ticker = pool.ticker.handle();
                    let table = Arc::clone(&pool);
                    let vacate = Box::new(move |guild| table.lock().vacate(id, guild));
                    ThreadLoop::new(&seen, commands, &pool.shared, ticker, stop_by, vacate).run()
                };
                // The loop, its VMs and its queue are gone when this returns, and every reply has been answered.
                let end = catch_unwind(AssertUnwindSafe(run));
                if let Ok(Err(error)) = &end {
                    tracing::error!(thread = %id, %error, "a worker thread could not start");
                }
                pool.ended(id, end.is_err().then_some(restarts));
            })?;
        table.threads.insert(id, Place { entry, guilds: HashSet::new() });
        Ok(())
    }

    /// Called by a thread as the last thing that it does; `panicked` is how many before it in its place did.
    fn ended(self: &Arc<Self>, id: ThreadId, panicked: Option<u32>) {
        let mut table = self.lock();
        table.unroute(id);
        if let Some(before) = panicked.filter(|_| !table.stopping) {
            let restarts = before + 1;
            tracing::error!(thread = %id, restarts, "a worker thread panicked and is replaced");
            if let Err(error) = self.spawn(&mut table, restarts) {
                tracing::error!(%error, "failed to replace a worker thread");
            }
        }
        drop(table);
        self.ended.notify_waiters();
    }
}
