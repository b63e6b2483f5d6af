//! A token bucket: so many per second, a tenth of a second's worth at once.
//!
//! Invariant: over any second no more than the rate plus one burst gets through, whatever is asked.

use crate::time::Instant;

/// Limits how often something is sent.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    per_second: u64,
    burst: u64,
    /// Tokens, in millionths.
    tokens: u64,
    filled: Instant,
}

const ONE: u64 = 1_000_000;

impl Limiter {
    /// A limiter of `per_second` events; 0 lets nothing through.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let burst = if per_second == 0 { 0 } else { u64::from(per_second).div_ceil(10) * ONE };
        Self { per_second: u64::from(per_second), burst, tokens: burst, filled: Instant::default() }
    }

    /// Whether one more may go at `now`; takes a token if so.
    #[inline]
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.micros().saturating_sub(self.filled.micros()).min(ONE);
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.filled = now;
        let ok = self.tokens >= ONE;
        if ok {
            self.tokens -= ONE;
        }
        ok
    }

    /// Changes the rate; what is in the bucket is kept up to the new burst.
    pub fn set_rate(&mut self, per_second: u32) {
        let tokens = self.tokens;
        let filled = self.filled;
        *self = Self::new(per_second);
        self.tokens = tokens.min(self.burst);
        self.filled = filled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_rate() {
        let mut limiter = Limiter::new(100);
        let sent = (0..2_000_000u64).step_by(50).filter(|&us| limiter.take(Instant::from_micros(us))).count();
        assert!((200..=210).contains(&sent), "{sent}");
        assert!(!Limiter::new(0).take(Instant::from_micros(5_000_000)));
    }
}
