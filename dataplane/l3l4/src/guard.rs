//! What must be put right in front of smoltcp on a network where anybody may send anything.
//!
//! Invariant: what is fed to a socket in a synchronised state is plain data, an acknowledgment or a FIN whose
//! numbers a peer that really holds the connection could have sent, or the one RST that matches exactly
//! (RFC 5961). Everything else is answered or dropped here, by name.

use crate::drop::DropReason;
use crate::flow::{Flow, seq_lt};
use crate::packet::{Headers, flags};

/// What to do with a segment that belongs to a live stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Feed it as it is.
    Feed,
    /// Feed it with this acknowledgment number, without its FIN where so said, and without its last `cut` bytes.
    FeedWith {
        ack: u32,
        clear_fin: bool,
        cut: u16,
    },
    /// Nothing of it can be taken but its acknowledgment: feed that alone, and answer with an ACK.
    FeedAck,
    /// It says nothing new and asks for nothing.
    Stale,
    /// Send a challenge ACK (rate-limited) and drop it under this reason.
    Challenge(DropReason),
    /// Send an RST for it (rate-limited) and drop it under this reason.
    Reset(DropReason),
    Drop(DropReason),
}

/// Judges one segment.
#[inline]
pub(crate) fn inbound(flow: &Flow, h: &Headers) -> Verdict {
    let end = h.seq.wrapping_add(h.payload_len() as u32);
    // The common case first: in order, inside the window, acknowledging what was sent.
    let ack_ahead = h.ack.wrapping_sub(flow.snd_una);
    if h.flags & (flags::SYN | flags::RST | flags::FIN | flags::ACK) == flags::ACK
        && ack_ahead <= flow.snd_nxt.wrapping_sub(flow.snd_una)
        && !flow.is_half_open()
        && (flow.rcv_shift == 0 || !seq_lt(flow.edge, end))
        && !seq_lt(h.seq, flow.rcv_nxt)
        && seq_lt(h.seq, flow.edge)
    {
        return Verdict::Feed;
    }
    // smoltcp scales the window of its own SYN-ACK, which is not scaled on the wire, and then takes bytes that its
    // ring has no place for: with a scaled window nothing beyond the edge may reach it.
    let beyond = flow.rcv_shift != 0 && seq_lt(flow.edge, end);
    if h.flags & flags::RST != 0 {
        return reset(flow, h);
    }
    if h.flags & flags::SYN != 0 {
        // RFC 5961 section 4: whatever its numbers. The first SYN come again is answered by the SYN-ACK's timer.
        let again = flow.is_half_open() && h.seq == flow.irs && h.flags & flags::ACK == 0;
        return if again { Verdict::Stale } else { Verdict::Challenge(DropReason::TcpChallenged) };
    }
    if h.flags & flags::ACK == 0 {
        return Verdict::Drop(DropReason::TcpFlags);
    }
    if flow.is_half_open() && h.ack != flow.snd_end {
        // RFC 9293 section 3.10.7.4, SYN-RECEIVED: only our SYN can be acknowledged.
        return Verdict::Reset(DropReason::TcpOutOfWindow);
    }
    if seq_lt(flow.snd_nxt, h.ack) {
        return Verdict::Challenge(DropReason::TcpOutOfWindow);
    }
    let mut ack = h.ack;
    if seq_lt(ack, flow.snd_una) {
        // RFC 5961 section 5: old, but not older than a window; its data still counts.
        if flow.snd_una.wrapping_sub(ack) > flow.max_window {
            return Verdict::Challenge(DropReason::TcpOutOfWindow);
        }
        if h.segment_len() == 0 && h.seq == flow.rcv_nxt {
            return Verdict::Stale;
        }
        ack = flow.snd_una;
    }
    if seq_lt(flow.snd_una, ack) && !flow.is_half_open() {
        // smoltcp looks at nothing of a segment that it has no place for.
        if finds_no_place(flow, h, end) {
            // Where both sides send again at once, or probe each other's closed window, each would wait for the
            // other's ACK for ever.
            return Verdict::FeedAck;
        }
        if seq_lt(flow.edge, h.seq) {
            // No peer sends that. Were it heard by the sender and not by the stack, what it acknowledges would
            // never be sent again.
            return Verdict::Challenge(DropReason::TcpOutOfWindow);
        }
    }
    // smoltcp trims what exceeds the window but takes the FIN behind it all the same.
    let clear_fin = h.flags & flags::FIN != 0 && seq_lt(flow.edge, end);
    let mut cut = 0;
    if beyond {
        if seq_lt(h.seq, flow.edge) {
            cut = end.wrapping_sub(flow.edge) as u16;
        } else if flow.acked == flow.irs.wrapping_add(1) {
            return Verdict::Challenge(DropReason::TcpOutOfWindow);
        }
    }
    if ack == h.ack && !clear_fin && cut == 0 {
        Verdict::Feed
    } else {
        Verdict::FeedWith { ack, clear_fin, cut }
    }
}

