//! From an event to the outcomes of the templates that listen to it.
//!
//! Owns which templates an event is for, what its guild may use, admission, and waiting for answers. Leaves where VMs live to `vm`, and where
//! events come from to `api` and `sources`.

mod admission;
mod guild_limits;
mod loads;
mod observer;
mod operations;
mod payload;
mod templates;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use admission::{Admissions, Ticket};
pub use guild_limits::{GuildLimits, LimitsError};
use observer::Observer;
pub use operations::{Drained, Gathered, TIME_TO_ANSWER};
pub use payload::MOST_VALUES;
pub use templates::TemplateCache;

use crate::events::Event;
use crate::execution::{CompileFailure, LoadedTemplate, Outcome};
use crate::ids::GuildId;
use crate::limits::{Limit, LimitOverrides, Limits};
use crate::metrics::{Count, Dispatch, Status};
use crate::shutdown::Stopping;
use crate::storage::StorageError;
use crate::telemetry;
use crate::template::TemplateName;
use crate::vm::quarantine::{Quarantine, Quarantined};
use crate::vm::strategy::{NotSent, Shared, VmDistributionStrategy};
use crate::vm::{Answers, Command, LuaVmAction, LuaVmResult, VmStatus, replies};

/// How long an action on a VM may take, its way there included.
const TIME_TO_ACT: Duration = Duration::from_secs(30);
/// Actions on one guild's VM at the same time: together with its executions they must not fill the queue of its thread,
/// which is also the queue of its neighbours.
pub const MOST_ACTIONS: usize = 16;
/// How long a caller should wait before it tries again after a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why an event or an action was not accepted. Nothing has happened then.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The guild has as many executions in flight and waiting as it may.
    #[error(
        "this guild has as many executions running and waiting as it may ({running} and {waiting}: \
         MAX_EXECUTIONS_IN_FLIGHT and MAX_EXECUTIONS_WAITING); send this event again a little later"
    )]
    Busy {
        /// How many may run.
        running: usize,
        /// How many may wait.
        waiting: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// The guild's events that are not answered have as much data as they may.
    #[error(
        "this guild's events that are not answered yet have as many bytes of data as they may ({most} bytes: \
         MAX_PENDING_EVENT_BYTES); send this event again a little later"
    )]
    TooManyBytes {
        /// How many they may have.
        most: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// As many actions on the guild's VM wait for their answer as may.
    #[error(
        "{most} actions on this guild's VM wait for their answers already; send this one again when some are there"
    )]
    TooManyActions {
        /// How many may.
        most: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// The queue of the guild's thread is full.
    #[error("the service is overloaded; send this event again a little later")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// The event's data cannot be given to a template.
    #[error("{0}")]
    Event(String),
    /// The guild's templates could not be read.
    #[error("failed to load the guild's templates")]
    Storage(#[source] StorageError),
    /// The compiler is gone.
    #[error("failed to compile the guild's templates")]
    Compile(#[source] CompileFailure),
}

impl DispatchError {
    /// What it is counted as.
    fn outcome(&self) -> Dispatch {
        match self {
            Self::Busy { .. } | Self::TooManyBytes { .. } | Self::TooManyActions { .. } => Dispatch::Busy,
            Self::Overloaded { .. } => Dispatch::Overloaded,
            Self::ShuttingDown => Dispatch::ShuttingDown,
            Self::Event(_) => Dispatch::Invalid,
            Self::Storage(_) | Self::Compile(_) => Dispatch::Failed,
        }
    }
}

/// Takes events and actions to VMs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    templates: TemplateCache,
    limits: GuildLimits,
    quarantine: Arc<Quarantine>,
    strategy: Arc<dyn VmDistributionStrategy>,
    shared: Arc<Shared>,
    stopping: Stopping,
    executions: Admissions,
    bytes: Admissions,
    actions: Admissions,
}

impl Dispatcher {
    /// A dispatcher that reads templates from `templates`, keeps to `limits`, and sends to `strategy`.
    pub fn new(
        templates: TemplateCache,
        limits: GuildLimits,
        quarantine: Arc<Quarantine>,
        strategy: Arc<dyn VmDistributionStrategy>,
        shared: Arc<Shared>,
        stopping: Stopping,
    ) -> Self {
        Self(Arc::new(Inner {
            templates,
            limits,
            quarantine,
            strategy,
            shared,
            stopping,
            executions: Admissions::default(),
            bytes: Admissions::default(),
            actions: Admissions::default(),
        }))
    }

    /// Finds the templates that listen to `event` and puts it on the queue of the guild's VM: from then on it runs,
    /// whether or not anybody waits for what comes of it.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn dispatch(&self, event: Event) -> Result<Dispatched, DispatchError> {
        self.dispatch_to(event, &[]).await
    }

    /// The same for somebody who has to know when it takes long: `waits` is called before it waits for the guild's templates
    /// to be loaded. It has one of the guild's places by then, so that no more wait than may.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn dispatch_with(
        &self,
        event: Event,
        waits: impl FnOnce() + Send,
    ) -> Result<Dispatched, DispatchError> {
        self.counted(self.accept(event, &[], waits).await)
    }

    /// The same for those of `only` that listen; none stands for all.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn dispatch_to(
        &self,
        event: Event,
        only: &[TemplateName],
    ) -> Result<Dispatched, DispatchError> {
        self.counted(self.accept(event, only, || ()).await)
    }

    /// Takes in an event that is for none of the guild's templates, as one that nobody listens to.
    ///
    /// # Errors
    /// [`DispatchError::ShuttingDown`].
    pub fn dispatch_to_nobody(&self) -> Result<Dispatched, DispatchError> {
        self.counted(match self.0.stopping.is_stopping() {
            true => Err(DispatchError::ShuttingDown),
            false => Ok(self.nobody(Vec::new())),
        })
    }

    fn counted(&self, dispatched: Result<Dispatched, DispatchError>) -> Result<Dispatched, DispatchError> {
        self.0.shared.metrics.count(Count::Dispatched(match &dispatched {
            Ok(dispatched) if dispatched.templates.is_empty() => Dispatch::NobodyListens,
            Ok(_) => Dispatch::Accepted,
            Err(error) => error.outcome(),
        }));
        dispatched
    }

    /// What is accepted, and runs no template.
    fn nobody(&self, quarantined: Vec<(TemplateName, Outcome)>) -> Dispatched {
        Dispatched { templates: Vec::new(), quarantined, answers: replies(0, &self.0.shared.owed, None).1 }
    }

    async fn accept(
        &self,
        event: Event,
        only: &[TemplateName],
        waits: impl FnOnce() + Send,
    ) -> Result<Dispatched, DispatchError> {
        if self.0.stopping.is_stopping() {
            return Err(DispatchError::ShuttingDown);
        }
        let Inner { strategy, shared, .. } = &*self.0;
        let guild = event.guild();
        let limits = self.limits(guild);
        payload::check(event.data(), &limits).map_err(|refused| {
            refused.limit.inspect(|limit| shared.metrics.exceeded(*limit));
            DispatchError::Event(refused.text)
        })?;
        let mut ticket = None;
        let before_waiting = || {
            // For how many templates it is, is not known yet, and it may be none.
            ticket = Some(self.admit(&event, 1, None, &limits)?);
            waits();
            Ok(())
        };
        let mut listening = self.0.templates.listening(&event, before_waiting).await?;
        listening.retain(|loaded| only.is_empty() || only.contains(&loaded.info.name));
        let (templates, quarantined) = self.allowed(guild, listening);
        if templates.is_empty() {
            return Ok(self.nobody(quarantined));
        }
        // They may have changed while the templates were looked up.
        let limits = self.limits(guild);
        let Ticket { executions, bytes } = self.admit(&event, templates.len(), ticket, &limits)?;
        let (replies, answers) = replies(templates.len(), &shared.owed, Some(executions));
        let span = tracing::debug_span!(
            target: telemetry::SPANS, "dispatch",
            %guild, event_id = %event.id(), event = event.name().as_str(), templates = templates.len(),
        );
        let (event, templates_to_run) = (Arc::new(event), templates.clone());
        let action = LuaVmAction::DispatchEvent { event, templates: templates_to_run, limits };
        let mut command = Command::new(guild, action, replies);
        let observer = Observer::new(guild, command.since, Arc::clone(shared), span);
        let bytes = Arc::new(bytes);
        for reply in &mut command.replies {
            reply.observed_by(observer.clone());
            reply.keeps(Arc::clone(&bytes));
        }
        drop(bytes);
        strategy.send(command).map_err(refusal)?;
        observer.sent();
        Ok(Dispatched { templates, quarantined, answers })
    }

    /// Takes places for `executions` of `event` and for its data, or for what its `ticket` is not for already.
    fn admit(
        &self,
        event: &Event,
        executions: usize,
        ticket: Option<Ticket>,
        limits: &Limits,
    ) -> Result<Ticket, DispatchError> {
        let Inner { shared, executions: places, bytes, .. } = &*self.0;
        let (has, has_bytes) = ticket.map(|ticket| (ticket.executions, ticket.bytes)).unzip();
        let (guild, retry_after) = (event.guild(), RETRY_AFTER);
        let (running, waiting) = (limits.max_executions_in_flight, limits.max_executions_waiting);
        let executions = places.take(guild, running + waiting, executions, has).ok_or_else(|| {
            shared.metrics.exceeded(Limit::ExecutionsWaiting);
            DispatchError::Busy { running, waiting, retry_after }
        })?;
        let most = limits.max_pending_event_bytes;
        let bytes = bytes.take(guild, most, event.data().len(), has_bytes).ok_or_else(|| {
            shared.metrics.exceeded(Limit::PendingEventBytes);
            DispatchError::TooManyBytes { most, retry_after }
        })?;
        Ok(Ticket { executions, bytes })
    }

    /// Which of `templates` may run; and those that may not, with what becomes of them.
    fn allowed(
        &self,
        guild: GuildId,
        mut templates: Vec<Arc<LoadedTemplate>>,
    ) -> (Vec<Arc<LoadedTemplate>>, Vec<(TemplateName, Outcome)>) {
        let mut quarantined = Vec::new();
        templates.retain(|loaded| match self.0.quarantine.of(guild, &loaded.info.name) {
            Some(why) => {
                self.0.shared.metrics.count(Count::Executed(Status::Quarantined));
                quarantined.push((loaded.info.name.clone(), Outcome::quarantined(why.reason)));
                false
            }
            None => true,
        });
        (templates, quarantined)
    }

    /// Why a template may not run, if that is so.
    pub fn quarantined(&self, guild: GuildId, template: &TemplateName) -> Option<Quarantined> {
        self.0.quarantine.of(guild, template)
    }

    /// Lets a template run again that was locked out. Returns whether it was.
    pub fn lift_quarantine(&self, guild: GuildId, template: &TemplateName) -> bool {
        self.0.quarantine.lift(guild, template)
    }

    /// Sends `action` to the guild's VM and waits for its answer: `LuaVmResult::Absent` when there is no VM.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn act(&self, guild: GuildId, action: LuaVmAction) -> Result<LuaVmResult, DispatchError> {
        let place = self.0.actions.of(guild, MOST_ACTIONS).try_acquire_owned();
        let too_many = |_| DispatchError::TooManyActions { most: MOST_ACTIONS, retry_after: RETRY_AFTER };
        let (replies, mut answers) =
            replies(action.answers(), &self.0.shared.owed, Some(place.map_err(too_many)?));
        match self.0.strategy.send(Command::new(guild, action, replies)) {
            Ok(()) => {}
            Err(NotSent::Absent) => return Ok(LuaVmResult::Absent),
            Err(reason) => return Err(refusal(reason)),
        }
        let broken = || LuaVmResult::Broken { reason: "the VM gave no answer".to_owned() };
        // It may be on its way to a worker that hangs, or wait for a guild that moves.
        match tokio::time::timeout(TIME_TO_ACT, answers.recv()).await {
            Ok(answer) => Ok(answer.map_or_else(broken, |(_, result)| result)),
            Err(_) => Err(DispatchError::Overloaded { retry_after: RETRY_AFTER }),
        }
    }

    /// How the guild's VM is.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn vm_status(&self, guild: GuildId) -> Result<VmStatus, DispatchError> {
        Ok(match self.act(guild, LuaVmAction::GetStatus).await? {
            LuaVmResult::Status(status) => status,
            _ => VmStatus::absent(),
        })
    }

    /// Whether a guild without a VM can get one.
    pub fn can_take_guilds(&self) -> bool {
        self.0.strategy.can_take_guilds()
    }

    /// What the guild may use.
    pub fn limits(&self, guild: GuildId) -> Arc<Limits> {
        self.0.limits.of(guild)
    }

    /// Which of the guild's limits differ from the service's.
    pub fn limit_overrides(&self, guild: GuildId) -> LimitOverrides {
        self.0.limits.overrides(guild)
    }

    /// Sets which of the guild's limits differ from the service's; its next event finds them so. Returns what the guild
    /// may use then.
    ///
    /// # Errors
    /// See [`LimitsError`].
    pub async fn set_limits(
        &self,
        guild: GuildId,
        overrides: LimitOverrides,
    ) -> Result<Arc<Limits>, LimitsError> {
        self.0.limits.set(guild, overrides).await
    }

    /// Loads the guild's templates, as its next event would. Returns what stands for them in their versions: the same again
    /// means that nothing has changed.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn load_templates(&self, guild: GuildId) -> Result<u64, DispatchError> {
        let slot = self.0.templates.templates(guild, || Ok(())).await?;
        Ok(loads::fingerprint(slot.all()))
    }

    /// Lets no load of the guild's templates go on while what is returned is there.
    #[cfg(test)]
    pub(crate) async fn hold_loads(&self, guild: GuildId) -> crate::places::Place {
        self.0.templates.hold_loads(guild).await
    }

    /// Waits for the next guild whose templates were loaded or have changed. For one that waits only.
    pub async fn next_load(&self) -> GuildId {
        self.0.templates.next_load().await
    }

    /// To be called after every change of a guild's templates: the next event finds them as they are now.
    pub async fn templates_changed(&self, guild: GuildId) {
        self.0.templates.forget(guild).await;
    }

    /// To be called after a template's files were put: what was before is forgiven.
    pub async fn files_changed(&self, guild: GuildId, name: &TemplateName) {
        self.templates_changed(guild).await;
        self.0.quarantine.lift(guild, name);
    }

    /// To be called after a template was removed: it leaves nothing behind in the guild's VM.
    pub async fn template_removed(&self, guild: GuildId, name: &TemplateName) {
        self.files_changed(guild, name).await;
        let action = LuaVmAction::ClearCache { template: Some(name.clone()) };
        let (replies, _) = replies(1, &self.0.shared.owed, None);
        // Not being sent means that there is no VM, or that its thread has too much to do: then the world stays until
        // the VM goes, unused.
        let _ = self.0.strategy.send(Command::new(guild, action, replies));
    }
}

