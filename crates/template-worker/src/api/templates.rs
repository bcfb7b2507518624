//! A guild's templates: list, put, read, change, delete, history.
//!
//! Owns what is checked before a template is stored: files, names of events and capabilities, and that it compiles. What
//! a legal template is, is `template`'s business.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::{ETAG, LOCATION};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use khronos::Bundle;

use super::auth::{Guild, TemplatesRead, TemplatesWrite};
use super::error::ApiError;
use super::extract::{IfMatch, JsonBody, NoIfMatch, NoQuery, QueryOf, TemplatePath};
use super::finish::to_the_end;
use super::openapi::{GuildParam, IfMatchParam, NameParam};
use super::paging::{self, Page};
use super::problem::{Problem, problems};
use super::types::{
    PatchTemplate, PutTemplate, QuarantineBody, TemplatePage, TemplateSummary, TemplateWithFiles, VersionList,
};
use crate::app::App;
use crate::capabilities::Capabilities;
use crate::events::EventFilter;
use crate::ids::GuildId;
use crate::limits::Limit;
use crate::places;
use crate::storage::{StorageError, Written};
use crate::template::{Author, TemplateDraft, TemplateInfo, TemplateName, TemplatePatch};

/// What templates are written in.
const LANGUAGE: &str = "luau";

problems!(ListProblems: ANY | IN_GUILD);
problems!(GetProblems: ANY | IN_GUILD, InvalidTemplateName);
problems!(PutProblems: ANY | IN_GUILD | WITH_BODY, InvalidTemplateName, InvalidIfMatch, VersionConflict, InvalidPath,
    NoEntry, TooManyFiles, DoesNotCompile, UnknownEvent, UnknownCapability, InvalidValue, TooManyTemplates);
problems!(PatchProblems: ANY | IN_GUILD | WITH_BODY, InvalidTemplateName, InvalidIfMatch,
    VersionConflict, UnknownEvent, UnknownCapability, InvalidValue);
problems!(QuarantineProblems: ANY | IN_GUILD, InvalidTemplateName);
problems!(DeleteProblems: ANY | IN_GUILD, InvalidTemplateName, InvalidIfMatch);

/// List templates
///
/// Ordered by name, without their files, a page at a time.
#[utoipa::path(get, path = "/guilds/{guild_id}/templates", tag = "templates", security(("token" = [])),
    params(GuildParam, Page),
    responses((status = 200, description = "A page of templates", body = TemplatePage), ListProblems))]
pub(super) async fn list_templates(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesRead>,
    QueryOf(page): QueryOf<Page>,
) -> Result<Json<TemplatePage>, ApiError> {
    let limit = page.limit()?;
    let after: Option<String> = page.after()?;
    let after = after.map(|name| name.parse().map_err(|_| paging::no_cursor())).transpose()?;
    let mut templates = app.storage.list_templates(guild.id, after.as_ref(), limit + 1).await?;
    let next_cursor = paging::cut(&mut templates, limit, |last| last.name.to_string());
    Ok(Json(TemplatePage { templates: templates.iter().map(TemplateSummary::from).collect(), next_cursor }))
}

/// The guild in the path, of which a template is put: one of few at the same time, from before its files are read.
pub(super) struct Putting {
    guild: Guild<TemplatesWrite>,
    place: places::Place,
}

impl FromRequestParts<Arc<App>> for Putting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let guild = Guild::from_request_parts(parts, app).await?;
        let place = guild.place.to_put(guild.id)?;
        Ok(Self { guild, place })
    }
}

/// Create or replace a template
///
/// Every file is compiled first; nothing is stored if one doesn't compile. With `If-Match`, it is replaced only in the
/// version that you saw. The next event runs the new version.
#[utoipa::path(put, path = "/guilds/{guild_id}/templates/{name}", tag = "templates", security(("token" = [])),
    params(GuildParam, NameParam, IfMatchParam), request_body = PutTemplate,
    responses(
        (status = 200, description = "Replaced", body = TemplateSummary, headers(("etag" = String, description = "The version"))),
        (status = 201, description = "Created", body = TemplateSummary, headers(
            ("etag" = String, description = "The version"), ("location" = String, description = "The template"))),
        PutProblems))]
pub(super) async fn put_template(
    State(app): State<Arc<App>>,
    Putting { guild, place: _place }: Putting,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
    IfMatch(if_match): IfMatch,
    JsonBody(body): JsonBody<PutTemplate>,
) -> Result<Response, ApiError> {
    let limits = app.dispatcher.limits(guild.id);
    let author = Author::token(&guild.token);
    let draft = draft(body, author, limits.max_template_source).inspect_err(|error| {
        if error.problem() == Problem::TooLarge {
            app.shared.metrics.exceeded(Limit::TemplateSource);
        }
    })?;
    app.compiler.compile(Some(guild.id), Arc::clone(&draft.bundle)).await?;
    let most = limits.max_templates_per_guild;
    let guild = guild.id;
    let (template, written) = to_the_end(async move {
        let put = app.storage.put_template(guild, &name, draft, if_match, most).await;
        if let Err(StorageError::TooManyTemplates { .. }) = &put {
            app.shared.metrics.exceeded(Limit::TemplatesPerGuild);
        }
        let written = put?;
        app.dispatcher.files_changed(guild, &name).await;
        Ok(written)
    })
    .await?;
    Ok(match written {
        Written::Replaced => summary(&template.info),
        Written::Created => {
            let location = [(LOCATION, location(guild, &template.info.name))];
            (StatusCode::CREATED, location, summary(&template.info)).into_response()
        }
    })
}

