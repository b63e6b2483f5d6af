//! What came in each second, for the timeline.
//!
//! Invariant: [`SECONDS`] samples, whatever comes; a second in which nothing came is a sample of zeros.

use std::collections::VecDeque;

use serde::Serialize;

/// How far back the timeline goes.
pub(crate) const SECONDS: usize = 300;

/// One second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sample {
    pub(crate) events: u64,
    pub(crate) exchanges: u64,
    /// Bytes of payload.
    pub(crate) bytes: u64,
    /// Responses with a status from 400 on, and those that broke off.
    pub(crate) errors: u64,
}

/// The latest seconds.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    samples: VecDeque<Sample>,
    /// The second behind the last sample.
    end: u64,
}

impl Rates {
    /// The sample of `second`, or the latest one if that is later.
    pub(crate) fn now(&mut self, second: u64) -> &mut Sample {
        if self.samples.is_empty() || second >= self.end + SECONDS as u64 {
            self.samples.clear();
            self.end = second;
        }
        while self.end <= second {
            if self.samples.len() == SECONDS {
                self.samples.pop_front();
            }
            self.samples.push_back(Sample::default());
            self.end += 1;
        }
        let last = self.samples.len() - 1;
        &mut self.samples[last]
    }

    /// The samples up to the second before `second`, which is not over, and the second of the first of them.
    pub(crate) fn list(&mut self, second: u64) -> (u64, Vec<Sample>) {
        self.now(second);
        let begin = self.end - self.samples.len() as u64;
        (begin, self.samples.iter().take(self.samples.len() - 1).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_seconds_are_zeros() {
        let mut rates = Rates::default();
        rates.now(10).events += 1;
        rates.now(13).events += 2;
        let (begin, samples) = rates.list(14);
        assert_eq!(begin, 10);
        assert_eq!(samples.iter().map(|sample| sample.events).collect::<Vec<_>>(), [1, 0, 0, 2]);
    }

    #[test]
    fn a_clock_that_stands_still_or_jumps_does_no_harm() {
        let mut rates = Rates::default();
        rates.now(10).events += 1;
        rates.now(9).events += 1;
        assert_eq!(rates.list(11).1[0].events, 2);
        rates.now(1_000_000).events += 1;
        assert_eq!(rates.list(1_000_001), (1_000_000, vec![Sample { events: 1, ..Sample::default() }]));
        for second in 0..2000 {
            rates.now(1_000_000 + second);
        }
        assert_eq!(rates.samples.len(), SECONDS);
    }
}
