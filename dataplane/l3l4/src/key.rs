//! Names of things: an address, a flow's five-tuple, and the handle of a flow.
//!
//! Invariant: an [`Addr`] has one representation per address, so equality of keys is equality of bits. IPv4 is
//! held as the IPv4-mapped IPv6 address; a packet that carries such an address in an IPv6 header is a martian and
//! never makes a key.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An IPv4 or IPv6 address in 16 bytes (IPv4 as `::ffff:a.b.c.d`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
// Eight bytes of alignment are enough, and leave no holes in records of which there are millions.
#[repr(Rust, packed(8))]
pub struct Addr(pub u128);

const V4_MAPPED: u128 = 0xffff_0000_0000;

impl Addr {
    /// The address whose four bytes are `octets`, in network order.
    #[inline]
    #[must_use]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self(V4_MAPPED | u32::from_be_bytes(octets) as u128)
    }

    /// The address whose sixteen bytes are `octets`, in network order.
    #[inline]
    #[must_use]
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(octets))
    }

    /// Whether this is an IPv4 address.
    #[inline]
    #[must_use]
    pub const fn is_v4(self) -> bool {
        // Two words, not a shift over both.
        (self.0 >> 64) as u64 == 0 && (self.0 as u64) >> 32 == 0xffff
    }

    /// The four bytes of an IPv4 address (the last four of an IPv6 one).
    #[inline]
    #[must_use]
    pub const fn v4_octets(self) -> [u8; 4] {
        (self.0 as u32).to_be_bytes()
    }

    /// The sixteen bytes of the address (mapped form for IPv4).
    #[inline]
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The address as the standard library has it.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.into()
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(addr: Ipv4Addr) -> Self {
        Self::v4(addr.octets())
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(addr: Ipv6Addr) -> Self {
        Self::v6(addr.octets())
    }
}

impl From<IpAddr> for Addr {
    fn from(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(a) => a.into(),
            IpAddr::V6(a) => a.into(),
        }
    }
}

impl From<Addr> for IpAddr {
    fn from(addr: Addr) -> Self {
        if addr.is_v4() { IpAddr::V4(addr.v4_octets().into()) } else { IpAddr::V6(addr.octets().into()) }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An IP protocol number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Internet Control Message Protocol for IPv4.
    pub const ICMP: Self = Self(1);
    /// Transmission Control Protocol.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self(17);
    /// Internet Control Message Protocol for IPv6.
    pub const ICMPV6: Self = Self(58);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.pad("icmp"),
            Self::TCP => f.pad("tcp"),
            Self::UDP => f.pad("udp"),
            Self::ICMPV6 => f.pad("icmpv6"),
            Self(n) => write!(f, "{n}"),
        }
    }
}

/// A flow's five-tuple as seen from a received packet, and the side it came in on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FlowKey {
    /// Source address of received packets.
    pub remote: Addr,
    /// Destination address of received packets.
    pub local: Addr,
    /// Source port of received packets.
    pub remote_port: u16,
    /// Destination port of received packets.
    pub local_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where the flow lives: port index in the low 16 bits, VLAN id in the high 16 (0: untagged).
    pub link: u32,
}

impl FlowKey {
    /// The index of the port the flow came in on.
    #[inline]
    #[must_use]
    pub const fn port_index(&self) -> usize {
        (self.link & 0xffff) as usize
    }

    /// The VLAN id the flow came in on; 0 for untagged.
    #[inline]
    #[must_use]
    pub const fn vlan(&self) -> u16 {
        (self.link >> 16) as u16
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = core::net::SocketAddr::new(self.remote.ip(), self.remote_port);
        let local = core::net::SocketAddr::new(self.local.ip(), self.local_port);
        write!(f, "{} {remote} -> {local}", self.protocol)
    }
}

/// Handle of a flow. The generation keeps a stale handle from ever reaching a later flow in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct FlowId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl FlowId {
    /// The slot of the flow: below the `max_flows` of the engine that made it. Callers may keep their own
    /// per-flow state in an array indexed by it.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl FromStr for FlowId {
    type Err = NoFlowId;

    /// Reads what `Display` writes: slot, point, generation.
    fn from_str(text: &str) -> Result<Self, NoFlowId> {
        let (index, generation) = text.split_once('.').ok_or(NoFlowId)?;
        let number = |text: &str| text.parse().map_err(|_| NoFlowId);
        Ok(Self { index: number(index)?, generation: number(generation)? })
    }
}

/// The text is not a flow's handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flow's handle is two numbers with a point between them")]
pub struct NoFlowId;

/// A keyed hash of five-tuples. The key is random per engine, so a sender cannot choose tuples that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TupleHash([u64; 5]);

impl TupleHash {
    pub(crate) const fn new(secret: [u64; 5]) -> Self {
        Self(secret)
    }

    #[inline]
    pub(crate) fn hash(&self, key: &FlowKey) -> u32 {
        let k = &self.0;
        let ends = u64::from(key.remote_port) << 48
            | u64::from(key.local_port) << 32
            | u64::from(key.link.rotate_left(8)) ^ u64::from(key.protocol.0);
        // Both ends of a packet are of one family.
        if key.local.is_v4() {
            let both = u64::from(key.remote.0 as u32) << 32 | u64::from(key.local.0 as u32);
            let h = fold(fold(both ^ k[0], ends ^ k[1]) ^ k[2], k[3]);
            return (h ^ (h >> 32)) as u32;
        }
        let remote = fold(key.remote.0 as u64 ^ k[0], (key.remote.0 >> 64) as u64 ^ k[1]);
        let local = fold(key.local.0 as u64 ^ k[2], (key.local.0 >> 64) as u64 ^ k[3]);
        let h = fold(remote ^ ends, local ^ k[4]);
        (h ^ (h >> 32)) as u32
    }
}

#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
