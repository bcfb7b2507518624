//! `ctx.DataStores`: small stores, each a family of its own.

use khronos::declare::{Function, Type, field, object, parameter, table};

use super::{Any, Bucket, host_calls};

/// What the existing system allows each method of a store.
pub(super) const STORE: Bucket = Bucket { name: "data_stores", burst: 75, every_ms: 1_000 };

host_calls! {
    /// Numbers about the service.
    pub enum StatsCall in "DataStores.StatsStore" {
        /// How many guilds the service runs templates for, and since when it runs.
        Stats "stats" () -> "Stats", gated "datastore:{Store}:{method}";
    }
    wants(call) { vec![method("StatsStore", call.declared().function.name)] }
    buckets [STORE];
    types &[STATS];
    beside FACE;
}

host_calls! {
    /// Where to find the service, and which events there are.
    pub enum LinksCall in "DataStores.LinksStore" {
        /// The addresses that the operator has configured.
        Links "links" () -> "Links", gated "datastore:{Store}:{method}";
        /// The names of all events that a template can listen to.
        EventList "event_list" () -> "{string}", gated "datastore:{Store}:{method}";
    }
    wants(call) { vec![method("LinksStore", call.declared().function.name)] }
    buckets [STORE];
    types &[LINKS];
    beside FACE;
}

host_calls! {
    /// Gives back what it gets: for trying what becomes of a value on its way out of the VM and back.
    pub enum CopyCall in "DataStores.CopyDataStore" {
        /// Gives back `value`.
        Copy "copy" (
            /// Anything that can leave the VM.
            value: Any,
        ) -> "any", gated "datastore:{Store}:{method}";
        /// The same; its name is an older one.
        CopySync "copySync" (
            /// Anything that can leave the VM.
            value: Any,
        ) -> "any", gated "datastore:{Store}:{method}";
    }
    wants(call) { vec![method("CopyDataStore", call.declared().function.name)] }
    buckets [STORE];
    beside FACE;
}

pub(super) fn method(store: &str, method: &str) -> String {
    format!("datastore:{store}:{method}")
}

/// What each store says about itself.
pub(super) const FACE: Type = object(
    "DataStore",
    "",
    &[field("name", "string", "Its name.")],
    &[
        Function { name: "methods", doc: "The names of its methods.", parameters: &[], returns: "{string}" },
        Function {
            name: "need_caps",
            doc: "Whether a method of it takes a capability.",
            parameters: &[parameter("method", "string", "The name of the method.")],
            returns: "boolean",
        },
    ],
    &[],
);

const STATS: Type = table(
    "Stats",
    "Numbers about the service.",
    &[
        field("total_cached_guilds", "number", "The same as `total_guilds`; an older name."),
        field("total_guilds", "number", "How many guilds have a VM right now, or are about to get one."),
        field("total_users", "number", "0: nobody counts them."),
        field("last_started_at", "number", "When the service was started, in seconds since 1970."),
    ],
);

const LINKS: Type = table(
    "Links",
    "Addresses that the operator has configured. One that is not is an empty text.",
    &[
        field("support_server", "string", "Where to ask for help."),
        field("api_url", "string", "Where the HTTP API is."),
        field("frontend_url", "string", "Where the dashboard is."),
        field("docs_url", "string", "Where the documentation is."),
    ],
);
