//! The congestion window: slow start, Reno (RFC 5681) or CUBIC, and proportional rate reduction (RFC 6937).
//!
//! Invariant: the window is never below one segment, and grows only when an acknowledgment arrives while the
//! sender was held back by it. During recovery it is set from the pipe, so that as much leaves as was delivered,
//! scaled down to reach `ssthresh` when recovery ends.

use super::cubic::Cubic;
use crate::flow::seq_lt;

/// How a connection's sending rate is governed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CongestionControl {
    /// Not at all: the peer's window is the only bound, and losses are repaired by the stack's own means (one
    /// loss per round trip, a timeout of at least a second).
    None,
    /// Reno as the stack behind has it, with the same means of repair: the cheapest.
    Stack,
    /// RFC 5681, with loss recovery of our own.
    Reno,
    /// RFC 9438, with loss recovery of our own.
    #[default]
    Cubic,
}

impl CongestionControl {
    /// Whether losses are repaired by the sender here, and not by the stack.
    pub(crate) fn recovers(self) -> bool {
        matches!(self, Self::Reno | Self::Cubic)
    }
}

/// What growth is measured by: segment size in bytes, round trip and present time in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) mss: u32,
    pub(crate) srtt: u32,
    pub(crate) now: u32,
}

/// No window grows larger; the transmit ring bounds it long before.
const LARGEST: u32 = 1 << 30;

/// Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) size: u32,
    pub(crate) ssthresh: u32,
    /// Up to here what was sent filled the window.
    full: u32,
    /// Delivered since recovery began.
    delivered: u32,
    /// Sent since then.
    out: u32,
    /// In flight then.
    flight: u32,
    cubic: Cubic,
}

impl Window {
    pub(crate) fn new(size: u32, start: u32) -> Self {
        Self { size, ssthresh: u32::MAX, full: start, ..Self::default() }
    }

    #[inline]
    pub(crate) fn in_slow_start(&self) -> bool {
        self.size < self.ssthresh
    }

    /// `bytes` were sent, up to `end`; `pipe` is what is underway now.
    #[inline]
    pub(crate) fn sent(&mut self, bytes: u32, end: u32, pipe: u32, mss: u32) {
        self.out = self.out.wrapping_add(bytes);
        if if self.in_slow_start() { self.size < 2 * pipe } else { self.size < pipe + mss } {
            self.full = end;
        }
    }

    /// `bytes` were sent again.
    #[inline]
    pub(crate) fn resent(&mut self, bytes: u32) {
        self.out = self.out.wrapping_add(bytes);
    }

    /// `acked` bytes from `una` on were acknowledged outside of recovery.
    #[inline]
    pub(crate) fn grow(&mut self, kind: CongestionControl, una: u32, acked: u32, clock: Clock) {
        if !seq_lt(una, self.full) {
            // Time in which the application had nothing to send must not count as growth.
            self.cubic.restart();
        } else if self.in_slow_start() {
            self.size = self.size.saturating_add(acked).min(self.ssthresh).min(LARGEST);
        } else {
            self.avoid(kind, acked, clock);
        }
    }

    #[inline(never)]
    fn avoid(&mut self, kind: CongestionControl, acked: u32, Clock { mss, srtt, now }: Clock) {
        let next = match kind {
            CongestionControl::Cubic => self.cubic.grow(self.size, acked, mss, srtt, now),
            _ => self.size + ((u64::from(mss) * u64::from(acked) / u64::from(self.size)) as u32).max(1),
        };
        self.size = next.min(LARGEST).max(self.size);
    }

    /// Slow start ends here.
    pub(crate) fn settle(&mut self) {
        self.ssthresh = self.size;
    }

    /// A loss: lowers the threshold. Reno goes by what was in flight (RFC 5681 section 3.1), CUBIC by the window, which it
    /// may because the window does not grow where it is not used (RFC 9438 section 4.6): a sender that the peer's
    /// window or its own buffer held back need not get slower.
    fn lower(&mut self, kind: CongestionControl, flight: u32, mss: u32) {
        let next = match kind {
            CongestionControl::Cubic => self.cubic.reduce(self.size, mss),
            _ => self.size.min(flight.max(mss)) / 2,
        };
        self.ssthresh = next.max(2 * mss);
    }

    /// Recovery begins with `flight` bytes in flight.
    pub(crate) fn enter_recovery(&mut self, kind: CongestionControl, flight: u32, mss: u32) {
        self.lower(kind, flight, mss);
        (self.delivered, self.out, self.flight) = (0, 0, flight);
    }

