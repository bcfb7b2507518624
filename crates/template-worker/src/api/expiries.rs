//! Keys that expire: which are due, which could not be told of, and trying these again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::auth::{Guild, KvRead, KvWrite};
use super::error::ApiError;
use super::extract::{NoQuery, QueryOf, RecordPath};
use super::openapi::{GuildParam, RecordParam};
use super::paging::{self, Page};
use super::problem::{Problem, problems};
use super::types::ExpiryPage;
use crate::app::App;

problems!(ListExpiriesProblems: ANY | IN_GUILD);
problems!(RetryProblems: ANY | IN_GUILD);

/// List keys that expire
///
/// Ordered by their time, a page at a time: those first whose time has come, and of which templates could not be told.
#[utoipa::path(get, path = "/guilds/{guild_id}/expiries", tag = "kv", security(("token" = [])),
    params(GuildParam, Page),
    responses((status = 200, description = "A page of expiries", body = ExpiryPage), ListExpiriesProblems))]
pub(super) async fn list_expiries(
    State(app): State<Arc<App>>,
    guild: Guild<KvRead>,
    QueryOf(page): QueryOf<Page>,
) -> Result<Json<ExpiryPage>, ApiError> {
    let limit = page.limit()?;
    let mut expiries = app.storage.expiries(guild.id, page.after()?, limit + 1, app.clock.now()).await?;
    let next_cursor = paging::cut(&mut expiries, limit, |last| last.cursor);
    Ok(Json(ExpiryPage { expiries: expiries.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Tell templates again of a key that expired
///
/// At once, and with all attempts before it. For one that failed; those whose handlers run, or whose time has not come, are
/// not found.
#[utoipa::path(post, path = "/guilds/{guild_id}/expiries/{id}/retry", tag = "kv", security(("token" = [])),
    params(GuildParam, RecordParam),
    responses((status = 202, description = "It is due"), RetryProblems))]
pub(super) async fn retry_expiry(
    State(app): State<Arc<App>>,
    guild: Guild<KvWrite>,
    RecordPath(id): RecordPath,
    _: NoQuery,
) -> Result<StatusCode, ApiError> {
    let found = match &id {
        Some(id) => app.storage.retry_expiry(guild.id, id, app.clock.now()).await?,
        None => false,
    };
    if !found {
        let detail = "this guild has no key with this id of which templates could not be told";
        return Err(ApiError::new(Problem::NotFound, detail));
    }
    Ok(StatusCode::ACCEPTED)
}
