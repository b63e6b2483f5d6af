//! What direct connections send: the SYN-ACK, what is held, and bare acknowledgments.
//!
//! Invariant: a connection that is marked speaks once a turn, however much came for it; without a buffer it stays
//! marked and nothing is lost.

use super::super::egress::{Outlet, post};
use super::super::{L3l4, LinkState};
use super::{SHORTEST_RTO, record_is_over};
use crate::callbacks::{Callbacks, CloseReason};
use crate::compose::Segment;
use crate::flow::seq_lt;
use crate::packet::flags;
use crate::record::{Kind, NONE, Record, note, option};
use crate::reply;
use crate::time::Instant;
use core::time::Duration;

/// The retransmission timeout before anything was measured (RFC 6298 section 2.1).
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// Segments that may leave at once (RFC 6928 section 2).
const INITIAL_WINDOW: usize = 10;
/// Nothing waits longer to be sent again (RFC 6298 section 2.5).
pub(super) const LONGEST_RTO: Duration = Duration::from_secs(60);

impl<B> L3l4<B> {
    /// Lets those speak that are marked.
    #[inline(never)]
    pub(in super::super) fn flush_direct<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant) {
        // Those marked meanwhile have their turn next time.
        let marked = self.dirty_direct.len();
        let mut kept = 0;
        for at in 0..marked {
            let index = self.dirty_direct[at];
            if !self.say(cb, now, index) {
                self.dirty_direct[kept] = index;
                kept += 1;
            }
        }
        self.dirty_direct.drain(kept..marked);
    }

    /// False where no buffer was left.
    fn say<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) -> bool {
        let record = &self.records[index as usize];
        if record.kind != Kind::Direct || !record.has(note::DIRTY) {
            return true;
        }
        let said = if record.has(note::ABORT) {
            let said = self.reset_record(cb, index);
            if said {
                self.close(cb, index, CloseReason::Aborted);
            }
            return said;
        } else if record.has(note::OPENING) {
            self.say_syn(cb, index)
        } else if record.stack != NONE {
            self.say_held(cb, now, index)
        } else {
            self.say_ack(cb, index)
        };
        let record = &mut self.records[index as usize];
        if !said || record.kind != Kind::Direct {
            return said;
        }
        record.notes &= !note::DIRTY;
        if record_is_over(record.notes) {
            self.settle_direct(cb, now, index);
        }
        true
    }

    /// A SYN (RFC 9293 section 3.10.1), or the SYN-ACK (section 3.10.7.2) with the options the SYN offered.
    fn say_syn<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, index: u32) -> bool {
        let Self { records, links, spare, counters, .. } = self;
        let record = &mut records[index as usize];
        if record.options & option::HELD != 0 {
            return true;
        }
        let link = &links[record.key.port_index()];
        let mss = (link.mtu - if record.key.local.is_v4() { 40 } else { 60 }) as u16;
        let offer = reply::SynOptions::new(record.options, mss, record.rcv_shift);
        let first = record.has(note::SYN_SENT);
        let segment = Segment {
            seq: record.snd_una,
            ack: if first { 0 } else { record.rcv_nxt },
            control: if first { flags::SYN } else { flags::SYN | flags::ACK },
            window: record.window,
            options: offer.bytes(),
            data: &[],
        };
        post(cb, Outlet { spare, counters, link, flow: Some(record.id(index)), key: &record.key }, &segment)
    }

    fn say_ack<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, index: u32) -> bool {
        let Self { records, links, spare, counters, rx_ring, .. } = self;
        let record = &mut records[index as usize];
        record.window = whole_window(*rx_ring, record.rcv_shift);
        let link = &links[record.key.port_index()];
        let bare = Segment {
            seq: record.snd_nxt,
            ack: record.rcv_nxt,
            control: flags::ACK,
            window: record.window,
            ..Segment::default()
        };
        post(cb, Outlet { spare, counters, link, flow: Some(record.id(index)), key: &record.key }, &bare)
    }

    /// Whether what is held can be sent without a stack.
    pub(in super::super) fn may_say(&mut self, index: u32) -> bool {
        let record = &self.records[index as usize];
        let mss = segment_size(record, &self.links[record.key.port_index()]);
        usize::from(self.held.under(record.stack).len) <= most(record, mss)
    }

    /// Sends what is held and has not gone out yet, or an acknowledgment where that is nothing.
    fn say_held<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32) -> bool {
        let Self { records, held, links, spare, counters, rx_ring, wheel, .. } = self;
        let record = &mut records[index as usize];
        let slot = record.stack;
        let under = *held.under(slot);
        let link = &links[record.key.port_index()];
        let mss = segment_size(record, link);
        let len = usize::from(under.len);
        if len > most(record, mss) {
            // What does not fit into the peer's window, or is too many segments for one go, is for a stack, which knows
            // how to wait.
            return self.promote(index).is_some() || self.say_ack(cb, index);
        }
        let closing = record.has(note::FIN_OUT);
        let goal = len + usize::from(closing);
        let mut sent = usize::from(under.sent);
        if sent == goal {
            return self.say_ack(cb, index);
        }
        record.window = whole_window(*rx_ring, record.rcv_shift);
        let id = record.id(index);
        let bytes = held.bytes(slot);
        let mut complete = true;
        while sent < goal {
            let data = &bytes[sent..len.min(sent + mss)];
            let end = sent + data.len();
            let mut control = flags::ACK;
            if end == len {
                control |= if data.is_empty() { 0 } else { flags::PSH };
                control |= if closing { flags::FIN } else { 0 };
            }
            let seq = record.snd_una.wrapping_add(sent as u32);
            let (ack, window) = (record.rcv_nxt, record.window);
            let segment = Segment { seq, ack, control, window, options: &[], data };
            if !post(cb, Outlet { spare, counters, link, flow: Some(id), key: &record.key }, &segment) {
                complete = false;
                break;
            }
            counters.tcp_retransmits += u64::from(seq_lt(seq, record.snd_nxt));
            sent = end + usize::from(control & flags::FIN);
            let next = record.snd_una.wrapping_add(sent as u32);
            if seq_lt(record.snd_nxt, next) {
                record.snd_nxt = next;
            }
        }
        let under = held.under(slot);
        if under.sent == 0 && sent > 0 {
            under.sent_at = now;
            if under.busy_since == Instant::default() {
                under.busy_since = now;
                // Of the silence before, that is how often it was probed.
                record.tries = 0;
            }
        }
        under.sent = sent as u16;
        wheel.set_by(index, now, timeout(record));
        complete
    }
}

/// What one segment may carry.
#[inline]
fn segment_size(record: &Record, link: &LinkState) -> usize {
    let largest = link.mtu - if record.key.local.is_v4() { 40 } else { 60 };
    usize::from(record.mss).min(largest)
}

/// Bytes that may be under way without a stack.
#[inline]
fn most(record: &Record, mss: usize) -> usize {
    (record.peer_window_bytes() as usize).min(INITIAL_WINDOW * mss)
}

/// How long what was sent now may take to be acknowledged before it is sent again: three round trips, as after the
/// first measurement of RFC 6298 section 2.2.
#[inline]
pub(super) fn timeout(record: &Record) -> Duration {
    // The longest that can be said is twelve seconds.
    let measured = Duration::from_micros(u64::from(record.rtt) * 125 / 2 * 3);
    let once = if record.rtt == 0 { INITIAL_RTO } else { measured.max(SHORTEST_RTO) };
    if record.tries == 0 { once } else { (once * (1 << record.tries.min(8))).min(LONGEST_RTO) }
}

/// The window field of a connection all of whose receive ring is free.
#[inline]
pub(in super::super) fn whole_window(ring: usize, shift: u8) -> u16 {
    (ring >> shift).min(0xffff) as u16
}
