//! Time as the engine knows it: microseconds on the caller's clock. The engine has no clock of its own.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, in microseconds since any fixed point the caller likes. Must not run backwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The point `micros` microseconds after the clock's zero.
    #[inline]
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The point `millis` milliseconds after the clock's zero.
    #[inline]
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// Microseconds since the clock's zero.
    #[inline]
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero where that lies ahead.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    #[inline]
    pub(crate) const fn smoltcp(self) -> smoltcp::time::Instant {
        smoltcp::time::Instant::from_micros_const(self.0 as i64)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    #[inline]
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    #[inline]
    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(before.as_micros()).unwrap_or(u64::MAX)))
    }
}
