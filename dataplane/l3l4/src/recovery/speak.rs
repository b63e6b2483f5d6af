//! What the sender lets leave: which of the segments the stack offers go out, and what is noted of them.
//!
//! Invariant: new data goes out within the window the stack was told; of what was sent before only what overlaps
//! a range marked lost goes out again, and only as the congestion window allows.

use super::{AHEAD, Again, NEVER, Phase, Sender, Shared, after};
use crate::flow::seq_lt;
use crate::time::Instant;

/// No retransmission timeout is shorter, in microseconds.
const SILENCE: u64 = 200_000;

impl Sender {
    /// Something lost may be sent again now.
    #[inline]
    pub(crate) fn may_resend(&self) -> bool {
        self.board.lost > 0
            && (self.force || self.window.size >= self.pipe() + self.board.lost.min(self.mss()))
    }

    /// The clock to poll the stack with so that it offers what is lost: the caller's where that still lies ahead
    /// of `pos`, the place the stack sends from, or else and after a timeout one at which the stack falls back to the oldest byte.
    pub(crate) fn clock(&mut self, shared: &mut Shared, now: Instant, pos: u32) -> Option<Instant> {
        if !core::mem::take(&mut self.rewind) && self.board.first_lost(&mut shared.pool, pos).is_some() {
            return Some(now);
        }
        self.board.first_lost(&mut shared.pool, self.board.start)?;
        self.ahead = after(self.ahead.max(now), AHEAD);
        Some(self.ahead)
    }

    /// The path takes no more than `mss` bytes a segment. What is in flight was sent in vain, and goes again at once:
    /// that is no sign of congestion, and the window keeps its count of segments (RFC 8201 section 5.4).
    pub(crate) fn narrow(&mut self, shared: &mut Shared, now: Instant, mss: u32) {
        self.window.narrow(self.mss(), mss);
        self.mss = mss as u16;
        if self.board.is_empty() {
            return;
        }
        self.lose(shared, (self.board.start, self.board.end));
        (self.dup_acks, self.phantom, self.probed, self.probing) = (0, 0, false, false);
        (self.force, self.rewind, self.base) = (true, true, now);
        self.arm_with_reorder(shared, now);
    }

    /// Whether it is for this to say what of old data leaves.
    #[inline]
    pub(crate) fn judges(&self) -> bool {
        self.is_on() && !self.board.is_empty()
    }

    /// The stack offers `from..to`, some or all of which was sent before. Says why it may leave, or `None`.
    pub(crate) fn again(&mut self, shared: &mut Shared, from: u32, to: u32) -> Option<Again> {
        let fresh = seq_lt(self.board.end, to);
        let resent = if self.may_resend() {
            let now = shared.now.micros() as u32;
            self.board.resend(&mut shared.pool, from, to, now)
        } else {
            0
        };
        if resent == 0 {
            // What lies behind goes out as new data; that what lies before goes along cannot be helped.
            return fresh.then_some(Again::Fast);
        }
        self.force = false;
        self.window.resent(resent);
        Some(match self.phase {
            Phase::Loss => Again::Timeout,
            Phase::Recovery => Again::Fast,
            Phase::Open if self.probing => Again::Probe,
            Phase::Open => Again::Refit,
        })
    }

    /// New data up to `end` has left.
    #[inline]
    pub(crate) fn sent(&mut self, shared: &mut Shared, now: Instant, end: u32) {
        let bytes = end.wrapping_sub(self.board.end);
        if self.board.is_empty() {
            self.base = now;
        }
        self.board.push(&mut shared.pool, end, now.micros() as u32);
        let pipe = self.pipe();
        self.window.sent(bytes, end, pipe, u32::from(self.mss));
        if self.phase == Phase::Open || self.deadline == NEVER {
            self.arm(now);
        }
    }

    /// Everything up to here is noted.
    #[inline]
    pub(crate) fn noted(&self) -> u32 {
        self.board.end
    }

    /// About to send: after a long silence the window is small again (RFC 5681 section 4.1).
    #[inline]
    pub(crate) fn before(&mut self, shared: &Shared, now: Instant) {
        if now.micros().saturating_sub(self.base.micros()) > SILENCE && self.board.is_empty() {
            self.wake(shared, now);
        }
    }

    #[cold]
    fn wake(&mut self, shared: &Shared, now: Instant) {
        if now < after(self.base, self.rtt.timeout()) {
            return;
        }
        self.window.idle(self.initial(shared));
        self.base = now;
        let edge = self.board.end.wrapping_add(self.window.size);
        if seq_lt(edge, self.limit) {
            self.limit = edge;
        }
    }

    /// The window field of an acknowledgment `number` that opens the window up to `edge`; `None` where the stack
    /// was told the same before.
    pub(crate) fn field(&mut self, number: u32, edge: u32) -> (u16, bool) {
        let flight = self.board.end.wrapping_sub(number);
        // Rounded down, so that no small piece is sent at its edge, but never below what is in flight.
        let least = (flight + ((1 << self.shift) - 1)) >> self.shift;
        let field = (edge.wrapping_sub(number) >> self.shift).max(least).min(0xffff) as u16;
        let told = number.wrapping_add(u32::from(field) << self.shift);
        let news = self.told != told;
        self.told = told;
        (field, news)
    }

    /// The same with nothing in flight.
    #[inline]
    pub(crate) fn plain_field(&mut self, number: u32, window: u32) -> (u16, bool) {
        let field = (window >> self.shift).min(0xffff);
        let told = number.wrapping_add(field << self.shift);
        let news = self.told != told;
        self.told = told;
        (field as u16, news)
    }
}
