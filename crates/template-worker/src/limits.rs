//! What one guild may use of the machine, by the names that the field knows (`MAX_TEMPLATE_MEMORY_USAGE`, ..).
//!
//! Owns the names, the defaults and which values make sense, and what of it can differ between guilds. Each limit is enforced in one place elsewhere: the VM's in
//! `khronos`, an execution's in `execution`, those of requests in `api`, of stored things in `storage`.
//!
//! Sizes are bytes; durations are milliseconds, with the unit in the key, and a method without it gives a `Duration`.

mod limit;
mod overrides;

use std::time::Duration;

pub use limit::Limit;
pub use overrides::LimitOverrides;

use crate::settings::{BadSetting, settings};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The largest value of MAX_EVENT_DEPTH.
pub(crate) const MOST_EVENT_DEPTH: usize = 128;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

settings! {
    /// The limits of a guild, its templates and their executions.
    #[derive(Eq)]
    pub struct Limits {
        /// MAX_TEMPLATE_MEMORY_USAGE: bytes of memory of a guild's VM, all its templates together.
        /// 20 MiB, as AntiRaid allowed in 2025.
        pub max_template_memory_usage: usize = 20 << 20, within MIB..=4096 * MIB;
        /// MAX_VM_THREAD_STACK_SIZE: bytes of stack of a worker thread.
        /// 20 MiB, as AntiRaid had in 2025; the Luau parser dies on deep nesting below some 512 KiB.
        pub max_vm_thread_stack_size: usize = 20 << 20, within MIB..=1024 * MIB;
        /// MAX_TEMPLATES_EXECUTION_TIME: milliseconds of wall clock that one execution may last, waiting included.
        /// 10 minutes, as AntiRaid allowed in 2025.
        pub max_templates_execution_time_ms: u64 = 600_000, within 1..=DAY_MS;
        /// MAX_TEMPLATES_RETURN_WAIT_TIME: milliseconds that a caller waits for what templates return; the executions go
        /// on after that. 60 seconds, as AntiRaid had in 2025.
        pub max_templates_return_wait_time_ms: u64 = 60_000, within 1..=DAY_MS;
        /// MAX_CPU_TIME: milliseconds of CPU that one execution may burn.
        /// 10 seconds: far above what an honest template needs for an event, far below what hurts a machine.
        pub max_cpu_time_ms: u64 = 10_000, within 1..=DAY_MS;
        /// MAX_NON_YIELDABLE_TIME: milliseconds without a point at which the runtime could pause the template, such as in
        /// a metamethod. 250 ms: neighbours wait that long, and honest library calls on megabytes take up to 180.
        pub max_non_yieldable_time_ms: u64 = 250, within 1..=60_000;
        /// SLICE: milliseconds that a template runs before other guilds on its thread have their turn.
        /// 2 ms: short enough that nobody notices a neighbour, long enough to cost less than 7 %.
        pub slice_ms: u64 = 2, within 1..=1000;
        /// MAX_EXECUTIONS_IN_FLIGHT: executions of a guild that run or sleep at the same time.
        /// 64: a burst of messages, each waiting for Discord.
        pub max_executions_in_flight: usize = 64, within 1..=65_536;
        /// MAX_EXECUTIONS_WAITING: executions of a guild that wait for one of those to end; more are refused.
        /// 256: four times those in flight. Together with those in flight at least MAX_TEMPLATES_PER_GUILD.
        pub max_executions_waiting: usize = 256, within 0..=65_536;
        /// MAX_LUAU_THREADS: Luau threads of a guild's VM that are ready, wait or sleep: executions and tasks.
        /// 1,000: each costs memory before it does anything, and an event needs a few.
        pub max_luau_threads: usize = 1000, within 1..=1_000_000;
        /// MAX_LOG_LINES_PER_SECOND: lines that a guild's templates may write to their log, failures included; what is not
        /// used is saved up for ten seconds. 200: far more than anybody reads, far less than what keeps others from it.
        pub max_log_lines_per_second: usize = 200, within 1..=100_000;
        /// MAX_TEMPLATE_SOURCE: bytes of source of a template, all its files together.
        /// 1 MiB, which is also the most that the runtime takes.
        pub max_template_source: usize = 1 << 20, within KIB..=MIB;
        /// MAX_RESULT_DEPTH: how deep tables may nest in what a template returns.
        /// 64, as for every value that leaves a VM.
        pub max_result_depth: usize = 64, within 1..=128;
        /// MAX_RESULT_NODES: values in what a template returns.
        /// 100,000, as for every value that leaves a VM.
        pub max_result_nodes: usize = 100_000, within 1..=10_000_000;
        /// MAX_RESULT_BYTES: bytes of what a template returns, as JSON text.
        /// 1 MiB: an answer, not a database.
        pub max_result_bytes: usize = 1 << 20, within KIB..=64 * MIB;
        /// MAX_EVENT_BYTES: bytes of JSON in the data of an event.
        /// 1 MiB: half of what the body of a request may be.
        pub max_event_bytes: usize = 1 << 20, within KIB..=64 * MIB;
        /// MAX_PENDING_EVENT_BYTES: bytes of data of all events of a guild that are accepted and not answered by every
        /// template. 8 MiB: eight of the largest, some thousands of what Discord sends. At least MAX_EVENT_BYTES.
        pub max_pending_event_bytes: usize = 8 << 20, within KIB..=1024 * MIB;
        /// MAX_EVENT_DEPTH: how deep arrays and objects may nest in the data of an event.
        /// 64, as for every value that enters or leaves a VM.
        pub max_event_depth: usize = 64, within 1..=MOST_EVENT_DEPTH as u64;
        /// MAX_TEMPLATES_PER_GUILD: templates that a guild may store.
        /// 100: few enough to load at once.
        pub max_templates_per_guild: usize = 100, within 1..=10_000;
        /// MAX_KV_KEY_BYTES: bytes of a key of `ctx.KV`.
        /// 512, as AntiRaid allowed in 2025.
        pub max_kv_key_bytes: usize = 512, within 1..=4_096;
        /// MAX_KV_VALUE_BYTES: bytes of a value of `ctx.KV`, as typed JSON.
        /// 256 KiB, as AntiRaid allowed in 2025.
        pub max_kv_value_bytes: usize = 256 << 10, within 1..=16 * MIB;
        /// MAX_KV_RECORDS: keys that a guild may have in `ctx.KV`, expired ones included until they are handled.
        /// 100,000: a few for each member of a large guild.
        pub max_kv_records: usize = 100_000, within 0..=100_000_000;
        /// MAX_KV_BYTES: bytes of all keys, scopes and values of a guild in `ctx.KV`.
        /// 64 MiB: some 650 bytes for each key that it may have.
        pub max_kv_bytes: usize = 64 << 20, within 0..=1 << 40;
        /// MAX_HTTP_TIME: milliseconds that a request of `ctx.HTTPClient` may take, from the look-up of its host to the last
        /// byte of its answer. 5 seconds, as AntiRaid allowed in 2025.
        pub max_http_time_ms: u64 = 5_000, within 1..=60_000;
        /// MAX_HTTP_IN_FLIGHT: requests of a guild's templates at the same time.
        /// 6: as many as a browser sends to one host.
        pub max_http_in_flight: usize = 6, within 1..=1024;
        /// MAX_HTTP_REQUEST_BYTES: bytes of the body of a request.
        /// 1 MiB: as much as an answer may have.
        pub max_http_request_bytes: usize = 1 << 20, within 0..=64 * MIB;
        /// MAX_HTTP_RESPONSE_BYTES: bytes of the body of an answer, after decompression.
        /// 1 MiB: data, not files.
        pub max_http_response_bytes: usize = 1 << 20, within 0..=16 * MIB;
        /// MAX_OBJECT_BYTES: bytes of an object of `ctx.ObjectStorage`.
        /// 512 KiB, as AntiRaid allowed in 2025.
        pub max_object_bytes: usize = 512 << 10, within 1..=16 * MIB;
        /// MAX_OBJECTS: objects that a guild may have.
        /// 1,000: a few for each of its templates.
        pub max_objects: usize = 1000, within 0..=100_000;
        /// MAX_OBJECT_STORAGE_BYTES: bytes of all objects of a guild.
        /// 64 MiB: 128 of the largest.
        pub max_object_storage_bytes: usize = 64 << 20, within 0..=1 << 40;
    }
}

