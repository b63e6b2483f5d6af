//! One direction of a connection: what is expected next, what waits for its turn, what was counted.
//!
//! Invariant: `next` only grows; the bytes in front of it were delivered or named in a gap, each once. Offsets are of 64
//! bits, so a stream of any length is counted right, whatever its sequence numbers wrap to.

use crate::limits::{Counters, Limits};
use crate::pending::{List, Pending};
use crate::segment::Buffer;
use crate::summary::{Cause, Sent};

/// Segments further ahead than a window can be (RFC 7323 section 2.3) do not belong to the connection.
const FARTHEST: i64 = 1 << 30;
/// How far beyond what was seen of a stream an acknowledgment or a FIN is believed: as far as a window usually is open. What
/// was lost may be more; then segments behind it show how much.
const SLACK: u64 = 1 << 20;
/// Where streams begin, for the time being, whose SYN has not been seen yet while the other side's has: numbers on
/// both sides of the first one seen have room.
const PROVISIONAL: u32 = 1 << 29;

/// How far ahead of what is expected an RST may be, in bytes: as far as windows usually are open.
const RST_WINDOW: u32 = 4 << 20;

/// How much is known of a stream's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Numbers {
    /// Nothing.
    #[default]
    Unknown,
    /// Segments were seen, but not where the stream begins.
    Provisional,
    /// Offset 0 is at `base`.
    Known,
}

/// What all streams of a tracker share.
pub(crate) struct Shared<B> {
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) pending: Pending<B>,
}

/// What a stream has to tell whoever follows it.
pub(crate) enum Told<'a> {
    Data(u64, &'a [u8]),
    Gap(u64, u64, Cause),
}

#[derive(Default)]
pub(crate) struct Stream {
    numbers: Numbers,
    /// Sequence number of offset 0.
    base: u32,
    /// Offset of the next byte to be delivered.
    next: u64,
    /// Behind the highest byte seen.
    highest: u64,
    /// Up to where the other side has acknowledged.
    acked: u64,
    /// Offset of the FIN.
    fin: Option<u64>,
    held: List,
    /// Since when the byte at `next` is missing.
    hole_since: Option<u64>,
    /// Since when it is missing and acknowledged.
    acked_since: Option<u64>,
    zero_since: Option<u64>,
    /// The acknowledgment of this offset gives a round trip, from that time.
    sample: Option<(u64, u64)>,
    pub(crate) sent: Sent,
}

impl Stream {
    pub(crate) const fn is_known(&self) -> bool {
        matches!(self.numbers, Numbers::Known)
    }

    /// Whether this is the number of the stream's first byte.
    pub(crate) fn begins_at(&self, seq: u32) -> bool {
        self.is_known() && self.base == seq
    }

