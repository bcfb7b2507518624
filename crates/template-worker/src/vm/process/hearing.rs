//! Taking in what a VM process says, with nothing taken on trust.
//!
//! A message of its own form has been checked by `wire`. Here is checked what only the parent's books know: that an
//! answer is owed, and that a guild was given to this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::books::{Books, lock};
use super::calls::Calls;
use super::wire::{Lock, ToService, VERSION};
use crate::execution::{Outcome, OutcomeResult};
use crate::host::Caller;
use crate::ids::{GuildId, ThreadId};
use crate::metrics::Count;
use crate::vm::action::LuaVmResult;
use crate::vm::guild_log::Gate;
use crate::vm::quarantine::Break;
use crate::vm::strategy::Shared;
use crate::vm::thread_entry::{CommandNumber, Pulse};

/// Between two messages that nobody has asked for a process says something that was: so many in a row it has no reason
/// to send.
const MOST_UNASKED: usize = 1_000_000;

/// So many times the lines that a guild's templates may log get through for each guild: the process keeps to the guild's
/// own limit, which may be larger than that of the service; this is for one that does not.
const LOG_FACTOR: usize = 10;

/// Between two complaints of one process in the service's log.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);

/// What is made of the words of one process.
pub(super) struct Hearing {
    worker: ThreadId,
    books: Arc<Mutex<Books>>,
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
    vacate: Box<dyn Fn(GuildId, CommandNumber) + Send + Sync>,
    ready: watch::Sender<bool>,
    /// Messages in a row that nobody has asked for.
    unasked: usize,
    calls: Calls,
    /// What each guild may still log.
    gates: HashMap<GuildId, Gate>,
    /// Log lines that the process has dropped since its parent complained of that.
    dropped: u64,
    complained: Option<Instant>,
}

impl Hearing {
    /// Ears for `worker` that has said nothing yet. It takes commands when `ready` is true.
    pub(super) fn new(
        worker: ThreadId,
        books: Arc<Mutex<Books>>,
        shared: Arc<Shared>,
        pulse: Arc<Pulse>,
        vacate: Box<dyn Fn(GuildId, CommandNumber) + Send + Sync>,
        ready: watch::Sender<bool>,
        calls: Calls,
    ) -> Self {
        Self {
            worker,
            books,
            shared,
            pulse,
            vacate,
            ready,
            unasked: 0,
            calls,
            gates: HashMap::new(),
            dropped: 0,
            complained: None,
        }
    }

