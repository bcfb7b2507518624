//! From a name to the addresses that may be dialled.
//!
//! Owns that each request looks its name up once, that every address of the answer is checked, and that only such are
//! dialled: the connector is told what is known here, and nothing is looked up between the check and the call. Names
//! themselves are judged in `destination`, and addresses in `addresses`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::addresses::AddressRule;
use crate::config::FixedName;

/// Lookups that wait for a name server at the same time, each holding a thread.
const MOST_LOOKUPS: usize = 128;
/// Addresses of one name; more are no name that anyone needs.
const MOST_ADDRESSES: usize = 64;

/// What is held for as long as a look-up lasts, which may be longer than anybody waits for it.
pub type Held = Box<dyn Send>;

/// Looks names up. A test has its own.
#[async_trait]
pub trait Names: Send + Sync {
    /// The addresses of `host`, a domain name in lower case. `held` is dropped when the look-up costs nothing any more.
    async fn addresses(&self, host: &str, held: Held) -> io::Result<Vec<IpAddr>>;

    /// Whether the operator has said where `host` is.
    fn is_fixed(&self, host: &str) -> bool;
}

/// The names that the operating system knows, and those that the operator has fixed.
#[derive(Debug)]
pub struct SystemNames {
    fixed: Vec<FixedName>,
    turns: Arc<Semaphore>,
}

impl SystemNames {
    /// Looks up whatever is not `fixed`.
    pub fn new(fixed: Vec<FixedName>) -> Self {
        Self { fixed, turns: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }
}

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, host: &str, held: Held) -> io::Result<Vec<IpAddr>> {
        let fixed: Vec<IpAddr> =
            self.fixed.iter().filter(|known| known.name == host).map(|known| known.address).collect();
        if !fixed.is_empty() {
            return Ok(fixed);
        }
        // The dot says that the name is whole: without it the system may try it inside of its own domain first.
        let whole = format!("{host}.");
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(io::Error::other)?;
        let lookup = move || {
            // A lookup goes on when nobody waits for it any more, and holds its turn for that long.
            let _held = (turn, held);
            let found = (whole.as_str(), 0).to_socket_addrs()?;
            Ok(found.take(MOST_ADDRESSES + 1).map(|address| address.ip()).collect())
        };
        tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
    }

    fn is_fixed(&self, host: &str) -> bool {
        self.fixed.iter().any(|known| known.name == host)
    }
}

/// Says that no address may be dialled. Not why: whether a name exists in the operator's own network is nothing that a
/// template may find out.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no address of the name may be dialled")]
pub(super) struct NoAddress;

/// What the connector gets its addresses from.
pub(super) struct CheckedNames {
    names: Arc<dyn Names>,
    rule: AddressRule,
    /// For each name, what the requests that are being made have found, each for itself. Never empty.
    known: Mutex<HashMap<String, Vec<Addresses>>>,
}

type Addresses = Arc<[IpAddr]>;

/// The addresses that one request has found, which can be dialled until it is dropped.
pub(super) struct Known {
    names: Arc<CheckedNames>,
    host: String,
    addresses: Addresses,
}

impl CheckedNames {
    pub(super) fn new(names: Arc<dyn Names>, rule: AddressRule) -> Self {
        Self { names, rule, known: Mutex::default() }
    }

    /// Whether the operator has said where `host` is.
    pub(super) fn is_fixed(&self, host: &str) -> bool {
        self.names.is_fixed(host)
    }

    /// Looks `host` up, and lets its addresses be dialled if all of them may be.
    pub(super) async fn look_up(self: &Arc<Self>, host: &str, held: Held) -> Result<Known, NoAddress> {
        let found = self.names.addresses(host, held).await.map_err(|_| NoAddress)?;
        // One bad address is enough: a name that leads inside as well was made for that.
        let fine =
            (1..=MOST_ADDRESSES).contains(&found.len()) && found.iter().all(|one| self.rule.permits(*one));
        if !fine {
            return Err(NoAddress);
        }
        let addresses = Addresses::from(found);
        self.known().entry(host.to_owned()).or_default().push(Arc::clone(&addresses));
        Ok(Known { names: Arc::clone(self), host: host.to_owned(), addresses })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Vec<Addresses>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut known = self.names.known();
        if let Some(all) = known.get_mut(&self.host) {
            all.retain(|one| !Arc::ptr_eq(one, &self.addresses));
            if all.is_empty() {
                known.remove(&self.host);
            }
        }
    }
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        // The newest will do for every request to this name: all of them were checked.
        let newest = self.known().get(name.as_str()).and_then(|all| all.last().cloned());
        Box::pin(async move {
            let found = newest.ok_or(NoAddress)?.to_vec();
            // Port 0 stands for the one of the URL.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<IpAddr>);

    #[async_trait]
    impl Names for Fixed {
        async fn addresses(&self, _: &str, _: Held) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }

        fn is_fixed(&self, _: &str) -> bool {
            false
        }
    }

    async fn resolved(addresses: &[&str]) -> Option<Vec<String>> {
        let fixed = Fixed(addresses.iter().map(|text| text.parse().unwrap()).collect());
        let names = Arc::new(CheckedNames::new(Arc::new(fixed), AddressRule::default()));
        let dialled = async || names.resolve("api.example.com".parse().unwrap()).await.ok();
        let known = names.look_up("api.example.com", Box::new(())).await.ok();
        let found = dialled().await.map(|found| found.map(|address| address.to_string()).collect());
        assert_eq!(found.is_some(), known.is_some());
        drop(known);
        assert!(dialled().await.is_none() && names.known().is_empty(), "it is known for one request alone");
        found
    }

    #[tokio::test]
    async fn exactly_the_checked_addresses_are_given_to_the_connector() {
        let found = resolved(&["1.1.1.1", "2606:4700:4700::1111"]).await;
        assert_eq!(found.unwrap(), ["1.1.1.1:0", "[2606:4700:4700::1111]:0"]);
    }

    #[tokio::test]
    async fn one_forbidden_address_refuses_the_name() {
        assert_eq!(resolved(&["1.1.1.1", "10.0.0.1"]).await, None);
        assert_eq!(resolved(&["169.254.169.254"]).await, None);
        assert_eq!(resolved(&["1.1.1.1", "::ffff:1.1.1.1"]).await, None);
        assert_eq!(resolved(&[]).await, None);
        assert_eq!(resolved(&["1.1.1.1"; MOST_ADDRESSES + 1]).await, None);
    }
}
