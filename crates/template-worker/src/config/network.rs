//! Addresses and names, as an operator writes them.
//!
//! Owns their form. Which of them a request may reach is said in `host::http`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    prefix: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a network: expected an address and its length, such as `10.0.0.0/8` or `fd00::/8`")]
pub struct NotANetwork {
    text: String,
}

impl Network {
    /// The network of an IPv4 address and a length.
    pub(crate) const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// The network of the first three parts of an IPv6 address and a length.
    pub(crate) const fn v6(a: u16, b: u16, c: u16, prefix: u32) -> Self {
        Self { base: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix }
    }

    /// Whether `address` is in it. An IPv4 address in IPv6 clothes is an IPv6 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let parse = || {
            let (base, prefix) = text.split_once('/')?;
            let (base, prefix) = (base.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?);
            let most = if base.is_ipv4() { 32 } else { 128 };
            (prefix <= most).then_some(Self { base, prefix })
        };
        parse().ok_or_else(|| NotANetwork { text: text.chars().take(80).collect() })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// A name that is not looked up, and its address: `api.example.com=10.1.2.3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FixedName {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
}

impl FromStr for FixedName {
    type Err = NotAFixedName;

    fn from_str(text: &str) -> Result<Self, NotAFixedName> {
        let parsed = text.split_once('=').and_then(|(name, address)| Some((name, address.parse().ok()?)));
        let (name, address) =
            parsed.ok_or_else(|| NotAFixedName { text: text.chars().take(80).collect() })?;
        Ok(Self { name: name.to_owned(), address })
    }
}

/// A text that is no name with its address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name with its address: expected a text such as `api.example.com=10.1.2.3`")]
pub struct NotAFixedName {
    text: String,
}

impl fmt::Display for FixedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for FixedName {
    type Error = NotAFixedName;

    fn try_from(text: String) -> Result<Self, NotAFixedName> {
        text.parse()
    }
}

impl From<FixedName> for String {
    fn from(name: FixedName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_reads_back_and_what_is_none_is_refused() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "fd00::/8", "::/0", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for wrong in
            ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "::/-1", "host/8", "1.1.1.1/8/8"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_fixed_name_reads_back() {
        for text in ["api.example.com=10.1.2.3", "a=::1"] {
            assert_eq!(text.parse::<FixedName>().unwrap().to_string(), text);
        }
        for wrong in ["", "api.example.com", "api.example.com=", "a=b", "a=1.1.1.1:80"] {
            assert!(wrong.parse::<FixedName>().is_err(), "{wrong:?} was taken");
        }
    }
}