    /// Takes in one message.
    ///
    /// # Errors
    /// When no honest process would say that; says why.
    pub(super) fn take(&mut self, message: ToService) -> Result<(), String> {
        if !*self.ready.borrow() {
            let ToService::Ready { version, locks } = message else {
                return Err("it said something before it was ready".to_owned());
            };
            return self.begin(version, &locks);
        }
        self.unasked += 1;
        if self.unasked > MOST_UNASKED {
            return Err("it said too much that nobody had asked for".to_owned());
        }
        match message {
            ToService::Ready { .. } => return Err("it was ready twice".to_owned()),
            ToService::Answer { number, index, result } => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let owed = self.with_books(|books| books.answered(number, index));
                let Some((reply, most_bytes)) = owed else {
                    return Err("it answered what it was not asked".to_owned());
                };
                if let LuaVmResult::Outcome(Outcome { result: OutcomeResult::Ok { value }, .. }) = &result
                    && value.as_str().len() > most_bytes
                {
                    return Err("it answered with more than a result may have".to_owned());
                }
                self.unasked = 0;
                reply.send(self.seen_from_here(result));
            }
            ToService::Vacated { guild, upto } => {
                self.of_its_own(guild)?;
                if let Some(number) = self.with_books(|books| books.vacated(guild, upto)) {
                    (self.vacate)(guild, number);
                }
            }
            ToService::Log(entry) => {
                self.of_its_own(entry.guild)?;
                if self.lets_through(entry.guild) {
                    self.shared.log.write(entry);
                }
            }
            ToService::Call { number, guild, template, limited, call } => {
                let Some(template) = self.with_books(|books| books.template(guild, &template)) else {
                    return Err("it called for a template that is not its own".to_owned());
                };
                let caller = Caller { guild, template, limited: limited.map(Arc::new) };
                if self.calls.serve(&self.shared.host, number, caller, call) {
                    // A call is no idle talk: there are as many of them as replies.
                    self.unasked -= 1;
                }
            }
            ToService::LogsDropped { lines } => self.dropped(lines),
            ToService::Broke { guild, template, reason } => {
                if !self.with_books(|books| books.can_have_broken(guild, template.as_ref())) {
                    return Err("it told of a break that cannot have been".to_owned());
                }
                self.shared.breaks.report(Break { guild, template, reason });
            }
            ToService::Beat { counts, vms, idle, closing, warm, memory, load_permille } => {
                match postcard::from_bytes(&counts) {
                    Ok(counts) => self.shared.metrics.add(&counts),
                    Err(_) => self.shared.metrics.count(Count::Rejected),
                }
                self.pulse.hears(|inside| {
                    (inside.idle, inside.busy) = (idle, vms.saturating_sub(idle));
                    (inside.closing, inside.warm, inside.memory) = (closing, warm, memory);
                });
                self.pulse.load.set(f64::from(load_permille) / 1_000.0, Instant::now());
            }
        }
        Ok(())
    }

    /// Whether a line of the guild may be written. There are as many gates as guilds that the process was given.
    fn lets_through(&mut self, guild: GuildId) -> bool {
        let (rate, now) =
            (self.shared.limits.max_log_lines_per_second.saturating_mul(LOG_FACTOR), Instant::now());
        let passes = self.gates.entry(guild).or_insert_with(|| Gate::new(rate, now)).lets_through(rate, now);
        if !passes {
            self.dropped(1);
        }
        passes
    }

    /// Says so now and then: a process may say it all the time.
    fn dropped(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
        if self.complained.is_none_or(|at| at.elapsed() >= BETWEEN_COMPLAINTS) {
            self.complained = Some(Instant::now());
            let lines = std::mem::take(&mut self.dropped);
            tracing::warn!(worker = %self.worker, lines, "a VM process dropped log lines of its templates");
        }
    }

    fn begin(&self, version: u16, locks: &[Lock]) -> Result<(), String> {
        if version != VERSION {
            return Err(format!(
                "it is of another version (its messages are of version {version}, these of {VERSION}): restart the service"
            ));
        }
        let missing: Vec<String> = locks
            .iter()
            .filter(|lock| lock.state != "enforced")
            .map(|lock| format!("{}: {}", lock.name, lock.state))
            .collect();
        if missing.is_empty() {
            tracing::info!(worker = %self.worker, "a VM process is locked in");
        } else {
            tracing::warn!(worker = %self.worker, missing = missing.join("; "), "a VM process is not locked in entirely");
        }
        self.ready.send_replace(true);
        Ok(())
    }

    fn of_its_own(&self, guild: GuildId) -> Result<(), String> {
        if self.with_books(|books| books.served(guild)) {
            return Ok(());
        }
        Err("it spoke for a guild that is not its own".to_owned())
    }

    /// A process knows its threads by numbers of its own; from outside, its VMs live on the process. And it lists only
    /// VMs of guilds that it was given.
    fn seen_from_here(&self, result: LuaVmResult) -> LuaVmResult {
        match result {
            LuaVmResult::Status(mut status) => {
                status.thread = Some(self.worker);
                LuaVmResult::Status(status)
            }
            LuaVmResult::Vms(vms) => {
                let own = self.with_books(|books| {
                    let vms = vms.into_iter().filter(|(guild, _)| books.served(*guild));
                    vms.collect::<Vec<_>>()
                });
                let here = own.into_iter().map(|(guild, mut status)| {
                    status.thread = Some(self.worker);
                    (guild, status)
                });
                LuaVmResult::Vms(here.collect())
            }
            other => other,
        }
    }

    fn with_books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut lock(&self.books))
    }
}
