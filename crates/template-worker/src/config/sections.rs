//! Every key of the configuration, with its default, its bounds and its meaning.
//!
//! Owns the structs; a field's doc comment is also what `template-worker config` prints above it. Reading them is
//! `load`'s business.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::discord::DiscordConfig;
use super::machine;
use super::outside::{self, HttpConfig, ObjectsConfig, SecretsConfig};
use crate::capabilities::Capability;
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::settings::{BadSetting, Setting, settings};
use crate::telemetry;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
const MIB: u64 = 1 << 20;

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// The VMs and the threads that they live on.
    pub vm: VmConfig,
    /// What one guild may use.
    pub limits: Limits,
    /// What any template may do.
    pub templates: TemplatesConfig,
    /// The bot on Discord.
    pub discord: DiscordConfig,
    /// Where people find this service.
    pub links: LinksConfig,
    /// Requests of templates to the internet.
    pub http: HttpConfig,
    /// Where the contents of objects are kept.
    pub objects: ObjectsConfig,
    /// Secrets of guilds.
    pub secrets: SecretsConfig,
    /// Where templates and tokens are kept.
    pub storage: StorageConfig,
    /// What the service says about itself.
    pub log: LogConfig,
    /// Traces, for others to collect.
    pub telemetry: TelemetryConfig,
    /// Breaking things on purpose.
    pub drills: DrillsConfig,
}

settings! {
    /// The HTTP server.
    pub struct ServerConfig {
        /// The address and port to listen on; port 0 takes a free one. Addresses other than loopback need a token in
        /// the store.
        pub listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7700));
        /// Milliseconds that a shutdown waits for accepted events to end.
        pub drain_time_ms: u64 = 10_000, within 0..=10 * MINUTE_MS;
        /// Bytes in the body of a request.
        pub max_body_bytes: usize = 2 << 20, within 1024..=256 * MIB;
        /// Requests that are served at the same time; more are told to come back later. One that only waits for what
        /// templates return does not count.
        pub max_requests_in_flight: usize = 1024, within 1..=65_536;
        /// Connections at the same time; more wait until one ends. Each takes an open file, of which the process needs
        /// some hundred besides.
        pub max_connections: usize = 4096, within 1..=1_048_576;
    }
}

settings! {
    /// The VMs and the threads that they live on.
    pub struct VmConfig {
        /// How the guilds' VMs are spread: "thread-pool" shares a fixed number of threads among all guilds,
        /// "thread-per-guild" gives each guild a thread of its own while it has a VM, "process-pool" shares a fixed
        /// number of processes, which are locked in.
        pub strategy: Strategy = Strategy::ThreadPool;
        /// Threads that run VMs; 0 takes as many as there are cores, which a process pool shares among its processes. With
        /// "thread-per-guild" the most threads there may be; 0 is 4096.
        pub threads: usize = 0, within 0..=65_536;
        /// Processes of a process pool; 0 takes as many as there are cores.
        pub processes: usize = 0, within 0..=1024;
        /// Ids of guilds that get a process of their own in a process pool, beside the others: `["818880986845679757"]`.
        pub guilds_apart: Vec<GuildId> = Vec::new();
        /// Milliseconds without an answer after which a VM process is ended and replaced. More than a script can hold a
        /// thread (MAX_NON_YIELDABLE_TIME).
        pub heartbeat_ms: u64 = 5_000, within 100..=10 * MINUTE_MS;
        /// The program that is run as a VM process; empty takes this one.
        pub process_program: PathBuf = PathBuf::new();
        /// Actions that may wait for one thread; more are refused, and the sender is told so.
        pub queue: usize = 1024, within 1..=65_536;
        /// VMs that each thread keeps ready for guilds that have none yet; 0 makes each when its guild's first event is
        /// there. Made while the thread has nothing else to do. Each takes some 300 KiB.
        pub warm_vms: usize = 8, within 0..=1024;
        /// Milliseconds after which a VM in which nothing runs, waits or sleeps is closed; 0 keeps it. What its
        /// templates keep in variables is gone then, and the guild's next event makes a new one.
        pub idle_ms: u64 = 10 * MINUTE_MS, within 0..=365 * DAY_MS;
        /// Bytes of memory of all VMs together; 0 takes three quarters of what the machine, or the service's control
        /// group, has. Above it the VMs that were used least recently are closed first, as soon as they are idle, and
        /// guilds without a VM get none.
        pub max_memory: usize = 0;
        /// Whether to refuse to start VM processes where the kernel lacks landlock or seccomp, which lock them in.
        pub require_confinement: bool = false;
    }
}

