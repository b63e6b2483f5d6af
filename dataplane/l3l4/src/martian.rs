//! Addresses that no packet from a network may carry (RFC 1122 section 3.2.1.3, RFC 6890, RFC 4291).
//!
//! Invariant: whatever passes here is unicast at both ends, so an answer has somewhere to go. Multicast that a
//! port does listen to (neighbour discovery) is taken off the path before this is asked.

use crate::key::Addr;

/// Whether an IPv4 packet between these addresses is a martian.
#[inline]
#[must_use]
pub fn v4(source: [u8; 4], destination: [u8; 4]) -> bool {
    #[inline]
    fn unusable(first: u8) -> bool {
        // This network, loopback, multicast, reserved and broadcast.
        first == 0 || first == 127 || first >= 224
    }
    unusable(source[0]) || unusable(destination[0]) || source == destination
}

/// Whether an IPv6 packet between these addresses is a martian.
#[inline]
#[must_use]
pub fn v6(source: Addr, destination: Addr) -> bool {
    #[inline]
    fn unusable(addr: Addr) -> bool {
        // ::/96 holds the unspecified, loopback and v4-compatible addresses; ::ffff:0:0/96 the mapped ones.
        addr.0 >> 120 == 0xff || addr.0 >> 48 == 0 && matches!((addr.0 >> 32) as u16, 0 | 0xffff)
    }
    unusable(source) || unusable(destination) || source == destination
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;

    #[test]
    fn v4_table() {
        let us = [10, 0, 0, 1];
        for bad in [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [240, 0, 0, 1], [255; 4], us]
        {
            assert!(v4(bad, us), "{bad:?}");
        }
        assert!(v4([10, 0, 0, 2], [239, 1, 1, 1]) && v4([10, 0, 0, 2], [127, 0, 0, 1]));
        assert!(!v4([10, 0, 0, 2], us) && !v4([169, 254, 0, 1], us) && !v4([223, 255, 255, 255], us));
    }

    #[test]
    fn v6_table() {
        let a = |s: &str| Addr::from(s.parse::<Ipv6Addr>().unwrap());
        let us = a("fd00::1");
        for bad in ["::", "::1", "::2", "::1.2.3.4", "::ffff:1.2.3.4", "ff02::1", "fd00::1"] {
            assert!(v6(a(bad), us), "{bad}");
        }
        assert!(v6(a("fd00::2"), a("ff02::1")));
        for good in ["fd00::2", "fe80::1", "2001:db8::1", "64:ff9b::1.2.3.4"] {
            assert!(!v6(a(good), us), "{good}");
        }
    }
}
