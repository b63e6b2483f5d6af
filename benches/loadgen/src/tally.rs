//! What a load counted.
//!
//! Invariant: numbers only grow; an interval is the difference of two copies. An operation is recorded once, as done or
//! as failed, and only those meant to begin inside of the interval count as measured.

use hdrhistogram::Histogram;

/// The longest latency that is told apart, in ticks: some minutes.
const LONGEST: u64 = 1 << 40;

/// Counters of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Operations begun.
    pub(crate) begun: u64,
    /// Operations done, their content verified.
    pub(crate) done: u64,
    /// Operations that failed: reset, timed out too often, or answered wrongly.
    pub(crate) failed: u64,
    /// Of those, answered wrongly.
    pub(crate) wrong: u64,
    /// Packets sent again after a timeout.
    pub(crate) resent: u64,
    /// Packets that made no sense: bad checksum, not ours, or for no connection.
    pub(crate) stray: u64,
    /// Payload bytes received and verified, or sent and acknowledged.
    pub(crate) bytes: u64,
    /// Packets received.
    pub(crate) received: u64,
}

impl core::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            begun: self.begun - earlier.begun,
            done: self.done - earlier.done,
            failed: self.failed - earlier.failed,
            wrong: self.wrong - earlier.wrong,
            resent: self.resent - earlier.resent,
            stray: self.stray - earlier.stray,
            bytes: self.bytes - earlier.bytes,
            received: self.received - earlier.received,
        }
    }
}

/// Counters, and the latency of what is measured.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    /// Operations meant to begin from here on are measured, in ticks.
    pub(crate) from: u64,
    /// Until before here.
    pub(crate) to: u64,
    /// Of measured operations: how many were done.
    pub(crate) measured: u64,
    /// In ticks.
    pub(crate) latency: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        // Two digits: percentiles are within one in a hundred, and the counts that are used stay in the nearest cache.
        let latency = Histogram::new_with_bounds(1, LONGEST, 2)
            .unwrap_or_else(|error| panic!("bounds that do not change: {error}"));
        Self { counts: Counts::default(), from: u64::MAX, to: u64::MAX, measured: 0, latency }
    }

    /// An operation that was meant to begin at `intended` is done.
    #[inline]
    pub(crate) fn done(&mut self, intended: u64, now: u64) {
        self.counts.done += 1;
        if intended >= self.from && intended < self.to {
            self.measured += 1;
            self.latency.saturating_record(now.saturating_sub(intended));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_meant_to_begin_inside_is_measured() {
        let mut tally = Tally::new();
        tally.done(50, 60);
        (tally.from, tally.to) = (100, 200);
        tally.done(99, 150);
        tally.done(100, 500);
        tally.done(199, 210);
        tally.done(200, 210);
        assert_eq!((tally.counts.done, tally.measured), (5, 2));
        assert_eq!((tally.latency.min(), tally.latency.max()), (11, 401));
    }
}
