//! The client's side of one TCP connection, in 32 bytes, without buffers: what is sent can be made again from its
//! template, what comes is compared and forgotten.
//!
//! Invariant: `una <= nxt` in sequence space, and `rcv` is the only sequence number that is taken from the peer; what
//! comes out of order is asked for again.

use crate::wire::{Segment, flag};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// The slot is free.
    #[default]
    Free,
    /// Our SYN is out.
    SynSent,
    /// Both ways open, as far as we are concerned.
    Open,
    /// The peer is done, and our FIN is out.
    Closing,
}

/// A connection; its place in the table is its address and port.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conn {
    /// When the operation under way was meant to begin, in ticks; 0 for none.
    pub(crate) intended: u64,
    /// First byte sent and not acknowledged.
    pub(crate) una: u32,
    /// Next byte to send.
    pub(crate) nxt: u32,
    /// Next byte expected.
    pub(crate) rcv: u32,
    /// When we last sent or the peer last got further, in coarse ticks.
    pub(crate) touched: u32,
    /// Bytes of the answer so far; no answer is longer than 64 KiB.
    pub(crate) got: u16,
    /// The peer's window as it came, see [`Conn::window`].
    window: u16,
    pub(crate) state: State,
    /// Timeouts in a row.
    pub(crate) tries: u8,
    /// Something came that is not acknowledged yet.
    pub(crate) owes_ack: bool,
    scale: u8,
}

/// What a segment means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to do.
    Ignore,
    /// The peer reset the connection.
    Refused,
    /// The handshake is done but for our ACK.
    Connected,
    /// Something from another life of the port: answer with a reset.
    Stale,
    /// Out of order or seen before: acknowledge again what we have.
    Repeat,
    /// In order: so many bytes of ours acknowledged, its payload is new, and the peer may be done.
    Progress { acked: u32, finished: bool },
    /// Our FIN is acknowledged: the connection is over.
    Closed,
}

impl Conn {
    /// A connection whose SYN is being sent.
    #[inline]
    pub(crate) fn opening(isn: u32, intended: u64) -> Self {
        Self { intended, una: isn, nxt: isn.wrapping_add(1), state: State::SynSent, ..Self::default() }
    }

