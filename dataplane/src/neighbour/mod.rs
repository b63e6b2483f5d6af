//! Neighbours on the link: who has which MAC address (ARP, RFC 826 and 5227; NDP, RFC 4861), which addresses are
//! ours to answer for, and whom to ask again.
//!
//! Invariant: what a stranger sends unasked is used but never trusted: it takes free or stale room only, displaces
//! no neighbour that answered a question of ours, and creates no entry unless it asked for an address of ours.

pub mod arp;
mod entry;
pub mod ndp;
pub mod owned;
pub mod prober;
mod slot;
mod state;
pub mod table;

use core::fmt;

use l3l4::Addr;

pub use entry::REACHABLE_US;
pub use owned::Owned;
pub use prober::{Probe, Prober};
pub use state::{LearnOutcome, Neighbour, NeighbourStats, Refusal, Resolution, State};
pub use table::NeighbourTable;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether this can be the address of one station: not a group address, not all zero.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.to_bits() != 0
    }

    /// The address as the low 48 bits of a number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The address in the low 48 bits of a number.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = bits.to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    /// The first six bytes of a slice; zero where it is shorter.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self(bytes.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The buffer cannot hold the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("buffer of {have} bytes is too short for a message of {need}")]
pub struct ShortBuffer {
    /// Bytes needed.
    pub need: usize,
    /// Bytes there were.
    pub have: usize,
}

/// How a neighbour's address came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// An ARP request: the sender told of itself.
    ArpRequest,
    /// An ARP reply to somebody's request.
    ArpReply,
    /// A neighbour solicitation with its sender's address.
    Solicitation,
    /// A neighbour advertisement with the solicited flag.
    Advertisement,
    /// A gratuitous ARP or an unsolicited advertisement.
    Announcement,
    /// The source of an ordinary packet.
    Traffic,
}

impl Learned {
    /// Whether this can answer a question of ours.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::ArpReply | Self::Advertisement)
    }
}

/// What a message says about a neighbour; [`NeighbourTable::apply`] enters it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learning {
    /// The neighbour.
    pub address: Addr,
    /// Where it is.
    pub mac: Mac,
    /// What said so.
    pub source: Learned,
    /// Whether it may replace another MAC address.
    pub replace: bool,
    /// Whether it may make a new entry, or only change an existing one.
    pub create: bool,
}

/// What to do about a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Answer it.
    pub reply: bool,
    /// Enter this into the table.
    pub learn: Option<Learning>,
    /// Another station uses an address of ours: count it and tell the operator.
    pub conflict: bool,
}
