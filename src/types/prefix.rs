//! A set of inner addresses: `10.20.0.0/16`, `fd20::/48`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address prefix; bits beyond its length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of `length` bits that holds `address`; `None` if the family has fewer bits.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let masked = match address {
            IpAddr::V4(v4) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Self { address: masked, length })
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Bits of the prefix: 0..=32 or 0..=128.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether the address is in the set.
    pub fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self::new(address, self.length) == Some(self)
    }

    /// Whether the two sets have an address in common: then one holds the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.holds(other.address) || other.holds(self.address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The text is no prefix: expected ADDRESS/BITS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPrefix;

impl FromStr for Prefix {
    type Err = NoPrefix;

    /// `ADDRESS/BITS`, or an address alone: the set that holds only it.
    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoPrefix)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| NoPrefix)?,
            Some(_) => return Err(NoPrefix),
            None => whole,
        };
        Self::new(address, length).ok_or(NoPrefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn bits_beyond_the_length_are_cleared() {
        assert_eq!(prefix("10.20.30.40/16").to_string(), "10.20.0.0/16");
        assert_eq!(prefix("fd20::1/48").to_string(), "fd20::/48");
        assert_eq!(prefix("1.2.3.4/0").to_string(), "0.0.0.0/0");
        assert_eq!(prefix("::1/0").to_string(), "::/0");
        assert_eq!(prefix("1.2.3.4").to_string(), "1.2.3.4/32");
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "10.0.0.0/8/8", "a/8"] {
            assert_eq!(text.parse::<Prefix>(), Err(NoPrefix), "{text}");
        }
    }

    #[test]
    fn overlap_is_seen_both_ways_and_within_a_family_only() {
        assert!(prefix("10.0.0.0/8").overlaps(prefix("10.20.0.0/16")));
        assert!(prefix("10.20.0.0/16").overlaps(prefix("10.0.0.0/8")));
        assert!(!prefix("10.20.0.0/16").overlaps(prefix("10.21.0.0/16")));
        assert!(!prefix("0.0.0.0/0").overlaps(prefix("::/0")));
        assert!(!prefix("10.0.0.0/8").holds("::ffff:10.0.0.1".parse().unwrap()));
    }
}
