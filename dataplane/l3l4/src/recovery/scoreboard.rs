//! What is in flight, as runs of bytes that were sent at one time and share one fate (RFC 6675 section 3).
//!
//! A run, not a segment, is the unit: what one turn sends is one run however many segments it has, so a whole
//! response fits into the flow's own record and costs one entry. A run is split where a SACK block or a
//! retransmission covers part of it. Boards that outgrow the record move to a block of the [`Pool`]; with none
//! left, or a block full, neighbours are merged and forget that they were SACKed, never that they were sent.
//!
//! Invariant: the ranges are in order and without gaps from `start` to `end`; `sacked` and `lost` are the sums
//! over the ranges so marked, and no range is both.

use super::pool::Pool;
use super::rack::Rack;
use crate::flow::seq_lt;

/// Ranges kept in the record itself.
const INLINE: usize = 4;
const NONE: u32 = u32::MAX;

/// The receiver has it.
pub(crate) const SACKED: u32 = 1;
/// Taken for lost, and not sent again yet.
pub(crate) const LOST: u32 = 2;
/// Sent more than once: its acknowledgment says nothing of the round-trip time (Karn).
pub(crate) const RESENT: u32 = 4;
const FLAGS: u32 = 7;

/// A run of bytes up to `end`; it starts where the one before ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    end: u32,
    /// When it was last sent in microseconds, the lowest three bits replaced by flags.
    stamp: u32,
}

impl Range {
    #[inline]
    pub(crate) const fn has(self, flags: u32) -> bool {
        self.stamp & flags != 0
    }

    #[inline]
    const fn sent(self) -> u32 {
        self.stamp & !FLAGS
    }
}

/// What an acknowledgment brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Bytes by which the acknowledgment number moved.
    pub(crate) acked: u32,
    /// Bytes that the peer was not known to have before.
    pub(crate) delivered: u32,
    /// When the latest of them was sent that was sent only once.
    pub(crate) sent: Option<u32>,
    /// Some of them had been sent again: no sample of the round-trip time.
    pub(crate) resent: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Scoreboard {
    /// Oldest byte not acknowledged.
    pub(crate) start: u32,
    /// Highest sent, plus one.
    pub(crate) end: u32,
    pub(crate) sacked: u32,
    /// Bytes marked lost and not sent again.
    pub(crate) lost: u32,
    block: u32,
    head: u16,
    len: u16,
    inline: [Range; INLINE],
}

impl Default for Scoreboard {
    fn default() -> Self {
        Self {
            start: 0,
            end: 0,
            sacked: 0,
            lost: 0,
            block: NONE,
            head: 0,
            len: 0,
            inline: [Range::default(); INLINE],
        }
    }
}

impl Scoreboard {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes sent and not acknowledged.
    #[inline]
    pub(crate) fn flight(&self) -> u32 {
        self.end.wrapping_sub(self.start)
    }

    /// Bytes believed to be on their way.
    #[inline]
    pub(crate) fn pipe(&self) -> u32 {
        self.flight() - self.sacked - self.lost
    }

    #[inline]
    fn store<'a>(&'a mut self, pool: &'a mut Pool) -> &'a mut [Range] {
        if self.block == NONE { &mut self.inline } else { pool.block(self.block) }
    }

    #[inline]
    fn ranges<'a>(&'a mut self, pool: &'a mut Pool) -> &'a mut [Range] {
        let (head, len) = (usize::from(self.head), usize::from(self.len));
        &mut self.store(pool)[head..head + len]
    }

    /// Forgets everything and gives its block back; what comes next starts at `at`.
    pub(crate) fn clear(&mut self, pool: &mut Pool, at: u32) {
        if self.block != NONE {
            pool.give(self.block);
            self.block = NONE;
        }
        (self.start, self.end, self.sacked, self.lost, self.head, self.len) = (at, at, 0, 0, 0, 0);
    }

    /// Everything up to `end` has been sent at `now`.
    #[inline]
    pub(crate) fn push(&mut self, pool: &mut Pool, end: u32, now: u32) {
        let stamp = now & !FLAGS;
        if self.len == 0 {
            (self.head, self.len, self.inline[0]) = (0, 1, Range { end, stamp });
            self.end = end;
            return;
        }
        self.append(pool, end, stamp);
        self.end = end;
    }

    fn append(&mut self, pool: &mut Pool, end: u32, stamp: u32) {
        if let Some(last) = self.ranges(pool).last_mut()
            && last.stamp == stamp
        {
            last.end = end;
            return;
        }
        if self.make_room(pool) {
            self.len += 1;
            if let Some(last) = self.ranges(pool).last_mut() {
                *last = Range { end, stamp };
            }
            return;
        }
        // One for both, as young as the younger: nothing is taken for lost too early.
        let n = usize::from(self.len) - 1;
        self.unmark(pool, n);
        if let Some(last) = self.ranges(pool).last_mut() {
            *last = Range { end, stamp: stamp | (last.stamp & RESENT) };
        }
    }

