//! RACK (RFC 8985): what was sent well before something that has arrived is lost.
//!
//! Invariant: `sent` and `end` belong to the latest sent of all that is known to have arrived, and `rtt` is what
//! that took; a retransmission counts only if it was underway for at least the shortest time ever measured, or
//! the acknowledgment may have been for the first copy.

use crate::flow::seq_lt;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rack {
    /// When the latest that arrived was sent, in microseconds.
    sent: u32,
    end: u32,
    pub(crate) rtt: u32,
    /// Highest that arrived.
    forward: u32,
    /// The time of the acknowledgment at hand.
    now: u32,
    min_rtt: u32,
    any: bool,
    /// Something arrived late that was not sent again.
    pub(crate) reordered: bool,
    /// Quarters of the shortest round trip to wait for what may be late (RFC 8985 section 6.2, step 4).
    quarters: u8,
}

impl Rack {
    /// An acknowledgment is about to be looked at.
    #[inline]
    pub(crate) fn begin(&mut self, now: u32, min_rtt: u32) {
        (self.now, self.min_rtt) = (now, min_rtt);
    }

    /// A range ending at `end` has arrived.
    #[inline]
    pub(crate) fn delivered(&mut self, sent: u32, end: u32, resent: bool) {
        let rtt = self.now.wrapping_sub(sent);
        if !self.any {
            (self.any, self.forward) = (true, end);
        } else if seq_lt(self.forward, end) {
            self.forward = end;
        } else if !resent {
            self.reordered = true;
        }
        if resent && rtt < self.min_rtt {
            return;
        }
        if !self.passed(sent, end) {
            (self.sent, self.end, self.rtt) = (sent, end, rtt);
        }
    }

    /// Everything has arrived, up to `end`, and was last sent at `sent`.
    #[inline]
    pub(crate) fn all(&mut self, sent: u32, end: u32, rtt: u32) {
        (self.any, self.forward) = (true, end);
        (self.sent, self.end, self.rtt) = (sent, end, rtt);
    }

    /// Whether something sent later than this has arrived.
    #[inline]
    pub(crate) fn passed(&self, sent: u32, end: u32) -> bool {
        self.any && (seq_lt(sent, self.sent) || sent == self.sent && seq_lt(end, self.end))
    }

    /// The peer says that it got something twice: what was taken for lost was only late. Waits longer.
    pub(crate) fn was_wrong(&mut self) {
        self.reordered = true;
        self.quarters = self.quarters.saturating_add(1).min(16);
    }

    /// How long to wait for what may only be late. As long as nothing ever came late, and there is other evidence
    /// of a loss (`sure`), not at all.
    pub(crate) fn window(&self, srtt: u32, sure: bool) -> u32 {
        if !self.reordered && sure {
            return 0;
        }
        (self.min_rtt / 4).saturating_mul(1 + u32::from(self.quarters)).min(srtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_sent_counts() {
        let mut rack = Rack::default();
        rack.begin(10_000, 800);
        assert!(!rack.passed(0, 1));
        rack.delivered(8_000, 2000, false);
        assert_eq!(rack.rtt, 2_000);
        assert!(rack.passed(7_000, 5000) && rack.passed(8_000, 1000));
        assert!(!rack.passed(8_000, 2000) && !rack.passed(8_000, 3000) && !rack.passed(9_000, 1000));
        // Sent earlier: changes nothing.
        rack.delivered(6_000, 3000, false);
        assert_eq!((rack.rtt, rack.reordered), (2_000, false));
    }

    #[test]
    fn a_retransmission_too_young_to_have_arrived_does_not_count() {
        let mut rack = Rack::default();
        rack.begin(10_000, 800);
        rack.delivered(5_000, 2000, false);
        rack.delivered(9_500, 1000, true);
        assert_eq!((rack.rtt, rack.reordered), (5_000, false));
        rack.delivered(9_000, 1000, true);
        assert_eq!(rack.rtt, 1_000);
    }

    #[test]
    fn waits_once_something_came_late() {
        let mut rack = Rack::default();
        rack.begin(10_000, 800);
        rack.delivered(5_000, 3000, false);
        assert_eq!((rack.window(2000, true), rack.window(2000, false)), (0, 200));
        rack.delivered(4_000, 2000, false);
        assert!(rack.reordered);
        assert_eq!(rack.window(2000, true), 200);
        rack.was_wrong();
        assert_eq!((rack.window(2000, true), rack.window(300, true)), (400, 300));
    }
}