/// Whether smoltcp would refuse a segment that a peer may well send: all of it is old, or begins where the window ends.
fn finds_no_place(flow: &Flow, h: &Headers, end: u32) -> bool {
    let closed = flow.edge == flow.rcv_nxt;
    if seq_lt(h.seq, flow.rcv_nxt) {
        let next = end.wrapping_add(u32::from(h.flags & flags::FIN));
        return closed || !seq_lt(flow.rcv_nxt, next);
    }
    // Where the window is scaled the peer may know of an edge that rounding has taken back since.
    let at_edge = h.seq.wrapping_sub(flow.edge) >> flow.rcv_shift == 0;
    at_edge && (h.seq != flow.rcv_nxt || h.payload_len() > 0)
}

/// RFC 5961 section 3: an RST closes only where it hits the next expected number exactly.
fn reset(flow: &Flow, h: &Headers) -> Verdict {
    if h.seq == flow.rcv_nxt {
        Verdict::Feed
    } else if !seq_lt(h.seq, flow.rcv_nxt) && seq_lt(h.seq, flow.edge) {
        Verdict::Challenge(DropReason::TcpChallenged)
    } else {
        Verdict::Drop(DropReason::TcpOutOfWindow)
    }
}

/// Writes a verdict's corrections into the packet. Checksums are not kept: they were verified before.
/// Returns where the packet ends now.
#[cold]
pub(crate) fn correct(packet: &mut [u8], h: &Headers, ack: u32, clear_fin: bool, cut: u16) -> usize {
    let l4 = usize::from(h.l4);
    let end = h.end - cut;
    let (at, len) = if h.is_v4() { (2, end) } else { (4, end - 40) };
    packet[at..at + 2].copy_from_slice(&len.to_be_bytes());
    packet[l4 + 8..l4 + 12].copy_from_slice(&ack.to_be_bytes());
    if clear_fin {
        packet[l4 + 13] &= !flags::FIN;
    }
    usize::from(end)
}

