//! `ctx.DataStores.TemplateStore`, served: the guild's templates in the hands of one of them.
//!
//! Owns that no template ever gets at more than it has itself: one with a capability that the caller lacks can be neither made,
//! nor replaced, nor removed by it. What is stored is what the HTTP API stores, by the same rules.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use khronos::{Bundle, KhronosValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::calls::{Any, Argument, TemplatesCall};
use super::http::{Permit, is_denied};
use super::outside::permit;
use super::{Caller, Gate, HostError, HostReply};
use crate::capabilities::{Capabilities, CapabilityError};
use crate::events::FilterError;
use crate::ids::GuildId;
use crate::limits::Limits;
use crate::storage::{Storage, StorageError};
use crate::template::{Author, Template, TemplateDraft, TemplateInfo, TemplateName};

/// Templates in one list.
const MOST_LISTED: u32 = 1_000;

/// What the rest of the service does about templates that change.
#[async_trait]
pub trait Service: Send + Sync + std::fmt::Debug {
    /// How many guilds have a VM right now, or are about to get one.
    fn guilds(&self) -> usize;

    /// What the guild may use.
    fn limits(&self, guild: GuildId) -> Arc<Limits>;

    /// Tells the author of a template something that was not asked for.
    fn warn(&self, guild: GuildId, name: &TemplateName, text: String);

    /// Compiles a template of a guild before it is stored.
    ///
    /// # Errors
    /// For its author: which line of which file.
    async fn compile(&self, guild: GuildId, bundle: Arc<Bundle>) -> Result<(), String>;

    /// Lets the guild's next event find it as it is now.
    async fn files_changed(&self, guild: GuildId, name: &TemplateName);

    /// Lets go of what it left behind.
    async fn template_removed(&self, guild: GuildId, name: &TemplateName);
}

/// Serves the store.
pub struct Templates {
    storage: Arc<dyn Storage>,
    service: Arc<dyn Service>,
    /// Hosts for which `http:*` is not enough.
    denied_hosts: Vec<String>,
}

impl Templates {
    /// Templates as `storage` has them.
    pub fn new(storage: Arc<dyn Storage>, service: Arc<dyn Service>, denied_hosts: Vec<String>) -> Self {
        Self { storage, service, denied_hosts }
    }

    pub(super) async fn serve(
        &self,
        gate: &Gate,
        caller: &Caller,
        call: TemplatesCall,
    ) -> Result<HostReply, HostError> {
        let guild = caller.guild;
        match call {
            TemplatesCall::List {} => {
                let all = self.storage.list_templates(guild, None, MOST_LISTED).await.map_err(failed)?;
                Ok(HostReply::value(all.iter().map(summary).collect::<Vec<_>>()))
            }
            TemplatesCall::Get { name } => {
                let found = self.storage.get_template(guild, &self::name(&name)?).await.map_err(failed)?;
                Ok(HostReply::value(found.map_or(KhronosValue::Null, |template| whole(&template))))
            }
            TemplatesCall::Create { template } => self.put(gate, caller, template, true).await,
            TemplatesCall::Update { template } => self.put(gate, caller, template, false).await,
            TemplatesCall::Delete { name } => {
                let name = self::name(&name)?;
                let Some(there) = self.storage.get_template(guild, &name).await.map_err(failed)? else {
                    return Ok(HostReply::value(false));
                };
                self.check(gate, caller, &there.info.capabilities)?;
                // What was looked at is what is removed, as below.
                let version = Some(there.info.version);
                let deleted = self.storage.delete_template(guild, &name, version).await.map_err(failed)?;
                self.service.template_removed(guild, &name).await;
                Ok(HostReply::value(deleted))
            }
        }
    }

    async fn put(
        &self,
        gate: &Gate,
        caller: &Caller,
        template: BTreeMap<String, Any>,
        is_new: bool,
    ) -> Result<HostReply, HostError> {
        let guild = caller.guild;
        let limits = self.service.limits(guild);
        let (name, draft) = draft(template, limits.max_template_source)?;
        let draft = TemplateDraft { author: Some(Author::template(&caller.template.name)), ..draft };
        self.check(gate, caller, &draft.capabilities)?;
        // The version makes sure that what was looked at is what is replaced; 0 says that there is none.
        let version = match self.storage.get_template(guild, &name).await.map_err(failed)? {
            Some(_) if is_new => {
                return Err(invalid(format!("the guild has a template `{name}` already; use `update`")));
            }
            None if !is_new => return Err(not_there(&name)),
            Some(there) => {
                self.check(gate, caller, &there.info.capabilities)?;
                there.info.version
            }
            None => 0,
        };
        self.service.compile(guild, Arc::clone(&draft.bundle)).await.map_err(HostError::Invalid)?;
        let most = limits.max_templates_per_guild;
        self.storage.put_template(guild, &name, draft, Some(version), most).await.map_err(failed)?;
        self.service.files_changed(guild, &name).await;
        Ok(HostReply::nothing())
    }

    /// Whether the caller has all of `capabilities` itself. To name a host is more than `http:*`, where the operator holds it
    /// back.
    fn check(&self, gate: &Gate, caller: &Caller, capabilities: &Capabilities) -> Result<(), HostError> {
        for capability in capabilities.iter() {
            gate.check(caller, capability.to_string())?;
            let Some(host) = capability.as_str().strip_prefix("http:") else { continue };
            if is_denied(host, &self.denied_hosts) && permit(caller, host) < Permit::Named {
                return Err(HostError::Refused(format!(
                    "`{capability}` names a host that is not allowed with `http:*`: a template needs `{capability}` itself to \
                     give it to another"
                )));
            }
        }
        Ok(())
    }
}