/// Read a template
///
/// With its files.
#[utoipa::path(get, path = "/guilds/{guild_id}/templates/{name}", tag = "templates", security(("token" = [])),
    params(GuildParam, NameParam),
    responses(
        (status = 200, description = "The template", body = TemplateWithFiles, headers(("etag" = String, description = "The version"))),
        GetProblems))]
pub(super) async fn get_template(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesRead>,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let found = app.storage.get_template(guild.id, &name).await?;
    let template = found.ok_or_else(|| unknown(&name))?;
    Ok(with_version(&template.info, TemplateWithFiles::from(&template)))
}

/// Change parts of a template
///
/// What is left out stays, and so do the files. It makes a new version.
#[utoipa::path(patch, path = "/guilds/{guild_id}/templates/{name}", tag = "templates", security(("token" = [])),
    params(GuildParam, NameParam, IfMatchParam), request_body = PatchTemplate,
    responses(
        (status = 200, description = "Changed", body = TemplateSummary, headers(("etag" = String, description = "The version"))),
        PatchProblems))]
pub(super) async fn patch_template(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesWrite>,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
    IfMatch(if_match): IfMatch,
    JsonBody(body): JsonBody<PatchTemplate>,
) -> Result<Response, ApiError> {
    let patch = patch(body, Author::token(&guild.token))?;
    let guild = guild.id;
    let template = to_the_end(async move {
        let patched = app.storage.patch_template(guild, &name, patch, if_match).await?;
        let template = patched.ok_or_else(|| unknown(&name))?;
        app.dispatcher.templates_changed(guild).await;
        Ok(template)
    })
    .await?;
    Ok(summary(&template.info))
}

/// See whether a template is quarantined
///
/// A template that breaks the guild's VM three times within ten minutes gets no events until its files are put anew, the
/// quarantine is lifted, or the service is restarted.
#[utoipa::path(get, path = "/guilds/{guild_id}/templates/{name}/quarantine", tag = "templates", security(("token" = [])),
    params(GuildParam, NameParam),
    responses((status = 200, description = "Whether it is, and why", body = QuarantineBody), QuarantineProblems))]
pub(super) async fn get_quarantine(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesRead>,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
) -> Result<Json<QuarantineBody>, ApiError> {
    app.storage.get_template(guild.id, &name).await?.ok_or_else(|| unknown(&name))?;
    Ok(Json(app.dispatcher.quarantined(guild.id, &name).into()))
}

/// Lift a template's quarantine
///
/// It gets events again. One that is not quarantined is fine.
#[utoipa::path(delete, path = "/guilds/{guild_id}/templates/{name}/quarantine", tag = "templates", security(("token" = [])),
    params(GuildParam, NameParam),
    responses((status = 204, description = "It may run"), QuarantineProblems))]
pub(super) async fn lift_quarantine(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesWrite>,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
) -> Result<StatusCode, ApiError> {
    app.storage.get_template(guild.id, &name).await?.ok_or_else(|| unknown(&name))?;
    app.dispatcher.lift_quarantine(guild.id, &name);
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a template
///
/// With its history. What runs of it goes on to its end.
#[utoipa::path(delete, path = "/guilds/{guild_id}/templates/{name}", tag = "templates", security(("token" = [])),
    params(GuildParam, NameParam), responses((status = 204, description = "Deleted"), DeleteProblems))]
