//! `ctx.DataStores.TemplateStore`: what a template may do with the guild's templates.

use std::collections::BTreeMap;

use super::stores::{STORE, method};
use super::{Any, host_calls};

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
        ) -> "()", gated "datastore:{Store}:{method}";
        /// Replaces a template. Neither the one that is there nor the new one may have a capability that the caller lacks.
        Update "update" (
            /// The template, whole.
            template: BTreeMap<String, Any>,
        ) -> "()", gated "datastore:{Store}:{method}";
        /// Removes a template, which may have no capability that the caller lacks. Returns whether there was one.
        Delete "delete" (
            /// Its name.
            name: String,
        ) -> "boolean", gated "datastore:{Store}:{method}";
    }
    wants(call) { vec![method("TemplateStore", call.declared().function.name)] }
    buckets(_call) { &[STORE] }
}
