//! Every long-lived part of the service, built once and passed down. There are no statics: a test makes as many
//! services as it likes.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use khronos::{Bundle, LogLevel};
use time::OffsetDateTime;

use crate::config::{Config, ObjectBackend};
use crate::dispatch::{Dispatcher, GuildLimits, TemplateCache};
use crate::execution::{CompileFailure, Compiler, Loader, LogEntry, TemplateLog};
use crate::host::captcha::Captchas;
use crate::host::http::{AddressRule, HttpClient, HttpOptions, SystemNames};
use crate::host::objects::{Contents, Objects, OpenError};
use crate::host::secrets::{KeyError, KeyFile, SealingKey, Vault};
use crate::host::{Discord, Gate, Host, Kv, Outside, Service, Services, Stores, Templates};
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::metrics::{Levels, Metrics, Usage};
use crate::shutdown::Stopping;
use crate::sources::Sources;
use crate::storage::{Clock, SqliteStorage, Storage, StorageError};
use crate::template::TemplateName;
use crate::tls;
use crate::vm::quarantine::Quarantine;
use crate::vm::strategy::{self, Shared, VmDistributionStrategy};

/// After the last answer, how long it may take to store what it means for keys that expired.
const TIME_TO_STORE: Duration = Duration::from_secs(2);

/// A running service, without its doors: the HTTP API and the command line are put in front of it.
pub struct App {
    /// What the operator set.
    pub config: Config,
    /// What outlives the process.
    pub storage: Arc<dyn Storage>,
    /// Takes events to VMs.
    pub dispatcher: Dispatcher,
    /// Compiles templates before they are stored.
    pub compiler: Compiler,
    /// What templates print and how they fail.
    pub log: TemplateLog,
    /// The signal that the service is stopping.
    pub stopping: Stopping,
    /// Serves what templates want of the world.
    pub host: Host,
    /// The books: VMs alive, answers owed.
    pub shared: Arc<Shared>,
    /// What time it is for whatever is stored with a time.
    pub clock: Clock,
    /// Empty until the service can be seen by its own host.
    sources: OnceLock<Sources>,
    /// Secrets of guilds.
    pub vault: Vault,
    /// Objects of guilds.
    pub objects: Objects,
    strategy: Arc<dyn VmDistributionStrategy>,
}

/// Why the service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Storage could not be opened.
    #[error("failed to open the storage")]
    Storage(#[from] StorageError),
    /// The operating system gave no thread.
    #[error("failed to start threads; lower `vm.threads` or `limits.max_vm_thread_stack_size`")]
    Threads(#[from] std::io::Error),
    /// There is no place for objects.
    #[error("failed to open the place for objects")]
    Objects(#[from] OpenError),
    /// The key for secrets is none.
    #[error("failed to use the key for secrets")]
    Key(#[from] KeyError),
    /// There is no folder for the key.
    #[error(
        "failed to find the folder {} for the key file: make it, or choose another one (`secrets.key_file` in the \
         configuration)", path.display()
    )]
    KeyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The runtime could not be set up.
    #[error("failed to set up the Luau runtime")]
    Runtime(#[from] khronos::RuntimeError),
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Everything that was accepted was answered, every VM closed.
    Clean,
    /// Some thread did not end in time; its process has to.
    Hanging,
}

/// What serves the calls that reach out of the service.
fn outside(
    config: &Config,
    storage: &Arc<dyn Storage>,
    metrics: &Arc<Metrics>,
    service: Arc<dyn Service>,
) -> Outside {
    let http = HttpOptions {
        ports: config.http.ports.clone(),
        denied_hosts: config.http.denied_hosts.clone(),
        max_in_flight: config.http.max_requests_in_flight,
        addresses: AddressRule {
            opened: config.http.opened_networks.clone(),
            closed: config.http.closed_networks.clone(),
        },
    };
    let names = SystemNames::new(config.http.fixed_names.clone());
    let (data, key) = (config.storage.data.clone(), KeyFile::new(key_file(config)));
    let contents = config.objects.clone();
    let open = move || Contents::open(&contents, &data);
    Outside {
        http: HttpClient::new(http, Arc::new(names)),
        objects: Objects::new(Arc::clone(storage), open, Arc::clone(&key), &config.links.api_url),
        captchas: Captchas::default(),
        vault: Vault::new(Arc::clone(storage), key),
        service,
        metrics: Arc::clone(metrics),
    }
}

fn key_file(config: &Config) -> PathBuf {
    match config.secrets.key_file.as_os_str().is_empty() {
        true => config.storage.data.join("secrets.key"),
        false => config.secrets.key_file.clone(),
    }
}

/// What the operator chose and templates need later has to be there at the start, where somebody looks.
fn check_chosen(config: &Config) -> Result<(), AppError> {
    // A bucket's client needs it.
    tls::choose();
    let (objects, data) = (&config.objects, &config.storage.data);
    if objects.backend == ObjectBackend::S3 || !objects.folder.as_os_str().is_empty() {
        Contents::open(objects, data)?;
    }
    let path = key_file(config);
    if SealingKey::read(&path)?.is_some() {
        return Ok(());
    }
    // It is made when it is needed first.
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(AppError::KeyFolder { path: folder.to_owned() })
        }
        _ => Ok(()),
    }
}

