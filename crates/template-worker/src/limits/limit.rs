//! Every limit as a value, with the name that outcomes and metrics know it by.
//!
//! Owns the names; what a limit is and how large, is said by its key in [`Limits::SETTINGS`](super::Limits::SETTINGS).

macro_rules! limits {
    ($( $limit:ident $name:literal $key:ident, )+) => {
        /// One of the limits.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Limit {
            $(
                #[doc = concat!("`", stringify!($key), "`.")]
                $limit,
            )+
        }

        impl Limit {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$limit),+];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// Its name in outcomes and metrics, stable and in snake_case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$limit => $name),+ }
            }

            /// Its key in the configuration.
            pub fn key(self) -> &'static str {
                match self { $(Self::$limit => stringify!($key)),+ }
            }

            /// Its value in `limits`.
            pub fn value(self, limits: &super::Limits) -> u64 {
                match self { $(Self::$limit => limits.$key as u64),+ }
            }
        }
    };
}

limits! {
    Memory "memory" max_template_memory_usage,
    Stack "stack" max_vm_thread_stack_size,
    WallClock "wall_clock" max_templates_execution_time_ms,
    ReturnWait "return_wait" max_templates_return_wait_time_ms,
    CpuTime "cpu_time" max_cpu_time_ms,
    NonYieldable "non_yieldable_time" max_non_yieldable_time_ms,
    Slice "slice" slice_ms,
    ExecutionsInFlight "executions_in_flight" max_executions_in_flight,
    ExecutionsWaiting "executions_waiting" max_executions_waiting,
    LuauThreads "luau_threads" max_luau_threads,
    LogLines "log_lines" max_log_lines_per_second,
    TemplateSource "template_source" max_template_source,
    ResultDepth "result_depth" max_result_depth,
    ResultNodes "result_nodes" max_result_nodes,
    ResultBytes "result_bytes" max_result_bytes,
    EventBytes "event_bytes" max_event_bytes,
    PendingEventBytes "pending_event_bytes" max_pending_event_bytes,
    EventDepth "event_depth" max_event_depth,
    TemplatesPerGuild "templates_per_guild" max_templates_per_guild,
    KvKeyBytes "kv_key_bytes" max_kv_key_bytes,
    KvValueBytes "kv_value_bytes" max_kv_value_bytes,
    KvRecords "kv_records" max_kv_records,
    KvBytes "kv_bytes" max_kv_bytes,
    HttpTime "http_time" max_http_time_ms,
    HttpInFlight "http_in_flight" max_http_in_flight,
    HttpRequestBytes "http_request_bytes" max_http_request_bytes,
    HttpResponseBytes "http_response_bytes" max_http_response_bytes,
    ObjectBytes "object_bytes" max_object_bytes,
    Objects "objects" max_objects,
    ObjectStorageBytes "object_storage_bytes" max_object_storage_bytes,
}

impl Limit {
    /// The limit of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|limit| limit.name() == name)
    }

    /// The name that the field knows it by, such as `MAX_CPU_TIME`.
    pub fn field_name(self) -> String {
        self.key().trim_end_matches("_ms").to_uppercase()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use khronos::LimitExceeded;

    use super::super::Limits;
    use super::*;

    #[test]
    fn every_setting_is_a_limit_in_the_same_order() {
        let keys: Vec<&str> = Limit::ALL.iter().map(|limit| limit.key()).collect();
        let declared: Vec<&str> = Limits::SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(keys, declared);
    }

    #[test]
    fn what_the_runtime_says_was_exceeded_is_a_limit() {
        let time = Duration::from_secs(1);
        let said = [
            (LimitExceeded::CpuTime(time), Limit::CpuTime),
            (LimitExceeded::WallClock(time), Limit::WallClock),
            (LimitExceeded::NonYieldable(time), Limit::NonYieldable),
            (LimitExceeded::Memory(1), Limit::Memory),
        ];
        for (said, limit) in said {
            assert_eq!(Limit::named(said.name()), Some(limit));
        }
        assert_eq!(Limit::named("patience"), None);
    }
}
