//! Access tokens, for admins: list, make, revoke.
//!
//! Owns that a secret is shown once. How secrets are made and kept is `storage`'s business.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use time::{OffsetDateTime, UtcOffset};

use super::auth::Admin;
use super::error::ApiError;
use super::extract::{JsonBody, NoQuery, TokenPath};
use super::openapi::TokenParam;
use super::problem::{Problem, problems};
use super::types::{NewToken, OwnerBody, TokenBody, TokenList, TokenWithSecret};
use crate::app::App;
use crate::ids::TokenId;
use crate::storage::{Token, TokenOwner, TokenSecret};

/// Most bytes in the name of a token.
const MAX_NAME_BYTES: usize = 100;

problems!(ListProblems: ANY | FOR_ADMINS);
problems!(CreateProblems: ANY | FOR_ADMINS | WITH_BODY, UnknownRight, InvalidValue);
problems!(RevokeProblems: ANY | FOR_ADMINS, InvalidTokenId, NotFound);

/// List tokens
///
/// Also expired and revoked ones, the oldest first, without their secrets.
#[utoipa::path(get, path = "/tokens", tag = "tokens", security(("token" = [])),
    responses((status = 200, description = "The tokens", body = TokenList), ListProblems))]
pub(super) async fn list_tokens(
    State(app): State<Arc<App>>,
    _: Admin,
    _: NoQuery,
) -> Result<Json<TokenList>, ApiError> {
    let tokens = app.storage.list_tokens().await?;
    Ok(Json(TokenList { tokens: tokens.into_iter().map(TokenBody::from).collect() }))
}

/// Make a token
///
/// Its secret is in the answer, and never shown again.
#[utoipa::path(post, path = "/tokens", tag = "tokens", security(("token" = [])), request_body = NewToken,
    responses((status = 201, description = "Made", body = TokenWithSecret), CreateProblems))]
pub(super) async fn create_token(
    State(app): State<Arc<App>>,
    admin: Admin,
    _: NoQuery,
    JsonBody(body): JsonBody<NewToken>,
) -> Result<Response, ApiError> {
    let token = token(body, OffsetDateTime::now_utc())?;
    let secret = TokenSecret::generate().map_err(ApiError::internal)?;
    app.storage.insert_token(&token, &secret.hash()).await?;
    tracing::info!(token = %token.id, by = %admin.token, "made a token");
    let body = TokenWithSecret { token: token.into(), secret: secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// Revoke a token
///
/// It is useless from now on. Again is fine.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", security(("token" = [])), params(TokenParam),
    responses((status = 204, description = "Revoked"), RevokeProblems))]
pub(super) async fn revoke_token(
    State(app): State<Arc<App>>,
    admin: Admin,
    TokenPath(id): TokenPath,
    _: NoQuery,
) -> Result<StatusCode, ApiError> {
    if !app.storage.revoke_token(id).await? {
        return Err(ApiError::new(Problem::NotFound, format!("there is no token {id}")));
    }
    tracing::info!(token = %id, by = %admin.token, "revoked a token");
    Ok(StatusCode::NO_CONTENT)
}

/// The token that `body` asks for, made at `now`.
fn token(body: NewToken, now: OffsetDateTime) -> Result<Token, ApiError> {
    let invalid = |detail: String| Err(ApiError::new(Problem::InvalidValue, detail));
    if !(1..=MAX_NAME_BYTES).contains(&body.name.len()) || body.name.chars().any(char::is_control) {
        return invalid(format!("`name` must have 1 to {MAX_NAME_BYTES} bytes, and no control characters"));
    }
    if body.expires_at.is_some_and(|end| end <= now) {
        return invalid(
            "`expires_at` is in the past: leave it out for a token that never expires".to_owned(),
        );
    }
    let owner = match body.owner {
        OwnerBody::Admin(_) => TokenOwner::Admin,
        OwnerBody::Guild(owner) if owner.rights.is_empty() => {
            return invalid(format!("`rights` is empty: a token for guild {} could do nothing", owner.guild));
        }
        OwnerBody::Guild(owner) => {
            let rights =
                owner.rights.iter().map(|right| right.parse()).collect::<Result<BTreeSet<_>, _>>()?;
            TokenOwner::Guild { guild: owner.guild, rights }
        }
    };
    Ok(Token {
        id: TokenId::fresh(),
        name: body.name,
        owner,
        created_at: as_stored(now),
        expires_at: body.expires_at.map(as_stored),
        revoked_at: None,
    })
}

/// The time as storage gives it back: in UTC, in microseconds.
fn as_stored(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(UtcOffset::UTC);
    time.replace_microsecond(time.microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn asked(body: serde_json::Value) -> Result<Token, ApiError> {
        token(serde_json::from_value(body).unwrap(), datetime!(2026-01-01 00:00:00.123456789 UTC))
    }

    #[test]
    fn a_token_is_made_as_asked_and_in_utc() {
        let body = json!({"name": "a", "owner": "admin", "expires_at": "2026-06-01T02:00:00+02:00"});
        let token = asked(body).unwrap();
        assert_eq!(token.owner, TokenOwner::Admin);
        assert_eq!(token.created_at, datetime!(2026-01-01 00:00:00.123456 UTC));
        assert_eq!(token.expires_at.map(|end| end.to_string()).unwrap(), "2026-06-01 0:00:00.0 +00:00:00");
    }

    #[test]
    fn a_token_that_makes_no_sense_is_refused() {
        let rights = |rights: &[&str]| json!({"name": "a", "owner": {"guild": "1", "rights": rights}});
        assert!(asked(rights(&["templates:read"])).is_ok());
        let unknown = asked(rights(&["template:read"])).unwrap_err();
        assert_eq!(unknown.problem(), Problem::UnknownRight);
        assert!(unknown.to_string().contains("did you mean `templates:read`?"), "{unknown}");
        for wrong in [
            rights(&[]),
            json!({"name": "", "owner": "admin"}),
            json!({"name": "a\nb", "owner": "admin"}),
            json!({"name": "x".repeat(101), "owner": "admin"}),
            json!({"name": "a", "owner": "admin", "expires_at": "2020-01-01T00:00:00Z"}),
        ] {
            assert_eq!(asked(wrong.clone()).unwrap_err().problem(), Problem::InvalidValue, "{wrong}");
        }
    }
}
