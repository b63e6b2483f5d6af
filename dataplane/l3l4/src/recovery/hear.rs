//! What the sender learns from acknowledgments.
//!
//! Invariant: after an acknowledgment the deadline fits what is in flight, and what is marked lost will be sent
//! again as the window allows.

use super::congestion::{Clock, Window};
use super::hystart::HyStart;
use super::sack::Blocks;
use super::scoreboard::News;
use super::{NEVER, Phase, Sender, Shared};
use crate::counters::Counters;
use crate::flow::seq_lt;
use crate::time::Instant;

/// An acknowledgment as the sender looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack<'a> {
    /// The acknowledgment number, corrected to be no older than the last.
    pub(crate) number: u32,
    /// The peer's window, unscaled.
    pub(crate) window: u32,
    /// The options of the segment's header.
    pub(crate) options: &'a [u8],
    /// It carries nothing else, and the same number and window as the last.
    pub(crate) duplicate: bool,
    /// It opens a window that had shrunk under what was sent.
    pub(crate) opens: bool,
}

/// Segments up to which slow start is not left early.
const HYSTART: u32 = 16;

/// How many times slower a window grows that may soon be too large (RFC 9406 section 4.3).
const CAREFUL: u32 = 4;

/// Duplicate ACKs that show a loss (RFC 5681 section 3.2).
const DUPLICATES: u8 = 3;