impl App {
    /// Opens the storage that `config` names and starts the service.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: Config) -> Result<Arc<Self>, AppError> {
        let storage = SqliteStorage::open(&config.storage.data).await?;
        check_chosen(&config)?;
        Self::start_with(config, Arc::new(storage)).await
    }

    /// Starts the service on `storage`.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start_with(config: Config, storage: Arc<dyn Storage>) -> Result<Arc<Self>, AppError> {
        tls::choose();
        let log = TemplateLog::default();
        let stopping = Stopping::default();
        let quarantine = Arc::new(Quarantine::new(log.clone()));
        let metrics = Arc::new(Metrics::new(&config.limits));
        let service = Arc::new(Behind::default());
        let most = config.templates.capabilities.iter().cloned().collect();
        let gate = Gate::new(most, config.templates.rate_limits);
        let clock = Clock::System;
        let outside = outside(&config, &storage, &metrics, Arc::clone(&service) as _);
        outside.objects.take_over().await?;
        let (vault, objects) = (outside.vault.clone(), outside.objects.clone());
        let kv = Kv::new(
            Arc::clone(&storage) as _,
            clock.clone(),
            Arc::clone(&service) as _,
            Arc::clone(&metrics),
        );
        let discord = Arc::new(Discord::new(&config.discord));
        let bot = discord.ask_who_the_bot_is(&stopping);
        let services = Services {
            outside,
            stores: Stores::new(config.links.clone(), Arc::clone(&service) as _),
            kv,
            templates: Templates::new(
                Arc::clone(&storage),
                Arc::clone(&service) as _,
                config.http.denied_hosts.clone(),
            ),
            discord,
        };
        let host = Host::new(gate, services, Arc::clone(&metrics));
        let shared = Arc::new(Shared::new(
            Arc::new(config.limits.clone()),
            &config.vm,
            metrics,
            log.clone(),
            Arc::clone(&quarantine) as _,
            Arc::new(host.clone()),
        )?);
        let limits = GuildLimits::load(Arc::clone(&storage), Arc::clone(&shared.limits)).await?;
        let compiler = Compiler::start(config.limits.max_vm_thread_stack_size)?;
        let strategy = strategy::start(&config.vm, config.drills.enabled, &shared)?;
        let loader = Loader::new(compiler.clone(), bot);
        let templates = TemplateCache::new(Arc::clone(&storage), loader, log.clone());
        let dispatcher = Dispatcher::new(
            templates,
            limits,
            quarantine,
            Arc::clone(&strategy),
            Arc::clone(&shared),
            stopping.clone(),
        );
        tokio::spawn({
            let (objects, stopping) = (objects.clone(), stopping.clone());
            async move {
                tokio::select! {
                    () = stopping.wait() => {}
                    () = objects.sweep_for_ever() => {}
                }
            }
        });
        let app = Self {
            config,
            storage,
            dispatcher,
            compiler,
            log,
            stopping,
            host,
            shared,
            clock,
            sources: OnceLock::new(),
            vault,
            objects,
            strategy,
        };
        let app = Arc::new(app);
        service.0.get_or_init(|| Arc::downgrade(&app));
        // They tell of keys at once, and whoever handles one asks the host what its guild may use.
        app.sources.get_or_init(|| {
            Sources::start(&app.storage, &app.dispatcher, &app.clock, &app.stopping, &app.shared.metrics)
        });
        Ok(app)
    }

    /// How much there is of everything right now, for the metrics.
    pub fn levels(&self) -> Levels {
        let shared = &self.shared;
        let (idle, alive) = (shared.idle.count(), shared.vms.count());
        let mut levels = Levels {
            warm: shared.warm.count(),
            idle,
            busy: alive.saturating_sub(idle),
            closing: shared.closing.count(),
            vm_memory: shared.memory.used() as u64,
            owed: shared.owed.count(),
            resident: Usage::of(None)
                .map(|usage| ("service".to_owned(), usage.resident))
                .into_iter()
                .collect(),
            queued: Vec::new(),
        };
        for worker in self.strategy.threads() {
            levels.queued.push((worker.id, worker.queued));
            if let Some(inside) = worker.inside {
                levels.add(worker.id, &inside);
            }
        }
        levels
    }

    /// When a shutdown has to be done: the drain time after it began, or after now where it has not.
    pub fn stop_by(&self) -> Instant {
        self.stopping.begun().unwrap_or_else(Instant::now) + self.config.server.drain_time()
    }

    /// Stops accepting, answers what was accepted, ends the VMs and the threads: all by [`stop_by`](Self::stop_by);
    /// executions that still run then are ended with an answer that says so. Requests that need only the storage can
    /// still be served. Again is fine.
    pub async fn stop(&self) -> Stopped {
        self.stopping.begin();
        let stopped = self.strategy.stop(self.stop_by()).await;
        // All answers are given by then: what is left is to store what came of them.
        let ended = async {
            if let Some(sources) = self.sources.get() {
                sources.ended().await;
            }
        };
        let stored = tokio::time::timeout(TIME_TO_STORE, ended).await;
        if stored.is_err() {
            tracing::warn!("failed to store in time which keys were handled; their events are sent again");
        }
        if stopped { Stopped::Clean } else { Stopped::Hanging }
    }

    /// Closes the storage, when nobody is served any more.
    pub async fn close(&self) {
        self.storage.close().await;
    }
}

