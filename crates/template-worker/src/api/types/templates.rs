//! Bodies about templates.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::storage::TemplateVersion;
use crate::template::{Template, TemplateInfo, TemplateName};
use crate::vm::quarantine::Quarantined;

/// A template to create, or to put in the place of what is there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "files": {"init.luau": "local event, ctx = ...\nif event.data.content == \"!ping\" then return \"pong\" end"},
    "events": ["MESSAGE_CREATE"],
    "capabilities": [],
    "description": "answers !ping",
}))]
pub(in crate::api) struct PutTemplate {
    /// The source of each file by its path. `init.luau` is what runs; `require("./lib/words")` finds the others. A `/` that a
    /// path begins with is left out.
    pub(in crate::api) files: BTreeMap<String, String>,
    /// What it listens to: names of events, base names, either with a scope in brackets.
    pub(in crate::api) events: Vec<String>,
    /// What it is written in: `luau`, which is all that there is, and what counts where this is left out.
    #[serde(default)]
    #[schema(example = "luau", pattern = "^luau$")]
    pub(in crate::api) language: Option<String>,
    /// What it may do; nothing where this is left out.
    #[serde(default)]
    pub(in crate::api) capabilities: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub(in crate::api) description: String,
    /// The Discord channel for its errors. It is kept, and nothing is posted there yet.
    #[serde(default)]
    pub(in crate::api) error_channel: Option<String>,
    /// A paused template gets no events.
    #[serde(default)]
    pub(in crate::api) paused: bool,
}

/// What to change of a template; what is left out stays. Its files change by PUT alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"paused": true}))]
pub(in crate::api) struct PatchTemplate {
    /// What it listens to.
    pub(in crate::api) events: Option<Vec<String>>,
    /// What it may do.
    pub(in crate::api) capabilities: Option<Vec<String>>,
    /// What it is for.
    pub(in crate::api) description: Option<String>,
    /// The Discord channel for its errors; null takes it away. It is kept, and nothing is posted there yet.
    #[serde(default, deserialize_with = "null_is_a_value")]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) error_channel: Option<Option<String>>,
    /// A paused template gets no events.
    pub(in crate::api) paused: Option<bool>,
}

/// Tells `null` from a field that is left out, which `default` takes care of.
fn null_is_a_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A template without its files.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TemplateSummary {
    /// Its name, unique in the guild.
    name: TemplateName,
    /// Its version: what `If-Match` compares. It counts up from 1 with every change, and goes on after a delete.
    #[schema(example = 3)]
    version: u32,
    /// What it listens to.
    #[schema(example = json!(["MESSAGE_CREATE", "KeyExpiry[reminders]"]))]
    events: Vec<String>,
    /// What it may do.
    #[schema(example = json!(["kv:*"]))]
    capabilities: Vec<String>,
    /// What it is for.
    #[schema(example = "answers !ping")]
    description: String,
    /// The Discord channel for its errors. It is kept, and nothing is posted there yet.
    #[schema(example = "826535422381391913")]
    error_channel: Option<String>,
    /// A paused template gets no events.
    paused: bool,
    /// When its first version was stored.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Who stored it: a token by its name, or a template of the guild; null where that was before it was written down.
    #[schema(example = "token:deploy")]
    created_by: Option<String>,
    /// When this version was stored.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    /// Who stored this version.
    #[schema(example = "template:greet")]
    updated_by: Option<String>,
}

impl From<&TemplateInfo> for TemplateSummary {
    fn from(template: &TemplateInfo) -> Self {
        Self {
            name: template.name.clone(),
            version: template.version,
            events: template.events.iter().map(ToString::to_string).collect(),
            capabilities: template.capabilities.iter().map(ToString::to_string).collect(),
            description: template.description.clone(),
            error_channel: template.error_channel.clone(),
            paused: template.paused,
            created_at: template.created_at,
            created_by: template.created_by.as_ref().map(ToString::to_string),
            updated_at: template.updated_at,
            updated_by: template.updated_by.as_ref().map(ToString::to_string),
        }
    }
}

/// A template with its files.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TemplateWithFiles {
    #[serde(flatten)]
    summary: TemplateSummary,
    /// The source of each file by its path.
    #[schema(example = json!({"init.luau": "return \"pong\""}))]
    files: BTreeMap<String, String>,
}

impl From<&Template> for TemplateWithFiles {
    fn from(template: &Template) -> Self {
        let file = |(path, source): (&str, &khronos::Source)| (path.to_owned(), source.text.to_string());
        Self { summary: (&template.info).into(), files: template.bundle.files().map(file).collect() }
    }
}

/// Some of the guild's templates, ordered by name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TemplatePage {
    /// The templates, without their files.
    pub(in crate::api) templates: Vec<TemplateSummary>,
    /// What to send as `cursor` for the next page; null on the last one.
    pub(in crate::api) next_cursor: Option<String>,
}

/// The history of a template.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct VersionList {
    /// The versions that are kept, the newest first.
    pub(in crate::api) versions: Vec<VersionBody>,
}

/// A line of a template's history.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct VersionBody {
    /// The version.
    #[schema(example = 3)]
    version: u32,
    /// Whether it brought files; otherwise they are those of the version before.
    new_files: bool,
    /// When it was stored.
    #[serde(with = "time::serde::rfc3339")]
    stored_at: OffsetDateTime,
}

impl From<TemplateVersion> for VersionBody {
    fn from(TemplateVersion { version, new_files, stored_at }: TemplateVersion) -> Self {
        Self { version, new_files, stored_at }
    }
}

/// Whether a template is quarantined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub(in crate::api) struct QuarantineBody {
    /// Whether it gets no events.
    quarantined: bool,
    /// Since when.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<OffsetDateTime>,
    /// What it did, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Option<Quarantined>> for QuarantineBody {
    fn from(found: Option<Quarantined>) -> Self {
        let quarantined = found.is_some();
        let (since, reason) = found.map(|found| (found.since, found.reason)).unzip();
        Self { quarantined, since, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_null_from_left_out() {
        let channel = |text: &str| serde_json::from_str::<PatchTemplate>(text).unwrap().error_channel;
        assert_eq!(channel("{}"), None);
        assert_eq!(channel(r#"{"error_channel": null}"#), Some(None));
        assert_eq!(channel(r#"{"error_channel": "1"}"#), Some(Some("1".to_owned())));
    }

    #[test]
    fn a_patch_knows_no_files() {
        let error = serde_json::from_str::<PatchTemplate>(r#"{"files": {}}"#).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `files`"), "{error}");
    }
}
