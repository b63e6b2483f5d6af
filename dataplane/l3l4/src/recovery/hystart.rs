//! Leaves slow start when the round-trip time begins to grow (HyStart++, RFC 9406): before the queue of a bottleneck
//! overflows and a whole window is lost.
//!
//! Invariant: slow start slows down only where the shortest of at least [`SAMPLES`] samples of this round is well above
//! the shortest of the last round, and ends only where that lasts for [`ROUNDS`] rounds; a delay that passes is none.

use crate::flow::seq_lt;

const SAMPLES: u8 = 8;
/// Bounds of what counts as growth, in microseconds.
const LEAST: u32 = 4_000;
const MOST: u32 = 16_000;
/// Rounds of careful growth before slow start ends.
const ROUNDS: u8 = 5;

#[derive(Clone, Copy, Debug)]
pub(crate) struct HyStart {
    /// The round ends when this is acknowledged.
    end: u32,
    last: u32,
    current: u32,
    /// The round-trip time at which growth was slowed down; 0 where it is not.
    baseline: u32,
    samples: u8,
    /// Rounds since then.
    rounds: u8,
}

impl HyStart {
    pub(crate) const fn new(start: u32) -> Self {
        Self { end: start, last: u32::MAX, current: u32::MAX, baseline: 0, samples: 0, rounds: 0 }
    }

    /// Whether growth is slowed down.
    #[inline]
    pub(crate) fn is_careful(&self) -> bool {
        self.baseline != 0
    }

    /// An acknowledgment up to `ack` with a sample; `sent` is the highest sent. True where slow start should end.
    #[inline]
    pub(crate) fn sample(&mut self, ack: u32, sent: u32, rtt: u32) -> bool {
        if !seq_lt(ack, self.end) {
            (self.end, self.last, self.current, self.samples) = (sent, self.current, u32::MAX, 0);
            self.rounds = if self.is_careful() { self.rounds.saturating_add(1) } else { 0 };
        }
        self.current = self.current.min(rtt);
        self.samples = self.samples.saturating_add(1);
        if self.samples < SAMPLES || self.last == u32::MAX {
            return false;
        }
        if self.is_careful() {
            if self.current < self.baseline {
                // It was only a hiccup.
                self.baseline = 0;
            }
            return self.is_careful() && self.rounds >= ROUNDS;
        }
        if self.current >= self.last.saturating_add((self.last / 8).clamp(LEAST, MOST)) {
            (self.baseline, self.rounds) = (self.current, 0);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round of samples; true where one ended slow start.
    fn round(hystart: &mut HyStart, n: u32, rtt: u32) -> bool {
        (n * 100..n * 100 + 50).any(|ack| hystart.sample(ack, (n + 1) * 100, rtt))
    }

    #[test]
    fn slows_down_when_a_whole_round_took_longer_and_stops_when_that_lasts() {
        let mut hystart = HyStart::new(0);
        assert!(!round(&mut hystart, 0, 20_000) && !round(&mut hystart, 1, 23_900) && !hystart.is_careful());
        // One short sample keeps the round innocent.
        hystart.sample(200, 300, 20_000);
        assert!(!round(&mut hystart, 2, 30_000) && !hystart.is_careful());
        assert!(!round(&mut hystart, 3, 30_000) && hystart.is_careful());
        let ended = (4..20).position(|n| round(&mut hystart, n, 30_000));
        assert_eq!(ended, Some(usize::from(ROUNDS) - 1));
    }

    #[test]
    fn a_hiccup_is_forgotten() {
        let mut hystart = HyStart::new(0);
        round(&mut hystart, 0, 20_000);
        round(&mut hystart, 1, 30_000);
        assert!(hystart.is_careful());
        assert!(!round(&mut hystart, 2, 20_000) && !hystart.is_careful());
    }

    #[test]
    fn rounds_too_short_to_judge_may_go_on_for_ever() {
        let mut hystart = HyStart::new(0);
        round(&mut hystart, 0, 20_000);
        round(&mut hystart, 1, 30_000);
        assert!(hystart.is_careful());
        // One sample each: too few to end anything by.
        assert!((2..1000).all(|n| !hystart.sample(n * 100, (n + 1) * 100, 30_000)));
    }
}
