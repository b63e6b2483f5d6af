//! The worker's clock: one TSC read per turn, as microseconds since the data plane began.
//!
//! Invariant: all workers count from the same TSC value, so their times can be compared.

use core::time::Duration;
use l3l4::Instant;

/// Turns TSC values into time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: u64,
    /// Microseconds per cycle, in units of 2^-32.
    micros: u64,
    /// Nanoseconds per cycle, in units of 2^-32.
    nanos: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub(crate) fn new() -> Self {
        let hz = dpdk_ffi::clock::tsc_hz().max(1);
        Self { start: dpdk_ffi::clock::tsc(), micros: scale(1_000_000, hz), nanos: scale(1_000_000_000, hz) }
    }

    /// The TSC's value at the beginning.
    pub(crate) const fn start(&self) -> u64 {
        self.start
    }

    /// Reads the TSC.
    #[inline]
    #[must_use]
    pub(crate) fn read(&self) -> u64 {
        dpdk_ffi::clock::tsc()
    }

    /// The time at which the TSC read `tsc`.
    #[inline]
    #[must_use]
    pub(crate) fn at(&self, tsc: u64) -> Instant {
        Instant::from_micros(times(tsc.wrapping_sub(self.start), self.micros))
    }

    /// Nanoseconds in so many cycles.
    #[inline]
    #[must_use]
    pub(crate) fn nanos(&self, cycles: u64) -> u64 {
        times(cycles, self.nanos)
    }

    /// The time now.
    #[must_use]
    pub(crate) fn now(&self) -> Instant {
        self.at(self.read())
    }

    /// Time since the clock began.
    #[must_use]
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.now().micros())
    }
}

fn scale(per_second: u64, hz: u64) -> u64 {
    u64::try_from((u128::from(per_second) << 32) / u128::from(hz)).unwrap_or(u64::MAX)
}

#[inline]
fn times(cycles: u64, scale: u64) -> u64 {
    ((u128::from(cycles) * u128::from(scale)) >> 32) as u64
}