settings! {
    /// Where templates and tokens are kept.
    pub struct StorageConfig {
        /// The folder for everything that is kept; made where it is missing.
        pub data: PathBuf = PathBuf::from("./data");
        /// The database: "sqlite" is embedded and needs no set-up.
        pub backend: Backend = Backend::Sqlite;
    }
}

settings! {
    /// What the service says about itself.
    pub struct LogConfig {
        /// What is worth a line: "off", "error", "warn", "info", "debug" or "trace"; for one part, "info,sqlx=warn".
        pub level: String = "info".to_owned();
        /// How a line looks: "text" for people, "json" for machines.
        pub format: LogFormat = LogFormat::Text;
    }
}

settings! {
    /// Traces, for others to collect.
    pub struct TelemetryConfig {
        /// Where an OpenTelemetry collector takes traces over HTTP, such as "http://127.0.0.1:4318"; empty sends none. Not
        /// https: a collector on the same machine or network adds that.
        pub otlp_endpoint: String = String::new();
        /// The part of the events that is traced, from 0 to 1.
        pub sampling: f64 = 1.0;
        /// What the service is called in traces.
        pub service_name: String = "template-worker".to_owned();
    }
}

settings! {
    /// What any template may do.
    #[derive(Eq)]
    pub struct TemplatesConfig {
        /// The most that any template may do, whatever the admins of guilds allow: capabilities as templates have them. ["*"]
        /// leaves it to them.
        pub capabilities: Vec<Capability> = ["*"].iter().filter_map(|all| all.parse().ok()).collect();
        /// Whether a guild's calls under ctx are limited in how often it may make them. Without, what Discord and the guild's
        /// quotas allow still holds: for a service of your own guilds.
        pub rate_limits: bool = true;
    }
}

settings! {
    /// Where people find this service: what templates get as links, empty where there is none.
    #[derive(Eq)]
    pub struct LinksConfig {
        /// Where people get help.
        pub support_server: String = String::new();
        /// The HTTP API, as it is reached from outside.
        pub api_url: String = String::new();
        /// The dashboard.
        pub frontend_url: String = String::new();
        /// The documentation.
        pub docs_url: String = String::new();
    }
}

settings! {
    /// Breaking things on purpose.
    #[derive(Eq)]
    pub struct DrillsConfig {
        /// Whether an admin may make a worker thread panic over the API, to see that nobody else is hurt.
        pub enabled: bool = false;
    }
}

/// How the guilds' VMs are spread over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A fixed number of threads, each holding many guilds.
    ThreadPool,
    /// A thread for each guild that has a VM.
    ThreadPerGuild,
    /// A fixed number of locked-in processes, each holding many guilds.
    ProcessPool,
}

/// The database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Embedded, one file in the data folder.
    Sqlite,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl ServerConfig {
    /// How long a shutdown waits for accepted events to end.
    pub fn drain_time(&self) -> Duration {
        Duration::from_millis(self.drain_time_ms)
    }
}

impl VmConfig {
    /// The number of threads, with 0 resolved to the cores of this machine.
    pub fn thread_count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.threads).unwrap_or_else(cores)
    }

    /// VMs that each thread keeps ready. A thread that is one guild's makes the one that it needs.
    pub fn warm_vms_per_thread(&self) -> usize {
        if self.strategy == Strategy::ThreadPerGuild { 0 } else { self.warm_vms }
    }

    /// The number of processes, with 0 resolved to the cores of this machine.
    pub fn process_count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.processes).unwrap_or_else(cores)
    }

    /// Threads of each process of a process pool.
    pub fn threads_per_process(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.threads.min(512)).unwrap_or_else(|| {
            NonZeroUsize::new(cores().get() / self.process_count()).unwrap_or(NonZeroUsize::MIN)
        })
    }

    /// How long a VM process may be without an answer.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// The most threads where each guild has its own.
    pub fn most_threads(&self) -> usize {
        if self.threads == 0 { 4_096 } else { self.threads }
    }

    /// Less memory than one VM needs is a wrong unit.
    fn validate(&self) -> Result<(), BadSetting> {
        if self.max_memory == 0 || self.max_memory as u64 >= MIB {
            return Ok(());
        }
        let expected = format!("it is in bytes: use 0, or at least {MIB}");
        Err(BadSetting { key: "max_memory", value: self.max_memory.to_string(), expected })
    }

    /// How long a VM may be idle; `None` for ever.
    pub fn idle_time(&self) -> Option<Duration> {
        (self.idle_ms > 0).then(|| Duration::from_millis(self.idle_ms))
    }

    /// Bytes that all VMs may use together, with 0 resolved to what this machine has; where that is unknown, any number.
    pub fn memory(&self) -> usize {
        match self.max_memory {
            0 => machine::memory().map_or(usize::MAX, |all| all / 4 * 3),
            bytes => bytes,
        }
    }
}

fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl LinksConfig {
    /// URLs are made of it.
    fn validate(&self) -> Result<(), BadSetting> {
        outside::check_url("api_url", &self.api_url, "https://templates.example.com, or \"\" for none")
    }
}

impl LogConfig {
    /// A bare word must be a level: `inof` would otherwise be taken for a part of the program.
    fn validate(&self) -> Result<(), BadSetting> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let known = |part: &str| LEVELS.contains(&part.rsplit('=').next().unwrap_or(part).trim());
        if self.level.split(',').all(known) {
            return Ok(());
        }
        let expected = format!("use one of {}, or parts such as `info,sqlx=warn`", LEVELS.join(", "));
        Err(BadSetting { key: "level", value: format!("`{}`", self.level), expected })
    }
}

impl TelemetryConfig {
    fn validate(&self) -> Result<(), BadSetting> {
        if !self.otlp_endpoint.is_empty() && telemetry::traces_url(&self.otlp_endpoint).is_none() {
            let expected =
                "use an address such as http://127.0.0.1:4318, without https, or \"\" for no traces";
            let value = format!("`{}`", self.otlp_endpoint);
            return Err(BadSetting { key: "otlp_endpoint", value, expected: expected.to_owned() });
        }
        if !(0.0..=1.0).contains(&self.sampling) {
            let expected = "use a part from 0 to 1".to_owned();
            return Err(BadSetting { key: "sampling", value: self.sampling.to_string(), expected });
        }
        Ok(())
    }
}

/// A section as the tables of the configuration show it: name, what it is about, keys.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) settings: &'static [Setting],
}

impl Config {
    pub(super) const SECTIONS: [Section; 13] = [
        Section { name: "server", about: "The HTTP server.", settings: ServerConfig::SETTINGS },
        Section {
            name: "vm",
            about: "The VMs and the threads that they live on.",
            settings: VmConfig::SETTINGS,
        },
        Section { name: "limits", about: "What one guild may use.", settings: Limits::SETTINGS },
        Section {
            name: "templates",
            about: "What any template may do.",
            settings: TemplatesConfig::SETTINGS,
        },
        Section { name: "discord", about: "The bot on Discord.", settings: DiscordConfig::SETTINGS },
        Section { name: "links", about: "Where people find this service.", settings: LinksConfig::SETTINGS },
        Section {
            name: "http",
            about: "Requests of templates to the internet.",
            settings: HttpConfig::SETTINGS,
        },
        Section {
            name: "objects",
            about: "Where the contents of objects are kept.",
            settings: ObjectsConfig::SETTINGS,
        },
        Section { name: "secrets", about: "Secrets of guilds.", settings: SecretsConfig::SETTINGS },
        Section {
            name: "storage",
            about: "Where templates and tokens are kept.",
            settings: StorageConfig::SETTINGS,
        },
        Section { name: "log", about: "What the service says about itself.", settings: LogConfig::SETTINGS },
        Section {
            name: "telemetry",
            about: "Traces, for others to collect.",
            settings: TelemetryConfig::SETTINGS,
        },
        Section { name: "drills", about: "Breaking things on purpose.", settings: DrillsConfig::SETTINGS },
    ];

    /// A configuration for tests: a free port, two threads, and limits that a test can hit without waiting long. The
    /// data folder is the test's own to choose.
    pub fn for_testing() -> Self {
        let mut config = Self::default();
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.server.drain_time_ms = 5_000;
        config.vm.threads = 2;
        config.vm.warm_vms = 2;
        config.limits.max_templates_execution_time_ms = 30_000;
        config.limits.max_templates_return_wait_time_ms = 10_000;
        config.limits.max_cpu_time_ms = 2_000;
        config.log.level = "warn".to_owned();
        config
    }

