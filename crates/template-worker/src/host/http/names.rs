//! From a name to the addresses that may be dialled.
//!
//! Owns that each request looks its name up once, that every address of the answer is checked, and that only such are
//! dialled: the connector is told what is known here, and nothing is looked up between the check and the call. Who knows
//! names is for `resolver`; names themselves are judged in `destination`, and addresses in `addresses`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::AddressRule;
use super::error::HttpError;

/// Addresses of one name; more are no name that anyone needs.
pub(super) const MOST_ADDRESSES: usize = 64;

/// Looks names up. A test has its own.
#[async_trait]
pub trait Names: Send + Sync {
    /// The addresses of `host`, a domain name in lower case; none where it has none. What it costs ends when it is
    /// dropped.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unanswered>;

    /// Whether the operator has said where `host` is.
    fn is_fixed(&self, host: &str) -> bool;
}

/// Says that nobody who was asked knows whether a name has addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no name server has answered")]
pub struct Unanswered;

/// Says that no address may be dialled, because no request that is being made has looked the name up.
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
    pub(super) async fn look_up(self: &Arc<Self>, host: &str) -> Result<Known, HttpError> {
        let found = self.names.addresses(host).await.map_err(|Unanswered| HttpError::Failed {
            host: host.to_owned(),
            why: "no name server has answered what its address is; check the name, or try again in a moment; where no \
                  name works, the operator of the service can look at /etc/resolv.conf",
        })?;
        // One bad address is enough: a name that leads inside as well was made for that. It looks like one that does not
        // exist, because which names the operator's own network has is nothing that a template may find out.
        let fine =
            (1..=MOST_ADDRESSES).contains(&found.len()) && found.iter().all(|one| self.rule.permits(*one));
        if !fine {
            return Err(HttpError::NoPublicAddress { host: host.to_owned() });
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
        async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, Unanswered> {
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
        let known = names.look_up("api.example.com").await.ok();
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