    /// An acknowledgment during recovery; `advanced` says that it moved the number and showed no new loss.
    pub(crate) fn recover(&mut self, delivered: u32, advanced: bool, pipe: u32, mss: u32) {
        self.delivered = self.delivered.saturating_add(delivered);
        let share = if pipe > self.ssthresh {
            let share =
                u64::from(self.delivered) * u64::from(self.ssthresh) / u64::from(self.flight.max(1)) + 1;
            (share as u32).saturating_sub(self.out)
        } else {
            let earned = self.delivered.saturating_sub(self.out);
            let limit = if advanced { earned.max(delivered) + mss } else { earned };
            limit.min(self.ssthresh - pipe)
        };
        // The first retransmission goes out whatever the sum says.
        let least = if self.out == 0 { mss } else { 0 };
        self.size = (pipe + share.max(least)).max(mss);
    }

    /// Recovery is over.
    pub(crate) fn leave_recovery(&mut self) {
        self.size = self.ssthresh;
    }

    /// The retransmission timer ran out with `flight` bytes before `end` in flight; `first` says that it is the
    /// first time for this data.
    pub(crate) fn time_out(&mut self, kind: CongestionControl, flight: u32, end: u32, mss: u32, first: bool) {
        if first {
            self.lower(kind, flight, mss);
        }
        self.size = mss;
        self.full = end;
        self.cubic.restart();
    }

    /// Segments have become smaller: as many as before may be in flight.
    pub(crate) fn narrow(&mut self, before: u32, mss: u32) {
        let scale = |size: u32| (u64::from(size) * u64::from(mss) / u64::from(before.max(1))) as u32;
        self.size = scale(self.size).max(mss);
        if self.ssthresh != u32::MAX {
            self.ssthresh = scale(self.ssthresh).max(2 * mss);
        }
    }

    /// Nothing was sent for a while: what the path can take now is unknown (RFC 5681 section 4.1).
    pub(crate) fn idle(&mut self, initial: u32) {
        self.size = self.size.min(initial);
        self.cubic.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MSS: u32 = 1000;
    const CLOCK: Clock = Clock { mss: MSS, srtt: 20_000, now: 0 };

    #[test]
    fn doubles_in_slow_start_and_only_where_it_was_needed() {
        let mut w = Window::new(10 * MSS, 0);
        w.sent(10 * MSS, 10 * MSS, 10 * MSS, MSS);
        for n in 0..10 {
            w.grow(CongestionControl::Reno, n * MSS, MSS, CLOCK);
        }
        assert_eq!(w.size, 20 * MSS);
        let mut w = Window::new(10 * MSS, 0);
        w.sent(MSS, MSS, MSS, MSS);
        w.grow(CongestionControl::Reno, 0, MSS, CLOCK);
        assert_eq!(w.size, 10 * MSS, "one segment in flight says nothing of ten");
    }

    #[test]
    fn reno_adds_one_segment_per_round() {
        let mut w = Window { ssthresh: 10 * MSS, ..Window::new(10 * MSS, 0) };
        w.sent(10 * MSS, 10 * MSS, 10 * MSS, MSS);
        for n in 0..10 {
            w.grow(CongestionControl::Reno, n * MSS, MSS, CLOCK);
        }
        assert!((10_900..=11_000).contains(&w.size), "{}", w.size);
    }

    #[test]
    fn recovery_ends_at_ssthresh() {
        let mut w = Window::new(20 * MSS, 0);
        w.enter_recovery(CongestionControl::Reno, 20 * MSS, MSS);
        assert_eq!(w.ssthresh, 10 * MSS);
        // One lost; each of the other 19 delivers one segment.
        let (mut pipe, mut sent) = (19 * MSS, 0);
        for _ in 0..19 {
            pipe -= MSS;
            w.recover(MSS, false, pipe, MSS);
            while w.size >= pipe + MSS {
                w.sent(MSS, 0, pipe, MSS);
                pipe += MSS;
                sent += 1;
            }
        }
        assert!((9..=11).contains(&sent), "{sent}");
        w.leave_recovery();
        assert_eq!(w.size, 10 * MSS);
    }

    proptest! {
        #[test]
        fn never_below_a_segment(steps in proptest::collection::vec((0u8..6, 1u32..50_000, 0u32..200_000), 1..200)) {
            for kind in [CongestionControl::Reno, CongestionControl::Cubic] {
                let (mut w, mut now) = (Window::new(10 * MSS, 0), 0u32);
                for &(what, bytes, pipe) in &steps {
                    now += 10_000;
                    match what {
                        0 => w.sent(bytes, bytes, pipe, MSS),
                        1 => w.grow(kind, 0, bytes, Clock { now, ..CLOCK }),
                        2 => w.enter_recovery(kind, pipe, MSS),
                        3 => w.recover(bytes, bytes % 2 == 0, pipe, MSS),
                        4 if w.ssthresh < u32::MAX => w.leave_recovery(),
                        4 if w.size > 2 * MSS => w.settle(),
                        4 => {}
                        _ => w.time_out(kind, pipe, bytes, MSS, bytes % 2 == 0),
                    }
                    prop_assert!(w.size >= MSS && w.ssthresh >= 2 * MSS, "{w:?}");
                }
            }
        }
    }
}
