//! Secrets of guilds: values that templates can use and never see.
//!
//! Owns what a secret may look like, that it is stored sealed, and that it is put only into requests to the hosts that it
//! was given for, which nobody on the way can read: a template that may reach every host could otherwise send it to one of
//! its own, or show it to a network. Sending is up to `http`.
//!
//! A value that comes back verbatim is masked. That keeps honest mistakes out of logs; a host that wants to give a secret
//! away can, so a secret is only as safe as the hosts that it is for.

mod placeholders;
mod sealing;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

pub use sealing::{KeyError, Sealer, SealingKey};

use super::http::{HttpRequest, HttpResponse, Recipient, check_host};
use crate::ids::GuildId;
use crate::storage::{SealedSecret, Storage, StorageError, Written};

/// Secrets of a guild.
pub const MOST_SECRETS: usize = 64;
/// Bytes of a value. Shorter ones could not be told from ordinary text in an answer.
pub const VALUE_BYTES: std::ops::RangeInclusive<usize> = 8..=4096;
/// Hosts that a secret is for.
pub const MOST_HOSTS: usize = 16;
const MOST_NAME_BYTES: usize = 64;
/// What the key is used for here.
const PURPOSE: &str = "secrets of guilds";

/// Why something about secrets was not done. No text holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The name is none.
    #[error("the name of a secret is 1 to {MOST_NAME_BYTES} letters, digits and underscores")]
    Name,
    /// The value is none.
    #[error(
        "the value of a secret is a text of {} to {} bytes: shorter ones could not be told from ordinary text in an answer",
        VALUE_BYTES.start(), VALUE_BYTES.end()
    )]
    Value,
    /// The hosts are none, or too many.
    #[error("a secret is for 1 to {MOST_HOSTS} hosts, such as `api.example.com`: it is sent to no others")]
    Hosts,
    /// A host is none.
    #[error("`{host}` is not the name of a host: {why}")]
    Host {
        /// Its beginning.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A request needs a secret that the guild has not.
    #[error("there is no secret `{name}`: an admin of the guild can add it")]
    NoSuchSecret {
        /// Its name.
        name: String,
    },
    /// A placeholder stands in the URL.
    #[error(
        "a secret cannot stand in a URL, which is shown and logged on both sides: put it in a header or in the body"
    )]
    InUrl,
    /// A placeholder has another form.
    #[error("a secret is written `{{{{secret:{name}}}}}`, in this form and without blanks")]
    Misspelt {
        /// The secret.
        name: String,
    },
    /// A request would take a secret to where it is not for.
    #[error("the secret `{name}` is not for `{host}`: an admin of the guild can add the host to the secret")]
    NotForHost {
        /// The secret.
        name: String,
        /// Where the request goes.
        host: String,
    },
    /// A request would show its secrets to everybody on the way.
    #[error(
        "secrets are sent by https alone: over http everybody on the way to `{host}` could read them; let the URL begin \
         with `https://`"
    )]
    InClear {
        /// Where the request goes.
        host: String,
    },
    /// The request is too large with its secrets.
    #[error("the request has more than {limit} bytes once its secrets are filled in; use fewer")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A value cannot be read.
    #[error("the secret `{name}` was sealed with another key: an admin of the guild can put it again")]
    Unreadable {
        /// Its name.
        name: String,
    },
    /// The key cannot be used.
    #[error("secrets cannot be used at the moment: the operator of the service has to look at its key file")]
    Key(#[from] KeyError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A secret, open.
#[derive(Clone)]
struct Secret {
    name: String,
    value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, ..)", self.name)
    }
}

/// A secret as an admin of a guild sees it: without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// What templates call it.
    pub name: String,
    /// Where it may be sent.
    pub hosts: Vec<String>,
    /// When it was put.
    pub stored_at: OffsetDateTime,
}

impl From<SealedSecret> for SecretInfo {
    fn from(SealedSecret { name, hosts, stored_at, .. }: SealedSecret) -> Self {
        Self { name, hosts, stored_at }
    }
}

/// The secrets of all guilds.
#[derive(Clone)]
pub struct Vault {
    storage: Arc<dyn Storage>,
    key: Arc<KeyFile>,
}

/// The key file, and the key once it was needed.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    key: Mutex<Option<SealingKey>>,
}

impl KeyFile {
    /// The file at `path`, which is made when a key is needed first.
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, key: Mutex::default() })
    }

    /// The key, to open what was sealed.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn to_open(&self) -> Result<SealingKey, KeyError> {
        self.key(false)
    }

    /// The key, to seal with, be it a secret or anything else. A new one is made only while `storage` has no secrets: beside
    /// secrets that need an old one it would hide that the old one is missing.
    ///
    /// # Errors
    /// [`KeyError`], or where storage fails.
    pub async fn to_seal<E>(&self, storage: &dyn Storage) -> Result<SealingKey, E>
    where
        E: From<KeyError> + From<StorageError>,
    {
        let found = self.to_open();
        if matches!(found, Err(KeyError::Missing { .. })) && !storage.has_secrets().await? {
            return Ok(self.key(true)?);
        }
        Ok(found?)
    }

    fn key(&self, may_make: bool) -> Result<SealingKey, KeyError> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Ok(key.clone());
        }
        let key = match SealingKey::read(&self.path)? {
            Some(key) => key,
            None if may_make => SealingKey::make(&self.path)?,
            None => return Err(KeyError::Missing { path: self.path.clone() }),
        };
        Ok(known.insert(key).clone())
    }
}

