//! What requests and responses look like: the bodies of the API, apart from the types of the modules behind it.
//!
//! Owns the names of fields, which are a promise to clients, and their description in the OpenAPI document. Names that a
//! request may get wrong (events, capabilities, rights) stay text here: the handlers read them, with words for each.

mod events;
mod kv;
mod limits;
mod operations;
mod secrets;
mod templates;
mod tokens;
mod vm;
mod when;

use serde::Serialize;
use utoipa::ToSchema;

pub(super) use events::{Accepted, EventBody, Results};
pub(super) use kv::{
    ExpiryPage, KeyUpdate, PutRecordBody, RecordBody, RecordPage, WrittenBody, stored_value,
};
pub(super) use limits::{LimitsBody, OverridesBody};
pub(super) use operations::{DrainedBody, Evicted, Pong, ThreadBody, ThreadList, VmPage};
pub(super) use secrets::{NewSecret, SecretBody, SecretList};
pub(super) use templates::{
    PatchTemplate, PutTemplate, QuarantineBody, TemplatePage, TemplateSummary, TemplateWithFiles, VersionList,
};
pub(super) use tokens::{NewToken, OwnerBody, TokenBody, TokenList, TokenWithSecret};
pub(super) use vm::{EscapeBody, VmActionBody, VmActionResult, VmBody};

/// The service lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `ready`.
    #[schema(example = "ok")]
    pub(super) status: &'static str,
}
