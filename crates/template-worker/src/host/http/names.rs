//! From a name to the addresses that may be dialled.
//!
//! Owns that each request looks its name up once, that every address of the answer is checked, and that exactly those are
//! dialled: the connector asks here, and nothing is looked up again between the check and the call. Names themselves are
//! judged in `destination`, and addresses in `addresses`.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::addresses::AddressRule;
use crate::config::FixedName;

/// Lookups that wait for a name server at the same time, each holding a thread.
const MOST_LOOKUPS: usize = 128;
/// Addresses of one name; more are no name that anyone needs.
const MOST_ADDRESSES: usize = 64;

/// Looks names up. A test has its own.
#[async_trait]
pub trait Names: Send + Sync {
    /// The addresses of `host`, a domain name in lower case.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;

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
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
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
            let _turn = turn;
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
    rule: Arc<AddressRule>,
}

impl CheckedNames {
    pub(super) fn new(names: Arc<dyn Names>, rule: AddressRule) -> Self {
        Self { names, rule: Arc::new(rule) }
    }
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, rule) = (Arc::clone(&self.names), Arc::clone(&self.rule));
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await.map_err(|_| NoAddress)?;
            // One bad address is enough: a name that leads inside as well was made for that.
            let fine =
                (1..=MOST_ADDRESSES).contains(&found.len()) && found.iter().all(|one| rule.permits(*one));
            if !fine {
                return Err(NoAddress.into());
            }
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
        async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }

        fn is_fixed(&self, _: &str) -> bool {
            false
        }
    }

    async fn resolved(addresses: &[&str]) -> Option<Vec<String>> {
        let fixed = Fixed(addresses.iter().map(|text| text.parse().unwrap()).collect());
        let names = CheckedNames::new(Arc::new(fixed), AddressRule::default());
        let found = names.resolve("api.example.com".parse().unwrap()).await;
        found.ok().map(|found| found.map(|address| address.to_string()).collect())
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
