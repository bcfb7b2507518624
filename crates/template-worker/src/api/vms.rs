//! All VMs, for admins: listing them, and closing those that nobody uses.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Admin;
use super::error::ApiError;
use super::extract::QueryOf;
use super::problem::{Problem, problems};
use super::types::{Evicted, VmPage};
use crate::app::App;
use crate::ids::GuildId;

/// VMs of a page where the client doesn't say.
const DEFAULT_PAGE: usize = 50;
/// Most VMs of a page.
const LARGEST_PAGE: usize = 100;

problems!(VmsProblems: ANY | FOR_ADMINS);

/// Which page of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Most VMs on the page: 1 to 100, otherwise 50.
    #[param(minimum = 1, maximum = 100, example = 50)]
    limit: Option<usize>,
    /// `next_after` of the page before, or any guild; the first page where it is left out.
    #[param(value_type = Option<String>, example = "826535422381391913")]
    after: Option<GuildId>,
}

/// List the VMs
///
/// Ordered by guild, a page at a time, as each is at that moment. A thread that doesn't answer within seconds is left
/// out, and `complete` is false then.
#[utoipa::path(get, path = "/vms", tag = "threads", security(("token" = [])), params(Page),
    responses((status = 200, description = "A page of VMs", body = VmPage), VmsProblems))]
pub(super) async fn list_vms(
    State(app): State<Arc<App>>,
    _: Admin,
    QueryOf(page): QueryOf<Page>,
) -> Result<Json<VmPage>, ApiError> {
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("`limit` is {limit}: use a value from 1 to {LARGEST_PAGE}");
        return Err(ApiError::new(Problem::InvalidQuery, detail));
    }
    // One more than asked for tells whether this is the last page.
    let gathered = app.dispatcher.list_vms(page.after, limit + 1).await;
    let mut vms = gathered.all;
    let more = vms.len() > limit;
    vms.truncate(limit);
    Ok(Json(VmPage::new(vms, more, gathered.is_complete)))
}

/// Which VMs are idle.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Idle {
    /// Seconds in which nothing ran, waited or slept in it; 0 for every VM that has nothing to do now.
    #[param(example = 60)]
    idle_s: u64,
}

/// Close idle VMs
///
/// What their templates keep in variables is gone; the next event of each guild makes a fresh one.
#[utoipa::path(post, path = "/vms/evict-idle", tag = "threads", security(("token" = [])), params(Idle),
    responses((status = 200, description = "How many were closed", body = Evicted), VmsProblems))]
pub(super) async fn evict_idle(
    State(app): State<Arc<App>>,
    admin: Admin,
    QueryOf(idle): QueryOf<Idle>,
) -> Result<Json<Evicted>, ApiError> {
    let gathered = app.dispatcher.evict_idle(Duration::from_secs(idle.idle_s)).await;
    tracing::info!(vms = gathered.all, idle_s = idle.idle_s, by = %admin.token, "closed idle VMs");
    Ok(Json(Evicted { evicted: gathered.all, complete: gathered.is_complete }))
}
