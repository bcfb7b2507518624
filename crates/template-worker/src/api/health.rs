//! Whether the service lives, and whether it can do its work. For those who watch it; no token needed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::error::ApiError;
use super::problem::problems;
use super::types::Health;
use crate::app::App;
use crate::config::Strategy;
use crate::storage::StorageError;

problems!(ReadyProblems: ADMITTED, NotReady);

/// Whether the process answers
///
/// It does also while the service shuts down or has too much to do: a reason to restart it is that this fails.
#[utoipa::path(get, path = "/healthz", tag = "service",
    responses((status = 200, description = "It lives", body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether it can serve requests
///
/// The storage answers, there are threads for VMs, and the service neither shuts down nor has too much to do.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, description = "It is ready", body = Health), ReadyProblems))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    // That the service stops, or has too much to do, is found out before any request comes here.
    // A thread for each guild that has a VM may well be none.
    let needs_threads = app.config.vm.strategy != Strategy::ThreadPerGuild;
    readiness(app.storage.check().await, !needs_threads || app.dispatcher.can_take_guilds())
}

fn readiness(storage: Result<(), StorageError>, has_threads: bool) -> Result<Json<Health>, ApiError> {
    storage.map_err(ApiError::storage_not_ready)?;
    if !has_threads {
        return Err(ApiError::no_threads());
    }
    Ok(Json(Health { status: "ready" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Problem;

    #[test]
    fn it_is_ready_with_a_storage_that_answers_and_at_least_one_thread() {
        let refused = |storage, has_threads| readiness(storage, has_threads).unwrap_err();
        assert_eq!(readiness(Ok(()), true).unwrap().status, "ready");
        let no_threads = refused(Ok(()), false);
        assert_eq!(no_threads.problem(), Problem::NotReady);
        assert!(no_threads.to_string().contains("restart"), "{no_threads}");
        assert_eq!(refused(Err(StorageError::Failed("broken".into())), true).problem(), Problem::NotReady);
    }
}
