//! The server's side of one TCP connection, in 20 bytes, without buffers or timers: what was lost is asked for again by
//! the other side, and made again.
//!
//! Invariant: `una <= nxt` in sequence space, and `rcv` is the only sequence number that is taken from the peer.

use crate::wire::{Segment, flag};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// There is none.
    #[default]
    Free,
    /// Our SYN-ACK is out.
    Greeted,
    Open,
    /// Our FIN is out, the peer's has not come.
    Said,
    /// Both FINs are out, ours not acknowledged.
    LastAck,
}

/// A connection; its place in the table is its addresses and ports.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peer {
    /// First byte sent and not acknowledged.
    pub(super) una: u32,
    /// Next byte to send.
    pub(super) nxt: u32,
    /// Next byte expected.
    pub(super) rcv: u32,
    /// Bytes of the request so far.
    pub(super) got: u16,
    window: u16,
    scale: u8,
    pub(super) state: State,
}

/// What a segment means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// The SYN again that we have answered: answer it again.
    Greet,
    /// A SYN: a new connection, whatever was here.
    New,
    /// In order: its payload is new, some of ours may be acknowledged, and the peer may be done.
    Progress {
        acked: bool,
        finished: bool,
    },
    /// Out of order or seen before.
    Repeat,
    /// The last ACK, or a reset: the place is free.
    Over,
    /// A FIN of a connection that is over: our ACK was lost.
    Farewell,
    /// Nothing we know of: answer with a reset.
    Stale,
}

impl Peer {
    /// A connection whose SYN has come, and whose SYN-ACK is being sent.
    pub(super) fn greeting(syn: &Segment<'_>, isn: u32) -> Self {
        Self {
            una: isn,
            nxt: isn.wrapping_add(1),
            rcv: syn.seq.wrapping_add(1),
            scale: syn.window_scale(),
            state: State::Greeted,
            ..Self::default()
        }
    }

