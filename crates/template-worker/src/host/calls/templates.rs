//! `ctx.DataStores.TemplateStore`: what a template may do with the guild's templates.

use std::collections::BTreeMap;

use khronos::KhronosValue;
use khronos::declare::{Type, field, table};

use super::declared::shortened;
use super::stores::{FACE, STORE, method};
use super::{Any, Bucket, host_calls};

/// Compiling is work for the whole machine.
const CHANGE: Bucket = Bucket { name: "template_changes", burst: 10, every_ms: 2_000 };

host_calls! {
    /// The guild's templates. What changes takes effect when the dispatch that is running is over.
    pub enum TemplatesCall in "DataStores.TemplateStore" {
        /// The guild's templates without their files, ordered by name.
        List "list" () -> "{Template}", gated "datastore:{Store}:{method}";
        /// A template with its files.
        Get "get" (
            /// Its name.
            name: String,
        ) -> "Template?", gated "datastore:{Store}:{method}";
        /// Makes a template. It cannot have a capability that the caller lacks.
        Create "create" (
            /// The template: `name`, `content` (path to source), `events`, `allowed_caps`, ...
            template: BTreeMap<String, Any>,
        ) -> "()", gated "datastore:{Store}:{method}", rated [STORE, CHANGE], changes true;
        /// Replaces a template. Neither the one that is there nor the new one may have a capability that the caller lacks.
        Update "update" (
            /// The template, whole.
            template: BTreeMap<String, Any>,
        ) -> "()", gated "datastore:{Store}:{method}", rated [STORE, CHANGE], changes true;
        /// Removes a template, which may have no capability that the caller lacks. Returns whether there was one.
        Delete "delete" (
            /// Its name.
            name: String,
        ) -> "boolean", gated "datastore:{Store}:{method}", changes true;
    }
    wants(call) { vec![method("TemplateStore", call.declared().function.name)] }
    names(call) { call.name() }
    buckets [STORE];
    types &[TEMPLATE];
    beside FACE;
}

impl TemplatesCall {
    fn name(&self) -> String {
        match self {
            Self::List {} => String::new(),
            Self::Get { name } | Self::Delete { name } => shortened(name),
            Self::Create { template } | Self::Update { template } => match template.get("name") {
                Some(Any(KhronosValue::Text(name))) => shortened(name),
                _ => String::new(),
            },
        }
    }
}

const TEMPLATE: Type = table(
    "Template",
    "A template, as it is stored. `create` and `update` take the same, apart from `version`, and who stored it when.",
    &[
        field("name", "string", "Its name."),
        field("content", "{[string]: string}?", "Its files: path to source. `list` leaves them out."),
        field("description", "string?", "What it does."),
        field("events", "{string}", "What it listens to."),
        field("allowed_caps", "{string}", "What it may do."),
        field(
            "error_channel",
            "string?",
            "The channel for its errors. It is kept, and nothing is posted there yet.",
        ),
        field("language", "string?", "`luau`."),
        field("paused", "boolean?", "Whether it gets no events for now."),
        field("version", "number?", "Counts its changes, from 1."),
        field("created_at", "string?", "When it was stored first, as RFC 3339."),
        field("created_by", "string?", "Who stored it, as in `ctx.data`."),
        field("updated_at", "string?", "When it was changed last."),
        field("updated_by", "string?", "Who changed it last."),
    ],
);
