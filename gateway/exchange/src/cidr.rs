//! Networks in CIDR notation, and addresses in one form.
//!
//! Sixty lines of our own rather than a crate: the standard library reads the addresses, and what remains is a mask.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Prefix of the IPv6 addresses that stand for IPv4 ones, `::ffff:0:0/96` (RFC 4291 section 2.5.5.2), in bits.
const MAPPED_PREFIX_BITS: u8 = 96;

/// A network: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
///
/// IPv4 and IPv6 are apart: `::/0` is every IPv6 address and no IPv4 one. IPv4 addresses in IPv6 clothing, which sockets
/// that listen on both show, count as IPv4 in networks and in addresses alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither an address nor an address with a prefix.
    #[error("not a network: write `192.0.2.0/24`, `2001:db8::/32` or a single address")]
    Malformed,
    /// The prefix is longer than the address.
    #[error("a prefix of this address has at most {bits_max} bits")]
    PrefixTooLong {
        /// 32 or 128.
        bits_max: u8,
    },
    /// The address has bits behind the prefix: one of the two is a mistake.
    #[error("the address has bits beyond the prefix; the network is `{network}`")]
    BitsBeyondPrefix {
        /// The network as it should be written.
        network: Cidr,
    },
}

impl Cidr {
    /// Whether an address belongs to the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix_bits) == self.address
    }

    /// The first and the last address of the network.
    pub fn range(&self) -> (IpAddr, IpAddr) {
        let last = match self.address {
            IpAddr::V4(address) => {
                IpAddr::V4((address.to_bits() | u32::MAX.checked_shr(self.prefix_bits.into()).unwrap_or(0)).into())
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(self.prefix_bits.into()).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() | host))
            }
        };
        (self.address, last)
    }

    /// Whether any of the networks contains the address. Linear: lists are short.
    pub fn any_contains(networks: &[Self], address: IpAddr) -> bool {
        networks.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| Error::Malformed)?;
        let bits_max = bits(address);
        let prefix_bits = match prefix {
            None => bits_max,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                return Err(Error::Malformed);
            }
            Some(digits) => {
                digits.parse().ok().filter(|bits| *bits <= bits_max).ok_or(Error::PrefixTooLong { bits_max })?
            }
        };
        let network = Self { address: masked(address, prefix_bits), prefix_bits }.canonical();
        if masked(address, prefix_bits) != address {
            return Err(Error::BitsBeyondPrefix { network });
        }
        Ok(network)
    }
}

impl Cidr {
    /// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
    fn canonical(self) -> Self {
        match (self.address, self.address.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if self.prefix_bits >= MAPPED_PREFIX_BITS => {
                Self { address, prefix_bits: self.prefix_bits - MAPPED_PREFIX_BITS }
            }
            _ => self,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with every bit behind the prefix cleared.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_reach_from_their_first_to_their_last_address() {
        let cases = [
            ("10.0.0.0/30", "10.0.0.0", "10.0.0.3"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::/127", "2001:db8::", "2001:db8::1"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        for (network, first, last) in cases {
            let range = network.parse::<Cidr>().expect(network).range();
            assert_eq!(range, (first.parse().expect(first), last.parse().expect(last)), "{network}");
        }
    }

    #[test]
    fn networks_contain_their_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("::/0", "::ffff:203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/127", "2001:db8::1", true),
            ("2001:db8::/127", "2001:db8::2", false),
        ];
        for (network, address, want) in cases {
            let cidr: Cidr = network.parse().expect(network);
            assert_eq!(cidr.contains(address.parse().expect(address)), want, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "a",
            " 10.0.0.0",
            "fe80::1%eth0",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(Error::Malformed), "{text}");
        }
        for (text, bits_max) in [("10.0.0.0/33", 32), ("10.0.0.0/999", 32), ("2001:db8::/129", 128)] {
            assert_eq!(text.parse::<Cidr>(), Err(Error::PrefixTooLong { bits_max }), "{text}");
        }
        for (text, network) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("10.0.0.1/0", "0.0.0.0/0"),
            ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
            ("2001:db8::1/64", "2001:db8::/64"),
        ] {
            let error = text.parse::<Cidr>().expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("the address has bits beyond the prefix; the network is `{network}`")
            );
        }
    }
}
