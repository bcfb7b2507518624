//! The secret half of an access token, and the hash that is kept of it.
//!
//! Owns that a secret is unguessable, never shown by accident, and compared in constant time.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What generated secrets start with, so that scanners for leaked secrets find them.
const PREFIX: &str = "tw_";
/// Least bytes of a secret that an operator chose.
const LEAST_BYTES: usize = 8;
/// Most bytes of a secret that an operator chose.
const MOST_BYTES: usize = 256;

/// What a client sends to prove who it is. Only [`TokenSecret::reveal`] shows it.
#[derive(Clone)]
pub struct TokenSecret(String);

/// SHA-256 of a secret: what is stored. A fast hash is enough, because a secret has 256 random bits; comparing is
/// constant-time.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The operating system has no random numbers.
    #[error("failed to make a token: the operating system gave no random bytes ({0})")]
    NoRandomness(getrandom::Error),
    /// The operator's own is too short, too long, or cannot stand in a header.
    #[error(
        "failed to take the token: expected {LEAST_BYTES} to {MOST_BYTES} visible ASCII characters without blanks; \
         `openssl rand -base64 32` makes a good one"
    )]
    Unfit,
}

impl TokenSecret {
    /// A new secret: `tw_` and 32 random bytes as 43 characters.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(SecretError::NoRandomness)?;
        Ok(Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// A secret that the operator chose.
    ///
    /// # Errors
    /// Where it is too short, too long, or cannot stand in a header.
    pub fn chosen(text: &str) -> Result<Self, SecretError> {
        let fit = (LEAST_BYTES..=MOST_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fit { Ok(Self(text.to_owned())) } else { Err(SecretError::Unfit) }
    }

    /// The secret itself, to be shown once to whoever may have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

impl TokenHash {
    /// The hash of what a client sent.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The bytes, for storage.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_is_long_new_and_fit_for_a_header() {
        let (one, other) = (TokenSecret::generate().unwrap(), TokenSecret::generate().unwrap());
        assert!(one.reveal().starts_with("tw_"));
        assert_eq!(one.reveal().len(), 3 + 43);
        assert_ne!(one.reveal(), other.reveal());
        assert!(TokenSecret::chosen(one.reveal()).is_ok());
    }

    #[test]
    fn a_secret_and_its_hash_are_never_shown() {
        let secret = TokenSecret::chosen("correct-horse").unwrap();
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "TokenSecret(..) TokenHash(..)");
    }

    #[test]
    fn equal_secrets_have_equal_hashes_and_others_do_not() {
        let secret = TokenSecret::generate().unwrap();
        assert_eq!(secret.hash(), TokenHash::of(secret.reveal()));
        assert_ne!(secret.hash(), TokenHash::of("tw_"));
    }

    #[test]
    fn an_operators_own_secret_is_neither_short_nor_blank() {
        for unfit in
            ["", "short", "with blanks in it", "nön-äscii-text", "line\nbreak-here", &"x".repeat(257)]
        {
            let error = TokenSecret::chosen(unfit).unwrap_err().to_string();
            assert!(unfit.is_empty() || !error.contains(unfit), "{error}");
        }
    }
}