    /// The first setting that makes no sense, with its section.
    pub(super) fn validate(&self) -> Result<(), (&'static str, BadSetting)> {
        self.server.check_bounds().map_err(|bad| ("server", bad))?;
        self.vm.check_bounds().and_then(|()| self.vm.validate()).map_err(|bad| ("vm", bad))?;
        self.limits.validate().map_err(|bad| ("limits", bad))?;
        self.templates.check_bounds().map_err(|bad| ("templates", bad))?;
        self.discord.check_bounds().and_then(|()| self.discord.validate()).map_err(|bad| ("discord", bad))?;
        self.links.check_bounds().and_then(|()| self.links.validate()).map_err(|bad| ("links", bad))?;
        self.http.check_bounds().map_err(|bad| ("http", bad))?;
        self.objects.check_bounds().and_then(|()| self.objects.validate()).map_err(|bad| ("objects", bad))?;
        self.secrets.check_bounds().map_err(|bad| ("secrets", bad))?;
        self.storage.check_bounds().map_err(|bad| ("storage", bad))?;
        self.log.check_bounds().and_then(|()| self.log.validate()).map_err(|bad| ("log", bad))?;
        self.telemetry
            .check_bounds()
            .and_then(|()| self.telemetry.validate())
            .map_err(|bad| ("telemetry", bad))?;
        self.drills.check_bounds().map_err(|bad| ("drills", bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_and_the_configuration_for_tests_make_sense() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::for_testing().validate(), Ok(()));
        assert_eq!(Config::for_testing().server.listen.port(), 0);
        assert!(Config::default().server.listen.ip().is_loopback());
    }

    #[test]
    fn zero_threads_means_one_a_core() {
        assert!(VmConfig::default().thread_count().get() >= 1);
        assert_eq!(VmConfig { threads: 3, ..VmConfig::default() }.thread_count().get(), 3);
    }

    #[test]
    fn zero_means_as_much_memory_as_there_is_and_idle_for_ever() {
        let vm = VmConfig::default();
        assert!(vm.memory() > 64 << 20, "{}", vm.memory());
        assert_eq!(vm.idle_time(), Some(Duration::from_secs(600)));
        let vm = VmConfig { idle_ms: 0, max_memory: 5 << 20, ..vm };
        assert_eq!((vm.memory(), vm.idle_time(), vm.validate()), (5 << 20, None, Ok(())));
        let text = VmConfig { max_memory: 8, ..vm }.validate().unwrap_err().to_string();
        assert_eq!(text, "`max_memory` is 8: it is in bytes: use 0, or at least 1048576");
    }

    #[test]
    fn a_collector_that_cannot_be_reached_over_plain_http_and_a_part_that_is_none_are_refused() {
        let telemetry = |endpoint: &str, sampling| {
            let otlp_endpoint = endpoint.to_owned();
            TelemetryConfig { otlp_endpoint, sampling, ..TelemetryConfig::default() }.validate()
        };
        assert_eq!(telemetry("", 0.0), Ok(()));
        assert_eq!(telemetry("http://collector:4318", 1.0), Ok(()));
        for wrong in ["collector:4318", "https://collector:4318", "http://", "ftp://collector"] {
            let text = telemetry(wrong, 1.0).unwrap_err().to_string();
            assert!(text.contains("use an address such as http://127.0.0.1:4318"), "{text}");
        }
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert!(telemetry("", wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn the_address_of_the_api_has_a_scheme() {
        let links = |api_url: &str| LinksConfig { api_url: api_url.to_owned(), ..LinksConfig::default() };
        assert_eq!(links("").validate(), Ok(()));
        assert_eq!(links("https://templates.example.com/base").validate(), Ok(()));
        for wrong in ["templates.example.com", "ftp://example.com", "https://", "https://a b"] {
            assert_eq!(links(wrong).validate().unwrap_err().key, "api_url", "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_log_level_is_refused() {
        let level = |level: &str| LogConfig { level: level.to_owned(), ..LogConfig::default() }.validate();
        for fine in [
            "info",
            "off",
            "info,sqlx=warn",
            "warn,template_worker::vm=debug",
            "info,template_worker::template_log=debug",
        ] {
            assert_eq!(level(fine), Ok(()), "{fine}");
        }
        for wrong in ["inof", "", "info,sqlx=loud"] {
            assert!(level(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
