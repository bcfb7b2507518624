//! A guild's VM: how it is, destroying it, and the actions on it.
//!
//! Owns which actions the API takes and from whom. What an action does is `vm`'s business.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::admission::Place;
use super::auth::{Guild, VmManage, admin_only};
use super::error::ApiError;
use super::extract::{JsonBody, NoQuery};
use super::openapi::GuildParam;
use super::problem::{Problem, problems};
use super::threads::unknown;
use super::types::{EscapeBody, VmActionBody, VmActionResult, VmBody};
use crate::app::App;
use crate::ids::GuildId;
use crate::vm::process::escape::Escape;
use crate::vm::{LuaVmAction, LuaVmResult};

problems!(VmProblems: ANY | IN_GUILD | OF_DISPATCH);
problems!(ActionProblems: ANY | IN_GUILD | WITH_BODY | OF_DISPATCH, AdminOnly, DrillsDisabled, NoVm, VmBroken, Refused);

/// See how the VM is
///
/// A guild has no VM until an event needs one; its state is `absent` then.
#[utoipa::path(get, path = "/guilds/{guild_id}/vm", tag = "vm", security(("token" = [])), params(GuildParam),
    responses((status = 200, description = "How it is", body = VmBody), VmProblems))]
pub(super) async fn get_vm(
    State(app): State<Arc<App>>,
    guild: Guild<VmManage>,
    _: NoQuery,
) -> Result<Json<VmBody>, ApiError> {
    Ok(Json(app.dispatcher.vm_status(guild.id).await?.into()))
}

/// Destroy the VM
///
/// What runs in it ends as `vm_broken`; the next event makes a fresh one. A guild without a VM is fine.
#[utoipa::path(delete, path = "/guilds/{guild_id}/vm", tag = "vm", security(("token" = [])), params(GuildParam),
    responses((status = 204, description = "There is no VM any more"), VmProblems))]
pub(super) async fn delete_vm(
    State(app): State<Arc<App>>,
    guild: Guild<VmManage>,
    _: NoQuery,
) -> Result<StatusCode, ApiError> {
    stop(&app, guild.id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Stops the guild's VM, where there is one.
pub(super) async fn stop(app: &App, guild: GuildId) -> Result<(), ApiError> {
    match app.dispatcher.act(guild, LuaVmAction::Stop).await? {
        // A VM that broke before it could stop is as gone.
        LuaVmResult::Done | LuaVmResult::Absent | LuaVmResult::Broken { .. } => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// Do something with the VM
///
/// `move` is for admins: what runs has `server.drain_time_ms` to end, what comes meanwhile waits, and the answer comes when
/// the guild is there. `panic` is a drill for admins, and needs `[drills] enabled = true` in the configuration.
#[utoipa::path(post, path = "/guilds/{guild_id}/vm/actions", tag = "vm", security(("token" = [])),
    params(GuildParam), request_body = VmActionBody,
    responses((status = 200, description = "What it came to", body = VmActionResult), ActionProblems))]
pub(super) async fn act_on_vm(
    State(app): State<Arc<App>>,
    Extension(place): Extension<Place>,
    guild: Guild<VmManage>,
    _: NoQuery,
    JsonBody(body): JsonBody<VmActionBody>,
) -> Result<Json<VmActionResult>, ApiError> {
    let action = match body {
        VmActionBody::Move { thread } => {
            if !guild.by_admin {
                return Err(admin_only(
                    "where a guild lives is the operator's business: it needs the token of an admin",
                ));
            }
            // It only waits: others are not to be kept from being served.
            place.give_back();
            let within = app.config.server.drain_time();
            let moved = app.dispatcher.move_guild(guild.id, thread, within).await;
            return moved.map(|()| Json(VmActionResult::Done)).map_err(|_| unknown(thread));
        }
        VmActionBody::Stop {} => LuaVmAction::Stop,
        VmActionBody::GetMemoryUsage {} => LuaVmAction::GetMemoryUsage,
        VmActionBody::SetMemoryLimit { limit } => LuaVmAction::SetMemoryLimit { limit },
        VmActionBody::ClearCache { template } => LuaVmAction::ClearCache { template },
        VmActionBody::CollectGarbage {} => LuaVmAction::CollectGarbage,
        VmActionBody::Panic { place } => {
            check_drill(guild.by_admin, app.config.drills.enabled)?;
            LuaVmAction::Panic { place }
        }
        VmActionBody::Escape { attempt } => {
            check_drill(guild.by_admin, app.config.drills.enabled)?;
            LuaVmAction::Escape { attempt }
        }
    };
    let is_drill = matches!(action, LuaVmAction::Panic { .. });
    answer(app.dispatcher.act(guild.id, action).await?, is_drill).map(Json)
}

fn check_drill(by_admin: bool, enabled: bool) -> Result<(), ApiError> {
    if !by_admin {
        return Err(admin_only("a drill may hurt every guild on the thread: it needs the token of an admin"));
    }
    if !enabled {
        let detail = "drills are switched off; set `enabled = true` under `[drills]` in the configuration";
        return Err(ApiError::new(Problem::DrillsDisabled, detail));
    }
    Ok(())
}

/// What the client is told of `result`. A drill that broke the VM did what it is for.
fn answer(result: LuaVmResult, is_drill: bool) -> Result<VmActionResult, ApiError> {
    match result {
        LuaVmResult::Done => Ok(VmActionResult::Done),
        LuaVmResult::Broken { .. } if is_drill => Ok(VmActionResult::Done),
        LuaVmResult::MemoryUsage { used, limit } => Ok(VmActionResult::MemoryUsage { used, limit }),
        LuaVmResult::Escape(Escape::Refused(how)) => Ok(VmActionResult::Escape(EscapeBody::Refused(how))),
        LuaVmResult::Escape(Escape::Succeeded(how)) => Ok(VmActionResult::Escape(EscapeBody::Succeeded(how))),
        LuaVmResult::Absent => Err(ApiError::new(
            Problem::NoVm,
            "the guild has no VM; the next event that a template gets makes one",
        )),
        LuaVmResult::Broken { reason } => {
            let detail = format!("{reason}; the next event makes a fresh VM");
            Err(ApiError::new(Problem::VmBroken, detail))
        }
        LuaVmResult::Refused { reason } => Err(ApiError::new(Problem::Refused, reason)),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(result: &LuaVmResult) -> ApiError {
    ApiError::internal(format!("the VM gave an answer to something else: {result:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_needs_an_admin_and_the_configuration() {
        let refusal = |by_admin, enabled| check_drill(by_admin, enabled).err().map(|error| error.problem());
        assert_eq!(refusal(true, true), None);
        assert_eq!(refusal(true, false), Some(Problem::DrillsDisabled));
        assert_eq!(refusal(false, true), Some(Problem::AdminOnly));
        assert_eq!(refusal(false, false), Some(Problem::AdminOnly));
    }

    #[test]
    fn every_result_has_an_answer() {
        let problem = |result, is_drill| answer(result, is_drill).err().map(|error| error.problem());
        let broken = || LuaVmResult::Broken { reason: "out of memory".to_owned() };
        assert_eq!(problem(LuaVmResult::Done, false), None);
        assert_eq!(problem(LuaVmResult::MemoryUsage { used: 1, limit: 2 }, false), None);
        assert_eq!(problem(LuaVmResult::Absent, false), Some(Problem::NoVm));
        assert_eq!(problem(broken(), false), Some(Problem::VmBroken));
        assert_eq!(problem(broken(), true), None);
        assert_eq!(problem(LuaVmResult::Refused { reason: String::new() }, false), Some(Problem::Refused));
    }
}
