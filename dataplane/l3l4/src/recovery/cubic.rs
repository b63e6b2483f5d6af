//! CUBIC's window growth in congestion avoidance (RFC 9438).
//!
//! Invariant: between two losses the target only grows with time; it is never below what Reno would have reached
//! (section 4.3), and never more than half again the present window ahead (section 4.2).

/// Window left after a loss.
const BETA: f32 = 0.7;
/// Segments per second cubed.
const C: f32 = 0.4;
/// What Reno has to grow by per round trip to be as fast with `BETA` as with one half.
const ALPHA: f32 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// Sizes are in segments, times in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cubic {
    /// Window before the last loss.
    w_max: f32,
    /// How long it takes to get back there.
    k: f32,
    /// What Reno would have.
    w_est: f32,
    /// When growth began, in microseconds; `begun` says whether it has.
    epoch: u32,
    begun: bool,
}

impl Cubic {
    /// A loss: the window to go on with, in bytes.
    pub(crate) fn reduce(&mut self, window: u32, mss: u32) -> u32 {
        let segments = window as f32 / mss as f32;
        // Fast convergence (section 4.7): less than last time means that others need room.
        self.w_max = if segments < self.w_max { segments * (1.0 + BETA) / 2.0 } else { segments };
        self.begun = false;
        (window as f32 * BETA) as u32
    }

    /// Growth begins anew at the next acknowledgment.
    pub(crate) fn restart(&mut self) {
        self.begun = false;
    }

    /// The window after `acked` bytes were acknowledged in congestion avoidance.
    pub(crate) fn grow(&mut self, window: u32, acked: u32, mss: u32, srtt: u32, now: u32) -> u32 {
        let one = mss as f32;
        let segments = window as f32 / one;
        if !self.begun {
            self.begun = true;
            self.epoch = now;
            self.w_max = self.w_max.max(segments);
            self.k = ((self.w_max - segments) / C).cbrt();
            self.w_est = segments;
        }
        let acked = acked as f32 / one;
        self.w_est += if self.w_est < self.w_max { ALPHA } else { 1.0 } * acked / segments;
        let ahead = (now.wrapping_sub(self.epoch).wrapping_add(srtt)) as f32 * 1e-6 - self.k;
        let target = (C * ahead * ahead * ahead + self.w_max).clamp(segments, 1.5 * segments);
        let next = (segments + (target - segments) * (acked / segments).min(1.0)).max(self.w_est);
        (next * one) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    /// Windows after each round trip of `rtt` microseconds.
    fn rounds(cubic: &mut Cubic, mut window: u32, rtt: u32, n: u32) -> Vec<u32> {
        (1..=n)
            .map(|round| {
                window = cubic.grow(window, window, MSS, rtt, round * rtt);
                window
            })
            .collect()
    }

    #[test]
    fn back_at_the_old_window_after_k_seconds() {
        let mut cubic = Cubic::default();
        let window = cubic.reduce(1_000_000, MSS);
        assert_eq!(window, 700_000);
        // K = cbrt(300 / 0.4) = 9.08 s.
        let windows = rounds(&mut cubic, window, 100_000, 120);
        assert!(windows[80] < 1_000_000 && windows[100] > 999_000, "{} {}", windows[80], windows[100]);
        assert!(windows.windows(2).all(|w| w[0] <= w[1]), "never shrinks");
    }

    #[test]
    fn no_slower_than_reno_where_round_trips_are_short() {
        let mut cubic = Cubic::default();
        let window = cubic.reduce(20_000, MSS);
        let windows = rounds(&mut cubic, window, 1_000, 20);
        let reno = 14.0 + 20.0 * 0.5;
        assert!(*windows.last().unwrap_or(&0) as f32 / 1000.0 >= reno - 1.0, "{windows:?}");
    }

    #[test]
    fn gives_way_to_others() {
        let mut cubic = Cubic::default();
        cubic.reduce(100_000, MSS);
        cubic.reduce(80_000, MSS);
        assert!((cubic.w_max - 68.0).abs() < 0.1);
    }
}
