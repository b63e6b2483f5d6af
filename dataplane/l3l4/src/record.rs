//! The record of one flow: all there is of a UDP flow, of a connection asleep and of one in TIME-WAIT, and of a live
//! connection the part by which it is found.
//!
//! Invariant: a record is at most 120 bytes, since a million of them may wait for years. While a connection is
//! live, what it has in common with its [`crate::flow::Flow`] is true there, and written back when it falls asleep
//! or ends.

use crate::key::{FlowId, FlowKey};
use crate::time::Instant;

/// What a record stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Free,
    Udp,
    /// A live TCP stack in slot `Record::stack`.
    Tcp,
    /// An established connection with nothing under way, whose stack was given up until there is.
    Asleep,
    /// The stack is gone for good; the record stays until the last segments have died out.
    TimeWait,
}

/// Bits of [`Record::options`]: what the peer's SYN offered.
pub(crate) mod option {
    /// Selective acknowledgments (RFC 2018).
    pub(crate) const SACK: u8 = 1;
    /// Window scaling (RFC 7323).
    pub(crate) const SCALE: u8 = 2;
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) key: FlowKey,
    /// The caller's own word.
    pub(crate) user: u64,
    pub(crate) opened: Instant,
    pub(crate) last_rx: Instant,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) hash: u32,
    pub(crate) generation: u32,
    /// Where the live part is.
    pub(crate) stack: u32,
    /// Next sequence number to send.
    pub(crate) snd_nxt: u32,
    /// Next sequence number expected.
    pub(crate) rcv_nxt: u32,
    /// Window field of a bare ACK.
    pub(crate) window: u16,
    /// Window field of the peer's last segment.
    pub(crate) peer_window: u16,
    /// Maximum segment size the peer's SYN asked for.
    pub(crate) mss: u16,
    pub(crate) kind: Kind,
    /// Shift of the window we advertise.
    pub(crate) rcv_shift: u8,
    /// Shift of the window the peer advertises.
    pub(crate) snd_shift: u8,
    pub(crate) options: u8,
}

impl Record {
    pub(crate) fn id(&self, index: u32) -> FlowId {
        FlowId { index, generation: self.generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size() {
        assert!(size_of::<Record>() <= 120, "{}", size_of::<Record>());
    }
}
