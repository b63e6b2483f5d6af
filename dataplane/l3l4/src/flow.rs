//! What the engine knows of a live connection beside its socket.
//!
//! Invariant: a `Flow` lives in the slot of its socket, from `Slots::open` to `Slots::close`; sequence numbers here are followed from the headers that really came and went, so they hold for a
//! socket whose own are private. `snd_una <= pos <= snd_nxt` and `snd_una <= snd_end` in sequence space.

use crate::callbacks::CloseReason;
use crate::key::{FlowId, FlowKey};
use crate::recovery::Sender;
use crate::time::Instant;
use smoltcp::socket::tcp::{Socket, State};

/// `a` lies before `b` in sequence space (RFC 9293 section 3.4).
#[inline]
pub(crate) const fn seq_lt(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Bits of [`Flow::notes`].
pub(crate) mod note {
    /// In the list of flows with something to send.
    pub(crate) const DIRTY: u16 = 1;
    /// The application found too little room; it wants to hear of more.
    pub(crate) const WANTS_ROOM: u16 = 2;
    /// The application took, wrote or closed something since egress last ran.
    pub(crate) const TOUCHED: u16 = 4;
    /// The application closed its side: a FIN follows what is queued.
    pub(crate) const FIN: u16 = 8;
    /// The application knows of the peer's FIN.
    pub(crate) const TOLD_END: u16 = 16;
    /// Counted among the half-open flows.
    pub(crate) const HALF_OPEN: u16 = 32;
    /// Something sent waits to be acknowledged, since `Flow::busy_since`.
    pub(crate) const BUSY: u16 = 64;
    /// The engine gave up on the peer: no event but the close is due any more.
    pub(crate) const GIVEN_UP: u16 = 128;
    /// The application said in this call how long it waits: `Flow::word`.
    pub(crate) const SPOKEN: u16 = 256;
    /// Both sides have closed and all is acknowledged, but the application has not taken all that came.
    pub(crate) const DONE: u16 = 512;
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    pub(crate) key: FlowKey,
    /// Its handle: the record, and the record's generation.
    pub(crate) id: FlowId,
    pub(crate) notes: u16,
    pub(crate) state: u8,
    pub(crate) syn_acks: u8,
    /// Shift of the window we advertise.
    pub(crate) rcv_shift: u8,
    /// Shift of the window the peer advertises.
    pub(crate) snd_shift: u8,
    /// What the peer's SYN said, for the stack to be built again: see [`crate::record::option`].
    pub(crate) options: u8,
    /// See [`crate::record::Record::mss`].
    pub(crate) mss: u16,
    /// The link through whose interface its stack is dispatched: its port's, or one for a narrower path.
    pub(crate) path: u32,
    /// Peer's initial sequence number.
    pub(crate) irs: u32,
    /// First byte the application has not taken.
    pub(crate) rcv_base: u32,
    /// Next sequence number expected.
    pub(crate) rcv_nxt: u32,
    /// Last acknowledgment number sent.
    pub(crate) acked: u32,
    /// Right edge of the window advertised with it.
    pub(crate) edge: u32,
    /// Oldest unacknowledged.
    pub(crate) snd_una: u32,
    /// Where sending goes on from (falls back on retransmission).
    pub(crate) pos: u32,
    /// Highest ever sent, plus one.
    pub(crate) snd_nxt: u32,
    /// End of what the application has written.
    pub(crate) snd_end: u32,
    /// Right edge of the window the peer advertised last.
    pub(crate) snd_edge: u32,
    /// Largest window the peer ever advertised (RFC 5961 section 5).
    pub(crate) max_window: u32,
    /// How far the peer has to get with what waits for it, see [`crate::pace`]; 0 where nobody has looked.
    pub(crate) target: u32,
    /// See [`crate::waits::word`].
    pub(crate) word: u32,
    /// When it is looked at next: what it is filed under in the wheel, or later.
    pub(crate) due: Instant,
    pub(crate) last_rx: Instant,
    pub(crate) busy_since: Instant,
    pub(crate) opened: Instant,
    /// Why it will end, once it is given up.
    pub(crate) ending: Option<CloseReason>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// The caller's own word.
    pub(crate) user: u64,
    /// What is in flight, and how much may be.
    pub(crate) sender: Sender,
}

impl Flow {
    #[inline]
    pub(crate) fn has(&self, note: u16) -> bool {
        self.notes & note != 0
    }

    /// Sets the numbers of a connection whose SYNs are `irs` and `isn`, as they stand once both are answered.
    pub(crate) fn begin(&mut self, isn: u32, irs: u32, peer_window: u32) {
        self.irs = irs;
        let (ours, theirs) = (isn.wrapping_add(1), irs.wrapping_add(1));
        (self.rcv_base, self.rcv_nxt, self.acked, self.edge) = (theirs, theirs, theirs, theirs);
        (self.snd_una, self.pos, self.snd_nxt, self.snd_end) = (isn, ours, ours, ours);
        self.max_window = peer_window;
        self.snd_edge = ours.wrapping_add(peer_window);
    }

    #[inline]
    pub(crate) fn is_half_open(&self) -> bool {
        self.state == State::SynReceived as u8
    }

    /// End of what is to be sent, FIN included.
    #[inline]
    pub(crate) fn goal(&self) -> u32 {
        self.snd_end.wrapping_add(u32::from(self.has(note::FIN)))
    }

    /// Something is queued or FIN is due that has not gone out since the last (re)start of sending.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        seq_lt(self.pos, self.goal())
    }

    /// Something is sent or to be sent and not acknowledged.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.snd_una != self.goal()
    }

    /// Whether there is something unsent, and the congestion window has room for it.
    #[inline]
    pub(crate) fn may_go_on(&self) -> bool {
        self.has_unsent() && (!self.sender.is_on() || seq_lt(self.pos, self.sender.limit()))
    }

    /// Where something sent is not acknowledged: when the flow must be looked at, if it is not filed for it yet.
    /// `latest` is for a stack that keeps its own timer.
    #[inline]
    pub(crate) fn waits_for_ack(&mut self, now: Instant, latest: Instant) -> Option<Instant> {
        if !self.is_busy() {
            return None;
        }
        if !self.has(note::BUSY) {
            self.notes |= note::BUSY;
            self.busy_since = now;
        }
        let at = self.sender.deadline().unwrap_or(latest);
        (self.due > at).then_some(at)
    }

    /// The sequence number of a bare ACK: the highest sent that the peer's window has room for.
    #[inline]
    pub(crate) fn bare_ack_seq(&self) -> u32 {
        if seq_lt(self.snd_edge, self.snd_nxt) { self.snd_edge } else { self.snd_nxt }
    }

    /// Takes over what the socket lets one see.
    #[inline]
    pub(crate) fn sync(&mut self, socket: &Socket<'static>) {
        let state = socket.state();
        if state == State::Established && self.state == state as u8 {
            // Nothing but data and acknowledgments: nearly every segment.
            let rcv_nxt = self.rcv_base.wrapping_add(socket.recv_queue() as u32);
            self.bytes_in += u64::from(rcv_nxt.wrapping_sub(self.rcv_nxt));
            self.rcv_nxt = rcv_nxt;
            self.snd_una = self.snd_end.wrapping_sub(socket.send_queue() as u32);
        } else {
            self.sync_state(socket, state);
        }
        if seq_lt(self.pos, self.snd_una) {
            self.pos = self.snd_una;
        }
    }

    fn sync_state(&mut self, socket: &Socket<'static>, state: State) {
        let fin =
            u32::from(matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait));
        let rcv_nxt = self.rcv_base.wrapping_add(socket.recv_queue() as u32).wrapping_add(fin);
        let data_end = rcv_nxt.wrapping_sub(fin);
        let known = self.rcv_nxt.wrapping_sub(u32::from(self.fin_received()));
        self.bytes_in += u64::from(data_end.wrapping_sub(known));
        self.rcv_nxt = rcv_nxt;
        self.state = state as u8;
        self.snd_una = match state {
            State::SynReceived => self.snd_end.wrapping_sub(1),
            State::FinWait2 | State::TimeWait => self.goal(),
            _ if self.has(note::DONE) => self.goal(),
            _ => self.snd_end.wrapping_sub(socket.send_queue() as u32),
        };
    }

    /// The peer's FIN has come, in order.
    #[inline]
    pub(crate) fn fin_received(&self) -> bool {
        const PAST_FIN: [u8; 4] =
            [State::CloseWait as u8, State::LastAck as u8, State::Closing as u8, State::TimeWait as u8];
        PAST_FIN.contains(&self.state)
    }
}

/// The name of a TCP state as RFC 9293 spells it.
pub(crate) fn state_name(state: u8) -> &'static str {
    const NAMES: [(State, &str); 11] = [
        (State::Closed, "CLOSED"),
        (State::Listen, "LISTEN"),
        (State::SynSent, "SYN-SENT"),
        (State::SynReceived, "SYN-RECEIVED"),
        (State::Established, "ESTABLISHED"),
        (State::FinWait1, "FIN-WAIT-1"),
        (State::FinWait2, "FIN-WAIT-2"),
        (State::CloseWait, "CLOSE-WAIT"),
        (State::Closing, "CLOSING"),
        (State::LastAck, "LAST-ACK"),
        (State::TimeWait, "TIME-WAIT"),
    ];
    NAMES.iter().find(|(s, _)| *s as u8 == state).map_or("CLOSED", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each flow costs beside its rings; a change that makes it grow should be meant.
    #[test]
    fn sizes() {
        let socket = size_of::<smoltcp::iface::SocketStorage<'static>>();
        assert!(size_of::<Flow>() <= 208 + size_of::<Sender>(), "flow {}", size_of::<Flow>());
        assert!(socket <= 720, "socket {socket}");
    }
}
