//! A connection at its end.
//!
//! Invariant: numbers of round trips are there exactly where one was measured.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One of each side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerSide<T> {
    /// The side that sent the SYN.
    pub client: T,
    /// The side that answered it.
    pub server: T,
}

/// `flow.close`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// Why it ended.
    pub reason: Cow<'static, str>,
    /// The states of RFC 9293 of both ends.
    pub state: PerSide<Cow<'static, str>>,
    /// Nanoseconds from the first packet to the last.
    pub duration: u64,
    /// Nanoseconds from the SYN to the ACK of the SYN-ACK.
    pub handshake_rtt: Option<u64>,
    /// What each side sent.
    pub sent: PerSide<Sent>,
}

/// What one side sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Bytes of the stream delivered.
    pub bytes: u64,
    /// Bytes that had been seen before.
    pub retransmitted: u64,
    /// Packets that came before their turn.
    pub out_of_order: u64,
    /// Bytes of overlaps that differed from the first copy.
    pub conflicts: u64,
    /// Gaps.
    pub gaps: u64,
    /// Bytes in gaps.
    pub missing: u64,
    /// Times it closed its window.
    pub zero_windows: u64,
    /// Nanoseconds for which its window was closed.
    pub zero_window_time: u64,
    /// Round trips measured.
    pub rtt_samples: u64,
    /// Nanoseconds; the shortest of them.
    pub rtt_min: Option<u64>,
    /// Nanoseconds; the longest of them.
    pub rtt_max: Option<u64>,
    /// Nanoseconds; their mean.
    pub rtt_mean: Option<u64>,
}