/// The service as its own host sees it, which is built before the rest.
#[derive(Default)]
struct Behind(OnceLock<Weak<App>>);

impl Behind {
    fn app(&self) -> Option<Arc<App>> {
        self.0.get()?.upgrade()
    }
}

impl std::fmt::Debug for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Behind")
    }
}

#[async_trait]
impl Service for Behind {
    fn guilds(&self) -> usize {
        self.app().map_or(0, |app| app.strategy.guilds())
    }

    fn limits(&self, guild: GuildId) -> Arc<Limits> {
        self.app().map_or_else(Arc::default, |app| app.dispatcher.limits(guild))
    }

    fn warn(&self, guild: GuildId, name: &TemplateName, text: String) {
        if let Some(app) = self.app() {
            app.log.write(LogEntry {
                at: OffsetDateTime::now_utc(),
                guild,
                template: Arc::from(name.as_str()),
                event: None,
                level: LogLevel::Warn,
                text,
            });
        }
    }

    async fn compile(&self, guild: GuildId, bundle: Arc<Bundle>) -> Result<(), String> {
        let app = self.app().ok_or("the service is stopping")?;
        match app.compiler.compile(Some(guild), bundle).await {
            Ok(_) => Ok(()),
            Err(CompileFailure::Errors(errors)) => {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                Err(format!("the template does not compile: {}", lines.join("; ")))
            }
            Err(failure) => Err(failure.to_string()),
        }
    }

    async fn files_changed(&self, guild: GuildId, name: &TemplateName) {
        if let Some(app) = self.app() {
            app.dispatcher.files_changed(guild, name).await;
        }
    }

    async fn template_removed(&self, guild: GuildId, name: &TemplateName) {
        if let Some(app) = self.app() {
            app.dispatcher.template_removed(guild, name).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_chose_and_is_not_there_is_named_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        let config = |set: &dyn Fn(&mut Config)| {
            let mut config = Config::default();
            config.storage.data = folder.path().to_owned();
            set(&mut config);
            config
        };
        let fine = [
            config(&|_| ()),
            config(&|config| config.objects.folder = at("objects/deep")),
            config(&|config| config.secrets.key_file = at("new.key")),
        ];
        for config in fine {
            check_chosen(&config).unwrap();
        }
        let s3 = config(&|config| {
            config.objects.backend = ObjectBackend::S3;
            config.objects.s3_secret_key_file = at("nowhere");
        });
        for (config, named) in [
            (s3, "`objects.s3_secret_key_file`"),
            (config(&|config| config.objects.folder = at("file/objects")), "`objects.folder`"),
            (config(&|config| config.secrets.key_file = at("nowhere/key")), "`secrets.key_file`"),
            (config(&|config| config.secrets.key_file = at("file")), "holds no key"),
        ] {
            let error = anyhow::Error::from(check_chosen(&config).unwrap_err());
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