impl Limits {
    /// MAX_TEMPLATES_EXECUTION_TIME.
    pub fn max_templates_execution_time(&self) -> Duration {
        Duration::from_millis(self.max_templates_execution_time_ms)
    }

    /// MAX_TEMPLATES_RETURN_WAIT_TIME.
    pub fn max_templates_return_wait_time(&self) -> Duration {
        Duration::from_millis(self.max_templates_return_wait_time_ms)
    }

    /// MAX_CPU_TIME.
    pub fn max_cpu_time(&self) -> Duration {
        Duration::from_millis(self.max_cpu_time_ms)
    }

    /// MAX_NON_YIELDABLE_TIME.
    pub fn max_non_yieldable_time(&self) -> Duration {
        Duration::from_millis(self.max_non_yieldable_time_ms)
    }

    /// MAX_HTTP_TIME.
    pub fn max_http_time(&self) -> Duration {
        Duration::from_millis(self.max_http_time_ms)
    }

    /// SLICE.
    pub fn slice(&self) -> Duration {
        Duration::from_millis(self.slice_ms)
    }

    /// Whether the limits make sense, each for itself and beside each other.
    ///
    /// # Errors
    /// The first that doesn't, with what would.
    pub fn validate(&self) -> Result<(), BadSetting> {
        self.check_bounds()?;
        let rising = [
            ("slice_ms", self.slice_ms),
            ("max_non_yieldable_time_ms", self.max_non_yieldable_time_ms),
            ("max_cpu_time_ms", self.max_cpu_time_ms),
            ("max_templates_execution_time_ms", self.max_templates_execution_time_ms),
        ];
        for pair in rising.windows(2) {
            let [(key, value), (larger_key, larger)] = pair else { continue };
            if value > larger {
                let expected = format!("use at most the value of `{larger_key}`, which is {larger}");
                return Err(BadSetting { key, value: value.to_string(), expected });
            }
        }
        self.check_room_for_all_templates()?;
        self.check_room_for_largest_event()
    }

