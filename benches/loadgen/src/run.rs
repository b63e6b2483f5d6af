//! The generator's loop: receive, begin what is due, look after timers, send.
//!
//! Invariant: one clock read per turn; every run ends by itself, whatever Millrace does or does not do.

use crate::link::{Burst, Link};
use crate::load::Load;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::tally::Counts;
use dpdk_ffi::clock::tsc;
use dpdk_ffi::mbuf::Mbuf;
use hdrhistogram::Histogram;
use std::time::Duration;

/// How long the parts of a run take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Load before anything is measured.
    pub(crate) warm_up: Duration,
    /// What is measured.
    pub(crate) interval: Duration,
    /// How long operations of the interval may still take after its end.
    pub(crate) grace: Duration,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Operations that were meant to begin in the interval; none without a schedule.
    pub(crate) meant: Option<u64>,
    /// Of those, the ones done by the end of the grace.
    pub(crate) done: u64,
    /// What was counted between beginning and end of the interval.
    pub(crate) counts: Counts,
    /// Length of the interval in seconds.
    pub(crate) seconds: f64,
    /// The generator's share of time in turns that moved packets.
    pub(crate) busy: f64,
    /// Share of turns in which the link did not take everything.
    pub(crate) held_back: f64,
    /// In ticks.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    /// Operations done in a second of the interval.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn rate(&self) -> f64 {
        self.counts.done as f64 / self.seconds
    }

    /// Whether all but one in a thousand of the operations that were meant to be done were done.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn held(&self) -> bool {
        self.failures() < 0.001
    }

    /// The share of operations that were not done in time, were answered wrongly or needed a retransmission.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn failures(&self) -> f64 {
        let meant = self.meant.unwrap_or(self.counts.begun).max(1);
        let undone = self.meant.map_or(0, |meant| meant.saturating_sub(self.done)).max(self.counts.failed);
        (undone + self.counts.resent) as f64 / meant as f64
    }
}

/// A link, what waits to be sent on it, and the clock's rate.
pub(crate) struct Rig<L> {
    pub(crate) link: L,
    pub(crate) out: Outbox,
    pub(crate) hz: u64,
}

impl<L: Link> Rig<L> {
    /// One turn; returns how many packets moved.
    #[inline]
    fn turn(&mut self, load: &mut impl Load, now: u64) -> u64 {
        let mut burst = Burst::new();
        let aside = self.link.pump(now);
        self.link.receive(&mut burst);
        let received = burst.len() as u64;
        for mbuf in &burst {
            load.packet(&mut self.out, mbuf.data(), now);
        }
        Mbuf::free_bulk(&mut burst);
        load.launch(&mut self.out, now);
        load.sweep(&mut self.out, now);
        aside + received + self.out.flush(&mut self.link)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn ticks(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * self.hz as f64) as u64
    }

    /// Turns until `done` says so, or for `most`; returns whether it did.
    pub(crate) fn until<W: Load>(
        &mut self,
        load: &mut W,
        most: Duration,
        mut done: impl FnMut(&mut W) -> bool,
    ) -> bool {
        let end = tsc() + self.ticks(most);
        loop {
            let now = tsc();
            self.turn(load, now);
            if done(load) {
                return true;
            }
            if now >= end {
                return false;
            }
        }
    }

    /// Offers `rate` operations a second (infinite: as many as are taken) and measures.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn measure(&mut self, load: &mut impl Load, rate: f64, times: Times) -> Outcome {
        let start = tsc();
        let from = start + self.ticks(times.warm_up);
        let to = from + self.ticks(times.interval);
        let pace = Pace::new(start, rate, self.hz);
        load.set_pace(Some(pace));
        let tally = load.tally();
        (tally.from, tally.to, tally.measured) = (from, to, 0);
        tally.latency.reset();

        let mut now = start;
        while now < from {
            self.turn(load, now);
            now = tsc();
        }
        let (first, held_back) = (load.tally().counts, self.out.held_back);
        let (began, mut turns, mut busy) = (now, 0u64, 0);
        // At least once, and by the clock: this thread may have been off its CPU for longer than the interval.
        loop {
            let moved = self.turn(load, now);
            let next = tsc();
            turns += 1;
            busy += if moved > 0 { next - now } else { 0 };
            now = next;
            if now >= to {
                break;
            }
        }
        let elapsed = now.saturating_sub(began).max(1) as f64;
        let last = load.tally().counts;
        let held_back = self.out.held_back - held_back;
        // The load goes on, so that what is measured does not get easier towards its end.
        let meant = pace.meant(from, to);
        let late = to + self.ticks(times.grace);
        while now < late && meant.is_some_and(|meant| load.tally().measured < meant) {
            self.turn(load, now);
            now = tsc();
        }
        let done = load.tally().measured;
        load.set_pace(None);
        self.drain(load);
        Outcome {
            meant,
            done,
            counts: last - first,
            seconds: elapsed / self.hz as f64,
            busy: busy as f64 / elapsed,
            held_back: held_back as f64 / turns.max(1) as f64,
            latency: load.tally().latency.clone(),
        }
    }

    /// Lets operations under way end, so that the next run begins with an empty link.
    pub(crate) fn drain(&mut self, load: &mut impl Load) {
        self.until(load, Duration::from_millis(300), |load| load.outstanding() == 0);
    }

    /// Resets every connection and lets Millrace forget them.
    pub(crate) fn end(&mut self, load: &mut impl Load) {
        let now = tsc();
        let end = now + self.ticks(Duration::from_secs(2));
        while !load.end(&mut self.out) && tsc() < end {
            self.turn(load, tsc());
        }
        self.until(load, Duration::from_millis(50), |_| false);
    }
}