    /// Bytes on their way.
    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.nxt.wrapping_sub(self.una)
    }

    /// The peer's window in bytes.
    #[inline]
    pub(super) fn window(&self) -> u32 {
        u32::from(self.window) << self.scale
    }

    /// Takes a segment in.
    #[inline]
    pub(super) fn receive(&mut self, segment: &Segment<'_>) -> Step {
        if segment.flags & (flag::SYN | flag::RST) != 0 {
            return self.unusual(segment);
        }
        match self.state {
            State::Free if segment.has(flag::FIN) => Step::Farewell,
            State::Free => Step::Stale,
            _ => self.advance(segment),
        }
    }

    #[cold]
    fn reset(&mut self, segment: &Segment<'_>) -> Step {
        if self.state == State::Free || segment.seq != self.rcv {
            return Step::Nothing;
        }
        self.state = State::Free;
        Step::Over
    }

    fn unusual(&mut self, segment: &Segment<'_>) -> Step {
        if segment.has(flag::RST) {
            return self.reset(segment);
        }
        match self.state {
            _ if segment.has(flag::ACK) => Step::Nothing,
            State::Greeted if segment.seq.wrapping_add(1) == self.rcv => Step::Greet,
            _ => Step::New,
        }
    }

    #[inline]
    fn advance(&mut self, segment: &Segment<'_>) -> Step {
        let acked = segment.ack.wrapping_sub(self.una);
        let acked = if acked > self.in_flight() { 0 } else { acked };
        self.una = self.una.wrapping_add(acked);
        self.window = segment.window;
        if self.in_flight() == 0 {
            match self.state {
                State::Greeted => self.state = State::Open,
                State::LastAck => {
                    self.state = State::Free;
                    return Step::Over;
                }
                _ => {}
            }
        }
        let finished = segment.has(flag::FIN);
        if !segment.payload.is_empty() || finished {
            if segment.seq != self.rcv || matches!(self.state, State::Greeted | State::LastAck) {
                return Step::Repeat;
            }
            #[allow(clippy::cast_possible_truncation, reason = "shorter than a frame")]
            let taken = segment.payload.len() as u32 + u32::from(finished);
            self.rcv = self.rcv.wrapping_add(taken);
        }
        Step::Progress { acked: acked > 0, finished }
    }

    /// Our FIN, or the answer to the peer's, is being sent: where the connection stands then.
    pub(super) fn ending(&mut self, finished: bool) {
        self.state = match (self.state, finished) {
            (State::Said, true) if self.in_flight() == 0 => State::Free,
            (_, true) => State::LastAck,
            (_, false) => State::Said,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flag::{ACK, FIN, PSH, RST, SYN};

    fn segment(seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Segment<'_> {
        Segment { slot: 0, seq, ack, flags, window: 100, options: &[3, 3, 2], payload }
    }

    const QUIET: Step = Step::Progress { acked: false, finished: false };

    const ACKED: Step = Step::Progress { acked: true, finished: false };

    /// The peer's next byte is 0, ours 501.
    fn open() -> Peer {
        let mut peer = Peer::default();
        let syn = segment(u32::MAX, 0, SYN, b"");
        assert_eq!(peer.receive(&syn), Step::New);
        peer = Peer::greeting(&syn, 500);
        assert_eq!(peer.receive(&syn), Step::Greet);
        assert_eq!(peer.receive(&segment(0, 0, ACK, b"")), QUIET, "acknowledges nothing");
        assert_eq!(peer.receive(&segment(0, 501, ACK, b"")), ACKED);
        assert_eq!((peer.rcv, peer.in_flight(), peer.window()), (0, 0, 400));
        peer
    }

    #[test]
    fn a_request_its_answer_with_our_fin_and_the_peers() {
        let mut peer = open();
        assert_eq!(peer.receive(&segment(0, 501, ACK | PSH, b"GET")), QUIET);
        assert_eq!(peer.receive(&segment(0, 501, ACK | PSH, b"GET")), Step::Repeat);
        peer.nxt += 11;
        peer.ending(false);
        assert_eq!(peer.receive(&segment(3, 512, ACK, b"")), ACKED);
        let finished = Step::Progress { acked: false, finished: true };
        assert_eq!(peer.receive(&segment(3, 512, ACK | FIN, b"")), finished);
        assert_eq!(peer.rcv, 4);
        peer.ending(true);
        assert_eq!(peer.receive(&segment(3, 512, ACK | FIN, b"")), Step::Farewell);
        assert_eq!(peer.receive(&segment(3, 512, ACK, b"x")), Step::Stale);
    }

    #[test]
    fn the_peer_may_be_done_first_or_at_the_same_time() {
        let mut peer = open();
        assert!(matches!(
            peer.receive(&segment(0, 501, ACK | FIN, b"")),
            Step::Progress { finished: true, .. }
        ));
        peer.nxt += 1;
        peer.ending(true);
        assert_eq!((peer.state, peer.receive(&segment(1, 501, ACK, b""))), (State::LastAck, QUIET));
        assert_eq!(peer.receive(&segment(1, 502, ACK, b"")), Step::Over);

        let mut peer = open();
        peer.nxt += 1;
        peer.ending(false);
        assert!(matches!(
            peer.receive(&segment(0, 501, ACK | FIN, b"")),
            Step::Progress { finished: true, .. }
        ));
        peer.ending(true);
        assert_eq!(peer.receive(&segment(1, 502, ACK, b"")), Step::Over);
        assert_eq!(peer.state, State::Free);
    }

    #[test]
    fn only_an_exact_reset_counts_and_a_syn_begins_anew() {
        let mut peer = open();
        assert_eq!(peer.receive(&segment(1, 501, RST, b"")), Step::Nothing);
        assert_eq!(peer.receive(&segment(7, 0, SYN, b"")), Step::New);
        assert_eq!(peer.receive(&segment(0, 501, RST | ACK, b"")), Step::Over);
        assert_eq!(peer.receive(&segment(0, 501, RST, b"")), Step::Nothing);
        assert_eq!(peer.receive(&segment(0, 501, SYN | ACK, b"")), Step::Nothing);
    }

    #[test]
    fn nothing_is_taken_out_of_order_or_before_the_handshake_is_over() {
        let mut peer = open();
        for seq in [3, u32::MAX] {
            assert_eq!(peer.receive(&segment(seq, 501, ACK, b"x")), Step::Repeat);
        }
        let mut peer = Peer::greeting(&segment(u32::MAX, 0, SYN, b""), 500);
        assert_eq!(peer.receive(&segment(0, 400, ACK, b"x")), Step::Repeat);
        assert_eq!(peer.rcv, 0);
    }
}
