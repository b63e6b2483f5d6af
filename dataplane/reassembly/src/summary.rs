//! What is known of a connection at its end.
//!
//! Invariant: plain numbers; every byte that was delivered, missing or seen again is in exactly one of them.

use crate::state::State;

/// Why bytes of a stream are given up as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The other side has acknowledged them: they arrived there, but not here.
    Acked = 0,
    /// Too much waits behind the hole.
    Limit = 1,
    /// The hole has been open for too long.
    Age = 2,
    /// The connection has ended.
    Close = 3,
}

impl Cause {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Acked, Self::Limit, Self::Age, Self::Close];

    /// Its name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acked => "acked",
            Self::Limit => "limit",
            Self::Age => "age",
            Self::Close => "close",
        }
    }
}

/// Why a connection is followed no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides have sent FIN and it was acknowledged.
    Fin = 0,
    /// RST.
    Reset = 1,
    /// Nothing came for too long.
    Idle = 2,
    /// Its handshake was not completed in time.
    HalfOpen = 3,
    /// A new connection began with the same addresses and ports.
    Reused = 4,
    /// A limit wanted its place.
    Evicted = 5,
    /// Whoever follows stops.
    Shutdown = 6,
}

impl End {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Fin, Self::Reset, Self::Idle, Self::HalfOpen, Self::Reused, Self::Evicted, Self::Shutdown];

    /// Its name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Reset => "reset",
            Self::Idle => "idle",
            Self::HalfOpen => "half_open",
            Self::Reused => "reused",
            Self::Evicted => "evicted",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What one side of a connection sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Bytes of the stream delivered.
    pub bytes: u64,
    /// Payload bytes that had been seen before.
    pub retransmitted: u64,
    /// Packets that came before their turn.
    pub out_of_order: u64,
    /// Bytes in which overlapping segments differed, as far as both were at hand.
    pub conflicts: u64,
    /// Gaps.
    pub gaps: u64,
    /// Bytes in gaps.
    pub missing: u64,
    /// Times this side closed its window.
    pub zero_windows: u64,
    /// Nanoseconds for which its window was closed.
    pub zero_window_time: u64,
    /// Round trips measured: from a segment of this side passing by to its acknowledgment passing by.
    pub rtt_samples: u64,
    /// Nanoseconds; the shortest of them.
    pub rtt_min: u64,
    /// Nanoseconds; the longest of them.
    pub rtt_max: u64,
    /// Nanoseconds; all of them added up.
    pub rtt_sum: u64,
}

/// A connection at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it ended.
    pub end: End,
    /// RFC 9293 states of client and server.
    pub states: [State; 2],
    /// Nanoseconds from the first packet to the last.
    pub duration: u64,
    /// Nanoseconds from the SYN to the ACK of the SYN-ACK.
    pub handshake_rtt: Option<u64>,
    /// What client and server sent.
    pub sent: [Sent; 2],
}
