//! When operations are meant to begin: evenly, whatever became of those before them.
//!
//! Invariant: the time of operation `k` depends on the rate and `k` alone. Latency counted from it includes the time an
//! operation had to wait for its turn, so a server that stalls cannot make its own measurement better.

/// An even schedule, or none: as fast as the link takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    start: u64,
    /// Ticks from one operation to the next; 0 without a schedule.
    gap: f64,
    next: u64,
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
impl Pace {
    /// `rate` operations a second from `start` on, on a clock of `hz` ticks. An infinite rate means no schedule.
    pub(crate) fn new(start: u64, rate: f64, hz: u64) -> Self {
        Self { start, gap: if rate.is_finite() { hz as f64 / rate } else { 0.0 }, next: 0 }
    }

    /// When the next operation was meant to begin, if that is not in the future; it counts as begun.
    #[inline]
    pub(crate) fn take(&mut self, now: u64) -> Option<u64> {
        if self.gap == 0.0 {
            self.next += 1;
            return Some(now);
        }
        let intended = self.start + (self.next as f64 * self.gap) as u64;
        if intended > now {
            return None;
        }
        self.next += 1;
        Some(intended)
    }

    /// How many operations are meant to begin from `from` until before `to`; none without a schedule.
    pub(crate) fn meant(&self, from: u64, to: u64) -> Option<u64> {
        let before = |time: u64| (time.saturating_sub(self.start) as f64 / self.gap).ceil() as u64;
        (self.gap > 0.0).then(|| before(to).saturating_sub(before(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_times_when_taken_late() {
        let mut pace = Pace::new(1000, 10.0, 100);
        assert_eq!(pace.take(999), None);
        assert_eq!(pace.take(1000), Some(1000));
        assert_eq!(pace.take(1009), None);
        let late: Vec<_> = std::iter::from_fn(|| pace.take(1035)).collect();
        assert_eq!(late, [1010, 1020, 1030]);
    }

    #[test]
    fn what_was_meant_is_what_is_taken() {
        let pace = Pace::new(0, 3.0, 1_000_000);
        let times: Vec<u64> = {
            let mut pace = pace;
            std::iter::from_fn(|| pace.take(10_000_000)).collect()
        };
        for (from, to) in [(0, 1), (1, 1_000_000), (333_333, 333_334), (0, 10_000_000), (5, 5)] {
            let taken = times.iter().filter(|time| (from..to).contains(*time)).count() as u64;
            assert!(pace.meant(from, to).unwrap().abs_diff(taken) <= 1, "{from}..{to}");
        }
    }

    #[test]
    fn without_a_schedule_everything_is_due_now() {
        let mut pace = Pace::new(5, f64::INFINITY, 100);
        assert_eq!((pace.take(7), pace.take(7)), (Some(7), Some(7)));
        assert_eq!(pace.meant(0, 100), None);
    }
}
