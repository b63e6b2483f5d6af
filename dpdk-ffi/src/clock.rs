//! The time stamp counter: the one clock of the packet path.
//!
//! Invariant: reading it is a single instruction with no system call, and its frequency does not change once asked for.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time stamp counter of this core.
#[inline(always)]
#[must_use]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86-64 processor has RDTSC, and Linux lets user space execute it.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // SAFETY: reads a counter register; no arguments.
        unsafe { dpdk_sys::shim_rte_rdtsc() }
    }
}

/// Ticks of [`tsc`] per second.
///
/// DPDK's own figure when it has started, else a measurement of 50 ms made on the first call.
#[must_use]
pub fn tsc_hz() -> u64 {
    static HZ: OnceLock<u64> = OnceLock::new();
    // SAFETY: reads a variable of the library; zero before DPDK has started.
    let known = || unsafe { dpdk_sys::rte_get_tsc_hz() };
    *HZ.get_or_init(|| match known() {
        0 => measure(Duration::from_millis(50)),
        hz => hz,
    })
}

fn measure(time: Duration) -> u64 {
    let (start, from) = (Instant::now(), tsc());
    std::thread::sleep(time);
    let (ticks, nanos) = (u128::from(tsc().wrapping_sub(from)), start.elapsed().as_nanos());
    u64::try_from(ticks * 1_000_000_000 / nanos.max(1)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_runs_and_its_rate_stands_still() {
        let first = tsc();
        let hz = tsc_hz();
        assert!(tsc() > first);
        assert!(hz > 1_000_000 && hz == tsc_hz());
    }
}