fn failed(error: StorageError) -> HostError {
    match error {
        StorageError::TooManyTemplates { .. } => HostError::Quota(error.to_string()),
        StorageError::VersionConflict { .. } => {
            HostError::Refused("somebody else has changed that template meanwhile; try again".to_owned())
        }
        error => HostError::Internal { what: "use the guild's templates", source: error.into() },
    }
}

fn not_there(name: &TemplateName) -> HostError {
    HostError::NotFound(format!("this guild has no template `{name}`; use `create`"))
}

fn invalid(text: impl Display) -> HostError {
    HostError::Invalid(text.to_string())
}

fn name(text: &str) -> Result<TemplateName, HostError> {
    text.parse().map_err(invalid)
}

/// The fields of a template as a script gives them.
struct Fields(BTreeMap<String, Any>);

impl Fields {
    fn take<T: Argument>(&mut self, field: &str) -> Result<T, HostError> {
        let value = self.0.remove(field).unwrap_or_default();
        T::take(value.0)
            .map_err(|expected| invalid(format!("the template's `{field}` is wrong: expected {expected}")))
    }

    /// What is not known is a typo.
    fn end(self) -> Result<(), HostError> {
        // What `get` gives beside is no reason to refuse what was got.
        let known = ["version", "created_at", "created_by", "updated_at", "updated_by", "guild_id"];
        match self.0.into_keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(invalid(format!(
                "a template has no field `{}`",
                key.chars().take(80).collect::<String>()
            ))),
            None => Ok(()),
        }
    }
}

fn draft(
    template: BTreeMap<String, Any>,
    most_source: usize,
) -> Result<(TemplateName, TemplateDraft), HostError> {
    let mut fields = Fields(template);
    let name = self::name(&fields.take::<String>("name")?)?;
    let mut files = Vec::new();
    for (path, source) in fields.take::<BTreeMap<String, Any>>("content")? {
        let source = String::take(source.0)
            .map_err(|expected| invalid(format!("the file `{path}` is wrong: expected {expected}")))?;
        files.push((path.strip_prefix('/').unwrap_or(&path).to_owned(), source));
    }
    let bytes: usize = files.iter().map(|(_, source)| source.len()).sum();
    if bytes > most_source {
        return Err(HostError::Quota(format!(
            "{bytes} bytes of source are more than a template may have ({most_source}, all files together: \
             MAX_TEMPLATE_SOURCE)"
        )));
    }
    let language = fields.take::<Option<String>>("language")?;
    if language.is_some_and(|language| language != "luau") {
        return Err(invalid("the template's `language` is wrong: there is only \"luau\""));
    }
    let texts = |texts: Option<Vec<String>>| texts.unwrap_or_default();
    let events = texts(fields.take("events")?);
    let capabilities = texts(fields.take("allowed_caps")?);
    let draft = TemplateDraft {
        bundle: Arc::new(Bundle::new(files).map_err(invalid)?),
        events: events
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(|error: FilterError| invalid(error))?,
        capabilities: capabilities
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(|error: CapabilityError| invalid(error))?,
        description: fields.take::<Option<String>>("description")?.unwrap_or_default(),
        error_channel: fields.take("error_channel")?,
        paused: fields.take::<Option<bool>>("paused")?.unwrap_or_default(),
        author: None,
    };
    fields.end()?;
    draft.check().map_err(invalid)?;
    Ok((name, draft))
}

fn texts(items: impl Iterator<Item = String>) -> KhronosValue {
    KhronosValue::List(items.map(Into::into).collect())
}

fn time(at: OffsetDateTime) -> KhronosValue {
    at.format(&Rfc3339).map_or(KhronosValue::Null, Into::into)
}

fn author(author: Option<&Author>) -> KhronosValue {
    author.map_or(KhronosValue::Null, |author| author.as_str().into())
}

fn summary(info: &TemplateInfo) -> KhronosValue {
    KhronosValue::from([
        ("name", info.name.as_str().into()),
        ("version", KhronosValue::Integer(info.version.into())),
        ("description", info.description.as_str().into()),
        ("events", texts(info.events.iter().map(ToString::to_string))),
        ("allowed_caps", texts(info.capabilities.iter().map(ToString::to_string))),
        ("error_channel", info.error_channel.as_deref().map_or(KhronosValue::Null, Into::into)),
        ("language", "luau".into()),
        ("paused", info.paused.into()),
        ("created_at", time(info.created_at)),
        ("created_by", author(info.created_by.as_ref())),
        ("updated_at", time(info.updated_at)),
        ("updated_by", author(info.updated_by.as_ref())),
    ])
}

fn whole(template: &Template) -> KhronosValue {
    let mut value = summary(&template.info);
    if let KhronosValue::Map(fields) = &mut value {
        let files = template.bundle.files();
        let files = files.map(|(path, source)| (path.to_owned(), KhronosValue::from(&*source.text)));
        fields.insert("content".to_owned(), KhronosValue::Map(files.collect()));
    }
    value
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").finish_non_exhaustive()
    }
}
