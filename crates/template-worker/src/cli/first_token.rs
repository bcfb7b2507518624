//! The admin token that a start brings with it: the operator's own, or on the very first start one that is made.
//!
//! Owns when a token is made. Keeping it is `storage`'s business, printing it that of `banner`.

use anyhow::Context;
use time::OffsetDateTime;

use crate::ids::TokenId;
use crate::storage::{Storage, Token, TokenHash, TokenOwner, TokenSecret};

use super::console::Failure;

/// The variable as it is called in texts; `config` reads it.
pub(super) const VARIABLE: &str = "TEMPLATE_WORKER_ADMIN_TOKEN";

/// What a caller of this start can use.
#[derive(Debug)]
pub(super) enum AdminToken {
    /// The first start: made now, never to be shown again.
    Generated(TokenSecret),
    /// The operator's own, which was stored before or is now.
    Chosen {
        /// Whether this start stored it.
        added: bool,
    },
    /// Tokens were made before.
    Known {
        /// Whether one of them is an admin's and can still be used.
        usable: bool,
    },
}

/// Makes sure that the store has the `chosen` token, or on the first start some token.
pub(super) async fn ensure(storage: &dyn Storage, chosen: Option<&str>) -> anyhow::Result<AdminToken> {
    if let Some(chosen) = chosen {
        return ensure_chosen(storage, chosen).await;
    }
    if storage.count_tokens().await? > 0 {
        let now = OffsetDateTime::now_utc();
        let tokens = storage.list_tokens().await?;
        let usable = tokens.iter().any(|token| token.owner == TokenOwner::Admin && token.is_live(now));
        return Ok(AdminToken::Known { usable });
    }
    let secret = TokenSecret::generate()?;
    storage.insert_token(&admin("first start"), &secret.hash()).await?;
    Ok(AdminToken::Generated(secret))
}

async fn ensure_chosen(storage: &dyn Storage, chosen: &str) -> anyhow::Result<AdminToken> {
    let secret = TokenSecret::chosen(chosen).with_context(|| format!("failed to use {VARIABLE}"))?;
    let hash: TokenHash = secret.hash();
    match storage.find_token_by_hash(&hash).await? {
        Some(token) if token.owner == TokenOwner::Admin => Ok(AdminToken::Chosen { added: false }),
        Some(_) => Err(Failure::new(
            format!("failed to use {VARIABLE}: it is the token of a guild"),
            "choose another one; `openssl rand -base64 32` makes a good one",
        )
        .into()),
        None => {
            storage.insert_token(&admin(VARIABLE), &hash).await.map_err(|source| {
                Failure::new(
                    format!("failed to store the token of {VARIABLE}"),
                    "if it expired or was revoked before, choose another one",
                )
                .because(source)
            })?;
            Ok(AdminToken::Chosen { added: true })
        }
    }
}

fn admin(name: &str) -> Token {
    Token {
        id: TokenId::fresh(),
        name: name.to_owned(),
        owner: TokenOwner::Admin,
        created_at: OffsetDateTime::now_utc(),
        expires_at: None,
        revoked_at: None,
    }
}

/// Whether any token can be used: without one, nobody may be listened to but this machine.
pub(super) async fn any_usable(storage: &dyn Storage) -> anyhow::Result<bool> {
    let now = OffsetDateTime::now_utc();
    Ok(storage.list_tokens().await?.iter().any(|token| token.is_live(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::SqliteStorage;

    #[tokio::test]
    async fn the_first_start_makes_a_token_and_the_second_does_not() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        let first = ensure(&storage, None).await.unwrap();
        let AdminToken::Generated(secret) = first else { panic!("{first:?}") };
        let stored = storage.find_token_by_hash(&secret.hash()).await.unwrap().unwrap();
        assert_eq!(stored.owner, TokenOwner::Admin);
        assert!(any_usable(&storage).await.unwrap());

        let second = ensure(&storage, None).await.unwrap();
        assert!(matches!(second, AdminToken::Known { usable: true }), "{second:?}");
        assert_eq!(storage.count_tokens().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_chosen_token_is_stored_once_also_beside_others() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        for (chosen, new) in [("one-of-my-own", true), ("one-of-my-own", false), ("another-one", true)] {
            let token = ensure(&storage, Some(chosen)).await.unwrap();
            assert!(matches!(token, AdminToken::Chosen { added } if added == new), "{chosen}: {token:?}");
        }
        assert_eq!(storage.count_tokens().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_revoked_token_does_not_come_back_by_a_restart() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        ensure(&storage, Some("one-of-my-own")).await.unwrap();
        let id = storage.list_tokens().await.unwrap()[0].id;
        storage.revoke_token(id).await.unwrap();
        let error = ensure(&storage, Some("one-of-my-own")).await.unwrap_err();
        assert!(error.to_string().contains(VARIABLE), "{error:#}");
        assert!(!any_usable(&storage).await.unwrap());
        let without = ensure(&storage, None).await.unwrap();
        assert!(matches!(without, AdminToken::Known { usable: false }), "{without:?}");
    }

    #[tokio::test]
    async fn an_unfit_token_is_refused_without_being_shown() {
        let storage = SqliteStorage::in_memory().await.unwrap();
        let error = ensure(&storage, Some("a b c d e f")).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(VARIABLE) && !text.contains("a b c d e f"), "{text}");
        assert_eq!(storage.count_tokens().await.unwrap(), 0);
    }
}
