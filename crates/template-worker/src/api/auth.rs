//! Who sends a request, and whether they may: bearer tokens, admins, guilds and rights.
//!
//! Owns the only doors to a handler: [`Admin`], [`Guild`], and [`GuildForAdmin`]. A handler gets the id of a guild from the
//! latter two alone, so that none can forget to ask. What is for a guild counts among its requests from then on, whoever sent
//! it; but for what only admins may do, which has to be possible while the guild has too many. Tokens, their hashes and their rights are `storage`'s business.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use super::admission::Place;
use super::error::ApiError;
use super::extract::path_part;
use super::problem::Problem;
use crate::app::App;
use crate::ids::{GuildId, TokenId};
use crate::storage::{Right, Storage, Token, TokenHash, TokenOwner};

/// How a token is asked for.
const CHALLENGE: &str = "Bearer realm=\"template-worker\"";
/// How a token is asked for after one that is no good.
const CHALLENGE_AFTER_FAILURE: &str = "Bearer realm=\"template-worker\", error=\"invalid_token\"";

/// An admin sent the request.
pub(super) struct Admin {
    /// The token that they used.
    pub(super) token: TokenId,
}

/// The guild in the path; whoever sent the request has the right `R` there.
pub(super) struct Guild<R> {
    /// The guild.
    pub(super) id: GuildId,
    /// Whether an admin sent the request, who may do more than any right allows.
    pub(super) by_admin: bool,
    /// What the token is called that they used.
    pub(super) token: String,
    /// The request's place, which is one of the guild's.
    pub(super) place: Place,
    right: PhantomData<R>,
}

/// The guild in the path; an admin sent the request.
pub(super) struct GuildForAdmin(pub(super) GuildId);

/// A right, as a type: what a handler demands stands in its signature.
pub(super) trait Needs {
    /// The right.
    const RIGHT: Right;
}

macro_rules! rights {
    ($($right:ident),+) => { $(
        /// The right of this name.
        pub(super) enum $right {}

        impl Needs for $right {
            const RIGHT: Right = Right::$right;
        }
    )+ };
}

rights!(TemplatesRead, TemplatesWrite, EventsDispatch, VmManage, KvRead, KvWrite, SecretsWrite);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = authenticate(&parts.headers, &*app.storage).await?;
        demand_admin(&token.owner)?;
        Ok(Self { token: token.id })
    }
}

impl<R: Needs> FromRequestParts<Arc<App>> for Guild<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = authenticate(&parts.headers, &*app.storage).await?;
        let id = path_part(parts, "guild_id", Problem::InvalidGuildId).await?;
        demand(&token.owner, id, R::RIGHT)?;
        let place = Place::of(parts)?;
        place.is_for(id)?;
        let by_admin = token.owner == TokenOwner::Admin;
        Ok(Self { id, by_admin, token: token.name, place, right: PhantomData })
    }
}

impl FromRequestParts<Arc<App>> for GuildForAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Admin::from_request_parts(parts, app).await?;
        path_part(parts, "guild_id", Problem::InvalidGuildId).await.map(Self)
    }
}

/// The token that the request came with.
async fn authenticate(headers: &HeaderMap, storage: &dyn Storage) -> Result<Token, ApiError> {
    let secret = bearer(headers)?;
    let found = storage.find_token_by_hash(&TokenHash::of(secret)).await?;
    found.ok_or_else(|| {
        let detail = "the token is unknown, expired or revoked; ask an admin for a new one, or make one where the service \
                      runs: `template-worker token create --admin`";
        ApiError::new(Problem::Unauthorized, detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE_AFTER_FAILURE))
    })
}

/// The secret in `Authorization: Bearer <secret>`.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let only = values.next().filter(|_| values.next().is_none());
    let split = only.and_then(|value| value.to_str().ok()?.split_once(' '));
    let secret =
        split.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, text)| text.trim());
    secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
        let detail =
            "send a token as `Authorization: Bearer <token>`; the first start of the service printed one, and \
             `template-worker token create --admin` makes another";
        ApiError::new(Problem::Unauthorized, detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))
    })
}

fn demand_admin(owner: &TokenOwner) -> Result<(), ApiError> {
    match owner {
        TokenOwner::Admin => Ok(()),
        TokenOwner::Guild { .. } => Err(admin_only("this needs the token of an admin")),
    }
}

/// A refusal of what only admins may do; `detail` says what that is.
pub(super) fn admin_only(detail: impl Into<String>) -> ApiError {
    ApiError::new(Problem::AdminOnly, detail)
}

/// Whether `owner` may do what needs `right` in `guild`. Nobody learns here whether another guild exists.
fn demand(owner: &TokenOwner, guild: GuildId, right: Right) -> Result<(), ApiError> {
    match owner {
        TokenOwner::Admin => Ok(()),
        TokenOwner::Guild { guild: own, .. } if *own != guild => {
            Err(ApiError::new(Problem::NotFound, "there is no guild of this id that this token may see"))
        }
        TokenOwner::Guild { rights, .. } if !rights.contains(&right) => {
            let detail = format!("this token lacks the right `{right}`; ask an admin for one that has it");
            Err(ApiError::new(Problem::MissingRight, detail))
        }
        TokenOwner::Guild { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(id: u64) -> GuildId {
        GuildId::new(id).unwrap()
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_token_comes_as_a_bearer_whatever_the_case_of_the_word() {
        for fine in ["Bearer tw_x", "bearer tw_x", "BEARER  tw_x"] {
            assert_eq!(bearer(&headers(&[fine])).unwrap(), "tw_x", "{fine}");
        }
        for wrong in [&[][..], &["tw_x"], &["Basic tw_x"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(wrong)).unwrap_err().problem(), Problem::Unauthorized, "{wrong:?}");
        }
    }

    #[test]
    fn an_admin_may_do_everything_and_a_guild_what_it_has_the_right_to() {
        let owner = TokenOwner::Guild { guild: guild(1), rights: [Right::TemplatesRead].into() };
        assert!(demand(&TokenOwner::Admin, guild(7), Right::VmManage).is_ok());
        assert!(demand(&owner, guild(1), Right::TemplatesRead).is_ok());
        let error = demand(&owner, guild(1), Right::TemplatesWrite).unwrap_err();
        assert_eq!(error.problem(), Problem::MissingRight);
        assert!(error.to_string().contains("`templates:write`"), "{error}");
        assert_eq!(demand_admin(&owner).unwrap_err().problem(), Problem::AdminOnly);
        assert!(demand_admin(&TokenOwner::Admin).is_ok());
    }

    #[test]
    fn a_token_of_another_guild_learns_nothing_also_where_it_lacks_the_right() {
        let with = TokenOwner::Guild { guild: guild(1), rights: Right::ALL.into() };
        let without = TokenOwner::Guild { guild: guild(1), rights: [].into() };
        for owner in [with, without] {
            let error = demand(&owner, guild(2), Right::TemplatesRead).unwrap_err();
            assert_eq!(error.problem(), Problem::NotFound);
            assert_eq!(error.to_string(), "there is no guild of this id that this token may see");
        }
    }
}
