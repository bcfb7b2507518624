//! What a guild may use, and setting some of it otherwise than for the others.
//!
//! Owns who may see and who may change it. Which limits there are, and which values make sense, is said in `limits`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::auth::{Guild, GuildForAdmin, TemplatesRead};
use super::error::ApiError;
use super::extract::{JsonBody, NoIfMatch, NoQuery};
use super::finish::to_the_end;
use super::openapi::GuildParam;
use super::problem::problems;
use super::types::{LimitsBody, OverridesBody};
use crate::app::App;

problems!(GetLimitsProblems: ANY | IN_GUILD);
problems!(PutLimitsProblems: ANY | FOR_ADMINS | WITH_BODY, InvalidGuildId, InvalidIfMatch, InvalidValue);

/// See what the guild may use
///
/// All of its limits, and which of them differ from those of the service.
#[utoipa::path(get, path = "/guilds/{guild_id}/limits", tag = "limits", security(("token" = [])), params(GuildParam),
    responses((status = 200, description = "Its limits", body = LimitsBody), GetLimitsProblems))]
pub(super) async fn get_limits(
    State(app): State<Arc<App>>,
    guild: Guild<TemplatesRead>,
    _: NoQuery,
) -> Json<LimitsBody> {
    let (effective, overrides) = (app.dispatcher.limits(guild.id), app.dispatcher.limit_overrides(guild.id));
    Json(LimitsBody::new(&effective, overrides))
}

/// Set which limits differ for the guild
///
/// Those that are named get the value given; all others are the service's again, so `{}` clears them. They count from the
/// next event on.
#[utoipa::path(put, path = "/guilds/{guild_id}/limits", tag = "limits", security(("token" = [])), params(GuildParam),
    request_body = OverridesBody,
    responses((status = 200, description = "Its limits from now on", body = LimitsBody), PutLimitsProblems))]
pub(super) async fn put_limits(
    State(app): State<Arc<App>>,
    GuildForAdmin(guild): GuildForAdmin,
    _: NoQuery,
    _: NoIfMatch,
    JsonBody(OverridesBody(overrides)): JsonBody<OverridesBody>,
) -> Result<Json<LimitsBody>, ApiError> {
    to_the_end(async move {
        let effective = app.dispatcher.set_limits(guild, overrides.clone()).await?;
        Ok(Json(LimitsBody::new(&effective, overrides)))
    })
    .await
}
