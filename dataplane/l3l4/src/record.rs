//! The record of one flow: all there is of a UDP flow, of a direct connection (beside the bytes it has under way, see
//! [`crate::held`]) and of one in TIME-WAIT, and of a connection on a stack the part by which it is found.
//!
//! Invariant: a record is two cache lines, since a million of them may wait for years. While a connection is on a
//! stack, what it has in common with its [`crate::flow::Flow`] is true there, and written back when the stack is given
//! up or the connection ends.

use crate::key::{FlowId, FlowKey};
use crate::time::Instant;
use smoltcp::socket::tcp::State;

/// What a record stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Free,
    Udp,
    /// A TCP connection on the stack in slot `Record::stack`.
    Tcp,
    /// A TCP connection served from its record; `Record::stack` says where its bytes under way are held.
    Direct,
    /// The stack is gone for good; the record stays until the last segments have died out.
    TimeWait,
}

/// Bits of [`Record::options`]: what the peer's SYN offered, and one more.
pub(crate) mod option {
    /// Selective acknowledgments (RFC 2018).
    pub(crate) const SACK: u8 = 1;
    /// Window scaling (RFC 7323).
    pub(crate) const SCALE: u8 = 2;
    /// Not an offer: the SYN is not answered yet, because the application has not said so.
    pub(crate) const HELD: u8 = 4;
}

/// Bits of [`Record::notes`], of direct connections.
pub(crate) mod note {
    /// In SYN-RECEIVED.
    pub(crate) const HALF_OPEN: u8 = 1;
    /// The peer's FIN has come, in order.
    pub(crate) const FIN_IN: u8 = 2;
    /// The application closed its side: a FIN follows what is held.
    pub(crate) const FIN_OUT: u8 = 4;
    /// It did so before the peer's FIN came.
    pub(crate) const FIRST: u8 = 8;
    /// In the list of those with something to say.
    pub(crate) const DIRTY: u8 = 16;
    /// The application found too little room; it wants to hear of more.
    pub(crate) const WANTS_ROOM: u8 = 32;
    /// To be ended with an RST.
    pub(crate) const ABORT: u8 = 64;
    /// Opened from here, and not answered yet: in SYN-SENT. [`super::Record::last_rx`] is when it is given up.
    pub(crate) const SYN_SENT: u8 = 128;
    /// None of these: ESTABLISHED (RFC 9293 section 3.3.2).
    pub(crate) const STATE: u8 = HALF_OPEN | FIN_IN | FIN_OUT | FIRST | ABORT | SYN_SENT;
    /// The handshake is not complete.
    pub(crate) const OPENING: u8 = HALF_OPEN | SYN_SENT;
}

/// [`Record::stack`] of a direct connection that holds nothing.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Clone, Debug, Default)]
#[repr(align(64))]
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
    /// Slot of the stack, or of what is held.
    pub(crate) stack: u32,
    /// Oldest unacknowledged.
    pub(crate) snd_una: u32,
    /// Highest ever sent, plus one.
    pub(crate) snd_nxt: u32,
    /// Next sequence number expected.
    pub(crate) rcv_nxt: u32,
    /// Window field of a bare ACK.
    pub(crate) window: u16,
    /// Window field of the peer's last segment.
    pub(crate) peer_window: u16,
    /// Maximum segment size: what the peer's SYN asked for, or the path takes if that is less.
    pub(crate) mss: u16,
    pub(crate) kind: Kind,
    /// Shift of the window we advertise.
    pub(crate) rcv_shift: u8,
    /// Shift of the window the peer advertises.
    pub(crate) snd_shift: u8,
    pub(crate) options: u8,
    /// See [`note`].
    pub(crate) notes: u8,
    /// How often the oldest unacknowledged was sent again.
    pub(crate) tries: u8,
    /// Round-trip time, in sixteenths of a millisecond; 0 where nothing was measured.
    pub(crate) rtt: u16,
}

impl Record {
    #[inline]
    pub(crate) fn id(&self, index: u32) -> FlowId {
        FlowId { index, generation: self.generation }
    }

    #[inline]
    pub(crate) fn has(&self, note: u8) -> bool {
        self.notes & note != 0
    }

    /// Bytes the peer may send from `rcv_nxt` on.
    #[inline]
    pub(crate) fn window_bytes(&self) -> u32 {
        u32::from(self.window) << self.rcv_shift
    }

    /// Bytes the peer takes from `snd_una` on.
    #[inline]
    pub(crate) fn peer_window_bytes(&self) -> u32 {
        u32::from(self.peer_window) << self.snd_shift
    }

    /// The state of a direct connection (RFC 9293 section 3.3.2).
    pub(crate) fn state(&self) -> State {
        if self.has(note::SYN_SENT) {
            return State::SynSent;
        }
        let (fin_in, first) = (self.has(note::FIN_IN), self.has(note::FIRST));
        match (self.has(note::HALF_OPEN), self.has(note::FIN_OUT)) {
            (true, _) => State::SynReceived,
            (_, false) if fin_in => State::CloseWait,
            (_, false) => State::Established,
            _ if !fin_in && self.stack == NONE => State::FinWait2,
            _ if !fin_in => State::FinWait1,
            _ if first => State::Closing,
            _ => State::LastAck,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size() {
        assert_eq!(size_of::<Record>(), 128);
    }
}
