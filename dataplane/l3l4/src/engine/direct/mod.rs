//! Direct connections: served from their record, without a stack, for as long as what happens is what nearly always
//! happens: segments come in order, the application takes all of what came, and what it answers is short.
//!
//! What came is shown to the application in its packet; what it answers is held ([`crate::held`]) until it has been
//! acknowledged, and sent again from there. Everything else (holes, bytes that are not taken, long answers, a small
//! window) is for a stack, which is built from the record at that moment (`promote`); when the connection falls
//! quiet it gives the stack up again (`sleep`) and is direct again.
//!
//! Invariant: a direct connection holds a slot as long as something is to be sent or acknowledged, FIN included, and
//! no longer; its record says all else that the peer could notice. Handshake and end are direct for every connection
//! that never needed a stack.

mod connect;
mod promote;
mod say;
mod timer;

pub use connect::ConnectError;

use super::L3l4;
use super::sleep::NO_STACK;
use crate::callbacks::{Callbacks, CloseReason};
use crate::conn::{Conn, Direct, On};
use crate::drop::DropReason;
use crate::flow::{Flow, seq_lt};
use crate::guard::{self, Verdict};
use crate::packet::{Headers, flags};
use crate::record::{Kind, NONE, note, option};
use crate::time::Instant;
use core::time::Duration;

/// The shortest retransmission timeout. RFC 6298 section 2.4 asks for a second; every large system uses this.
pub(super) const SHORTEST_RTO: Duration = Duration::from_millis(200);

