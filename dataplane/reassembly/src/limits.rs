//! What bounds a tracker, and what it counts.
//!
//! Invariant: everything that grows has a limit here, and everything refused has a counter.

use crate::summary::{Cause, End};

/// Which copy counts where segments overlap that wait for the same turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overlap {
    /// The one that came first.
    #[default]
    First,
    /// The one that came last. What was delivered stays.
    Last,
}

/// Bounds of one tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections followed at once.
    pub flows: usize,
    /// Those of them whose handshake is not complete.
    pub half_open: usize,
    /// Segments held because something before them is missing, of all connections.
    pub held: usize,
    /// The same of one direction of a connection.
    pub held_of_stream: u32,
    /// Payload bytes in those.
    pub held_bytes_of_stream: u32,
    /// How long bytes may be missing that the other side has acknowledged, in nanoseconds. Not at once: the mirror may
    /// have shown the acknowledgment first.
    pub acked_grace: u64,
    /// How long bytes may be missing at all, in nanoseconds.
    pub hole_age: u64,
    /// A connection is over when nothing came for so long, in nanoseconds.
    pub idle: u64,
    /// The same before its handshake is complete.
    pub half_open_idle: u64,
    /// How long a connection is remembered after its end, so that late packets are not taken for a new one.
    pub linger: u64,
    /// Which copy of overlapping segments counts.
    pub overlap: Overlap,
    /// Follow connections whose beginning was not seen.
    pub midstream: bool,
}

const SECOND: u64 = 1_000_000_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 65_536,
            half_open: 16_384,
            held: 4096,
            held_of_stream: 256,
            held_bytes_of_stream: 1 << 20,
            acked_grace: SECOND / 5,
            hole_age: 10 * SECOND,
            idle: 300 * SECOND,
            half_open_idle: 30 * SECOND,
            linger: 5 * SECOND,
            overlap: Overlap::First,
            midstream: true,
        }
    }
}

/// What a tracker counted. All only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments of connections that are followed.
    pub segments: u64,
    /// Payload bytes delivered.
    pub bytes: u64,
    /// Connections.
    pub opened: u64,
    /// Those of them whose beginning was not seen.
    pub midstream: u64,
    /// Connections that ended, by [`End`].
    pub closed: [u64; End::ALL.len()],
    /// Connections evicted because there were too many.
    pub evicted_flows: u64,
    /// Connections evicted because too many were not complete.
    pub evicted_half_open: u64,
    /// Gaps, by [`Cause`].
    pub gaps: [u64; Cause::ALL.len()],
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Segments that came before their turn.
    pub out_of_order: u64,
    /// Bytes that had been seen before.
    pub retransmitted: u64,
    /// Bytes in which overlapping segments differed.
    pub conflicts: u64,
    /// Keepalive probes (RFC 9293 section 3.8.4).
    pub keepalives: u64,
    /// Times holes were given up because too many segments were held.
    pub held_limit: u64,
    /// Segments of no connection that is followed: without SYN and payload, or mid-stream where that is not wanted.
    pub stray: u64,
    /// Segments whose numbers cannot belong to their connection.
    pub out_of_window: u64,
    /// Connections that nothing asked to be followed.
    pub not_admitted: u64,
}
