//! Which addresses a template may reach: those of the public internet, and nothing that only this machine's network
//! can.
//!
//! Owns the table and the rule made of it. Whose address it is was looked up by `names`; a name is never judged here.

use std::net::IpAddr;

use crate::config::Network;

/// Of IPv4 everything is public that is not here: the registry of special-purpose addresses (RFC 6890 and what followed),
/// multicast, and what was never given out.
#[rustfmt::skip]
const NOT_PUBLIC_V4: &[Network] = &[
    Network::v4(0, 0, 0, 0, 8),         // "this network"; 0.0.0.0 is this machine
    Network::v4(10, 0, 0, 0, 8),        // private
    Network::v4(100, 64, 0, 0, 10),     // shared by a provider's customers; some clouds' metadata
    Network::v4(127, 0, 0, 0, 8),       // loopback
    Network::v4(168, 63, 129, 16, 32),  // Azure's platform, reachable from its machines alone
    Network::v4(169, 254, 0, 0, 16),    // link-local; most clouds' metadata at 169.254.169.254
    Network::v4(172, 16, 0, 0, 12),     // private
    Network::v4(192, 0, 0, 0, 24),      // protocol assignments; Oracle's metadata
    Network::v4(192, 0, 2, 0, 24),      // documentation
    Network::v4(192, 31, 196, 0, 24),   // AS112
    Network::v4(192, 52, 193, 0, 24),   // multicast tunnels
    Network::v4(192, 88, 99, 0, 24),    // 6to4 relays
    Network::v4(192, 168, 0, 0, 16),    // private
    Network::v4(192, 175, 48, 0, 24),   // AS112
    Network::v4(198, 18, 0, 0, 15),     // benchmarks
    Network::v4(198, 51, 100, 0, 24),   // documentation
    Network::v4(203, 0, 113, 0, 24),    // documentation
    Network::v4(224, 0, 0, 0, 4),       // multicast
    Network::v4(240, 0, 0, 0, 4),       // reserved; 255.255.255.255 is everyone
];

/// Of IPv6 nothing is public but this: global unicast. Outside are `::1`, IPv4 in its mapped and compatible forms, NAT64
/// (`64:ff9b::/96`), unique local (`fc00::/7`, with AWS's metadata at `fd00:ec2::254`), link-local and multicast.
const GLOBAL_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// What is not public in that.
#[rustfmt::skip]
const NOT_PUBLIC_V6: &[Network] = &[
    Network::v6(0x2001, 0, 0, 23),          // protocol assignments: Teredo, which embeds IPv4, benchmarks, ORCHID
    Network::v6(0x2001, 0x0db8, 0, 32),     // documentation
    Network::v6(0x2002, 0, 0, 16),          // 6to4, which embeds IPv4
    Network::v6(0x2620, 0x004f, 0x8000, 48), // AS112
    Network::v6(0x3fff, 0, 0, 20),          // documentation
];

/// Which addresses may be dialled. By default the public ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressRule {
    /// May be dialled though they are not public: what the operator opens of a network of their own.
    pub opened: Vec<Network>,
    /// May not be dialled though they are public, such as the operator's own machines.
    pub closed: Vec<Network>,
}

impl AddressRule {
    /// Whether `address` may be dialled.
    pub fn permits(&self, address: IpAddr) -> bool {
        let within = |networks: &[Network]| networks.iter().any(|network| network.holds(address));
        !within(&self.closed) && (within(&self.opened) || is_public(address))
    }
}

/// Whether anyone on the internet can reach `address`.
fn is_public(address: IpAddr) -> bool {
    let special = |networks: &[Network]| networks.iter().any(|network| network.holds(address));
    match address {
        IpAddr::V4(_) => !special(NOT_PUBLIC_V4),
        IpAddr::V6(_) => GLOBAL_V6.holds(address) && !special(NOT_PUBLIC_V6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_permitted() {
        #[rustfmt::skip]
        let refused = [
            // IPv4, the first and the last of each range.
            "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200",
            "100.127.255.255", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254",
            "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.2.1",
            "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "192.175.48.1",
            "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.255", "224.0.0.1", "239.255.255.250",
            "240.0.0.1", "255.255.255.255",
            // IPv6.
            "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:7f00:1",
            "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1",
            "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1",
            "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ];
        let rule = AddressRule::default();
        let permitted: Vec<&str> = refused.into_iter().filter(|text| rule.permits(address(text))).collect();
        assert_eq!(permitted, [""; 0]);
    }

    #[test]
    fn the_neighbours_of_what_is_refused_are_permitted() {
        #[rustfmt::skip]
        let permitted = [
            "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
            "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0",
            "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
            "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
            "223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111",
            "2a00:1450:4001::1", "3ffe::1",
        ];
        let rule = AddressRule::default();
        let refused: Vec<&str> = permitted.into_iter().filter(|text| !rule.permits(address(text))).collect();
        assert_eq!(refused, [""; 0]);
    }

    #[test]
    fn an_operator_opens_and_closes_networks_and_closing_counts_more() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let rule = AddressRule {
            opened: vec![network("10.1.0.0/16"), network("fd00::/8")],
            closed: vec![network("10.1.2.0/24"), network("8.8.8.8/32"), network("2a00::/16")],
        };
        let may = ["10.1.0.1", "fd12::1", "1.1.1.1", "2606:4700::1"];
        assert_eq!(may.map(|text| rule.permits(address(text))), [true; 4]);
        let may_not = ["10.2.0.1", "10.1.2.3", "8.8.8.8", "2a00::1", "::ffff:10.1.0.1"];
        assert_eq!(may_not.map(|text| rule.permits(address(text))), [false; 5]);
        let everything = AddressRule { opened: Vec::new(), closed: vec![network("0.0.0.0/0")] };
        assert!(!everything.permits(address("1.1.1.1")));
    }
}
