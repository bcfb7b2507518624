//! Secrets of a guild: put in, listed by name, removed.
//!
//! Owns that a value goes in and never comes out. What a secret may look like, and how it is kept, is said in
//! `host::secrets`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::auth::{Guild, SecretsWrite};
use super::error::ApiError;
use super::extract::{JsonBody, NoIfMatch, NoQuery, SecretPath};
use super::finish::to_the_end;
use super::openapi::{GuildParam, SecretParam};
use super::problem::{Problem, problems};
use super::types::{NewSecret, SecretBody, SecretList};
use crate::app::App;
use crate::host::secrets::SecretsError;
use crate::storage::{StorageError, Written};

problems!(ListProblems: ANY | IN_GUILD);
problems!(PutProblems: ANY | IN_GUILD | WITH_BODY, InvalidIfMatch, InvalidValue, TooManySecrets);
problems!(DeleteProblems: ANY | IN_GUILD, InvalidIfMatch);

/// List secrets
///
/// By name, with the hosts that they are for. Their values are never shown.
#[utoipa::path(get, path = "/guilds/{guild_id}/secrets", tag = "secrets", security(("token" = [])), params(GuildParam),
    responses((status = 200, description = "The secrets", body = SecretList), ListProblems))]
pub(super) async fn list_secrets(
    State(app): State<Arc<App>>,
    guild: Guild<SecretsWrite>,
    _: NoQuery,
) -> Result<Json<SecretList>, ApiError> {
    let secrets = app.vault.list(guild.id).await?;
    Ok(Json(SecretList { secrets: secrets.into_iter().map(SecretBody::from).collect() }))
}

/// Keep a secret
///
/// In place of one with its name. A template that has the capability `secrets:{name}` can put it into requests to these
/// hosts, as `{{secret:NAME}}`, and never sees it. It is sent by https alone, but for hosts whose address the operator has
/// fixed.
#[utoipa::path(put, path = "/guilds/{guild_id}/secrets/{name}", tag = "secrets", security(("token" = [])),
    params(GuildParam, SecretParam), request_body = NewSecret,
    responses((status = 200, description = "Replaced", body = SecretBody),
        (status = 201, description = "Created", body = SecretBody), PutProblems))]
pub(super) async fn put_secret(
    State(app): State<Arc<App>>,
    guild: Guild<SecretsWrite>,
    SecretPath(name): SecretPath,
    _: NoQuery,
    _: NoIfMatch,
    JsonBody(body): JsonBody<NewSecret>,
) -> Result<Response, ApiError> {
    let guild = guild.id;
    to_the_end(async move {
        let (secret, written) = app.vault.put(guild, &name, &body.value, &body.hosts).await?;
        tracing::info!(%guild, secret = name, "kept a secret");
        let status = if written == Written::Created { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, Json(SecretBody::from(secret))).into_response())
    })
    .await
}

/// Remove a secret
///
/// Requests that need it fail from now on.
#[utoipa::path(delete, path = "/guilds/{guild_id}/secrets/{name}", tag = "secrets", security(("token" = [])),
    params(GuildParam, SecretParam), responses((status = 204, description = "Removed"), DeleteProblems))]
pub(super) async fn delete_secret(
    State(app): State<Arc<App>>,
    guild: Guild<SecretsWrite>,
    SecretPath(name): SecretPath,
    _: NoQuery,
    _: NoIfMatch,
) -> Result<StatusCode, ApiError> {
    if !app.vault.delete(guild.id, &name).await? {
        return Err(ApiError::new(Problem::NotFound, "the guild has no secret of this name"));
    }
    tracing::info!(guild = %guild.id, secret = name, "removed a secret");
    Ok(StatusCode::NO_CONTENT)
}

impl From<SecretsError> for ApiError {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Name | SecretsError::Value | SecretsError::Hosts | SecretsError::Host { .. } => {
                Self::from_text(Problem::InvalidValue, &error)
            }
            SecretsError::Storage(StorageError::TooManySecrets { .. }) => {
                Self::from_text(Problem::TooManySecrets, &error)
            }
            SecretsError::Storage(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