    /// Sees to it that one more range can be appended; false where that cannot be.
    fn make_room(&mut self, pool: &mut Pool) -> bool {
        let capacity = if self.block == NONE { INLINE } else { pool.size() };
        let (head, len) = (usize::from(self.head), usize::from(self.len));
        if head + len < capacity {
            return true;
        }
        if head > 0 {
            self.store(pool).copy_within(head..head + len, 0);
            self.head = 0;
            return true;
        }
        if self.block == NONE
            && let Some(block) = pool.take()
        {
            pool.block(block)[..INLINE].copy_from_slice(&self.inline);
            self.block = block;
            return true;
        }
        self.merge_alike(pool);
        usize::from(self.len) < capacity
    }

    /// Merges neighbours with the same marks.
    fn merge_alike(&mut self, pool: &mut Pool) {
        let ranges = self.ranges(pool);
        let mut kept = 0;
        for at in 1..ranges.len() {
            let (next, last) = (ranges[at], &mut ranges[kept]);
            if last.stamp & FLAGS == next.stamp & FLAGS {
                *last = next;
            } else {
                kept += 1;
                ranges[kept] = next;
            }
        }
        self.len = self.len.min(kept as u16 + 1);
    }

    /// Takes range `n`'s marks away, as far as they count in the sums.
    fn unmark(&mut self, pool: &mut Pool, n: usize) {
        let (start, range) = self.at(pool, n);
        let len = range.end.wrapping_sub(start);
        if range.has(SACKED) {
            self.sacked -= len;
        }
        if range.has(LOST) {
            self.lost -= len;
        }
        self.ranges(pool)[n].stamp &= !(SACKED | LOST);
    }

    /// Range `n` and where it starts.
    fn at(&mut self, pool: &mut Pool, n: usize) -> (u32, Range) {
        let first = self.start;
        let ranges = self.ranges(pool);
        (if n == 0 { first } else { ranges[n - 1].end }, ranges[n])
    }

    /// Splits the range that `seq` lies inside of; false where there is no room for one more.
    fn split(&mut self, pool: &mut Pool, seq: u32) -> bool {
        if !seq_lt(self.start, seq) || !seq_lt(seq, self.end) {
            return true;
        }
        let ranges = self.ranges(pool);
        let n = ranges.partition_point(|r| seq_lt(r.end, seq));
        if ranges[n].end == seq {
            return true;
        }
        let before = self.len;
        if !self.make_room(pool) {
            return false;
        }
        if self.len != before {
            // Neighbours were merged: look again.
            return self.split(pool, seq);
        }
        self.len += 1;
        let ranges = self.ranges(pool);
        let last = ranges.len() - 1;
        ranges.copy_within(n..last, n + 1);
        ranges[n].end = seq;
        true
    }

    /// The commonest acknowledgment: of all there is, where that was sent at one time and once. Takes it in and
    /// returns when that was.
    #[inline]
    pub(crate) fn ack_all(&mut self, ack: u32) -> Option<u32> {
        // With one range left the head is not the first where others went before; those go the long way.
        if self.len != 1
            || ack != self.end
            || self.block != NONE
            || self.head != 0
            || self.inline[0].has(FLAGS)
        {
            return None;
        }
        (self.start, self.len) = (ack, 0);
        Some(self.inline[0].stamp)
    }

    /// Takes in an acknowledgment number, which lies between `start` and `end`.
    pub(crate) fn ack(&mut self, pool: &mut Pool, ack: u32, rack: &mut Rack, news: &mut News) {
        news.acked = ack.wrapping_sub(self.start);
        let mut gone = 0u16;
        let (mut start, mut sacked, mut lost) = (self.start, 0, 0);
        for range in self.ranges(pool) {
            let whole = !seq_lt(ack, range.end);
            let end = if whole { range.end } else { ack };
            let len = end.wrapping_sub(start);
            if len > 0 {
                if range.has(SACKED) {
                    sacked += len;
                } else {
                    news.add(*range, len);
                    rack.delivered(range.sent(), end, range.has(RESENT));
                    lost += if range.has(LOST) { len } else { 0 };
                }
                news.resent |= range.has(RESENT);
            }
            if !whole {
                break;
            }
            start = end;
            gone += 1;
        }
        self.sacked -= sacked;
        self.lost -= lost;
        self.start = ack;
        self.head += gone;
        self.len -= gone;
        if self.len == 0 {
            self.clear(pool, ack);
        }
    }