impl<B> L3l4<B> {
    /// A segment for a direct connection. Where a stack must see to it, that comes back.
    #[inline]
    pub(super) fn tcp_direct<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &[u8],
        h: &Headers,
        index: u32,
    ) -> Result<Option<u32>, DropReason> {
        let record = &self.records[index as usize];
        let expected = h.flags & (flags::SYN | flags::RST | flags::ACK) == flags::ACK
            && h.seq == record.rcv_nxt
            && h.ack.wrapping_sub(record.snd_una) <= record.snd_nxt.wrapping_sub(record.snd_una)
            && h.payload_len() as u32 <= record.window_bytes()
            // Behind a FIN there is nothing, and the handshake's last segment acknowledges our SYN.
            && (record.notes & note::STATE == 0
                || !record.has(note::ABORT | note::SYN_SENT)
                    && (!record.has(note::FIN_IN) || h.segment_len() == 0)
                    && (!record.has(note::HALF_OPEN)
                        || h.ack == record.snd_nxt && record.options & option::HELD == 0));
        if !expected {
            return self.judge(cb, now, packet, h, index);
        }
        let fresh = record.has(note::HALF_OPEN);
        if fresh {
            self.establish(now, index);
        }
        self.accept(cb, now, packet, h, index, fresh)
    }

    /// A segment that is not the next one of an established connection.
    #[inline(never)]
    fn judge<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &[u8],
        h: &Headers,
        index: u32,
    ) -> Result<Option<u32>, DropReason> {
        let record = &self.records[index as usize];
        if record.has(note::ABORT) {
            return Err(DropReason::TcpClosing);
        }
        if record.has(note::SYN_SENT) {
            return self.answered(cb, now, h, index);
        }
        if record.options & option::HELD != 0 {
            return self.judge_held(cb, now, h, index);
        }
        let edge = record.rcv_nxt.wrapping_add(record.window_bytes());
        let seen = Flow {
            state: record.state() as u8,
            irs: record.rcv_nxt.wrapping_sub(1),
            rcv_nxt: record.rcv_nxt,
            acked: record.rcv_nxt,
            edge,
            snd_una: record.snd_una,
            snd_nxt: record.snd_nxt,
            snd_end: record.snd_nxt,
            rcv_shift: record.rcv_shift,
            max_window: record.peer_window_bytes().max(u32::from(u16::MAX)),
            ..Flow::default()
        };
        match guard::inbound(&seen, h) {
            Verdict::Feed | Verdict::FeedWith { .. } | Verdict::FeedAck => {}
            Verdict::Stale => return Ok(None),
            Verdict::Drop(reason) => return Err(reason),
            Verdict::Challenge(reason) => {
                self.challenge_record(cb, now, index);
                return Err(reason);
            }
            Verdict::Reset(reason) => {
                self.answer_rst(cb, now, h);
                return Err(reason);
            }
        }
        if h.flags & flags::RST != 0 {
            self.close(cb, index, CloseReason::PeerReset);
            return Ok(None);
        }
        let end = h.seq.wrapping_add(h.segment_len());
        let more = h.segment_len() > 0;
        if seq_lt(edge, h.seq) || more && record.has(note::FIN_IN) && seq_lt(record.rcv_nxt, end) {
            // Nothing is built for numbers that a stranger could guess, nor for bytes behind a FIN.
            self.challenge_record(cb, now, index);
            return Err(DropReason::TcpOutOfWindow);
        }
        let fresh = record.has(note::HALF_OPEN);
        if fresh {
            self.establish(now, index);
        }
        let record = &mut self.records[index as usize];
        if h.seq == record.rcv_nxt && h.payload_len() as u32 <= record.window_bytes() {
            return self.accept(cb, now, packet, h, index, fresh);
        }
        // Old, or ahead of a hole. Its acknowledgment counts all the same.
        let unordered = seq_lt(record.rcv_nxt, end) && more;
        let probe = seq_lt(h.seq, record.rcv_nxt);
        if (more || !probe) && !seq_lt(h.ack, record.snd_una) {
            record.peer_window = h.window;
        }
        record.last_rx = now;
        if seq_lt(record.snd_una, h.ack) {
            self.acknowledged(now, index, h.ack);
        }
        if fresh {
            let told = self.tell(cb, index, &[], false)?;
            if told.is_some() || self.records[index as usize].kind != Kind::Direct {
                return Ok(told);
            }
        }
        if unordered {
            if let Some(stack) = self.promote(index) {
                return Ok(Some(stack));
            }
            self.mark_direct(index);
            return Err(NO_STACK);
        }
        if more || probe {
            // Sent again for want of an ACK, or a keepalive probe (RFC 9293 section 3.8.4).
            self.mark_direct(index);
        }
        self.settle_direct(cb, now, index);
        Ok(None)
    }

    /// A segment for a connection whose SYN is not answered yet: none can be right but that SYN come again, and the RST
    /// of a peer that has thought better of it. Nothing that leaves for it tells our number.
    #[cold]
    fn judge_held<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        h: &Headers,
        index: u32,
    ) -> Result<Option<u32>, DropReason> {
        let next = self.records[index as usize].rcv_nxt;
        match h.flags & (flags::RST | flags::SYN | flags::ACK) {
            rst if rst & flags::RST != 0 && h.seq == next => self.close(cb, index, CloseReason::PeerReset),
            flags::SYN if h.seq == next.wrapping_sub(1) => {}
            flags::ACK => {
                // RFC 9293 section 3.10.7.4: what was not sent cannot be acknowledged.
                self.answer_rst(cb, now, h);
                return Err(DropReason::TcpOutOfWindow);
            }
            0 => return Err(DropReason::TcpFlags),
            _ => return Err(DropReason::TcpOutOfWindow),
        }
        Ok(None)
    }

    /// The handshake is complete.
    fn establish(&mut self, now: Instant, index: u32) {
        let record = &mut self.records[index as usize];
        record.notes &= !note::HALF_OPEN;
        record.snd_una = record.snd_nxt;
        // What the SYN-ACK said unscaled.
        record.window = (u32::from(record.window).div_ceil(1 << record.rcv_shift)) as u16;
        if record.tries == 0 {
            record.rtt = round_trip(record.rtt, now.since(record.opened));
        }
        record.tries = 0;
        self.half_open -= 1;
        self.half_open_direct -= 1;
        self.sources.leave(&record.key);
        self.counters.tcp_established += 1;
    }

    /// The next segment in order, whose numbers are right. `fresh`: it has established the connection.
    pub(super) fn accept<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        packet: &[u8],
        h: &Headers,
        index: u32,
        fresh: bool,
    ) -> Result<Option<u32>, DropReason> {
        let more = h.segment_len() > 0;
        if more && !self.direct {
            return self.promote(index).map(Some).ok_or(NO_STACK);
        }
        let record = &mut self.records[index as usize];
        record.last_rx = now;
        let mut room = false;
        if seq_lt(record.snd_una, h.ack) {
            // Who has closed wants none any more.
            room = record.notes & (note::WANTS_ROOM | note::FIN_OUT) == note::WANTS_ROOM;
            self.acknowledged(now, index, h.ack);
        }
        let record = &mut self.records[index as usize];
        let opened = h.window > record.peer_window;
        record.peer_window = h.window;
        if more || fresh || room {
            let data = &packet[usize::from(h.payload)..usize::from(h.payload_end)];
            return self.tell(cb, index, data, h.flags & flags::FIN != 0);
        }
        if opened && record.stack != NONE {
            self.mark_direct(index);
        }
        if record_is_over(self.records[index as usize].notes) {
            self.settle_direct(cb, now, index);
        }
        Ok(None)
    }

    /// Tells the application what came. Where that needs a stack for the packet at hand, that comes back.
    fn tell<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        index: u32,
        data: &[u8],
        fin: bool,
    ) -> Result<Option<u32>, DropReason> {
        self.call(cb, index, data, fin, None, C::l4_rx)
    }

    /// Calls the application, and makes true what it did; `now` is the time, where that is not the packet's.
    #[inline(always)]
    fn call<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        index: u32,
        data: &[u8],
        fin: bool,
        now: Option<Instant>,
        what: impl FnOnce(&mut C, &mut Conn<'_>),
    ) -> Result<Option<u32>, DropReason> {
        let Self { records, held, .. } = self;
        let record = &mut records[index as usize];
        let before = (record.stack, record.notes, record.bytes_out);
        if record.stack == NONE {
            record.stack = held.take().ok_or(NO_STACK)?;
        }
        record.notes &= !note::WANTS_ROOM;
        if fin {
            record.notes |= note::FIN_IN;
        }
        let id = record.id(index);
        let (under, room) = held.get(record.stack);
        let half = room.len() / 2;
        let direct = Direct { record, under, room, data, taken: 0, short: false, spoken: false };
        let mut conn = Conn { id, on: On::Record(direct), peer: None };
        what(cb, &mut conn);
        let peer = conn.peer;
        let On::Record(Direct { under, mut taken, short, spoken, .. }) = conn.on else { return Ok(None) };
        let len = usize::from(under.len);
        if let Some(peer) = peer {
            taken += self.pass_on(id, peer, &data[taken..]);
        }
        let Self { records, held, counters, .. } = self;
        let record = &mut records[index as usize];
        record.bytes_in += taken as u64;
        counters.tcp_bytes_in += taken as u64;
        counters.tcp_bytes_out += record.bytes_out - before.2;
        record.rcv_nxt = record.rcv_nxt.wrapping_add(taken as u32);
        // Its FIN, where there was one already and no slot, has been acknowledged.
        let closing = record.has(note::FIN_OUT) && (before.0 != NONE || before.1 & note::FIN_OUT == 0);
        let speaks = closing || len > 0;
        if !speaks {
            held.release(record.stack);
            record.stack = NONE;
        }
        if (spoken || record.has(note::ABORT)) && self.heed_direct(index, spoken, now) {
            return Ok(None);
        }
        let record = &mut self.records[index as usize];
        if taken < data.len() {
            if fin {
                // It comes again with what was not taken.
                record.notes &= !note::FIN_IN;
                record.notes |= if record.has(note::FIN_OUT) { note::FIRST } else { 0 };
            }
            record.notes |= if short { note::WANTS_ROOM } else { 0 };
            if let Some(stack) = self.promote(index) {
                return Ok(Some(stack));
            }
            self.mark_direct(index);
            return Err(NO_STACK);
        }
        record.rcv_nxt = record.rcv_nxt.wrapping_add(u32::from(fin));
        if short || len > half {
            record.notes |= note::WANTS_ROOM;
        }
        if short && let Some(stack) = self.promote(index) {
            self.go_on(cb, stack);
        } else if speaks || fin || !data.is_empty() {
            self.mark_direct(index);
        }
        Ok(None)
    }

    /// Tells the application that its time is over.
    #[cold]
    pub(super) fn ask_direct<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        index: u32,
    ) -> Result<Option<u32>, DropReason> {
        self.call(cb, index, &[], false, Some(now), C::l4_deadline)
    }

    /// Everything below `ack` has arrived.
    fn acknowledged(&mut self, now: Instant, index: u32, ack: u32) {
        let record = &mut self.records[index as usize];
        let acked = ack.wrapping_sub(record.snd_una);
        record.snd_una = ack;
        if record.stack == NONE {
            return;
        }
        let under = self.held.under(record.stack);
        let fin = acked > u32::from(under.len);
        under.acknowledge(acked);
        if under.len > 0 || record.has(note::FIN_OUT) && !fin {
            // RFC 6298 section 5.3.
            under.sent_at = now;
            record.tries = 0;
            return;
        }
        if record.tries == 0 {
            // What was sent again measures nothing (RFC 6298 section 3).
            record.rtt = round_trip(record.rtt, now.since(under.sent_at));
        }
        record.tries = 0;
        self.held.release(record.stack);
        record.stack = NONE;
    }

    /// Ends a connection both of whose sides have closed, once all is acknowledged.
    fn settle_direct<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) {
        let record = &self.records[index as usize];
        if record.kind != Kind::Direct || !record_is_over(record.notes) || record.stack != NONE {
            return;
        }
        if !record.has(note::FIRST) {
            self.close(cb, index, CloseReason::Finished);
        } else if !record.has(note::DIRTY) {
            self.record_time_wait(cb, now, index);
        }
    }

    /// Puts a direct connection in the list of those with something to say.
    #[inline]
    pub(super) fn mark_direct(&mut self, index: u32) {
        let record = &mut self.records[index as usize];
        if !record.has(note::DIRTY) {
            record.notes |= note::DIRTY;
            self.dirty_direct.push(index);
        }
    }
}

/// Both sides have closed.
#[inline]
fn record_is_over(notes: u8) -> bool {
    notes & (note::FIN_IN | note::FIN_OUT) == note::FIN_IN | note::FIN_OUT
}

/// The round-trip time after one that took `measured`. It rises at once and falls by an eighth, so that one quick
/// exchange does not undo what slow ones have taught.
#[inline]
fn round_trip(known: u16, measured: Duration) -> u16 {
    let sixteenths = (measured.as_micros() as u64 * 2 / 125).clamp(1, u64::from(u16::MAX)) as u16;
    sixteenths.max(known - known / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_time_rises_at_once_and_falls_slowly() {
        let ms = Duration::from_millis;
        assert_eq!(round_trip(0, ms(0)), 1);
        assert_eq!(round_trip(0, ms(100)), 1600);
        assert_eq!(round_trip(1600, ms(500)), 8000);
        assert_eq!(round_trip(8000, ms(10)), 7000);
        assert_eq!(round_trip(7, ms(0)), 7);
        assert_eq!(round_trip(0, ms(3_600_000)), u16::MAX);
    }
}
