//! Round-trip time and the retransmission timeout (RFC 6298, with a minimum margin of 200 ms instead of a second).
//!
//! Invariant: samples come only from what was sent once (Karn); without any the timeout is one second.

const FIRST: u32 = 1_000_000;
const MARGIN: u32 = 200_000;
const LONGEST: u64 = 60_000_000;
/// How long a peer may hold back the acknowledgment of a lone segment.
const DELAYED_ACK: u32 = 50_000;

/// All in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    /// Smoothed; 0 before the first sample.
    pub(crate) smoothed: u32,
    variance: u32,
    /// The shortest ever.
    pub(crate) min: u32,
    /// Times that the timer ran out since something was acknowledged.
    pub(crate) backoff: u8,
}

impl Default for Rtt {
    fn default() -> Self {
        Self { smoothed: 0, variance: 0, min: u32::MAX, backoff: 0 }
    }
}

impl Rtt {
    #[inline]
    pub(crate) fn sample(&mut self, rtt: u32) {
        // More than four minutes is a clock that jumped; and 0 means none.
        let rtt = rtt.clamp(1, 1 << 28);
        self.min = self.min.min(rtt);
        if self.smoothed == 0 {
            (self.smoothed, self.variance) = (rtt, rtt / 2);
            return;
        }
        let error = rtt.abs_diff(self.smoothed);
        self.variance = self.variance - self.variance / 4 + error / 4;
        self.smoothed = self.smoothed - self.smoothed / 8 + rtt / 8;
    }

    /// The retransmission timeout, with back-off.
    #[inline]
    pub(crate) fn timeout(&self) -> u64 {
        let once = if self.smoothed == 0 { FIRST } else { self.smoothed + (4 * self.variance).max(MARGIN) };
        (u64::from(once) << self.backoff).min(LONGEST)
    }

    /// Whether a probe is due before the timeout if both count from the same time.
    #[inline]
    pub(crate) fn probes_first(&self) -> bool {
        self.smoothed != 0 && self.smoothed < MARGIN - 2_000 - DELAYED_ACK
    }

    /// How long to wait before probing for the loss of the tail (RFC 8985 section 7.2).
    #[inline]
    pub(crate) fn probe(&self, lone: bool) -> u64 {
        if self.smoothed == 0 {
            return u64::from(FIRST);
        }
        u64::from(2 * self.smoothed + if lone { 2_000 + DELAYED_ACK } else { 2_000 })
    }

    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(12);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> u64 {
        n * 1000
    }

    #[test]
    fn rfc_6298() {
        let mut rtt = Rtt::default();
        assert_eq!((rtt.timeout(), rtt.probe(true)), (ms(1000), ms(1000)));
        rtt.sample(100_000);
        assert_eq!((rtt.smoothed, rtt.timeout()), (100_000, ms(300)));
        for _ in 0..100 {
            rtt.sample(100_000);
        }
        assert_eq!(rtt.timeout(), ms(300), "never less than 200 ms above");
        assert_eq!((rtt.probe(false), rtt.probe(true)), (ms(202), ms(252)));
        rtt.sample(900_000);
        assert_eq!((rtt.smoothed, rtt.min), (200_000, 100_000));
        assert!(rtt.timeout() > ms(900));
    }

    #[test]
    fn backs_off_up_to_a_minute() {
        let mut rtt = Rtt::default();
        rtt.sample(20_000);
        let mut last = rtt.timeout();
        for _ in 0..40 {
            rtt.back_off();
            assert!(rtt.timeout() == (2 * last).min(ms(60_000)));
            last = rtt.timeout();
        }
        assert_eq!(last, ms(60_000));
        rtt.sample(u32::MAX);
        assert_eq!(rtt.timeout(), ms(60_000));
    }
}