    /// Whether the FIN's turn has come.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin == Some(self.next)
    }

    /// Whether the other side has acknowledged the FIN.
    pub(crate) fn is_fin_acked(&self) -> bool {
        self.is_finished() && self.acked > self.next
    }

    /// Whether the other side has acknowledged the SYN.
    pub(crate) fn is_syn_acked(&self, ack: u32) -> bool {
        self.is_known() && ack.wrapping_sub(self.base) <= FARTHEST as u32
    }

    pub(crate) fn has_hole(&self) -> bool {
        self.hole_since.is_some()
    }

    /// Sequence number `seq` as an offset; negative for what lies before the stream.
    fn offset(&self, seq: u32) -> i64 {
        let ahead = seq.wrapping_sub(self.base.wrapping_add(self.next as u32)) as i32;
        self.next as i64 + i64::from(ahead)
    }

    /// The stream's first byte has this number.
    pub(crate) fn begin<B: Buffer>(&mut self, seq: u32, shared: &mut Shared<B>) {
        match self.numbers {
            Numbers::Known => return,
            Numbers::Unknown => {}
            Numbers::Provisional => {
                let by = u64::from(seq.wrapping_sub(self.base));
                shared.pending.shift(&mut self.held, by);
                self.fin = self.fin.and_then(|fin| fin.checked_sub(by));
                self.highest = self.highest.saturating_sub(by);
                self.sample = None;
            }
        }
        (self.numbers, self.base) = (Numbers::Known, seq);
    }

    /// The stream's beginning is known now: what was held may have its turn.
    pub(crate) fn begun<B: Buffer>(
        &mut self,
        now: u64,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) {
        if self.has_hole() {
            self.hole_since = None;
            self.advance(now, shared, tell);
        }
    }

    /// Whether an RST of this number is to be believed: it is expected, or a little ahead.
    pub(crate) fn takes_rst(&self, seq: u32) -> bool {
        self.is_known() && (-1..=i64::from(RST_WINDOW)).contains(&(self.offset(seq) - self.next as i64))
    }

    /// Takes a segment's payload, and its FIN, which came at time `now`; gives the buffer back unless it is held.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn segment<B: Buffer>(
        &mut self,
        now: u64,
        seq: u32,
        (begin, end): (u16, u16),
        fin: bool,
        buffer: B,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) -> Option<B> {
        if self.numbers == Numbers::Unknown {
            (self.numbers, self.base) = (Numbers::Provisional, seq.wrapping_sub(PROVISIONAL));
        }
        let length = u64::from(end - begin);
        if self.numbers == Numbers::Provisional
            && (shared.pending.is_full() || self.is_over_limit(length, shared))
        {
            shared.counters.held_limit += 1;
            if self.held.len == 0 {
                self.begin(seq, shared);
            } else {
                self.give_up(now, Cause::Limit, shared, tell);
            }
        }
        let offset = self.offset(seq);
        if (offset - self.next as i64).abs() > FARTHEST || (offset + length as i64) < -1 {
            shared.counters.out_of_window += 1;
            return Some(buffer);
        }
        let stop = offset + length as i64;
        let near = self.highest.max(self.next) + length + SLACK;
        if fin && stop >= self.next as i64 && (!self.is_known() || stop as u64 <= near) {
            // Of two that differ the later one is made up.
            self.fin = Some(self.fin.map_or(stop as u64, |fin| fin.min(stop as u64)));
        }
        // Nothing comes behind a FIN.
        let stop = self.fin.map_or(stop, |fin| stop.min(fin as i64));
        if length == 0 || stop <= offset.max(self.next as i64) {
            if length > 0 {
                self.seen_again(stop, length, shared);
            }
            return Some(buffer);
        }
        // All that is left lies at `next` or behind it in part, so `stop` is positive.
        let stop = stop as u64;
        self.time(now, offset, stop);
        if offset <= self.next as i64 && (self.held.len == 0 || shared.pending.is_full()) {
            let skip = (self.next as i64 - offset) as u64;
            self.retransmitted(skip, shared);
            let from = usize::from(begin) + skip as usize;
            let to = from + (stop - self.next) as usize;
            let bytes = buffer.bytes().get(from..to).unwrap_or_default();
            self.delivered(bytes.len() as u64, shared);
            tell(Told::Data(self.next, bytes));
            self.next = stop;
            self.advance(now, shared, tell);
            return Some(buffer);
        }
        self.hold(now, offset, stop, begin, buffer, shared, tell)
    }

    /// Holds a segment until its turn comes, which may be now.
    #[allow(clippy::too_many_arguments)]
    fn hold<B: Buffer>(
        &mut self,
        now: u64,
        offset: i64,
        stop: u64,
        begin: u16,
        buffer: B,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) -> Option<B> {
        let early = offset > self.next as i64;
        if early {
            self.sent.out_of_order += 1;
            shared.counters.out_of_order += 1;
        }
        let skip = (self.next as i64 - offset).max(0) as u64;
        self.retransmitted(skip, shared);
        let (from, length) = (offset + skip as i64, stop - (offset + skip as i64) as u64);
        let begin = begin + skip as u16;
        // Room is made by giving up holes: what is behind them is delivered.
        while from as u64 > self.next && self.is_over_limit(length, shared) {
            shared.counters.held_limit += 1;
            if shared.pending.front(&self.held).is_some_and(|front| front < from as u64) {
                self.give_up(now, Cause::Limit, shared, tell);
            } else {
                self.gap(from as u64, Cause::Limit, shared, tell);
            }
        }
        if shared.pending.is_full() {
            // All places are taken by others: this stream's hole is given up at once.
            if from as u64 > self.next {
                shared.counters.held_limit += 1;
                self.gap(from as u64, Cause::Limit, shared, tell);
            }
            let skip = self.next.saturating_sub(from as u64).min(length);
            let bytes =
                buffer.bytes().get(usize::from(begin) + skip as usize..usize::from(begin) + length as usize);
            let bytes = bytes.unwrap_or_default();
            self.delivered(bytes.len() as u64, shared);
            if !bytes.is_empty() {
                tell(Told::Data(self.next, bytes));
                self.next = stop;
            }
            self.advance(now, shared, tell);
            return Some(buffer);
        }
        let end = begin + length as u16;
        let found = shared.pending.insert(&mut self.held, now, from as u64, (begin, end), buffer);
        self.retransmitted(found.bytes, shared);
        self.sent.conflicts += found.conflicts;
        shared.counters.conflicts += found.conflicts;
        self.advance(now, shared, tell);
        None
    }

    fn is_over_limit<B: Buffer>(&self, length: u64, shared: &Shared<B>) -> bool {
        self.held.len >= shared.limits.held_of_stream
            || u64::from(self.held.bytes) + length > u64::from(shared.limits.held_bytes_of_stream)
            || shared.pending.is_full() && self.held.len > 0
    }

    /// Delivers what has its turn, and notes whether there is a hole then.
    fn advance<B: Buffer>(&mut self, now: u64, shared: &mut Shared<B>, tell: &mut impl FnMut(Told<'_>)) {
        if self.numbers == Numbers::Provisional {
            self.hole_since.get_or_insert(now);
            return;
        }
        let before = self.next;
        if self.held.len > 0 {
            let (overlap, mut bytes) = (shared.limits.overlap, 0);
            let until = self.fin.unwrap_or(u64::MAX);
            self.next = shared.pending.sweep(&mut self.held, before, until, overlap, |offset, piece| {
                bytes += piece.len() as u64;
                tell(Told::Data(offset, piece));
            });
            self.delivered(bytes, shared);
            if self.fin == Some(self.next) {
                shared.pending.clear(&mut self.held);
            }
        }
        let missing = self.held.len > 0 || self.missing_acked() > 0;
        if !missing {
            (self.hole_since, self.acked_since) = (None, None);
        } else {
            if self.next > before || self.hole_since.is_none() {
                // As long as what is behind it has waited.
                self.hole_since = Some(shared.pending.front_time(&self.held).unwrap_or(now));
            }
            self.acked_since = if self.missing_acked() > 0 { self.acked_since.or(Some(now)) } else { None };
        }
    }

    /// Bytes that the other side has acknowledged but that were not seen, as far as can be told: one with nothing behind it
    /// may have been a FIN.
    fn missing_acked(&self) -> u64 {
        let end = self.fin.map_or(self.acked, |fin| fin.min(self.acked));
        let missing = end.saturating_sub(self.next);
        if self.fin.is_none() && missing == 1 && self.held.len == 0 { 0 } else { missing }
    }

    /// Gives up a hole whose time has come; true while there is still one.
    pub(crate) fn resolve<B: Buffer>(
        &mut self,
        now: u64,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) -> bool {
        while let Some(since) = self.hole_since {
            let acked = self.acked_since.is_some_and(|at| now >= at + shared.limits.acked_grace);
            let cause = if acked {
                Cause::Acked
            } else if now >= since + shared.limits.hole_age {
                Cause::Age
            } else {
                return true;
            };
            let before = (self.next, self.numbers);
            self.give_up(now, cause, shared, tell);
            if self.has_hole() && before == (self.next, self.numbers) {
                // It cannot be; but here a worker would never come back.
                debug_assert!(false, "a hole that cannot be given up");
                return true;
            }
        }
        false
    }

    /// Gives up every hole, for this is the end.
    pub(crate) fn close<B: Buffer>(
        &mut self,
        now: u64,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) {
        // What one turn cannot give up no other would.
        let mut before = None;
        while self.has_hole() && before != Some((self.next, self.numbers)) {
            before = Some((self.next, self.numbers));
            self.give_up(now, Cause::Close, shared, tell);
        }
        shared.pending.clear(&mut self.held);
        self.open_window(now);
    }

    /// Gives up the hole at `next`, and delivers what is behind it.
    fn give_up<B: Buffer>(
        &mut self,
        now: u64,
        cause: Cause,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) {
        if self.numbers == Numbers::Provisional {
            // The beginning will not come any more: what is there is the beginning.
            let first = shared.pending.front(&self.held).unwrap_or(0);
            self.begin(self.base.wrapping_add(first as u32), shared);
            self.hole_since = None;
            self.advance(now, shared, tell);
            return;
        }
        let acked = self.next + self.missing_acked();
        let front = shared.pending.front(&self.held);
        let to = match (cause, front) {
            (Cause::Acked, Some(front)) => front.min(acked),
            (_, Some(front)) => front,
            (_, None) => acked,
        };
        let to = self.fin.map_or(to, |fin| to.min(fin));
        self.gap(to, cause, shared, tell);
        // Another hole behind this one has its own time.
        self.hole_since = None;
        self.advance(now, shared, tell);
    }

    fn gap<B: Buffer>(
        &mut self,
        to: u64,
        cause: Cause,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) {
        let length = to.saturating_sub(self.next);
        if length == 0 {
            return;
        }
        tell(Told::Gap(self.next, length, cause));
        self.next = to;
        self.sent.gaps += 1;
        self.sent.missing += length;
        shared.counters.gaps[cause as usize] += 1;
        shared.counters.gap_bytes += length;
    }

    /// The other side acknowledges up to `ack`.
    pub(crate) fn acknowledge<B: Buffer>(
        &mut self,
        now: u64,
        ack: u32,
        shared: &mut Shared<B>,
        tell: &mut impl FnMut(Told<'_>),
    ) {
        if !self.is_known() {
            return;
        }
        let acked = self.offset(ack);
        if acked <= self.acked as i64 {
            return;
        }
        if acked as u64 > self.highest.max(self.next) + SLACK {
            shared.counters.out_of_window += 1;
            return;
        }
        self.acked = acked as u64;
        if let Some((end, at)) = self.sample.filter(|(end, _)| *end <= self.acked) {
            self.sample = None;
            self.round_trip(now.saturating_sub(at));
            debug_assert!(end <= self.acked);
        }
        if self.missing_acked() > 0 {
            if self.has_hole() {
                self.acked_since.get_or_insert(now);
            } else {
                self.advance(now, shared, tell);
            }
        }
    }

    /// What window this side offers.
    pub(crate) fn window(&mut self, now: u64, window: u16) {
        if window > 0 {
            self.open_window(now);
        } else if self.zero_since.is_none() {
            self.zero_since = Some(now);
            self.sent.zero_windows += 1;
        }
    }

    fn open_window(&mut self, now: u64) {
        if let Some(since) = self.zero_since.take() {
            self.sent.zero_window_time += now.saturating_sub(since);
        }
    }

    /// Begins to measure a round trip with a new segment, or gives the measurement up with one sent again (Karn).
    fn time(&mut self, now: u64, offset: i64, stop: u64) {
        if stop > self.highest {
            if offset >= self.highest as i64 && self.sample.is_none() {
                self.sample = Some((stop, now));
            }
            self.highest = stop;
        } else if self.sample.is_some_and(|(end, _)| offset < end as i64) {
            self.sample = None;
        }
    }

    fn round_trip(&mut self, time: u64) {
        let sent = &mut self.sent;
        sent.rtt_min = if sent.rtt_samples == 0 { time } else { sent.rtt_min.min(time) };
        sent.rtt_max = sent.rtt_max.max(time);
        sent.rtt_sum += time;
        sent.rtt_samples += 1;
    }

    /// A segment all of which had its turn before.
    fn seen_again<B>(&mut self, stop: i64, length: u64, shared: &mut Shared<B>) {
        let probe = length == 1 && stop == self.next as i64 && self.acked >= self.next;
        if probe {
            shared.counters.keepalives += 1;
        } else {
            self.retransmitted(length, shared);
            self.sample = None;
        }
    }

    fn retransmitted<B>(&mut self, bytes: u64, shared: &mut Shared<B>) {
        self.sent.retransmitted += bytes;
        shared.counters.retransmitted += bytes;
    }

    fn delivered<B>(&mut self, bytes: u64, shared: &mut Shared<B>) {
        self.sent.bytes += bytes;
        shared.counters.bytes += bytes;
    }
}
