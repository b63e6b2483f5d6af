//! An address prefix, for policy rules and for the subnets of a port.
//!
//! Invariant: a prefix holds addresses of its own family only: `::/0` does not hold IPv4, although IPv4 addresses
//! are kept in mapped form.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use l3l4::Addr;

/// A network and the length of its mask. Host bits are cleared on construction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    network: u128,
    mask: u128,
    v4: bool,
}

/// What is wrong with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The part before the slash is no address.
    #[error("not an IP address: write an address such as 10.0.0.0/8 or 2001:db8::/32")]
    Address,
    /// The part after the slash is no number, or too long for the family.
    #[error("prefix length out of range: write 0..=32 for IPv4, 0..=128 for IPv6")]
    Length,
}

impl Prefix {
    /// The prefix of `length` bits that holds `address` (IPv4: at most 32, IPv6: at most 128).
    pub const fn new(address: Addr, length: u8) -> Result<Self, PrefixError> {
        let v4 = address.is_v4();
        let width = if v4 { 32 } else { 128 };
        if length > width {
            return Err(PrefixError::Length);
        }
        let host_bits = width - length;
        let mask = if host_bits == 128 { 0 } else { u128::MAX << host_bits };
        Ok(Self { network: address.0 & mask, mask, v4 })
    }

    /// Whether the address lies in the prefix.
    #[inline]
    #[must_use]
    pub const fn contains(&self, address: Addr) -> bool {
        (address.0 ^ self.network) & self.mask == 0 && address.is_v4() == self.v4
    }

    /// The first address.
    #[must_use]
    pub const fn first(&self) -> Addr {
        Addr(self.network)
    }

    /// The last address; for an IPv4 subnet its directed broadcast.
    #[must_use]
    pub const fn last(&self) -> Addr {
        Addr(self.network | !self.mask)
    }

    /// The length in bits, in the family's own count.
    #[must_use]
    pub const fn length(&self) -> u8 {
        let ones = self.mask.leading_ones() as u8;
        if self.v4 { ones - 96 } else { ones }
    }

    /// Whether the prefix holds IPv4 addresses.
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.v4
    }

    /// How many low bits name a host.
    #[must_use]
    pub const fn host_bits(&self) -> u8 {
        self.mask.trailing_zeros() as u8
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// `address/length`, or an address alone for the prefix of that one address.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| PrefixError::Address)?;
        let address = Addr::from(ip);
        // An IPv4-mapped address written as IPv6 would silently change family.
        if ip.is_ipv6() && address.is_v4() {
            return Err(PrefixError::Address);
        }
        let length = match length {
            Some(length) if length.bytes().all(|b| b.is_ascii_digit()) => {
                length.parse().map_err(|_| PrefixError::Length)?
            }
            Some(_) => return Err(PrefixError::Length),
            None if address.is_v4() => 32,
            None => 128,
        };
        Self::new(address, length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.length())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn holds_its_own_addresses_and_no_others() {
        let net = prefix("10.1.2.3/23");
        assert_eq!(net.to_string(), "10.1.2.0/23");
        assert!(net.contains(addr("10.1.3.255")) && !net.contains(addr("10.1.4.0")));
        assert_eq!((net.first(), net.last()), (addr("10.1.2.0"), addr("10.1.3.255")));
        assert!(prefix("2001:db8::/32").contains(addr("2001:db8:ffff::1")));
        assert!(prefix("192.0.2.1").contains(addr("192.0.2.1")) && prefix("192.0.2.1").length() == 32);
    }

    #[test]
    fn families_do_not_mix() {
        assert!(!prefix("::/0").contains(addr("10.0.0.1")));
        assert!(!prefix("0.0.0.0/0").contains(addr("::1")));
        assert!(
            prefix("::/0").contains(addr("2001:db8::1")) && prefix("0.0.0.0/0").contains(addr("10.0.0.1"))
        );
        assert_eq!((prefix("::/0").length(), prefix("0.0.0.0/0").length()), (0, 0));
    }

    #[test]
    fn refuses_what_is_no_prefix() {
        for (text, error) in [
            ("10.0.0.0/33", PrefixError::Length),
            ("::/129", PrefixError::Length),
            ("10.0.0.0/", PrefixError::Length),
            ("10.0.0.0/+8", PrefixError::Length),
            ("10.0.0/8", PrefixError::Address),
            ("::ffff:10.0.0.1/120", PrefixError::Address),
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(error), "{text}");
        }
    }
}