/// An event that was accepted. It runs also when this is dropped.
#[derive(Debug)]
pub struct Dispatched {
    templates: Vec<Arc<LoadedTemplate>>,
    /// Templates that listen to it and may not run.
    quarantined: Vec<(TemplateName, Outcome)>,
    answers: Answers,
}

impl Dispatched {
    /// How many templates it runs.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Waits, at most `wait`, for the outcome of each template. One that is not done by then is
    /// [`OutcomeResult::TimedOut`](crate::execution::OutcomeResult::TimedOut), and goes on.
    pub async fn outcomes(mut self, wait: Duration) -> BTreeMap<TemplateName, Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = self.templates.iter().map(|_| None).collect();
        let collect = async {
            while let Some((index, result)) = self.answers.recv().await {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = Some(outcome(result));
                }
            }
        };
        // What has not answered by then is told apart by its empty place.
        let _ = tokio::time::timeout(wait, collect).await;
        let names = self.templates.iter().map(|loaded| loaded.info.name.clone());
        let ran =
            names.zip(outcomes.into_iter().map(|slot| slot.unwrap_or_else(|| Outcome::timed_out(wait))));
        ran.chain(self.quarantined).collect()
    }

    /// Waits, at most `wait`, until all are done. Returns those that did not come to a good end, and why.
    pub async fn failures(self, wait: Duration) -> Vec<(TemplateName, String)> {
        let outcomes = self.outcomes(wait).await.into_iter();
        outcomes.filter_map(|(name, outcome)| Some((name, outcome.failure()?))).collect()
    }
}

fn refusal(reason: NotSent) -> DispatchError {
    match reason {
        NotSent::Full => DispatchError::Overloaded { retry_after: RETRY_AFTER },
        NotSent::Stopping | NotSent::Absent => DispatchError::ShuttingDown,
    }
}

fn outcome(result: LuaVmResult) -> Outcome {
    match result {
        LuaVmResult::Outcome(outcome) => outcome,
        LuaVmResult::Broken { reason } | LuaVmResult::Refused { reason } => Outcome::vm_broken(reason),
        _ => Outcome::vm_broken("the VM gave an answer that was not asked for"),
    }
}