    /// An event is accepted for all templates that listen to it, or for none.
    fn check_room_for_all_templates(&self) -> Result<(), BadSetting> {
        let (templates, in_flight) = (self.max_templates_per_guild, self.max_executions_in_flight);
        let least = templates.saturating_sub(in_flight);
        if self.max_executions_waiting >= least {
            return Ok(());
        }
        let expected = format!(
            "use at least {least}: with `max_executions_in_flight` ({in_flight}) it must cover \
             `max_templates_per_guild` ({templates}), or a guild whose templates all listen to an event never gets one"
        );
        let value = self.max_executions_waiting.to_string();
        Err(BadSetting { key: "max_executions_waiting", value, expected })
    }

    /// Where no event waits, any that is allowed is accepted.
    fn check_room_for_largest_event(&self) -> Result<(), BadSetting> {
        let (largest, pending) = (self.max_event_bytes, self.max_pending_event_bytes);
        if largest <= pending {
            return Ok(());
        }
        let expected = format!(
            "use at least the value of `max_event_bytes`, which is {largest}, or the largest event is never accepted"
        );
        Err(BadSetting { key: "max_pending_event_bytes", value: pending.to_string(), expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_are_the_documented_ones() {
        let limits = Limits::default();
        assert_eq!(limits.validate(), Ok(()));
        assert_eq!(limits.max_template_memory_usage, 20 * 1024 * 1024);
        assert_eq!(limits.max_templates_execution_time(), Duration::from_secs(600));
        assert_eq!(limits.max_templates_return_wait_time(), Duration::from_secs(60));
        assert_eq!(limits.max_cpu_time(), Duration::from_secs(10));
        assert_eq!(limits.max_non_yieldable_time(), Duration::from_millis(250));
        assert_eq!(limits.slice(), Duration::from_millis(2));
    }

    #[test]
    fn every_limit_is_documented_under_the_name_that_the_field_knows() {
        for setting in Limits::SETTINGS {
            let name = setting.key.trim_end_matches("_ms").to_uppercase();
            let meaning = setting.meaning.concat();
            assert!(meaning.trim_start().starts_with(&format!("{name}: ")), "{}: {meaning}", setting.key);
            assert!(setting.within.is_some(), "{} has no bounds", setting.key);
        }
    }

    #[test]
    fn a_stack_below_one_mebibyte_is_refused_with_what_would_do() {
        let limits = Limits { max_vm_thread_stack_size: 4096, ..Limits::default() };
        let text = limits.validate().unwrap_err().to_string();
        assert_eq!(text, "`max_vm_thread_stack_size` is 4096: use a value from 1048576 to 1073741824");
    }

    #[test]
    fn a_slice_longer_than_the_cpu_time_is_refused() {
        let limits = Limits { max_cpu_time_ms: 100, ..Limits::default() };
        let text = limits.validate().unwrap_err().to_string();
        assert_eq!(
            text,
            "`max_non_yieldable_time_ms` is 250: use at most the value of `max_cpu_time_ms`, which is 100"
        );
    }

    #[test]
    fn an_event_for_all_templates_of_a_guild_must_fit_in_its_places() {
        let limits = |in_flight, waiting| Limits {
            max_executions_in_flight: in_flight,
            max_executions_waiting: waiting,
            max_templates_per_guild: 100,
            ..Limits::default()
        };
        assert_eq!(limits(64, 36).validate(), Ok(()));
        assert_eq!(limits(100, 0).validate(), Ok(()));
        let text = limits(64, 35).validate().unwrap_err().to_string();
        assert_eq!(
            text,
            "`max_executions_waiting` is 35: use at least 36: with `max_executions_in_flight` (64) it must cover \
             `max_templates_per_guild` (100), or a guild whose templates all listen to an event never gets one"
        );
    }

    #[test]
    fn the_largest_event_must_fit_among_those_that_are_pending() {
        let limits = |event, pending| Limits {
            max_event_bytes: event,
            max_pending_event_bytes: pending,
            ..Limits::default()
        };
        assert_eq!(limits(4096, 4096).validate(), Ok(()));
        assert_eq!(
            limits(4096, 4095).validate().unwrap_err().to_string(),
            "`max_pending_event_bytes` is 4095: use at least the value of `max_event_bytes`, which is 4096, or the \
             largest event is never accepted"
        );
    }

    #[test]
    fn an_unknown_limit_is_an_error() {
        let error = serde_json::from_str::<Limits>(r#"{"max_cpu_tim_ms": 1}"#).unwrap_err().to_string();
        assert!(error.contains("max_cpu_tim_ms"), "{error}");
    }

    #[test]
    fn the_source_limit_is_within_what_the_runtime_takes() {
        let largest =
            Limits::SETTINGS.iter().find(|setting| setting.key == "max_template_source").unwrap().within;
        let source = " ".repeat(usize::try_from(largest.unwrap().1).unwrap());
        assert!(khronos::Bundle::new([("init.luau".to_owned(), source)]).is_ok());
    }
}
