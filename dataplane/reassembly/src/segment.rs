//! What the tracker is given: which connection, and what the TCP header said.
//!
//! Invariant: both directions of a connection have the same [`Key`]; a [`Side`] tells them apart.

/// TCP header flags (RFC 9293 section 3.1).
pub mod flags {
    #![allow(missing_docs)]
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const ACK: u8 = 0x10;
}

/// An address (IPv4 mapped into IPv6) and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Endpoint {
    /// Network order, as a number.
    pub address: u128,
    /// TCP port.
    pub port: u16,
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one whose endpoint is the smaller one.
    Low = 0,
    /// The other one.
    High = 1,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// A connection's two ends in an order of their own, and where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Key {
    ends: [Endpoint; 2],
    /// Whatever tells equal endpoints of different networks apart, such as port and VLAN.
    pub link: u32,
}

impl Key {
    /// The key of a packet, and which side sent it.
    #[inline]
    #[must_use]
    pub fn of(source: Endpoint, destination: Endpoint, link: u32) -> (Self, Side) {
        if source <= destination {
            (Self { ends: [source, destination], link }, Side::Low)
        } else {
            (Self { ends: [destination, source], link }, Side::High)
        }
    }

    /// One end.
    #[inline]
    #[must_use]
    pub const fn end(&self, side: Side) -> Endpoint {
        self.ends[side as usize]
    }

    /// A hash under a secret, for the table of connections.
    #[inline]
    pub(crate) fn hash(&self, secret: [u64; 2]) -> u64 {
        let [low, high] = self.ends;
        let ports = u64::from(low.port) << 48 | u64::from(high.port) << 32 | u64::from(self.link);
        let a = fold(low.address as u64 ^ secret[0], high.address as u64 ^ ports);
        let b = fold((low.address >> 64) as u64 ^ secret[1], (high.address >> 64) as u64 ^ a);
        fold(a ^ secret[1], b ^ 0x9e37_79b9_7f4a_7c15)
    }
}

/// Both halves of a product, one over the other: every bit of either factor reaches every bit of it.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// One TCP segment, without its payload's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Of which connection.
    pub key: Key,
    /// Who sent it.
    pub from: Side,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// See [`flags`].
    pub flags: u8,
    /// Window field, unscaled.
    pub window: u16,
    /// Where in its buffer the payload begins.
    pub begin: u16,
    /// Where in its buffer the payload ends.
    pub end: u16,
}

impl Segment {
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) const fn len(&self) -> u64 {
        self.end.saturating_sub(self.begin) as u64
    }
}

/// A packet's bytes, wherever they lie; held as long as its payload cannot be delivered.
pub trait Buffer {
    /// The bytes that [`Segment::begin`] and [`Segment::end`] count in.
    fn bytes(&self) -> &[u8];
}

impl Buffer for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key() {
        let a = Endpoint { address: 7, port: 80 };
        let b = Endpoint { address: 7, port: 4000 };
        let (there, from) = Key::of(a, b, 3);
        let (back, other) = Key::of(b, a, 3);
        assert_eq!((there, from, other), (back, Side::Low, Side::High));
        assert_eq!((there.end(from), there.end(other)), (a, b));
        assert_eq!(there.hash([1, 2]), back.hash([1, 2]));
        assert_ne!(there.hash([1, 2]), there.hash([1, 3]), "the secret counts");
        assert_ne!(there.hash([1, 2]), Key::of(a, b, 4).0.hash([1, 2]), "and so does the link");
    }
}
