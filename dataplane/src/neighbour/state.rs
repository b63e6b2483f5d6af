//! What the neighbour table tells its callers.
//!
//! Invariant: plain values, apart from the counters, which only learning writes.

use core::fmt;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use l3l4::Addr;

use super::Mac;

/// What became of something learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnOutcome {
    /// The address was not known before.
    New,
    /// The MAC address is the known one.
    Refreshed,
    /// The MAC address is another than before.
    Changed,
    /// Nothing was entered.
    Refused(Refusal),
}

/// Why nothing was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No free or stale slot near.
    Full,
    /// The slot kept changing; the next message will do.
    Busy,
    /// No entry, and the message may not make one.
    Unknown,
    /// A group or zero address.
    Invalid,
    /// A permanent entry.
    Permanent,
    /// A different MAC address without leave to replace.
    NotReplaced,
    /// A different MAC address for a neighbour that is vouched for: it will be asked for first.
    Challenged,
}

/// How far a neighbour is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for, no answer yet.
    Asking,
    /// Answered within [`super::REACHABLE_US`].
    Reachable,
    /// Known, used, not vouched for.
    Stale,
    /// Configured.
    Permanent,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Asking => "asking",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Permanent => "permanent",
        })
    }
}

/// One entry, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Port index.
    pub port: u16,
    /// VLAN id, 0 for untagged.
    pub vlan: u16,
    /// Who.
    pub addr: Addr,
    /// Where; None while asking.
    pub mac: Option<Mac>,
    /// How far it is known.
    pub state: State,
    /// Whether it is a configured gateway.
    pub gateway: bool,
    /// Seconds since it was last heard of (asking: since the asking began).
    pub age_s: u64,
}

/// The answer of [`super::NeighbourTable::resolve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Send here.
    Known(Mac),
    /// The prober asks; try again later.
    Asking,
    /// There is no room to ask.
    Refused,
}

/// Counters, written on learning only.
#[derive(Debug, Default)]
pub struct NeighbourStats {
    pub(super) entries: AtomicU64,
    pub(super) asking: AtomicU64,
    /// New neighbours.
    pub learned: AtomicU64,
    /// MAC addresses replaced.
    pub changed: AtomicU64,
    /// Refused for want of room.
    pub refused: AtomicU64,
    /// Different MAC addresses not taken on trust.
    pub challenged: AtomicU64,
    /// Stale entries that made room.
    pub evicted: AtomicU64,
    /// Removed for age.
    pub expired: AtomicU64,
}

impl NeighbourStats {
    /// Slots in use.
    #[must_use]
    pub fn entries(&self) -> u64 {
        Self::gauge(&self.entries)
    }

    /// Slots of neighbours being asked for.
    #[must_use]
    pub fn asking(&self) -> u64 {
        Self::gauge(&self.asking)
    }

    /// A removal may be counted just before the insertion it undoes.
    fn gauge(counter: &AtomicU64) -> u64 {
        (counter.load(Relaxed) as i64).max(0) as u64
    }
}
