//! Slow readers: a peer that answers but hardly takes what waits for it is found out when its connection's timer fires.
//!
//! Invariant: what waits without a pause is taken at `Pace::bytes` (or all of it) within each `Pace::timeout`, or the
//! peer is slow. One that says nothing at all is not: how long to wait for that one is the user timeout's to say (RFC
//! 9293 section 3.8.3), so the verdict falls only on a sign of life from after the time was over.
//!
//! Bytes that the peer has room for and does not acknowledge may as well be lost on their way, so for them it has the
//! user timeout's length, too; what shows a reader that does not read is a window that is closed.
//!
//! Nothing is noted when a segment comes or goes. The numbers of sequence tell at any later moment what was taken, and
//! they move with the peer's segments only: what holds now has held since the last of them.

use crate::flow::seq_lt;
use crate::time::Instant;
use core::time::Duration;

/// The least that a reader has to take, and in which time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) timeout: Duration,
    pub(crate) bytes: u32,
    /// The time of a peer whose window is open; not shorter.
    pub(crate) lossy: Duration,
}

/// What is known of a reader when the timer fires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) last_rx: Instant,
    /// Oldest unacknowledged.
    pub(crate) una: u32,
    /// What is queued and unacknowledged from there on, FIN included.
    pub(crate) waiting: u32,
    /// The peer has room for nothing.
    pub(crate) closed: bool,
}

impl Pace {
    /// Judges a reader: when to look again, or `None` where it is too slow. `since` is when its present time began (at
    /// first: when it was made to wait), `target` how far it has to get in it (0: not set yet).
    pub(crate) fn judge(
        self,
        now: Instant,
        seen: Seen,
        since: &mut Instant,
        target: &mut u32,
    ) -> Option<Instant> {
        if *target == 0 || !seq_lt(seen.una, *target) {
            *since = (*since).max(seen.last_rx);
            // 0 has its own meaning; one less is one byte kinder.
            *target = match seen.una.wrapping_add(self.bytes.min(seen.waiting)) {
                0 => u32::MAX,
                target => target,
            };
            return Some((*since + self.timeout).max(now + self.pause()));
        }
        let end = *since + if seen.closed { self.timeout } else { self.lossy };
        if seen.last_rx >= end {
            return None;
        }
        // It may close its window meanwhile.
        Some((*since + self.timeout).max(now + self.pause()))
    }

    /// How soon to look again whether one that is late has said something.
    fn pause(self) -> Duration {
        self.timeout / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { timeout: Duration::from_secs(16), bytes: 1000, lossy: Duration::from_secs(40) };

    /// A reader that takes what the script says and is looked at each second; when it was found too slow.
    fn found_out(waiting: u32, closed: bool, took: impl Fn(u64) -> Option<u32>) -> Option<u64> {
        let start = u32::MAX - 500;
        let (mut last, mut una) = (0, start);
        let (mut since, mut target) = (Instant::default(), 0);
        for second in 1..400 {
            if let Some(all) = took(second) {
                last = second;
                una = start.wrapping_add(all);
            }
            let waiting = waiting - una.wrapping_sub(start);
            let seen = Seen { last_rx: Instant::from_millis(last * 1000), una, waiting, closed };
            let now = Instant::from_millis(second * 1000);
            if PACE.judge(now, seen, &mut since, &mut target).is_none() {
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn readers() {
        let found = |took: &dyn Fn(u64) -> Option<u32>| found_out(1 << 20, true, took);
        assert_eq!(found(&|_| None), None, "silent: not for this to judge");
        assert_eq!(found(&|_| Some(0)), Some(17), "its window stays closed");
        assert_eq!(found(&|second| Some(second as u32)), Some(17), "a byte a second");
        let seldom = |second: u64| second.is_multiple_of(10).then_some(second as u32);
        assert_eq!(found(&seldom), Some(20), "and answers seldom");
        assert_eq!(found(&|second| Some(64 * second as u32)), None, "just enough");
        assert_eq!(found(&|second| Some(second as u32 / 15 * 1000)), None, "all at once, each time");
        assert_eq!(found(&|second| Some(50 * second as u32)), Some(17), "just too little");
        let outage = |second: u64| (!(3..300).contains(&second)).then_some(second as u32 * 2000);
        assert_eq!(found(&outage), None, "silent for long, then as before");
        assert_eq!(found_out(100, true, |second| Some(100 * u32::from(second > 15))), None, "all there is");
        assert_eq!(found_out(1 << 20, false, |_| Some(0)), Some(41), "room, but nothing arrives");
        assert_eq!(found_out(1 << 20, false, |second| Some(30 * second as u32)), None, "a bad path");
    }

    #[test]
    fn a_target_is_never_zero() {
        let (mut since, mut target) = (Instant::default(), 0);
        let una = 0_u32.wrapping_sub(1000);
        let seen = Seen { last_rx: Instant::default(), una, waiting: 5000, closed: true };
        PACE.judge(Instant::from_millis(1), seen, &mut since, &mut target);
        assert_eq!(target, u32::MAX);
    }
}