    /// Takes in a SACK block that lies between `start` and `end`.
    pub(crate) fn sack(&mut self, pool: &mut Pool, from: u32, to: u32, rack: &mut Rack, news: &mut News) {
        // Where there is no room to split, what is covered in part stays as it is.
        self.split(pool, from);
        self.split(pool, to);
        let (mut start, mut sacked, mut lost) = (self.start, 0, 0);
        for range in self.ranges(pool) {
            if !seq_lt(start, to) {
                break;
            }
            let len = range.end.wrapping_sub(start);
            if !seq_lt(start, from) && !seq_lt(to, range.end) && !range.has(SACKED) {
                news.add(*range, len);
                rack.delivered(range.sent(), range.end, range.has(RESENT));
                lost += if range.has(LOST) { len } else { 0 };
                sacked += len;
                range.stamp = range.stamp & !LOST | SACKED;
            }
            start = range.end;
        }
        self.sacked += sacked;
        self.lost -= lost;
    }

    /// Marks as lost what RACK says is (RFC 8985 section 6.2, step 5). Returns the bytes newly marked, and after
    /// how long the next would be, if something only waits to be.
    pub(crate) fn detect(
        &mut self,
        pool: &mut Pool,
        rack: &Rack,
        window: u32,
        now: u32,
    ) -> (u32, Option<u32>) {
        let (mut start, mut lost, mut wait) = (self.start, 0, None);
        for range in self.ranges(pool) {
            if !range.has(SACKED | LOST) && rack.passed(range.sent(), range.end) {
                let (age, limit) = (now.wrapping_sub(range.sent()), rack.rtt + window);
                if age >= limit {
                    range.stamp |= LOST;
                    lost += range.end.wrapping_sub(start);
                } else {
                    wait = Some(wait.map_or(limit - age, |w: u32| w.max(limit - age)));
                }
            }
            start = range.end;
        }
        self.lost += lost;
        (lost, wait)
    }

    /// Marks what lies between as lost, unless it is SACKED or LOST already; returns how much that was.
    pub(crate) fn lose(&mut self, pool: &mut Pool, from: u32, to: u32) -> u32 {
        self.split(pool, from);
        self.split(pool, to);
        let (mut start, mut lost) = (self.start, 0);
        for range in self.ranges(pool) {
            if seq_lt(start, to) && seq_lt(from, range.end) && !range.has(SACKED | LOST) {
                range.stamp |= LOST;
                lost += range.end.wrapping_sub(start);
            }
            start = range.end;
        }
        self.lost += lost;
        lost
    }

    /// The retransmission timer ran out: all that is not SACKed is lost; and all of it where the peer turns out
    /// to have thrown away what it had SACKed (RFC 2018 section 8).
    pub(crate) fn lose_all(&mut self, pool: &mut Pool) {
        let reneged = self.ranges(pool).first().is_some_and(|r| r.has(SACKED));
        if reneged {
            for range in self.ranges(pool) {
                range.stamp &= !SACKED;
            }
            self.sacked = 0;
        }
        self.lose(pool, self.start, self.end);
    }

    /// Where the first lost byte at or behind `from` lies.
    pub(crate) fn first_lost(&mut self, pool: &mut Pool, from: u32) -> Option<u32> {
        if self.lost == 0 {
            return None;
        }
        let mut start = self.start;
        for range in self.ranges(pool) {
            if range.has(LOST) && seq_lt(from, range.end) {
                return Some(if seq_lt(start, from) { from } else { start });
            }
            start = range.end;
        }
        None
    }

    /// `from..to` is about to be sent again: what of it was lost is on its way once more. Returns how many bytes
    /// that is; none means that there is no need to send.
    pub(crate) fn resend(&mut self, pool: &mut Pool, from: u32, to: u32, now: u32) -> u32 {
        if self.first_lost(pool, from).is_none_or(|at| !seq_lt(at, to)) {
            return 0;
        }
        self.split(pool, from);
        self.split(pool, to);
        let (mut start, mut sent) = (self.start, 0);
        for range in self.ranges(pool) {
            if range.has(LOST) && seq_lt(start, to) && seq_lt(from, range.end) {
                range.stamp = now & !FLAGS | RESENT;
                sent += range.end.wrapping_sub(start);
            }
            start = range.end;
        }
        self.lost -= sent;
        sent
    }

    #[cfg(test)]
    pub(crate) fn list(&mut self, pool: &mut Pool) -> Vec<(u32, u32)> {
        self.ranges(pool).iter().map(|r| (r.end, r.stamp & FLAGS)).collect()
    }
}

impl News {
    #[inline]
    fn add(&mut self, range: Range, len: u32) {
        self.delivered += len;
        if range.has(RESENT) {
            self.resent = true;
        } else {
            // Within one ACK, the later sent the shorter the sample.
            let sent = range.sent();
            self.sent = Some(self.sent.map_or(sent, |s| if seq_lt(s, sent) { sent } else { s }));
        }
    }
}

#[cfg(test)]
#[path = "scoreboard_tests.rs"]
mod tests;