impl Sender {
    /// The handshake is complete: our SYN was acknowledged. `rtt` is how long that took, if it was sent once.
    pub(crate) fn begin(&mut self, shared: &mut Shared, now: Instant, start: u32, rtt: Option<u32>) {
        self.base = now;
        self.board.clear(&mut shared.pool, start);
        self.window = Window::new(self.initial(shared), start);
        self.hystart = Some(HyStart::new(start));
        self.recover = start.wrapping_sub(1);
        self.told = start.wrapping_sub(1);
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt);
        }
    }

    /// Takes in an acknowledgment without options where nothing is in flight behind it and nothing was amiss; `None`
    /// where it must go the long way. Else the window to tell the stack.
    #[inline]
    pub(crate) fn hear_plain(
        &mut self,
        shared: &Shared,
        now: Instant,
        number: u32,
        window: u32,
    ) -> Option<u32> {
        let una = self.board.start;
        if self.board.is_empty() {
            (self.board.start, self.board.end) = (number, number);
        } else {
            let sent = if self.is_calm() { self.board.ack_all(number)? } else { return None };
            self.all_acked(shared, now, number, una, sent);
        }
        let room = self.window.size;
        let window = window.min(room - room % self.mss());
        self.limit = number.wrapping_add(window);
        Some(window)
    }

    /// Takes in an acknowledgment; returns the right edge of the window to tell the stack.
    pub(crate) fn hear(
        &mut self,
        shared: &mut Shared,
        counters: &mut Counters,
        now: Instant,
        ack: &Ack<'_>,
    ) -> u32 {
        let ack = &Ack { number: self.clamp(ack.number), ..*ack };
        if self.board.is_empty() {
            // A zero-window probe may have been taken.
            self.board.start = ack.number;
            self.board.end = ack.number;
        } else if self.board.start != ack.number || !ack.options.is_empty() || ack.duplicate {
            self.judge(shared, counters, now, ack);
        } else if ack.opens {
            // What was sent before found no room.
            self.lose(shared, (ack.number, ack.number.wrapping_add(self.mss())));
            (self.force, self.rewind) = (true, true);
        }
        self.tell(ack)
    }

    /// An acknowledgment number inside of what is known: where a segment could not be fed the stack lags behind.
    #[inline]
    fn clamp(&self, number: u32) -> u32 {
        if self.board.is_empty() || number.wrapping_sub(self.board.start) <= self.board.flight() {
            number
        } else if seq_lt(number, self.board.start) {
            self.board.start
        } else {
            self.board.end
        }
    }

    /// The initial window (RFC 6928 section 2).
    pub(super) fn initial(&self, shared: &Shared) -> u32 {
        let mss = self.mss();
        (shared.initial * mss).min((shared.initial * 1460).max(2 * mss)).max(mss)
    }

    /// The window for the stack: as much more as the congestion window has room for, in whole segments, after
    /// what is lost has been sent again.
    fn tell(&mut self, ack: &Ack<'_>) -> u32 {
        let flight = self.board.end.wrapping_sub(ack.number);
        let room = self.window.size.saturating_sub(self.pipe() + self.board.lost);
        let window = flight.max(ack.window.min(flight + room - room % self.mss()));
        self.limit = ack.number.wrapping_add(window);
        self.limit
    }

    /// Nothing is amiss, and nothing was.
    #[inline]
    fn is_calm(&self) -> bool {
        self.phase == Phase::Open && !self.probing && self.dup_acks == 0
    }

    /// Everything in flight was acknowledged that was sent once, at `sent`.
    #[inline]
    fn all_acked(&mut self, shared: &Shared, now: Instant, number: u32, una: u32, sent: u32) {
        let micros = now.micros() as u32;
        let rtt = micros.wrapping_sub(sent);
        self.rack.all(sent, number, rtt);
        self.sample(rtt, number);
        self.rtt.backoff = 0;
        self.probed = false;
        let clock = Clock { mss: self.mss(), srtt: self.rtt.smoothed, now: micros };
        self.window.grow(shared.kind, una, self.counts(number.wrapping_sub(una)), clock);
        (self.base, self.deadline) = (now, NEVER);
    }

    /// How many of the bytes acknowledged count towards growth.
    #[inline]
    fn counts(&self, acked: u32) -> u32 {
        if self.hystart.is_some_and(|h| h.is_careful()) { acked / CAREFUL } else { acked }
    }

    #[inline]
    fn sample(&mut self, rtt: u32, number: u32) {
        self.rtt.sample(rtt);
        // Below that many segments no queue overflows for long.
        if self.window.size > HYSTART * self.mss()
            && let Some(hystart) = &mut self.hystart
            && hystart.sample(number, self.board.end, rtt)
        {
            self.window.settle();
            self.hystart = None;
        }
    }

    #[inline(never)]
    fn judge(&mut self, shared: &mut Shared, counters: &mut Counters, now: Instant, ack: &Ack<'_>) {
        let micros = now.micros() as u32;
        let una = self.board.start;
        let mut news = News::default();
        let mut blocks = Blocks::default();
        self.rack.begin(micros, self.rtt.min);
        if ack.number != una {
            self.board.ack(&mut shared.pool, ack.number, &mut self.rack, &mut news);
        }
        if !ack.options.is_empty() && self.sack {
            blocks = Blocks::read(ack.options, ack.number, self.board.end);
            for &(from, to) in blocks.as_slice() {
                self.board.sack(&mut shared.pool, from, to, &mut self.rack, &mut news);
            }
        }
        if let Some(sent) = news.sent
            && !news.resent
        {
            self.sample(micros.wrapping_sub(sent), ack.number);
        }
        if news.acked > 0 {
            self.rtt.backoff = 0;
        }
        if self.phase == Phase::Open
            && self.board.sacked == 0
            && news.acked > 0
            && !self.probing
            && !blocks.duplicate
        {
            // All is well.
            (self.dup_acks, self.phantom, self.probed) = (0, 0, false);
            let clock = Clock { mss: self.mss(), srtt: self.rtt.smoothed, now: micros };
            self.window.grow(shared.kind, una, self.counts(news.acked), clock);
            self.base = now;
            self.arm(now);
            return;
        }
        self.repair(shared, counters, now, ack, una, news, &blocks);
    }

    /// The rest of an acknowledgment's work where something is amiss.
    #[cold]
    #[allow(clippy::too_many_arguments, reason = "the parts of one step, apart to keep the other short")]
    fn repair(
        &mut self,
        shared: &mut Shared,
        counters: &mut Counters,
        now: Instant,
        ack: &Ack<'_>,
        una: u32,
        mut news: News,
        blocks: &Blocks,
    ) {
        let (micros, mss) = (now.micros() as u32, self.mss());
        if blocks.duplicate {
            counters.tcp_spurious += 1;
            self.rack.was_wrong();
        }
        let mut lost = self.without_sack(shared, ack, una, &mut news);
        if self.sack && (self.board.sacked > 0 || self.phase != Phase::Open) {
            lost += self.detect(shared, micros).0;
        }
        self.probe_answered(shared, ack, blocks);
        if self.phase != Phase::Open && !seq_lt(ack.number, self.recover) {
            if self.phase == Phase::Recovery {
                self.window.leave_recovery();
            }
            (self.phase, self.dup_acks, self.phantom) = (Phase::Open, 0, 0);
        }
        match self.phase {
            Phase::Open if lost > 0 => self.enter_recovery(shared, &news, lost),
            Phase::Open | Phase::Loss => {
                let clock = Clock { mss, srtt: self.rtt.smoothed, now: micros };
                if news.acked > 0 {
                    self.window.grow(shared.kind, una, news.acked, clock);
                }
            }
            Phase::Recovery => {
                let pipe = self.pipe();
                self.window.recover(news.delivered, news.acked > 0 && lost == 0, pipe, mss);
            }
        }
        if news.acked > 0 || news.delivered > 0 {
            self.base = now;
            self.probed &= news.acked == 0;
        }
        self.arm_with_reorder(shared, now);
    }

    /// Peers without SACK: duplicates stand for segments that arrived, the third shows a loss, and during
    /// recovery each partial acknowledgment shows the next (RFC 6582). Returns the bytes newly marked lost.
    fn without_sack(&mut self, shared: &mut Shared, ack: &Ack<'_>, una: u32, news: &mut News) -> u32 {
        if self.sack {
            return 0;
        }
        let mss = self.mss();
        let head = (ack.number, ack.number.wrapping_add(mss));
        if news.acked > 0 {
            self.phantom = self.phantom.saturating_sub(news.acked.saturating_sub(mss)).min(self.board.pipe());
            self.dup_acks = 0;
            let partial = self.phase == Phase::Recovery && seq_lt(ack.number, self.recover);
            return if partial { self.lose(shared, head) } else { 0 };
        }
        if !ack.duplicate {
            return 0;
        }
        self.dup_acks = self.dup_acks.saturating_add(1);
        if self.phase != Phase::Loss && self.phantom + mss <= self.board.pipe() {
            self.phantom += mss;
            news.delivered += mss;
        }
        let fresh = self.phase == Phase::Open && seq_lt(self.recover, una);
        if self.dup_acks == DUPLICATES && fresh { self.lose(shared, head) } else { 0 }
    }

    pub(super) fn lose(&mut self, shared: &mut Shared, (from, to): (u32, u32)) -> u32 {
        let to = if seq_lt(self.board.end, to) { self.board.end } else { to };
        let lost = self.board.lose(&mut shared.pool, from, to);
        self.phantom = self.phantom.min(self.board.pipe());
        lost
    }

    /// RACK's verdict; the second says when to ask again.
    pub(super) fn detect(&mut self, shared: &mut Shared, micros: u32) -> (u32, Option<u32>) {
        let sure = self.phase != Phase::Open || self.board.sacked >= u32::from(DUPLICATES) * self.mss();
        let window = self.rack.window(self.rtt.smoothed, sure);
        self.board.detect(&mut shared.pool, &self.rack, window, micros)
    }

    pub(super) fn enter_recovery(&mut self, shared: &Shared, news: &News, lost: u32) {
        let mss = self.mss();
        self.phase = Phase::Recovery;
        self.recover = self.board.end;
        self.hystart = None;
        self.window.enter_recovery(shared.kind, self.board.flight() + news.acked, mss);
        let pipe = self.pipe();
        self.window.recover(news.delivered, news.acked > 0 && lost == 0, pipe, mss);
    }

    /// What became of a tail-loss probe (RFC 8985 section 7.4): where it repaired a loss, nobody else has noticed.
    fn probe_answered(&mut self, shared: &Shared, ack: &Ack<'_>, blocks: &Blocks) {
        if !self.probing || seq_lt(ack.number, self.probe_end) {
            return;
        }
        let spurious = blocks.duplicate || ack.duplicate && ack.options.is_empty();
        let repaired = seq_lt(self.probe_end, ack.number);
        if spurious || repaired || self.phase != Phase::Open {
            self.probing = false;
        }
        if repaired && !spurious && self.phase == Phase::Open {
            let (mss, flight) = (self.mss(), self.window.size);
            self.hystart = None;
            self.window.enter_recovery(shared.kind, flight, mss);
            self.window.leave_recovery();
        }
    }
}