/// Makes a bare ACK with the number `seq` of a segment; returns where the packet ends now.
#[cold]
pub(crate) fn reduce(packet: &mut [u8], h: &Headers, seq: u32) -> usize {
    let l4 = usize::from(h.l4);
    packet[l4 + 4..l4 + 8].copy_from_slice(&seq.to_be_bytes());
    correct(packet, h, h.ack, true, h.payload_len() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Addr, FlowKey};
    use smoltcp::socket::tcp::State;

    fn flow() -> Flow {
        Flow {
            state: State::Established as u8,
            irs: 999,
            rcv_base: 1000,
            rcv_nxt: 1000,
            acked: 1000,
            edge: 3000,
            snd_una: 5000,
            pos: 5500,
            snd_nxt: 5500,
            snd_end: 5500,
            max_window: 400,
            ..Flow::default()
        }
    }

    fn segment(f: u8, seq: u32, ack: u32, len: u16) -> Headers {
        Headers { flags: f, seq, ack, payload: 40, payload_end: 40 + len, ..Headers::default() }
    }

    #[test]
    fn rfc_5961_table() {
        use flags::{ACK, FIN, RST, SYN};
        let flow = flow();
        let challenge = Verdict::Challenge(DropReason::TcpChallenged);
        let far = Verdict::Challenge(DropReason::TcpOutOfWindow);
        let out = Verdict::Drop(DropReason::TcpOutOfWindow);
        for (what, h, wanted) in [
            ("exact RST", segment(RST, 1000, 0, 0), Verdict::Feed),
            ("RST inside the window", segment(RST, 1001, 0, 0), challenge),
            ("RST at the last byte", segment(RST, 2999, 0, 0), challenge),
            ("RST at the edge", segment(RST, 3000, 0, 0), out),
            ("RST behind", segment(RST | ACK, 999, 5000, 0), out),
            ("SYN anywhere", segment(SYN, 77, 0, 0), challenge),
            ("SYN-ACK", segment(SYN | ACK, 1000, 5000, 0), challenge),
            ("FIN without ACK", segment(FIN, 1000, 0, 0), Verdict::Drop(DropReason::TcpFlags)),
            ("data", segment(ACK, 1000, 5000, 10), Verdict::Feed),
            ("ACK of all", segment(ACK, 1000, 5500, 0), Verdict::Feed),
            ("ACK of what was never sent", segment(ACK, 1000, 5501, 0), far),
            (
                "old ACK with data",
                segment(ACK, 1000, 4700, 9),
                Verdict::FeedWith { ack: 5000, clear_fin: false, cut: 0 },
            ),
            ("old ACK alone", segment(ACK, 1000, 4700, 0), Verdict::Stale),
            (
                "keepalive with old ACK",
                segment(ACK, 999, 4700, 0),
                Verdict::FeedWith { ack: 5000, clear_fin: false, cut: 0 },
            ),
            ("ACK older than a window", segment(ACK, 1000, 4599, 9), far),
            (
                "FIN beyond the edge",
                segment(ACK | FIN, 2990, 5000, 20),
                Verdict::FeedWith { ack: 5000, clear_fin: true, cut: 0 },
            ),
            ("old data with a new ACK", segment(ACK, 990, 5100, 10), Verdict::FeedAck),
            ("old FIN with a new ACK", segment(ACK | FIN, 990, 5100, 9), Verdict::FeedAck),
            ("old and new data with a new ACK", segment(ACK, 990, 5100, 11), Verdict::Feed),
            ("old data", segment(ACK, 990, 5000, 10), Verdict::Feed),
            ("new ACK at the edge", segment(ACK, 3000, 5100, 0), Verdict::FeedAck),
            ("new ACK beyond the edge", segment(ACK, 3001, 5100, 0), far),
            ("FIN at the edge", segment(ACK | FIN, 2990, 5000, 10), Verdict::Feed),
        ] {
            assert_eq!(inbound(&flow, &h), wanted, "{what}");
        }
    }

    /// RFC 9293 section 3.10.7.4: no segment is acceptable then, but valid ACKs are.
    #[test]
    fn a_closed_window_lets_acknowledgments_in() {
        use flags::{ACK, FIN};
        let flow = Flow { edge: 1000, ..flow() };
        for (what, h, wanted) in [
            ("ACK alone", segment(ACK, 1000, 5100, 0), Verdict::Feed),
            ("FIN", segment(ACK | FIN, 1000, 5100, 0), Verdict::Feed),
            ("a probe", segment(ACK, 1000, 5100, 1), Verdict::FeedAck),
            ("old and new data", segment(ACK, 990, 5100, 11), Verdict::FeedAck),
            ("a probe without news", segment(ACK, 1000, 5000, 1), Verdict::Feed),
        ] {
            assert_eq!(inbound(&flow, &h), wanted, "{what}");
        }
        let rounded = Flow { rcv_shift: 4, ..flow };
        assert_eq!(inbound(&rounded, &segment(ACK, 1015, 5100, 0)), Verdict::FeedAck, "an edge of before");
        let far = Verdict::Challenge(DropReason::TcpOutOfWindow);
        assert_eq!(inbound(&rounded, &segment(ACK, 1016, 5100, 0)), far);
    }

    #[test]
    fn nothing_beyond_a_scaled_window() {
        use flags::{ACK, FIN};
        // The SYN-ACK has been sent and acknowledged, nothing else.
        let flow = Flow { rcv_shift: 4, ..flow() };
        let ack = 5000;
        for (what, h, wanted) in [
            ("inside", segment(ACK, 1000, ack, 2000), Verdict::Feed),
            ("across", segment(ACK, 2500, ack, 600), Verdict::FeedWith { ack, clear_fin: false, cut: 100 }),
            ("FIN", segment(ACK | FIN, 2500, ack, 600), Verdict::FeedWith { ack, clear_fin: true, cut: 100 }),
            ("beyond", segment(ACK, 3000, ack, 1), Verdict::Challenge(DropReason::TcpOutOfWindow)),
        ] {
            assert_eq!(inbound(&flow, &h), wanted, "{what}");
        }
        let later = Flow { acked: 1700, rcv_nxt: 1700, ..flow };
        assert_eq!(inbound(&later, &segment(ACK, 3000, ack, 1)), Verdict::Feed, "a window probe");
    }

    #[test]
    fn half_open() {
        use flags::{ACK, SYN};
        let flow =
            Flow { state: State::SynReceived as u8, snd_una: 5000, snd_end: 5001, snd_nxt: 5001, ..flow() };
        assert_eq!(inbound(&flow, &segment(ACK, 1000, 5001, 0)), Verdict::Feed);
        assert_eq!(inbound(&flow, &segment(ACK, 1000, 5002, 0)), Verdict::Reset(DropReason::TcpOutOfWindow));
        assert_eq!(inbound(&flow, &segment(SYN, 999, 0, 0)), Verdict::Stale);
        assert_eq!(inbound(&flow, &segment(SYN, 998, 0, 0)), Verdict::Challenge(DropReason::TcpChallenged));
    }

    #[test]
    fn corrections_land_in_the_header() {
        let mut packet = [0u8; 40];
        packet[33] = flags::ACK | flags::FIN;
        let h = Headers {
            l4: 20,
            end: 300,
            key: FlowKey { local: Addr::v4([1; 4]), ..FlowKey::default() },
            ..segment(0, 0, 0, 0)
        };
        assert_eq!(correct(&mut packet, &h, 0x0102_0304, true, 40), 260);
        assert_eq!((&packet[28..32], packet[33]), (&[1, 2, 3, 4][..], flags::ACK));
        assert_eq!(packet[2..4], [1, 4]);
    }
}
