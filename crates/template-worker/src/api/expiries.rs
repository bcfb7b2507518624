//! Keys that expire: which are due, which could not be told of, and trying these again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::{Guild, KvRead, KvWrite};
use super::error::ApiError;
use super::extract::{NoQuery, QueryOf, RecordPath};
use super::openapi::{GuildParam, RecordParam};
use super::problem::{Problem, problems};
use super::types::ExpiryPage;
use crate::app::App;

/// Expiries of a page where the client doesn't say.
const DEFAULT_PAGE: u32 = 50;
/// Most expiries of a page.
const LARGEST_PAGE: u32 = 100;

problems!(ListExpiriesProblems: ANY | IN_GUILD);
problems!(RetryProblems: ANY | IN_GUILD, GuildBusy);

/// Which page of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Most expiries on the page: 1 to 100, otherwise 50.
    #[param(minimum = 1, maximum = 100, example = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; the first page where it is left out.
    cursor: Option<String>,
}

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
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("`limit` is {limit}: use a value from 1 to {LARGEST_PAGE}");
        return Err(ApiError::new(Problem::InvalidQuery, detail));
    }
    let after = page.cursor.as_deref().map(place_of_cursor).transpose()?;
    // One more than asked for tells whether this is the last page.
    let mut expiries = app.storage.expiries(guild.id, after, limit + 1, app.clock.now()).await?;
    let more = expiries.len() > limit as usize;
    expiries.truncate(limit as usize);
    let next_cursor = expiries.last().filter(|_| more).map(|last| cursor_of(last.cursor));
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

/// Cursors look like nothing in particular, so that nobody builds their own.
fn cursor_of((time, seq): (i64, i64)) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{time}.{seq}"))
}

fn place_of_cursor(cursor: &str) -> Result<(i64, i64), ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.and_then(|bytes| {
        let text = String::from_utf8(bytes).ok()?;
        let (time, seq) = text.split_once('.')?;
        Some((time.parse().ok()?, seq.parse().ok()?))
    });
    place.ok_or_else(|| {
        ApiError::new(Problem::InvalidQuery, "`cursor` is not the `next_cursor` of another page")
    })
}