pub(super) async fn delete_template(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesWrite>,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
    _: NoIfMatch,
) -> Result<StatusCode, ApiError> {
    let guild = guild.id;
    to_the_end(async move {
        if !app.storage.delete_template(guild, &name, None).await? {
            return Err(unknown(&name));
        }
        app.dispatcher.template_removed(guild, &name).await;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// List the versions of a template
///
/// The last 20, the newest first; fewer where those of all templates of the guild are large.
#[utoipa::path(get, path = "/guilds/{guild_id}/templates/{name}/versions", tag = "templates",
    security(("token" = [])), params(GuildParam, NameParam),
    responses((status = 200, description = "The versions", body = VersionList), GetProblems))]
pub(super) async fn list_versions(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesRead>,
    TemplatePath(name): TemplatePath,
    _: NoQuery,
) -> Result<Json<VersionList>, ApiError> {
    let versions = app.storage.template_versions(guild.id, &name).await?;
    if versions.is_empty() {
        return Err(unknown(&name));
    }
    Ok(Json(VersionList { versions: versions.into_iter().map(Into::into).collect() }))
}

fn unknown(name: &TemplateName) -> ApiError {
    ApiError::new(Problem::NotFound, format!("this guild has no template `{name}`"))
}

fn summary(template: &TemplateInfo) -> Response {
    with_version(template, TemplateSummary::from(template))
}

/// `body` with the template's version as its tag.
fn with_version(template: &TemplateInfo, body: impl serde::Serialize) -> Response {
    ([(ETAG, format!("\"{}\"", template.version))], Json(body)).into_response()
}

/// Blanks are the only part of a name that a URL cannot hold.
fn location(guild: GuildId, name: &TemplateName) -> String {
    format!("/api/v1/guilds/{guild}/templates/{}", name.as_str().replace(' ', "%20"))
}

/// What can be stored of `body`, which `author` sent; `most_source` is in bytes.
fn draft(body: PutTemplate, author: Author, most_source: usize) -> Result<TemplateDraft, ApiError> {
    let bytes: usize = body.files.values().map(String::len).sum();
    if bytes > most_source {
        let detail = format!(
            "{bytes} bytes of source are more than a template may have ({most_source} bytes, all files together: \
             MAX_TEMPLATE_SOURCE)"
        );
        return Err(ApiError::new(Problem::TooLarge, detail));
    }
    if let Some(other) = body.language.filter(|language| language != LANGUAGE) {
        let other: String = other.chars().take(40).collect();
        let detail = format!("`language` is `{other}`: there is only `{LANGUAGE}`");
        return Err(ApiError::new(Problem::InvalidValue, detail));
    }
    // Templates of earlier years have theirs from the root on.
    let files = body.files.into_iter().map(|(path, text)| match path.strip_prefix('/') {
        Some(relative) => (relative.to_owned(), text),
        None => (path, text),
    });
    let draft = TemplateDraft {
        bundle: Arc::new(Bundle::new(files)?),
        events: read_events(&body.events)?,
        capabilities: read_capabilities(&body.capabilities)?,
        description: body.description,
        error_channel: body.error_channel,
        paused: body.paused,
        author: Some(author),
    };
    draft.check()?;
    Ok(draft)
}

fn patch(body: PatchTemplate, author: Author) -> Result<TemplatePatch, ApiError> {
    let patch = TemplatePatch {
        events: body.events.as_deref().map(read_events).transpose()?,
        capabilities: body.capabilities.as_deref().map(read_capabilities).transpose()?,
        description: body.description,
        error_channel: body.error_channel,
        paused: body.paused,
        author: Some(author),
    };
    patch.check()?;
    Ok(patch)
}

fn read_events(texts: &[String]) -> Result<Vec<EventFilter>, ApiError> {
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

fn read_capabilities(texts: &[String]) -> Result<Capabilities, ApiError> {
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: serde_json::Value) -> ApiError {
        draft(serde_json::from_value(body).unwrap(), Author::token("deploy"), 1000).unwrap_err()
    }

    #[test]
    fn what_is_wrong_with_a_template_has_a_code_of_its_own() {
        let with = |path: &str, source: &str, events: &[&str], capabilities: &[&str]| {
            refused(
                serde_json::json!({"files": {path: source}, "events": events, "capabilities": capabilities}),
            )
        };
        let cases = [
            (with("../init.luau", "", &[], &[]), Problem::InvalidPath, "../init.luau"),
            (with("//etc/passwd", "", &[], &[]), Problem::InvalidPath, "/etc/passwd"),
            (with("lib.luau", "", &[], &[]), Problem::NoEntry, "init.luau"),
            (with("init.luau", &" ".repeat(1001), &[], &[]), Problem::TooLarge, "1000 bytes"),
            (with("init.luau", "", &["MESAGE_CREATE"], &[]), Problem::UnknownEvent, "`MESSAGE_CREATE`?"),
            (with("init.luau", "", &["KeyExpiry[]"], &[]), Problem::InvalidValue, "scope"),
            (with("init.luau", "", &[], &["kv:gett:x"]), Problem::UnknownCapability, "kv:get"),
            (with("init.luau", "", &["Discord"; 200], &[]), Problem::InvalidValue, "200 events"),
        ];
        let twice = serde_json::json!({"init.luau": "", "/init.luau": ""});
        let twice = refused(serde_json::json!({"files": twice, "events": []}));
        let language = serde_json::json!({"files": {"init.luau": ""}, "events": [], "language": "lua"});
        let more = [
            (twice, Problem::InvalidValue, "`init.luau` is there twice"),
            (refused(language), Problem::InvalidValue, "`language` is `lua`: there is only `luau`"),
        ];
        for (error, problem, text) in cases.into_iter().chain(more) {
            assert_eq!(error.problem(), problem, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_name_with_blanks_has_a_location_without() {
        let (guild, name) = (GuildId::new(1).unwrap(), "Join raid v1.2".parse().unwrap());
        assert_eq!(location(guild, &name), "/api/v1/guilds/1/templates/Join%20raid%20v1.2");
    }
}