    /// Bytes on their way.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.nxt.wrapping_sub(self.una)
    }

    /// The peer's window in bytes.
    #[inline]
    pub(crate) fn window(&self) -> u32 {
        u32::from(self.window) << self.scale
    }

    /// Takes a segment in.
    #[inline]
    pub(crate) fn receive(&mut self, segment: &Segment<'_>) -> Step {
        let reset = segment.has(flag::RST);
        match self.state {
            State::Free if reset => Step::Ignore,
            State::Free => Step::Stale,
            State::SynSent => self.answered(segment, reset),
            State::Open | State::Closing if reset => {
                if segment.seq == self.rcv {
                    Step::Refused
                } else {
                    Step::Ignore
                }
            }
            // The SYN-ACK again: our ACK was lost.
            State::Open | State::Closing if segment.has(flag::SYN) => Step::Repeat,
            State::Open | State::Closing => self.advance(segment),
        }
    }

    fn answered(&mut self, segment: &Segment<'_>, reset: bool) -> Step {
        if !segment.has(flag::ACK) || segment.ack != self.nxt {
            return if reset { Step::Ignore } else { Step::Stale };
        }
        if reset {
            return Step::Refused;
        }
        if !segment.has(flag::SYN) {
            return Step::Ignore;
        }
        self.rcv = segment.seq.wrapping_add(1);
        self.una = self.nxt;
        // That of a SYN is not scaled yet.
        self.scale = segment.window_scale();
        self.window = segment.window >> self.scale;
        self.state = State::Open;
        self.tries = 0;
        Step::Connected
    }

    #[inline]
    fn advance(&mut self, segment: &Segment<'_>) -> Step {
        let mut acked = segment.ack.wrapping_sub(self.una);
        if acked > self.in_flight() {
            acked = 0;
        }
        self.una = self.una.wrapping_add(acked);
        if acked > 0 {
            self.tries = 0;
        }
        self.window = segment.window;
        if self.state == State::Closing && self.una == self.nxt {
            return Step::Closed;
        }
        let finished = segment.has(flag::FIN);
        if segment.payload.is_empty() && !finished {
            return Step::Progress { acked, finished };
        }
        if segment.seq != self.rcv {
            return Step::Repeat;
        }
        #[allow(clippy::cast_possible_truncation, reason = "shorter than a frame")]
        let taken = segment.payload.len() as u32 + u32::from(finished);
        self.rcv = self.rcv.wrapping_add(taken);
        self.owes_ack = true;
        Step::Progress { acked, finished }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flag::{ACK, FIN, RST, SYN};

    fn segment(seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Segment<'_> {
        Segment { slot: 0, seq, ack, flags, window: 100, options: &[3, 3, 2], payload }
    }

    fn open() -> Conn {
        // Both sides cross zero.
        let mut conn = Conn::opening(u32::MAX, 1);
        assert_eq!(conn.receive(&segment(u32::MAX, 0, SYN | ACK, b"")), Step::Connected);
        assert_eq!((conn.rcv, conn.in_flight(), conn.window()), (0, 0, 100));
        conn
    }

    #[test]
    fn a_request_and_its_answer_and_the_end() {
        let mut conn = open();
        conn.nxt = 10;
        let step = conn.receive(&segment(0, 10, ACK, b"answer"));
        assert_eq!(step, Step::Progress { acked: 10, finished: false });
        assert_eq!((conn.rcv, conn.window(), conn.owes_ack), (6, 400, true));
        assert_eq!(
            conn.receive(&segment(6, 10, ACK | FIN, b"")),
            Step::Progress { acked: 0, finished: true }
        );
        assert_eq!(conn.rcv, 7);
        conn.state = State::Closing;
        conn.nxt += 1;
        assert_eq!(conn.receive(&segment(7, 10, ACK, b"")), Step::Progress { acked: 0, finished: false });
        assert_eq!(conn.receive(&segment(7, 11, ACK, b"")), Step::Closed);
    }

    #[test]
    fn the_handshake_takes_only_its_own_answer() {
        let mut conn = Conn::opening(500, 1);
        assert_eq!(conn.receive(&segment(9, 77, ACK, b"")), Step::Stale);
        assert_eq!(conn.receive(&segment(9, 77, RST | ACK, b"")), Step::Ignore);
        assert_eq!(conn.receive(&segment(9, 501, ACK, b"")), Step::Ignore);
        assert_eq!(conn.state, State::SynSent);
        assert_eq!(conn.receive(&segment(9, 501, RST | ACK, b"")), Step::Refused);
    }

    #[test]
    fn out_of_order_and_repeated_segments_change_nothing() {
        let mut conn = open();
        for seq in [3, u32::MAX] {
            assert_eq!(conn.receive(&segment(seq, 0, ACK, b"x")), Step::Repeat);
        }
        assert_eq!(conn.receive(&segment(u32::MAX, 0, SYN | ACK, b"")), Step::Repeat);
        assert_eq!((conn.rcv, conn.owes_ack), (0, false));
    }

    #[test]
    fn only_an_exact_reset_counts() {
        let mut conn = open();
        assert_eq!(conn.receive(&segment(1, 0, RST, b"")), Step::Ignore);
        assert_eq!(conn.receive(&segment(0, 0, RST, b"")), Step::Refused);
    }

    #[test]
    fn acks_of_what_was_never_sent_are_not_believed() {
        let mut conn = open();
        conn.nxt = 10;
        assert_eq!(conn.receive(&segment(0, 11, ACK, b"")), Step::Progress { acked: 0, finished: false });
        assert_eq!(
            conn.receive(&segment(0, u32::MAX, ACK, b"")),
            Step::Progress { acked: 0, finished: false }
        );
        assert_eq!(conn.una, 0);
    }

    #[test]
    fn a_free_slot_answers_strangers_but_not_resets() {
        let mut conn = Conn::default();
        assert_eq!(conn.receive(&segment(1, 2, ACK, b"")), Step::Stale);
        assert_eq!(conn.receive(&segment(1, 2, RST, b"")), Step::Ignore);
    }

    #[test]
    fn a_connection_is_half_a_cache_line() {
        assert_eq!(size_of::<Conn>(), 32);
    }
}