/// What was filled into a request: to be masked in its answer.
#[derive(Debug, Default)]
pub struct Filled(Vec<Secret>);

impl Filled {
    /// Masks in `response` what was filled in.
    pub fn mask(&self, response: &mut HttpResponse) {
        placeholders::mask(response, &self.0);
    }
}

impl Vault {
    /// The secrets in `storage`, sealed with the key in `key`.
    pub fn new(storage: Arc<dyn Storage>, key: Arc<KeyFile>) -> Self {
        Self { storage, key }
    }

    /// Keeps a secret, in place of one with its name.
    ///
    /// # Errors
    /// Where name, value or hosts are none, or the guild has too many.
    pub async fn put(
        &self,
        guild: GuildId,
        name: &str,
        value: &str,
        hosts: &[String],
    ) -> Result<(SecretInfo, Written), SecretsError> {
        if !is_name(name) {
            return Err(SecretsError::Name);
        }
        if !VALUE_BYTES.contains(&value.len()) || value.contains('\0') {
            return Err(SecretsError::Value);
        }
        if !(1..=MOST_HOSTS).contains(&hosts.len()) {
            return Err(SecretsError::Hosts);
        }
        for host in hosts {
            let shown = || host.chars().take(80).collect();
            check_host(host).map_err(|why| SecretsError::Host { host: shown(), why })?;
        }
        let key = self.key.to_seal::<SecretsError>(&*self.storage).await?;
        let secret = SealedSecret {
            name: name.to_owned(),
            hosts: hosts.to_vec(),
            sealed: key.sealer(PURPOSE).seal(&place(guild, name, hosts), value.as_bytes())?,
            stored_at: OffsetDateTime::now_utc(),
        };
        let (stored, written) = self.storage.put_secret(guild, &secret, MOST_SECRETS).await?;
        Ok((stored.into(), written))
    }

    /// The guild's secrets, ordered by name.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self, guild: GuildId) -> Result<Vec<SecretInfo>, SecretsError> {
        let secrets = self.storage.secrets_of(guild).await?;
        Ok(secrets.into_iter().map(SecretInfo::from).collect())
    }

    /// Removes a secret; `false` where there was none.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn delete(&self, guild: GuildId, name: &str) -> Result<bool, SecretsError> {
        Ok(self.storage.delete_secret(guild, name).await?)
    }

    /// Puts into `request`, which `to` gets, the secrets that it has placeholders for, and gives what to mask in the
    /// answer. No part of the request grows beyond `most` bytes.
    ///
    /// # Errors
    /// Where there is no such secret, it is not for that host, could be read on the way, or the request gets too large.
    pub async fn fill(
        &self,
        guild: GuildId,
        to: &Recipient,
        request: &mut HttpRequest,
        most: usize,
    ) -> Result<Filled, SecretsError> {
        placeholders::check(request)?;
        let names = placeholders::mentioned(request);
        if names.is_empty() {
            return Ok(Filled::default());
        }
        let host = &to.host;
        if !to.is_private {
            return Err(SecretsError::InClear { host: host.clone() });
        }
        let mut stored = self.storage.secrets_of(guild).await?;
        let mut secrets = Vec::new();
        for name in names {
            let Some(at) = stored.iter().position(|secret| secret.name == name) else {
                return Err(SecretsError::NoSuchSecret { name });
            };
            let secret = stored.swap_remove(at);
            if !secret.hosts.iter().any(|known| known == host) {
                return Err(SecretsError::NotForHost { name, host: host.clone() });
            }
            secrets.push(self.open(guild, secret)?);
        }
        placeholders::fill(request, &secrets, most)?;
        Ok(Filled(secrets))
    }

    fn open(&self, guild: GuildId, secret: SealedSecret) -> Result<Secret, SecretsError> {
        let SealedSecret { name, hosts, sealed, .. } = secret;
        let opened = self.key.to_open()?.sealer(PURPOSE).open(&place(guild, &name, &hosts), &sealed);
        match opened.and_then(|value| String::from_utf8(value).ok()) {
            Some(value) => Ok(Secret { name, value }),
            None => Err(SecretsError::Unreadable { name }),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The names of all secrets that `request` has placeholders for.
pub fn mentioned(request: &HttpRequest) -> std::collections::BTreeSet<String> {
    placeholders::mentioned(request)
}

fn is_name(name: &str) -> bool {
    (1..=MOST_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What a sealed secret is bound to: whoever can write to the database can neither give it to another guild nor have it
/// sent elsewhere. Names and hosts have no line breaks.
fn place(guild: GuildId, name: &str, hosts: &[String]) -> Vec<u8> {
    format!("{guild}\n{name}\n{}", hosts.join("\n")).into_bytes()
}

#[cfg(test)]
mod tests;
